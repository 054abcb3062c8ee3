/* siginfo of faults, and continuing after them from the handler. */
#include "t.h"
#include <setjmp.h>
#include <ucontext.h>

static sigjmp_buf back;
static volatile long expected;
static void info(int s, siginfo_t *i, void *v)
{
    ucontext_t *c = v;
    say("  SIG%s code %d addr %s trapno %lld err %llx", sigabbrev_np(s), i->si_code,
        (long)i->si_addr == expected                        ? "right"
        : (long)i->si_addr == c->uc_mcontext.gregs[REG_RIP] ? "rip"
        : i->si_addr                                        ? "other"
                                                            : "0",
        c->uc_mcontext.gregs[REG_TRAPNO], s == SIGSEGV ? c->uc_mcontext.gregs[REG_ERR] : 0);
    siglongjmp(back, 1);
}
#define FAULT(label, addr, stmt) \
    do { \
        say("%s", label); \
        expected = (long)(addr); \
        if (!sigsetjmp(back, 1)) { \
            stmt; \
            say("  no fault"); \
        } \
    } while (0)

int main(void)
{
    struct sigaction a = {.sa_sigaction = info, .sa_flags = SA_SIGINFO};
    for (int *s = (int[]){SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, 0}; *s; s++) sigaction(*s, &a, NULL);
    volatile char *ro = mmap(0, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    volatile char *no = mmap(0, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    volatile char *rw = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    rw[0] = 0xc3;
    FAULT("null read", 0, (void)*(volatile char *)0);
    FAULT("low read", 0x123, (void)*(volatile char *)0x123);
    FAULT("null write", 0, *(volatile char *)0 = 1);
    FAULT("write to read-only", ro + 5, ro[5] = 1);
    (void)ro[4097];
    FAULT("write to read-only, touched", ro + 4098, ro[4098] = 1);
    FAULT("read none", no + 100, (void)no[100]);
    FAULT("write none", no, no[0] = 1);
    FAULT("exec no-exec", rw, ((void (*)(void))rw)());
    FAULT("exec unmapped", 0x1000, ((void (*)(void))0x1000)());
    FAULT("non-canonical", 0, (void)*(volatile char *)0x8000000000000000);
    FAULT("kernel address", 0xffffffff80000000, (void)*(volatile char *)0xffffffff80000000);
    FAULT("kernel write", 0xffffffff80000000, *(volatile char *)0xffffffff80000000 = 1);
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    ftruncate(fd, 100);
    volatile char *m = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    m[4000] = 1;
    FAULT("beyond file", m + 4096, (void)m[4096]);
    FAULT("beyond file write", m + 5000, m[5000] = 1);
    ftruncate(fd, 0);
    FAULT("truncated", m + 5, (void)m[5]);
    volatile int z = 0, mn = INT_MIN, m1 = -1;
    FAULT("divide", 0, z = mn / z);
    FAULT("divide overflow", 0, z = mn / m1);
    FAULT("ud2", 0, asm volatile("ud2"));
    FAULT("int3", 0, asm volatile("int3"));
    FAULT("hlt", 0, asm volatile("hlt"));
    FAULT("cli", 0, asm volatile("cli"));
    FAULT("in", 0, asm volatile("inb $0x80, %%al" :: : "rax"));
    FAULT("rdmsr", 0, asm volatile("rdmsr" ::"c"(0x10) : "rax", "rdx"));
    FAULT("int 0x77", 0, asm volatile("int $0x77"));
    FAULT("single step", 0, asm volatile("pushf; orl $0x100, (%%rsp); popf; nop; nop" :: : "cc", "memory"));
    FAULT("misaligned sse", 0, asm volatile("movaps (%0), %%xmm0" ::"r"((long)rw + 1) : "xmm0"));
    unsigned mx = 0x1f80 & ~0x200;
    FAULT("sse divide", 0, {
        asm volatile("ldmxcsr %0" ::"m"(mx));
        volatile double d = 0;
        d = 1 / d;
    });
    mx = 0x1f80;
    asm volatile("ldmxcsr %0" ::"m"(mx));
    /* x87 exceptions come at the next instruction. */
    unsigned short cw = 0x37b;
    FAULT("x87 divide", 0, asm volatile("fninit; fldcw %0; fldz; fld1; fdivp; fwait" ::"m"(cw)));
    asm volatile("fninit");
    /* A fault on a blocked signal kills. */
    IN_CHILD("blocked segv", {
        struct rlimit r = {0, 0};
        setrlimit(RLIMIT_CORE, &r);
        sigset_t s;
        sigfillset(&s);
        sigprocmask(SIG_BLOCK, &s, 0);
        *(volatile char *)0 = 1;
    });
    IN_CHILD("ignored segv", {
        struct rlimit r = {0, 0};
        setrlimit(RLIMIT_CORE, &r);
        signal(SIGSEGV, SIG_IGN);
        *(volatile char *)0 = 1;
    });
    IN_CHILD("no stack for the handler", {
        struct rlimit r = {0, 0};
        setrlimit(RLIMIT_CORE, &r);
        asm volatile("xor %%esp, %%esp; push %%rax" ::: "memory");
    });
    return 0;
}
