/* Sleeps, interval timers, timerfd, POSIX timers, clocks. */
#include "t.h"
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/timex.h>
static volatile int hits, value, code;
static void on(int s) { hits++; }
static void info(int s, siginfo_t *i, void *c)
{
    hits++;
    value = i->si_value.sival_int;
    code = i->si_code;
}
static void thread_fn(union sigval v)
{
    value = v.sival_int;
    hits++;
}
static int near(long long t0, long want)
{
    long d = now_ms() - t0;
    return d >= want - 1 && d < want + 400;
}
#define TIMED(ms, e) \
    do { \
        long long t_ = now_ms(); \
        long r_ = (e); \
        int er_ = errno; \
        say("%s: %s, on time %d", #e, r_ == -1 ? errname(er_) : r_ ? errname(r_) : "0", near(t_, ms)); \
    } while (0)
int main(void)
{
    struct timespec t = {0, 30000000}, r, neg = {-1, 0}, big = {0, 1000000000};
    TIMED(30, nanosleep(&t, &r));
    V(nanosleep(&neg, 0));
    V(nanosleep(&big, 0));
    V(nanosleep((void *)8, 0));
    TIMED(30, clock_nanosleep(CLOCK_REALTIME, 0, &t, 0));
    clock_gettime(CLOCK_MONOTONIC, &r);
    r.tv_nsec += 30000000;
    if (r.tv_nsec >= 1000000000) {
        r.tv_sec++;
        r.tv_nsec -= 1000000000;
    }
    TIMED(30, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &r, 0));
    TIMED(0, clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &r, 0));
    TIMED(30, clock_nanosleep(CLOCK_BOOTTIME, 0, &t, 0));
    PT(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, 0));
    PT(clock_nanosleep(99, 0, &t, 0));
    TIMED(20, usleep(20000));
    clockid_t c[] = {CLOCK_REALTIME,
                     CLOCK_MONOTONIC,
                     CLOCK_PROCESS_CPUTIME_ID,
                     CLOCK_THREAD_CPUTIME_ID,
                     CLOCK_MONOTONIC_RAW,
                     CLOCK_REALTIME_COARSE,
                     CLOCK_MONOTONIC_COARSE,
                     CLOCK_BOOTTIME,
                     CLOCK_REALTIME_ALARM,
                     CLOCK_BOOTTIME_ALARM,
                     10,
                     CLOCK_TAI,
                     12,
                     -1};
    for (int i = 0; i < 14; i++) {
        long g = clock_gettime(c[i], &r);
        int ge = errno;
        long rs = syscall(SYS_clock_getres, c[i], &r);
        say("clock %d: %s res %s", c[i], g ? errname(ge) : "ok",
            rs               ? errname(errno)
            : r.tv_nsec == 1 ? "1 ns"
            : r.tv_nsec > 1  ? "coarse"
                             : "0");
    }
    V(syscall(SYS_clock_gettime, 0, (void *)8));
    V(gettimeofday(0, 0));
    struct timeval tv;
    V(syscall(SYS_gettimeofday, &tv, 0));
    V(time(0) > 1000000000);
    long long last = 0;
    int mono = 1;
    for (int i = 0; i < 20000; i++) {
        clock_gettime(CLOCK_MONOTONIC, &r);
        long long n = r.tv_sec * 1000000000LL + r.tv_nsec;
        mono &= n >= last;
        last = n;
        struct timespec k;
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &k);
        n = k.tv_sec * 1000000000LL + k.tv_nsec;
        mono &= n >= last;
        last = n;
    }
    say("monotonic, vdso agrees with the call %d", mono);
    struct timespec a, bb;
    clock_gettime(CLOCK_REALTIME, &a);
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &bb);
    say("realtime agrees %d", bb.tv_sec - a.tv_sec <= 1);
    struct tms tm;
    V(times(&tm) != -1);
    struct timex tx = {0};
    V(adjtimex(&tx) >= 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    msleep(50);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &bb);
    say("asleep uses no CPU %d", (bb.tv_nsec - a.tv_nsec) < 20000000);
    long long t0 = now_ms();
    while (now_ms() - t0 < 60);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    long us = (a.tv_sec - bb.tv_sec) * 1000 + (a.tv_nsec - bb.tv_nsec) / 1000000;
    say("busy counts %d", us > 20 && us < 200);
    /* itimers */
    on_signal(SIGALRM, on, 0);
    on_signal(SIGVTALRM, on, 0);
    on_signal(SIGPROF, on, 0);
    struct itimerval it = {{0, 10000}, {0, 10000}}, o;
    V(setitimer(ITIMER_REAL, &it, 0));
    while (hits < 5) pause();
    it = (struct itimerval){};
    V(setitimer(ITIMER_REAL, &it, &o));
    say("interval %ld remaining sane %d", (long)o.it_interval.tv_usec, o.it_value.tv_usec <= 10000);
    hits = 0;
    it.it_value.tv_usec = 20000;
    setitimer(ITIMER_VIRTUAL, &it, 0);
    msleep(50);
    say("virtual while asleep %d", hits);
    t0 = now_ms();
    while (!hits && now_ms() - t0 < 2000);
    say("virtual %d", hits);
    setitimer(ITIMER_PROF, &it, 0);
    while (hits < 2 && now_ms() - t0 < 4000);
    say("prof %d", hits);
    it.it_value.tv_usec = 1000000;
    V(setitimer(ITIMER_REAL, &it, 0));
    V(setitimer(9, &it, 0));
    V(getitimer(9, &o));
    V(alarm(100));
    V(alarm(0));
    V(alarm(0));
    alarm(50);
    IN_CHILD("not inherited", V(alarm(0)));
    alarm(0);
    /* timerfd */
    int f = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    uint64_t n;
    V(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0));
    V(timerfd_create(1, 99));
    V(read(f, &n, 8));
    V(read(f, &n, 4));
    struct itimerspec s = {{0, 10000000}, {0, 10000000}}, os;
    V(timerfd_settime(f, 0, &s, 0));
    struct pollfd p = {f, POLLIN};
    V(poll(&p, 1, 1000));
    V(read(f, &n, 8));
    msleep(55);
    V(read(f, &n, 8));
    say("several %d", n >= 4 && n <= 10);
    V(timerfd_gettime(f, &os));
    say("left %d", os.it_value.tv_nsec > 0 && os.it_value.tv_nsec <= 10000000);
    s = (struct itimerspec){};
    V(timerfd_settime(f, 0, &s, &os));
    V(poll(&p, 1, 20));
    s.it_value.tv_nsec = 1;
    V(timerfd_settime(f, TFD_TIMER_ABSTIME, &s, 0));
    V(poll(&p, 1, 100));
    V(read(f, &n, 8));
    say("abs past %lu", n);
    s.it_value.tv_nsec = -1;
    V(timerfd_settime(f, 0, &s, 0));
    V(timerfd_settime(f, 8, &s, 0));
    V(timerfd_settime(0, 0, &s, 0));
    V(write(f, &n, 8));
    /* POSIX timers */
    timer_t id;
    struct sigaction sa = {.sa_sigaction = info, .sa_flags = SA_SIGINFO};
    sigaction(SIGRTMIN, &sa, 0);
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 42};
    hits = 0;
    V(timer_create(CLOCK_MONOTONIC, &ev, &id));
    s = (struct itimerspec){{0, 0}, {0, 10000000}};
    V(timer_settime(id, 0, &s, 0));
    while (!hits) pause();
    say("value %d code %d", value, code);
    V(timer_gettime(id, &os));
    V(os.it_value.tv_nsec);
    sigset_t b;
    sigemptyset(&b);
    sigaddset(&b, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &b, 0);
    s.it_interval.tv_nsec = 1000000;
    s.it_value.tv_nsec = 1000000;
    timer_settime(id, 0, &s, 0);
    msleep(50);
    hits = 0;
    sigprocmask(SIG_UNBLOCK, &b, 0);
    say("one signal for many %d, overrun %d", hits >= 1, timer_getoverrun(id) > 10 || hits > 1);
    V(timer_delete(id));
    V(timer_delete(id));
    V(timer_settime(id, 0, &s, 0));
    ev.sigev_notify = SIGEV_NONE;
    V(timer_create(CLOCK_REALTIME, &ev, &id));
    timer_settime(id, 0, &s, 0);
    V(timer_getoverrun(id));
    timer_delete(id);
    ev.sigev_notify = SIGEV_THREAD;
    ev.sigev_notify_function = thread_fn;
    ev.sigev_value.sival_int = 7;
    hits = 0;
    V(timer_create(CLOCK_MONOTONIC, &ev, &id));
    s.it_interval.tv_nsec = 0;
    s.it_value.tv_nsec = 5000000;
    timer_settime(id, 0, &s, 0);
    t0 = now_ms();
    while (!hits && now_ms() - t0 < 2000) msleep(2);
    say("thread %d value %d", hits, value);
    timer_delete(id);
    ev.sigev_notify = SIGEV_SIGNAL;
    ev.sigev_signo = 99;
    V(timer_create(CLOCK_MONOTONIC, &ev, &id));
    V(timer_create(77, NULL, &id));
    hits = 0;
    on_signal(SIGALRM, on, 0);
    V(timer_create(CLOCK_PROCESS_CPUTIME_ID, NULL, &id));
    s.it_value.tv_nsec = 20000000;
    timer_settime(id, 0, &s, 0);
    msleep(50);
    say("cpu timer asleep %d", hits);
    t0 = now_ms();
    while (!hits && now_ms() - t0 < 2000);
    say("cpu timer %d", hits);
    return 0;
}
