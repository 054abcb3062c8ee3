/* Code written at run time: W^X flips, RWX, double mapping, many threads
 * running it, rewriting code that has run. */
#include "t.h"
#define PG 4096L
typedef int (*fn)(void);
static void emit(unsigned char *p, int v)
{
    p[0] = 0xb8;
    memcpy(p + 1, &v, 4);
    p[5] = 0xc3;
}
static unsigned char *x;
static void *run(void *a)
{
    long s = 0;
    for (int i = 0; i < 10000; i++) s += ((fn)x)();
    return (void *)s;
}
int main(void)
{
    x = mmap(0, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 1; i < 200; i++) {
        mprotect(x, PG, PROT_READ | PROT_WRITE);
        emit(x, i);
        mprotect(x, PG, PROT_READ | PROT_EXEC);
        if (((fn)x)() != i) say("wrong %d", i);
    }
    say("flips done");
    mprotect(x, PG, 7);
    for (int i = 1; i < 200; i++) {
        emit(x, i);
        if (((fn)x)() != i) say("wrong %d", i);
    }
    say("rwx done");
    int m = memfd_create("jit", 0);
    ftruncate(m, PG);
    unsigned char *w = mmap(0, PG, PROT_READ | PROT_WRITE, MAP_SHARED, m, 0);
    x = mmap(0, PG, PROT_READ | PROT_EXEC, MAP_SHARED, m, 0);
    for (int i = 1; i < 200; i++) {
        emit(w, i);
        if (((fn)x)() != i) say("wrong %d", i);
    }
    say("double mapping done");
    emit(w, 3);
    pthread_t t[4];
    for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, run, 0);
    void *v;
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], &v);
        say("%ld", (long)v);
    }
    /* A system call instruction made at run time, and one that is overwritten. */
    unsigned char sys[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};
    memcpy(w + 64, sys, 8);
    say("getpid %d", ((fn)(x + 64))() == getpid());
    for (int i = 0; i < 1000; i++) ((fn)(x + 64))();
    w[65] = 110;
    say("getppid %d", ((fn)(x + 64))() == getppid());
    emit(w + 64, 5);
    say("no call %d", ((fn)(x + 64))());
    IN_CHILD("exec only", {
        unsigned char *p = mmap(0, PG, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        emit(p, 9);
        say("mprotect %d", mprotect(p, PG, PROT_EXEC));
        say("%d", ((fn)p)());
    });
    return 0;
}
