/* Resource limits and their effects. needs no root. */
#include "t.h"

static void on_xfsz(int s) { say("SIGXFSZ"); }

static void get(const char *label, int what)
{
    struct rlimit r;
    if (getrlimit(what, &r)) {
        say("%s: %s", label, errname(errno));
        return;
    }
    say("%s: %d", label, r.rlim_cur <= r.rlim_max);
}

int main(void)
{
    for (int i = 0; i < RLIM_NLIMITS + 1; i++) {
        char l[8];
        snprintf(l, 8, "%d", i);
        get(l, i);
    }
    struct rlimit r = {20, 30}, o;
    V(setrlimit(RLIMIT_NOFILE, &r));
    V(dup2(0, 19));
    V(dup2(0, 20));
    V(dup2(0, 25));
    V(fcntl(0, F_DUPFD, 20));
    V(fcntl(0, F_DUPFD, 19));
    for (int i = 3; i < 19; i++) dup2(0, i);
    V(open("/dev/null", O_RDONLY));
    int p[2];
    V(pipe(p));
    V(dup(0));
    for (int i = 3; i < 20; i++) close(i);
    struct rlimit bad = {5, 4};
    V(setrlimit(RLIMIT_NOFILE, &bad));
    V(getrlimit(RLIMIT_NOFILE, (void *)8));
    V(prlimit(0, RLIMIT_NOFILE, NULL, &o));
    say("nofile: %ld %ld", (long)o.rlim_cur, (long)o.rlim_max);
    V(prlimit(999999, RLIMIT_NOFILE, NULL, &o));
    r.rlim_cur = r.rlim_max = (rlim_t)1 << 40;
    V(setrlimit(RLIMIT_NOFILE, &r));

    IN_CHILD("fsize", {
        signal(SIGXFSZ, on_xfsz);
        struct rlimit f = {10, 20};
        setrlimit(RLIMIT_FSIZE, &f);
        int fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0600);
        V(write(fd, "1234567890abc", 13));
        V(write(fd, "x", 1));
        V(ftruncate(fd, 11));
        V(ftruncate(fd, 5));
        V(fallocate(fd, 0, 0, 100));
        V(pwrite(fd, "x", 1, 100));
    });
    IN_CHILD("fsize default", {
        struct rlimit f = {0, 0};
        setrlimit(RLIMIT_CORE, &f);
        setrlimit(RLIMIT_FSIZE, &f);
        int fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0600);
        write(fd, "1", 1);
    });
    IN_CHILD("as", {
        struct rlimit f = {64 << 20, 64 << 20};
        setrlimit(RLIMIT_AS, &f);
        P(mmap(0, 128 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        P(mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    });
    IN_CHILD("data", {
        struct rlimit f = {8 << 20, 8 << 20};
        setrlimit(RLIMIT_DATA, &f);
        P(mmap(0, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        P(mmap(0, 32 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        char *b = sbrk(0);
        say("brk: %d", brk(b + (32 << 20)));
    });
    IN_CHILD("cpu", {
        struct rlimit f = {1, 3};
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        setrlimit(RLIMIT_CPU, &f);
        for (;;);
    });
    IN_CHILD("stack", {
        struct rlimit f = {256 << 10, 256 << 10};
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        setrlimit(RLIMIT_STACK, &f);
        volatile char *sp = (char *)__builtin_frame_address(0);
        for (int i = 0; i < 1024; i++) sp[-i * 1024L] = 1;
        say("not reached");
    });
    IN_CHILD("sigpending", {
        struct rlimit f = {3, 3};
        setrlimit(RLIMIT_SIGPENDING, &f);
        sigset_t s;
        sigfillset(&s);
        sigprocmask(SIG_BLOCK, &s, NULL);
        union sigval v = {.sival_int = 1};
        V(sigqueue(getpid(), SIGUSR1, v));
        int n = 0;
        while (n < 10 && sigqueue(getpid(), SIGRTMIN, v) == 0) n++;
        say("queued fewer than ten: %d, %s", n < 10, errname(errno));
        V(kill(getpid(), SIGRTMIN + 1));
    });
    return 0;
}
