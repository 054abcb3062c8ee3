/* The kernel's log: syslog(2), /dev/kmsg, /proc/kmsg, and who may read it.
 * needs: root
 */
#include "t.h"
#include <sys/klog.h>
#include <sys/syscall.h>
static char b[1 << 20];
static void record(int f, const char *what)
{
    for (;;) {
        long n = read(f, b, 8192);
        if (n < 0) { say("%s: %s", what, errname(errno)); return; }
        b[n] = 0;
        int pri;
        char *semi = strchr(b, ';');
        if (!semi || sscanf(b, "%d,", &pri) != 1) { say("%s: odd record", what); return; }
        if (!strstr(semi, "umlprobe")) continue;
        int commas = 0;
        for (char *c = b; c < semi; c++) commas += *c == ',';
        say("%s: pri %d commas %d flag %c text %s", what, pri, commas, semi[-1], semi + 1);
        return;
    }
}
/* Each open file may write ten records in a while. */
static void put(const char *text)
{
    int f = MUST(open("/dev/kmsg", O_WRONLY));
    long n = write(f, text, strlen(text));
    say("put %.*s: %s", (int)strcspn(text, "\n"), text, n < 0 ? errname(errno) : n == (long)strlen(text) ? "all" : "part");
    close(f);
}
int main(void)
{
    struct stat st;
    stat("/dev/kmsg", &st);
    say("kmsg %x", (int)st.st_rdev);
    int f = open("/dev/kmsg", O_RDWR | O_NONBLOCK);
    say("open %s", f < 0 ? errname(errno) : "ok");
    V(lseek(f, 0, SEEK_END));
    V(read(f, b, 8192));
    struct pollfd p = {f, POLLIN | POLLOUT};
    V(poll(&p, 1, 0)), V(p.revents);
    put("<15>umlprobe plain\n");
    V(poll(&p, 1, 0)), V(p.revents);
    record(f, "plain");
    put("<13>umlprobe notice"), put("<7>umlprobe debug\n"), put("<191>umlprobe high\n"), put("<2007>umlprobe higher\n");
    put("<14>umlprobe two\nlines\n"), put("<15>umlprobe tab\there\n"), put("<15>umlprobe \x01\x7f\xc3\xa4 back\\slash\n"), put("<15>umlprobe ends\n\n");
    for (int i = 0; i < 8; i++) record(f, "record");
    record(f, "no more");
    V(write(f, b, 0));
    memset(b, 'x', 2000), memcpy(b, "<15>", 4);
    V(write(f, b, 1025)), V(write(f, b, 1024)), V(write(f, (void *)1, 10)), V(write(f, b, 2000));
    V(lseek(f, 0, SEEK_CUR)), V(lseek(f, 1, SEEK_SET)), V(lseek(f, 0, SEEK_DATA)), V(lseek(f, 0, SEEK_HOLE)), V(lseek(f, 1, SEEK_END));
    V(lseek(f, 0, SEEK_END));
    put("<15>umlprobe small\n");
    V(read(f, b, 4));
    record(f, "after small");
    V(pread(f, b, 100, 0)), V(lseek(f, 0, SEEK_END));
    struct iovec v[2] = {{"<15>umlprobe ", 13}, {"vector\n", 7}};
    V(writev(f, v, 2));
    record(f, "vector");
    int w = open("/dev/kmsg", O_WRONLY);
    V(read(w, b, 10)), V(lseek(w, 0, SEEK_END));
    int r = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
    V(write(r, "x", 1));
    V(lseek(r, 0, SEEK_SET)), V(read(r, b, 8192) > 0);
    V(ioctl(r, FIONREAD, b));
    /* syslog(2). */
    V(klogctl(3, b, -1)), V(klogctl(3, 0, 10)), V(klogctl(3, b, 0)), V(klogctl(99, b, 0)), V(klogctl(-1, b, 0)), V(klogctl(2, b, -1)), V(klogctl(2, 0, 1)), V(klogctl(2, b, 0)), V(klogctl(3, (void *)1, 1000)), V(klogctl(4, 0, 0)), V(klogctl(4, b, -1));
    V(klogctl(0, 0, 0)), V(klogctl(1, 0, 0)), V(klogctl(8, 0, 0)), V(klogctl(8, 0, 9)), V(klogctl(8, 0, -1));
    V(klogctl(10, 0, 0) > 0), V(klogctl(9, 0, 0) >= 0);
    long n = klogctl(3, b, sizeof b - 1);
    b[n] = 0;
    char *last = b;
    for (char *x = b; (x = strstr(x, "umlprobe")); x++) last = x;
    say("last %.15s ends in newline %d", last, b[n - 1] == '\n');
    char *line = last;
    while (line > b && line[-1] != '\n') line--;
    say("line begins %.3s bracket %d", line, strchr(line, '[') - line);
    n = klogctl(3, b, 40);
    say("tail %d", n <= 40);
    stat("/proc/kmsg", &st);
    say("mode %o", st.st_mode);
    MUST(setgid(65534)), MUST(setuid(65534));
    V(open("/dev/kmsg", O_WRONLY));
    V(open("/proc/kmsg", O_RDONLY));
    V(klogctl(2, b, 10)), V(klogctl(4, b, 10)), V(klogctl(5, 0, 0)), V(klogctl(6, 0, 0)), V(klogctl(7, 0, 0)), V(klogctl(8, 0, 5)), V(klogctl(9, 0, 0)), V(klogctl(0, 0, 0)), V(klogctl(99, 0, 0));
    return 0;
}
