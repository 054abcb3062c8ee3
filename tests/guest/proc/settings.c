/* Files of /proc/<pid> that take numbers: what is accepted, what is read back, what a child has of it. */
#include "t.h"

static void put(const char *name, const char *text)
{
    char path[64], label[64], now[64] = "";
    sprintf(path, "/proc/self/%s", name);
    sprintf(label, "%s=%s", name, text);
    int fd = open(path, O_RDWR);
    if (fd < 0) {
        say("%s: open: %s", label, errname(errno));
        return;
    }
    show(label, write(fd, text, strlen(text)));
    long n = pread(fd, now, sizeof now - 1, 0);
    if (n > 0 && now[n - 1] == '\n') now[n - 1] = 0;
    say("  now %s", now);
    close(fd);
}

static void modes(void)
{
    static const char *const names[] = {"oom_adj", "oom_score", "oom_score_adj", "coredump_filter", "timerslack_ns"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];
        struct stat st;
        sprintf(path, "/proc/self/%s", names[i]);
        MUST(stat(path, &st));
        say("%s: %o", names[i], st.st_mode);
    }
}

int main(void)
{
    modes();
    put("oom_score_adj", "500");
    put("oom_score_adj", "1001");
    put("oom_score_adj", "-1001");
    put("oom_score_adj", "abc");
    put("oom_adj", "15");
    put("oom_adj", "16");
    put("oom_adj", "17");
    put("oom_score_adj", "1000");
    put("coredump_filter", "0x7f");
    put("coredump_filter", "5");
    put("coredump_filter", "zz");
    put("coredump_filter", "0xffff");
    IN_CHILD("child", put("coredump_filter", "z"));
    put("timerslack_ns", "100000");
    put("timerslack_ns", "x");
    IN_CHILD("child", put("timerslack_ns", "0"));
    put("timerslack_ns", "0");
    int mem = open("/proc/self/mem", O_RDONLY);
    V(lseek(mem, 4096, SEEK_SET));
    V(lseek(mem, 1, SEEK_CUR));
    V(lseek(mem, 0, SEEK_END));
    V(lseek(mem, 0, SEEK_DATA));
    return 0;
}
