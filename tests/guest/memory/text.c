/* Program text around system calls: registers, flags and extended state across them, jumps into the middle of a call
 * site, code that rewrites and moves its own sites, files that are read or replaced while they are mapped, signals at
 * any moment, threads that come and go. timeout: 60 */
#include "t.h"
#include <dlfcn.h>
#include <sys/sendfile.h>

#define PG 4096L

/* Call sites of the usual shape. `second` enters `first` at its syscall. */
__asm__(".text\n.balign 4096\n.globl page\npage:\n"
        ".globl first\nfirst: mov $39, %eax\n.globl inside\ninside: syscall\nret\n.balign 16\n"
        ".globl second\nsecond: mov $102, %eax\njmp inside\n.balign 16\n"
        /* Shapes whose last instruction isn't the number: one of three bytes, four, and seven. */
        ".globl minus\nminus: mov $121, %eax\nsub $1, %edi\nsyscall\ncmp $-4096, %rax\nja 1f\nret\n1: ud2\nret\n"
        ".balign 16\n"
        ".globl flipped\nflipped: mov $121, %eax\nxor $-128, %dil\nsyscall\ncmp $-4095, %rax\njae 1f\nret\n1: ud2\nret\n"
        ".balign 16\n"
        ".globl masked\nmasked: mov $121, %eax\nand $0x7fffff, %rdi\nsyscall\ncmp $-4096, %eax\nja 1f\nret\n1: ud2\n"
        "ret\n.balign 16\n"
        /* Keeps what a system call must keep; returns 0 if it does. */
        ".globl keeps\nkeeps: push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "mov %rdi, %rbx\nmov %rdi, %rbp\nmov %rdi, %r12\nmov %rdi, %r13\nmov %rdi, %r14\nmov %rdi, %r15\n"
        "mov %rdi, %rsi\nmov %rdi, %rdx\nmov %rdi, %r10\nmov %rdi, %r8\nmov %rdi, %r9\nmovq %rdi, %xmm3\n"
        "mov %rdi, -8(%rsp)\nmov %rdi, -128(%rsp)\nstd\nstc\n"
        "mov $39, %eax\nsyscall\n"
        "setc %al\nmovzbl %al, %eax\nxor $1, %eax\n"
        "pushfq\npop %rcx\ncld\nshr $10, %ecx\nand $1, %ecx\nxor $1, %ecx\nor %ecx, %eax\n"
        "xor %rdi, %rbx\nor %rbx, %rax\nxor %rdi, %rbp\nor %rbp, %rax\nxor %rdi, %r12\nor %r12, %rax\n"
        "xor %rdi, %r13\nor %r13, %rax\nxor %rdi, %r14\nor %r14, %rax\nxor %rdi, %r15\nor %r15, %rax\n"
        "xor %rdi, %rsi\nor %rsi, %rax\nxor %rdi, %rdx\nor %rdx, %rax\nxor %rdi, %r10\nor %r10, %rax\n"
        "xor %rdi, %r8\nor %r8, %rax\nxor %rdi, %r9\nor %r9, %rax\nmovq %xmm3, %rcx\nxor %rdi, %rcx\nor %rcx, %rax\n"
        "mov -128(%rsp), %rcx\nxor %rdi, %rcx\nor %rcx, %rax\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n"
        ".balign 4096\n");
extern unsigned char page[];
long first(void), second(void), keeps(long), minus(long), flipped(long), masked(long);

