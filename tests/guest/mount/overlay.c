/* overlayfs mounted by hand: layers, whiteouts, opaque directories, copying up, renames, what is refused.
 * needs: root
 */
#include "t.h"
#include <dirent.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
static void list(const char *path)
{
    struct dirent **all;
    int n = scandir(path, &all, 0, alphasort);
    char line[1024] = "";
    for (int i = 0; i < n; i++)
        if (all[i]->d_name[0] != '.')
            snprintf(line + strlen(line), sizeof line - strlen(line), " %s(%d)", all[i]->d_name, all[i]->d_type);
    say("%s:%s%s", path, n < 0 ? errname(errno) : "", line);
}
static void put(const char *path, const char *text)
{
    int f = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    if (f < 0) say("put %s: %s", path, errname(errno));
    else MUST(write(f, text, strlen(text)));
    close(f);
}
static void get(const char *path)
{
    char b[64] = "";
    int f = open(path, O_RDONLY);
    if (f < 0 || read(f, b, 63) < 0) say("get %s: %s", path, errname(errno));
    else say("get %s: %s", path, b);
    close(f);
}
static void kind(const char *path)
{
    struct stat s;
    if (lstat(path, &s) < 0) say("%s: %s", path, errname(errno));
    else say("%s: mode %o links %d uid %d gid %d rdev %x size %ld mtime %ld", path, s.st_mode, S_ISDIR(s.st_mode) || S_ISCHR(s.st_mode) ? 0 : (int)s.st_nlink,
             s.st_uid, s.st_gid, (int)s.st_rdev, S_ISDIR(s.st_mode) ? 0L : (long)s.st_size,
             s.st_mtime < 100000 ? (long)s.st_mtime : -1L);
}
static unsigned long ino(const char *path)
{
    struct stat s;
    return lstat(path, &s) ? 0 : s.st_ino;
}
static void options(const char *at)
{
    FILE *f = fopen("/proc/self/mounts", "r");
    char line[4096];
    while (fgets(line, sizeof line, f))
        if (strstr(line, at)) {
            char *o = strstr(line, "lowerdir=");
            say("options: %.*s", o ? (int)strcspn(strstr(o, "workdir=") ?: o, " ,") + (int)((strstr(o, "workdir=") ?: o) - o) : 4, o ? o : "none");
        }
    fclose(f);
}
int main(void)
{
    MUST(unshare(CLONE_NEWNS));
    MUST(mount("none", "/", 0, MS_REC | MS_PRIVATE, 0));
    MUST(mount("t", "/mnt", "tmpfs", 0, 0));
    MUST(chdir("/mnt"));
    umask(0);
    mkdir("l1", 0755), mkdir("l2", 0755), mkdir("u", 0755), mkdir("w", 0755), mkdir("m", 0755);
    mkdir("l1/d", 0755), mkdir("l2/d", 0755), mkdir("l1/e", 0750), mkdir("l1/full", 0755), mkdir("l1/full/x", 0755);
    put("l1/f", "one"), put("l1/g", "one"), put("l2/g", "two"), put("l1/d/a", "a1"), put("l2/d/b", "b2"), put("l2/d/a", "a2");
    put("l1/suid", "s"), chmod("l1/suid", 06755), chown("l1/suid", 5, 6), chmod("l1/suid", 06755);
    link("l1/f", "l1/f2");
    symlink("f", "l1/sym");
    mkfifo("l1/fifo", 0640);
    mknod("l1/dev", S_IFCHR | 0600, 0x103);
    mknod("l1/blk", S_IFBLK | 0600, 0x700);
    setxattr("l1/g", "user.x", "v", 1, 0);
    setxattr("l1/g", "trusted.t", "v", 1, 0);
    struct timespec t[2] = {{1000, 0}, {2000, 0}};
    utimensat(AT_FDCWD, "l1/g", t, 0), utimensat(AT_FDCWD, "l1/suid", t, 0), utimensat(AT_FDCWD, "l1/e", t, 0);
    utimensat(AT_FDCWD, "l1/fifo", t, 0), utimensat(AT_FDCWD, "l1/sym", t, AT_SYMLINK_NOFOLLOW);
    /* Refusals. */
    V(mount("o", "m", "overlay", 0, 0));
    V(mount("o", "m", "overlay", 0, "lowerdir=none"));
    V(mount("o", "m", "overlay", 0, "lowerdir=l1,upperdir=u"));
    V(mount("o", "m", "overlay", 0, "lowerdir=l1,upperdir=none,workdir=w"));
    V(mount("o", "m", "overlay", 0, "lowerdir=l1,upperdir=u,workdir=none"));
    V(mount("o", "m", "overlay", 0, "lowerdir=l1,upperdir=u,workdir=u"));
    V(mount("o", "m", "overlay", 0, "lowerdir=l1,upperdir=u,workdir=u/w"));
    V(mount("o", "m", "overlay", 0, "lowerdir=l1,upperdir=u,workdir=w,nonsense"));
    V(mount("o", "m", "overlay", 0, "lowerdir=l1/f,upperdir=u,workdir=w"));
    V(mount("o", "m", "overlay", 0, "lowerdir=l1,upperdir=l1/f,workdir=w"));
    V(mount("o", "m", "overlay", 0, "lowerdir=l1"));
    V(mount("o", "m", "overlay", 0, "upperdir=u,workdir=w"));
    V(mount("o", "m", "overlay", 0, "lowerdir=,upperdir=u,workdir=w"));
    V(mount("o", "m", "overlay", 0, "lowerdir=l1:,upperdir=u,workdir=w"));
    V(mount("o", "m", "overlay", 0, "lowerdir=l1,upperdir=u,workdir=w,index=maybe"));
    /* Lower layers alone. */
    V(mount("o", "m", "overlay", 0, "lowerdir=l1:l2"));
    list("m"), list("m/d");
    get("m/g"), get("m/d/a"), get("m/d/b");
    V(open("m/new", O_CREAT | O_WRONLY, 0600));
    V(unlink("m/f"));
    V(chmod("m/f", 0600));
    struct statfs sf;
    V(statfs("m", &sf));
    say("type %lx readonly %d", (long)sf.f_type, !!(sf.f_flags & ST_RDONLY));
    V(mount(0, "m", 0, MS_REMOUNT, 0));
    V(umount("m"));
    V(mount("o", "m", "overlay", 0, "lowerdir=l1:l2,upperdir=u,workdir=w"));
    options("/mnt/m ");
    list("w");
    V(statfs("m", &sf));
    say("type %lx readonly %d namelen %ld", (long)sf.f_type, !!(sf.f_flags & ST_RDONLY), (long)sf.f_namelen);
    struct statvfs sv;
    statvfs("m", &sv);
    say("room %d", sv.f_blocks > 0 && sv.f_bavail > 0 && sv.f_files > 0);
    list("m"), list("m/d");
    kind("m/suid"), kind("m/fifo"), kind("m/dev"), kind("m/blk"), kind("m/sym"), kind("m/f"), kind("m/e");
    say("hard links are one: %d", ino("m/f") == ino("m/f2"));
    /* Whiteouts. */
    unsigned long before = ino("m/g");
    V(unlink("m/f"));
    V(access("m/f", F_OK));
    kind("u/f");
    get("m/f2");
    V(rmdir("m/full"));
    V(unlink("m/full"));
    V(rmdir("m/full/x"));
    V(rmdir("m/full"));
    V(mkdir("m/full", 0700));
    list("m/full");
    char v[8];
    V(getxattr("u/full", "trusted.overlay.opaque", v, 8));
    V(getxattr("m/full", "trusted.overlay.opaque", v, 8));
    V(setxattr("m/full", "trusted.overlay.opaque", "y", 1, 0));
    char names[200];
    V(listxattr("m/full", names, 200));
    say("%s", names);
    V(rmdir("m/full"));
    put("m/full", "file now");
    get("m/full");
    put("m/f", "again");
    get("m/f"), get("m/f2");
    V(unlink("m/d/a"));
    list("m/d");
    V(rename("m/d/b", "m/d/a"));
    list("m/d"), get("m/d/a");
    V(rmdir("m/d"));
    V(unlink("m/d/a"));
    list("m/d");
    V(rmdir("m/d"));
    V(symlink("e", "m/d"));
    list("m/d");
    V(unlink("m/d"));
    list("m");
    /* Copying up. */
    int r = MUST(open("m/g", O_RDONLY));
    int w = MUST(open("m/g", O_WRONLY | O_APPEND));
    V(write(w, "+", 1));
    get("m/g"), get("l1/g"), get("u/g");
    char b[8] = "";
    say("same number: %d", before == ino("m/g"));
    V(getxattr("m/g", "user.x", v, 8));
    V(getxattr("m/g", "trusted.t", v, 8));
    V(getxattr("m/g", "trusted.overlay.origin", v, 8));
    kind("m/suid");
    V(chmod("m/e", 0700));
    kind("m/e"), kind("u/e");
    V(lchown("m/sym", 7, 8));
    kind("m/sym"), kind("u/sym");
    V(chmod("m/fifo", 0600));
    kind("m/fifo"), kind("u/fifo");
    V(chown("m/dev", 7, 8));
    kind("m/dev"), kind("u/dev");
    V(utimensat(AT_FDCWD, "m/blk", t, 0));
    kind("m/blk"), kind("u/blk");
    V(chown("m/suid", 9, 9));
    kind("m/suid");
    V(link("m/suid", "m/e/hard"));
    kind("m/suid"), kind("m/e/hard");
    say("one: %d", ino("m/suid") == ino("m/e/hard"));
    V(link("m/f", "m/f"));
    V(link("m/full", "/mnt/x"));
    V(rename("m/full", "/mnt/x"));
    V(rename("/mnt/l2/g", "m/x"));
    /* Directories. */
    V(rename("m/e", "m/e2"));
    V(mkdir("m/pure", 0755));
    put("m/pure/p", "p");
    V(rename("m/pure", "m/pure2"));
    get("m/pure2/p");
    V(rename("m/pure2", "m/d"));
    list("m/d"), list("m");
    V(syscall(SYS_renameat2, AT_FDCWD, "m/d", AT_FDCWD, "m/full", RENAME_EXCHANGE));
    list("m/full"), get("m/d");
    V(syscall(SYS_renameat2, AT_FDCWD, "m/d", AT_FDCWD, "m/f", RENAME_NOREPLACE));
    V(syscall(SYS_renameat2, AT_FDCWD, "m/d", AT_FDCWD, "m/wh", RENAME_WHITEOUT));
    kind("u/d");
    V(mknod("m/white", S_IFCHR, 0));
    kind("m/white");
    int tmp = open("m", O_TMPFILE | O_RDWR, 0600);
    say("tmpfile %s", tmp < 0 ? errname(errno) : "ok");
    char path[64];
    snprintf(path, 64, "/proc/self/fd/%d", tmp);
    V(linkat(AT_FDCWD, path, AT_FDCWD, "m/linked", AT_SYMLINK_FOLLOW));
    kind("m/linked");
    /* An open lower file whose name goes. */
    int held = MUST(open("m/f2", O_RDONLY));
    V(unlink("m/f2"));
    struct stat s;
    MUST(fstat(held, &s));
    say("links %d", (int)s.st_nlink);
    V(pread(held, b, 3, 0));
    V(fchmod(held, 0600));
    V(mount(0, "m", 0, MS_REMOUNT | MS_RDONLY, 0));
    OK(open("m/new", O_CREAT | O_WRONLY, 0600));
    close(r), close(w), close(held), close(tmp);
    V(mount(0, "m", 0, MS_REMOUNT, "lowerdir=l2"));
    V(mount(0, "m", 0, MS_REMOUNT, 0));
    V(chmod("m/f", 0600));
    V(umount("m"));
    list("u"), list("w");
    V(mount("o", "m", "overlay", MS_RDONLY, "lowerdir=u:l1,index=off,xino=off,metacopy=off,redirect_dir=nofollow"));
    list("m");
    V(umount("m"));
    return 0;
}
