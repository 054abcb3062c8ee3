/* Affinity, nice, scheduling policies, priorities, rusage, SMP. */
#include "t.h"
#include <sys/sysinfo.h>
static volatile long work[4];
static volatile int stop;
static void *spin(void *x)
{
    while (!stop) work[(long)x]++;
    return 0;
}
int main(void)
{
    cpu_set_t s;
    V(sched_getaffinity(0, 1, &s));
    V(syscall(SYS_sched_getaffinity, 0, 3, &s));
    V(sched_getaffinity(999999, sizeof s, &s));
    CPU_ZERO(&s);
    V(sched_setaffinity(0, sizeof s, &s));
    CPU_SET(1000, &s);
    V(sched_setaffinity(0, sizeof s, &s));
    CPU_ZERO(&s);
    CPU_SET(0, &s);
    CPU_SET(900, &s);
    V(sched_setaffinity(0, sizeof s, &s));
    sched_getaffinity(0, sizeof s, &s);
    V(CPU_COUNT(&s));
    V(sched_getcpu());
    IN_CHILD("inherited", {
        sched_getaffinity(0, sizeof s, &s);
        V(CPU_COUNT(&s));
    });
    V(sched_setaffinity(0, sizeof s, (void *)8));
    V(get_nprocs() == sysconf(_SC_NPROCESSORS_ONLN));
    struct sched_param p = {0};
    V(sched_getscheduler(0));
    V(sched_getscheduler(-1));
    V(sched_getscheduler(999999));
    V(sched_getparam(0, &p));
    V(p.sched_priority);
    V(sched_setscheduler(0, SCHED_OTHER, &p));
    V(sched_setscheduler(0, SCHED_BATCH, &p));
    V(sched_getscheduler(0));
    V(sched_setscheduler(0, SCHED_IDLE, &p));
    p.sched_priority = 1;
    V(sched_setscheduler(0, SCHED_OTHER, &p));
    V(sched_setscheduler(0, 99, &p));
    p.sched_priority = 100;
    V(sched_setscheduler(0, SCHED_FIFO, &p));
    V(sched_setscheduler(0, SCHED_FIFO, NULL));
    p.sched_priority = 0;
    V(sched_setscheduler(0, SCHED_FIFO, &p));
    V(sched_setscheduler(0, SCHED_OTHER, &p));
    for (int i = 0; i < 7; i++)
        say("policy %d: %d %d", i, sched_get_priority_min(i), sched_get_priority_max(i));
    struct timespec t;
    V(sched_rr_get_interval(0, &t));
    V(sched_rr_get_interval(-1, &t));
    V(sched_yield());
    V(getpriority(PRIO_PROCESS, 0));
    V(nice(5));
    V(nice(100));
    V(getpriority(PRIO_PROCESS, 0));
    V(syscall(SYS_getpriority, PRIO_PROCESS, 0));
    V(setpriority(PRIO_PROCESS, 999999, 0));
    V(setpriority(9, 0, 0));
    V(getpriority(PRIO_PGRP, 999999));
    V(getpriority(PRIO_USER, 99999));
    IN_CHILD("nice inherited", V(getpriority(PRIO_PROCESS, 0)));
    struct {
        unsigned size, policy;
        unsigned long flags;
        int nice;
        unsigned prio;
        unsigned long a, b, c;
        unsigned d, e;
    } at = {sizeof at};
    V(syscall(SYS_sched_getattr, 0, &at, sizeof at, 0));
    say("policy %u nice %d", at.policy, at.nice);
    V(syscall(SYS_sched_getattr, 0, &at, 10, 0));
    at = (typeof(at)){.size = 48, .nice = 19};
    V(syscall(SYS_sched_setattr, 0, &at, 0));
    V(syscall(SYS_sched_setattr, 0, &at, 5));
    V(syscall(SYS_ioprio_get, 1, 0) >= 0);
    /* A nicer thread gets less on one CPU; equals get the same. */
    pthread_t th[2];
    for (long i = 0; i < 2; i++) pthread_create(&th[i], 0, spin, (void *)i);
    msleep(600);
    stop = 1;
    for (int i = 0; i < 2; i++) pthread_join(th[i], 0);
    double r = (double)work[0] / (work[1] + 1);
    say("equal shares %d", r > 0.5 && r < 2.0);
    struct rusage ru;
    V(getrusage(RUSAGE_SELF, &ru));
    say("user time counted %d", ru.ru_utime.tv_sec * 1000 + ru.ru_utime.tv_usec / 1000 > 200);
    V(getrusage(RUSAGE_CHILDREN, &ru));
    V(getrusage(RUSAGE_THREAD, &ru));
    V(getrusage(9, &ru));
    struct sysinfo si;
    V(sysinfo(&si));
    say("memory sane %d", si.totalram > 0 && si.freeram <= si.totalram && si.procs > 0);
    unsigned cpu, node;
    V(syscall(SYS_getcpu, &cpu, &node, 0));
    V(node);
    V(syscall(SYS_membarrier, 0, 0, 0) > 0 || errno == ENOSYS);
    return 0;
}
