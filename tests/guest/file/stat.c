/* stat, statx, times, modes, umask, truncate, sizes. */
#include "t.h"
#include <sys/statfs.h>
#include <sys/sysmacros.h>
static void show_mode(const char *n)
{
    struct stat s;
    if (lstat(n, &s)) say("%s: %s", n, errname(errno));
    else
        say("%s: mode %o nlink %ld size %ld", n, s.st_mode, (long)s.st_nlink,
            S_ISDIR(s.st_mode) ? -1 : (long)s.st_size);
}
static void times(const char *label, const char *n)
{
    struct stat s;
    lstat(n, &s);
    say("%s: atime %ld.%09ld mtime %ld.%09ld", label,
        s.st_atim.tv_sec > 1000000 ? -1 : (long)s.st_atim.tv_sec,
        s.st_atim.tv_sec > 1000000 ? 0 : s.st_atim.tv_nsec,
        s.st_mtim.tv_sec > 1000000 ? -1 : (long)s.st_mtim.tv_sec,
        s.st_mtim.tv_sec > 1000000 ? 0 : s.st_mtim.tv_nsec);
}
int main(void)
{
    struct stat st;
    char b[100];
    umask(0);
    close(open("a", O_CREAT | O_WRONLY, 07777));
    show_mode("a");
    umask(027);
    close(open("b", O_CREAT | O_WRONLY, 0777));
    show_mode("b");
    mkdir("d", 0777);
    show_mode("d");
    mkdir("s", 07777);
    show_mode("s");
    mknod("p", S_IFIFO | 0666, 0);
    show_mode("p");
    symlink("abc", "l");
    show_mode("l");
    V(umask(01777));
    V(umask(022));
    V(chmod("a", 04711));
    show_mode("a");
    V(chmod("l", 0));
    V(fchmodat(AT_FDCWD, "l", 0, AT_SYMLINK_NOFOLLOW) == -1);
    V(chmod("a", 0100644));
    show_mode("a");
    mkdir("sg", 0);
    chmod("sg", 02777);
    mkdir("sg/sub", 0755);
    stat("sg/sub", &st);
    say("setgid inherited %d", !!(st.st_mode & S_ISGID));
    stat("d", &st);
    V(st.st_nlink == 2 || st.st_nlink == 1);
    /* times */
    struct timespec ts[2] = {{1000, 1}, {2000, 999999999}};
    V(utimensat(AT_FDCWD, "a", ts, 0));
    times("set", "a");
    ts[0].tv_nsec = UTIME_OMIT;
    ts[1].tv_sec = 3000;
    V(utimensat(AT_FDCWD, "a", ts, 0));
    times("omit", "a");
    ts[0].tv_nsec = UTIME_NOW;
    V(utimensat(AT_FDCWD, "a", ts, 0));
    times("now", "a");
    ts[0].tv_nsec = 1000000000;
    V(utimensat(AT_FDCWD, "a", ts, 0));
    ts[0].tv_nsec = 5;
    ts[0].tv_sec = 7;
    V(utimensat(AT_FDCWD, "l", ts, AT_SYMLINK_NOFOLLOW));
    times("link", "l");
    V(utimensat(AT_FDCWD, "l", ts, 0));
    V(utimensat(AT_FDCWD, "none", ts, 0));
    V(utimensat(AT_FDCWD, "a", ts, 0x40));
    V(futimens(999, ts));
    ts[0] = (struct timespec){-5, 0};
    V(utimensat(AT_FDCWD, "a", ts, 0));
    times("before 1970", "a");
    V(utimensat(AT_FDCWD, "a", NULL, 0));
    times("null", "a");
    ts[0] = ts[1] = (struct timespec){100, 0};
    utimensat(AT_FDCWD, "a", ts, 0);
    int f = open("a", O_RDWR);
    V(write(f, "x", 1));
    times("after write", "a");
    utimensat(AT_FDCWD, "d", ts, 0);
    close(open("d/new", O_CREAT | O_WRONLY, 0600));
    times("dir after create", "d");
    utimensat(AT_FDCWD, "d", ts, 0);
    unlink("d/new");
    times("dir after unlink", "d");
    utimensat(AT_FDCWD, "a", ts, 0);
    chmod("a", 0600);
    times("chmod leaves", "a");
    stat("a", &st);
    V(st.st_ctim.tv_sec > 1000000);
    utimensat(AT_FDCWD, "a", ts, 0);
    ftruncate(f, 1);
    times("same truncate", "a");
    ftruncate(f, 2);
    times("truncate", "a");
    /* truncate */
    V(truncate("a", 10));
    show_mode("a");
    V(truncate("a", -1));
    V(truncate("d", 0));
    V(truncate("none", 0));
    V(truncate("p", 0));
    V(ftruncate(999, 0));
    V(ftruncate(0, 0));
    pread(f, b, 10, 0);
    say("%c %d", b[0], b[5]);
    V(pwrite(f, "end", 3, 10000));
    show_mode("a");
    V(pread(f, b, 100, 9999));
    V(pread(f, b, 1, 20000));
    V(pwrite(f, "x", 1, -1));
    V(pread(f, b, 1, -1));
    /* statx */
    struct statx x;
    V(statx(AT_FDCWD, "a", 0, STATX_BASIC_STATS, &x));
    say("mask %x mode %o size %llu", x.stx_mask & STATX_BASIC_STATS, x.stx_mode, x.stx_size);
    V(statx(AT_FDCWD, "a", 0, 0x80000000, &x));
    V(statx(AT_FDCWD, "a", 0x10000, 0, &x));
    V(statx(f, "", AT_EMPTY_PATH, STATX_SIZE, &x));
    V(statx(f, "", 0, STATX_SIZE, &x));
    V(statx(AT_FDCWD, "l", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &x));
    say("%o", x.stx_mode & S_IFMT);
    V(statx(AT_FDCWD, "/proc", 0, STATX_BASIC_STATS, &x));
    say("mount root %d", !!(x.stx_attributes & STATX_ATTR_MOUNT_ROOT));
    V(statx(AT_FDCWD, "a", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, 0, &x));
    V(statx(AT_FDCWD, "a", 0, STATX_ALL, (void *)8));
    V(stat("a", (void *)8));
    V(fstat(999, &st));
    V(lstat("l/", &st));
    V(stat("l", &st));
    stat("/dev/null", &st);
    say("null %o %u:%u", st.st_mode & S_IFMT, major(st.st_rdev), minor(st.st_rdev));
    int p[2];
    pipe(p);
    fstat(p[0], &st);
    say("pipe %o", st.st_mode);
    struct statfs sf;
    V(statfs(".", &sf));
    say("namelen %ld bsize %ld", (long)sf.f_namelen, (long)sf.f_bsize);
    V(statfs("none", &sf));
    V(fstatfs(p[0], &sf));
    say("pipefs %lx", (long)sf.f_type);
    statfs("/proc", &sf);
    say("proc %lx", (long)sf.f_type);
    statfs("/dev/pts", &sf);
    say("devpts %lx", (long)sf.f_type);
    V(access("a", X_OK));
    V(access("d", X_OK));
    V(access("a", R_OK | W_OK));
    V(access("a", 8));
    V(access("none/x", 0));
    V(access("a/x", 0));
    V(syscall(SYS_faccessat2, AT_FDCWD, "l", F_OK, AT_SYMLINK_NOFOLLOW));
    V(syscall(SYS_faccessat2, AT_FDCWD, "l", F_OK, 0));
    V(sync_file_range(f, 0, 0, 0));
    V(fsync(f));
    V(fdatasync(f));
    V(fsync(p[0]));
    V(syncfs(f));
    V(posix_fadvise(f, 0, 0, POSIX_FADV_DONTNEED));
    V(posix_fadvise(f, 0, 0, 77));
    V(posix_fadvise(p[0], 0, 0, 0));
    V(readahead(f, 0, 100));
    return 0;
}
