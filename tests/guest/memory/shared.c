/* What is shared and what is copied: anonymous, file and memfd mappings over
 * fork; private copies; truncation; seals; writes through both ways. */
#include "t.h"
#include <sys/sendfile.h>
#define PG 4096L
#define RW (PROT_READ | PROT_WRITE)

int main(void)
{
    char *sa = mmap(0, PG, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0),
         *pa = mmap(0, PG, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = MUST(open("f", O_RDWR | O_CREAT | O_TRUNC, 0600));
    ftruncate(fd, 3 * PG);
    char *sf = mmap(0, 3 * PG, RW, MAP_SHARED, fd, 0), *pf = mmap(0, 3 * PG, RW, MAP_PRIVATE, fd, 0);
    int mf = memfd_create("m", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ftruncate(mf, 2 * PG);
    char *sm = mmap(0, 2 * PG, RW, MAP_SHARED, mf, 0);
    strcpy(pf + PG, "own");
    strcpy(sf + PG, "theirs");
    strcpy(sf, "first");
    say("private page %s, unbroken page %s", pf + PG, pf);
    IN_CHILD("child writes", {
        strcpy(sa, "A");
        strcpy(pa, "B");
        strcpy(sf, "C");
        strcpy(pf + 8, "D");
        strcpy(sm, "E");
    });
    say("[%s] [%s] [%s] [%s] [%s]", sa, pa, sf, pf + 8, sm);
    char buf[32] = "";
    pread(fd, buf, 5, 0);
    say("read: %s", buf);
    pwrite(fd, "via write", 10, 2 * PG);
    say("mapped: %s, private %s", sf + 2 * PG, pf + 2 * PG);
    /* Beyond the end of the file, within its last page. */
    ftruncate(fd, 2 * PG + 3);
    say("tail %d", sf[2 * PG + 5]);
    sf[2 * PG + 10] = 'x';
    V(lseek(fd, 0, SEEK_END));
    ftruncate(fd, 2 * PG);
    ftruncate(fd, 3 * PG);
    say("after regrow %d", sf[2 * PG + 10]);
    IN_CHILD("sigbus", {
        struct rlimit r = {0, 0};
        setrlimit(RLIMIT_CORE, &r);
        ftruncate(fd, PG);
        ((volatile char *)sf)[PG] = 1;
    });
    ftruncate(fd, 3 * PG);
    int bad[2];
    pipe(bad);
    ftruncate(fd, 0);
    V(write(bad[1], sf, 10));
    V(read(fd, sf, 10));
    ftruncate(fd, 3 * PG);
    V(write(bad[1], sf, 10));
    /* A private copied page survives truncation and unlink of the file is no matter. */
    strcpy(pf, "copied");
    unlink("f");
    say("%s", pf);
    /* Access modes. */
    int ro = open("/proc/self/exe", O_RDONLY);
    V(mmap(0, PG, RW, MAP_SHARED, ro, 0));
    OK(mmap(0, PG, RW, MAP_PRIVATE, ro, 0));
    int wo = open("w", O_WRONLY | O_CREAT, 0600);
    V(mmap(0, PG, PROT_READ, MAP_PRIVATE, wo, 0));
    V(mmap(0, PG, PROT_WRITE, MAP_SHARED, wo, 0));
    char *rom = mmap(0, PG, PROT_READ, MAP_SHARED, ro, 0);
    V(mprotect(rom, PG, RW));
    int dir = open(".", O_RDONLY);
    V(mmap(0, PG, PROT_READ, MAP_PRIVATE, dir, 0));
    V(mmap(0, PG, PROT_READ, MAP_PRIVATE, bad[0], 0));
    OK(mmap(0, PG, PROT_READ, MAP_SHARED_VALIDATE, fd, 0));
    V(mmap(0, PG, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0));
    char *z = mmap(0, PG, RW, MAP_PRIVATE, open("/dev/zero", O_RDWR), 0);
    say("zero %d", z[5]);
    z = mmap(0, PG, RW, MAP_SHARED, open("/dev/zero", O_RDWR), 0);
    IN_CHILD("shared zero", z[0] = 4);
    say("%d", z[0]);
    /* Seals. */
    V(fcntl(mf, F_GET_SEALS));
    V(fcntl(mf, F_ADD_SEALS, F_SEAL_WRITE));
    V(fcntl(mf, F_ADD_SEALS, F_SEAL_SHRINK));
    V(ftruncate(mf, PG));
    V(ftruncate(mf, 4 * PG));
    munmap(sm, 2 * PG);
    V(fcntl(mf, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW));
    V(write(mf, "x", 1));
    V(pwrite(mf, "x", 1, 8 * PG));
    V(ftruncate(mf, 8 * PG));
    V(mmap(0, PG, RW, MAP_SHARED, mf, 0));
    OK(mmap(0, PG, PROT_READ, MAP_SHARED, mf, 0));
    OK(mmap(0, PG, RW, MAP_PRIVATE, mf, 0));
    V(fallocate(mf, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PG));
    V(fcntl(mf, F_ADD_SEALS, F_SEAL_SEAL));
    V(fcntl(mf, F_ADD_SEALS, F_SEAL_GROW));
    V(fcntl(mf, F_GET_SEALS));
    V(fcntl(fd, F_GET_SEALS) >= 0 || errno == EINVAL);
    int ns = memfd_create("n", 0);
    V(fcntl(ns, F_GET_SEALS));
    V(fcntl(ns, F_ADD_SEALS, F_SEAL_WRITE));
    V(memfd_create("x", 0x1000));
    char name[300];
    memset(name, 'a', 299);
    name[299] = 0;
    V(memfd_create(name, 0));
    char link[300];
    snprintf(buf, 32, "/proc/self/fd/%d", mf);
    long n = readlink(buf, link, 299);
    link[n] = 0;
    say("%s", link);
    int fw = memfd_create("fw", MFD_ALLOW_SEALING);
    ftruncate(fw, PG);
    char *w = mmap(0, PG, RW, MAP_SHARED, fw, 0);
    V(fcntl(fw, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
    w[0] = 1;
    V(write(fw, "x", 1));
    V(mmap(0, PG, RW, MAP_SHARED, fw, 0));
    /* Copy-on-write with many relatives. */
    char *c = mmap(0, 64 * PG, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 64; i++) c[i * PG] = i;
    for (int k = 0; k < 8; k++) {
        pid_t p = fork();
        if (!p) {
            for (int i = 0; i < 64; i++) c[i * PG] += k + 1;
            int ok = 1;
            for (int i = 0; i < 64; i++) ok &= c[i * PG] == i + k + 1;
            _exit(ok);
        }
    }
    int st, sum = 0;
    while (wait(&st) > 0) sum += WEXITSTATUS(st);
    int ok = 1;
    for (int i = 0; i < 64; i++) ok &= c[i * PG] == i;
    say("children right %d, parent right %d", sum, ok);
    return 0;
}
