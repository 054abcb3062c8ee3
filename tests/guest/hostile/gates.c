/* Ways into a kernel that this one doesn't have: the 32-bit call gate and the page of vsyscalls. What Linux without
 * IA32_EMULATION and with vsyscall=none says.
 * expect:
 * int 0x80: SIGSEGV code 128 address 0
 * vsyscall 0: SIGSEGV code 1 address ffffffffff600000
 * vsyscall 1: SIGSEGV code 1 address ffffffffff600400
 * vsyscall 2: SIGSEGV code 1 address ffffffffff600800
 * vsyscall, elsewhere: SIGSEGV code 1 address ffffffffff600123
 * vsyscall, read: SIGSEGV code 1 address ffffffffff600000
 * vsyscall, written: SIGSEGV code 1 address ffffffffff600000
 * a kernel's address, read: SIGSEGV code 1 address ffff888000000000
 * not canonical, read: SIGSEGV code 128 address 0
 * not canonical, called: SIGSEGV code 128 address 0
 * in a system call: EFAULT
 */
#include "t.h"
#include <setjmp.h>
static sigjmp_buf back;
static const char *what;
static void caught(int signo, siginfo_t *info, void *context)
{
    say("%s: SIG%s code %d address %lx", what, sigabbrev_np(signo), info->si_code, (long)info->si_addr);
    siglongjmp(back, 1);
}
#define TRY(name, ...) \
    do { \
        what = name; \
        if (!sigsetjmp(back, 1)) { \
            __VA_ARGS__; \
            say("%s: nothing", name); \
        } \
    } while (0)

int main(void)
{
    struct sigaction a = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &a, NULL);
    sigaction(SIGBUS, &a, NULL);
    sigaction(SIGSYS, &a, NULL);
    sigaction(SIGILL, &a, NULL);
    struct timeval t;
    volatile char c;
    TRY("int 0x80", asm volatile("int $0x80" ::"a"(20) : "memory"));
    TRY("vsyscall 0", ((int (*)(void *, void *))0xffffffffff600000)(&t, NULL));
    TRY("vsyscall 1", ((long (*)(long *))0xffffffffff600400)(NULL));
    TRY("vsyscall 2", ((long (*)(void *, void *, void *))0xffffffffff600800)(NULL, NULL, NULL));
    TRY("vsyscall, elsewhere", ((int (*)(void *, void *))0xffffffffff600123)(&t, NULL));
    TRY("vsyscall, read", c = *(volatile char *)0xffffffffff600000);
    TRY("vsyscall, written", *(volatile char *)0xffffffffff600000 = 1);
    TRY("a kernel's address, read", c = *(volatile char *)0xffff888000000000);
    TRY("not canonical, read", c = *(volatile char *)0x8000000000000000);
    TRY("not canonical, called", ((void (*)(void))0x8000000000000000)());
    say("in a system call: %s", write(1, (void *)0xffffffffff600000, 1) < 0 ? errname(errno) : "ok");
    return 0;
}
