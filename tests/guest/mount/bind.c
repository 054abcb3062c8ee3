/* Binds, remounts and what their flags forbid, moves, pivot_root, unmounting, leaving a chroot, polling the table.
 * needs: root
 */
#include "t.h"
#include <sys/mount.h>
#include <sys/statvfs.h>
static void flags(const char *at)
{
    FILE *f = fopen("/proc/self/mounts", "r");
    char line[4096], where[256], opts[1024], fs[64], dev[256];
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%255s %255s %63s %1023s", dev, where, fs, opts) == 4 && !strcmp(where, at))
            say("%s: %s %s %s", at, dev, fs, strncmp(fs, "tmpfs", 5) ? "" : opts);
    fclose(f);
}
static int count(const char *at)
{
    FILE *f = fopen("/proc/self/mountinfo", "r");
    char line[4096];
    int n = 0;
    while (fgets(line, sizeof line, f)) n += strstr(line, at) != 0;
    fclose(f);
    return n;
}
static void sv(const char *path)
{
    struct statvfs s;
    if (statvfs(path, &s)) say("%s: %s", path, errname(errno));
    else say("%s: flags %lx", path, s.f_flag & 0xfff);
}
static void put(const char *path)
{
    int f = open(path, O_CREAT | O_WRONLY, 0755);
    if (f < 0) say("put %s: %s", path, errname(errno));
    close(f);
}
int main(void)
{
    MUST(unshare(CLONE_NEWNS));
    MUST(mount("none", "/", 0, MS_REC | MS_PRIVATE, 0));
    MUST(mount("t", "/mnt", "tmpfs", 0, "size=1m,mode=755"));
    MUST(chdir("/mnt"));
    umask(0);
    struct pollfd p = {MUST(open("/proc/self/mounts", O_RDONLY)), POLLPRI};
    struct pollfd pi = {MUST(open("/proc/self/mountinfo", O_RDONLY)), POLLPRI};
    V(poll(&p, 1, 0)), V(p.revents);
    mkdir("a", 0755), mkdir("a/sub", 0755), mkdir("b", 0755), mkdir("c", 0755);
    put("a/f"), put("file");
    V(mount("a", "b", 0, MS_BIND, 0));
    V(poll(&p, 1, 0)), V(p.revents);
    V(poll(&p, 1, 0)), V(p.revents);
    V(poll(&pi, 1, 0)), V(pi.revents);
    flags("/mnt/b");
    /* Refusals. */
    V(mount("a", "file", 0, MS_BIND, 0));
    V(mount("file", "b", 0, MS_BIND, 0));
    V(mount("", "b", 0, MS_BIND, 0));
    V(mount(0, "b", 0, MS_BIND, 0));
    V(mount("none", "c", 0, MS_BIND, 0));
    V(mount("a", "none", 0, MS_BIND, 0));
    V(mount("t", "c", 0, 0, 0));
    V(mount("t", "c", "nothing", 0, 0));
    V(mount("t", "file", "tmpfs", 0, 0));
    V(mount("t", "c", "tmpfs", 0, "nonsense"));
    V(mount("t", "c", "tmpfs", 0, "size=what"));
    V(mount("t", "c", "tmpfs", 0, "mode=9"));
    V(mount("t", "c", "tmpfs", 0, "nr_inodes=x"));
    V(mount(0, "c", 0, MS_REMOUNT, 0));
    V(mount(0, "c", 0, MS_REMOUNT | MS_BIND, 0));
    V(mount(0, "c", 0, MS_PRIVATE, 0));
    V(mount(0, "b", 0, MS_PRIVATE | MS_SHARED, 0));
    V(mount(0, "b", 0, MS_PRIVATE | MS_NOSUID, 0));
    V(mount(0, "b", 0, MS_SLAVE, 0));
    V(mount("c", "b", 0, MS_MOVE, 0));
    V(mount("b", "b/sub", 0, MS_MOVE, 0));
    V(mount("b", "file", 0, MS_MOVE, 0));
    V(mount("b", "none", 0, MS_MOVE, 0));
    V(mount("", "b", 0, MS_MOVE, 0));
    V(mount("/", "c", 0, MS_MOVE, 0));
    V(umount("c"));
    V(umount("none"));
    V(umount("a/f"));
    V(umount2("b", 0x10));
    V(umount2("b", MNT_EXPIRE | MNT_DETACH));
    V(umount2("b", MNT_EXPIRE | MNT_FORCE));
    V(umount2((void *)1, 0));
    V(mount((void *)1, "c", "tmpfs", 0, 0));
    V(mount("t", (void *)1, "tmpfs", 0, 0));
    V(mount("t", "c", (void *)1, 0, 0));
    V(mount("t", "c", "tmpfs", 0, (void *)1));
    /* Read-only binds. */
    V(mount(0, "b", 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0));
    flags("/mnt/b"), flags("/mnt"), sv("b"), sv("a");
    V(open("b/f", O_WRONLY));
    V(open("b/n", O_CREAT | O_RDONLY, 0600));
    V(open("b/f", O_CREAT | O_RDONLY, 0600) >= 0);
    V(open("b/f", O_RDONLY | O_TRUNC));
    V(mkdir("b/n", 0700));
    V(mkdir("b/sub", 0700));
    V(rmdir("b/sub"));
    V(rmdir("b/none"));
    V(unlink("b/f"));
    V(unlink("b/none"));
    V(rename("b/f", "b/g"));
    V(rename("b/none", "b/g"));
    V(rename("b/f", "a/g"));
    V(link("b/f", "b/g"));
    V(link("b/f", "a/g"));
    V(symlink("x", "b/g"));
    V(symlink("x", "b/f"));
    V(mknod("b/g", S_IFIFO, 0));
    V(chmod("b/f", 0600));
    V(chown("b/f", 0, 0));
    V(truncate("b/f", 0));
    V(utimensat(AT_FDCWD, "b/f", 0, 0));
    V(access("b/f", W_OK));
    V(access("b/f", R_OK));
    int hold = MUST(open("a/f", O_RDWR));
    V(mount(0, "/mnt", 0, MS_REMOUNT | MS_RDONLY, 0));
    V(mount(0, "/mnt", 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0));
    close(hold);
    V(mount(0, "b", 0, MS_REMOUNT | MS_BIND, 0));
    put("b/n");
    hold = MUST(open("b/n", O_RDWR));
    V(mount(0, "b", 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0));
    V(umount("b"));
    close(hold);
    int shut = open("a", O_PATH);
    V(mount(0, "b", 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0));
    V(mount(0, "b", 0, MS_REMOUNT | MS_BIND, 0));
    close(shut);
    /* nodev, noexec, nosuid, atime. */
    mknod("a/null", S_IFCHR | 0666, 0x103);
    int t = MUST(open("a/true", O_CREAT | O_WRONLY, 0755)), from = MUST(open("/bin/true", O_RDONLY));
    char block[65536];
    for (long n; (n = read(from, block, sizeof block)) > 0;) MUST(write(t, block, n));
    close(t), close(from);
    V(mount(0, "b", 0, MS_REMOUNT | MS_BIND | MS_NODEV | MS_NOEXEC | MS_NOSUID | MS_NOATIME | MS_NODIRATIME, 0));
    flags("/mnt/b"), sv("b");
    V(open("b/null", O_RDONLY));
    V(open("b/null", O_PATH) >= 0);
    V(execl("b/true", "true", (char *)0));
    int x = MUST(open("b/true", O_RDONLY));
    V(mmap(0, 4096, PROT_EXEC | PROT_READ, MAP_PRIVATE, x, 0) == MAP_FAILED);
    void *at = mmap(0, 4096, PROT_READ, MAP_PRIVATE, x, 0);
    V(mprotect(at, 4096, PROT_READ | PROT_EXEC));
    munmap(at, 4096);
    V(access("b/true", X_OK));
    V(syscall(SYS_faccessat2, AT_FDCWD, "b", X_OK, 0));
    close(x);
    V(mount(0, "b", 0, MS_REMOUNT | MS_BIND | MS_STRICTATIME, 0));
    flags("/mnt/b"), sv("b");
    V(mount(0, "b", 0, MS_REMOUNT | MS_BIND | MS_NOSYMFOLLOW, 0));
    flags("/mnt/b");
    symlink("f", "a/l");
    V(open("b/l", O_RDONLY));
    V(readlink("b/l", block, 10));
    V(mount(0, "b", 0, MS_REMOUNT | MS_BIND, 0));
    flags("/mnt/b");
    /* Files as mount points; what hides behind them. */
    V(mount("a/f", "file", 0, MS_BIND, 0));
    V(unlink("file"));
    V(rename("file", "file2"));
    V(rename("a/f", "file"));
    V(rmdir("b"));
    V(rename("b", "b2"));
    V(rename("b/n", "a/n2"));
    V(link("b/f", "a/f3"));
    V(umount("file"));
    /* Recursion. */
    V(mount("in", "a/sub", "tmpfs", 0, 0));
    put("a/sub/deep");
    V(access("b/sub/deep", F_OK));
    V(mount("a", "c", 0, MS_BIND, 0));
    V(access("c/sub/deep", F_OK));
    V(umount("c"));
    V(mount("a", "c", 0, MS_BIND | MS_REC, 0));
    V(access("c/sub/deep", F_OK));
    V(umount("c"));
    say("mounts %d", count(" /mnt/c"));
    V(umount2("c", MNT_DETACH));
    say("mounts %d", count(" /mnt/c"));
    /* Moves. */
    mkdir("d", 0755);
    V(mount("a/sub", "d", 0, MS_MOVE, 0));
    V(access("d/deep", F_OK));
    V(access("a/sub/deep", F_OK));
    flags("/mnt/d");
    V(mount("d", "d", 0, MS_MOVE, 0));
    /* Unmounting. */
    V(umount2("d", MNT_EXPIRE));
    V(access("d/deep", F_OK));
    V(umount2("d", MNT_EXPIRE));
    V(umount2("d", MNT_EXPIRE));
    V(umount2("d", MNT_EXPIRE));
    V(mount("in", "d", "tmpfs", 0, 0));
    put("d/deep");
    int busy = MUST(open("d/deep", O_RDONLY));
    V(umount("d"));
    V(umount2("d", MNT_EXPIRE));
    V(umount2("d", MNT_FORCE));
    V(umount2("d", MNT_DETACH));
    V(fcntl(busy, F_GETFD));
    V(umount("d"));
    char path[64], text[256] = "";
    snprintf(path, 64, "/proc/self/fd/%d", busy);
    V(readlink(path, text, 255));
    say("%s", text);
    close(busy);
    V(mount("in", "d", "tmpfs", 0, 0));
    mkdir("d/cwd", 0700);
    V(chdir("d/cwd"));
    V(umount("/mnt/d"));
    V(umount2("/mnt/d", MNT_DETACH));
    V(access("/mnt/d/cwd", F_OK));
    say("getcwd %s", getcwd(text, 255) ? text : errname(errno));
    say("raw %ld %s", syscall(SYS_getcwd, text, 255), text);
    V(chdir(".."));
    V(chdir(".."));
    V(access("cwd", F_OK));
    V(chdir("/mnt"));
    symlink("d", "s");
    V(mount("in", "d", "tmpfs", 0, 0));
    V(umount2("s", UMOUNT_NOFOLLOW));
    V(umount2("s", 0));
    V(mount("one", "d", "tmpfs", 0, 0));
    V(mount("two", "d", "tmpfs", 0, 0));
    flags("/mnt/d");
    V(umount("d"));
    flags("/mnt/d");
    V(umount("d"));
    V(umount("d"));
    /* chroot. */
    mkdir("jail", 0755), mkdir("jail/in", 0755);
    IN_CHILD("chroot", {
        V(chroot("none"));
        V(chroot("file"));
        int out = MUST(open("/mnt", O_RDONLY));
        V(chroot("jail"));
        V(access("/in", F_OK));
        say("getcwd %ld %s", syscall(SYS_getcwd, text, 255), text);
        V(chdir(".."));
        V(access("mnt", F_OK));
        V(chdir("/"));
        V(access("../in", F_OK));
        V(fchdir(out));
        say("raw %ld %s", syscall(SYS_getcwd, text, 255), text);
        V(chroot("."));
        V(access("/jail", F_OK));
        V(unshare(CLONE_NEWUSER) == 0);
    });
    /* pivot_root. */
    V(syscall(SYS_pivot_root, "none", "a"));
    V(syscall(SYS_pivot_root, "file", "a"));
    V(syscall(SYS_pivot_root, "a", "a"));
    V(syscall(SYS_pivot_root, ".", "."));
    V(syscall(SYS_pivot_root, "/", "/mnt"));
    IN_CHILD("pivot", {
        MUST(unshare(CLONE_NEWNS));
        mkdir("new", 0755);
        MUST(mount("new", "new", "tmpfs", 0, 0));
        mkdir("new/old", 0755), mkdir("new/p", 0755);
        V(syscall(SYS_pivot_root, "new", "a"));
        V(syscall(SYS_pivot_root, "new/p", "new/old"));
        V(mount("proc", "new/p", "proc", 0, 0));
        V(syscall(SYS_pivot_root, "new", "new/old"));
        V(access("/old/mnt/a", F_OK));
        V(access("/mnt", F_OK));
        say("getcwd %s", getcwd(text, 255));
        V(chdir("/"));
        V(umount("/old"));
        V(umount2("/old", MNT_DETACH));
        V(rmdir("/old"));
        say("getcwd %s", getcwd(text, 255));
        V(access("/p/self/stat", F_OK));
    });
    IN_CHILD("pivot on itself", {
        MUST(unshare(CLONE_NEWNS));
        MUST(mount("new", "new", "tmpfs", 0, 0));
        mkdir("new/p", 0755);
        MUST(chdir("new"));
        V(syscall(SYS_pivot_root, ".", "."));
        V(umount2(".", MNT_DETACH));
        V(chdir("/"));
        V(access("/p", F_OK));
        V(access("/mnt", F_OK));
    });
    IN_CHILD("user", {
        MUST(setgid(65534));
        MUST(setuid(65534));
        V(mount("t", "c", "tmpfs", 0, 0));
        V(mount("a", "c", 0, MS_BIND, 0));
        V(mount("a", "none", 0, MS_BIND, 0));
        V(mount(0, "b", 0, MS_REMOUNT | MS_BIND, 0));
        V(umount("b"));
        V(umount("c"));
        V(umount("none"));
        V(umount2("b", 0x10));
        V(syscall(SYS_pivot_root, "none", "none"));
        V(chroot("a"));
        V(unshare(CLONE_NEWNS));
    });
    return 0;
}
