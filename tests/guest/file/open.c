/* open flags, O_PATH, O_TMPFILE, O_APPEND, links, path walking and its errors. */
#include "t.h"
#include <linux/openat2.h>
static void put(const char *n, const char *t)
{
    int f = MUST(open(n, O_WRONLY | O_CREAT | O_TRUNC, 0644));
    MUST(write(f, t, strlen(t)));
    close(f);
}
#define TRY(e) \
    do { \
        int f_ = (e); \
        okay(#e, f_); \
        if (f_ >= 0) close(f_); \
    } while (0)
int main(void)
{
    char b[5000];
    struct stat st;
    put("f", "hello");
    mkdir("d", 0755);
    symlink("f", "l");
    symlink("none", "dangling");
    symlink("loop2", "loop1");
    symlink("loop1", "loop2");
    symlink("d", "dl");
    symlink("", "e");
    TRY(open("f", O_CREAT | O_EXCL, 0600));
    TRY(open("l", O_RDONLY | O_NOFOLLOW));
    TRY(open("l", O_PATH | O_NOFOLLOW));
    TRY(open("dangling", O_RDONLY));
    TRY(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0600));
    TRY(open("dangling", O_CREAT | O_WRONLY, 0600));
    V(access("none", F_OK));
    TRY(open("loop1", O_RDONLY));
    TRY(open("f", O_DIRECTORY));
    TRY(open("d", O_DIRECTORY));
    TRY(open("d", O_WRONLY));
    TRY(open("d", O_RDONLY | O_CREAT, 0600));
    TRY(open("d/", O_CREAT | O_WRONLY, 0600));
    TRY(open("new/", O_CREAT | O_WRONLY, 0600));
    TRY(open("f/", O_RDONLY));
    TRY(open("f/x", O_RDONLY));
    TRY(open("f/.", O_RDONLY));
    TRY(open("f/..", O_RDONLY));
    TRY(open("", O_RDONLY));
    TRY(open("dl/", O_RDONLY));
    TRY(open("dl/../f", O_RDONLY));
    TRY(open("d/../../../../../../../../etc/../f", O_RDONLY));
    TRY(open("/../../..", O_RDONLY));
    TRY(open((char *)8, O_RDONLY));
    TRY(open("f", 3));
    TRY(open("d", O_DIRECTORY | O_CREAT, 0600));
    TRY(open("fresh", O_DIRECTORY | O_CREAT, 0600));
    memset(b, 'a', 256);
    b[256] = 0;
    TRY(open(b, O_RDONLY));
    b[255] = 0;
    TRY(open(b, O_RDONLY));
    TRY(open(b, O_CREAT | O_WRONLY, 0600));
    unlink(b);
    for (int i = 0; i < 4200; i++) b[i] = i % 2 ? '/' : '.';
    b[4096] = 0;
    TRY(open(b, O_RDONLY));
    b[4095] = 0;
    TRY(open(b, O_RDONLY));
    V(readlink("f", b, 10));
    V(readlink("l", b, 0));
    V(readlink("l", b, 10));
    V(readlink("dangling", b, 2));
    V(readlink("dl/", b, 10));
    V(symlink("", "x"));
    V(symlink("x", "f"));
    V(symlink("x", "newlink/"));
    for (int i = 0; i < 42; i++) {
        char x[16], y[16];
        sprintf(x, "c%d", i);
        sprintf(y, "c%d", i - 1);
        symlink(i ? y : "f", x);
    }
    TRY(open("c39", O_RDONLY));
    TRY(open("c40", O_RDONLY));
    /* O_TRUNC, O_APPEND, offsets, dup sharing. */
    int f = open("f", O_RDWR | O_APPEND);
    V(write(f, "++", 2));
    V(lseek(f, 0, SEEK_CUR));
    V(lseek(f, 1, SEEK_SET));
    V(write(f, "!", 1));
    V(pwrite(f, "?", 1, 0));
    V(pread(f, b, 100, 0));
    b[9] = 0;
    say("[%s]", b);
    V(fcntl(f, F_GETFL) & (O_APPEND | O_ACCMODE));
    V(fcntl(f, F_SETFL, O_NONBLOCK));
    V(fcntl(f, F_GETFL) & (O_APPEND | O_NONBLOCK));
    int g = dup(f);
    lseek(f, 3, SEEK_SET);
    V(lseek(g, 0, SEEK_CUR));
    V(lseek(f, -1, SEEK_SET));
    V(lseek(f, 0, 99));
    V(lseek(f, -4, SEEK_END));
    close(f);
    V(read(f, b, 1));
    V(close(f));
    f = open("f", O_WRONLY | O_TRUNC);
    fstat(f, &st);
    V(st.st_size);
    V(read(f, b, 1));
    close(f);
    f = open("f", O_RDONLY);
    V(write(f, b, 1));
    V(ftruncate(f, 0));
    V(read(f, (void *)8, 1));
    put("f", "data");
    V(read(f, (void *)8, 1));
    V(read(f, b, 0));
    V(read(open("d", O_RDONLY), b, 1));
    /* O_PATH */
    int p = open("f", O_PATH);
    V(read(p, b, 1));
    V(fchmod(p, 0600));
    V(ftruncate(p, 0));
    V(fstat(p, &st));
    V(fcntl(p, F_GETFL) & O_PATH ? 1 : 0);
    V(fcntl(p, F_SETFL, 0));
    V(fsync(p));
    V(mmap(0, 4096, PROT_READ, MAP_PRIVATE, p, 0));
    sprintf(b, "/proc/self/fd/%d", p);
    int q = open(b, O_RDWR);
    V(write(q, "D", 1));
    V(linkat(p, "", AT_FDCWD, "frompath", AT_EMPTY_PATH) == 0 || errno == ENOENT);
    V(fchownat(p, "", -1, -1, AT_EMPTY_PATH));
    int dp = open("d", O_PATH);
    TRY(openat(dp, "in", O_CREAT | O_RDWR, 0600));
    V(fchdir(dp));
    V(access("in", F_OK));
    chdir("..");
    int lp = open("l", O_PATH | O_NOFOLLOW);
    V(fstat(lp, &st));
    say("symlink %d", S_ISLNK(st.st_mode));
    V(readlinkat(lp, "", b, 100));
    V(ioctl(p, 0x5401, b));
    /* O_TMPFILE */
    int t = open(".", O_TMPFILE | O_RDWR, 0640);
    okay("tmpfile", t);
    if (t >= 0) {
        V(write(t, "tmp", 3));
        fstat(t, &st);
        say("nlink %ld mode %o", (long)st.st_nlink, st.st_mode);
        sprintf(b, "/proc/self/fd/%d", t);
        V(linkat(AT_FDCWD, b, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
        fstat(t, &st);
        say("nlink %ld", (long)st.st_nlink);
        V(linkat(AT_FDCWD, b, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
        int x = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0640);
        sprintf(b, "/proc/self/fd/%d", x);
        V(linkat(AT_FDCWD, b, AT_FDCWD, "never", AT_SYMLINK_FOLLOW));
    }
    TRY(open(".", O_TMPFILE | O_RDONLY, 0600));
    TRY(open("f", O_TMPFILE | O_RDWR, 0600));
    /* Links, unlink, rename. */
    V(link("f", "f2"));
    stat("f", &st);
    V(st.st_nlink);
    V(link("f", "f2"));
    V(link("d", "d2"));
    V(link("none", "x1"));
    V(link("l", "l2"));
    lstat("l2", &st);
    say("hard link to symlink %d", S_ISLNK(st.st_mode));
    V(linkat(AT_FDCWD, "l", AT_FDCWD, "l3", AT_SYMLINK_FOLLOW));
    lstat("l3", &st);
    say("followed %d", S_ISREG(st.st_mode));
    V(link("f", "f3/"));
    V(link("/proc/self/stat", "cross"));
    V(unlink("d"));
    V(unlink("none"));
    V(unlink("f/"));
    V(unlink("dl/"));
    V(rmdir("f"));
    V(rmdir("d"));
    V(rmdir("dl"));
    V(rmdir("."));
    V(rmdir("d/.."));
    V(rmdir("/"));
    V(unlinkat(AT_FDCWD, "d", 0x1));
    V(mkdir("d", 0755));
    V(mkdir("m/", 0755));
    V(mkdir("none/x", 0755));
    V(mkdir("f/x", 0755));
    V(mkdir("dangling2", 0755));
    V(mkdir("l", 0755));
    V(unlink("d/in"));
    V(rename("f2", "f"));
    V(access("f2", F_OK));
    V(rename("f", "d"));
    V(rename("d", "f"));
    V(rename("d", "m"));
    V(rename("m", "m/x"));
    V(rename("none", "x2"));
    V(rename("f", "g"));
    V(rename("m", "."));
    V(rename(".", "q"));
    V(mkdir("m/in", 0700));
    mkdir("n", 0700);
    V(rename("n", "m"));
    V(rename("m", "n"));
    V(rename("g", "g/"));
    V(rename("n/in", "../x"));
    put("h", "H");
    V(syscall(SYS_renameat2, -100, "g", -100, "h", RENAME_NOREPLACE));
    V(syscall(SYS_renameat2, -100, "g", -100, "h", RENAME_EXCHANGE));
    V(syscall(SYS_renameat2, -100, "g", -100, "none", RENAME_EXCHANGE));
    V(syscall(SYS_renameat2, -100, "n", -100, "h", RENAME_EXCHANGE));
    V(syscall(SYS_renameat2, -100, "n", -100, "h", 7));
    V(syscall(SYS_renameat2, -100, "n", -100, "h", 64));
    stat("h", &st);
    say("dir now %d", S_ISDIR(st.st_mode));
    V(syscall(SYS_renameat2, -100, "h", -100, "h/in", RENAME_EXCHANGE));
    /* Deleted but open. */
    f = open("gone", O_CREAT | O_RDWR, 0600);
    write(f, "still", 5);
    unlink("gone");
    pread(f, b, 5, 0);
    b[5] = 0;
    fstat(f, &st);
    say("%s nlink %ld", b, (long)st.st_nlink);
    mkdir("gd", 0700);
    chdir("gd");
    rmdir("../gd");
    TRY(open("x", O_CREAT | O_WRONLY, 0600));
    V(getcwd(b, 100) == NULL && errno == ENOENT);
    TRY(open(".", O_RDONLY));
    TRY(open("..", O_RDONLY));
    chdir("..");
    /* openat2 */
    struct open_how how = {.flags = O_RDONLY, .resolve = RESOLVE_NO_SYMLINKS};
#define O2(path) \
    do { \
        int f_ = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how); \
        okay("openat2 " path, f_); \
        if (f_ >= 0) close(f_); \
    } while (0)
    O2("l");
    O2("h");
    how.resolve = RESOLVE_BENEATH;
    O2("h");
    O2("../h");
    O2("/etc/passwd");
    O2("h/../h");
    how.resolve = RESOLVE_IN_ROOT;
    O2("/../../h");
    how.resolve = RESOLVE_NO_XDEV;
    O2("/proc/self/stat");
    how.resolve = RESOLVE_NO_MAGICLINKS;
    O2("/proc/self/exe");
    how.resolve = 0x1000;
    O2("h");
    how.resolve = 0;
    how.mode = 0600;
    O2("h");
    how.mode = 0;
    how.flags = 1ULL << 40;
    O2("h");
    V(syscall(SYS_openat2, AT_FDCWD, "h", &how, 8));
    /* *at with wrong descriptors. */
    V(openat(999, "f", O_RDONLY));
    V(openat(f, "f", O_RDONLY));
    V(fchdir(f));
    V(mkdirat(-5, "x", 0));
    V(fstatat(999, "/", &st, 0));
    V(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
    V(fstatat(AT_FDCWD, "h", &st, 0x10000000));
    V(faccessat(AT_FDCWD, "h", 8, 0));
    V(chdir("loop1"));
    V(chdir("g"));
    V(mknod("fifo", S_IFIFO | 0600, 0));
    TRY(open("fifo", O_WRONLY | O_NONBLOCK));
    TRY(open("fifo", O_RDONLY | O_NONBLOCK));
    V(mknod("reg", S_IFREG | 0600, 0));
    V(mknod("bad", S_IFDIR | 0600, 0));
    V(close_range(100, 50, 0));
    V(close_range(3, ~0U, 0x10));
    V(close_range(3, ~0U, CLOSE_RANGE_CLOEXEC));
    V(fcntl(f, F_GETFD));
    V(close_range(3, ~0U, 0));
    V(fcntl(f, F_GETFD));
    return 0;
}
