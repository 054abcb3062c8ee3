/* Threads under load: mutex, condition, barrier, rwlock, semaphore, once,
 * thread-local data, cancellation, many threads.
 * timeout: 40
 */
#include "t.h"
#include <semaphore.h>
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER, d = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t b;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static sem_t s;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static long count, queue, taken, onces, serial;
static __thread long mine;
static long rwv[2];
static void first(void) { onces++; }
static void *add(void *x)
{
    for (int i = 0; i < 50000; i++) {
        pthread_mutex_lock(&m);
        count++;
        pthread_mutex_unlock(&m);
        mine++;
    }
    pthread_once(&once, first);
    return (void *)mine;
}
static void *produce(void *x)
{
    for (int i = 0; i < 3000; i++) {
        pthread_mutex_lock(&m);
        while (queue >= 4) pthread_cond_wait(&d, &m);
        queue++;
        pthread_cond_signal(&c);
        pthread_mutex_unlock(&m);
    }
    return 0;
}
static void *consume(void *x)
{
    for (int i = 0; i < 3000; i++) {
        pthread_mutex_lock(&m);
        while (!queue) pthread_cond_wait(&c, &m);
        queue--;
        taken++;
        pthread_cond_signal(&d);
        pthread_mutex_unlock(&m);
    }
    return 0;
}
static void *meet(void *x)
{
    for (int i = 0; i < 300; i++)
        if (pthread_barrier_wait(&b) == PTHREAD_BARRIER_SERIAL_THREAD) __sync_fetch_and_add(&serial, 1);
    return 0;
}
static void *readers(void *x)
{
    long bad = 0;
    for (int i = 0; i < 3000; i++) {
        if ((long)x && i % 10 == 0) {
            pthread_rwlock_wrlock(&rw);
            rwv[0]++;
            rwv[1]++;
            pthread_rwlock_unlock(&rw);
        } else {
            pthread_rwlock_rdlock(&rw);
            bad += rwv[0] != rwv[1];
            pthread_rwlock_unlock(&rw);
        }
    }
    return (void *)bad;
}
static void *sleeper(void *x)
{
    for (;;) pause();
}
static void clean(void *x) { ++*(int *)x; }
static void *cancelled(void *x)
{
    pthread_cleanup_push(clean, x);
    for (;;) {
        char ch;
        int p[2];
        pipe(p);
        read(p[0], &ch, 1);
    }
    pthread_cleanup_pop(0);
}
static void *tiny(void *x) { return (char *)x + 1; }
static void *held(void *x)
{
    sem_wait(&s);
    return 0;
}
int main(void)
{
    pthread_t t[8];
    void *r;
    long sum = 0;
    for (int i = 0; i < 8; i++) pthread_create(&t[i], 0, add, 0);
    for (int i = 0; i < 8; i++) {
        pthread_join(t[i], &r);
        sum += (long)r;
    }
    say("count %ld tls %ld onces %ld", count, sum, onces);
    for (int i = 0; i < 4; i++) {
        pthread_create(&t[i], 0, produce, 0);
        pthread_create(&t[4 + i], 0, consume, 0);
    }
    for (int i = 0; i < 8; i++) pthread_join(t[i], 0);
    say("taken %ld left %ld", taken, queue);
    pthread_barrier_init(&b, 0, 6);
    for (int i = 0; i < 6; i++) pthread_create(&t[i], 0, meet, 0);
    for (int i = 0; i < 6; i++) pthread_join(t[i], 0);
    say("rounds %ld", serial);
    sum = 0;
    for (long i = 0; i < 6; i++) pthread_create(&t[i], 0, readers, (void *)i);
    for (int i = 0; i < 6; i++) {
        pthread_join(t[i], &r);
        sum += (long)r;
    }
    say("torn %ld writes %ld", sum, rwv[0]);
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    ts.tv_nsec += 20000000;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&m);
    PT(pthread_cond_timedwait(&c, &m, &ts));
    pthread_mutex_unlock(&m);
    sem_init(&s, 0, 0);
    V(sem_timedwait(&s, &ts));
    V(sem_trywait(&s));
    int cleaned = 0;
    pthread_create(&t[0], 0, cancelled, &cleaned);
    msleep(20);
    pthread_cancel(t[0]);
    pthread_join(t[0], &r);
    say("cancelled %d cleaned %d", r == PTHREAD_CANCELED, cleaned);
    pthread_create(&t[0], 0, sleeper, 0);
    pthread_cancel(t[0]);
    pthread_join(t[0], &r);
    say("cancelled %d", r == PTHREAD_CANCELED);
    long ok = 0;
    for (long i = 0; i < 2000; i++) {
        pthread_create(&t[0], 0, tiny, (void *)i);
        pthread_join(t[0], &r);
        ok += (long)r == i + 1;
    }
    say("sequential %ld", ok);
    static pthread_t many[1000];
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 32768);
    int made = 0;
    while (made < 1000 && !pthread_create(&many[made], &a, held, 0)) made++;
    say("threads at once %d", made);
    for (int i = 0; i < made; i++) sem_post(&s);
    for (int i = 0; i < made; i++) pthread_join(many[i], 0);
    pthread_mutex_t e;
    pthread_mutexattr_t ma;
    pthread_mutexattr_init(&ma);
    pthread_mutexattr_settype(&ma, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&e, &ma);
    PT(pthread_mutex_lock(&e));
    PT(pthread_mutex_lock(&e));
    PT(pthread_mutex_unlock(&e));
    PT(pthread_mutex_unlock(&e));
    return 0;
}
