/* Pages of files under guests' feet: growth of the file past its place in the
 * page cache, truncation, holes, private copies, moves of mappings. */
#include "t.h"
#include <setjmp.h>
#include <linux/membarrier.h>

static sigjmp_buf back;
static int got, code;

static void handler(int sig, siginfo_t *info, void *context)
{
    (void)context;
    got = sig;
    code = info->si_code;
    siglongjmp(back, 1);
}

/* 0, or the signal and its code. */
static int touch(volatile char *p, int write)
{
    got = code = 0;
    if (!sigsetjmp(back, 1)) {
        if (write) *p = 1;
        else (void)*p;
    }
    return got * 100 + code;
}

static char *map(size_t len, int prot, int flags, int fd)
{
    char *p = mmap(0, len, prot, flags, fd, 0);
    MUST(p == MAP_FAILED ? -1 : 0);
    return p;
}

static int byte_at(int fd, off_t at)
{
    char c = 0;
    return pread(fd, &c, 1, at) == 1 ? c : -1;
}

#define MIB (1L << 20)

static void growth(int fd)
{
    static char buf[65536];
    memset(buf, 'x', sizeof buf);
    V(write(fd, buf, 4096));
    char *s = map(64 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    char *p = map(64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
    char *r = map(64 * MIB, PROT_READ, MAP_PRIVATE, fd);
    p[5] = 'P';
    s[6] = 'S';
    V(touch(s + 8192, 0));
    V(touch(p + 8192, 1));
    for (int i = 0; i < 640; i++)
        if (write(fd, buf, sizeof buf) != sizeof buf) say("short write");
    V(s[5]);
    V(p[5]);
    V(r[6]);
    s[30 * MIB] = 'Q';
    V(r[30 * MIB]);
    V(byte_at(fd, 30 * MIB));
    V(byte_at(fd, 6));
    p[20 * MIB] = 'Z';
    V(byte_at(fd, 20 * MIB));
    pid_t pid = fork();
    if (pid == 0) {
        s[100] = 'F';
        p[5] = 'C';
        _exit(0);
    }
    waitpid(pid, 0, 0);
    V(s[100]);
    V(p[5]);

    V(ftruncate(fd, 5000));
    V(touch(s + 4096, 0));
    V(touch(s + 8192, 0));
    V(touch(p + 20 * MIB, 0));
    V(s[5001]);
    V(p[5]);
    V(ftruncate(fd, 100000));
    V(s[4999]);
    V(s[5000]);
    V(s[50000]);
    V(touch(p + 50000, 1));
    V(msync(s, 100000, MS_SYNC));
    V(msync(s + 1, 1, MS_SYNC));
    V(madvise(s, 8192, MADV_DONTNEED));
    V(s[5]);
    V(madvise(p, 8192, MADV_DONTNEED));
    V(p[5]);

    /* A file's own pages as the buffer. */
    V(pwrite(fd, s, 5000, 200000));
    V(byte_at(fd, 200005));
    V(pread(fd, s + 60000, 5000, 0));
    V(s[60005]);
    V(pread(fd, r, 100, 0));

    char *m = mremap(s, 64 * MIB, 128 * MIB, MREMAP_MAYMOVE);
    V(m != MAP_FAILED);
    s = m;
    V(s[5]);
    m = mremap(p, 64 * MIB, 64 * MIB, MREMAP_MAYMOVE | MREMAP_FIXED, s + 64 * MIB);
    V(m == s + 64 * MIB);
    V(m[5]);
    V(touch(p, 0));
    V(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096));
    V(s[5000]);
    V(s[60005]);
}

static void holes(int fd)
{
    V(ftruncate(fd, 10 * MIB));
    char *q = map(10 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    q[5 * MIB] = 'a';
    V(lseek(fd, 0, SEEK_DATA));
    V(lseek(fd, 0, SEEK_HOLE));
    V(lseek(fd, 5 * MIB, SEEK_HOLE));
    V(byte_at(fd, 5 * MIB));
    V(close(fd));
    q[1] = 'b';
    V(q[1]);
    V(q[5 * MIB]);
    V(munmap(q, 10 * MIB));
}

static void anonymous(void)
{
    int *a = (int *)map(MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    pid_t pid = fork();
    if (pid == 0) {
        a[1000] = 7;
        _exit(0);
    }
    waitpid(pid, 0, 0);
    V(a[1000]);

    char *big = map(1L << 36, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    V(mprotect(big + (1L << 35), 8192, PROT_READ | PROT_WRITE));
    V(touch(big + (1L << 35), 1));
    V(touch(big, 0));
    V(munmap(big, 1L << 36));

    /* Many areas, joined again, then moved. */
    char *z = map(4096 * 2000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    int failed = 0;
    for (int i = 0; i < 2000; i += 2) failed |= mprotect(z + i * 4096, 4096, PROT_READ);
    V(failed);
    V(touch(z, 1));
    V(touch(z + 4096, 1));
    for (int i = 0; i < 2000; i += 2)
        failed |= mprotect(z + i * 4096, 4096, PROT_READ | PROT_WRITE);
    V(failed);
    V(touch(z, 1));
    char *m = mremap(z, 4096 * 2000, 4096 * 4000, MREMAP_MAYMOVE);
    V(m != MAP_FAILED);
    V(m[4096]);
    V(touch(m + 4096 * 3999, 1));
}

static void others(void)
{
    char x[] = "hello", y[6] = {0};
    struct iovec local = {y, 6}, remote = {x, 6}, bad = {(void *)4096, 6};
    V(process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
    say("%s", y);
    V(process_vm_readv(getpid(), &local, 1, &bad, 1, 0));
    V(process_vm_readv(getpid(), &local, 1, &remote, 1, 1));
    V(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0));
    V(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0));
    V(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0));
    struct rlimit limit = {256 * MIB, RLIM_INFINITY};
    V(setrlimit(RLIMIT_AS, &limit));
    OK(mmap(0, 512 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, 0);
    sigaction(SIGBUS, &action, 0);
    int fd = memfd_create("growth", 0);
    growth(fd);
    holes(memfd_create("holes", 0));
    anonymous();
    others();
    return 0;
}
