/* Registers and extended state across handlers, system calls, switches and
 * forks; a handler may change the interrupted registers. */
#include "t.h"
#include <immintrin.h>
#include <ucontext.h>

static void clobber(int s)
{
    unsigned char junk[64];
    memset(junk, 0xee, sizeof junk);
    asm volatile(
        "movups (%0), %%xmm0; movups (%0), %%xmm7; movups (%0), %%xmm15; fninit; fld1; fld1" ::"r"(junk)
        : "xmm0", "xmm7", "xmm15");
    if (__builtin_cpu_supports("avx"))
        asm volatile("vmovups (%0), %%ymm0; vmovups (%0), %%ymm15" ::"r"(junk) : "xmm0", "xmm15");
    if (__builtin_cpu_supports("avx512f"))
        asm volatile("vmovups (%0), %%zmm0; vmovups (%0), %%zmm31" ::"r"(junk));
}
static void change(int s, siginfo_t *i, void *v) { ((ucontext_t *)v)->uc_mcontext.gregs[REG_RBX] = 0x77; }
static void *burn(void *x)
{
    for (int i = 0; i < 2000; i++) {
        clobber(0);
        if (i % 50 == 0) sched_yield();
    }
    return x;
}

static int check_sse(void)
{
    unsigned char a[64], b[64];
    for (int i = 0; i < 64; i++) a[i] = i * 3;
    asm volatile("movups (%0), %%xmm0; movups 16(%0), %%xmm7; movups 32(%0), %%xmm15; mov %2, %%eax; mov %3, "
                 "%%edi; mov %4, %%esi; syscall;"
                 "movups %%xmm0, (%1); movups %%xmm7, 16(%1); movups %%xmm15, 32(%1)" ::"r"(a),
                 "r"(b), "i"(SYS_kill), "r"(getpid()), "i"(SIGUSR1)
                 : "rax", "rdi", "rsi", "rcx", "r11", "xmm0", "xmm7", "xmm15", "memory");
    return !memcmp(a, b, 48);
}
__attribute__((target("avx"))) static int check_avx(void)
{
    unsigned char a[64], b[64];
    for (int i = 0; i < 64; i++) a[i] = i * 5;
    asm volatile("vmovups (%0), %%ymm0; vmovups 32(%0), %%ymm15; mov %2, %%eax; mov %3, %%edi; mov %4, "
                 "%%esi; syscall; vmovups %%ymm0, (%1); vmovups %%ymm15, 32(%1)" ::"r"(a),
                 "r"(b), "i"(SYS_kill), "r"(getpid()), "i"(SIGUSR1)
                 : "rax", "rdi", "rsi", "rcx", "r11", "xmm0", "xmm15", "memory");
    return !memcmp(a, b, 64);
}
__attribute__((target("avx512f"))) static int check_avx512(void)
{
    unsigned char a[64], b[64];
    for (int i = 0; i < 64; i++) a[i] = i * 7;
    asm volatile("vmovups (%0), %%zmm31; mov %2, %%eax; mov %3, %%edi; mov %4, %%esi; syscall; vmovups "
                 "%%zmm31, (%1)" ::"r"(a),
                 "r"(b), "i"(SYS_kill), "r"(getpid()), "i"(SIGUSR1)
                 : "rax", "rdi", "rsi", "rcx", "r11", "memory");
    return !memcmp(a, b, 64);
}

int main(void)
{
    __builtin_cpu_init();
    on_signal(SIGUSR1, clobber, 0);
    say("sse: %d", check_sse());
    say("avx: %d", __builtin_cpu_supports("avx") ? check_avx() : 1);
    say("avx512: %d", __builtin_cpu_supports("avx512f") ? check_avx512() : 1);
    /* Two threads fight for the vector registers on one CPU. */
    cpu_set_t c;
    CPU_ZERO(&c);
    CPU_SET(0, &c);
    sched_setaffinity(0, sizeof c, &c);
    pthread_t t[3];
    for (int i = 0; i < 3; i++) pthread_create(&t[i], 0, burn, 0);
    int good = 1;
    for (int i = 0; i < 300; i++) {
        good &= check_sse();
        if (__builtin_cpu_supports("avx")) good &= check_avx();
        sched_yield();
    }
    for (int i = 0; i < 3; i++) pthread_join(t[i], 0);
    say("after switches: %d", good);

    long double x = 1.5L, y;
    asm volatile("fninit; fldt %1; mov %2, %%eax; mov %3, %%edi; mov %4, %%esi; syscall; fstpt %0"
                 : "=m"(y)
                 : "m"(x), "i"(SYS_kill), "r"(getpid()), "i"(SIGUSR1)
                 : "rax", "rdi", "rsi", "rcx", "r11", "memory");
    say("x87: %d", x == y);
    unsigned mx = 0x9fc0, got;
    unsigned short cw = 0xc7f, gcw;
    asm volatile("ldmxcsr %0; fldcw %1" ::"m"(mx), "m"(cw));
    raise(SIGUSR1);
    sched_yield();
    asm volatile("stmxcsr %0; fnstcw %1" : "=m"(got), "=m"(gcw));
    say("mxcsr %x cw %x", got, gcw);
    pid_t p = fork();
    if (!p) {
        asm volatile("stmxcsr %0; fnstcw %1" : "=m"(got), "=m"(gcw));
        say("child: mxcsr %x cw %x", got, gcw);
        _exit(0);
    }
    waitpid(p, 0, 0);
    mx = 0x1f80;
    asm volatile("ldmxcsr %0; fninit" ::"m"(mx));

    struct sigaction a = {.sa_sigaction = change, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR2, &a, 0);
    long rbx;
    asm volatile("mov $0x11, %%rbx; mov %1, %%eax; mov %2, %%edi; mov %3, %%esi; syscall; mov %%rbx, %0"
                 : "=r"(rbx)
                 : "i"(SYS_kill), "r"(getpid()), "i"(SIGUSR2)
                 : "rax", "rbx", "rdi", "rsi", "rcx", "r11", "memory");
    say("rbx set by handler: %lx", rbx);
    /* All registers but rax, rcx and r11 survive a system call; rcx and r11 are rip and flags. */
    unsigned long r[8];
    asm volatile("mov $1, %%r8; mov $2, %%r9; mov $3, %%r10; mov $4, %%rdx; mov $5, %%rsi; mov $6, %%rdi; "
                 "mov $39, %%eax; syscall;"
                 "mov %%r8, 0(%0); mov %%r9, 8(%0); mov %%r10, 16(%0); mov %%rdx, 24(%0); mov %%rsi, 32(%0); "
                 "mov %%rdi, 40(%0)" ::"b"(r)
                 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
    say("kept: %lu %lu %lu %lu %lu %lu", r[0], r[1], r[2], r[3], r[4], r[5]);
    /* The direction and carry flags survive. */
    unsigned long fl;
    asm volatile("std; stc; mov $39, %%eax; syscall; pushf; pop %0; cld"
                 : "=r"(fl)::"rax", "rcx", "r11", "memory");
    say("flags: DF %d CF %d", !!(fl & 0x400), !!(fl & 1));
    return 0;
}
