/* wait4, waitpid, waitid: options, statuses, ECHILD, EINVAL, rusage. */
#include "t.h"

static pid_t child(int code)
{
    pid_t p = fork();
    if (p == 0) _exit(code);
    return p;
}

static void info(const char *label, long r, siginfo_t *i, pid_t p)
{
    if (r == -1) {
        say("%s: %s", label, errname(errno));
        return;
    }
    say("%s: signo %d code %d status %d pid %s", label, i->si_signo, i->si_code, i->si_status,
        i->si_pid == p ? "child"
        : i->si_pid    ? "other"
                       : "0");
}

int main(void)
{
    int st = 0;
    siginfo_t si;
    V(wait(&st));
    V(waitpid(-1, &st, WNOHANG));
    V(waitpid(1, &st, 0));
    V(waitpid(getpid(), &st, 0));
    V(waitpid(INT_MIN, &st, 0));
    V(waitpid(-1, &st, 0x1000));
    V(waitid(P_ALL, 0, &si, 0));
    V(waitid(P_ALL, 0, &si, WNOHANG | WNOWAIT));
    V(waitid(P_PID, 0, &si, WEXITED));
    V(waitid(77, 0, &si, WEXITED));
    V(waitid(P_PIDFD, 1, &si, WEXITED));

    pid_t p = child(300);
    memset(&si, 0, sizeof si);
    info("nowait", waitid(P_PID, p, &si, WEXITED | WNOWAIT), &si, p);
    info("again", waitid(P_PID, p, &si, WEXITED), &si, p);
    info("gone", waitid(P_PID, p, &si, WEXITED), &si, p);

    p = fork();
    if (p == 0) {
        for (;;) pause();
    }
    memset(&si, 0, sizeof si);
    info("nohang", waitid(P_PID, p, &si, WEXITED | WNOHANG), &si, p);
    V(waitpid(p, &st, WNOHANG));
    kill(p, SIGSTOP);
    MUST(waitpid(p, &st, WUNTRACED));
    say("stopped: %x %s", st, status_words(st));
    V(waitpid(p, &st, WUNTRACED | WNOHANG));
    kill(p, SIGCONT);
    MUST(waitpid(p, &st, WCONTINUED));
    say("continued: %x", st);
    kill(p, SIGSTOP);
    info("stop", waitid(P_PID, p, &si, WSTOPPED | WNOWAIT), &si, p);
    info("stop again", waitid(P_PID, p, &si, WSTOPPED), &si, p);
    kill(p, SIGCONT);
    info("cont nowait", waitid(P_PID, p, &si, WCONTINUED | WNOWAIT), &si, p);
    info("cont", waitid(P_PID, p, &si, WCONTINUED), &si, p);
    kill(p, SIGTERM);
    info("killed", waitid(P_PID, p, &si, WEXITED), &si, p);

    p = fork();
    if (p == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        abort();
    }
    info("abort", waitid(P_PID, p, &si, WEXITED), &si, p);

    /* By process group. */
    p = fork();
    if (p == 0) {
        setpgid(0, 0);
        _exit(1);
    }
    setpgid(p, p);
    V(waitpid(0, &st, WNOHANG));
    info("pgid", waitid(P_PGID, p, &si, WEXITED | WNOWAIT), &si, p);
    say("by group: %d", waitpid(-p, &st, 0) == p);
    V(waitpid(-p, &st, 0));

    /* Statuses come in order of death when asked by any. */
    pid_t a = child(1), b;
    MUST(waitid(P_PID, a, &si, WEXITED | WNOWAIT));
    b = child(2);
    MUST(waitid(P_PID, b, &si, WEXITED | WNOWAIT));
    int sum = 0;
    for (int i = 0; i < 2; i++) {
        MUST(wait(&st));
        sum += WEXITSTATUS(st);
    }
    say("sum: %d", sum);

    /* Wait interrupted by the child's own SIGCHLD handler: restarted or not. */
    struct rusage ru;
    p = fork();
    if (p == 0) {
        /* Linux counts memory in batches: a small program may show none. */
        static char big[8 << 20];
        for (size_t i = 0; i < sizeof big; i += 4096) ((volatile char *)big)[i] = 1;
        _exit(0);
    }
    say("wait4: %d", wait4(p, &st, 0, &ru) == p);
    say("rusage sane: %d", ru.ru_utime.tv_sec < 10 && ru.ru_maxrss > 0);
    p = child(6);
    V(waitpid(p, (int *)8, 0));
    V(waitpid(p, &st, 0));

    /* __WNOTHREAD, __WALL are accepted. */
    p = child(3);
    say("wall: %d", waitpid(p, &st, __WALL) == p);
    return 0;
}
