/* Process groups, sessions, orphaned groups. */
#include "t.h"

static int hups, conts;
static void on_hup(int s) { hups++; }
static void on_cont(int s) { conts++; }

int main(void)
{
    say("leader: %d %d", getpgrp() == getpid(), getsid(0) == getpid());
    V(setsid());
    V(setpgid(0, -1));
    V(setpgid(0, 0));
    V(setpgid(999999, 0));
    V(setpgid(1, 1));
    V(getpgid(999999));
    V(getsid(999999));
    V(getsid(-5));

    int ready[2], go[2];
    MUST(pipe(ready));
    MUST(pipe(go));
    pid_t p = fork();
    if (p == 0) {
        char c;
        write(ready[1], "x", 1);
        read(go[0], &c, 1);
        execl("/bin/cat", "cat", NULL);
        _exit(0);
    }
    char c;
    read(ready[0], &c, 1);
    V(setpgid(p, 1));
    V(setpgid(p, p));
    say("moved: %d", getpgid(p) == p);
    V(setpgid(p, getpgrp()));
    V(kill(-p, 0));
    V(kill(p, SIGKILL));
    waitpid(p, NULL, 0);
    V(kill(-p, 0));

    /* setpgid after the child's exec. */
    int st, null[2];
    MUST(pipe2(null, O_CLOEXEC));
    p = fork();
    if (p == 0) {
        dup2(go[0], 0);
        execl("/bin/cat", "cat", NULL);
        _exit(0);
    }
    close(null[1]);
    read(null[0], &c, 1);
    V(setpgid(p, p));
    kill(p, SIGKILL);
    waitpid(p, &st, 0);

    /* A child in a session of its own. */
    p = fork();
    if (p == 0) {
        say("setsid: %d", setsid() == getpid());
        say("group: %d", getpgrp() == getpid());
        write(ready[1], "x", 1);
        for (;;) pause();
    }
    read(ready[0], &c, 1);
    V(setpgid(p, 0));
    V(setpgid(0, p));
    kill(p, SIGKILL);
    waitpid(p, &st, 0);

    /* A stopped group that becomes orphaned gets SIGHUP and SIGCONT. */
    p = fork();
    if (p == 0) {
        setpgid(0, 0);
        pid_t q = fork();
        if (q == 0) {
            on_signal(SIGHUP, on_hup, 0);
            on_signal(SIGCONT, on_cont, 0);
            write(ready[1], "x", 1);
            raise(SIGSTOP);
            for (int i = 0; i < 200 && !(hups && conts); i++) msleep(5);
            say("orphan: hup %d cont %d", hups, conts);
            /* In an orphaned group the terminal stop signals do nothing. */
            raise(SIGTSTP);
            say("tstp ignored in orphaned group");
            write(ready[1], "y", 1);
            _exit(0);
        }
        read(ready[0], &c, 1);
        waitpid(q, &st, WUNTRACED);
        _exit(0);
    }
    waitpid(p, &st, 0);
    read(ready[0], &c, 1);

    /* kill(0) reaches the group. */
    p = fork();
    if (p == 0) {
        setpgid(0, 0);
        for (int i = 0; i < 3; i++)
            if (fork() == 0) {
                write(ready[1], "x", 1);
                for (;;) pause();
            }
        for (int i = 0; i < 3; i++) read(ready[0], &c, 1);
        signal(SIGTERM, SIG_IGN);
        kill(0, SIGTERM);
        for (int i = 0; i < 3; i++) {
            MUST(wait(&st));
            say("member: %s", status_words(st));
        }
        _exit(0);
    }
    waitpid(p, &st, 0);
    say("group: %s", status_words(st));
    return 0;
}
