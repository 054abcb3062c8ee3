/* signalfd: reading, polling, mask changes, forks, errors. */
#include "t.h"
#include <sys/epoll.h>
#include <sys/signalfd.h>

int main(void)
{
    sigset_t s, other;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    sigaddset(&s, SIGRTMIN);
    sigaddset(&s, SIGCHLD);
    sigprocmask(SIG_BLOCK, &s, NULL);
    int fd = signalfd(-1, &s, SFD_NONBLOCK | SFD_CLOEXEC);
    say("fd %d flags %d", fd >= 0, fcntl(fd, F_GETFD));
    V(signalfd(-1, &s, 0x1234));
    V(signalfd(0, &s, 0));
    V(signalfd(999, &s, 0));
    V(syscall(SYS_signalfd4, -1, &s, 4, 0));
    V(syscall(SYS_signalfd4, -1, (void *)8, 8, 0));
    struct signalfd_siginfo i[4];
    V(read(fd, i, sizeof i));
    V(read(fd, i, 10));
    struct pollfd p = {fd, POLLIN};
    V(poll(&p, 1, 0));
    raise(SIGUSR1);
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 8});
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 9});
    V(poll(&p, 1, 0));
    V(read(fd, i, sizeof i) / (long)sizeof *i);
    for (int k = 0; k < 3; k++)
        say("signo %s code %d int %d pid %d",
            k                           ? i[k].ssi_signo == (unsigned)SIGRTMIN ? "rtmin" : "?"
            : i[k].ssi_signo == SIGUSR1 ? "usr1"
                                        : "?",
            i[k].ssi_code, k ? i[k].ssi_int : 0, i[k].ssi_pid == (unsigned)getpid());
    V(poll(&p, 1, 0));
    pid_t c = fork();
    if (!c) _exit(6);
    V(poll(&p, 1, 2000));
    read(fd, i, sizeof i);
    say("chld: signo %d code %d status %d pid %d", i[0].ssi_signo, i[0].ssi_code, i[0].ssi_status,
        i[0].ssi_pid == (unsigned)c);
    waitpid(c, 0, 0);
    int ep = epoll_create1(0);
    struct epoll_event e = {EPOLLIN};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
    raise(SIGUSR1);
    V(epoll_wait(ep, &e, 1, 0));
    read(fd, i, sizeof i);
    V(epoll_wait(ep, &e, 1, 0));
    sigemptyset(&other);
    sigaddset(&other, SIGUSR2);
    sigprocmask(SIG_BLOCK, &other, NULL);
    V(signalfd(fd, &other, 0) == fd);
    raise(SIGUSR1);
    V(poll(&p, 1, 0));
    raise(SIGUSR2);
    V(poll(&p, 1, 0));
    /* The reader's own signals, not the creator's. */
    c = fork();
    if (!c) {
        V(read(fd, i, sizeof i));
        raise(SIGUSR2);
        V(read(fd, i, sizeof i));
        _exit(0);
    }
    waitpid(c, 0, 0);
    V(read(fd, i, sizeof i));
    V(write(fd, i, 1));
    V(lseek(fd, 0, SEEK_SET));
    /* A blocking read ends with the signal; sigwait and the fd share one queue. */
    sigset_t pend;
    sigpending(&pend);
    say("usr1 still pending: %d", sigismember(&pend, SIGUSR1));
    return 0;
}
