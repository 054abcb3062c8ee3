/* Pipes and FIFOs: capacity, atomic writes, EPIPE, non-blocking, polling. */
#include "t.h"
static char big[1 << 20];
static void on(int s) { say("SIGPIPE"); }
static void pl(const char *l, int fd, int ev)
{
    struct pollfd p = {fd, ev};
    int n = poll(&p, 1, 0);
    say("%s: %d %x", l, n, p.revents);
}
int main(void)
{
    int p[2], n;
    char b[100];
    V(pipe((int *)8));
    V(pipe2(p, 0x100));
    pipe2(p, O_NONBLOCK | O_CLOEXEC);
    V(fcntl(p[0], F_GETFL));
    V(fcntl(p[1], F_GETFL));
    V(read(p[0], b, 1));
    V(write(p[0], b, 1));
    V(read(p[1], b, 1));
    V(lseek(p[0], 0, SEEK_SET));
    V(fcntl(p[0], F_GETPIPE_SZ));
    V(write(p[1], big, sizeof big));
    V(write(p[1], big, 1));
    pl("full, write end", p[1], POLLOUT);
    pl("full, read end", p[0], POLLIN);
    V(ioctl(p[0], FIONREAD, &n));
    V(n);
    V(fcntl(p[0], F_SETPIPE_SZ, 4096));
    V(read(p[0], big, 4095));
    V(write(p[1], big, 1));
    pl("not writable yet", p[1], POLLOUT);
    V(read(p[0], big, 1));
    pl("one page free", p[1], POLLOUT);
    V(write(p[1], big, 4097));
    V(write(p[1], big, 4096));
    while (read(p[0], big, sizeof big) > 0);
    V(fcntl(p[0], F_SETPIPE_SZ, 5000));
    V(fcntl(p[1], F_SETPIPE_SZ, 0));
    V(fcntl(p[1], F_SETPIPE_SZ, -1));
    V(fcntl(0, F_GETPIPE_SZ));
    V(write(p[1], big, 8192));
    V(write(p[1], big, 1));
    V(write(p[1], NULL, 0));
    V(write(p[1], (void *)8, 1));
    close(p[1]);
    pl("hung up with data", p[0], POLLIN);
    V(read(p[0], big, 100000));
    V(read(p[0], b, 1));
    pl("hung up", p[0], POLLIN);
    close(p[0]);
    pipe(p);
    close(p[0]);
    pl("no reader", p[1], POLLOUT);
    IN_CHILD("SIGPIPE", write(p[1], b, 1));
    on_signal(SIGPIPE, on, 0);
    V(write(p[1], b, 1));
    signal(SIGPIPE, SIG_IGN);
    V(write(p[1], b, 1));
    V(write(p[1], b, 0));
    close(p[1]);
    /* Writes up to PIPE_BUF from several writers don't mix. */
    pipe(p);
    for (int w = 0; w < 4; w++)
        if (!fork()) {
            char c[4096];
            memset(c, 'a' + w, 4096);
            for (int i = 0; i < 50; i++) write(p[1], c, 4096);
            _exit(0);
        }
    close(p[1]);
    int mixed = 0;
    long total = 0;
    char c[4096];
    for (;;) {
        long g = 0, r = 0;
        while (g < 4096 && (r = read(p[0], c + g, 4096 - g)) > 0) g += r;
        if (!g) break;
        total += g;
        for (int i = 1; i < g; i++) mixed |= c[i] != c[0];
    }
    say("total %ld mixed %d", total, mixed);
    while (wait(NULL) > 0);
    close(p[0]);
    /* A blocked write of much data ends when the reader goes. */
    pipe(p);
    pid_t k = fork();
    if (!k) {
        close(p[0]);
        long r = write(p[1], big, sizeof big);
        say("big write: %s", r < 0 ? errname(errno) : r == 65536 ? "partial 65536" : "partial");
        _exit(0);
    }
    close(p[1]);
    wait_state(k, 'S');
    close(p[0]);
    wait(NULL);
    pipe(p);
    k = fork();
    if (!k) {
        long r = write(p[1], big, 200000);
        say("whole: %ld", r);
        _exit(0);
    }
    close(p[1]);
    total = 0;
    long r;
    while ((r = read(p[0], big, 777)) > 0) total += r;
    say("read %ld", total);
    wait(NULL);
    /* O_DIRECT packets */
    pipe2(p, O_DIRECT);
    write(p[1], "abc", 3);
    write(p[1], "defg", 4);
    V(read(p[0], b, 2));
    V(read(p[0], b, 100));
    /* FIFOs */
    mkfifo("f", 0600);
    V(mkfifo("f", 0600));
    V(open("f", O_WRONLY | O_NONBLOCK));
    int rd = open("f", O_RDONLY | O_NONBLOCK);
    V(read(rd, b, 1));
    pl("no writer yet", rd, POLLIN);
    int wr = open("f", O_WRONLY);
    V(write(wr, "hi", 2));
    pl("data", rd, POLLIN);
    close(wr);
    pl("hup", rd, POLLIN);
    V(read(rd, b, 10));
    V(read(rd, b, 10));
    close(rd);
    int rw = open("f", O_RDWR);
    V(write(rw, "x", 1));
    V(read(rw, b, 1));
    close(rw);
    k = fork();
    if (!k) {
        int fd = open("f", O_WRONLY);
        write(fd, "from child", 10);
        _exit(0);
    }
    wait_state(k, 'S');
    rd = open("f", O_RDONLY);
    n = read(rd, b, 100);
    say("%.*s", n, b);
    wait(NULL);
    V(fcntl(rd, F_GETPIPE_SZ));
    char path[64];
    sprintf(path, "/proc/self/fd/%d", p[0]);
    int again = open(path, O_WRONLY | O_NONBLOCK);
    V(write(again, "z", 1));
    V(read(p[0], b, 1));
    return 0;
}
