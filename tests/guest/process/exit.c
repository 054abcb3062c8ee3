/* Exit statuses, signals, exit of a thread group, reparenting, subreaper. */
#include "t.h"
#include <sys/prctl.h>

static void *sleeper(void *x)
{
    for (;;) pause();
    return x;
}
static void *exiter(void *x) { _exit((int)(long)x); }
static void *late(void *x)
{
    msleep(30);
    say("thread ends last");
    return x;
}
static void *execer(void *x)
{
    execl("/bin/sh", "sh", "-c", "exit 12", NULL);
    return x;
}

int main(void)
{
    IN_CHILD("exit 256", _exit(256));
    IN_CHILD("exit -1", _exit(-1));
    for (int s = 1; s <= 31; s++) {
        if (s == SIGSTOP || s == SIGTSTP || s == SIGTTIN || s == SIGTTOU) continue;
        char label[32];
        snprintf(label, sizeof label, "SIG%s", sigabbrev_np(s));
        IN_CHILD(label, {
            struct rlimit none = {0, 0};
            setrlimit(RLIMIT_CORE, &none);
            kill(getpid(), s);
        });
    }
    IN_CHILD("thread exits group", {
        pthread_t t;
        pthread_create(&t, 0, exiter, (void *)7L);
        for (;;) pause();
    });
    IN_CHILD("main exits group", {
        pthread_t t;
        for (int i = 0; i < 5; i++) pthread_create(&t, 0, sleeper, 0);
        _exit(8);
    });
    IN_CHILD("main thread ends first", {
        pthread_t t;
        pthread_create(&t, 0, late, 0);
        pthread_exit(0);
    });
    IN_CHILD("raw exit of main", {
        pthread_t t;
        pthread_create(&t, 0, late, 0);
        syscall(SYS_exit, 3);
    });
    IN_CHILD("exec from a thread", {
        pthread_t t;
        pthread_create(&t, 0, sleeper, 0);
        pthread_create(&t, 0, execer, 0);
        pthread_join(t, 0);
        _exit(1);
    });
    IN_CHILD("group killed", {
        pthread_t t;
        for (int i = 0; i < 5; i++) pthread_create(&t, 0, sleeper, 0);
        kill(getpid(), SIGKILL);
    });
    IN_CHILD("tgkill kills all", {
        pthread_t t;
        pthread_create(&t, 0, sleeper, 0);
        msleep(5);
        pthread_kill(t, SIGTERM);
        for (;;) pause();
    });

    /* A subreaper adopts grandchildren, also through threads and nested. */
    MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
    int v = 0;
    prctl(PR_GET_CHILD_SUBREAPER, &v);
    say("subreaper: %d", v);
    int pipefd[2];
    MUST(pipe(pipefd));
    pid_t me = getpid(), p = fork();
    if (p == 0) {
        pid_t q = fork();
        if (q == 0) {
            while (getppid() != me) msleep(2);
            int inherited;
            prctl(PR_GET_CHILD_SUBREAPER, &inherited);
            say("adopted, subreaper inherited: %d", inherited);
            _exit(33);
        }
        write(pipefd[1], &q, sizeof q);
        _exit(0);
    }
    pid_t q = 0;
    int st;
    read(pipefd[0], &q, sizeof q);
    int reaped = waitpid(p, &st, 0) == p, adopted = waitpid(q, &st, 0) == q;
    say("child: %d", reaped);
    say("grandchild: %d %s", adopted, status_words(st));

    /* Parent death signal. */
    p = fork();
    if (p == 0) {
        q = fork();
        if (q == 0) {
            prctl(PR_SET_PDEATHSIG, SIGUSR1);
            int s = 0;
            prctl(PR_GET_PDEATHSIG, &s);
            say("pdeathsig: %d", s);
            write(pipefd[1], "x", 1);
            for (;;) pause();
        }
        char c;
        read(pipefd[0], &c, 1);
        _exit(0);
    }
    waitpid(p, &st, 0);
    MUST(wait(&st));
    say("orphan: %s", status_words(st));
    return 0;
}
