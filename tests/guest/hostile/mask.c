/* Blocks every signal number by every means, then loops: it must still be
 * preempted, stopped and killed.
 * expect:
 * other ran: 1
 * killed: killed by SIGKILL
 */
#include "t.h"
int main(void)
{
    cpu_set_t c;
    CPU_ZERO(&c);
    CPU_SET(0, &c);
    sched_setaffinity(0, sizeof c, &c);
    pid_t p = fork();
    if (!p) {
        unsigned long all = -1UL;
        syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, 0, 8);
        for (int s = 1; s < 65; s++) signal(s, SIG_IGN);
        for (;;);
    }
    msleep(100);
    say("other ran: %d", 1);
    kill(p, SIGKILL);
    int st;
    waitpid(p, &st, 0);
    say("killed: %s", status_words(st));
    return 0;
}
