/* Fork bomb with and without RLIMIT_NPROC, memory hog, descriptor hog.
 * timeout: 90
 * expect:
 * limited bomb contained: 1
 * bomb stopped: 1
 * memory hog: contained
 * descriptor hog: EMFILE
 * fork still works: exited 5
 */
#include "t.h"
int main(void)
{
    int st;
    pid_t p = fork();
    if (!p) {
        setpgid(0, 0);
        setuid(12345);
        struct rlimit r = {40, 40};
        setrlimit(RLIMIT_NPROC, &r);
        for (int i = 0; i < 200; i++)
            if (fork() < 0) usleep(100);
        for (;;) pause();
    }
    msleep(500);
    kill(-p, SIGKILL);
    say("limited bomb contained: %d", waitpid(p, &st, 0) == p);
    p = fork();
    if (!p) {
        setpgid(0, 0);
        alarm(3);
        long long t = now_ms();
        while (now_ms() - t < 1500) {
            fork();
            usleep(20000);
        }
        for (;;) pause();
    }
    setpgid(p, p);
    msleep(2000);
    for (int i = 0; i < 50; i++) {
        kill(-p, SIGKILL);
        msleep(5);
    }
    say("bomb stopped: %d", waitpid(p, &st, 0) == p);
    p = fork();
    if (!p) {
        for (int i = 0; i < 64; i++) {
            char *m = mmap(0, 64L << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (m == MAP_FAILED) _exit(9);
            memset(m, i + 1, 64L << 20);
        }
        _exit(1);
    }
    waitpid(p, &st, 0);
    say("memory hog: %s",
        (WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL) || (WIFEXITED(st) && WEXITSTATUS(st) == 9)
            ? "contained"
            : status_words(st));
    int n = 0;
    while (dup(0) >= 0 && n < 2000000) n++;
    say("descriptor hog: %s", errname(errno));
    closefrom(3);
    IN_CHILD("fork still works", _exit(5));
    return 0;
}
