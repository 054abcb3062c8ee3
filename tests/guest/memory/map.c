/* The mmap family: placement, errors, partial unmapping, MAP_FIXED, mprotect,
 * mremap, madvise, mincore, msync, brk. */
#include "t.h"
#define PG 4096L
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static int mapped(void *p)
{
    unsigned char v;
    return mincore(p, 1, &v) == 0;
}
static void map_of(const char *label, char *base, long pages)
{
    char s[65];
    for (long i = 0; i < pages; i++) s[i] = mapped(base + i * PG) ? '#' : '.';
    s[pages] = 0;
    say("%s: %s", label, s);
}
/* The vmas within [base, base + pages), as /proc/self/maps has them. */
static void vmas(const char *label, char *base, long pages)
{
    FILE *f = fopen("/proc/self/maps", "re");
    char line[512];
    unsigned long a, b;
    char perm[8];
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%lx-%lx %7s", &a, &b, perm) == 3 && a >= (unsigned long)base &&
            b <= (unsigned long)(base + pages * PG))
            say("%s: %ld-%ld %s", label, (long)(a - (unsigned long)base) / PG,
                (long)(b - (unsigned long)base) / PG, perm);
    fclose(f);
}

int main(void)
{
    V(mmap(0, 0, RW, ANON, -1, 0));
    V(mmap(0, PG, RW, MAP_ANONYMOUS, -1, 0));
    V(mmap(0, PG, RW, MAP_PRIVATE, -1, 0));
    V(mmap(0, PG, RW, MAP_PRIVATE, 0, 1));
    V(mmap((void *)1, PG, RW, ANON | MAP_FIXED, -1, 0));
    V(mmap(0, -PG, RW, ANON, -1, 0));
    V(mmap((void *)(1L << 47), PG, RW, ANON | MAP_FIXED, -1, 0));
    char *b = MUST(mmap(0, 32 * PG, PROT_NONE, ANON, -1, 0));
    munmap(b, 32 * PG);
    OK(mmap(b, 8 * PG, RW, ANON | MAP_FIXED, -1, 0));
    memset(b, 7, 8 * PG);
    V(mmap(b + PG, PG, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
    say("kept %d", b[PG]);
    V(munmap(b + 1, PG));
    V(munmap(b, 0));
    V(munmap(b + 2 * PG, 1));
    V(munmap(b + 4 * PG, 2 * PG));
    map_of("holes", b, 8);
    V(munmap(b + 2 * PG, 4 * PG));
    OK(mmap(b + 4 * PG, PG, PROT_READ, ANON | MAP_FIXED_NOREPLACE, -1, 0));
    map_of("filled", b, 8);
    vmas("vmas", b, 8);
    say("zero %d", b[4 * PG]);
    munmap(b, 8 * PG);
    map_of("empty", b, 8);
    say("hint honoured: %d", mmap(b, PG, RW, ANON, -1, 0) == b);
    say("hint taken: %d", mmap(b, PG, RW, ANON, -1, 0) != b);
    munmap(b, 32 * PG);
    /* mprotect splits and merges. */
    mmap(b, 8 * PG, RW, ANON | MAP_FIXED, -1, 0);
    V(mprotect(b + 2 * PG, 2 * PG, PROT_READ));
    vmas("split", b, 8);
    V(mprotect(b + 2 * PG, 2 * PG, RW));
    vmas("merged", b, 8);
    V(mprotect(b + 1, PG, RW));
    V(mprotect(b, 0, RW));
    V(mprotect(b, PG, 0x80));
    munmap(b + 5 * PG, PG);
    V(mprotect(b + 4 * PG, 3 * PG, PROT_READ));
    vmas("partial", b, 8);
    V(mprotect(b, PG, RW | PROT_GROWSUP));
    V(mprotect(b, PG, RW | PROT_GROWSDOWN));
    munmap(b, 8 * PG);
    /* mremap */
    mmap(b, 4 * PG, RW, ANON | MAP_FIXED, -1, 0);
    for (int i = 0; i < 4; i++) b[i * PG] = 'a' + i;
    say("shrink %d", mremap(b, 4 * PG, 3 * PG, 0) == b);
    map_of("shrunk", b, 4);
    say("grow in place %d", mremap(b, 3 * PG, 6 * PG, 0) == b);
    say("new page %d", b[5 * PG]);
    mmap(b + 6 * PG, PG, PROT_READ, ANON | MAP_FIXED, -1, 0);
    V(mremap(b, 6 * PG, 8 * PG, 0));
    char *m = mremap(b, 6 * PG, 8 * PG, MREMAP_MAYMOVE);
    say("moved %d: %c%c old %d", m != b, m[0], m[PG], mapped(b));
    char *t = b + 16 * PG;
    mmap(t, 8 * PG, RW, ANON | MAP_FIXED, -1, 0);
    t[0] = 'z';
    say("fixed %d: %c", mremap(m, 2 * PG, 2 * PG, MREMAP_MAYMOVE | MREMAP_FIXED, t) == t, t[0]);
    say("rest %d", mapped(m + 2 * PG));
    V(mremap(t, 2 * PG, 2 * PG, MREMAP_FIXED, b));
    V(mremap(t + 1, PG, PG, 0));
    V(mremap(t, PG, 0, 0));
    V(mremap(t, 4 * PG, 4 * PG, MREMAP_MAYMOVE | MREMAP_FIXED, t + PG));
    V(mremap((void *)PG, PG, PG, 0));
    V(mremap(t, PG, PG, 0x40));
    t[0] = 'q';
    char *d = mremap(t, PG, PG, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
    if (d != MAP_FAILED) {
        int tz = t[0];
        say("dontunmap: %c, old %d", d[0], tz);
    } else say("dontunmap: %s", errname(errno));
    char *sh = mmap(0, 2 * PG, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sh[0] = 's';
    char *dup = mremap(sh, 0, 2 * PG, MREMAP_MAYMOVE);
    if (dup != MAP_FAILED) {
        dup[PG] = 'd';
        say("duplicate: %c %c", dup[0], sh[PG]);
    } else say("duplicate: %s", errname(errno));
    say("grow shared");
    char *gs = mremap(sh, 2 * PG, 4 * PG, MREMAP_MAYMOVE);
    say("%c", gs[0]);
    /* madvise */
    char *a = mmap(0, 4 * PG, RW, ANON, -1, 0);
    memset(a, 5, 4 * PG);
    V(madvise(a + PG, PG, MADV_DONTNEED));
    say("%d %d %d", a[0], a[PG], a[2 * PG]);
    V(madvise(a + 1, PG, MADV_DONTNEED));
    V(madvise(a, PG, 12345));
    V(madvise(a, PG, MADV_NORMAL));
    V(madvise(a, PG, MADV_WILLNEED));
    V(madvise(a, 0, MADV_DONTNEED));
    V(madvise(a, PG, MADV_FREE));
    V(madvise(gs, PG, MADV_REMOVE));
    say("removed %d", gs[0]);
    V(madvise(a, PG, MADV_DONTFORK));
    IN_CHILD("dontfork", say("in child %d %d", mapped(a), mapped(a + PG)));
    a[2 * PG] = 9;
    V(madvise(a + 2 * PG, PG, MADV_WIPEONFORK));
    IN_CHILD("wipeonfork", say("in child %d", a[2 * PG]));
    V(madvise(gs, PG, MADV_WIPEONFORK));
    V(madvise(a, PG, MADV_DOFORK));
    V(madvise(a, PG, MADV_POPULATE_WRITE));
    V(madvise(a, PG, MADV_POPULATE_READ));
    munmap(a + PG, PG);
    V(madvise(a, 3 * PG, MADV_DONTNEED));
    /* mincore, msync, mlock */
    unsigned char v[8];
    char *n = mmap(0, 4 * PG, RW, ANON, -1, 0);
    n[PG] = 1;
    V(mincore(n, 4 * PG, v));
    say("resident %d%d%d%d", v[0] & 1, v[1] & 1, v[2] & 1, v[3] & 1);
    V(mincore(n + 1, PG, v));
    V(mincore(n, PG, (void *)8));
    munmap(n, PG);
    V(mincore(n, 2 * PG, v));
    V(msync(n + PG, PG, MS_SYNC));
    V(msync(n + PG, PG, MS_SYNC | MS_ASYNC));
    V(msync(n + PG + 1, PG, MS_SYNC));
    V(msync(n, 2 * PG, MS_ASYNC));
    V(msync(n + PG, PG, 64));
    V(mlock(n + PG, PG));
    V(munlock(n + PG, PG));
    V(mlock(n, PG));
    V(mlockall(0));
    /* brk */
    char *e = sbrk(0);
    V(brk(e + 3 * PG));
    e[0] = 1;
    e[3 * PG - 1] = 1;
    V(brk(e));
    V(brk(e + PG));
    say("brk zeroed %d", e[0]);
    V(brk((char *)sbrk(0) + (1L << 46)));
    IN_CHILD("after shrink", {
        struct rlimit r = {0, 0};
        setrlimit(RLIMIT_CORE, &r);
        brk(e);
        volatile char *x = (char *)(((long)e + PG - 1) & -PG) + PG;
        x[0] = 1;
    });
    V(remap_file_pages(sh, PG, 0, 0, 0) == 0 || errno == EINVAL);
    V(munmap(0, 1L << 47));
    say("a hint at the end of everything: %d", mmap((void *)-PG, PG, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    IN_CHILD("everything unmapped", {
        struct rlimit r = {0, 0};
        setrlimit(RLIMIT_CORE, &r);
        munmap(0, (1L << 47) - PG);
    });
    return 0;
}
