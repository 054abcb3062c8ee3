/* Code made by several threads at once, as compilers at run time do: pages of their own that are written, then executed; one
 * page that all run while one writes it anew; calls that are patched while they are made. */
#include "t.h"
#include <linux/membarrier.h>

enum { PAGE = 4096, THREADS = 4, ROUNDS = 300 };

typedef long (*code)(long);

/* Returns its argument times `factor` plus `term`. */
static int emit(unsigned char *p, int factor, int term)
{
    unsigned char text[] = {0x48, 0x69, 0xc7, 0, 0, 0, 0, 0x48, 0x05, 0, 0, 0, 0, 0xc3};
    memcpy(text + 3, &factor, 4);
    memcpy(text + 9, &term, 4);
    memcpy(p, text, sizeof text);
    return sizeof text;
}

static void *own_pages(void *arg)
{
    long me = (long)arg, wrong = 0;
    unsigned char *p = MUST(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (int round = 1; round <= ROUNDS; round++) {
        MUST(mprotect(p, 4 * PAGE, PROT_READ | PROT_WRITE));
        int used = 0;
        for (int i = 0; i < 100; i++) used += emit(p + i * 64, round, i + me);
        MUST(mprotect(p, 4 * PAGE, PROT_READ | PROT_EXEC));
        for (int i = 0; i < 100; i++) wrong += ((code)(p + i * 64))(i) != (long)i * round + i + me;
        if (round % 50 == 0) {
            MUST(munmap(p, 4 * PAGE));
            p = MUST(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        }
    }
    munmap(p, 4 * PAGE);
    return (void *)wrong;
}

static unsigned char *shared;
static volatile int stop, version;
static int running;

/* A version that was valid at some time during the call. */
static void *runner(void *arg)
{
    long wrong = 0, calls = 0;
    while (!stop) {
        int before = version;
        long got = ((code)shared)(1000);
        int after = version;
        wrong += got < (long)before * 1000 || got > (long)(after + 1) * 1000;
        if (calls++ == 0) __atomic_add_fetch(&running, 1, __ATOMIC_SEQ_CST);
    }
    return (void *)wrong;
}

/* Every thread has run the code at least once. */
static void start_runners(pthread_t *t)
{
    running = stop = version = 0;
    for (int i = 0; i < THREADS; i++) MUST(-pthread_create(&t[i], NULL, runner, NULL));
    while (__atomic_load_n(&running, __ATOMIC_SEQ_CST) < THREADS) msleep(1);
}

static sigset_t none;
static void on_fault(int signo, siginfo_t *info, void *context)
{
    /* The page is being written: wait until it can be executed again. */
    if (info->si_code == SEGV_ACCERR && ((uintptr_t)info->si_addr & -PAGE) == (uintptr_t)shared) sched_yield();
    else _exit(9);
}

int main(void)
{
    pthread_t t[THREADS];
    void *r;
    long wrong = 0;
    for (long i = 0; i < THREADS; i++) MUST(-pthread_create(&t[i], NULL, own_pages, (void *)i));
    for (int i = 0; i < THREADS; i++) pthread_join(t[i], &r), wrong += (long)r;
    say("own pages: %ld wrong", wrong);

    /* W^X with others running it: their faults last as long as it can be written. */
    struct sigaction a = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &a, NULL);
    V(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0));
    shared = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    emit(shared, 0, 0);
    MUST(mprotect(shared, PAGE, PROT_READ | PROT_EXEC));
    start_runners(t);
    for (int i = 1; i <= ROUNDS; i++) {
        MUST(mprotect(shared, PAGE, PROT_READ | PROT_WRITE));
        emit(shared, i, 0);
        MUST(mprotect(shared, PAGE, PROT_READ | PROT_EXEC));
        MUST(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0));
        version = i;
        if (i % 20 == 0) msleep(1);
    }
    stop = 1;
    wrong = 0;
    for (int i = 0; i < THREADS; i++) pthread_join(t[i], &r), wrong += (long)r;
    say("one page: %ld wrong, last %ld", wrong, ((code)shared)(1000));

    /* Written through another mapping, as two views of one memory. */
    int fd = MUST(memfd_create("code", 0));
    MUST(ftruncate(fd, PAGE));
    unsigned char *view = MUST(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    shared = MUST(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0));
    emit(view, 0, 0);
    start_runners(t);
    for (int i = 1; i <= ROUNDS * 10; i++) {
        /* The factor alone, in one store. */
        *(volatile int *)(view + 3) = i;
        MUST(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0));
        version = i;
    }
    stop = 1;
    wrong = 0;
    for (int i = 0; i < THREADS; i++) pthread_join(t[i], &r), wrong += (long)r;
    say("two views: %ld wrong, last %ld", wrong, ((code)shared)(1000));
    return 0;
}
