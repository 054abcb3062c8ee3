/* Sleeps, interval timers, POSIX timers, clocks of others, timerfd: errors, overruns, what is left. */
#include "t.h"
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <sys/times.h>
#include <sys/prctl.h>
static volatile int hits; static volatile int lastov, lastval, lastcode; static void on(int s, siginfo_t *i, void *c) { hits++; lastov = i->si_overrun; lastval = i->si_value.sival_int; lastcode = i->si_code; }
static struct timespec in(clockid_t c, long ms) { struct timespec t; clock_gettime(c, &t); t.tv_nsec += ms % 1000 * 1000000; t.tv_sec += ms / 1000; if (t.tv_nsec >= 1000000000) { t.tv_sec++; t.tv_nsec -= 1000000000; } return t; }
#define ITS(s, n, vs, vn) (struct itimerspec){{s, n}, {vs, vn}}
static void burn(int ms) { struct timespec a, b; clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a); do clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b); while ((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < ms); }
static volatile pid_t tid; static void *thr(void *x) { tid = syscall(SYS_gettid); sigset_t s; sigemptyset(&s); pthread_sigmask(SIG_SETMASK, &s, 0); while (!*(volatile int *)x) usleep(500); return 0; }
int main(void)
{
    setvbuf(stdout,0,_IONBF,0);
    struct timespec t, r; struct itimerspec o, n; timer_t id; int idk; struct sigaction sa = {.sa_sigaction = on, .sa_flags = SA_SIGINFO};
    sigaction(SIGALRM, &sa, 0); sigaction(SIGRTMIN + 1, &sa, 0); sigaction(SIGVTALRM, &sa, 0); sigaction(SIGPROF, &sa, 0);
    /* nanosleep */
    #define NS(...) syscall(SYS_nanosleep, __VA_ARGS__)
    #define CN(...) syscall(SYS_clock_nanosleep, __VA_ARGS__)
    t = (struct timespec){0, -1}; V(NS(&t, 0)); t = (struct timespec){-1, 0}; V(NS(&t, 0)); t = (struct timespec){0, 999999999 + 1}; V(NS(&t, 0)); t = (struct timespec){0, 0}; V(NS(&t, 0)); V(NS(0, 0)); t.tv_nsec = 1000; V(NS(&t, (void *)8));
    for (int c = 0; c < 14; c++) { if (c == 2) continue; t = (struct timespec){0, 1000}; V(CN(c, 0, &t, 0)); } t = (struct timespec){0, 1000}; V(CN(-1, 0, &t, 0)); V(CN(-2, 0, &t, 0));
    V(CN(0, 2, &t, 0)); V(CN(0, 0x80, &t, 0)); V(CN(0, 1, 0, 0)); t.tv_sec = -1; V(CN(0, 1, &t, 0)); V(CN(CLOCK_MONOTONIC, 1, &t, 0));  t = (struct timespec){0, 30000000};
    /* interrupted: remaining */
    struct itimerval it = {{0}, {0, 20000}}; t = (struct timespec){0, 100000000}; setitimer(ITIMER_REAL, &it, 0); V(NS(&t, &r)); say("rem %d", r.tv_nsec < 90000000 && r.tv_nsec > 0); setitimer(ITIMER_REAL, &it, 0); V(NS(&t, (void *)8)); setitimer(ITIMER_REAL, &it, 0); t = in(CLOCK_MONOTONIC, 100); r.tv_sec = 77; V(CN(CLOCK_MONOTONIC, 1, &t, &r)); say("rem kept %ld", r.tv_sec); it.it_value.tv_usec = 20000; t = (struct timespec){0, 100000000}; setitimer(ITIMER_REAL, &it, 0); V(CN(CLOCK_MONOTONIC, 0, &t, &r)); say("rem %d", r.tv_sec == 0 && r.tv_nsec > 0);
    /* itimers */
    V(setitimer(3, &it, 0)); V(getitimer(-1, &it)); V(getitimer(0, (void *)8)); V(setitimer(0, (void *)8, 0)); it = (struct itimerval){{0, 0}, {0, 1000000}}; V(setitimer(0, &it, 0)); it.it_value.tv_usec = -1; V(setitimer(0, &it, 0)); it = (struct itimerval){{-1, 0}, {1, 0}}; V(setitimer(0, &it, 0)); it = (struct itimerval){{0, 2000000}, {1, 0}}; V(setitimer(0, &it, 0)); V(setitimer(0, 0, 0) == 0 ? 0 : -1); it = (struct itimerval){{5, 0}, {10, 0}}; struct itimerval old; V(setitimer(0, &it, &old)); V(setitimer(0, 0, &old)); say("old %ld %d", old.it_interval.tv_sec, old.it_value.tv_sec >= 9); getitimer(0, &old); say("off %ld %ld", old.it_value.tv_sec, old.it_interval.tv_sec);
    V(alarm(100)); V(alarm(0) >= 99); V(alarm(0)); it = (struct itimerval){{0, 0}, {0, 400000}}; setitimer(0, &it, 0); V(alarm(0)); it.it_value.tv_usec = 900000; it.it_value.tv_sec = 1; setitimer(0, &it, 0); V(alarm(0)); alarm(0x80000000u); V(alarm(0) > 1000000000 || 1); 
    hits = 0; it = (struct itimerval){{0, 10000}, {0, 10000}}; setitimer(ITIMER_VIRTUAL, &it, 0); burn(80); getitimer(ITIMER_VIRTUAL, &old); it = (struct itimerval){}; setitimer(ITIMER_VIRTUAL, &it, 0); say("virtual interval %ld", old.it_interval.tv_usec / 1000); hits = 0; it = (struct itimerval){{0, 10000}, {0, 10000}}; setitimer(ITIMER_PROF, &it, 0); burn(80); it = (struct itimerval){}; setitimer(ITIMER_PROF, &it, 0); say("prof fired %d code %x", hits >= 2, lastcode);
    IN_CHILD("itimer in child", { getitimer(0, &old); say("%ld", old.it_value.tv_sec); });
    it = (struct itimerval){{0}, {100, 0}}; setitimer(0, &it, 0); IN_CHILD("not inherited", { getitimer(0, &old); say("%ld", old.it_value.tv_sec); }); alarm(0);
    IN_CHILD("default action", { signal(SIGALRM, SIG_DFL); it = (struct itimerval){{0}, {0, 1000}}; setitimer(0, &it, 0); for (;;) pause(); });
    IN_CHILD("vtalrm", { signal(SIGVTALRM, SIG_DFL); it = (struct itimerval){{0}, {0, 1000}}; setitimer(1, &it, 0); for (;;); });
    /* POSIX timers */
    #define TC(...) syscall(SYS_timer_create, __VA_ARGS__)
    #define TS(...) syscall(SYS_timer_settime, __VA_ARGS__)
    #define TG(...) syscall(SYS_timer_gettime, __VA_ARGS__)
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = 31};
    for (int c = -4; c < 14; c++) { long k = TC(c, &ev, &idk); say("timer on clock %d: %s", c, k ? errname(errno) : "ok"); if (!k) syscall(SYS_timer_delete, idk); }
    V(TC(0, (void *)8, &idk)); V(TC(0, &ev, (void *)8)); V(TC(0, &ev, 0)); ev.sigev_signo = 0; V(TC(0, &ev, &idk)); ev.sigev_signo = 65; V(TC(0, &ev, &idk)); ev.sigev_signo = SIGKILL; V(TC(0, &ev, &idk)); syscall(SYS_timer_delete, idk); ev.sigev_notify = 7; ev.sigev_signo = SIGALRM; V(TC(0, &ev, &idk)); ev.sigev_notify = SIGEV_THREAD_ID; ev._sigev_un._tid = 1; V(TC(0, &ev, &idk)); ev._sigev_un._tid = 0; V(TC(0, &ev, &idk)); ev.sigev_notify = SIGEV_SIGNAL | SIGEV_THREAD_ID; ev._sigev_un._tid = getpid(); V(TC(0, &ev, &idk)); syscall(SYS_timer_delete, idk); ev.sigev_notify = SIGEV_NONE; ev.sigev_signo = 99; V(TC(0, &ev, &idk)); 
    n = ITS(0, 0, 100, 0); V(TS(idk, 0, &n, &o)); V(TG(idk, &o)); say("%d %ld", o.it_value.tv_sec >= 99, o.it_interval.tv_sec); V(TS(idk, 2, &n, &o)); V(TS(99, 0, &n, &o)); V(TS(-1, 0, &n, &o)); V(TS(idk, 0, 0, &o)); V(TS(idk, 0, (void *)8, 0)); V(TS(idk, 0, &n, (void *)8)); n = ITS(0, 1000000000, 1, 0); V(TS(idk, 0, &n, 0)); n = ITS(-1, 0, 1, 0); V(TS(idk, 0, &n, 0)); n = ITS(0, 0, -1, 0); V(TS(idk, 0, &n, 0)); n = ITS(0, 0, 0, -1); V(TS(idk, 0, &n, 0)); V(TG(idk, (void *)8)); V(TG(-1, &o)); V(syscall(SYS_timer_getoverrun, -1)); V(syscall(SYS_timer_getoverrun, idk)); V(syscall(SYS_timer_delete, idk)); V(syscall(SYS_timer_delete, idk)); V(TG(idk, &o));
    /* SIGEV_NONE interval counts down and rearms */
    TC(CLOCK_MONOTONIC, &ev, &idk); n = ITS(0, 50000000, 0, 1000000); TS(idk, 0, &n, 0); usleep(10000); TG(idk, &o); say("rearmed %d interval %ld", o.it_value.tv_nsec > 0 && o.it_value.tv_nsec <= 50000000, o.it_interval.tv_nsec); n = ITS(0, 0, 0, 1000); TS(idk, 0, &n, 0); usleep(2000); TG(idk, &o); say("oneshot over %ld %ld", o.it_value.tv_sec, o.it_value.tv_nsec); syscall(SYS_timer_delete, idk);
    /* NULL event: SIGALRM with the timer's number */
    TC(CLOCK_MONOTONIC, 0, &idk); hits = 0; n = ITS(0, 0, 0, 2000000); TS(idk, 0, &n, 0); pause(); say("hits %d val is id %d code %d", hits, lastval == idk, lastcode); syscall(SYS_timer_delete, idk);
    /* overrun while blocked */
    sigset_t s; sigemptyset(&s); sigaddset(&s, SIGRTMIN + 1); sigprocmask(SIG_BLOCK, &s, 0); ev = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = 31}; TC(CLOCK_MONOTONIC, &ev, &idk); n = ITS(0, 1000000, 0, 1000000); TS(idk, 0, &n, 0); usleep(30000); siginfo_t si; V(sigwaitinfo(&s, &si) == SIGRTMIN + 1); say("overrun %d value %d code %d tid %d", si.si_overrun > 10, si.si_value.sival_int, si.si_code, si.si_timerid == idk); V(syscall(SYS_timer_getoverrun, idk) == si.si_overrun); usleep(5000); n = ITS(0, 0, 0, 0); TS(idk, 0, &n, &o); say("old interval %ld", o.it_interval.tv_nsec); struct timespec z = {0, 0}; V(sigtimedwait(&s, &si, &z) < 0 ? -1 : 0);
    n = ITS(0, 0, 0, 1000000); TS(idk, 0, &n, 0); usleep(5000); syscall(SYS_timer_delete, idk); V(sigtimedwait(&s, &si, &z) < 0 ? -1 : 0);
    /* ignored: no hang, overrun goes on */
    signal(SIGRTMIN + 1, SIG_IGN); sigprocmask(SIG_UNBLOCK, &s, 0); TC(CLOCK_MONOTONIC, &ev, &idk); n = ITS(0, 1000000, 0, 1000000); TS(idk, 0, &n, 0); usleep(10000); TG(idk, &o); say("ignored goes on %d", o.it_value.tv_nsec > 0 || o.it_interval.tv_nsec > 0); sigaction(SIGRTMIN + 1, &sa, 0); hits = 0; usleep(5000); say("handler again %d", hits > 0); syscall(SYS_timer_delete, idk);
    /* absolute, in the past */
    TC(CLOCK_MONOTONIC, &ev, &idk); hits = 0; n = ITS(0, 0, 1, 0); TS(idk, TIMER_ABSTIME, &n, 0); usleep(3000); say("past fired %d", hits); n.it_value = in(CLOCK_MONOTONIC, 5); TS(idk, 1, &n, 0); TG(idk, &o); say("left %d", o.it_value.tv_sec == 0 && o.it_value.tv_nsec < 5000001); usleep(15000); say("fired %d", hits); 
    IN_CHILD("timers aren't inherited", V(TG(idk, &o))); syscall(SYS_timer_delete, idk);
    /* thread id */
    volatile int stop = 0; pthread_t p; sigprocmask(SIG_BLOCK, &s, 0); pthread_create(&p, 0, thr, (void *)&stop); while (!tid) usleep(100); ev.sigev_notify = SIGEV_THREAD_ID; ev._sigev_un._tid = tid; hits = 0; V(TC(CLOCK_MONOTONIC, &ev, &idk)); n = ITS(0, 0, 0, 1000000); TS(idk, 0, &n, 0); for (int i = 0; i < 100 && !hits; i++) usleep(1000); say("to the thread %d", hits); stop = 1; pthread_join(p, 0); n = ITS(0, 0, 0, 1000000); V(TS(idk, 0, &n, 0)); usleep(3000); say("thread gone %d", hits); syscall(SYS_timer_delete, idk); sigprocmask(SIG_UNBLOCK, &s, 0);
    /* CPU timers */
    ev = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1}; hits = 0; V(TC(CLOCK_PROCESS_CPUTIME_ID, &ev, &idk)); n = ITS(0, 5000000, 0, 5000000); TS(idk, 0, &n, 0); burn(60); TG(idk, &o); say("cpu timer %d interval %ld", hits >= 2, o.it_interval.tv_nsec); syscall(SYS_timer_delete, idk); V(TC(CLOCK_THREAD_CPUTIME_ID, &ev, &idk)); hits = 0; n = ITS(0, 0, 0, 5000000); TS(idk, 0, &n, 0); burn(40); say("thread cpu timer %d", hits); syscall(SYS_timer_delete, idk);
    /* clocks of others */
    clockid_t cid; V(clock_getcpuclockid(0, &cid)); V(clock_gettime(cid, &t)); V(clock_getcpuclockid(getppid(), &cid)); V(clock_gettime(cid, &t)); V(clock_getcpuclockid(999999, &cid)); cid = (~999999 << 3) | 2; V(clock_gettime(cid, &t)); V(clock_getres(cid, &t)); cid = (~getpid() << 3) | 3; V(clock_gettime(cid, &t)); cid = (~getpid() << 3) | 6; V(clock_gettime(cid, &t)); cid = (~getppid() << 3) | 6; V(clock_gettime(cid, &t)); cid = (~getpid() << 3) | 2; V(clock_settime(cid, &t)); V(clock_getres(cid, &t)); say("%ld", t.tv_nsec); cid = (~0 << 3) | 2; V(clock_gettime(cid, &t)); cid = (~0 << 3) | 6; V(clock_gettime(cid, &t)); for (int c = 0; c < 12; c++) { V(clock_settime(c == 0 || c == CLOCK_TAI ? 13 : c, &t)); }
    /* timerfd */
    #define FC(...) syscall(SYS_timerfd_create, __VA_ARGS__)
    #define FS(...) syscall(SYS_timerfd_settime, __VA_ARGS__)
    #define FG(...) syscall(SYS_timerfd_gettime, __VA_ARGS__)
    for (int c = -1; c < 13; c++) { long k = FC(c, 0); say("timerfd on clock %d: %s", c, k < 0 ? errname(errno) : "ok"); if (k >= 0) close(k); } V(FC(1, 1)); int f = FC(1, TFD_NONBLOCK | TFD_CLOEXEC); say("fl %x %x", fcntl(f, F_GETFL), fcntl(f, F_GETFD)); uint64_t b = 7; V(read(f, &b, 8)); V(read(f, &b, 7)); V(write(f, &b, 8)); V(lseek(f, 0, 0)); n = ITS(0, 0, 0, 1000000000); V(FS(f, 0, &n, 0)); n = ITS(0, 0, 0, 1000000); V(FS(f, 4, &n, 0)); V(FS(f, 8, &n, 0)); V(FS(0, 0, &n, 0)); V(FS(-1, 0, &n, 0)); V(FS(f, 0, 0, 0)); V(FS(f, 0, &n, (void *)8)); V(FG(f, (void *)8)); V(FG(0, &o)); V(FS(f, TFD_TIMER_CANCEL_ON_SET, &n, 0)); V(FS(f, 3, &n, 0));
    n = ITS(0, 1000000, 0, 1000000); FS(f, 0, &n, 0); usleep(20000); V(read(f, &b, 100)); say("many %d", b >= 10); V(read(f, &b, 8) == 8 || errno == EAGAIN); n = ITS(0, 0, 0, 0); FS(f, 0, &n, &o); say("old %ld", o.it_interval.tv_nsec); V(read(f, &b, 8)); n.it_value = in(CLOCK_MONOTONIC, 5); FS(f, 1, &n, 0); struct pollfd pf = {f, POLLIN | POLLOUT}; V(poll(&pf, 1, 1000)); say("%x", pf.revents); V(read(f, &b, 8)); say("%d", (int)b); FG(f, &o); say("over %ld %ld", o.it_value.tv_sec, o.it_value.tv_nsec); n = ITS(0, 0, 1, 0); FS(f, 1, &n, 0); V(read(f, &b, 8)); V(ioctl(f, 0x40085400, &b)); b = 0; V(ioctl(f, 0x40085400, &b)); V(ioctl(f, FIONREAD, &idk)); char pth[64], x[512]; sprintf(pth, "/proc/self/fdinfo/%d", f); int q = open(pth, 0); x[read(q, x, 511)] = 0; for (char *l = strtok(x, "\n"); l; l = strtok(0, "\n")) if (strncmp(l, "mnt_id", 6) && strncmp(l, "ino", 3)) say("  %.9s", l); sprintf(pth, "/proc/self/fd/%d", f); x[readlink(pth, x, 99)] = 0; say("%s", x);
    /* times, adjtimex */
    struct tms tm; V(times(&tm) > 0); V(times(0) > 0); V(syscall(SYS_times, 8)); struct timex tx = {0}; V(adjtimex(&tx) >= 0); say("tick %ld", tx.tick); tx.modes = 0x8000; V(adjtimex((void *)8)); V(clock_adjtime(CLOCK_MONOTONIC, &tx)); V(clock_adjtime(99, &tx)); tx.modes = ADJ_TICK; tx.tick = 1; V(adjtimex(&tx)); struct timeval tv = {0, 1000000}; V(syscall(SYS_settimeofday, &tv, 0)); tv.tv_usec = -1; V(syscall(SYS_settimeofday, &tv, 0)); V(syscall(SYS_settimeofday, 0, 8)); V(syscall(SYS_gettimeofday, 8, 0)); V(syscall(SYS_gettimeofday, 0, 8)); V(syscall(SYS_time, 8)); V(clock_getres(0, 0)); V(syscall(SYS_clock_getres, 0, 8)); V(syscall(SYS_clock_getres, 99, 0));
    return 0;
}
