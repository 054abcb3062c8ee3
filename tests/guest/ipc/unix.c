/* Unix sockets: stream, datagram, seqpacket, abstract and path names,
 * descriptors and credentials in messages, flags, backlog, shutdown. */
#include "t.h"
#include <sys/socket.h>
#include <sys/un.h>
static struct sockaddr_un at(const char *n, socklen_t *l)
{
    struct sockaddr_un a = {AF_UNIX};
    if (*n == '@') {
        memcpy(a.sun_path + 1, n + 1, strlen(n) - 1);
        *l = 2 + strlen(n);
    } else {
        strcpy(a.sun_path, n);
        *l = 3 + strlen(n);
    }
    return a;
}
static long bindto(int s, const char *n)
{
    socklen_t l;
    struct sockaddr_un a = at(n, &l);
    return bind(s, (void *)&a, l);
}
static long conn(int s, const char *n)
{
    socklen_t l;
    struct sockaddr_un a = at(n, &l);
    return connect(s, (void *)&a, l);
}
static void name(const char *lab, int s, int peer)
{
    struct sockaddr_un a;
    memset(&a, 0, sizeof a);
    socklen_t l = sizeof a;
    long r = peer ? getpeername(s, (void *)&a, &l) : getsockname(s, (void *)&a, &l);
    if (r) say("%s: %s", lab, errname(errno));
    else say("%s: len %d %s", lab, l, l > 2 ? a.sun_path[0] ? a.sun_path : a.sun_path + 1 : "");
}
static long sendfds(int s, int *fds, int n, const char *t)
{
    char c[CMSG_SPACE(300 * sizeof(int))];
    struct iovec v = {(void *)t, strlen(t)};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = CMSG_SPACE(n * sizeof(int))};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(h), fds, n * sizeof(int));
    return sendmsg(s, &m, 0);
}
static long recvall(const char *lab, int s, size_t ctl, int flags)
{
    char b[100], c[2000];
    struct iovec v = {b, 100};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = ctl};
    long r = recvmsg(s, &m, flags);
    if (r < 0) {
        say("%s: %s", lab, errname(errno));
        return r;
    }
    int nfd = 0, first = -1;
    char extra[100] = "";
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        if (h->cmsg_type == SCM_RIGHTS) {
            nfd = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            first = *(int *)CMSG_DATA(h);
        }
        if (h->cmsg_type == SCM_CREDENTIALS) {
            struct ucred *u = (void *)CMSG_DATA(h);
            sprintf(extra, " cred pid %s uid %d gid %d",
                    u->pid == getpid() ? "self"
                    : u->pid           ? "other"
                                       : "0",
                    u->uid == getuid(), u->gid == getgid());
        }
    }
    say("%s: %ld [%.*s] flags %x fds %d cloexec %d%s", lab, r, (int)(r > 100 ? 100 : r), b,
        m.msg_flags & ~MSG_CMSG_CLOEXEC, nfd, first >= 0 ? fcntl(first, F_GETFD) : 0, extra);
    return first;
}
static void pl(const char *l, int fd)
{
    struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP};
    int n = poll(&p, 1, 0);
    say("%s: %d %x", l, n, p.revents);
}
int main(void)
{
    char b[300000];
    int s[2], v;
    socklen_t l = sizeof v;
    signal(SIGPIPE, SIG_IGN);
    V(socket(AF_UNIX, SOCK_STREAM, 1));
    close(3 - 1 + 1);
    V(socket(AF_UNIX, SOCK_RDM, 0));
    V(socket(AF_UNIX, SOCK_STREAM, 99));
    V(socket(99, SOCK_STREAM, 0));
    V(socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)8));
    int a = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    V(listen(a, 1));
    V(bindto(a, "sock"));
    V(bindto(a, "other"));
    V(bindto(c, "sock"));
    V(conn(c, "sock"));
    V(conn(c, "none"));
    close(open("plain", O_CREAT | O_WRONLY, 0600));
    V(conn(c, "plain"));
    V(listen(a, 1));
    V(accept4(a, 0, 0, 0x10));
    fcntl(a, F_SETFL, O_NONBLOCK);
    V(accept(a, 0, 0));
    V(conn(c, "sock"));
    V(conn(c, "sock"));
    pl("listener", a);
    int x = accept4(a, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    V(fcntl(x, F_GETFL));
    name("listener", a, 0);
    name("accepted", x, 0);
    name("accepted peer", x, 1);
    name("client", c, 0);
    name("client peer", c, 1);
    struct ucred u;
    l = sizeof u;
    V(getsockopt(c, SOL_SOCKET, SO_PEERCRED, &u, &l));
    say("peer is self %d", u.pid == getpid() && u.uid == getuid());
    for (int i = 0; i < 4; i++) {
        int k = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        long r = conn(k, "sock");
        if (r) {
            say("backlog: %d then %s", i, errname(errno));
            break;
        }
    }
    V(write(x, "abc", 3));
    V(recv(c, b, 1, MSG_PEEK));
    V(recv(c, b, 10, 0));
    V(recv(x, b, 1, 0));
    V(recv(c, b, 1, MSG_DONTWAIT));
    V(send(c, "", 0, 0));
    pl("idle", c);
    V(shutdown(c, SHUT_WR));
    pl("peer after SHUT_WR", x);
    V(read(x, b, 1));
    V(write(c, "x", 1));
    V(write(x, "still", 5));
    V(read(c, b, 5));
    V(shutdown(x, 7));
    close(x);
    pl("closed peer", c);
    V(read(c, b, 1));
    V(send(c, "x", 1, MSG_NOSIGNAL));
    unlink("sock");
    V(conn(socket(AF_UNIX, SOCK_STREAM, 0), "sock"));
    V(getsockopt(a, SOL_SOCKET, SO_TYPE, &v, (l = sizeof v, &l)));
    V(v);
    V(getsockopt(a, SOL_SOCKET, SO_DOMAIN, &v, &l));
    V(v);
    V(getsockopt(a, SOL_SOCKET, SO_ACCEPTCONN, &v, &l));
    V(v);
    V(getsockopt(a, SOL_SOCKET, SO_ERROR, &v, &l));
    V(v);
    V(getsockopt(a, SOL_SOCKET, 9999, &v, &l));
    V(setsockopt(a, SOL_SOCKET, SO_PASSCRED, &v, 1));
    V(getsockopt(0, SOL_SOCKET, SO_TYPE, &v, &l));
    /* abstract and autobind */
    int ab = socket(AF_UNIX, SOCK_DGRAM, 0), ac = socket(AF_UNIX, SOCK_DGRAM, 0);
    char an[40];
    sprintf(an, "@umlaut-test-%d", getpid());
    V(bindto(ab, an));
    V(bindto(ac, an));
    V(conn(ac, an));
    struct sockaddr_un au = {AF_UNIX};
    V(bind(ac, (void *)&au, 2));
    l = sizeof au;
    getsockname(ac, (void *)&au, &l);
    say("autobind len %d", l);
    V(send(ac, "hello", 5, 0));
    V(send(ac, "", 0, 0));
    l = sizeof au;
    V(recvfrom(ab, b, 100, 0, (void *)&au, &l));
    say("from len %d", l);
    V(recv(ab, b, 100, 0));
    V(send(ac, "0123456789", 10, 0));
    V(recv(ab, b, 4, MSG_TRUNC));
    V(recv(ab, b, 4, MSG_DONTWAIT));
    close(ab);
    V(send(ac, "x", 1, 0));
    V(conn(ac, an));
    /* dgram pair: boundaries, EMSGSIZE, queue length */
    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s);
    V(send(s[0], b, sizeof b, 0));
    V(write(s[0], "one", 3));
    V(write(s[0], "two", 3));
    V(ioctl(s[1], FIONREAD, &v));
    V(v);
    V(recv(s[1], b, 100, 0));
    V(recv(s[1], b, 1, 0));
    V(recv(s[1], b, 1, 0));
    int n = 0;
    while (send(s[0], "x", 1, 0) == 1 && n < 10000) n++;
    say("dgram queue limited %d %s", n > 5 && n < 10000, errname(errno));
    pl("full", s[0]);
    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s);
    V(write(s[0], "packet", 6));
    V(write(s[0], "second", 6));
    struct iovec iv = {b, 3};
    struct msghdr mh = {.msg_iov = &iv, .msg_iovlen = 1};
    V(recvmsg(s[1], &mh, 0));
    say("trunc %d eor %d", !!(mh.msg_flags & MSG_TRUNC), !!(mh.msg_flags & MSG_EOR));
    V(read(s[1], b, 100));
    close(s[0]);
    V(read(s[1], b, 100));
    V(write(s[1], "x", 1));
    /* descriptors */
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    int fd = open("plain", O_RDWR);
    write(fd, "contents", 8);
    int many[300];
    for (int i = 0; i < 300; i++) many[i] = fd;
    V(sendfds(s[0], &fd, 1, "one"));
    int g = recvall("one fd", s[1], 200, 0);
    V(pread(g, b, 8, 0));
    V(lseek(g, 0, SEEK_CUR));
    V(sendfds(s[0], many, 253, "many"));
    recvall("253", s[1], 2000, MSG_CMSG_CLOEXEC);
    V(sendfds(s[0], many, 254, "x"));
    many[0] = 9999;
    V(sendfds(s[0], many, 2, "x"));
    many[0] = fd;
    V(sendfds(s[0], many, 3, "trunc"));
    recvall("room for one", s[1], CMSG_SPACE(4), 0);
    V(sendfds(s[0], many, 1, "a"));
    V(write(s[0], "b", 1));
    recvall("not merged", s[1], 200, 0);
    recvall("rest", s[1], 200, 0);
    V(sendfds(s[0], many, 1, "pk"));
    g = recvall("peek", s[1], 200, MSG_PEEK);
    recvall("then", s[1], 200, 0);
    V(sendfds(s[0], many, 1, "none"));
    recvall("no room", s[1], 0, 0);
    V(sendfds(s[0], s, 2, "self"));
    close(s[0]);
    recvall("sockets in flight", s[1], 200, 0);
    /* credentials */
    socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
    v = 1;
    setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &v, 4);
    write(s[0], "c", 1);
    recvall("creds", s[1], 200, 0);
    IN_CHILD("from child", write(s[0], "k", 1));
    recvall("creds of child", s[1], 200, 0);
    struct ucred fake = {1, 0, 0};
    char cb[CMSG_SPACE(sizeof fake)];
    iv = (struct iovec){"f", 1};
    mh = (struct msghdr){.msg_iov = &iv, .msg_iovlen = 1, .msg_control = cb, .msg_controllen = sizeof cb};
    struct cmsghdr *h = CMSG_FIRSTHDR(&mh);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_CREDENTIALS;
    h->cmsg_len = CMSG_LEN(sizeof fake);
    fake.pid = getpid();
    fake.uid = getuid();
    fake.gid = getgid();
    memcpy(CMSG_DATA(h), &fake, sizeof fake);
    V(sendmsg(s[0], &mh, 0));
    recvall("own creds", s[1], 200, 0);
    h->cmsg_type = 99;
    V(sendmsg(s[0], &mh, 0));
    struct mmsghdr mm[2] = {{{.msg_iov = &iv, .msg_iovlen = 1}}, {{.msg_iov = &iv, .msg_iovlen = 1}}};
    V(sendmmsg(s[0], mm, 2, 0));
    char rb[2][10];
    struct iovec ri[2] = {{rb[0], 10}, {rb[1], 10}};
    mm[0].msg_hdr.msg_iov = &ri[0];
    mm[1].msg_hdr.msg_iov = &ri[1];
    V(recvmmsg(s[1], mm, 2, MSG_DONTWAIT, NULL));
    V(recvmmsg(s[1], mm, 2, MSG_DONTWAIT, NULL));
    /* waitall, buffers, stream filling */
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    pid_t k = fork();
    if (!k) {
        write(s[0], "12", 2);
        msleep(20);
        write(s[0], "345", 3);
        _exit(0);
    }
    V(recv(s[1], b, 5, MSG_WAITALL));
    wait(0);
    fcntl(s[0], F_SETFL, O_NONBLOCK);
    long t = 0, r;
    while ((r = write(s[0], b, 4096)) > 0) t += r;
    say("stream fills: %d %s", t > 50000, errname(errno));
    pl("full stream", s[0]);
    fcntl(s[0], F_SETFL, 0);
    struct timeval tv = {0, 20000};
    setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    V(write(s[0], b, 4096));
    while (recv(s[1], b, sizeof b, MSG_DONTWAIT) > 0);
    setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    V(read(s[1], b, 1));
    V(sendto(s[0], "x", 1, 0, (void *)&au, sizeof au));
    V(send(s[0], "o", 1, MSG_OOB));
    V(connect(s[0], (void *)&au, 1));
    V(lseek(s[0], 0, 0));
    V(pread(s[0], b, 1, 0));
    return 0;
}
