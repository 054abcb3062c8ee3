/* Handlers, masks, flags, nesting, siginfo of what a process sends itself. */
#include "t.h"

static volatile int count, depth, deepest, rounds;
static void on(int s) { count++; }
static void nest(int s)
{
    depth++;
    if (depth > deepest) deepest = depth;
    if (depth < 3 && rounds++ < 5) raise(s);
    depth--;
}
static void other(int s)
{
    say("in handler of %d", s);
    raise(s == SIGUSR1 ? SIGUSR2 : SIGUSR1);
    say("leaving %d", s);
}
static void info(int s, siginfo_t *i, void *c)
{
    say("signo %d code %d pid %s uid %s value %d errno %d", i->si_signo, i->si_code,
        i->si_pid == getpid() ? "self"
        : i->si_pid           ? "other"
                              : "0",
        i->si_uid == getuid() ? "self" : "other", i->si_code == SI_QUEUE ? i->si_value.sival_int : 0,
        i->si_errno);
}

int main(void)
{
    struct sigaction a = {.sa_handler = on}, o;
    sigset_t s, p;
    V(sigaction(0, &a, NULL));
    V(sigaction(65, &a, NULL));
    V(sigaction(SIGKILL, &a, NULL));
    V(sigaction(SIGSTOP, &a, NULL));
    V(sigaction(SIGKILL, NULL, &o));
    V(syscall(SYS_rt_sigaction, SIGUSR1, &a, NULL, 4));
    V(syscall(SYS_rt_sigaction, SIGUSR1, (void *)8, NULL, 8));
    V(syscall(SYS_rt_sigprocmask, 7, &s, NULL, 8));
    V(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &s, NULL, 16));
    V(syscall(SYS_rt_sigprocmask, SIG_BLOCK, (void *)8, NULL, 8));

    on_signal(SIGUSR1, on, 0);
    raise(SIGUSR1);
    say("count %d", count);
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    sigprocmask(SIG_BLOCK, &s, NULL);
    raise(SIGUSR1);
    raise(SIGUSR1);
    sigpending(&p);
    say("pending %d count %d", sigismember(&p, SIGUSR1), count);
    sigprocmask(SIG_UNBLOCK, &s, NULL);
    say("once: %d", count);
    /* Ignored while blocked: a pending one is thrown away. */
    sigprocmask(SIG_BLOCK, &s, NULL);
    raise(SIGUSR1);
    signal(SIGUSR1, SIG_IGN);
    sigpending(&p);
    say("pending after ignore: %d", sigismember(&p, SIGUSR1));
    raise(SIGUSR1);
    sigpending(&p);
    say("ignored, blocked: %d", sigismember(&p, SIGUSR1));
    on_signal(SIGUSR1, on, 0);
    sigprocmask(SIG_UNBLOCK, &s, NULL);
    say("count %d", count);
    /* KILL and STOP can't be blocked. */
    sigfillset(&s);
    sigprocmask(SIG_BLOCK, &s, NULL);
    sigprocmask(SIG_BLOCK, NULL, &p);
    say("kill %d stop %d term %d", sigismember(&p, SIGKILL), sigismember(&p, SIGSTOP),
        sigismember(&p, SIGTERM));
    sigemptyset(&s);
    sigprocmask(SIG_SETMASK, &s, NULL);

    on_signal(SIGUSR1, nest, SA_NODEFER);
    raise(SIGUSR1);
    say("nodefer: %d", deepest);
    deepest = depth = rounds = 0;
    on_signal(SIGUSR1, nest, 0);
    depth = 1;
    raise(SIGUSR1);
    depth = 0;
    say("deferred: %d", deepest);
    count = 0;
    on_signal(SIGUSR1, on, SA_RESETHAND);
    raise(SIGUSR1);
    sigaction(SIGUSR1, NULL, &o);
    say("resethand: %d %s", count, o.sa_handler == SIG_DFL ? "default" : "kept");
    on_signal(SIGUSR1, other, 0);
    on_signal(SIGUSR2, other, 0);
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGUSR2);
    IN_CHILD("nested", {
        a.sa_handler = other;
        sigaddset(&a.sa_mask, SIGUSR2);
        sigaction(SIGUSR1, &a, NULL);
        on_signal(SIGUSR2, on, 0);
        raise(SIGUSR1);
        say("usr2 after: %d", count);
    });

    a = (struct sigaction){.sa_sigaction = info, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &a, NULL);
    sigaction(SIGRTMIN, &a, NULL);
    sigaction(SIGCHLD, &a, NULL);
    sigaction(SIGALRM, &a, NULL);
    kill(getpid(), SIGUSR1);
    raise(SIGUSR1);
    syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
    sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 77});
    pthread_kill(pthread_self(), SIGRTMIN);
    alarm(1);
    pause();
    siginfo_t fake = {.si_signo = SIGRTMIN, .si_code = -77};
    V(syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN, &fake));
    fake.si_code = SI_USER;
    V(syscall(SYS_rt_sigqueueinfo, getppid(), 0, &fake));
    V(syscall(SYS_rt_sigqueueinfo, getpid(), 65, &fake));
    V(syscall(SYS_rt_tgsigqueueinfo, getpid(), 999999, SIGRTMIN, &fake));
    V(syscall(SYS_tgkill, getpid(), 0, 0));
    V(syscall(SYS_tgkill, 999999, getpid(), 0));
    V(syscall(SYS_tkill, getpid(), 0));
    V(syscall(SYS_tkill, -1, 0));
    V(kill(getpid(), 65));
    V(kill(999999, 0));
    V(kill(-999999, 0));
    V(kill(INT_MIN, 0));
    pid_t c = fork();
    if (c == 0) _exit(3);
    waitpid(c, NULL, 0);
    /* NOCLDWAIT, NOCLDSTOP */
    a.sa_flags |= SA_NOCLDSTOP;
    sigaction(SIGCHLD, &a, NULL);
    c = fork();
    if (c == 0) {
        for (;;) pause();
    }
    kill(c, SIGSTOP);
    waitpid(c, NULL, WUNTRACED);
    say("no signal for the stop");
    kill(c, SIGKILL);
    waitpid(c, NULL, 0);
    a.sa_flags = SA_SIGINFO | SA_NOCLDWAIT;
    a.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &a, NULL);
    c = fork();
    if (c == 0) _exit(1);
    V(waitpid(c, NULL, 0));
    /* errno survives, red zone survives a handler */
    on_signal(SIGUSR1, on, 0);
    register long x asm("r12") = 0x1234567890;
    asm volatile("" : "+r"(x));
    raise(SIGUSR1);
    asm volatile("" : "+r"(x));
    say("r12 %lx", x);
    return 0;
}
