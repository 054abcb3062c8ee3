/* open_tree, move_mount, mount_setattr, fsopen, fsconfig, fsmount, fspick: detached trees, refusals, the log.
 * needs: root
 */
#include "t.h"
#include <sys/mount.h>
#include <sys/statfs.h>
#ifndef MOVE_MOUNT_BENEATH
#define MOVE_MOUNT_BENEATH 0x200
#endif
#ifndef FSCONFIG_CMD_CREATE_EXCL
#define FSCONFIG_CMD_CREATE_EXCL 8
#endif
static int tree(int fd, const char *path, unsigned flags) { return syscall(SYS_open_tree, fd, path, flags); }
static int put(int ffd, const char *from, int tfd, const char *to, unsigned flags)
{
    return syscall(SYS_move_mount, ffd, from, tfd, to, flags);
}
static int fs(const char *name, unsigned flags) { return syscall(SYS_fsopen, name, flags); }
static int set(int fd, unsigned cmd, const char *key, const void *value, int aux)
{
    return syscall(SYS_fsconfig, fd, cmd, key, value, aux);
}
static int fsm(int fd, unsigned flags, unsigned attr) { return syscall(SYS_fsmount, fd, flags, attr); }
static int pick(const char *path, unsigned flags) { return syscall(SYS_fspick, AT_FDCWD, path, flags); }
static int attr(const char *path, unsigned flags, unsigned long long set, unsigned long long clr, unsigned long long prop)
{
    unsigned long long a[4] = {set, clr, prop, 0};
    return syscall(SYS_mount_setattr, AT_FDCWD, path, flags, a, sizeof a);
}
static void lines(const char *prefix)
{
    FILE *f = fopen("/proc/self/mountinfo", "r");
    char line[4096], where[256], opts[256], tail[256];
    while (fgets(line, sizeof line, f)) {
        char *dash = strstr(line, " - ");
        if (sscanf(line, "%*d %*d %*s %*s %255s %255s", where, opts) != 2 || strncmp(where, prefix, strlen(prefix)) ||
            !strchr("/", where[6]))
            continue;
        sscanf(dash, " - %*s %255[^\n]", tail);
        say("%s %s%s %s", where, opts, strstr(line, " shared:") ? " shared" : strstr(line, "unbindable") ? " unbindable" : "",
            tail);
    }
    fclose(f);
}
static void log_of(int fd)
{
    char b[256];
    for (;;) {
        int n = read(fd, b, sizeof b);
        if (n < 0) {
            say("log: %s", errname(errno));
            return;
        }
        say("log: %.*s", n - (n > 0 && b[n - 1] == '\n'), b);
    }
}
int main(void)
{
    MUST(unshare(CLONE_NEWNS));
    MUST(mount("none", "/", 0, MS_REC | MS_PRIVATE, 0));
    MUST(mount("t", "/mnt", "tmpfs", 0, "size=1m,mode=755"));
    MUST(chdir("/mnt"));
    mkdir("a", 0755), mkdir("b", 0755), mkdir("c", 0755), mkdir("a/x", 0755);
    close(open("file", O_CREAT, 0644));
    /* fsopen */
    V(fs("nothing", 0)), V(fs("tmpfs", 2)), V(fs(NULL, 0)), V(fs("", 0));
    int f = MUST(fs("tmpfs", FSOPEN_CLOEXEC));
    V(fcntl(f, F_GETFD)), V(fcntl(f, F_GETFL) & O_ACCMODE);
    char b[300], link[64];
    sprintf(b, "/proc/self/fd/%d", f);
    int n = readlink(b, link, sizeof link);
    say("%.*s", n, link);
    V(read(f, b, sizeof b));
    V(write(f, "x", 1));
    V(set(-1, 0, "ro", 0, 0)), V(set(99, 0, "ro", 0, 0)), V(set(0, 0, "ro", 0, 0));
    V(set(f, 0, NULL, 0, 0)), V(set(f, 0, "ro", "x", 0)), V(set(f, 0, "ro", 0, 1));
    V(set(f, 1, "size", NULL, 0)), V(set(f, 2, "size", "x", 0)), V(set(f, 3, "size", "x", -5)), V(set(f, 5, "size", 0, -1));
    V(set(f, 6, "x", 0, 0)), V(set(f, 9, 0, 0, 0)), V(set(f, 100, 0, 0, 0));
    memset(b, 'k', sizeof b);
    b[256] = 0;
    V(set(f, 0, b, 0, 0)), V(set(f, 1, "source", b, 0));
    V(set(f, 0, (char *)8, 0, 0));
    log_of(f);
    V(set(f, 0, "nonsense", 0, 0)), V(set(f, 1, "nonsense", "x", 0)), V(set(f, 1, "size", "what", 0));
    log_of(f);
    V(set(f, 1, "source", "src", 0)), V(set(f, 1, "source", "other", 0));
    log_of(f);
    V(set(f, 0, "nonsense", 0, 0));
    V(read(f, b, 3)), V(read(f, b, 3));
    V(set(f, 1, "size", "64k", 0)), V(set(f, 1, "mode", "700", 0)), V(set(f, 0, "ro", 0, 0)), V(set(f, 0, "rw", 0, 0));
    V(fsm(f, 0, 0));
    V(set(f, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0));
    V(set(f, FSCONFIG_CMD_CREATE, 0, 0, 0));
    V(set(f, FSCONFIG_CMD_CREATE, 0, 0, 0)), V(set(f, 0, "ro", 0, 0));
    V(fsm(f, 2, 0)), V(fsm(f, 0, 0x30)), V(fsm(f, 0, 0x100000)), V(fsm(f, 0, 0x1000)), V(fsm(0, 0, 0)), V(fsm(99, 0, 0));
    int m = MUST(fsm(f, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME));
    V(fcntl(m, F_GETFD)), V(fcntl(m, F_GETFL) & O_PATH);
    V(fsm(f, 0, 0));
    lines("/mnt/");
    /* Detached, but usable. */
    V(mkdirat(m, "in", 0755)), V(mkdirat(m, "in", 0755));
    V(put(m, "", AT_FDCWD, "file", MOVE_MOUNT_F_EMPTY_PATH));
    V(put(m, "", AT_FDCWD, "none", MOVE_MOUNT_F_EMPTY_PATH));
    V(put(m, "", AT_FDCWD, "a", 0)), V(put(m, "", AT_FDCWD, "a", 0x1000)), V(put(m, "", AT_FDCWD, "a", 0x304));
    V(put(m, "in", AT_FDCWD, "a", 0));
    V(put(m, "", AT_FDCWD, "a", MOVE_MOUNT_F_EMPTY_PATH));
    lines("/mnt/");
    V(access("a/in", F_OK));
    V(put(m, "", AT_FDCWD, "b", MOVE_MOUNT_F_EMPTY_PATH));
    lines("/mnt/");
    V(umount("b"));
    close(m);
    V(umount("b"));
    V(set(f, 1, "size", "128k", 0)), V(set(f, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0));
    close(f);
    /* One that is closed unattached is gone. */
    f = MUST(fs("tmpfs", 0)), MUST(set(f, FSCONFIG_CMD_CREATE, 0, 0, 0)), m = MUST(fsm(f, 0, MOUNT_ATTR_RDONLY));
    V(mkdirat(m, "in", 0755));
    close(m), close(f);
    f = MUST(fs("sysfs", 0));
    V(set(f, FSCONFIG_CMD_CREATE_EXCL, 0, 0, 0));
    V(set(f, 0, "ro", 0, 0));
    close(f);
    /* open_tree */
    MUST(mount("A", "a", "tmpfs", 0, "size=64k")), mkdir("a/sub", 0755), MUST(mount("S", "a/sub", "tmpfs", 0, "size=64k"));
    V(tree(AT_FDCWD, "a", 2)), V(tree(AT_FDCWD, "a", AT_RECURSIVE)), V(tree(AT_FDCWD, "none", OPEN_TREE_CLONE));
    int t = MUST(tree(AT_FDCWD, "a", OPEN_TREE_CLOEXEC));
    V(fcntl(t, F_GETFD)), V(fcntl(t, F_GETFL) & O_PATH);
    V(faccessat(t, "sub", F_OK, 0));
    close(t);
    t = MUST(tree(AT_FDCWD, "a", OPEN_TREE_CLONE));
    int r = MUST(tree(AT_FDCWD, "a", OPEN_TREE_CLONE | AT_RECURSIVE));
    lines("/mnt/");
    V(mkdirat(r, "sub/seen", 0755)), V(faccessat(t, "sub/seen", F_OK, 0)), V(faccessat(AT_FDCWD, "a/sub/seen", F_OK, 0));
    V(put(r, "", AT_FDCWD, "b", MOVE_MOUNT_F_EMPTY_PATH));
    lines("/mnt/");
    close(r);
    r = MUST(tree(AT_FDCWD, "b", OPEN_TREE_CLONE | AT_RECURSIVE));
    close(r);
    V(umount2("b", MNT_DETACH)), V(umount("a/sub"));
    close(t);
    V(umount("a"));
    r = MUST(tree(AT_FDCWD, "a", OPEN_TREE_CLONE));
    V(put(r, "", r, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
    V(put(AT_FDCWD, "a", AT_FDCWD, "b", 0));
    close(r);
    /* Beneath. */
    MUST(mount("top", "a", "tmpfs", 0, "size=64k"));
    f = MUST(fs("tmpfs", 0)), MUST(set(f, 1, "source", "below", 0)), MUST(set(f, FSCONFIG_CMD_CREATE, 0, 0, 0));
    m = MUST(fsm(f, 0, 0));
    V(put(m, "", AT_FDCWD, "b", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_BENEATH));
    V(put(m, "", AT_FDCWD, "a", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_BENEATH));
    close(m), close(f);
    struct statfs s;
    lines("/mnt/a");
    V(umount("a"));
    lines("/mnt/a");
    V(umount("a"));
    lines("/mnt/a");
    /* mount_setattr */
    MUST(mount("A", "a", "tmpfs", 0, "size=64k")), mkdir("a/sub", 0755), MUST(mount("S", "a/sub", "tmpfs", 0, "size=64k"));
    V(attr("a", 2, 0, 0, 0)), V(attr("none", 0, 0, 0, 0)), V(attr("none", 0, 1, 0, 0)), V(attr("b", 0, 1, 0, 0));
    V(attr("a", 0, 0x40, 0, 0)), V(attr("a", 0, 0x10, 0, 0)), V(attr("a", 0, 0, 0x10, 0)), V(attr("a", 0, 0x30, 0x70, 0));
    V(attr("a", 0, 0, 0, MS_SHARED | MS_PRIVATE)), V(attr("a", 0, 0, 0, MS_REC));
    V(attr("a", 0, 0x1000, 0, 0));
    unsigned long long big[8] = {1}, tail[8] = {0, 0, 0, 0, 1};
    V(syscall(SYS_mount_setattr, AT_FDCWD, "a", 0, big, 8)), V(syscall(SYS_mount_setattr, AT_FDCWD, "a", 0, big, 5000));
    V(syscall(SYS_mount_setattr, AT_FDCWD, "a", 0, tail, 64)), V(syscall(SYS_mount_setattr, AT_FDCWD, "a", 0, 8, 32));
    V(syscall(SYS_mount_setattr, AT_FDCWD, "a", 0, big, 64));
    lines("/mnt/a");
    V(attr("a", AT_RECURSIVE, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME, MOUNT_ATTR_RDONLY | MOUNT_ATTR__ATIME, MS_SHARED));
    lines("/mnt/a");
    V(attr("a/sub", 0, MOUNT_ATTR_NOSYMFOLLOW | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NODEV, MS_UNBINDABLE));
    V(attr("a", 0, 0, MOUNT_ATTR__ATIME, 0));
    lines("/mnt/a");
    int w = open("a/sub/w", O_CREAT | O_WRONLY, 0644);
    V(attr("a", AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0, 0));
    close(w);
    V(attr("a", AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0, 0));
    lines("/mnt/a");
    V(statfs("a/sub", &s)), say("%lx", (long)s.f_flags & 0xfff);
    /* Groups. */
    MUST(attr("a", 0, 0, MOUNT_ATTR_RDONLY, 0)), MUST(mount("a", "c", 0, MS_BIND, 0)), MUST(mount(0, "c", 0, MS_PRIVATE, 0));
    V(put(AT_FDCWD, "c", AT_FDCWD, "a", 0x100)), V(put(AT_FDCWD, "a", AT_FDCWD, "b", 0x100));
    V(put(AT_FDCWD, "a", AT_FDCWD, "c", 0x100)), V(put(AT_FDCWD, "a", AT_FDCWD, "c", 0x100));
    lines("/mnt/c");
    /* fspick */
    V(pick("b", 0)), V(pick("none", 0)), V(pick("a", 16));
    MUST(umount2("a/sub", 0));
    f = MUST(pick("a", FSPICK_CLOEXEC));
    V(set(f, FSCONFIG_CMD_CREATE, 0, 0, 0)), V(fsm(f, 0, 0));
    V(set(f, 1, "size", "256k", 0)), V(set(f, 0, "bogus", 0, 0)), V(set(f, 0, "ro", 0, 0));
    log_of(f);
    V(set(f, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0));
    lines("/mnt/a");
    w = open("a/w", O_CREAT | O_WRONLY, 0644);
    say("%s", w < 0 ? errname(errno) : "written");
    V(set(f, 0, "rw", 0, 0)), V(set(f, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0));
    w = open("a/w", O_CREAT | O_WRONLY, 0644);
    say("%s", w < 0 ? errname(errno) : "written");
    V(set(f, 0, "ro", 0, 0)), V(set(f, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0));
    V(set(f, FSCONFIG_CMD_RECONFIGURE, 0, 0, 0));
    close(w), close(f);
    /* Not for everybody. */
    IN_CHILD("user", MUST(setuid(1000)); V(fs("tmpfs", 9)); V(pick("a", 99)); V(fsm(0, 9, 9)); V(put(0, "", 0, "", 0x1000));
             V(attr("a", 0, 1, 0, 0)); V(tree(AT_FDCWD, "a", OPEN_TREE_CLONE)); OK(tree(AT_FDCWD, "a", 0)));
    MUST(chdir("/"));
    return 0;
}
