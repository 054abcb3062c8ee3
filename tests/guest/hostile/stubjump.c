/* Jumps into the region that the kernel keeps at the top of the address space,
 * at many offsets and with chosen registers. Each try may kill its process;
 * the machine and the parent must go on.
 * timeout: 60
 * expect:
 * tries: 384
 * parent intact: 1
 */
#include "t.h"
int main(void)
{
    long mine = 0x1122334455667788, tries = 0;
    for (long off = 0; off < 0x3000; off += 32, tries++) {
        pid_t p = fork();
        if (p == 0) {
            setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
            alarm(1);
            long target = 0x7fff00000000 + off, nr[] = {9, 56, 231, 1, 202, 11, 10, 157};
            asm volatile(
                "mov %0, %%rbx; mov %1, %%rax; mov $0x500000000001, %%rdi; mov $4096, %%rsi; mov $7, %%rdx; "
                "mov $0x22, %%r10; mov $-1, %%r8; xor %%r9, %%r9; mov $0x400000, %%rcx; mov %%rdi, %%r12; "
                "mov %%rdi, %%r13; mov %%rdi, %%r14; mov %%rdi, %%r15; jmp *%%rbx" ::"r"(target),
                "r"(nr[tries % 8])
                : "rax", "rbx", "memory");
        }
        int st;
        for (int i = 0; i < 300 && waitpid(p, &st, WNOHANG) == 0; i++) msleep(5);
        kill(p, SIGKILL);
        waitpid(p, &st, 0);
    }
    say("tries: %ld", tries);
    say("parent intact: %d", mine == 0x1122334455667788);
    return 0;
}
