/* Two FIFOs between each of several pairs of processes: every message is an open, a write and a close of its own, so that
 * either side comes first now and then, and a writer may be gone again before the reader has seen it. */
#include "t.h"
enum { PAIRS = 4, ROUNDS = 1500 };
static int put(const char *fifo, int value)
{
    int fd = open(fifo, O_WRONLY);
    if (fd < 0 || write(fd, &value, sizeof value) != sizeof value) return -1;
    return close(fd);
}
/* The message, which must be the only one. */
static int get(const char *fifo)
{
    int value = -1, more, fd = open(fifo, O_RDONLY);
    if (fd < 0 || read(fd, &value, sizeof value) != sizeof value) value = -1;
    if (read(fd, &more, sizeof more) != 0) value = -2;
    close(fd);
    return value;
}
int main(void)
{
    for (int p = 0; p < PAIRS; p++) {
        char ask[16], answer[16];
        sprintf(ask, "ask%d", p);
        sprintf(answer, "answer%d", p);
        MUST(mkfifo(ask, 0600));
        MUST(mkfifo(answer, 0600));
        if (!fork()) {
            for (int i = 0; i < ROUNDS; i++) {
                if (get(ask) != i) _exit(1);
                if (put(answer, -10 - i)) _exit(2);
            }
            _exit(0);
        }
        if (!fork()) {
            for (int i = 0; i < ROUNDS; i++) {
                if (put(ask, i)) _exit(3);
                if (get(answer) != -10 - i) _exit(4);
            }
            _exit(0);
        }
    }
    int status;
    while (wait(&status) > 0) say("%s", status_words(status));
    return 0;
}
