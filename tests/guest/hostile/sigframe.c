/* Forged signal frames: bad segment selectors, addresses, extended state,
 * stack pointers. The process dies by SIGSEGV or goes on; the machine lives.
 * timeout: 30
 * expect:
 * wild frames ended: 200
 * bad rip: killed by SIGSEGV
 * kernel rip: killed by SIGSEGV
 * rip in the stub: ended
 * bad stack: killed by SIGSEGV
 * bad fpstate pointer: killed by SIGSEGV
 * iopl and friends: exited 3
 */
#include "t.h"
#include <ucontext.h>
static int which;
static void fine(void)
{
    unsigned long f;
    asm volatile("pushf; pop %0" : "=r"(f));
    _exit(f & 0x3000 ? 4 : 3);
}
static void on(int s, siginfo_t *i, void *v)
{
    ucontext_t *c = v;
    greg_t *g = c->uc_mcontext.gregs;
    switch (which) {
    case 0:
        g[REG_RIP] = 0x123;
        break;
    case 1:
        g[REG_RIP] = 0xffffffff81000000;
        break;
    case 2:
        g[REG_RIP] = 0x7fff00000010;
        break;
    case 4:
        c->uc_mcontext.fpregs = (void *)0x999;
        break;
    case 5:
        g[REG_RIP] = (long)fine;
        g[REG_EFL] |= 0x3000 | 0x4000 | 0x20000 | 0x100000;
        g[REG_RSP] = (g[REG_RSP] - 1024) & -16;
        g[REG_RSP] -= 8;
        break;
    }
}
static void run(const char *l, int w)
{
    pid_t p = fork();
    if (!p) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        alarm(2);
        which = w;
        struct sigaction a = {.sa_sigaction = on, .sa_flags = SA_SIGINFO};
        sigaction(SIGUSR1, &a, 0);
        if (w == 3) asm volatile("mov $0x100, %%rsp; mov $15, %%eax; syscall" ::: "memory");
        raise(SIGUSR1);
        _exit(0);
    }
    int st;
    waitpid(p, &st, 0);
    say("%s: %s", l, w == 2 ? "ended" : status_words(st));
}
int main(void)
{
    int ended = 0;
    unsigned seed = 1;
    for (int i = 0; i < 200; i++) {
        pid_t p = fork();
        if (!p) {
            setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
            alarm(1);
            static unsigned char junk[8192] __attribute__((aligned(64)));
            seed += i;
            for (unsigned k = 0; k < sizeof junk; k++) junk[k] = (seed = seed * 1103515245 + 12345) >> 16;
            asm volatile("mov %0, %%rsp; mov $15, %%eax; syscall; ud2" ::"r"(junk + 1024) : "memory");
            _exit(0);
        }
        int st;
        for (int k = 0; k < 400 && !waitpid(p, &st, WNOHANG); k++) msleep(5);
        kill(p, SIGKILL);
        waitpid(p, &st, 0);
        ended++;
    }
    say("wild frames ended: %d", ended);
    run("bad rip", 0);
    run("kernel rip", 1);
    run("rip in the stub", 2);
    run("bad stack", 3);
    run("bad fpstate pointer", 4);
    run("iopl and friends", 5);
    return 0;
}
