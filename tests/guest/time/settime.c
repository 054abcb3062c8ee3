/* Setting the clock: seen by all, monotonic untouched, absolute timers follow.
 * The clock is put back; only differences are printed.
 * needs: root
 */
#include "t.h"
#include <sys/timerfd.h>
#ifndef TFD_TIMER_CANCEL_ON_SET
#define TFD_TIMER_CANCEL_ON_SET 2
#endif
int main(void)
{
    struct timespec a, b, bad = {0, -1}, old = {-1, 0};
    V(clock_settime(CLOCK_MONOTONIC, &a));
    V(clock_settime(CLOCK_REALTIME, &bad));
    V(clock_settime(CLOCK_REALTIME, &old));
    V(clock_settime(99, &a));
    V(syscall(SYS_settimeofday, (void *)8, 0));
    IN_CHILD("not root", {
        setuid(1000);
        clock_gettime(CLOCK_REALTIME, &a);
        V(clock_settime(CLOCK_REALTIME, &a));
        V(settimeofday(&(struct timeval){1, 1}, 0));
    });
    int f = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    clock_gettime(CLOCK_REALTIME, &a);
    struct itimerspec far = {.it_value = {a.tv_sec + 2, 0}};
    V(timerfd_settime(f, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, 0));
    int g = timerfd_create(CLOCK_REALTIME, 0);
    timerfd_settime(g, TFD_TIMER_ABSTIME, &far, 0);
    long long m = now_ms();
    clock_gettime(CLOCK_REALTIME, &a);
    struct timespec ahead = {a.tv_sec + 4, a.tv_nsec};
    int r = clock_settime(CLOCK_REALTIME, &ahead);
    clock_gettime(CLOCK_REALTIME, &b);
    struct pollfd p[2] = {{f, POLLIN}, {g, POLLIN}};
    /* The first one ready would end the wait: both have the time to be. */
    msleep(300);
    int ready = poll(p, 2, 500);
    uint64_t n;
    long c = read(f, &n, 8);
    int ce = errno;
    b.tv_sec -= 4;
    clock_settime(CLOCK_REALTIME, &b);
    say("set: %s", r ? errname(errno) : "ok");
    say("moved %d, monotonic didn't %d", b.tv_sec - a.tv_sec < 2, now_ms() - m < 5000);
    say("timers ready %d, cancelled %s", ready, c < 0 ? errname(ce) : "no");
    say("absolute timer fired %d", p[1].revents & POLLIN);
    return 0;
}
