/* pidfds: open, poll, signal, wait, getfd, CLONE_PIDFD. */
#include "t.h"
#include <linux/sched.h>
#include <sys/pidfd.h>

int main(void)
{
    int hold[2];
    MUST(pipe2(hold, O_CLOEXEC));
    pid_t p = fork();
    if (p == 0) {
        char c;
        close(hold[1]);
        read(hold[0], &c, 1);
        _exit(21);
    }
    int fd = syscall(SYS_pidfd_open, p, 0);
    say("open: %d", fd >= 0);
    say("cloexec: %d", fcntl(fd, F_GETFD));
    V(syscall(SYS_pidfd_open, 0, 0));
    V(syscall(SYS_pidfd_open, -1, 0));
    V(syscall(SYS_pidfd_open, p, 0x40000000));
    V(syscall(SYS_pidfd_open, 999999, 0));
    struct pollfd pf = {.fd = fd, .events = POLLIN};
    V(poll(&pf, 1, 0));
    V(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
    V(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0x100));
    V(syscall(SYS_pidfd_send_signal, hold[0], 0, NULL, 0));
    V(syscall(SYS_pidfd_send_signal, fd, 99, NULL, 0));
    char b;
    V(read(fd, &b, 1));
    V(write(fd, &b, 1));
    int nb = syscall(SYS_pidfd_open, p, O_NONBLOCK);
    siginfo_t si;
    V(waitid(P_PIDFD, nb, &si, WEXITED));
    int copy = syscall(SYS_pidfd_getfd, fd, hold[0], 0);
    say("getfd: %d cloexec %d", copy >= 0, fcntl(copy, F_GETFD));
    V(syscall(SYS_pidfd_getfd, fd, 999, 0));
    V(syscall(SYS_pidfd_getfd, fd, 0, 1));
    close(hold[1]);
    V(poll(&pf, 1, 2000));
    say("revents: %x", pf.revents);
    V(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
    memset(&si, 0, sizeof si);
    V(waitid(P_PIDFD, fd, &si, WEXITED));
    say("status: %d", si.si_status);
    V(waitid(P_PIDFD, fd, &si, WEXITED));
    V(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0));

    int got = -1;
    struct clone_args a = {.flags = CLONE_PIDFD, .pidfd = (uintptr_t)&got, .exit_signal = SIGCHLD};
    p = syscall(SYS_clone3, &a, sizeof a);
    if (p == 0) {
        for (;;) pause();
    }
    say("clone pidfd: %d", got >= 0);
    V(syscall(SYS_pidfd_send_signal, got, SIGKILL, NULL, 0));
    V(waitid(P_PIDFD, got, &si, WEXITED));
    say("killed: code %d status %d", si.si_code, si.si_status);
    /* A pidfd of oneself, and of a thread. */
    int self = syscall(SYS_pidfd_open, getpid(), 0);
    say("self: %d", self >= 0);
    signal(SIGUSR1, SIG_IGN);
    V(syscall(SYS_pidfd_send_signal, self, SIGUSR1, NULL, 0));
    /* A directory of procfs is one, too. */
    int dir = open("/proc/self", O_DIRECTORY), other = open("/proc/self/fd", O_DIRECTORY), root = open("/proc", O_DIRECTORY);
    V(syscall(SYS_pidfd_send_signal, dir, SIGUSR1, NULL, 0));
    V(syscall(SYS_pidfd_send_signal, other, 0, NULL, 0));
    V(syscall(SYS_pidfd_send_signal, root, 0, NULL, 0));
    V(syscall(SYS_pidfd_getfd, dir, 0, 0));
    return 0;
}
