/* Programs that use GS for themselves: arch_prctl, wrgsbase where the processor
 * has it; what threads, signals, fork, exec and preemption make of it.
 */
#include "t.h"
#include <asm/prctl.h>
#include <elf.h>
#include <sys/auxv.h>
#include <sys/ucontext.h>

#ifndef HWCAP2_FSGSBASE
#define HWCAP2_FSGSBASE 2
#endif

static long area[8][512];
static int direct;

static long base(void)
{
    unsigned long at = 1;
    syscall(SYS_arch_prctl, ARCH_GET_GS, &at);
    return at;
}
static long word(void)
{
    long v;
    asm volatile("mov %%gs:8, %0" : "=r"(v));
    return v;
}
static void set_by_call(void *at) { syscall(SYS_arch_prctl, ARCH_SET_GS, at); }
static void set_directly(void *at)
{
    if (direct) asm volatile("wrgsbase %0" ::"r"(at));
    else set_by_call(at);
}
static long read_directly(void)
{
    long at;
    if (!direct) return base();
    asm volatile("rdgsbase %0" : "=r"(at));
    return at;
}

static volatile int stop;
static long wrong[8];

static void *spin(void *x)
{
    long i = (long)x;
    if (i % 2) set_by_call(area[i]);
    else set_directly(area[i]);
    for (long n = 0; !stop; n++) {
        if (word() != i) wrong[i]++;
        if (n % 64 == 0) sched_yield();
        if (n % 257 == 0 && read_directly() != (long)area[i]) wrong[i]++;
    }
    return NULL;
}

static void *fresh(void *x)
{
    say("a new thread has its maker's base: %d", base() == (long)area[1]);
    set_directly(area[2]);
    say("its own: %ld", word());
    return NULL;
}

static void in_handler(int s)
{
    say("in a handler: %ld", word());
    set_directly(area[4]);
    say("in a handler, changed: %ld", word());
}

static void with_null(int s, siginfo_t *info, void *context)
{
    say("without a base: SIG%s, code %d, address %ld", sigabbrev_np(s), info->si_code, (long)info->si_addr);
    _exit(3);
}

static void beyond(int s, siginfo_t *info, void *context)
{
    say("a base that isn't canonical: SIG%s, code %d", sigabbrev_np(s), info->si_code);
    _exit(4);
}

int main(int argc, char **argv)
{
    direct = (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE) != 0;
    if (argc > 1) {
        unsigned short selector;
        asm("mov %%gs, %0" : "=r"(selector));
        say("after exec: base %ld, selector %d", base(), selector);
        return 0;
    }
    for (long i = 0; i < 8; i++) area[i][1] = i;
    say("at first: %ld", base());
    V(syscall(SYS_arch_prctl, ARCH_SET_GS, 1UL << 47));
    V(syscall(SYS_arch_prctl, ARCH_SET_FS, 1UL << 47));
    V(syscall(SYS_arch_prctl, ARCH_GET_GS, 8));
    V(syscall(SYS_arch_prctl, 0x9999, 8));
    set_by_call(area[1]);
    say("by the call: %ld", word());
    set_directly(area[3]);
    say("directly: %ld, and the call knows: %d", word(), base() == (long)area[3]);
    for (int i = 0; i < 1000; i++) getppid();
    say("after calls: %ld", word());
    set_directly(area[1]);
    msleep(5);
    say("after sleep: %ld", word());
    pthread_t t[8];
    pthread_create(&t[0], NULL, fresh, NULL);
    pthread_join(t[0], NULL);
    say("after the thread: %ld", word());
    on_signal(SIGUSR1, in_handler, 0);
    raise(SIGUSR1);
    say("after a handler that changed it: %ld", word());
    set_directly(area[5]);
    IN_CHILD("fork", {
        say("in a child: %ld", word());
        set_directly(area[6]);
        say("the child's own: %ld", word());
    });
    say("after fork: %ld", word());
    pid_t p = vfork();
    if (p == 0) {
        set_directly(area[7]);
        _exit(0);
    }
    waitpid(p, NULL, 0);
    say("after vfork: %ld", word());

    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof one, &one);
    for (long i = 0; i < 6; i++) pthread_create(&t[i], NULL, spin, (void *)i);
    msleep(300);
    stop = 1;
    for (int i = 0; i < 6; i++) {
        pthread_join(t[i], NULL);
        say("thread %d saw another's word: %ld", i, wrong[i]);
    }
    say("after all: %ld", word());
    /* A selector loaded by hand takes the base with it. */
    IN_CHILD("null selector", {
        struct sigaction a = {.sa_sigaction = with_null, .sa_flags = SA_SIGINFO};
        sigaction(SIGSEGV, &a, NULL);
        set_directly(NULL);
        say("%ld", word());
    });
    if (direct) IN_CHILD("far", {
        struct sigaction a = {.sa_sigaction = beyond, .sa_flags = SA_SIGINFO};
        sigaction(SIGSEGV, &a, NULL);
        set_directly((void *)0x7ffffffffff8);
        say("%ld", word());
    });
    fflush(stdout);
    IN_CHILD("exec", execl("/proc/self/exe", "segments", "x", NULL));
    return 0;
}
