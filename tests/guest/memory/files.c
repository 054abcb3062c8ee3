/* Files mapped one after the other, over each other, and then first touched in every way: by the program, by a system call, by a
 * child, by another thread, after being protected, moved, cut and unmapped. timeout: 30 */
#include "t.h"

#define PG 4096L
static char name[] = "/tmp/filesXXXXXX";
static int fd;

static char *map(void *at, long pages, int prot, int flags, long from)
{
    char *p = mmap(at, pages * PG, prot, flags | (at ? MAP_FIXED : 0), fd, from * PG);
    if (p == MAP_FAILED) say("mmap: %s", errname(errno));
    return p;
}
/* As the dynamic linker maps a library: the whole, then its parts over it, then zero pages over the end. */
static char *library(void)
{
    char *p = map(0, 16, PROT_READ, MAP_PRIVATE, 0);
    map(p + 4 * PG, 4, PROT_READ | PROT_EXEC, MAP_PRIVATE, 5);
    map(p + 8 * PG, 2, PROT_READ, MAP_PRIVATE, 1);
    map(p + 10 * PG, 4, PROT_READ | PROT_WRITE, MAP_PRIVATE, 9);
    mmap(p + 12 * PG, 4 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0);
    return p;
}
/* The number in each page. */
static void print(const char *what, char *p, int pages)
{
    char line[400];
    int n = 0;
    for (int i = 0; i < pages; i++) n += sprintf(line + n, " %d", *(int *)(p + i * PG));
    say("%s:%s", what, line);
}
static volatile int go;
static void *toucher(void *p)
{
    while (!go) sched_yield();
    return (void *)(long)*(volatile int *)p;
}
int main(void)
{
    fd = MUST(mkstemp(name));
    unlink(name);
    for (int i = 0; i < 32; i++) {
        int page[PG / 4] = {100 + i};
        MUST(pwrite(fd, page, PG, i * PG));
    }
    print("touched at once", library(), 16);
    char *p = library();
    *(int *)(p + 10 * PG) = 1;
    *(int *)(p + 13 * PG) = 2;
    print("written", p, 16);
    V(munmap(p, 16 * PG));

    p = library();
    getppid();
    print("after a call", p, 16);

    p = library();
    int word[3] = {0};
    int tube[2];
    pipe(tube);
    V(write(tube[1], p + 4 * PG, 4));
    V(read(tube[0], p + 11 * PG, 4));
    V(write(tube[1], p, 4));
    V(read(tube[0], p, 4));
    V(read(tube[0], word, 4));
    say("word %d", word[0]);
    print("by calls", p, 16);

    p = library();
    pid_t pid = fork();
    if (!pid) {
        print("child", p, 16);
        _exit(0);
    }
    waitpid(pid, 0, 0);
    print("parent", p, 16);

    pthread_t t;
    for (int i = 0; i < 4; i++) {
        char *fresh = map(0, 8, PROT_READ, MAP_PRIVATE, 0);
        go = 0;
        pthread_create(&t, 0, toucher, fresh + i * PG);
        char *other = map(0, 8, PROT_READ, MAP_SHARED, 8);
        go = 1;
        void *seen;
        pthread_join(t, &seen);
        say("thread %ld %d", (long)seen, *(int *)(other + i * PG));
    }

    p = map(0, 4, PROT_NONE, MAP_PRIVATE, 3);
    V(mprotect(p, 2 * PG, PROT_READ | PROT_WRITE));
    *(int *)p = 7;
    print("protected", p, 2);
    IN_CHILD("not allowed", {
        struct rlimit r = {0, 0};
        setrlimit(RLIMIT_CORE, &r);
        ((volatile char *)p)[3 * PG] = 1;
    });

    p = map(0, 4, PROT_READ, MAP_PRIVATE, 6);
    char *moved = mremap(p, 4 * PG, 8 * PG, MREMAP_MAYMOVE);
    print("moved", moved, 8);
    p = map(0, 8, PROT_READ, MAP_SHARED, 6);
    V(munmap(p + 2 * PG, 2 * PG));
    print("left", p, 2);
    print("left", p + 4 * PG, 4);

    /* Anonymous memory gives way to a file's, at once. */
    p = mmap(0, 4 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 4; i++) *(int *)(p + i * PG) = -1;
    map(p + PG, 2, PROT_READ, MAP_PRIVATE, 20);
    print("replaced", p, 4);
    p = map(0, 4, PROT_READ | PROT_WRITE, MAP_SHARED, 24);
    *(int *)p = 9;
    map(p, 2, PROT_READ, MAP_PRIVATE, 26);
    print("replaced", p, 4);
    MUST(pread(fd, word, 4, 24 * PG));
    say("stored %d", word[0]);

    p = map(0, 8, PROT_READ, MAP_PRIVATE, 28);
    IN_CHILD("beyond the end", {
        struct rlimit r = {0, 0};
        setrlimit(RLIMIT_CORE, &r);
        print("the rest", p, 4);
        ((volatile char *)p)[4 * PG];
    });
    p = map(0, 8, PROT_READ, MAP_PRIVATE, 16);
    V(ftruncate(fd, 20 * PG));
    print("cut", p, 4);
    IN_CHILD("cut off", {
        struct rlimit r = {0, 0};
        setrlimit(RLIMIT_CORE, &r);
        ((volatile char *)p)[4 * PG];
    });
    p = map(0, 2, PROT_READ, MAP_PRIVATE | MAP_POPULATE, 2);
    unsigned char there[2];
    V(mincore(p, 2 * PG, there));
    say("there %d %d", there[0] & 1, there[1] & 1);
    return 0;
}
