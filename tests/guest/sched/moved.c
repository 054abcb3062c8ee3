/* Fair shares across CPUs: a task that comes to a CPU from another one isn't measured by what it used there, and one that
 * ran alone for long isn't made to wait for that. */
#include "t.h"
#define CROWD 6

static void on_cpu(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    MUST(sched_setaffinity(0, sizeof set, &set));
}

static pid_t spinner(int cpu)
{
    pid_t child = fork();
    if (!child) {
        on_cpu(cpu);
        for (;;)
            ;
    }
    return child;
}

static void end(pid_t *all, int n)
{
    for (int i = 0; i < n; i++) kill(all[i], SIGKILL);
    for (int i = 0; i < n; i++) waitpid(all[i], NULL, 0);
}

/* Milliseconds of CPU. */
static long used(pid_t pid)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t)) return -1;
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Lets `pid` run beside `others` until those had `enough` milliseconds each: whether it had a share worth the name. */
static void shares(const char *label, pid_t pid, pid_t *others, int n, long enough)
{
    long before = used(pid), first[CROWD], least;
    for (int i = 0; i < n; i++) first[i] = used(others[i]);
    for (int i = 0; i < 2000; i++) {
        msleep(5);
        least = LONG_MAX;
        for (int k = 0; k < n; k++) {
            long got = used(others[k]) - first[k];
            if (got < least) least = got;
        }
        if (least >= enough) break;
    }
    say("%s: others %d, share %d", label, least >= enough, used(pid) - before >= enough / 3);
}

int main(void)
{
    int last = sysconf(_SC_NPROCESSORS_ONLN) > 1;
    pid_t crowd[CROWD], mover;
    volatile int *ready = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < CROWD; i++) crowd[i] = spinner(last);
    /* Alone on its CPU for as long as the others had not a sixth of that. */
    mover = fork();
    if (!mover) {
        on_cpu(0);
        while (used(getpid()) < 800)
            ;
        *ready = 1;
        on_cpu(last);
        for (;;)
            ;
    }
    while (!*ready) msleep(1);
    shares("from an empty CPU", mover, crowd, CROWD, 60);
    end(&mover, 1);
    end(crowd, CROWD);
    /* One that had a CPU alone, then company. */
    pid_t alone = spinner(last);
    while (used(alone) < 600) msleep(5);
    pid_t late = spinner(last);
    shares("alone before", alone, &late, 1, 120);
    end(&alone, 1);
    end(&late, 1);
    return 0;
}
