/* /proc/kmsg and the reading actions of syslog(2): one position for all, which /dev/kmsg doesn't move.
 * needs: root
 */
#include "t.h"
#include <sys/klog.h>
static char b[1 << 20];
/* Each open file may write ten records in a while. */
static void put(const char *text)
{
    int f = MUST(open("/dev/kmsg", O_WRONLY));
    if (write(f, text, strlen(text)) < 0) say("put: %s", errname(errno));
    close(f);
}
/* Without the time; other programs' lines don't count. */
static void text(const char *what, long n)
{
    if (n < 0) {
        say("%s: %s", what, errname(errno));
        return;
    }
    b[n] = 0;
    for (char *line = strtok(b, "\n"); line; line = strtok(NULL, "\n")) {
        char *end = strstr(line, "] ");
        int pri;
        if (strstr(line, "umlprobe") && end && sscanf(line, "<%d>[", &pri) == 1) say("%s: <%d>%s", what, pri, end + 1);
    }
}
static void drain(int f)
{
    while (read(f, b, sizeof b) > 0);
    okay("drained", errno == EAGAIN ? 0 : -1);
}
int main(void)
{
    struct stat st;
    stat("/proc/kmsg", &st);
    say("mode %o", st.st_mode);
    int f = MUST(open("/proc/kmsg", O_RDONLY | O_NONBLOCK)), other = MUST(open("/proc/kmsg", O_RDONLY | O_NONBLOCK));
    drain(f);
    struct pollfd p = {f, POLLIN | POLLOUT};
    V(poll(&p, 1, 0));
    V(klogctl(9, NULL, 0));
    V(read(other, b, 10));
    V(read(f, b, 0));
    put("<14>umlprobe one\n"), put("<13>umlprobe two\n");
    V(poll(&p, 1, 0)), V(p.revents & POLLIN);
    long unread = klogctl(9, NULL, 0);
    say("unread: %d", unread > 40);
    V(read(f, b, 0));
    /* A line is read in pieces when not even one fits, by whomever. */
    V(read(f, b, 4));
    say("%.4s", b);
    say("less by: %ld", unread - klogctl(9, NULL, 0));
    long n = read(other, b, 1000);
    say("rest %d two %d lines %d", strstr(b, "umlprobe one") != NULL, strstr(b, "umlprobe two") != NULL, n > 0 && b[n - 1] == '\n');
    V(read(f, b, 1000));
    V(klogctl(9, NULL, 0));
    /* What fits in whole lines. */
    put("<15>umlprobe short\n"), put("<15>umlprobe a line that is somewhat longer than the others\n");
    text("first", read(f, b, 60));
    text("second", klogctl(2, b, 1000));
    put("<14>umlprobe several\numlprobe lines\n");
    text("several", klogctl(2, b, 1000));
    /* Refusals. */
    V(klogctl(2, NULL, 10)), V(klogctl(2, b, -1)), V(klogctl(2, b, 0)), V(klogctl(3, NULL, 10)), V(klogctl(3, b, -1)),
        V(klogctl(4, b, 0)), V(klogctl(11, b, 0)), V(klogctl(-1, b, 0)), V(klogctl(8, NULL, 9)), V(klogctl(0, NULL, 0)),
        V(klogctl(1, NULL, 0));
    put("<14>umlprobe kept\n");
    V(klogctl(2, (char *)8, 100));
    V(read(f, (char *)8, 100));
    text("kept", read(f, b, 1000));
    /* The position of /dev/kmsg is its own, and clearing moves neither. */
    int d = MUST(open("/dev/kmsg", O_RDONLY | O_NONBLOCK));
    V(lseek(d, 0, SEEK_END));
    put("<14>umlprobe for both\n");
    n = read(d, b, sizeof b);
    say("device: %d", n > 0);
    V(klogctl(5, NULL, 0));
    text("after clear", klogctl(2, b, sizeof b));
    text("all after clear", klogctl(3, b, sizeof b));
    put("<14>umlprobe new\n");
    text("all", klogctl(3, b, sizeof b));
    text("and clear", klogctl(4, b, sizeof b));
    text("cleared", klogctl(4, b, sizeof b));
    text("unread still", klogctl(2, b, sizeof b));
    /* A reader sleeps. */
    pid_t k = fork();
    if (!k) {
        int w = open("/proc/kmsg", O_RDONLY);
        text("woken", read(w, b, 1000));
        _exit(0);
    }
    wait_state(k, 'S');
    put("<14>umlprobe wake\n");
    waitpid(k, NULL, 0);
    V(lseek(f, 0, SEEK_SET)), V(write(f, "x", 1));
    IN_CHILD("user", MUST(setuid(1000)); V(open("/proc/kmsg", O_RDONLY)); V(klogctl(2, b, 10)); V(klogctl(9, b, 10)));
    return 0;
}
