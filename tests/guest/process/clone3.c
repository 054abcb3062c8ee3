/* clone and clone3: every refusal, exit signals, chosen numbers, siblings, threads made by hand. */
#include "t.h"
#include <linux/sched.h>
#include <linux/futex.h>
#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif
static long c3(struct clone_args *a, size_t n) { long p = syscall(SYS_clone3, a, n); if (p == 0) _exit(3); return p; }
static void t3(const char *l, struct clone_args a, size_t n)
{
    long p = c3(&a, n); int e = errno, st;
    if (p > 0) { if (waitpid(p, &st, __WALL) == p) say("%s: child %s", l, status_words(st)); else say("%s: child, wait %s", l, errname(errno)); }
    else say("%s: %s", l, errname(e));
}
static volatile int got; static volatile int gotsig;
static void on(int s, siginfo_t *i, void *c) { got++; gotsig = s; say("  signal %d code %d status %d pid set %d", s, i->si_code, i->si_status, i->si_pid > 0); }
static int fn(void *x) { return (int)(long)x; }
static char stk[65536] __attribute__((aligned(16)));
static int shared;
static int waitword = 1;
static int vm_child(void *x) { shared = 5; usleep(20000); return 0; }
static int thr(void *x) { shared++; syscall(SYS_exit, 0); return 0; }
static void *idle(void *x) { for (;;) pause(); }
int main(int argc, char **argv)
{
    if (argc > 1) { say("  execed"); return 4; }
    setvbuf(stdout, 0, _IONBF, 0);
    #define A(...) (struct clone_args){__VA_ARGS__}
    t3("sz64", A(.exit_signal = SIGCHLD), 64);
    t3("sz80", A(.exit_signal = SIGCHLD), 80);
    t3("sz88", A(.exit_signal = SIGCHLD), 88);
    t3("sz63", A(.exit_signal = SIGCHLD), 63);
    t3("sz0", A(.exit_signal = SIGCHLD), 0);
    t3("sz72", A(.exit_signal = SIGCHLD), 72);
    t3("noexit", A(.exit_signal = 0), 88);
    t3("exit65", A(.exit_signal = 65), 88);
    t3("flags low byte", A(.flags = SIGCHLD), 88);
    t3("flags high", A(.flags = 1ULL << 40, .exit_signal = SIGCHLD), 88);
    t3("CLEAR+SIGHAND", A(.flags = CLONE_CLEAR_SIGHAND | CLONE_SIGHAND | CLONE_VM, .exit_signal = SIGCHLD), 88);
    t3("SIGHAND noVM", A(.flags = CLONE_SIGHAND, .exit_signal = SIGCHLD), 88);
    t3("THREAD exit sig", A(.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, .exit_signal = SIGCHLD), 88);
    t3("THREAD no SIGHAND", A(.flags = CLONE_THREAD | CLONE_VM), 88);
    t3("PARENT exit sig", A(.flags = CLONE_PARENT, .exit_signal = SIGCHLD), 88);
    t3("stack no size", A(.stack = (long)stk, .exit_signal = SIGCHLD), 88);
    t3("size no stack", A(.stack_size = 4096, .exit_signal = SIGCHLD), 88);
    t3("stack bad", A(.stack = 0x7ffffffff0000000, .stack_size = 4096, .exit_signal = SIGCHLD), 88);
    t3("FS NEWNS", A(.flags = CLONE_FS | CLONE_NEWNS, .exit_signal = SIGCHLD), 88);
    t3("FS NEWUSER", A(.flags = CLONE_FS | CLONE_NEWUSER, .exit_signal = SIGCHLD), 88);
    t3("THREAD NEWPID", A(.flags = CLONE_THREAD|CLONE_SIGHAND|CLONE_VM | CLONE_NEWPID), 88);
    t3("NEWIPC SYSVSEM", A(.flags = CLONE_NEWIPC | CLONE_SYSVSEM, .exit_signal = SIGCHLD), 88);
    t3("DETACHED", A(.flags = CLONE_DETACHED, .exit_signal = SIGCHLD), 88);
    t3("settid null", A(.exit_signal = SIGCHLD, .set_tid_size = 1), 88);
    t3("settid 0 size", A(.exit_signal = SIGCHLD, .set_tid = (long)&shared), 88);
    t3("settid big", A(.exit_signal = SIGCHLD, .set_tid = (long)&shared, .set_tid_size = 33), 88);
    pid_t tid = 1; t3("settid 1", A(.exit_signal = SIGCHLD, .set_tid = (long)&tid, .set_tid_size = 1), 88);
    tid = 0; t3("settid zero", A(.exit_signal = SIGCHLD, .set_tid = (long)&tid, .set_tid_size = 1), 88);
    tid = -5; t3("settid neg", A(.exit_signal = SIGCHLD, .set_tid = (long)&tid, .set_tid_size = 1), 88);
    t3("settid bad ptr", A(.exit_signal = SIGCHLD, .set_tid = 8, .set_tid_size = 1), 88);
    tid = 31999; if (kill(tid, 0)) { t3("settid free", A(.exit_signal = SIGCHLD, .set_tid = (long)&tid, .set_tid_size = 1), 88); }
    pid_t tids[32] = {31998, 31997}; t3("settid 32 levels", A(.exit_signal = SIGCHLD, .set_tid = (long)tids, .set_tid_size = 32), 88);
    struct clone_args st_ = A(.exit_signal = SIGCHLD, .set_tid = (long)tids, .set_tid_size = 1);
    long p = c3(&st_, 88); say("chosen pid %d", p == 31998); waitpid(p, 0, 0);
    t3("bad pidfd ptr", A(.flags = CLONE_PIDFD, .pidfd = 8, .exit_signal = SIGCHLD), 88);
    t3("bad parent_tid", A(.flags = CLONE_PARENT_SETTID, .parent_tid = 8, .exit_signal = SIGCHLD), 88);
    t3("bad child_tid", A(.flags = CLONE_CHILD_SETTID, .child_tid = 8, .exit_signal = SIGCHLD), 88);
    t3("bad tls", A(.flags = CLONE_SETTLS, .tls = 0x8000000000000000, .exit_signal = SIGCHLD), 88);
    t3("into cgroup bad", A(.flags = CLONE_INTO_CGROUP, .cgroup = -1, .exit_signal = SIGCHLD), 88);
    t3("into cgroup small", A(.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD), 80);
    t3("cgroup size no flag", A(.cgroup = 5, .exit_signal = SIGCHLD), 88);
    int x = 0, st;
    V(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &x, 0, 0));
    V(syscall(SYS_clone, CLONE_PIDFD | CLONE_DETACHED | SIGCHLD, 0, &x, 0, 0));
    V(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, 8, 0, 0));
    p = syscall(SYS_clone, CLONE_DETACHED | SIGCHLD, 0, 0, 0, 0); if (!p) _exit(1); say("clone DETACHED ok %d", p > 0 && waitpid(p, &st, 0) == p);
    p = syscall(SYS_clone, 100, 0, 0, 0, 0); if (!p) _exit(1);
    say("exit signal 100 in clone: %s", p < 0 ? errname(errno) : "made"); if (p > 0) { V(waitpid(p, &st, __WALL) == p); }
    /* Exit signal */
    struct sigaction sa = {.sa_sigaction = on, .sa_flags = SA_SIGINFO};
    for (int s = 1; s < 32; s++) if (s != SIGKILL && s != SIGSTOP && s != SIGSEGV) sigaction(s, &sa, 0);
    p = clone(fn, stk + sizeof stk, SIGUSR1, (void *)7);
    usleep(50000);
    V(waitpid(p, &st, 0)); V(waitpid(p, &st, __WCLONE) == p); say("%s", status_words(st));
    p = clone(fn, stk + sizeof stk, SIGCHLD, (void *)8);
    usleep(50000);
    V(waitpid(p, &st, __WCLONE)); V(waitpid(p, &st, 0) == p); say("%s", status_words(st));
    p = clone(fn, stk + sizeof stk, 0, (void *)9);
    usleep(50000); V(waitpid(p, &st, __WALL) == p);
    /* exec resets the exit signal */
    p = syscall(SYS_clone, SIGUSR2, 0, 0, 0, 0);
    if (!p) { execl("/proc/self/exe", "x", "y", NULL); _exit(1); }
    while (waitpid(p, &st, 0) < 0) usleep(1000); say("%s", status_words(st));
    /* CLONE_PARENT: siblings, with the parent's exit signal */
    int pp[2]; pipe(pp);
    p = fork();
    if (!p) { long q = syscall(SYS_clone, CLONE_PARENT | SIGUSR1, 0, 0, 0, 0); if (!q) { usleep(50000); _exit(getppid() != 1 ? 11 : 12); } write(pp[1], &q, 8); V(waitpid(q, &st, __WALL)); _exit(10); }
    long q; read(pp[0], &q, 8);
    MUST(waitpid(p, &st, 0)); say("child %s", status_words(st));
    MUST(waitpid(q, &st, 0)); say("sibling %s", status_words(st));
    /* CLONE_CHILD_CLEARTID */
    shared = 0;
    p = clone(vm_child, stk + sizeof stk, CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, 0, 0, 0, &waitword);
    waitword = 1;
    while (waitword) if (syscall(SYS_futex, &waitword, FUTEX_WAIT, 1, 0, 0, 0) && errno != EINTR && errno != EAGAIN) break;
    /* The exit signal may come before or after the wake-up: print behind both. */
    int cleared = waitword; while (waitpid(p, 0, 0) < 0);
    say("cleared %d shared %d", cleared, shared);
    /* CLEARTID without sharing: not written */
    waitword = 1;
    p = syscall(SYS_clone, CLONE_CHILD_CLEARTID | SIGCHLD, 0, 0, &waitword, 0); if (!p) _exit(0);
    waitpid(p, 0, 0); say("not cleared %d", waitword);
    /* a raw thread */
    waitword = 1;
    long r = clone(thr, stk + sizeof stk, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID, 0, &x, 0, &waitword);
    while (waitword) usleep(100);
    say("thread: tid %d shared %d", x == r, shared);
    V(waitpid(r, 0, __WALL));
    /* fork of many threads: one left */
    /* They take no signals: SIGCHLD's handler runs in the thread that waits. */
    sigset_t all, old; sigfillset(&all); pthread_sigmask(SIG_BLOCK, &all, &old);
    pthread_t t; for (int i = 0; i < 5; i++) pthread_create(&t, 0, idle, 0);
    pthread_sigmask(SIG_SETMASK, &old, 0);
    IN_CHILD("one thread", { char b[64]; int n = 0; for (int i = 0; i < 1; i++) { FILE *f = fopen("/proc/self/status", "r"); char l[200]; while (fgets(l, 200, f)) if (!strncmp(l, "Threads:", 8)) say("  %s", strtok(l, "\n")); } });
    /* exec from a thread that isn't the leader: keeps the pid */
    return 0;
}
