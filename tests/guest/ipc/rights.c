/* Descriptors in flight: cycles that nobody can reach, peeking, truncation, sockets in their own queue, limits. */
#include "t.h"
#include <sys/socket.h>
static long give(int s, const int *fds, int n)
{
    char c[CMSG_SPACE(300 * sizeof(int))] = {0};
    struct iovec v = {"x", 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = CMSG_SPACE(n * sizeof(int))};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(h), fds, n * sizeof(int));
    return sendmsg(s, &m, 0);
}
static int take(const char *l, int s, int room, int flags)
{
    char c[CMSG_SPACE(300 * sizeof(int))] = {0}, b[8];
    struct iovec v = {b, sizeof b};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = room};
    long r = recvmsg(s, &m, flags);
    struct cmsghdr *h = r < 0 ? 0 : CMSG_FIRSTHDR(&m);
    int n = h ? (h->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0, fd = -1;
    if (n) memcpy(&fd, CMSG_DATA(h), sizeof fd);
    say("%s: %ld %s fds %d flags %x space %ld", l, r, r < 0 ? errname(errno) : "", n, m.msg_flags, (long)m.msg_controllen);
    for (int i = 1; i < n; i++) close(((int *)CMSG_DATA(h))[i]);
    return fd;
}
static int hung_up(int fd, int ms)
{
    struct pollfd p = {fd, POLLIN};
    int n = poll(&p, 1, ms);
    return n > 0 ? p.revents : 0;
}
int main(void)
{
    int s[2], p[2], many[300], x;
    signal(SIGPIPE, SIG_IGN);
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    pipe(p);
    for (int i = 0; i < 300; i++) many[i] = p[1];
    V(give(s[0], many, 253));
    V(give(s[0], many, 254));
    int bad[2] = {p[1], 999};
    V(give(s[0], bad, 2));
    x = take("all", s[1], 4096, MSG_CMSG_CLOEXEC);
    V(fcntl(x, F_GETFD));
    close(x);
    V(give(s[0], many, 3));
    close(take("peeked", s[1], 4096, MSG_PEEK));
    close(take("two of three", s[1], CMSG_LEN(2 * sizeof(int)), 0));
    V(give(s[0], many, 3));
    take("no room", s[1], 0, 0);
    V(give(s[0], many, 1));
    V(give(s[0], many, 1));
    V(write(s[0], "zz", 2));
    close(take("first", s[1], 4096, 0));
    close(take("second", s[1], 4096, 0));
    close(take("plain", s[1], 4096, 0));
    /* A read of plain data drops what came with it. */
    V(give(s[0], many, 1));
    char b[8];
    V(read(s[1], b, 8));
    close(p[1]);
    say("pipe end gone %x", hung_up(p[0], 1000));
    close(p[0]);
    /* A socket in its own queue, with the only writer of a pipe. */
    pipe(p);
    int t[2];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, t);
    int both[3] = {t[0], t[1], p[1]};
    V(give(t[0], both, 3));
    close(p[1]);
    close(t[0]);
    say("still held %x", hung_up(p[0], 0));
    close(t[1]);
    /* Collection may come with the next socket that is closed. */
    close(socket(AF_UNIX, SOCK_DGRAM, 0));
    say("collected %x", hung_up(p[0], 2000));
    close(p[0]);
    /* Two pairs in each other's queues, one still reachable. */
    pipe(p);
    int u[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, t);
    socketpair(AF_UNIX, SOCK_STREAM, 0, u);
    int w1[2] = {u[1], p[1]};
    V(give(t[0], w1, 2));
    V(give(u[0], &t[1], 1));
    close(p[1]);
    close(t[0]), close(t[1]), close(u[0]);
    close(socket(AF_UNIX, SOCK_DGRAM, 0));
    say("reachable %x", hung_up(p[0], 50));
    close(u[1]);
    close(socket(AF_UNIX, SOCK_DGRAM, 0));
    say("unreachable %x", hung_up(p[0], 2000));
    /* Received by somebody else after all others are gone. */
    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, t);
    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, u);
    V(give(t[0], &u[0], 1));
    close(u[0]);
    V(write(u[1], "hello", 5));
    x = take("landed", t[1], 4096, 0);
    V(read(x, b, 8));
    close(x);
    V(read(u[1], b, 8));
    struct rlimit r = {8, 64};
    setrlimit(RLIMIT_NOFILE, &r);
    V(give(s[0], s, 2));
    close(take("few numbers left", s[1], 4096, 0));
    return 0;
}
