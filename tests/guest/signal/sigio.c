/* O_ASYNC: signals when a file becomes ready, to whom and with what. */
#include "t.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
static sigset_t set;
static void wait_for(const char *what, int ms)
{
    siginfo_t info = {0};
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    int signo = sigtimedwait(&set, &info, &t);
    if (signo < 0) say("%s: none", what);
    else if (signo == SIGIO) say("%s: SIGIO code %x", what, info.si_code);
    else say("%s: SIGRTMIN+%d code %d band %lx fd %d", what, signo - SIGRTMIN, info.si_code, (long)info.si_band, info.si_fd);
    while (sigtimedwait(&set, &info, &(struct timespec){0, 20000000}) > 0);
}
int main(void)
{
    char c;
    int p[2], s[2];
    sigemptyset(&set);
    sigaddset(&set, SIGIO);
    sigaddset(&set, SIGRTMIN + 3);
    sigprocmask(SIG_BLOCK, &set, 0);
    MUST(pipe(p));
    dup2(p[0], 10);
    p[0] = 10;
    MUST(fcntl(p[0], F_SETFL, O_ASYNC | O_NONBLOCK));
    V(fcntl(p[0], F_GETFL) & O_ASYNC ? 1 : 0);
    MUST(write(p[1], "x", 1));
    wait_for("without an owner", 200);
    MUST(fcntl(p[0], F_SETOWN, getpid()));
    MUST(read(p[0], &c, 1));
    MUST(write(p[1], "x", 1));
    wait_for("data", 5000);
    MUST(fcntl(p[0], F_SETSIG, SIGRTMIN + 3));
    MUST(read(p[0], &c, 1));
    MUST(write(p[1], "x", 1));
    wait_for("data with a signal of choice", 5000);
    int off = 0;
    MUST(ioctl(p[0], FIOASYNC, &off));
    MUST(read(p[0], &c, 1));
    MUST(write(p[1], "x", 1));
    wait_for("switched off", 200);
    int on = 1;
    MUST(ioctl(p[0], FIOASYNC, &on));
    V(fcntl(p[0], F_GETFL) & O_ASYNC ? 1 : 0);
    MUST(fcntl(p[0], F_SETOWN, -getpgrp()));
    MUST(read(p[0], &c, 1));
    MUST(write(p[1], "x", 1));
    wait_for("to the process group", 5000);
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    dup2(s[0], 11);
    MUST(fcntl(11, F_SETOWN, getpid()));
    MUST(fcntl(11, F_SETFL, O_ASYNC));
    MUST(write(s[1], "y", 1));
    wait_for("a socket", 5000);
    pid_t child = fork();
    if (child == 0) {
        while (1) pause();
    }
    MUST(fcntl(p[0], F_SETOWN, child));
    MUST(read(p[0], &c, 1));
    MUST(write(p[1], "x", 1));
    wait_for("to the child", 200);
    kill(child, SIGKILL);
    waitpid(child, 0, 0);
    MUST(fcntl(p[0], F_SETOWN, getpid()));
    close(p[1]);
    return 0;
}
