/* Real-time signals: order, count, values; standard ones first; per-thread
 * before per-process; sigtimedwait, sigwaitinfo, sigsuspend. */
#include "t.h"

static int seq[64], n;
static void info(int s, siginfo_t *i, void *c)
{ seq[n++] = (s >= SIGRTMIN ? s - SIGRTMIN + 100 : s) * 1000 + i->si_value.sival_int; }
static void on(int s) { say("handler %d", s); }
static pthread_t main_thread;
static void *poke(void *x)
{
    msleep(30);
    pthread_kill(main_thread, SIGUSR1);
    return x;
}

int main(void)
{
    struct sigaction a = {.sa_sigaction = info, .sa_flags = SA_SIGINFO};
    sigfillset(&a.sa_mask);
    sigset_t all, none, old, set;
    sigfillset(&all);
    sigemptyset(&none);
    for (int i = 0; i < 4; i++) sigaction(SIGRTMIN + i, &a, NULL);
    sigaction(SIGUSR1, &a, NULL);
    sigaction(SIGUSR2, &a, NULL);
    sigprocmask(SIG_SETMASK, &all, &old);
    for (int v = 1; v <= 3; v++)
        for (int i = 3; i >= 0; i--) sigqueue(getpid(), SIGRTMIN + i, (union sigval){.sival_int = v});
    for (int v = 1; v <= 2; v++) {
        sigqueue(getpid(), SIGUSR2, (union sigval){.sival_int = v});
        sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = v});
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int i = 0; i < n; i++) say("seq %d", seq[i]);
    sigprocmask(SIG_SETMASK, &all, NULL);

    struct timespec zero = {0, 0}, some = {0, 30000000}, bad = {0, 2000000000};
    siginfo_t si;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGUSR1);
    V(sigtimedwait(&set, &si, &zero));
    V(sigtimedwait(&set, &si, &some));
    V(sigtimedwait(&set, &si, &bad));
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 5});
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 6});
    raise(SIGUSR1);
    say("%d", sigtimedwait(&set, &si, &zero) == SIGUSR1);
    say("%d value %d", sigwaitinfo(&set, &si) == SIGRTMIN, 0);
    say("value %d code %d", si.si_value.sival_int, si.si_code);
    say("%d", sigwaitinfo(&set, NULL) == SIGRTMIN);
    V(syscall(SYS_rt_sigtimedwait, &set, NULL, &zero, 4));
    V(syscall(SYS_rt_sigtimedwait, (void *)8, NULL, &zero, 8));

    /* A handled signal not in the set interrupts sigtimedwait. */
    main_thread = pthread_self();
    pthread_t t;
    on_signal(SIGUSR1, on, SA_RESTART);
    sigprocmask(SIG_SETMASK, &none, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_create(&t, 0, poke, 0);
    V(sigwaitinfo(&set, NULL));
    pthread_join(t, 0);
    /* sigsuspend: the mask is there during the handler's delivery only. */
    sigprocmask(SIG_SETMASK, &all, NULL);
    raise(SIGUSR1);
    V(sigsuspend(&none));
    sigset_t now;
    sigprocmask(0, NULL, &now);
    say("mask back: %d", sigismember(&now, SIGUSR1) && sigismember(&now, SIGTERM));
    V(syscall(SYS_rt_sigsuspend, &none, 4));
    /* Thread-directed and process-directed pending are separate. */
    kill(getpid(), SIGUSR1);
    pthread_kill(pthread_self(), SIGUSR1);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    V(sigtimedwait(&set, &si, &zero) == SIGUSR1);
    say("code %d", si.si_code);
    V(sigtimedwait(&set, &si, &zero) == SIGUSR1);
    say("code %d", si.si_code);
    V(sigtimedwait(&set, &si, &zero));
    return 0;
}
