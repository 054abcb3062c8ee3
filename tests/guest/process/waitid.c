/* waitid and wait4: errors, what the dead and the stopped tell, threads, reapers, ignored SIGCHLD. */
#include "t.h"
#include <sys/prctl.h>
#include <linux/sched.h>
static pid_t kid(int c) { pid_t p = fork(); if (!p) _exit(c); return p; }
static pid_t pk(void) { pid_t p = fork(); if (!p) for (;;) pause(); return p; }
static void *waiter(void *x) { int st; long r = waitpid(*(pid_t *)x, &st, 0); say("  thread waits for sibling's child: %s", r == *(pid_t *)x ? status_words(st) : errname(errno)); return 0; }
static void *waiter_nt(void *x) { int st; long r = waitpid(*(pid_t *)x, &st, __WNOTHREAD); say("  NOTHREAD: %s", r > 0 ? "got" : errname(errno)); return 0; }
static pid_t made; static void *maker(void *x) { made = kid(9); return 0; }
static void *maker2(void *x) { made = kid(9); sleep(1); return 0; }
static volatile int chld; static void on(int s, siginfo_t *i, void *c) { chld++; }
static void *lead_exit_other(void *x) { msleep(80); say("  other thread still runs"); exit(44); }
int main(void)
{
    setvbuf(stdout,0,_IONBF,0);    int st; siginfo_t si; struct rusage ru;
    #define RAW(...) syscall(SYS_waitid, __VA_ARGS__)
    V(RAW(P_ALL, 0, &si, WEXITED, 0)); V(RAW(P_PID, 0, &si, WEXITED, 0)); V(RAW(P_PID, -1, &si, WEXITED, 0)); V(RAW(P_PGID, -1, &si, WEXITED, 0)); V(RAW(P_PGID, 0, &si, WEXITED, 0)); V(RAW(P_ALL, 0, &si, WEXITED | 0x100, 0)); V(RAW(P_ALL, 0, &si, 0, 0)); V(RAW(P_PIDFD, -1, &si, WEXITED, 0)); V(RAW(P_PIDFD, 0, &si, WEXITED, 0)); V(RAW(4, 0, &si, WEXITED, 0)); V(RAW(-1, 0, &si, WEXITED, 0));
    V(RAW(P_ALL, 0, &si, WEXITED | __WALL | __WCLONE | __WNOTHREAD | WNOHANG, 0));
    V(wait4(-1, &st, WEXITED, 0)); V(wait4(-1, &st, WNOWAIT, 0)); V(wait4(-1, &st, 0x100, 0)); V(wait4(-2147483647 - 1, &st, 0, 0)); V(wait4(-99999, &st, 0, 0));
    pid_t p = kid(5); MUST(waitid(P_PID, p, &si, WEXITED | WNOWAIT));
    V(RAW(P_PID, p, 0, WEXITED | WNOWAIT, 0)); V(RAW(P_PID, p, 8, WEXITED | WNOWAIT, 0)); V(RAW(P_PID, p, &si, WEXITED | WNOWAIT, 8)); 
    memset(&ru, 0xff, sizeof ru); V(RAW(P_PID, p, &si, WEXITED | WNOWAIT, &ru)); say("ru %d", ru.ru_utime.tv_sec < 10);
    V(RAW(P_PID, p, &si, WSTOPPED | WNOHANG, 0)); V(RAW(P_PID, p, &si, WSTOPPED, 0));
    V(RAW(P_PID, p, &si, WCONTINUED, 0));
    V(wait4(p, &st, 0, 8)); V(wait4(p, &st, 0, 0));
    p = pk(); memset(&si, 0x55, sizeof si);
    V(RAW(P_PID, p, &si, WEXITED | WNOHANG, 0)); say("cleared: signo %d pid %d code %x errno %x uid %x", si.si_signo, si.si_pid, si.si_code, si.si_errno, si.si_uid);
    kill(p, SIGSTOP); V(RAW(P_PID, p, &si, WEXITED | WNOHANG, 0)); V(RAW(P_PID, p, &si, WSTOPPED | WNOWAIT, 0)); say("signo %d code %d status %d uid %d errno %d", si.si_signo, si.si_code, si.si_status, si.si_uid, si.si_errno);
    V(waitpid(p, &st, WUNTRACED) == p); say("%x", st); V(waitpid(p, &st, WUNTRACED | WNOHANG)); kill(p, SIGTSTP); V(waitpid(p, &st, WUNTRACED | WNOHANG));
    kill(p, SIGCONT); V(waitpid(p, &st, WCONTINUED) == p); say("%x", st); V(waitpid(p, &st, WCONTINUED | WUNTRACED | WNOHANG)); kill(p, SIGCONT); msleep(20); V(waitpid(p, &st, WCONTINUED | WNOHANG));
    kill(p, SIGSTOP); waitpid(p, &st, WUNTRACED); kill(p, SIGCONT); kill(p, SIGKILL); MUST(waitpid(p, &st, WCONTINUED | WUNTRACED)); say("%x", st);
    p = pk(); kill(p, SIGSTOP); waitpid(p, &st, WUNTRACED); kill(p, SIGKILL); waitpid(p, &st, 0); say("%x", st);
    /* exit codes */
    for (int c = -1; c < 600; c += 257) { p = kid(c); waitpid(p, &st, 0); say("%d -> %x", c, st); }
    /* exit of leader, thread goes on */
    p = fork(); if (!p) { pthread_t t; pthread_create(&t, 0, lead_exit_other, 0); pthread_exit(0); } msleep(30); say("leader zombie %c", state_of(p)); V(waitpid(p, &st, WNOHANG)); waitpid(p, &st, 0); say("%s", status_words(st));
    /* threads share children */
    p = kid(4); pthread_t t; pthread_create(&t, 0, waiter, &p); pthread_join(t, 0);
    p = kid(4); pthread_create(&t, 0, waiter_nt, &p); pthread_join(t, 0); waitpid(p, 0, 0);
    pthread_create(&t, 0, maker, 0); pthread_join(t, 0); V(waitpid(made, &st, 0) == made);
    /* reparenting */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int pp[2]; pipe(pp);
    p = fork(); if (!p) { pid_t q = fork(); if (!q) { msleep(60); pid_t pa = getppid(); write(pp[1], &pa, 4); _exit(17); } write(pp[1], &q, 4); _exit(0); }
    pid_t q, pa; read(pp[0], &q, 4); waitpid(p, 0, 0); read(pp[0], &pa, 4); say("reaper %d", pa == getpid()); V(waitpid(q, &st, 0) == q); say("%s", status_words(st));
    prctl(PR_SET_CHILD_SUBREAPER, 0); 
    /* zombies given to a reaper that ignores SIGCHLD vanish */
    struct sigaction a = {.sa_sigaction = on, .sa_flags = SA_SIGINFO | SA_NOCLDWAIT}; sigaction(SIGCHLD, &a, 0);
    p = kid(1); V(waitpid(p, &st, 0)); say("signal though %d", chld);
    V(waitid(P_ALL, 0, &si, WEXITED | WNOHANG));
    a.sa_flags = SA_SIGINFO; sigaction(SIGCHLD, &a, 0); chld = 0;
    /* becomes ignored while zombies exist */
    p = kid(1); waitid(P_PID, p, &si, WEXITED | WNOWAIT); signal(SIGCHLD, SIG_IGN); V(waitpid(p, &st, WNOHANG) == p); 
    p = pk(); kill(p, SIGKILL); V(wait(&st)); signal(SIGCHLD, SIG_DFL);
    /* wait by own group */
    p = kid(3); V(waitpid(0, &st, 0) == p); p = fork(); if (!p) { setpgid(0, 0); _exit(0); } waitid(P_PID, p, &si, WEXITED | WNOWAIT); V(waitpid(0, &st, 0)); V(waitid(P_PGID, 0, &si, WEXITED)); V(waitid(P_PGID, p, &si, WEXITED)); 
    /* rusage of killed kids adds to children */
    struct rusage c0, c1; getrusage(RUSAGE_CHILDREN, &c0);
    p = fork(); if (!p) { long long t0 = now_ms(); while (now_ms() - t0 < 150); _exit(0); } wait4(p, &st, 0, &ru); getrusage(RUSAGE_CHILDREN, &c1);
    say("cpu of child %d counted %d", ru.ru_utime.tv_usec + ru.ru_stime.tv_usec > 50000, (c1.ru_utime.tv_sec - c0.ru_utime.tv_sec) * 1000000 + c1.ru_utime.tv_usec - c0.ru_utime.tv_usec + (c1.ru_stime.tv_sec - c0.ru_stime.tv_sec) * 1000000 + c1.ru_stime.tv_usec - c0.ru_stime.tv_usec > 50000);
    /* core flag */
    p = fork(); if (!p) { struct rlimit n = {0,0}; setrlimit(RLIMIT_CORE, &n); signal(SIGABRT, SIG_DFL); raise(SIGABRT); } waitpid(p, &st, 0); say("abort %x", st);
    p = fork(); if (!p) { raise(SIGRTMIN + 3); } waitpid(p, &st, 0); say("rt %x", st);
    return 0;
}
