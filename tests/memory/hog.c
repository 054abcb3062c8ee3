/* Makes the kernel keep as much as it will, one way a run: `hog <way>`. Says how it ended, once it is refused. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static char block[1 << 20], name[256], text[4096];

static void long_name(long i)
{
    memset(name, 'n', 255);
    memcpy(name, text, snprintf(text, sizeof text, "%ld", i));
}

/* Fills what can be written to without waiting. */
static void fill(int fd)
{
    while (write(fd, block, sizeof block) > 0);
}

static int pipes(long i)
{
    int p[2];
    (void)i;
    if (pipe2(p, O_NONBLOCK)) return -1;
    fcntl(p[1], F_SETPIPE_SZ, 1 << 20);
    fill(p[1]);
    return 0;
}

static int sockets(long i)
{
    int s[2], size = 1 << 20;
    if (socketpair(AF_UNIX, (i % 2 ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_NONBLOCK, 0, s)) return -1;
    setsockopt(s[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    while (send(s[0], block, 64 << 10, 0) > 0);
    return 0;
}

static int names(long i)
{
    long_name(i);
    int fd = open(name, O_CREAT | O_RDWR, 0600);
    if (fd < 0) return -1;
    return close(fd);
}

static int links(long i)
{
    if (i == 0 && names(0)) return -1;
    long_name(0);
    char first[256];
    memcpy(first, name, 256);
    long_name(i + 1);
    return link(first, name);
}

static int symlinks(long i)
{
    snprintf(name, sizeof name, "s%ld", i);
    memset(text, 't', 4095);
    text[4095] = 0;
    return symlink(text, name);
}

static int missing(long i)
{
    struct stat st;
    long_name(i);
    stat(name, &st);
    return i > 40000 ? (errno = EDOM, -1) : 0;
}

static int locks(long i)
{
    static int fd = -1;
    if (fd < 0) fd = open("locked", O_CREAT | O_RDWR, 0600);
    struct flock l = {.l_type = i % 2 ? F_RDLCK : F_WRLCK, .l_start = i * 2, .l_len = 1};
    return i > 4000 ? (errno = EDOM, -1) : fcntl(fd, F_SETLK, &l);
}

static int watches(long i)
{
    static int ep = -1, event = -1;
    if (ep < 0) ep = epoll_create1(0), event = eventfd(0, 0);
    if (i % 1000 == 999) {
        ep = epoll_create1(0);
        if (ep < 0) return -1;
    }
    int fd = 100000 + i % 1000;
    if (i < 1000 && dup2(event, fd) < 0) return -1;
    struct epoll_event e = {.events = EPOLLIN};
    return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) && errno != EEXIST ? -1 : 0;
}

static int notes(long i)
{
    static int in = -1;
    if (in < 0) in = inotify_init1(0);
    snprintf(text, sizeof text, "d%ld", i);
    if (mkdir(text, 0700)) return -1;
    return inotify_add_watch(in, text, IN_ALL_EVENTS) < 0 ? -1 : 0;
}

static int signals(long i)
{
    sigset_t all;
    sigfillset(&all);
    if (i == 0) sigprocmask(SIG_BLOCK, &all, 0);
    return sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i});
}

static int timers(long i)
{
    timer_t t;
    (void)i;
    return timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_NONE}, &t);
}

/* Full pipes that only a message on its way refers to. */
static int flying(long i)
{
    static int s[2];
    if (i % 200 == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s)) return -1;
    int p[2];
    if (pipe2(p, O_NONBLOCK)) return -1;
    fcntl(p[1], F_SETPIPE_SZ, 1 << 20);
    fill(p[1]);
    char control[CMSG_SPACE(2 * sizeof(int))] = {0};
    struct iovec io = {"x", 1};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(c), p, sizeof p);
    sendmsg(s[0], &m, 0);
    close(p[0]);
    close(p[1]);
    return 0;
}

static const struct {
    const char *name;
    int (*step)(long);
} ways[] = {
    {"pipes", pipes}, {"sockets", sockets}, {"names", names}, {"links", links}, {"symlinks", symlinks},
    {"missing", missing}, {"locks", locks}, {"watches", watches}, {"notes", notes},
    {"signals", signals}, {"timers", timers}, {"flying", flying},
};

int main(int argc, char **argv)
{
    struct rlimit files = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_NOFILE, &files);
    for (unsigned w = 0; argc == 2 && w < sizeof ways / sizeof *ways; w++) {
        if (strcmp(ways[w].name, argv[1])) continue;
        long i = 0;
        errno = 0;
        while (ways[w].step(i) == 0) i++;
        fprintf(stderr, "%s: %s after %ld\n", argv[1], strerror(errno), i);
        return 0;
    }
    return 2;
}
