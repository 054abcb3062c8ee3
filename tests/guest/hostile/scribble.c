/* Writes over the region at the top of the address space from a second
 * thread while the first makes system calls, and unmaps or remaps it.
 * Processes may die; others mustn't notice.
 * timeout: 60
 * expect:
 * munmap of the region: ok
 * mmap over it: ENOMEM
 * mprotect of it: ENOMEM
 * mremap into it: EINVAL
 * madvise of it: ENOMEM
 * scribblers ended: 8
 * bystander: exited 7
 */
#include "t.h"
static void on(int s) {}
static void *scribble(void *x)
{
    on_signal(SIGSEGV, on, 0);
    long base = 0x7fff00000000;
    unsigned seed = (long)x;
    for (int i = 0; i < 200000; i++) {
        seed = seed * 1103515245 + 12345;
        struct iovec l = {&seed, 4}, r = {(void *)(base + (seed % 0x400000 & ~3)), 4};
        if (i % 2) syscall(SYS_process_vm_writev, getpid(), &l, 1, &r, 1, 0);
        else read(-1, r.iov_base, 4);
    }
    return 0;
}
/* Plain stores: each is a fault that kills, or it goes into the thread's own pages. */
static void *store(void *x)
{
    unsigned seed = (long)x;
    for (;;) {
        seed = seed * 1103515245 + 12345;
        *(volatile unsigned *)(0x7fff00000000 + (seed % 0x200000 & ~3)) = seed;
    }
}
int main(void)
{
    void *r = (void *)0x7fff00000000;
    char *a = mmap(0, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say("munmap of the region: %s", munmap(r, 1 << 20) ? errname(errno) : "ok");
    say("mmap over it: %s", mmap(r, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED
                                ? errname(errno)
                                : "ok");
    say("mprotect of it: %s", mprotect(r, 4096, 7) ? errname(errno) : "ok");
    say("mremap into it: %s",
        mremap(a, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, r) == MAP_FAILED ? errname(errno) : "ok");
    say("madvise of it: %s", madvise(r, 4096, MADV_DONTNEED) ? errname(errno) : "ok");
    pid_t by = fork();
    if (!by) {
        for (int i = 0; i < 400; i++) {
            getppid();
            usleep(1000);
        }
        _exit(7);
    }
    int ended = 0;
    for (long i = 0; i < 8; i++) {
        pid_t p = fork();
        int st;
        if (!p) {
            setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
            alarm(2);
            pthread_t t;
            pthread_create(&t, 0, i % 2 ? scribble : store, (void *)(i + 1));
            for (int k = 0; k < 20000; k++) getppid();
            _exit(0);
        }
        ended += waitpid(p, &st, 0) == p;
    }
    say("scribblers ended: %d", ended);
    int st;
    waitpid(by, &st, 0);
    say("bystander: %s", status_words(st));
    return 0;
}
