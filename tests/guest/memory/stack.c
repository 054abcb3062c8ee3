/* Stacks: growth, deep recursion, limits, GROWSDOWN, guard gap, execution. */
#include "t.h"
#define PG 4096L
static long deep(long n)
{
    volatile char b[1000];
    b[n % 1000] = n;
    return n ? deep(n - 1) + b[n % 1000] * 0 + 1 : 0;
}
static void *thread(void *x) { return (void *)deep((long)x); }
int main(void)
{
    say("7 MiB deep: %ld", deep(6500));
    struct rlimit r;
    getrlimit(RLIMIT_STACK, &r);
    IN_CHILD("unlimited", {
        struct rlimit u = {200L << 20, RLIM_INFINITY};
        V(setrlimit(RLIMIT_STACK, &u));
        say("100 MiB deep: %ld", deep(95000));
    });
    IN_CHILD("overflow", {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        say("%ld", deep(1000000));
    });
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 64 << 20);
    pthread_t t;
    void *v;
    pthread_create(&t, &a, thread, (void *)60000L);
    pthread_join(t, &v);
    say("thread: %ld", (long)v);
    char *g = mmap(0, 64 * PG, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(g, 64 * PG);
    munmap(g - 0, PG);
    IN_CHILD("maps [stack]", {
        FILE *f = fopen("/proc/self/maps", "r");
        char l[300];
        unsigned long s;
        unsigned long e;
        char p[8];
        while (fgets(l, 300, f))
            if (strstr(l, "[stack]")) {
                sscanf(l, "%lx-%lx %7s", &s, &e, p);
                say("%s holds sp %d", p, s <= (unsigned long)&l && (unsigned long)&l < e);
            }
    });
    IN_CHILD("jump far below", {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        volatile char *sp = (char *)__builtin_frame_address(0);
        sp[-(64L << 20)] = 1;
    });
    IN_CHILD("jump within", {
        volatile char *sp = (char *)__builtin_frame_address(0);
        sp[-(3L << 20)] = 1;
        say("fine");
    });
    IN_CHILD("execute stack", {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        volatile unsigned char code[] = {0xc3};
        ((void (*)(void))code)();
    });
    return 0;
}
