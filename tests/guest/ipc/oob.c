/* Urgent bytes of Unix streams: the mark, reading up to it and across it, SIOCATMARK, SO_OOBINLINE, poll, SIGURG, and
 * what has none. */
#include "t.h"
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/socket.h>
static int s[2];
/* Linux 6.18 goes on counting bytes that a reader passed over unread (SIOCINQ), which is no behaviour to keep. */
static int passed;
static volatile sig_atomic_t urgent, code, band;

static void on_info(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)context;
    urgent++;
    code = info->si_code;
    band = signo == SIGURG ? 0 : (int)info->si_band;
}

static void fresh(void)
{
    close(s[0]);
    close(s[1]);
    passed = 0;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
}

static void put(const char *bytes, int flags)
{
    long n = send(s[0], bytes, strlen(bytes), flags);
    if (n != (long)strlen(bytes)) say("send %s: %ld %s", bytes, n, errname(errno));
}

static void get(const char *label, int n, int flags)
{
    char b[100] = "";
    struct iovec v = {b, n};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    long r = recvmsg(s[1], &m, flags | MSG_DONTWAIT);
    if (r < 0) say("%s: %s", label, errname(errno));
    else say("%s: %ld '%s' flags %x", label, r, b, m.msg_flags);
}

static void state(const char *label)
{
    struct pollfd p = {s[1], POLLIN | POLLPRI | POLLRDBAND, 0};
    int mark = -1, bytes = -1;
    poll(&p, 1, 0);
    ioctl(s[1], SIOCATMARK, &mark);
    ioctl(s[1], SIOCINQ, &bytes);
    say("%s: events %x at mark %d", label, p.revents, mark);
    if (!passed) say("bytes %d", bytes);
}

static void inlined(int on)
{
    MUST(setsockopt(s[1], SOL_SOCKET, SO_OOBINLINE, &on, sizeof on));
}

static void none(void)
{
    get("none yet", 5, MSG_OOB);
    state("nothing");
    V(send(s[0], "", 0, MSG_OOB));
    V(recv(s[1], NULL, 0, MSG_OOB));
    int d[2], mark = -7;
    char b[5];
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, d));
    V(send(d[0], "x", 1, MSG_OOB));
    V(recv(d[1], b, 1, MSG_OOB | MSG_DONTWAIT));
    V(ioctl(d[1], SIOCATMARK, &mark));
    say("datagram's mark %d", mark);
    close(d[0]);
    close(d[1]);
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, d));
    V(send(d[0], "x", 1, MSG_OOB));
    V(recv(d[1], b, 1, MSG_OOB | MSG_DONTWAIT));
    V(ioctl(d[1], SIOCATMARK, &mark));
    close(d[0]);
    close(d[1]);
    int lone = socket(AF_UNIX, SOCK_STREAM, 0);
    V(send(lone, "x", 1, MSG_OOB | MSG_NOSIGNAL));
    V(recv(lone, b, 1, MSG_OOB));
    V(ioctl(lone, SIOCATMARK, &mark));
    close(lone);
}

static void marks(void)
{
    put("abc", MSG_OOB);
    state("sent");
    get("peek urgent", 5, MSG_OOB | MSG_PEEK);
    get("peek across", 9, MSG_PEEK);
    get("up to the mark", 9, 0);
    state("at it");
    get("urgent", 5, MSG_OOB);
    state("taken");
    get("again", 5, MSG_OOB);
    get("nothing behind", 5, 0);
    state("empty");

    put("ab", MSG_OOB);
    put("cd", 0);
    passed = 1;
    get("one", 1, 0);
    get("rest", 9, 0);
    state("between");
    get("peek behind", 9, MSG_PEEK);
    state("looked");
    get("over the mark", 9, 0);
    get("passed", 5, MSG_OOB);
    state("passed");

    put("ab", MSG_OOB);
    put("cd", 0);
    get("first", 5, MSG_OOB);
    state("taken early");
    get("peek still ends there", 9, MSG_PEEK);
    get("still ends there", 9, 0);
    state("there");
    get("then", 9, 0);

    put("ab", MSG_OOB);
    put("cd", MSG_OOB);
    state("two marks");
    get("both", 9, 0);
    get("last", 5, MSG_OOB);
    get("not the first", 5, MSG_OOB);
    get("left", 9, 0);

    put("x", MSG_OOB);
    state("alone");
    get("skipped", 9, 0);
    state("gone");
    put("x", MSG_OOB);
    put("y", 0);
    get("peek two", 9, MSG_PEEK);
    get("two", 9, MSG_WAITALL);
    fresh();
    put("x", MSG_OOB);
    get("x", 9, MSG_OOB);
    put("y", MSG_OOB);
    state("read and unread");
    get("y", 9, MSG_OOB);
    state("both read");
    put("z", 0);
    get("z", 9, 0);
    state("end");
    put("p", MSG_OOB);
    get("p", 9, MSG_OOB);
    passed = 1;
    put("q", MSG_OOB);
    put("r", 0);
    get("q r", 9, 0);
    state("end again");
}

