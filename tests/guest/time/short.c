/* Very many short sleeps of every kind: each of them ends. */
#include "t.h"
#include <linux/futex.h>
#include <sys/epoll.h>
enum { PROCESSES = 6, ROUNDS = 600 };
static void naps(int kind)
{
    int word = 0, epoll = epoll_create1(0);
    for (int i = 0; i < ROUNDS; i++) {
        struct timespec t = {0, 20000 + i % 50 * 10000};
        struct timespec until;
        switch (kind % 6) {
        case 0: nanosleep(&t, NULL); break;
        case 1: ppoll(NULL, 0, &t, NULL); break;
        case 2: syscall(SYS_futex, &word, FUTEX_WAIT, 0, &t, NULL, 0); break;
        case 3: epoll_wait(epoll, &(struct epoll_event){0}, 1, 1); break;
        case 4:
            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_nsec += t.tv_nsec;
            if (until.tv_nsec >= 1000000000) until.tv_nsec -= 1000000000, until.tv_sec++;
            clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL);
            break;
        case 5: select(0, NULL, NULL, NULL, &(struct timeval){0, t.tv_nsec / 1000}); break;
        }
    }
}
int main(void)
{
    for (int p = 0; p < PROCESSES; p++)
        if (!fork()) {
            naps(p);
            _exit(0);
        }
    int status, n = 0;
    while (wait(&status) > 0) n += status == 0;
    say("all %d slept and woke", n);
    return 0;
}
