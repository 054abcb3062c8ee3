/* memfd_create: names, seals one by one, what they forbid. */
#include "t.h"
#define PG 4096L
#define RW (PROT_READ | PROT_WRITE)
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#define MFD_EXEC 16U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif
static char b[600];

static void mode(int fd)
{
    struct stat st;
    MUST(fstat(fd, &st));
    say("mode %o links %ld size %ld", st.st_mode, (long)st.st_nlink, (long)st.st_size);
}

static void making(void)
{
    memset(b, 'a', 300);
    b[249] = 0;
    OK(memfd_create(b, 0));
    b[249] = 'a';
    b[250] = 0;
    V(memfd_create(b, 0));
    OK(memfd_create("", 0));
    V(memfd_create("x", 0x100));
    V(memfd_create((void *)8, 0));
    V(memfd_create("x", MFD_NOEXEC_SEAL | MFD_EXEC));
    int m = memfd_create("a name", MFD_ALLOW_SEALING);
    mode(m);
    char path[40];
    sprintf(path, "/proc/self/fd/%d", m);
    b[readlink(path, b, sizeof b - 1)] = 0;
    say("%s", b);
    V(fcntl(m, F_GET_SEALS));
    int n = memfd_create("none", 0);
    V(fcntl(n, F_GET_SEALS));
    V(fcntl(n, F_ADD_SEALS, F_SEAL_WRITE));
    V(fcntl(0, F_GET_SEALS));
    int ro = open(path, O_RDONLY);
    V(fcntl(ro, F_ADD_SEALS, F_SEAL_GROW));
    V(fcntl(ro, F_GET_SEALS));
    V(fcntl(m, F_ADD_SEALS, 0x80));
}

static void executable(void)
{
    int x = memfd_create("x", MFD_NOEXEC_SEAL);
    V(fcntl(x, F_GET_SEALS));
    mode(x);
    V(fchmod(x, 0700));
    V(fchmod(x, 0600));
    int e = memfd_create("e", MFD_EXEC);
    V(fcntl(e, F_GET_SEALS));
    mode(e);
    int g = memfd_create("g", MFD_ALLOW_SEALING);
    V(fcntl(g, F_ADD_SEALS, F_SEAL_EXEC));
    V(fcntl(g, F_GET_SEALS));
    V(fchmod(g, 0600));
    V(fchmod(g, 0755));
}

static void sizes(void)
{
    int m = memfd_create("m", MFD_ALLOW_SEALING);
    MUST(ftruncate(m, 4 * PG));
    V(fcntl(m, F_ADD_SEALS, F_SEAL_GROW));
    V(ftruncate(m, 5 * PG));
    V(pwrite(m, "x", 1, 4 * PG));
    V(fallocate(m, 0, 0, 5 * PG));
    V(fallocate(m, FALLOC_FL_KEEP_SIZE, 0, 5 * PG));
    V(ftruncate(m, 3 * PG));
    V(fcntl(m, F_ADD_SEALS, F_SEAL_SHRINK));
    V(ftruncate(m, 2 * PG));
    V(ftruncate(m, 3 * PG));
    sprintf(b, "/proc/self/fd/%d", m);
    V(open(b, O_RDWR | O_TRUNC));
    V(fcntl(m, F_GET_SEALS));
}

static void writing(void)
{
    int m = memfd_create("w", MFD_ALLOW_SEALING);
    MUST(ftruncate(m, 2 * PG));
    char *s = mmap(0, PG, RW, MAP_SHARED, m, 0);
    V(fcntl(m, F_ADD_SEALS, F_SEAL_WRITE));
    munmap(s, PG);
    char *p = mmap(0, PG, RW, MAP_PRIVATE, m, 0);
    V(fcntl(m, F_ADD_SEALS, F_SEAL_WRITE));
    V(pwrite(m, "x", 1, 0));
    V(fallocate(m, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PG));
    V(mmap(0, PG, RW, MAP_SHARED, m, 0));
    char *r = mmap(0, PG, PROT_READ, MAP_SHARED, m, 0);
    say("mapped for reading: %d", r != MAP_FAILED);
    V(mprotect(r, PG, RW));
    p[0] = 1;
    V(madvise(r, PG, MADV_REMOVE));
    V(ftruncate(m, PG));
    V(fcntl(m, F_ADD_SEALS, F_SEAL_SEAL));
    V(fcntl(m, F_ADD_SEALS, 0));
    V(fcntl(m, F_ADD_SEALS, F_SEAL_GROW));

    m = memfd_create("future", MFD_ALLOW_SEALING);
    MUST(ftruncate(m, PG));
    s = mmap(0, PG, RW, MAP_SHARED, m, 0);
    V(fcntl(m, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
    s[0] = 7;
    V(pwrite(m, "x", 1, 0));
    V(mmap(0, PG, RW, MAP_SHARED, m, 0));
    r = mmap(0, PG, PROT_READ, MAP_SHARED, m, 0);
    say("%d", r[0]);
    V(mprotect(r, PG, RW));
    V(mprotect(s, PG, PROT_READ));
    V(mprotect(s, PG, RW));
    V(fallocate(m, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PG));
    V(ftruncate(m, 2 * PG));
}

int main(void)
{
    making();
    executable();
    sizes();
    writing();
    return 0;
}