static volatile sig_atomic_t ticks;
static void tick(int s)
{
    volatile double x = s;
    ticks++;
    for (int i = 0; i < 20; i++) x = x * 1.5 + first();
}
static void *spin(void *stop)
{
    long n = 0;
    while (!*(volatile int *)stop) n += first() != getpid();
    return (void *)n;
}
/* Whether what read(2) says of the page's place in the file is free of jumps where `first` begins. */
static int file_is_untouched(void)
{
    char line[512];
    unsigned char bytes[7];
    unsigned long start, end, offset;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 && (unsigned long)page >= start &&
            (unsigned long)page < end)
            break;
    fclose(maps);
    int fd = MUST(open("/proc/self/exe", O_RDONLY));
    MUST(pread(fd, bytes, 7, offset + ((unsigned long)page - start)));
    close(fd);
    return !memcmp(bytes, "\xb8\x27\0\0\0\x0f\x05", 7);
}
static void copy_to(const char *from, const char *to)
{
    struct stat st;
    int in = MUST(open(from, O_RDONLY)), out = MUST(open(to, O_WRONLY | O_CREAT, 0755));
    MUST(fstat(in, &st));
    MUST(sendfile(out, in, 0, st.st_size));
    MUST(ftruncate(out, st.st_size));
    close(in);
    close(out);
}
static int run(const char *program)
{
    pid_t pid = fork();
    if (!pid) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        execl(program, program, (char *)0);
        _exit(9);
    }
    int status = 0;
    MUST(waitpid(pid, &status, 0));
    return WEXITSTATUS(status);
}
int main(void)
{
    long bad = 0;
    for (int i = 0; i < 1000; i++) bad |= keeps(0x1122334455667788 * (i + 1));
    V(bad);
    V(first() == getpid());
    V(second() == (long)getuid());
    V(minus(getpid() + 1) == getpgrp());
    V(flipped(getpid() ^ 0x80) == getpgrp());
    V(masked(getpid() | 1L << 40) == getpgrp());
    V(file_is_untouched());

    /* Signals at any moment of calls and between them. */
    on_signal(SIGALRM, tick, SA_RESTART);
    struct itimerval it = {{0, 700}, {0, 700}}, off = {0};
    setitimer(ITIMER_REAL, &it, 0);
    long long end = now_ms() + 400;
    double sum = 0;
    long n = 0;
    bad = 0;
    while (now_ms() < end) {
        sum += 0.5;
        n++;
        bad |= first() != getpid() || keeps(n);
    }
    setitimer(ITIMER_REAL, &off, 0);
    V(bad);
    V(sum == n * 0.5 && ticks > 10);
    pid_t pid = fork();
    if (!pid) _exit(first() == getpid() && keeps(7) == 0 ? 5 : 6);
    int status;
    MUST(waitpid(pid, &status, 0));
    say("child: %s", status_words(status));

    /* Threads come and go while others are in the middle of calls. */
    for (int round = 0; round < 30; round++) {
        int stop = 0;
        pthread_t t[3];
        void *wrong;
        for (int i = 0; i < 3; i++) pthread_create(&t[i], 0, spin, &stop);
        for (int i = 0; i < 50; i++) bad |= first() != getpid() || keeps(i);
        stop = 1;
        for (int i = 0; i < 3; i++) {
            pthread_join(t[i], &wrong);
            bad |= wrong != 0;
        }
        for (int i = 0; i < 50; i++) bad |= first() != getpid();
    }
    V(bad);

    /* A site rewritten in place: 39 becomes 102 and back. */
    V(mprotect(page, PG, PROT_READ | PROT_WRITE | PROT_EXEC));
    V(page[0] == 0xb8 && page[1] == 39);
    page[1] = 102;
    V(first() == (long)getuid());
    page[1] = 39;
    V(mprotect(page, PG, PROT_READ | PROT_EXEC));
    V(first() == getpid());

    /* A library's text, mapped by hand, moved and unmapped. */
    Dl_info info;
    V(dladdr((void *)getppid, &info) != 0);
    int fd = MUST(open("/proc/self/exe", O_RDONLY));
    struct stat st;
    MUST(fstat(fd, &st));
    for (int i = 0; i < 20; i++) {
        char *m = MUST(mmap(0, st.st_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0));
        char *found = memmem(m, st.st_size, "\x0f\x05\xc3", 3);
        if (!found) break;
        char *to = MUST(mmap(0, st.st_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        long (*call)(void) = (void *)(found - 5);
        bad |= call() != getpid();
        if (i % 2) {
            to = MUST(mremap(m, st.st_size, st.st_size, MREMAP_MAYMOVE | MREMAP_FIXED, to));
            call = (void *)(to + (found - m) - 5);
            bad |= call() != getpid();
        } else {
            munmap(m, st.st_size);
        }
        munmap(to, st.st_size);
    }
    V(bad);

    /* A program replaced in place is the new one at its next start. */
    copy_to("/bin/true", "prog");
    V(run("./prog"));
    copy_to("/bin/false", "prog");
    V(run("./prog"));
    copy_to("/bin/true", "prog");
    V(run("./prog"));
    unlink("prog");
    return 0;
}