static void among(void)
{
    fresh();
    inlined(1);
    put("ab", MSG_OOB);
    put("cd", 0);
    state("inline");
    get("not apart", 5, MSG_OOB);
    get("peek", 9, MSG_PEEK);
    get("to the mark", 9, 0);
    state("at");
    get("peek from it", 9, MSG_PEEK);
    get("from it", 9, 0);
    state("behind");
    put("ef", MSG_OOB);
    inlined(0);
    get("apart again", 5, MSG_OOB);
    put("gh", MSG_OOB);
    inlined(1);
    get("mixed", 9, 0);
    get("mixed", 9, 0);
    get("mixed", 9, 0);
}

static void told(void)
{
    struct sigaction a = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO};
    struct epoll_event e = {EPOLLPRI | EPOLLET, {0}}, got[2];
    int ep = epoll_create1(0);
    sigaction(SIGURG, &a, NULL);
    sigaction(SIGRTMIN, &a, NULL);
    fresh();
    epoll_ctl(ep, EPOLL_CTL_ADD, s[1], &e);
    put("x", 0);
    V(epoll_wait(ep, got, 2, 0));
    put("x", MSG_OOB);
    V(epoll_wait(ep, got, 2, 0));
    V(epoll_wait(ep, got, 2, 0));
    put("y", 0);
    V(epoll_wait(ep, got, 2, 0));
    say("without an owner %d", urgent);
    V(fcntl(s[1], F_SETOWN, getpid()));
    put("x", MSG_OOB);
    say("owner %d code %x", urgent, code);
    put("y", 0);
    say("ordinary bytes %d", urgent);
    V(fcntl(s[1], F_SETSIG, SIGRTMIN));
    put("z", MSG_OOB);
    say("with a signal, without O_ASYNC %d", urgent);
    while (recv(s[1], &a, 1, MSG_DONTWAIT) == 1)
        ;
    urgent = 0;
    MUST(fcntl(s[1], F_SETFL, O_ASYNC));
    signal(SIGURG, SIG_IGN);
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, &old);
    put("z", MSG_OOB);
    struct timespec limit = {1, 0};
    siginfo_t info;
    for (int i = 0; i < 2; i++) {
        V(sigtimedwait(&set, &info, &limit) == SIGRTMIN);
        say("code %d band %lx own descriptor %d", info.si_code, info.si_band, info.si_fd == s[1]);
    }
    sigprocmask(SIG_SETMASK, &old, NULL);
    close(ep);
}

/* Until the reader has taken all that was sent. */
static void taken(void)
{
    for (int left = 1, i = 0; left && i < 400; i++) {
        msleep(5);
        MUST(ioctl(s[0], SIOCOUTQ, &left));
    }
}

static void asleep(void)
{
    fresh();
    int read_all[2];
    char byte;
    MUST(pipe(read_all));
    pid_t child = fork();
    if (!child) {
        char b[9];
        show("woken by the mark", recv(s[1], b, 9, 0));
        show("urgent one", recv(s[1], b, 9, MSG_OOB));
        MUST(write(read_all[1], "r", 1));
        struct pollfd p = {s[1], POLLPRI, 0};
        show("poll", poll(&p, 1, 5000));
        say("events %x", p.revents);
        _exit(0);
    }
    wait_state(child, 'S');
    /* An urgent byte alone is thrown away by a reader of others, who sleeps on. */
    put("u", MSG_OOB);
    taken();
    put("abv", MSG_OOB);
    MUST(read(read_all[0], &byte, 1));
    wait_state(child, 'S');
    put("w", MSG_OOB);
    waitpid(child, NULL, 0);
    close(read_all[0]);
    close(read_all[1]);
    /* One that was read lies in front, and a reader sleeps. */
    fresh();
    put("r", MSG_OOB);
    get("r", 1, MSG_OOB);
    struct timeval t = {0, 100000};
    char b[4];
    setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    V(recv(s[1], b, 4, MSG_PEEK));
    V(recv(s[1], b, 4, 0));
}

static void ends(void)
{
    char b[9];
    fresh();
    put("a", MSG_OOB);
    get("read", 1, MSG_OOB);
    V(close(s[1]));
    V(recv(s[0], b, 9, 0));
    fresh();
    put("a", MSG_OOB);
    V(close(s[1]));
    V(recv(s[0], b, 9, 0));
    fresh();
    put("ab", MSG_OOB);
    V(shutdown(s[0], SHUT_WR));
    signal(SIGPIPE, SIG_IGN);
    V(send(s[0], "x", 1, MSG_OOB));
    V(send(s[0], "x", 0, 0));
    state("shut");
    get("before the end", 9, 0);
    get("urgent at the end", 9, MSG_OOB);
    get("end", 9, 0);
}

int main(void)
{
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    none();
    marks();
    among();
    told();
    asleep();
    ends();
    return 0;
}
