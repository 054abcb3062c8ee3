/* Signals in full: what each call refuses, masks in handlers and contexts, order, default actions, threads, limits.
 * needs: root
 */
#include "t.h"
#include <ucontext.h>
#include <setjmp.h>
#include <sys/signalfd.h>
#include <sys/prctl.h>
static volatile int n; static int seq[100]; static volatile int ns;
static void rec(int s, siginfo_t *i, void *c) { seq[ns++] = s; n++; }
static void show_info(int s, siginfo_t *i, void *c) { say("  sig %d code %d errno %d pid %d uid %d status %d value %d", s >= SIGRTMIN ? s - SIGRTMIN + 34 : s, i->si_code, i->si_errno, i->si_pid == getpid() ? 1 : i->si_pid ? 2 : 0, i->si_uid == getuid(), s == SIGCHLD ? i->si_status : 0, i->si_code == SI_QUEUE ? i->si_value.sival_int : 0); n++; }
static void masks(int s) { sigset_t m; sigprocmask(0, 0, &m); char b[70]; int k = 0; for (int i = 1; i < 65; i++) if (i != 32 && i != 33) b[k++] = sigismember(&m, i) == 1 ? '1' : '0'; b[k] = 0; say("  in %d: %s", s, b); }
static sigjmp_buf jb; static void jump(int s) { siglongjmp(jb, s); }
static void nothing(int s) {}
static void modify(int s, siginfo_t *i, void *v) { ucontext_t *c = v; sigaddset(&c->uc_sigmask, SIGUSR2); }
static void uc(int s, siginfo_t *i, void *v) { ucontext_t *c = v; say("  uc flags %lx link %d stack flags %x mask usr2 %d cs %lx trap %lld err %lld oldmask %lld cr2 %d", c->uc_flags & ~1, c->uc_link != 0, c->uc_stack.ss_flags, sigismember(&c->uc_sigmask, SIGUSR2), c->uc_mcontext.gregs[REG_CSGSFS] & 0xffff, c->uc_mcontext.gregs[REG_TRAPNO] * 0, c->uc_mcontext.gregs[REG_ERR] * 0, c->uc_mcontext.gregs[REG_OLDMASK], 0); }
static pthread_t mt; static volatile int stop; static volatile pid_t tid1;
static void *blocker(void *x) { sigset_t s; sigfillset(&s); pthread_sigmask(SIG_BLOCK, &s, 0); tid1 = syscall(SYS_gettid); while (!stop) usleep(500); sigpending(&s); say("thread pending usr1 %d usr2 %d", sigismember(&s, SIGUSR1), sigismember(&s, SIGUSR2)); return 0; }
static void *taker(void *x) { tid1 = syscall(SYS_gettid); while (!stop) usleep(500); return 0; }
static volatile pid_t who; static void wh(int s) { who = syscall(SYS_gettid); }
/* A wait that comes before the signal takes the status away from it. */
static void until(int signals) { for (int i = 0; n < signals && i < 4000; i++) usleep(500); }
int main(void)
{
    setvbuf(stdout,0,_IONBF,0);
    struct sigaction a, o; sigset_t s, p, none; sigemptyset(&none); siginfo_t si = {0}; struct timespec z = {0, 0}; int st;
    /* flags kept by sigaction */
    a = (struct sigaction){.sa_sigaction = rec, .sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER | SA_RESETHAND | SA_ONSTACK | SA_NOCLDSTOP | SA_NOCLDWAIT}; sigfillset(&a.sa_mask); sigaction(SIGUSR1, &a, 0); 
    struct { void *h; unsigned long f; void *r; unsigned long m; } k = {0}; syscall(SYS_rt_sigaction, SIGUSR1, 0, &k, 8); say("flags %lx mask %lx", k.f & ~0x04000000, k.m); k.f = 0x04000000 | 0x400 | 0x800 | 0x1000; syscall(SYS_rt_sigaction, SIGUSR2, &k, 0, 8); k.f = 0; syscall(SYS_rt_sigaction, SIGUSR2, 0, &k, 8); say("unknown flags %lx", k.f);
    V(syscall(SYS_rt_sigaction, SIGUSR1, 0, 8, 8)); V(syscall(SYS_rt_sigaction, -1, 0, 0, 8)); V(syscall(SYS_rt_sigaction, SIGUSR1, 0, 0, 0)); V(syscall(SYS_rt_sigprocmask, 0, 0, 0, 8)); V(syscall(SYS_rt_sigprocmask, 9, 0, &s, 8)); V(syscall(SYS_rt_sigprocmask, 0, &s, 8, 8)); V(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8)); V(syscall(SYS_rt_sigpending, &s, 9)); V(syscall(SYS_rt_sigpending, &s, 4)); V(syscall(SYS_rt_sigpending, 8, 8)); V(syscall(SYS_rt_sigsuspend, 8, 8)); V(syscall(SYS_rt_sigtimedwait, &none, 0, 8, 8)); V(syscall(SYS_rt_sigtimedwait, &none, 8, &z, 8)); V(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, 8)); V(syscall(SYS_rt_sigqueueinfo, 999999, SIGUSR1, &si)); V(syscall(SYS_rt_tgsigqueueinfo, -1, 1, SIGUSR1, &si)); V(syscall(SYS_rt_tgsigqueueinfo, getpid(), -1, SIGUSR1, &si)); V(syscall(SYS_tgkill, getpid(), getpid(), 65)); V(syscall(SYS_tgkill, getpid(), getpid(), 0)); V(syscall(SYS_tgkill, -1, getpid(), 0)); V(syscall(SYS_tgkill, getpid(), getppid(), 0)); V(syscall(SYS_tkill, 999999, 0)); V(syscall(SYS_tkill, getpid(), -1)); V(syscall(SYS_kill, getpid(), -1)); V(syscall(SYS_sigaltstack, 8, 0));
    /* mask in handlers */
    a = (struct sigaction){.sa_handler = masks}; sigemptyset(&a.sa_mask); sigaddset(&a.sa_mask, SIGUSR2); sigaddset(&a.sa_mask, SIGKILL); sigaction(SIGUSR1, &a, 0); raise(SIGUSR1); a.sa_flags = SA_NODEFER; sigaction(SIGUSR1, &a, 0); raise(SIGUSR1); sigemptyset(&s); sigaddset(&s, SIGTERM); sigprocmask(SIG_SETMASK, &s, 0); raise(SIGUSR1); sigprocmask(SIG_SETMASK, &none, 0); masks(0);
    /* mask changed in the context */
    a = (struct sigaction){.sa_sigaction = modify, .sa_flags = SA_SIGINFO}; sigaction(SIGUSR1, &a, 0); raise(SIGUSR1); masks(1); sigprocmask(SIG_SETMASK, &none, 0);
    a.sa_sigaction = uc; sigaction(SIGUSR1, &a, 0); sigaddset(&s, SIGUSR2); sigprocmask(SIG_SETMASK, &s, 0); raise(SIGUSR1); sigprocmask(SIG_SETMASK, &none, 0);
    on_signal(SIGUSR1, jump, 0); if (!(st = sigsetjmp(jb, 1))) raise(SIGUSR1); say("jumped %d", st); masks(2); if (!(st = sigsetjmp(jb, 0))) raise(SIGUSR1); say("jumped %d", st); masks(3); sigprocmask(SIG_SETMASK, &none, 0);
    /* order of many pending at once: lowest first, synchronous first */
    a = (struct sigaction){.sa_sigaction = rec, .sa_flags = SA_SIGINFO}; sigfillset(&a.sa_mask); for (int i = 1; i < 65; i++) sigaction(i, &a, 0); sigfillset(&s); sigprocmask(SIG_SETMASK, &s, 0); ns = 0; for (int i = 64; i > 0; i--) if (i != SIGKILL && i != SIGSTOP && i != 32 && i != 33) kill(getpid(), i); sigprocmask(SIG_SETMASK, &none, 0); { char b[400] = ""; for (int i = 0; i < ns; i++) sprintf(b + strlen(b), " %d", seq[i]); say("order:%s", b); }
    sigprocmask(SIG_SETMASK, &s, 0); ns = 0; kill(getpid(), SIGUSR1); syscall(SYS_tgkill, getpid(), getpid(), SIGUSR2); syscall(SYS_tgkill, getpid(), getpid(), SIGRTMAX); kill(getpid(), SIGRTMIN); sigprocmask(SIG_SETMASK, &none, 0); { char b[400] = ""; for (int i = 0; i < ns; i++) sprintf(b + strlen(b), " %d", seq[i]); say("thread first:%s", b); }
    for (int i = 1; i < 65; i++) signal(i, SIG_DFL);
    /* default actions of all signals */
    struct rlimit nc = {0, 0}; setrlimit(RLIMIT_CORE, &nc);
    for (int i = 1; i < 65; i++) { if (i == 32 || i == 33) continue; pid_t c = fork(); if (!c) { setsid(); if (fork()) { int x; waitpid(-1, &x, WUNTRACED); if (WIFSTOPPED(x)) { kill(0, SIGKILL); } _exit(WIFEXITED(x) ? 100 + WEXITSTATUS(x) : WTERMSIG(x)); } raise(i); _exit(0); } waitpid(c, &st, 0); say("default %d: %s", i, status_words(st)); }
    for (int i = SIGSTOP; i <= SIGTTOU; i++) { pid_t c = fork(); if (!c) { raise(i); _exit(0); } waitpid(c, &st, WUNTRACED); say("stop %d: %s", i, WIFSTOPPED(st) ? "stopped" : "not"); kill(c, SIGKILL); waitpid(c, 0, WIFSTOPPED(st) ? 0 : WNOHANG); }
    /* ignored by default, while blocked: queued, unless ignored on purpose */
    sigemptyset(&s); sigaddset(&s, SIGCHLD); sigaddset(&s, SIGURG); sigaddset(&s, SIGWINCH); sigprocmask(SIG_SETMASK, &s, 0); raise(SIGCHLD); raise(SIGURG); raise(SIGWINCH); sigpending(&p); say("pending chld %d urg %d winch %d", sigismember(&p, SIGCHLD), sigismember(&p, SIGURG), sigismember(&p, SIGWINCH)); signal(SIGURG, SIG_DFL); sigpending(&p); say("after dfl urg %d", sigismember(&p, SIGURG)); V(sigtimedwait(&s, &si, &z)); sigprocmask(SIG_SETMASK, &none, 0);
    raise(SIGURG); 
    /* fork: pending isn't inherited, mask is */
    sigemptyset(&s); sigaddset(&s, SIGUSR1); sigprocmask(SIG_SETMASK, &s, 0); raise(SIGUSR1); IN_CHILD("pending in child", { sigpending(&p); say("  %d", sigismember(&p, SIGUSR1)); sigprocmask(0, 0, &p); say("  masked %d", sigismember(&p, SIGUSR1)); }); V(sigtimedwait(&s, &si, &z)); sigprocmask(SIG_SETMASK, &none, 0);
    /* threads: process signals go to one that doesn't block */
    stop = 0; tid1 = 0; pthread_create(&mt, 0, blocker, 0); while (!tid1) usleep(100); usleep(2000); syscall(SYS_tgkill, getpid(), tid1, SIGUSR1); on_signal(SIGUSR2, wh, 0); kill(getpid(), SIGUSR2); say("to main %d", who == getpid()); stop = 1; pthread_join(mt, 0);
    sigemptyset(&s); sigaddset(&s, SIGUSR2); sigprocmask(SIG_BLOCK, &s, 0); kill(getpid(), SIGUSR2); stop = 0; tid1 = 0; who = 0; pthread_attr_t at; sigprocmask(SIG_SETMASK, &none, 0); say("main took %d", who == getpid()); who = 0; pthread_create(&mt, 0, taker, 0); while (!tid1) usleep(100); sigprocmask(SIG_BLOCK, &s, 0); kill(getpid(), SIGUSR2); for (int i = 0; i < 1000 && !who; i++) usleep(1000); say("other took %d", who == tid1); stop = 1; pthread_join(mt, 0); sigprocmask(SIG_SETMASK, &none, 0);
    /* SIGCHLD info of all kinds */
    a = (struct sigaction){.sa_sigaction = show_info, .sa_flags = SA_SIGINFO | SA_RESTART}; sigaction(SIGCHLD, &a, 0); pid_t c = fork(); if (!c) _exit(3); waitpid(c, 0, 0); c = fork(); if (!c) for (;;) pause(); n = 0; kill(c, SIGSTOP); until(1); waitpid(c, &st, WUNTRACED); kill(c, SIGCONT); until(2); waitpid(c, &st, WCONTINUED); kill(c, SIGKILL); waitpid(c, 0, 0); c = fork(); if (!c) abort(); waitpid(c, 0, 0); signal(SIGCHLD, SIG_DFL);
    /* queue limit */
    sigaction(SIGRTMIN, &a, 0); sigemptyset(&s); sigaddset(&s, SIGRTMIN); sigprocmask(SIG_BLOCK, &s, 0); struct rlimit rl = {3, 3}; IN_CHILD("queue limit", { setuid(12345); setrlimit(RLIMIT_SIGPENDING, &rl); for (int i = 0; i < 5; i++) V(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i})); V(kill(getpid(), SIGRTMIN)); V(kill(getpid(), SIGUSR1 * 0 + SIGRTMIN)); int m = 0; while (sigtimedwait(&s, &si, &z) > 0) m++; say("  got %d", m); rl.rlim_cur = 0; setrlimit(RLIMIT_SIGPENDING, &rl); V(kill(getpid(), SIGRTMIN)); si.si_code = 99; V(sigtimedwait(&s, &si, &z) > 0); say("  code %d pid %d", si.si_code, si.si_pid); V(sigqueue(getpid(), SIGRTMIN, (union sigval){0})); timer_t t; struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN}; V(timer_create(CLOCK_MONOTONIC, &ev, &t)); }); sigprocmask(SIG_SETMASK, &none, 0);
    /* signal to pid 0, group */
    IN_CHILD("kill 0", { setpgid(0, 0); on_signal(SIGUSR1, nothing, 0); pid_t q = fork(); if (!q) { signal(SIGUSR1, SIG_DFL); for (;;) pause(); } wait_state(q, 'S'); V(kill(0, SIGUSR1)); waitpid(q, &st, 0); say("  %s", status_words(st)); });
    /* SIGKILL and SIGSTOP cannot be waited for or caught */
    sigemptyset(&s); sigaddset(&s, SIGKILL); sigaddset(&s, SIGSTOP); V(sigtimedwait(&s, &si, &z)); int fd = signalfd(-1, &s, SFD_NONBLOCK); V(read(fd, &st, 4)); 
    /* SIGCONT while not stopped: handler, pending stops removed */
    n = 0; a.sa_sigaction = rec; sigaction(SIGCONT, &a, 0); sigemptyset(&s); sigaddset(&s, SIGTSTP); sigprocmask(SIG_BLOCK, &s, 0); raise(SIGTSTP); raise(SIGCONT); sigpending(&p); say("cont %d tstp pending %d", n, sigismember(&p, SIGTSTP)); sigaddset(&s, SIGCONT); sigprocmask(SIG_BLOCK, &s, 0); raise(SIGCONT); raise(SIGTSTP); sigpending(&p); say("cont pending %d tstp %d", sigismember(&p, SIGCONT), sigismember(&p, SIGTSTP)); signal(SIGTSTP, SIG_IGN); signal(SIGTSTP, SIG_DFL); sigprocmask(SIG_SETMASK, &none, 0);
    /* SIGPIPE, SIGXCPU, SIGXFSZ */
    IN_CHILD("pipe", { int pp[2]; pipe(pp); close(pp[0]); write(pp[1], "x", 1); }); IN_CHILD("pipe ignored", { signal(SIGPIPE, SIG_IGN); int pp[2]; pipe(pp); close(pp[0]); V(write(pp[1], "x", 1)); }); IN_CHILD("xcpu", { struct rlimit r = {1, 3}; setrlimit(RLIMIT_CPU, &r); for (;;); });
    IN_CHILD("sigsegv by kill ignored", { signal(SIGSEGV, SIG_IGN); raise(SIGSEGV); });
    return 0;
}
