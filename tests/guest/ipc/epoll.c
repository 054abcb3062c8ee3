/* epoll, eventfd, poll, select, ppoll and pselect masks. */
#include "t.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
static int ep;
static volatile int hits;
static void on(int s) { hits++; }
static void ctl(const char *l, int op, int fd, unsigned ev, int data)
{
    struct epoll_event e = {ev, {.u32 = data}};
    okay(l, epoll_ctl(ep, op, fd, &e));
}
static void ready(const char *l)
{
    struct epoll_event e[8];
    int n = epoll_wait(ep, e, 8, 0);
    char t[200] = "";
    for (int i = 0; i < n; i++) sprintf(t + strlen(t), " %u:%x", e[i].data.u32, e[i].events);
    say("%s: %d%s", l, n, t);
}
static void *waiter(void *x)
{
    struct epoll_event e;
    int n = epoll_wait(ep, &e, 1, 300);
    return (void *)(long)n;
}
static void *poke(void *x)
{
    msleep(30);
    eventfd_write(*(int *)x, 1);
    return 0;
}
int main(void)
{
    eventfd_t v;
    int f = eventfd(3, EFD_NONBLOCK);
    V(eventfd(0, 0x100));
    V(eventfd_read(f, &v));
    say("%lu", v);
    V(eventfd_read(f, &v));
    V(eventfd_write(f, -2ULL));
    V(eventfd_write(f, 1));
    V(eventfd_write(f, -1ULL));
    V(read(f, &v, 4));
    V(write(f, &v, 7));
    struct pollfd p = {f, POLLIN | POLLOUT};
    V(poll(&p, 1, 0));
    say("%x", p.revents);
    eventfd_read(f, &v);
    int s = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    V(eventfd_read(s, &v));
    say("%lu", v);
    V(eventfd_read(s, &v));
    V(eventfd_read(s, &v));
    V(lseek(f, 0, 0));
    V(epoll_create(0));
    V(epoll_create1(1));
    ep = epoll_create1(EPOLL_CLOEXEC);
    ctl("add", EPOLL_CTL_ADD, f, EPOLLIN, 1);
    ctl("add twice", EPOLL_CTL_ADD, f, EPOLLIN, 1);
    ctl("add itself", EPOLL_CTL_ADD, ep, EPOLLIN, 1);
    ctl("add file", EPOLL_CTL_ADD, open("/proc/self/exe", O_RDONLY), EPOLLIN, 1);
    ctl("mod missing", EPOLL_CTL_MOD, s, EPOLLIN, 1);
    ctl("del missing", EPOLL_CTL_DEL, s, 0, 0);
    ctl("bad fd", EPOLL_CTL_ADD, 999, 0, 0);
    ctl("bad op", 9, f, 0, 0);
    V(epoll_ctl(ep, EPOLL_CTL_ADD, s, NULL));
    V(epoll_ctl(ep, EPOLL_CTL_DEL, f, NULL));
    struct epoll_event e;
    V(epoll_wait(ep, &e, 0, 0));
    V(epoll_wait(f, &e, 1, 0));
    V(epoll_wait(ep, (void *)8, 1, 0));
    ctl("level", EPOLL_CTL_ADD, f, EPOLLIN, 1);
    ready("empty");
    eventfd_write(f, 1);
    ready("level");
    ready("level again");
    eventfd_read(f, &v);
    ready("read");
    ctl("edge", EPOLL_CTL_MOD, f, EPOLLIN | EPOLLET, 2);
    ready("none");
    eventfd_write(f, 1);
    ready("edge");
    ready("edge again");
    eventfd_write(f, 1);
    ready("new edge");
    ctl("mod rearms", EPOLL_CTL_MOD, f, EPOLLIN | EPOLLET, 3);
    ready("rearmed");
    ctl("oneshot", EPOLL_CTL_MOD, f, EPOLLIN | EPOLLONESHOT, 4);
    ready("oneshot");
    ready("spent");
    eventfd_write(f, 1);
    ready("still spent");
    ctl("rearm", EPOLL_CTL_MOD, f, EPOLLIN | EPOLLONESHOT, 5);
    ready("back");
    ctl("exclusive by mod", EPOLL_CTL_MOD, f, EPOLLIN | EPOLLEXCLUSIVE, 5);
    epoll_ctl(ep, EPOLL_CTL_DEL, f, 0);
    ctl("exclusive", EPOLL_CTL_ADD, f, EPOLLIN | EPOLLEXCLUSIVE, 6);
    ready("exclusive");
    ctl("mod of exclusive", EPOLL_CTL_MOD, f, EPOLLIN, 6);
    epoll_ctl(ep, EPOLL_CTL_DEL, f, 0);
    ctl("exclusive oneshot", EPOLL_CTL_ADD, f, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, 6);
    eventfd_read(f, &v);
    int q[2];
    pipe(q);
    ctl("pipe", EPOLL_CTL_ADD, q[0], EPOLLIN | EPOLLRDHUP, 7);
    ctl("pipe out", EPOLL_CTL_ADD, q[1], EPOLLOUT | EPOLLET, 8);
    ready("pipe");
    write(q[1], "x", 1);
    ready("data");
    close(q[1]);
    ready("hup");
    int d = dup(q[0]);
    close(q[0]);
    ready("dup keeps it");
    close(d);
    ready("closed");
    int in = epoll_create1(0), x = eventfd(0, EFD_NONBLOCK);
    struct epoll_event ne = {EPOLLIN, {.u32 = 9}};
    epoll_ctl(in, EPOLL_CTL_ADD, x, &ne);
    ctl("nest", EPOLL_CTL_ADD, in, EPOLLIN, 10);
    ready("nested idle");
    eventfd_write(x, 1);
    ready("nested");
    struct epoll_event lo = {EPOLLIN};
    V(epoll_ctl(in, EPOLL_CTL_ADD, ep, &lo));
    eventfd_read(x, &v);
    ready("nested read");
    epoll_ctl(ep, EPOLL_CTL_DEL, in, 0);
    int prev = epoll_create1(0);
    int depth = 0;
    for (; depth < 8; depth++) {
        int nx = epoll_create1(0);
        if (epoll_ctl(nx, EPOLL_CTL_ADD, prev, &lo)) break;
        prev = nx;
    }
    say("depth %d %s", depth, errname(errno));
    pthread_t t[4];
    ctl("edge for threads", EPOLL_CTL_ADD, x, EPOLLIN | EPOLLET, 11);
    for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, waiter, 0);
    msleep(50);
    eventfd_write(x, 1);
    long got = 0;
    void *r;
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], &r);
        got += (long)r;
    }
    say("one of four woken %ld", got);
    eventfd_read(x, &v);
    pthread_t pk;
    pthread_create(&pk, 0, poke, &x);
    V(epoll_wait(ep, &e, 1, 2000));
    pthread_join(pk, 0);
    struct pollfd pe = {ep, POLLIN};
    eventfd_read(x, &v);
    V(poll(&pe, 1, 0));
    eventfd_write(x, 1);
    V(poll(&pe, 1, 0));
    struct timespec ts = {0, 1}, bad = {0, -1};
    V(syscall(SYS_epoll_pwait2, ep, &e, 1, &ts, NULL, 8));
    V(syscall(SYS_epoll_pwait2, ep, &e, 1, &bad, NULL, 8));
    /* fork shares the epoll; close in the parent only */
    IN_CHILD("child sees", ready("in child"));
    /* poll and select */
    struct pollfd ps[3] = {{-1, POLLIN}, {999, POLLIN}, {x, POLLIN | POLLOUT}};
    V(poll(ps, 3, 0));
    say("%x %x %x", ps[0].revents, ps[1].revents, ps[2].revents);
    V(poll((void *)8, 1, 0));
    V(poll(ps, 1 << 30, 0));
    V(poll(NULL, 0, 1));
    V(ppoll(NULL, 0, &bad, NULL));
    fd_set fs;
    FD_ZERO(&fs);
    FD_SET(x, &fs);
    struct timeval tv = {0, 0};
    V(select(x + 1, &fs, NULL, NULL, &tv));
    V(FD_ISSET(x, &fs));
    FD_ZERO(&fs);
    FD_SET(900, &fs);
    V(select(901, &fs, NULL, NULL, &tv));
    V(select(-1, NULL, NULL, NULL, &tv));
    tv.tv_usec = -1;
    V(select(0, NULL, NULL, NULL, &tv));
    tv = (struct timeval){0, 20000};
    V(select(0, NULL, NULL, NULL, &tv));
    say("left %ld", (long)tv.tv_usec);
    FD_ZERO(&fs);
    FD_SET(0, &fs);
    V(select(1, &fs, NULL, NULL, NULL));
    sigset_t blk, none;
    sigemptyset(&none);
    sigemptyset(&blk);
    sigaddset(&blk, SIGUSR1);
    on_signal(SIGUSR1, on, SA_RESTART);
    sigprocmask(SIG_BLOCK, &blk, 0);
    raise(SIGUSR1);
    V(poll(NULL, 0, 10));
    ts.tv_nsec = 50000000;
    V(ppoll(NULL, 0, &ts, &none));
    say("hits %d", hits);
    raise(SIGUSR1);
    V(pselect(0, 0, 0, 0, &ts, &none));
    raise(SIGUSR1);
    V(epoll_pwait(epoll_create1(0), &e, 1, 50, &none));
    raise(SIGUSR1);
    V(epoll_pwait(ep, &e, 1, 0, &none));
    sigset_t now;
    sigprocmask(0, 0, &now);
    say("hits %d masked again %d", hits, sigismember(&now, SIGUSR1));
    V(syscall(SYS_ppoll, NULL, 0, &ts, &none, 4));
    return 0;
}
