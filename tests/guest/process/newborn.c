/* Ends of processes, programs and signals that meet threads and children at the moment of their making. */
#include "t.h"
#include <sys/wait.h>

static volatile int ready;

static void *nothing(void *arg)
{
    return arg;
}

/* Makes threads, one after another, for ever. */
static void *maker(void *arg)
{
    for (;;) {
        pthread_t t;
        ready = 1;
        if (!pthread_create(&t, NULL, nothing, NULL)) pthread_join(t, NULL);
    }
    return arg;
}

static void caught(int signo)
{
}

/* A child with two threads that make threads; `end` ends it. */
static int round_of(int delay, void (*end)(void))
{
    int st;
    pid_t child = fork();
    if (!child) {
        pthread_t t;
        signal(SIGUSR1, caught);
        pthread_create(&t, NULL, maker, NULL);
        pthread_create(&t, NULL, maker, NULL);
        while (!ready) sched_yield();
        for (volatile int i = 0; i < delay; i++);
        end();
        _exit(9);
    }
    waitpid(child, &st, 0);
    return st;
}

static void by_exit(void)
{
    _exit(4);
}

static void by_exec(void)
{
    execl("/bin/true", "true", NULL);
}

static void by_signal(void)
{
    for (int i = 0; i < 50; i++) kill(getpid(), SIGUSR1);
    kill(getpid(), SIGKILL);
    pause();
}

int main(void)
{
    int exits = 0, execs = 0, kills = 0;
    for (int i = 0; i < 100; i++) {
        exits += round_of(i * 997 % 20000, by_exit) == 4 << 8;
        execs += round_of(i * 991 % 20000, by_exec) == 0;
        kills += round_of(i * 983 % 20000, by_signal) == SIGKILL;
    }
    say("exits %d, programs %d, kills %d", exits, execs, kills);
    return 0;
}
