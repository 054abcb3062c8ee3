/* Who is at a Unix socket's other end, and looking at its bytes: SO_PEERGROUPS, SO_PEERPIDFD, SO_PASSPIDFD, SO_PEEK_OFF.
 * needs: root
 */
#include "t.h"
#include <grp.h>
#include <sys/socket.h>
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#define SO_PEERPIDFD 77
#endif
static char b[200];

static void option(const char *label, int s, int name)
{
    int value = -77;
    socklen_t len = sizeof value;
    if (getsockopt(s, SOL_SOCKET, name, &value, &len)) say("%s: %s", label, errname(errno));
    else say("%s: %d, length %d", label, value, len);
}
#define GET(s, name) option(#name, s, name)
#define SET(s, name, value) \
    ({ \
        int value_ = value; \
        show("set " #name " " #value, setsockopt(s, SOL_SOCKET, name, &value_, sizeof value_)); \
    })

static void receive(const char *label, int s, size_t room)
{
    char control[200];
    struct iovec v = {b, sizeof b};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room};
    long n = recvmsg(s, &m, MSG_DONTWAIT);
    if (n < 0) {
        say("%s: %s", label, errname(errno));
        return;
    }
    char text[100] = "";
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        sprintf(text + strlen(text), " [type %d length %d]", h->cmsg_type, (int)h->cmsg_len);
        if (h->cmsg_type == 4) {
            int fd;
            memcpy(&fd, CMSG_DATA(h), sizeof fd);
            long alive = fd < 0 ? -1 : syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0);
            sprintf(text + strlen(text), " cloexec %d alive %ld", fd < 0 ? -1 : fcntl(fd, F_GETFD), alive);
            close(fd);
        }
    }
    say("%s: %ld %.*s flags %x%s", label, n, (int)n, b, m.msg_flags & ~MSG_CMSG_CLOEXEC, text);
}

static void identity(void)
{
    int fresh = socket(AF_UNIX, SOCK_STREAM, 0), s[2], fd = -1;
    gid_t groups[3] = {5, 6, 7};
    GET(fresh, SO_PEERGROUPS);
    GET(fresh, SO_PEERPIDFD);
    GET(fresh, SO_PASSPIDFD);
    MUST(setgroups(3, groups));
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    MUST(setgroups(0, groups));
    socklen_t len = 4;
    V(getsockopt(s[0], SOL_SOCKET, SO_PEERGROUPS, b, &len));
    say("length %d", len);
    len = 100;
    V(getsockopt(s[0], SOL_SOCKET, SO_PEERGROUPS, b, &len));
    say("length %d: %d %d", len, ((int *)b)[0], ((int *)b)[2]);
    len = 4;
    V(getsockopt(s[0], SOL_SOCKET, SO_PEERPIDFD, &fd, &len));
    V(fcntl(fd, F_GETFD));
    V(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
    close(fd);
    SET(s[1], SO_PASSPIDFD, 1);
    GET(s[1], SO_PASSPIDFD);
    write(s[0], "p", 1);
    receive("pidfd", s[1], sizeof b);
    SET(s[1], SO_PASSCRED, 1);
    write(s[0], "q", 1);
    receive("both", s[1], sizeof b);
    write(s[0], "r", 1);
    receive("room for credentials alone", s[1], CMSG_SPACE(sizeof(struct ucred)));
    IN_CHILD("child", write(s[0], "c", 1));
    write(s[0], "d", 1);
    SET(s[1], SO_PASSCRED, 0);
    receive("other sender's bytes apart", s[1], 0);
    receive("own", s[1], sizeof b);
}

static void look(const char *label, int s, int n, int flags)
{
    memset(b, 0, sizeof b);
    long r = recv(s, b, n, flags | MSG_DONTWAIT);
    if (r < 0) say("%s: %s", label, errname(errno));
    else say("%s: %ld %s", label, r, b);
}

static void peeking(void)
{
    int s[2], g[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, g));
    GET(s[1], SO_PEEK_OFF);
    SET(s[1], SO_PEEK_OFF, 0);
    write(s[0], "abcd", 4);
    write(s[0], "efgh", 4);
    look("peek", s[1], 3, MSG_PEEK);
    look("peek on", s[1], 3, MSG_PEEK);
    GET(s[1], SO_PEEK_OFF);
    look("read", s[1], 2, 0);
    GET(s[1], SO_PEEK_OFF);
    look("peek", s[1], 3, MSG_PEEK);
    look("nothing behind", s[1], 3, MSG_PEEK);
    if (fork() == 0) {
        msleep(20);
        write(s[0], "ij", 2);
        _exit(0);
    }
    memset(b, 0, sizeof b);
    V(recv(s[1], b, 30, MSG_PEEK));
    say("%s", b);
    SET(s[1], SO_PEEK_OFF, -1);
    look("all", s[1], 30, MSG_PEEK);
    look("read", s[1], 30, 0);
    SET(g[1], SO_PEEK_OFF, 2);
    write(g[0], "hello", 5);
    write(g[0], "world", 5);
    look("datagram", g[1], 2, MSG_PEEK);
    GET(g[1], SO_PEEK_OFF);
    look("its end", g[1], 20, MSG_PEEK);
    look("the next", g[1], 20, MSG_PEEK);
    GET(g[1], SO_PEEK_OFF);
    look("read", g[1], 20, 0);
    GET(g[1], SO_PEEK_OFF);
    look("read", g[1], 20, 0);
}

int main(void)
{
    identity();
    peeking();
    return 0;
}
