/* What chattr sets: append-only, immutable, without access times; for root too.
 * needs: root
 * disk: no
 */
#include "t.h"
#include <linux/fs.h>
#include <sys/xattr.h>

static void set(int fd, int flags)
{
    int got = -1;
    long r = ioctl(fd, FS_IOC_SETFLAGS, &flags);
    if (r) say("set %x: %s", flags, errname(errno));
    else if (ioctl(fd, FS_IOC_GETFLAGS, &got)) say("get: %s", errname(errno));
    else say("set %x: now %x", flags, got & 0xff);
}

static void attributes(const char *name)
{
    struct statx x;
    MUST(statx(AT_FDCWD, name, 0, STATX_BASIC_STATS, &x));
    say("attributes %llx of %llx", x.stx_attributes & 0x70, x.stx_attributes_mask & 0x70);
}

static void files(void)
{
    int f = MUST(open("f", O_RDWR | O_CREAT, 0644)), a;
    set(f, 0);
    set(f, FS_APPEND_FL);
    attributes("f");
    V(write(f, "x", 1));
    V(open("f", O_WRONLY));
    V(open("f", O_WRONLY | O_APPEND | O_TRUNC));
    a = open("f", O_WRONLY | O_APPEND);
    okay("append", a);
    V(write(a, "y", 1));
    V(fcntl(a, F_SETFL, 0));
    V(fcntl(a, F_SETFL, O_APPEND | O_NONBLOCK));
    V(truncate("f", 0));
    V(ftruncate(a, 0));
    V(fallocate(a, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1));
    V(unlink("f"));
    V(rename("f", "g"));
    V(link("f", "g"));
    V(chmod("f", 0600));
    V(fchown(f, 0, 0));
    V(utimensat(AT_FDCWD, "f", NULL, 0));
    V(utimensat(AT_FDCWD, "f", (struct timespec[2]){{1, 0}, {1, 0}}, 0));
    V(setxattr("f", "trusted.x", "1", 1, 0));
    set(f, FS_IMMUTABLE_FL);
    attributes("f");
    V(write(f, "x", 1));
    V(open("f", O_WRONLY | O_APPEND));
    V(access("f", W_OK));
    OK(open("f", O_RDONLY));
    V(chmod("f", 0644));
    V(unlink("f"));
    V(utimensat(AT_FDCWD, "f", NULL, 0));
    V(setxattr("f", "trusted.x", "1", 1, 0));
    V(removexattr("f", "trusted.x"));
    V(truncate("f", 0));
    V(fallocate(f, 0, 0, 10));
    set(f, 0);
    V(unlink("f"));
    V(open("f", O_RDONLY));
}

static void directories(void)
{
    MUST(mkdir("d", 0755));
    int d = MUST(open("d", O_RDONLY));
    set(d, FS_IMMUTABLE_FL);
    V(open("d/x", O_CREAT | O_WRONLY, 0600));
    V(open("d", O_TMPFILE | O_WRONLY, 0600));
    V(mkdir("d/y", 0700));
    V(symlink("a", "d/l"));
    V(rmdir("d"));
    V(rename("d", "e"));
    set(d, FS_APPEND_FL);
    OK(open("d/x", O_CREAT | O_WRONLY, 0600));
    V(unlink("d/x"));
    V(rename("d/x", "d/z"));
    V(rename("d/x", "z"));
    V(mkdir("d/y", 0700));
    V(rmdir("d/y"));
    set(d, 0);
    V(rmdir("d/y"));
    V(unlink("d/x"));
    V(rmdir("d"));
}

static void others(void)
{
    int f = MUST(open("h", O_RDWR | O_CREAT, 0666)), flags = 0, p[2];
    MUST(fchmod(f, 0666));
    set(f, FS_NODUMP_FL | FS_NOATIME_FL);
    attributes("h");
    struct timespec old[2] = {{100, 0}, {100, 0}};
    MUST(write(f, "abc", 3));
    MUST(futimens(f, old));
    char b[4];
    struct stat st;
    MUST(pread(f, b, 3, 0));
    MUST(fstat(f, &st));
    say("access time kept %d", st.st_atime == 100);
    struct fsxattr x;
    memset(&x, 0xff, sizeof x);
    V(ioctl(f, FS_IOC_FSGETXATTR, &x));
    say("%x %d %d", x.fsx_xflags, x.fsx_extsize, x.fsx_projid);
    x.fsx_xflags = 0x80;
    V(ioctl(f, FS_IOC_FSSETXATTR, &x));
    V(ioctl(f, FS_IOC_GETFLAGS, &flags));
    say("%x", flags & 0xff);
    V(ioctl(f, FS_IOC_SETFLAGS, (void *)8));
    V(ioctl(f, FS_IOC_GETFLAGS, (void *)8));
    MUST(pipe(p));
    V(ioctl(p[0], FS_IOC_GETFLAGS, &flags));
    V(ioctl(open("/dev/null", O_RDONLY), FS_IOC_GETFLAGS, &flags));
    V(ioctl(open("/proc/self/stat", O_RDONLY), FS_IOC_GETFLAGS, &flags));
    IN_CHILD("another user", {
        chmod(".", 0777);
        setuid(1000);
        set(open("h", O_RDWR), 0);
        int own = open("own", O_RDWR | O_CREAT, 0600);
        set(own, FS_NODUMP_FL);
        set(own, FS_APPEND_FL);
        set(own, FS_IMMUTABLE_FL);
    });
}

int main(void)
{
    files();
    directories();
    others();
    return 0;
}
