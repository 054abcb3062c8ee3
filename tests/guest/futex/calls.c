/* futex in full: errors, WAKE_OP, PI locks and requeueing to them, futex_waitv, futex_wake, futex_wait, futex_requeue. */
#include "t.h"
#include <linux/futex.h>
static long fx(void *a, int op, unsigned v, void *t, void *b, unsigned v3) { return syscall(SYS_futex, a, op, v, t, b, v3); }
static int w[16]; static volatile int st_;
static volatile long res; static volatile int err_; static volatile pid_t wtid;
struct arg { void *a; int op; unsigned v; void *t; void *b; unsigned v3; };
static void *call(void *x) { struct arg *r = x; wtid = syscall(SYS_gettid); long v = fx(r->a, r->op, r->v, r->t, r->b, r->v3); err_ = errno; res = v; return 0; }
static void start(pthread_t *t, struct arg *a) { wtid = 0; res = -99; pthread_create(t, 0, call, a); while (!wtid) usleep(100); char p[64], s[512]; for (int i = 0; i < 300; i++) { sprintf(p, "/proc/self/task/%d/stat", wtid); int f = open(p, 0); int n = read(f, s, 511); close(f); s[n > 0 ? n : 0] = 0; char *q = strrchr(s, ')'); if (q && q[2] == 'S') break; usleep(1000); } usleep(2000); }
static void fin(const char *l, pthread_t t) { pthread_join(t, 0); say("%s: %s", l, res < 0 ? errname(err_) : res ? "n" : "0"); }
struct wv { uint64_t val, uaddr; uint32_t flags, reserved; };
static long waitv(void *v, unsigned n, unsigned f, void *t, int c) { return syscall(449, v, n, f, t, c); }
static long f2wake(void *a, unsigned long m, int n, unsigned f) { return syscall(454, a, m, n, f); }
static long f2wait(void *a, unsigned long v, unsigned long m, unsigned f, void *t, int c) { return syscall(455, a, v, m, f, t, c); }
static long f2rq(void *a, unsigned f, int nw, int nr) { return syscall(456, a, f, nw, nr); }
static void *wake_later(void *x) { usleep(30000); f2wake(x, -1, 1, FUTEX_PRIVATE_FLAG | 2); fx(x, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0); return 0; }
static void on(int s) {}
int main(void)
{
    setvbuf(stdout,0,_IONBF,0);
    pthread_t t; struct timespec now, soon, neg = {-1, 0}, negn = {0, -1}, zero = {0,0}; 
    #define ABS(c, ms) (clock_gettime(c, &soon), soon.tv_nsec += (ms) * 1000000L, soon.tv_nsec >= 1000000000 ? (soon.tv_nsec -= 1000000000, soon.tv_sec++) : 0, &soon)
    V(fx(w, FUTEX_WAIT, 0, &neg, 0, 0)); V(fx(w, FUTEX_WAIT, 0, &negn, 0, 0)); V(fx(w, FUTEX_WAIT, 0, (void *)8, 0, 0)); V(fx(w, FUTEX_WAIT, 0, &zero, 0, 0)); V(fx(w, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 0, &zero, 0, 0));
    V(fx(w, FUTEX_FD, 0, 0, 0, 0)); V(fx(w, 4, 0,0,0,0)); V(fx(w, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 1, 0, 0, 1)); V(fx(w, FUTEX_CMP_REQUEUE | FUTEX_CLOCK_REALTIME, 0, 0, w + 1, 0)); V(fx(w, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, 0,&zero,0,0)); V(fx(w, FUTEX_WAIT | 0x400, 0, &zero, 0, 0)); 
    w[0] = 0;
    V(fx(w, FUTEX_WAIT_BITSET, 0, ABS(CLOCK_MONOTONIC, 20), 0, 1)); V(fx(w, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, ABS(CLOCK_REALTIME, 20), 0, 1)); 
    V(fx((void *)8, FUTEX_WAKE, 1, 0, 0, 0)); V(fx((void *)0x800000000000, FUTEX_WAKE, 1, 0, 0, 0)); V(fx((void *)0x800000000000, FUTEX_WAIT, 1, 0, 0, 0)); V(fx((void *)-4, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0));
    char *ro = mmap(0, 4096, 1, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *no = mmap(0, 4096, 0, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    V(fx(ro, FUTEX_WAIT, 0, &zero, 0, 0)); V(fx(ro, FUTEX_WAKE, 1, 0, 0, 0)); V(fx(no, FUTEX_WAIT, 0, &zero, 0, 0)); V(fx(no, FUTEX_WAKE, 1, 0, 0, 0)); V(fx(no, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0)); V(fx(ro, FUTEX_WAKE_OP, 1, (void *)1, ro, 0)); V(fx(w, FUTEX_WAKE_OP, 1, (void *)1, no, 0)); V(fx(w, FUTEX_WAKE_OP, 1, (void *)1, (void *)8, 0)); V(fx(ro, FUTEX_LOCK_PI, 0, 0, 0, 0)); V(fx(no, FUTEX_LOCK_PI, 0, 0, 0, 0));
    /* WAKE_OP: all operators and comparisons */
    for (int op = 0; op < 6; op++) { w[2] = 12; V(fx(w, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, w + 2, FUTEX_OP(op, 5, 0, 12))); V(w[2]); }
    for (int c = 0; c < 8; c++) { w[2] = 3; V(fx(w, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, w + 2, FUTEX_OP(0, 1, c, 3))); }
    w[2] = 0; V(fx(w, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, w + 2, FUTEX_OP(8 | 2, 3, 0, 0))); V(w[2]); V(fx(w, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, w + 2, FUTEX_OP(8 | 2, 40, 0, 0))); V(w[2]); w[2]=-5; V(fx(w, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, w + 2, FUTEX_OP(1, -1, 2, -4))); V(w[2]);
    struct arg a = {w + 2, FUTEX_WAIT_PRIVATE, 0}; w[2] = 0; start(&t, &a); V(fx(w, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, w + 2, FUTEX_OP(0, 1, 0, 0))); fin("woken by op", t);
    a = (struct arg){w + 2, FUTEX_WAIT_PRIVATE, 0}; w[2] = 0; start(&t, &a); V(fx(w, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, w + 2, FUTEX_OP(0, 1, 0, 9))); V(fx(w + 2, FUTEX_WAKE_PRIVATE, INT_MAX, 0, 0, 0)); fin("not woken by op", t);
    V(fx(w, FUTEX_WAKE_PRIVATE, -1, 0, 0, 0)); V(fx(w, FUTEX_WAKE_PRIVATE, INT_MIN, 0,0,0));
    /* wake 0 wakes one? */
    a = (struct arg){w, FUTEX_WAIT_PRIVATE, 0}; w[0] = 0; start(&t, &a); V(fx(w, FUTEX_WAKE_PRIVATE, 0, 0, 0, 0)); V(fx(w, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0)); fin("wake 0", t);
    /* requeue to the same, misaligned, faulting */
    V(fx(w, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1, w, 0)); V(fx(w, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1, (char *)w + 1, 0)); V(fx(w, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)-1, w + 1, 0)); V(fx(w, FUTEX_CMP_REQUEUE, 1, (void *)1, (void *)8, 0)); V(fx((void *)4096, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1, w, 0));
    a = (struct arg){w, FUTEX_WAIT_PRIVATE, 0}; start(&t, &a); V(fx(w, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)1, w + 1, 0)); V(fx(w, FUTEX_WAKE_PRIVATE, 1, 0,0,0)); V(fx(w + 1, FUTEX_WAKE_PRIVATE, 1, 0,0,0)); fin("requeued", t);
    /* PI */
    int pi = 0, pi2; 
    V(fx(&pi, FUTEX_LOCK_PI_PRIVATE, 0, 0, 0, 0)); a = (struct arg){&pi, FUTEX_LOCK_PI_PRIVATE, 0, ABS(CLOCK_REALTIME, 40)}; start(&t, &a); say("waiters bit %d", !!(pi & FUTEX_WAITERS)); fin("lock_pi timeout", t); say("waiters bit %d", !!(pi & FUTEX_WAITERS)); 
    a = (struct arg){&pi, FUTEX_TRYLOCK_PI_PRIVATE}; start(&t, &a); fin("trylock_pi", t);
    a = (struct arg){&pi, FUTEX_UNLOCK_PI_PRIVATE}; start(&t, &a); fin("unlock not mine", t);
    a = (struct arg){&pi, FUTEX_LOCK_PI_PRIVATE}; start(&t, &a); pid_t wt = wtid; V(fx(&pi, FUTEX_UNLOCK_PI_PRIVATE, 0, 0, 0, 0)); pthread_join(t, 0); say("handed %ld owner right %d died %d", res, (pi & FUTEX_TID_MASK) == wt, !!(pi & FUTEX_OWNER_DIED)); V(fx(&pi, FUTEX_LOCK_PI_PRIVATE, 0, ABS(CLOCK_REALTIME, 20), 0, 0)); V(fx(&pi, FUTEX_TRYLOCK_PI_PRIVATE,0,0,0,0));
    pi = 999999; V(fx(&pi, FUTEX_LOCK_PI_PRIVATE, 0, 0, 0, 0)); V(pi); V(fx(&pi, FUTEX_TRYLOCK_PI_PRIVATE, 0, 0, 0, 0)); V(fx(&pi, FUTEX_UNLOCK_PI_PRIVATE, 0, 0, 0, 0)); pi = FUTEX_OWNER_DIED; V(fx(&pi, FUTEX_LOCK_PI_PRIVATE, 0, 0, 0, 0)); say("died kept %d mine %d", !!(pi & FUTEX_OWNER_DIED), (pi & FUTEX_TID_MASK) == getpid()); V(fx(&pi, FUTEX_UNLOCK_PI_PRIVATE,0,0,0,0)); V(pi);
    pi = 0; V(fx(&pi, FUTEX_LOCK_PI2_PRIVATE, 0, 0, 0, 0)); a = (struct arg){&pi, FUTEX_LOCK_PI2_PRIVATE, 0, ABS(CLOCK_MONOTONIC, 30)}; start(&t, &a); fin("lock_pi2", t); a = (struct arg){&pi, FUTEX_LOCK_PI2_PRIVATE | FUTEX_CLOCK_REALTIME, 0, ABS(CLOCK_REALTIME, 30)}; start(&t, &a); fin("lock_pi2 rt", t); V(fx(&pi, FUTEX_UNLOCK_PI_PRIVATE,0,0,0,0)); V(pi);
    V(fx(&pi, FUTEX_LOCK_PI_PRIVATE, 0, &negn, 0, 0)); V(fx(&pi, FUTEX_WAIT_PRIVATE, 5, 0, 0, 0)); V(fx(&pi, FUTEX_UNLOCK_PI_PRIVATE,0,0,0,0)); V(fx((char *)&pi + 1, FUTEX_LOCK_PI_PRIVATE,0,0,0,0));
    /* requeue pi */
    pi = 0; w[0] = 0; V(fx(w, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 1, 0, &pi, 0)); V(fx(w, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, 0, w, 0)); V(fx(w, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, ABS(CLOCK_MONOTONIC, 20), &pi, 0)); V(fx(w, FUTEX_CMP_REQUEUE_PI_PRIVATE, 2, 0, &pi, 0)); V(fx(w, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, 0, &pi, 5)); V(fx(w, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, 0, w, 0)); V(fx(w, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, 0, &pi, 0));
    a = (struct arg){w, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, 0, &pi}; start(&t, &a); V(fx(w, FUTEX_WAKE_PRIVATE, 1, 0,0,0)); V(fx(w, FUTEX_REQUEUE_PRIVATE, 1, (void*)1, w+1,0)); V(fx(w, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, 0, w + 5, 0)); V(fx(w, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)INT_MAX, &pi, 0)); wt = wtid; fin("requeue_pi got", t); say("owner %d", (pi & FUTEX_TID_MASK) == wt);
    pi = 0; V(fx(&pi, FUTEX_LOCK_PI_PRIVATE,0,0,0,0)); a = (struct arg){w, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, 0, &pi}; start(&t, &a); V(fx(w, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)INT_MAX, &pi, 0)); usleep(20000); V(res); V(fx(&pi, FUTEX_UNLOCK_PI_PRIVATE,0,0,0,0)); fin("requeue_pi waited", t); 
    /* waitv */
    struct wv v[3] = {{0, (long)w, FUTEX_PRIVATE_FLAG | 2}, {0, (long)(w + 1), FUTEX_PRIVATE_FLAG | 2}, {0, (long)(w + 2), 2}}; memset(w, 0, sizeof w);
    V(waitv(v, 0, 0, 0, 0)); V(waitv(v, 129, 0, 0, 0)); V(waitv(v, 3, 1, 0, 0)); V(waitv(0, 3, 0, 0, 0)); V(waitv((void *)8, 3, 0, 0, 0)); V(waitv(v, 3, 0, ABS(CLOCK_MONOTONIC, 20), CLOCK_MONOTONIC)); V(waitv(v, 3, 0, ABS(CLOCK_REALTIME, 20), CLOCK_REALTIME)); V(waitv(v, 3, 0, &soon, CLOCK_BOOTTIME)); V(waitv(v, 3, 0, &negn, CLOCK_MONOTONIC)); v[1].val = 1; V(waitv(v, 3, 0, 0, 0)); v[1].val = 0; v[1].flags = 1; V(waitv(v, 3, 0, 0, 0)); v[1].flags = 0x1002; V(waitv(v, 3, 0, 0, 0)); v[1].flags = 2; v[1].reserved = 1; V(waitv(v, 3, 0, 0, 0)); v[1].reserved = 0; v[1].uaddr++; V(waitv(v, 3, 0, 0, 0)); v[1].uaddr = 4096; V(waitv(v, 3, 0, 0, 0)); v[1].uaddr = (long)(w + 1); v[1].flags |= FUTEX_PRIVATE_FLAG; v[0].val = 0x100000000; V(waitv(v, 3, 0, 0, 0)); v[0].val = 0;
    pthread_create(&t, 0, wake_later, w + 1); V(waitv(v, 3, 0, ABS(CLOCK_MONOTONIC, 2000), CLOCK_MONOTONIC)); pthread_join(t, 0);
    on_signal(SIGALRM, on, SA_RESTART); struct itimerval it = {{0}, {0, 30000}}; setitimer(ITIMER_REAL, &it, 0); V(waitv(v, 3, 0, ABS(CLOCK_MONOTONIC, 100), CLOCK_MONOTONIC)); on_signal(SIGALRM, on, 0); setitimer(ITIMER_REAL, &it, 0); V(waitv(v, 3, 0, ABS(CLOCK_MONOTONIC, 100), CLOCK_MONOTONIC));
    /* futex2 */
    #define F2 (FUTEX_PRIVATE_FLAG | 2)
    V(f2wake(w, -1, 1, F2)); V(f2wake(w, 0, 1, F2)); V(f2wake(w, 1UL << 32, 1, F2)); V(f2wake(w, 0xffffffffUL, 1, F2)); V(f2wake(w, 0xffffffff, 1, 0)); V(f2wake(w, 0xffffffff, 1, 1)); V(f2wake(w, 0xffffffff, 1, 3)); V(f2wake(w, 0xffffffff, 1, 0x1002)); V(f2wake((char *)w + 1, 0xffffffff, 1, F2)); V(f2wake((void *)4096, 0xffffffff, 1, 2)); V(f2wake(w, 0xffffffff, 0, F2)); V(f2wake(w, 0xffffffff, -1, F2));
    V(f2wait(w, 1, 0xffffffff, F2, 0, 0)); V(f2wait(w, 0, 0, F2, 0, 0)); V(f2wait(w, 0, 0xffffffff, F2, ABS(CLOCK_MONOTONIC, 20), CLOCK_MONOTONIC)); V(f2wait(w, 0, 0xffffffff, F2, ABS(CLOCK_REALTIME, 20), CLOCK_REALTIME)); V(f2wait(w, 0, 0xffffffff, F2, &soon, 5)); V(f2wait(w, 1UL << 32, 0xffffffff, F2, 0, 0)); V(f2wait(w, 0, 0xffffffff, 0x1002, 0, 0)); V(f2wait(w, 0, 0xffffffff, F2, &negn, 1)); v[0].flags = v[1].flags = F2; w[3] = 0; V(f2rq(v, 0, 1, 1)); V(f2rq(v, 1, 1, 1)); V(f2rq(0, 0, 1, 1)); V(f2rq(v, 0, -1, 1)); V(f2rq(v, 0, 1, -1)); v[0].val = 7; V(f2rq(v, 0, 1, 1)); v[0].val = 0; v[1].flags = 2; V(f2rq(v, 0, 1, 1)); v[1].flags = F2; a = (struct arg){w, FUTEX_WAIT_PRIVATE, 0}; start(&t, &a); V(f2rq(v, 0, 0, 1)); V(f2wake(w + 1, 1, 1, F2)); fin("f2 requeued", t);
    return 0;
}
