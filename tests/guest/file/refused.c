/* Refusals that are easy to get wrong: what each call says to objects that it isn't made for. */
#include "t.h"
#include <asm/termbits.h>
#include <linux/fs.h>
#include <linux/random.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#ifndef F_GET_RW_HINT
#define F_GET_RW_HINT 1035
#define F_SET_RW_HINT 1036
#endif
#define TIOCGPTPEER 0x5441
#define TIOCGPTN 0x80045430
#define TIOCSPTLCK 0x40045431
static void ends(const char *path)
{
    int f = open(path, O_RDONLY);
    if (f < 0) { say("%s: %s", path, errname(errno)); return; }
    long end = lseek(f, 0, SEEK_END);
    say("%s end: %s", path, end < 0 ? errname(errno) : end == 0 ? "0" : "more");
    say("%s hole: %s", path, lseek(f, 0, SEEK_HOLE) < 0 ? errname(errno) : "ok");
    say("%s data: %s", path, lseek(f, 0, SEEK_DATA) < 0 ? errname(errno) : "ok");
    say("%s set: %ld", path, (long)lseek(f, 5, SEEK_SET));
    say("%s cur: %ld", path, (long)lseek(f, -2, SEEK_CUR));
    say("%s negative: %s", path, lseek(f, -1, SEEK_SET) < 0 ? errname(errno) : "ok");
    close(f);
}
int main(void)
{
    mkdir("d", 0755);
    int f = open("f", O_CREAT | O_RDWR, 0600), d = open("d", O_RDONLY), p[2], o = open("f", O_PATH), w = open("f", O_WRONLY);
    write(f, "hello", 5);
    pipe(p);
    int s[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    V(readahead(-1, 0, 10));
    V(readahead(f, 0, 10));
    V(readahead(f, -1, 10));
    V(readahead(f, 0, 0));
    V(readahead(w, 0, 10));
    V(readahead(d, 0, 10));
    V(readahead(p[0], 0, 10));
    V(readahead(s[0], 0, 10));
    V(readahead(o, 0, 10));
    int null = open("/dev/null", O_RDWR);
    V(readahead(null, 0, 10));
    V(posix_fadvise(p[0], 0, 0, 0)), V(posix_fadvise(f, 0, -1, 0)), V(posix_fadvise(f, 0, 0, 9));
    V(posix_fadvise(d, 0, 0, 0)), V(posix_fadvise(null, 0, 0, 9)), V(posix_fadvise(o, 0, 0, 0));
    V(lseek(f, 0, SEEK_DATA)), V(lseek(f, 0, SEEK_HOLE)), V(lseek(f, 5, SEEK_DATA)), V(lseek(f, 5, SEEK_HOLE));
    V(lseek(f, -1, SEEK_DATA)), V(lseek(f, 0, 9)), V(lseek(f, 0, -1)), V(lseek(p[0], 0, 9)), V(lseek(s[0], 0, SEEK_CUR));
    V(lseek(null, 0, SEEK_DATA)), V(lseek(null, 7, SEEK_SET)), V(lseek(null, 7, SEEK_END)), V(lseek(o, 0, SEEK_SET));
    ends("/proc/self/status"), ends("/proc/cpuinfo"), ends("/proc/self/maps"), ends("/proc/self/mounts"), ends("/proc/sys/kernel/hostname");
    ends("/proc/self/cmdline"), ends("/proc/self/environ"), ends("/proc/self/auxv"), ends("/proc/self/comm"), ends("/proc/meminfo");
    ends("/proc/stat"), ends("/proc/self/stat"), ends("/proc/self/mountinfo"), ends("/proc/self/limits"), ends("/proc/version"), ends("/proc/filesystems");
    ends("/proc/self/oom_score_adj"), ends("/proc/self/statm"), ends("/proc/self/io"), ends("/proc/uptime"), ends("/proc/interrupts"), ends("/proc/self/fdinfo/0");
    V(link("f", "/proc/x"));
    V(link("/proc/self/stat", "x"));
    V(link("/proc/self/stat", "/proc/self/x"));
    V(link("/proc/self/exe", "/proc/self/x"));
    V(link("none", "/proc/x"));
    V(symlink("x", "/proc/x"));
    V(mkdir("/proc/x", 0700));
    V(open("/proc/x", O_CREAT | O_RDWR, 0600));
    V(open("/proc/self/x", O_CREAT | O_RDWR, 0600));
    V(mknod("/proc/x", S_IFIFO | 0600, 0));
    V(unlink("/proc/stat") == -1);
    V(rename("/proc/stat", "/proc/x") == -1);
    V(rename("/", "/"));
    V(rename("f", "."));
    V(rename(".", "x"));
    V(rename("d/.", "x"));
    V(rename("d/..", "x"));
    V(rename("f", "d/.."));
    V(syscall(SYS_renameat2, AT_FDCWD, "f", AT_FDCWD, "d/.", RENAME_NOREPLACE));
    V(syscall(SYS_renameat2, AT_FDCWD, "f", AT_FDCWD, "x", RENAME_EXCHANGE | RENAME_NOREPLACE));
    V(syscall(SYS_renameat2, AT_FDCWD, "f", AT_FDCWD, "x", RENAME_EXCHANGE | RENAME_WHITEOUT));
    V(syscall(SYS_renameat2, AT_FDCWD, "f", AT_FDCWD, "x", 8));
    V(rmdir("/")), V(rmdir(".")), V(rmdir("d/..")), V(unlink("/")), V(unlink(".")), V(mkdir("/", 0)), V(mkdir(".", 0)), V(mkdir("d/..", 0));
    V(link("f", "/")), V(link("f", ".")), V(symlink("f", "/")), V(symlink("", "x")), V(mknod("/", S_IFIFO, 0)), V(mknod("x", S_IFDIR, 0)), V(mknod("x", 0170000, 0));
    V(open("/", O_CREAT | O_RDONLY, 0)), V(open("d/new/", O_CREAT | O_RDWR, 0600)), V(open(".", O_CREAT | O_EXCL, 0)), V(open("f", O_CREAT | O_DIRECTORY, 0600));
    V(rename("f", "x/")), V(rename("f/", "x")), V(mkdir("n/", 0700)), V(rename("n/", "m/")), V(rmdir("m/")), V(unlink("f/")), V(symlink("f", "x/"));
    /* Seals. */
    int m = memfd_create("m", MFD_ALLOW_SEALING);
    ftruncate(m, 4096);
    V(fcntl(m, F_ADD_SEALS, F_SEAL_GROW));
    char big[8192] = "";
    V(pwrite(m, big, 8192, 0)), V(pwrite(m, big, 10, 4090)), V(pwrite(m, big, 10, 4096)), V(pwrite(m, big, 0, 5000)), V(ftruncate(m, 4097));
    V(fallocate(m, 0, 4000, 1000)), V(fallocate(m, 1, 4000, 1000));
    void *ro = mmap(0, 4096, PROT_READ, MAP_SHARED, f, 0);
    V(madvise(ro, 4096, 23)), V(madvise(ro, 4096, 22));
    void *priv = mmap(0, 4096, PROT_READ, MAP_PRIVATE, f, 0);
    V(madvise(priv, 4096, 23));
    void *none = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    V(madvise(none, 4096, 22)), V(madvise(none, 4096, 23));
    int ro_fd = open("f", O_RDONLY);
    void *ros = mmap(0, 4096, PROT_READ, MAP_SHARED, ro_fd, 0);
    V(madvise(ros, 4096, 23));
    void *two = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
    V(madvise(two, 4096, 23)), V(madvise(two, 8192, 22)), V(madvise(two, 8192, 23));
    /* Ioctls of any file. */
    int on = 1, off = 0;
    V(ioctl(f, FIOASYNC, &on)), V(ioctl(p[0], FIOASYNC, &on)), V(fcntl(p[0], F_GETFL) & O_ASYNC), V(ioctl(p[0], FIOASYNC, &off)), V(fcntl(p[0], F_GETFL) & O_ASYNC);
    V(ioctl(d, FIOASYNC, &on)), V(ioctl(f, FIOASYNC, &off)), V(ioctl(f, FIOASYNC, 1)), V(ioctl(s[0], FIOASYNC, &on)), V(ioctl(null, FIOASYNC, &on)), V(fcntl(null, F_GETFL) & O_ASYNC);
    V(ioctl(o, FIOASYNC, &on)), V(ioctl(f, FIONBIO, &on)), V(fcntl(f, F_GETFL) & O_NONBLOCK), V(ioctl(f, FIONBIO, 1)), V(ioctl(f, FIOCLEX)), V(fcntl(f, F_GETFD)), V(ioctl(f, FIONCLEX));
    V(ioctl(f, FIONREAD, &on)), V(on), V(ioctl(d, FIONREAD, &on)), V(ioctl(p[0], FIONREAD, &on)), V(ioctl(f, TCGETS, &on)), V(ioctl(f, 0x12345678, 0)), V(ioctl(-1, FIOCLEX));
    V(ioctl(f, FIGETBSZ, &on)), V(ioctl(p[0], FIGETBSZ, &on)), V(ioctl(f, FIOQSIZE, big)), V(ioctl(d, FIOQSIZE, big) == 0), V(ioctl(p[0], FIOQSIZE, big));
    /* Terminals. */
    int mx = open("/dev/ptmx", O_RDWR | O_NOCTTY), n;
    V(ioctl(mx, TIOCGPTPEER, O_RDWR | O_NOCTTY));
    V(ioctl(mx, TIOCSPTLCK, &off));
    int pe = ioctl(mx, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    V(pe >= 0), V(fcntl(pe, F_GETFD)), V(fcntl(pe, F_GETFL));
    pe = ioctl(mx, TIOCGPTPEER, O_RDONLY | O_NOCTTY | O_APPEND | O_SYNC);
    V(pe >= 0), V(fcntl(pe, F_GETFD)), V(fcntl(pe, F_GETFL));
    V(ioctl(mx, TIOCGPTPEER, 0x80000000) >= 0), V(ioctl(mx, TIOCGPTPEER, O_PATH | O_NOCTTY) >= 0), V(ioctl(mx, TIOCGPTPEER, O_CREAT | O_NOCTTY) >= 0), V(ioctl(mx, TIOCGPTPEER, O_DIRECTORY | O_NOCTTY) >= 0), V(ioctl(mx, TIOCGPTPEER, O_TMPFILE | O_RDWR | O_NOCTTY) >= 0), V(ioctl(mx, TIOCGPTPEER, 3 | O_NOCTTY) >= 0);
    V(ioctl(pe, TIOCGPTPEER, O_RDWR));
    V(ioctl(f, TIOCGPTPEER, O_RDWR));
    struct termios t;
    /* Random numbers. */
    V(getrandom(big, 10, 0)), V(getrandom(big, 10, GRND_NONBLOCK | GRND_RANDOM)), V(getrandom(big, 10, 8)), V(getrandom(big, 10, GRND_INSECURE | GRND_RANDOM)), V(getrandom(big, 10, GRND_INSECURE)), V(getrandom((void *)1, 10, 0)), V(getrandom(big, 0, 0)), V(getrandom(0, 0, 0));
    for (int i = 0; i < 2; i++) {
        int r = open(i ? "/dev/urandom" : "/dev/random", O_RDWR);
        say("device %d %s", i, r < 0 ? errname(errno) : "ok");
        V(read(r, big, 0)), V(read(r, big, 300)), V(read(r, (void *)1, 10)), V(write(r, big, 10)), V(lseek(r, 10, SEEK_SET)), V(lseek(r, 0, SEEK_END));
        V(ioctl(r, RNDGETENTCNT, &n)), V(ioctl(r, RNDGETENTCNT, 1)), V(ioctl(r, 0x5299, 0)), V(ioctl(r, TCGETS, &t)), V(ioctl(r, FIONREAD, &n));
        struct pollfd pf = {r, POLLIN};
        V(poll(&pf, 1, 0)), V(pf.revents);
        V(mmap(0, 4096, PROT_READ, MAP_SHARED, r, 0) == MAP_FAILED);
        n = 8;
        if (geteuid()) V(ioctl(r, RNDADDTOENTCNT, &n)), V(ioctl(r, RNDZAPENTCNT)), V(ioctl(r, RNDCLEARPOOL)), V(ioctl(r, RNDRESEEDCRNG)), V(ioctl(r, RNDADDENTROPY, big));
        else {
            V(ioctl(r, RNDADDTOENTCNT, &n)), V(ioctl(r, RNDRESEEDCRNG)), V(ioctl(r, RNDADDTOENTCNT, 1)), V(ioctl(r, RNDADDENTROPY, 1)), n = -1, V(ioctl(r, RNDADDTOENTCNT, &n));
            struct { int e, size; char b[16]; } e = {8, 16};
            V(ioctl(r, RNDADDENTROPY, &e)), e.e = -1, V(ioctl(r, RNDADDENTROPY, &e)), e.e = 8, e.size = -1, V(ioctl(r, RNDADDENTROPY, &e));
            V(ioctl(r, RNDZAPENTCNT)), V(ioctl(r, RNDCLEARPOOL)), V(ioctl(r, 0x80085202, &e));
        }
        close(r);
    }
    const char *names[] = {"boot_id", "uuid", "entropy_avail", "poolsize", "urandom_min_reseed_secs", "write_wakeup_threshold"};
    for (int i = 0; i < 6; i++) {
        char path[80], a[64] = "", b[64] = "";
        snprintf(path, 80, "/proc/sys/kernel/random/%s", names[i]);
        struct stat st;
        int r = open(path, O_RDONLY);
        say("%s: %s", names[i], r < 0 || fstat(r, &st) ? errname(errno) : "");
        if (r < 0) continue;
        long k = read(r, a, 63);
        int r2 = open(path, O_RDONLY);
        read(r2, b, 63), close(r2);
        say("mode %o length %ld same %d %s", st.st_mode, i == 2 ? 0 : k, i == 2 || !strcmp(a, b), i > 2 ? a : "");
        close(r);
        V(open(path, O_WRONLY) >= 0);
    }
    return 0;
}
