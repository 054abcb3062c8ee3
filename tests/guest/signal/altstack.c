/* sigaltstack: on and off it, stack overflow, AUTODISARM, errors. */
#include "t.h"
#include <setjmp.h>
#include <sys/auxv.h>
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

static char *alt;
static size_t size;
static sigjmp_buf back;
static int on_alt(void)
{
    char c;
    return &c >= alt && &c < alt + size;
}
static void on(int s)
{
    stack_t o;
    sigaltstack(NULL, &o);
    say("on alt %d flags %x", on_alt(), (unsigned)o.ss_flags);
    if (on_alt() && s == SIGUSR1) {
        stack_t n = {alt, 0, size};
        V(sigaltstack(&n, NULL));
    }
}
static void overflow(int s)
{
    say("overflow caught on alt %d", on_alt());
    siglongjmp(back, 1);
}
static int recurse(int n)
{
    volatile char b[4096];
    b[0] = n;
    return recurse(n + 1) + b[0];
}
static void nested(int s) { say("nested on alt %d", on_alt()); }
static void outer(int s)
{
    raise(SIGUSR2);
    say("outer on alt %d", on_alt());
}
static void *thread(void *x)
{
    stack_t o;
    sigaltstack(NULL, &o);
    say("thread has none: %d", o.ss_flags == SS_DISABLE);
    return x;
}

int main(void)
{
    stack_t o, n = {0};
    size = getauxval(AT_MINSIGSTKSZ) + 65536;
    alt = mmap(0, size, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigaltstack(NULL, &o);
    say("start: flags %x size %zu", o.ss_flags, o.ss_size);
    n = (stack_t){alt, 0, 100};
    V(sigaltstack(&n, NULL));
    n = (stack_t){alt, 5, size};
    V(sigaltstack(&n, NULL));
    V(sigaltstack((void *)8, NULL));
    n = (stack_t){alt, 0, size};
    V(sigaltstack(&n, NULL));
    V(sigaltstack(NULL, (void *)8));
    on_signal(SIGUSR1, on, 0);
    raise(SIGUSR1);
    on_signal(SIGUSR1, on, SA_ONSTACK);
    raise(SIGUSR1);
    on_signal(SIGUSR1, outer, SA_ONSTACK);
    on_signal(SIGUSR2, nested, SA_ONSTACK);
    raise(SIGUSR1);
    struct rlimit r = {512 << 10, RLIM_INFINITY};
    setrlimit(RLIMIT_STACK, &r);
    on_signal(SIGSEGV, overflow, SA_ONSTACK);
    if (!sigsetjmp(back, 1)) recurse(0);
    if (!sigsetjmp(back, 1)) recurse(0);
    n = (stack_t){alt, SS_AUTODISARM, size};
    V(sigaltstack(&n, NULL));
    on_signal(SIGUSR2, on, SA_ONSTACK);
    raise(SIGUSR2);
    sigaltstack(NULL, &o);
    say("after: %x", (unsigned)o.ss_flags);
    pthread_t t;
    pthread_create(&t, 0, thread, 0);
    pthread_join(t, 0);
    pid_t p = fork();
    if (!p) {
        sigaltstack(NULL, &o);
        say("child keeps it: %d", o.ss_sp == alt);
        _exit(0);
    }
    waitpid(p, 0, 0);
    n = (stack_t){0, SS_DISABLE, 0};
    V(sigaltstack(&n, &o));
    sigaltstack(NULL, &o);
    say("disabled: %x", o.ss_flags);
    return 0;
}
