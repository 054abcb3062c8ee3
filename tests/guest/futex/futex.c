/* futex operations and their errors; robust lists. */
#include "t.h"
#include <linux/futex.h>
static long fx(void *a, int op, unsigned v, void *t, void *b, unsigned v3)
{ return syscall(SYS_futex, a, op, v, t, b, v3); }
static int w[4];
static volatile int woken;
static void *waiter(void *x)
{
    long r = fx(w, FUTEX_WAIT_PRIVATE, 0, 0, 0, 0);
    __sync_fetch_and_add(&woken, r == 0);
    return 0;
}
static void *bits(void *x)
{
    fx(w, FUTEX_WAIT_BITSET_PRIVATE, 0, 0, 0, (unsigned)(long)x);
    __sync_fetch_and_add(&woken, (int)(long)x);
    return 0;
}
static struct {
    struct robust_list_head head;
    struct {
        struct robust_list list;
        int word;
    } lock;
} rl;
static void *dies(void *x)
{
    rl.head.list.next = &rl.lock.list;
    rl.lock.list.next = &rl.head.list;
    rl.head.futex_offset = (long)&rl.lock.word - (long)&rl.lock.list;
    rl.lock.word = syscall(SYS_gettid) | FUTEX_WAITERS;
    syscall(SYS_set_robust_list, &rl.head, sizeof rl.head);
    syscall(SYS_exit, 0);
    return 0;
}
int main(void)
{
    struct timespec t = {0, 20000000}, bad = {0, 1000000000}, past = {1, 0};
    V(fx(w, FUTEX_WAIT, 1, 0, 0, 0));
    V(fx(w, FUTEX_WAIT, 0, &t, 0, 0));
    V(fx(w, FUTEX_WAIT, 0, &bad, 0, 0));
    V(fx((void *)8, FUTEX_WAIT, 0, &t, 0, 0));
    V(fx((char *)w + 1, FUTEX_WAIT, 0, &t, 0, 0));
    V(fx((char *)w + 1, FUTEX_WAKE, 0, 0, 0, 0));
    V(fx((void *)4096, FUTEX_WAKE, 1, 0, 0, 0));
    V(fx((void *)4096, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0));
    V(fx(w, FUTEX_WAKE, 1, 0, 0, 0));
    V(fx(w, 99, 0, 0, 0, 0));
    V(fx(w, FUTEX_WAIT_BITSET, 0, &past, 0, -1));
    V(fx(w, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &past, 0, -1));
    V(fx(w, FUTEX_WAIT_BITSET, 0, &t, 0, 0));
    V(fx(w, FUTEX_WAKE_BITSET, 1, 0, 0, 0));
    V(fx(w, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, 0, 0, 0));
    pthread_t th[6];
    for (int i = 0; i < 6; i++) pthread_create(&th[i], 0, waiter, 0);
    msleep(60);
    V(fx(w, FUTEX_WAKE_PRIVATE, 2, 0, 0, 0));
    msleep(30);
    V(woken);
    V(fx(w, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, w + 1, 5));
    V(fx(w, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, w + 1, 0));
    msleep(30);
    V(woken);
    V(fx(w, FUTEX_WAKE_PRIVATE, 9, 0, 0, 0));
    V(fx(w + 1, FUTEX_WAKE_PRIVATE, 9, 0, 0, 0));
    for (int i = 0; i < 6; i++) pthread_join(th[i], 0);
    V(woken);
    V(fx(w, FUTEX_REQUEUE, 0, (void *)0, w + 1, 0));
    V(fx(w, FUTEX_REQUEUE, -1, (void *)0, w + 1, 0));
    woken = 0;
    for (long i = 0; i < 3; i++) pthread_create(&th[i], 0, bits, (void *)(1L << i));
    msleep(50);
    V(fx(w, FUTEX_WAKE_BITSET_PRIVATE, 9, 0, 0, 2));
    msleep(20);
    V(woken);
    V(fx(w, FUTEX_WAKE_BITSET_PRIVATE, 9, 0, 0, 5));
    for (int i = 0; i < 3; i++) pthread_join(th[i], 0);
    V(woken);
    w[2] = 5;
    V(fx(w, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, w + 2, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5)));
    V(w[2]);
    V(fx(w, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, w + 2, FUTEX_OP(FUTEX_OP_ANDN, 8, FUTEX_OP_CMP_GT, 5)));
    V(w[2]);
    /* Between processes: shared anonymous memory, a file, and a private page that isn't. */
    int *s = mmap(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t p = fork();
    if (!p) {
        long r = fx(s, FUTEX_WAIT, 0, 0, 0, 0);
        _exit(r == 0 ? 5 : 6);
    }
    wait_state(p, 'S');
    msleep(10);
    V(fx(s, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0));
    V(fx(s, FUTEX_WAKE, 1, 0, 0, 0));
    int st;
    wait(&st);
    say("%s", status_words(st));
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    ftruncate(fd, 4096);
    int *m1 = mmap(0, 4096, 3, MAP_SHARED, fd, 0), *m2 = mmap(0, 4096, 3, MAP_SHARED, fd, 0);
    p = fork();
    if (!p) _exit(fx(m1, FUTEX_WAIT, 0, 0, 0, 0) == 0 ? 5 : 6);
    wait_state(p, 'S');
    msleep(10);
    V(fx(m2, FUTEX_WAKE, 1, 0, 0, 0));
    wait(&st);
    say("%s", status_words(st));
    /* Robust lists */
    pthread_t d;
    pthread_create(&d, 0, dies, 0);
    pthread_join(d, 0);
    say("owner died %d, waiters %d, tid %d", !!(rl.lock.word & FUTEX_OWNER_DIED),
        !!(rl.lock.word & FUTEX_WAITERS), rl.lock.word & FUTEX_TID_MASK);
    V(syscall(SYS_set_robust_list, &rl.head, 5));
    void *hp;
    size_t hl;
    V(syscall(SYS_get_robust_list, 0, &hp, &hl));
    V(hl);
    V(syscall(SYS_get_robust_list, 999999, &hp, &hl));
    pthread_mutex_t *m = mmap(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&a, 1);
    pthread_mutex_init(m, &a);
    IN_CHILD("holder dies", { pthread_mutex_lock(m); });
    PT(pthread_mutex_lock(m));
    PT(pthread_mutex_consistent(m));
    PT(pthread_mutex_unlock(m));
    PT(pthread_mutex_lock(m));
    PT(pthread_mutex_trylock(m));
    pthread_mutex_unlock(m);
    /* Priority inheritance and futex_waitv. */
    int pi = 0;
    V(fx(&pi, FUTEX_LOCK_PI, 0, 0, 0, 0));
    V((pi & FUTEX_TID_MASK) == getpid());
    V(fx(&pi, FUTEX_LOCK_PI, 0, 0, 0, 0));
    V(fx(&pi, FUTEX_TRYLOCK_PI, 0, 0, 0, 0));
    V(fx(&pi, FUTEX_UNLOCK_PI, 0, 0, 0, 0));
    V(pi);
    V(fx(&pi, FUTEX_UNLOCK_PI, 0, 0, 0, 0));
    return 0;
}
