/* Programs that compute without a system call give way to one that was asleep, also right after many system calls.
 * timeout: 120 */
#include "t.h"
enum { SPINNERS = 4, ROUNDS = 200 };
int main(void)
{
    volatile int *round = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int s = 0; s < SPINNERS; s++)
        if (!fork()) {
            for (int i = 0; i < ROUNDS; i++) {
                for (int n = 0; n < 20 + 10 * s; n++) syscall(SYS_getppid);
                while (*round <= i);
            }
            _exit(s);
        }
    for (int i = 0; i < ROUNDS; i++) {
        msleep(1);
        ++*round;
    }
    int status, sum = 0;
    while (wait(&status) > 0) sum += WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
    say("ended: %d", sum);
    return 0;
}
