/* Guard pages (MADV_GUARD_INSTALL), sealed areas (mseal), and what of a file is cached (cachestat). */
#include "t.h"
#include <setjmp.h>
#include <sys/prctl.h>

enum { PAGE = 4096, GUARD_INSTALL = 102, GUARD_REMOVE = 103, SYS_SEAL = 462, SYS_CACHESTAT = 451 };

static sigjmp_buf back;
static void caught(int signo, siginfo_t *info, void *context)
{
    static char text[80];
    snprintf(text, sizeof text, "SIG%s code %d", sigabbrev_np(signo), info->si_code);
    say("  %s", text);
    siglongjmp(back, 1);
}

static void probe(const char *label, volatile char *p, int write)
{
    say("%s, %s:", label, write ? "write" : "read");
    if (!sigsetjmp(back, 1)) {
        if (write) *p = 7;
        else say("  %d", *p);
        if (write) say("  done");
    }
}

static char *fresh(int pages, int prot, int flags)
{
    char *p = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mmap(p + PAGE, pages * PAGE, prot, flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static int areas_between(char *from, char *to)
{
    char line[512];
    int n = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, f)) {
        unsigned long a, b;
        sscanf(line, "%lx-%lx", &a, &b);
        n += a < (unsigned long)to && b > (unsigned long)from;
    }
    fclose(f);
    return n;
}

static void guards(void)
{
    char *p = fresh(8, PROT_READ | PROT_WRITE, MAP_PRIVATE), buf[PAGE];
    int pipes[2];
    MUST(pipe2(pipes, O_NONBLOCK));
    memset(p, 1, 8 * PAGE);
    V(madvise(p + 2 * PAGE, 2 * PAGE, GUARD_INSTALL));
    probe("before it", p + PAGE, 1);
    probe("guard", p + 2 * PAGE, 1);
    probe("guard", p + 3 * PAGE, 0);
    probe("behind it", p + 4 * PAGE, 0);
    say("areas %d", areas_between(p, p + 8 * PAGE));
    /* The kernel meets it too. */
    V(write(pipes[1], p + 2 * PAGE, 10));
    V(write(pipes[1], p + 2 * PAGE - 5, 10));
    V(read(pipes[0], buf, sizeof buf));
    write(pipes[1], "0123456789", 10);
    V(read(pipes[0], p + 2 * PAGE, 10));
    V(syscall(SYS_getrandom, p + 3 * PAGE, 8, 0));
    V(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, p + 3 * PAGE));
    V(stat("/", (struct stat *)(p + 3 * PAGE)));
    V(open(p + 3 * PAGE, O_RDONLY));
    unsigned char vec[8];
    V(mincore(p, 8 * PAGE, vec));
    /* What touches it, and what doesn't. */
    V(madvise(p, 8 * PAGE, MADV_DONTNEED));
    probe("after dropping", p + 2 * PAGE, 0);
    probe("dropped", p + PAGE, 0);
    V(madvise(p + PAGE, 2 * PAGE, MADV_POPULATE_WRITE));
    V(mprotect(p, 8 * PAGE, PROT_READ));
    probe("read-only", p + 2 * PAGE, 0);
    probe("read-only", p, 1);
    V(mprotect(p, 8 * PAGE, PROT_READ | PROT_WRITE));
    V(mlock(p, 8 * PAGE));
    V(madvise(p + 5 * PAGE, PAGE, GUARD_INSTALL));
    V(madvise(p + 5 * PAGE, PAGE, GUARD_REMOVE));
    V(munlock(p, 8 * PAGE));
    IN_CHILD("child", {
        probe("inherited", p + 2 * PAGE, 0);
        probe("inherited", p + PAGE, 1);
        V(madvise(p, 8 * PAGE, GUARD_REMOVE));
        probe("removed", p + 2 * PAGE, 0);
    });
    probe("parent's", p + 2 * PAGE, 0);
    V(madvise(p, 8 * PAGE, MADV_WIPEONFORK));
    IN_CHILD("wiped child", probe("wiped", p + 2 * PAGE, 0));
    V(madvise(p, 8 * PAGE, MADV_KEEPONFORK));
    /* It moves with its memory. */
    char *q = fresh(8, PROT_NONE, MAP_PRIVATE);
    V(mremap(p, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
    probe("moved", q + 2 * PAGE, 1);
    probe("moved", q + PAGE, 1);
    V(read(pipes[0], q + 2 * PAGE, 5));
    V(madvise(q + 2 * PAGE, PAGE, GUARD_REMOVE));
    probe("one removed", q + 2 * PAGE, 0);
    probe("other one", q + 3 * PAGE, 0);
    V(read(pipes[0], q + 2 * PAGE, 5));
    say("%.5s", q + 2 * PAGE);
    MUST(mmap(q, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == q ? 0 : -1);
    probe("mapped anew", q + 3 * PAGE, 1);
    /* Ranges. */
    V(madvise(q + 1, PAGE, GUARD_INSTALL));
    V(madvise(q, 0, GUARD_INSTALL));
    V(madvise(q, -1, GUARD_INSTALL));
    V(madvise(q + 7 * PAGE, 8 * PAGE, GUARD_INSTALL));
    munmap(q + 4 * PAGE, PAGE);
    V(madvise(q + 3 * PAGE, 3 * PAGE, GUARD_INSTALL));
    probe("before the hole", q + 3 * PAGE, 0);
    probe("behind the hole", q + 5 * PAGE, 0);
    V(madvise(q + 4 * PAGE, PAGE, GUARD_REMOVE));
}

static void seals(void)
{
    char *p = fresh(8, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    memset(p, 1, 8 * PAGE);
    V(syscall(SYS_SEAL, p, PAGE, 1));
    V(syscall(SYS_SEAL, p + 1, PAGE, 0));
    V(syscall(SYS_SEAL, p, 0, 0));
    V(syscall(SYS_SEAL, p, -1, 0));
    V(syscall(SYS_SEAL, p, 1L << 62, 0));
    V(syscall(SYS_SEAL, 0x1000, PAGE, 0));
    munmap(p + 7 * PAGE, PAGE);
    V(syscall(SYS_SEAL, p + 4 * PAGE, 4 * PAGE, 0));
    V(mprotect(p + 4 * PAGE, PAGE, PROT_READ | PROT_WRITE));
    V(syscall(SYS_SEAL, p + 2 * PAGE, PAGE + 1, 0));
    V(syscall(SYS_SEAL, p + 2 * PAGE, 2 * PAGE, 0));
    say("areas %d", areas_between(p, p + 7 * PAGE));
    V(munmap(p, 7 * PAGE));
    V(munmap(p + 2 * PAGE, PAGE));
    V(munmap(p + 3 * PAGE, 2 * PAGE));
    say("%d %d", p[0], p[4 * PAGE]);
    V(mprotect(p + 2 * PAGE, PAGE, PROT_READ));
    V(mprotect(p + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE));
    V(mprotect(p + PAGE, 3 * PAGE, PROT_READ));
    probe("before the sealed area", p + PAGE, 1);
    V(mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE));
    V(syscall(SYS_pkey_mprotect, p + 2 * PAGE, PAGE, PROT_READ, -1));
    V(mmap(p + 2 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? -1 : 0);
    V(mmap(p, 7 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? -1 : 0);
    V(mmap(p + 2 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED ? -1 : 0);
    V(mremap(p + 2 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
    V(mremap(p + 2 * PAGE, 2 * PAGE, PAGE, 0) == MAP_FAILED ? -1 : 0);
    V(mremap(p + 2 * PAGE, PAGE, PAGE, 0) == MAP_FAILED ? -1 : 0);
    V(mremap(p + 2 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP) == MAP_FAILED ? -1 : 0);
    V(mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p + 3 * PAGE) == MAP_FAILED ? -1 : 0);
    V(madvise(p + 2 * PAGE, PAGE, MADV_DONTNEED));
    say("%d", p[2 * PAGE]);
    V(mlock(p + 2 * PAGE, PAGE));
    V(munlock(p + 2 * PAGE, PAGE));
    V(madvise(p + 2 * PAGE, PAGE, MADV_RANDOM));
    V(madvise(p + 2 * PAGE, PAGE, GUARD_INSTALL));
    V(madvise(p + 2 * PAGE, PAGE, GUARD_REMOVE));
    /* Without the right to write, its content stays. */
    char *r = fresh(4, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    memset(r, 5, 4 * PAGE);
    mprotect(r, 4 * PAGE, PROT_READ);
    V(syscall(SYS_SEAL, r, 4 * PAGE, 0));
    static const int advice[] = {MADV_DONTNEED, MADV_FREE, MADV_DONTNEED_LOCKED, MADV_REMOVE, MADV_DONTFORK, MADV_WIPEONFORK,
                                 GUARD_INSTALL, GUARD_REMOVE, MADV_WILLNEED, MADV_COLD, MADV_PAGEOUT, MADV_DOFORK, MADV_DONTDUMP,
                                 MADV_POPULATE_READ, MADV_HUGEPAGE};
    for (int i = 0; i < sizeof advice / sizeof *advice; i++)
        say("advice %d: %s", advice[i], madvise(r, PAGE, advice[i]) ? errname(errno) : "ok");
    say("%d", r[0]);
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0600));
    MUST(ftruncate(fd, PAGE));
    char *f = mmap(fresh(1, PROT_NONE, MAP_PRIVATE), PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
    V(syscall(SYS_SEAL, f, PAGE, 0));
    V(madvise(f, PAGE, MADV_DONTNEED));
    V(munmap(f, PAGE));
    V(ftruncate(fd, 0));
    IN_CHILD("child", {
        V(munmap(p + 2 * PAGE, PAGE));
        V(mprotect(r, PAGE, PROT_READ | PROT_WRITE));
    });
    char line[512];
    int flagged = 0;
    FILE *s = fopen("/proc/self/smaps", "r");
    while (fgets(line, sizeof line, s)) flagged += !strncmp(line, "VmFlags:", 8) && strstr(line, " sl") != NULL;
    fclose(s);
    say("flagged %d", flagged);
    /* The heap. */
    char *end = sbrk(4 * PAGE);
    end = (char *)(((uintptr_t)end + PAGE - 1) & -PAGE);
    V(syscall(SYS_SEAL, end + PAGE, PAGE, 0));
    char *top = sbrk(0);
    V(brk(end));
    say("unmoved %d", sbrk(0) == top);
    V(brk(end + 2 * PAGE));
    say("moved %d", sbrk(0) == end + 2 * PAGE);
}

struct range { uint64_t off, len; };
struct counts { uint64_t cache, dirty, writeback, evicted, recently; };

static void cached(const char *label, int fd, uint64_t off, uint64_t len)
{
    struct range r = {off, len};
    struct counts c;
    memset(&c, 0xff, sizeof c);
    long e = syscall(SYS_CACHESTAT, fd, &r, &c, 0);
    if (e) say("%s: %s", label, errname(errno));
    else say("%s: cached %lu evicted %lu", label, (long)c.cache, (long)c.evicted);
}

static void caches(void)
{
    char page[PAGE] = "x";
    struct range r = {0, 0};
    struct counts c;
    int fd = MUST(open("cached", O_CREAT | O_RDWR, 0644)), pipes[2];
    for (int i = 0; i < 10; i++)
        if (i != 5) MUST(pwrite(fd, page, PAGE, i * PAGE));
    cached("all", fd, 0, 0);
    cached("from the third", fd, 2 * PAGE, 0);
    cached("three", fd, PAGE, 3 * PAGE);
    cached("one byte", fd, PAGE, 1);
    cached("two bytes", fd, 2 * PAGE - 1, 2);
    cached("hole", fd, 5 * PAGE, PAGE);
    cached("beyond", fd, 100 * PAGE, PAGE);
    cached("wrapped", fd, PAGE, -1);
    MUST(ftruncate(fd, 3 * PAGE));
    cached("shorter", fd, 0, 0);
    V(syscall(SYS_CACHESTAT, fd, &r, &c, 1));
    V(syscall(SYS_CACHESTAT, fd, NULL, &c, 0));
    V(syscall(SYS_CACHESTAT, fd, &r, NULL, 0));
    V(syscall(SYS_CACHESTAT, fd, NULL, &c, 1));
    V(syscall(SYS_CACHESTAT, -1, NULL, &c, 1));
    MUST(pipe(pipes));
    cached("pipe", pipes[0], 0, 0);
    cached("directory", MUST(open("/proc", O_RDONLY)), 0, 0);
    cached("path", MUST(open("cached", O_PATH)), 0, 0);
    cached("reader", MUST(open("cached", O_RDONLY)), 0, 0);
    if (!geteuid()) {
        chmod("cached", 0644);
        IN_CHILD("another user", {
            setgid(1000);
            setuid(1000);
            cached("own", fd, 0, 0);
            int other = MUST(open("/proc/self/exe", O_RDONLY));
            cached("somebody's", other, 0, 0);
        });
    }
}

int main(void)
{
    struct sigaction a = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &a, NULL);
    sigaction(SIGBUS, &a, NULL);
    guards();
    seals();
    caches();
    return 0;
}
