/* Which calls are restarted after a handler with SA_RESTART, which return
 * EINTR in any case, and what stop and continue do to them.
 * Cases run side by side, a batch at a time, each with a pipe for what it says.
 */
#include "t.h"
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/socket.h>

static volatile int hits;
static void on(int s) { hits++; }
static int pp[2], sv[2], full[2], ef, ep, lockfd;
static char big[1 << 20];

static long do_read(void)
{
    char c;
    return read(pp[0], &c, 1);
}
static long do_write(void) { return write(full[1], big, 10); }
static long do_recv(void)
{
    char c;
    return recv(sv[0], &c, 1, 0);
}
static long do_recv_timeout(void)
{
    struct timeval t = {0, 900000};
    setsockopt(sv[1], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    char c;
    return recv(sv[1], &c, 1, 0);
}
static long do_poll(void)
{
    struct pollfd p = {pp[0], POLLIN};
    return poll(&p, 1, 800);
}
static long do_select(void)
{
    fd_set f;
    FD_ZERO(&f);
    FD_SET(pp[0], &f);
    struct timeval t = {0, 800000};
    return select(pp[0] + 1, &f, 0, 0, &t);
}
static long do_epoll(void)
{
    struct epoll_event e;
    return epoll_wait(ep, &e, 1, 800);
}
static long do_pause(void) { return pause(); }
static long do_nanosleep(void)
{
    struct timespec t = {0, 800000000}, r;
    long v = nanosleep(&t, &r);
    int e = errno;
    if (v) say("  remaining sane: %d", r.tv_nsec > 0 && r.tv_nsec < 800000000);
    errno = e;
    return v;
}
static long do_clock_abs(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += 800000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    int e = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
    errno = e;
    return e ? -1 : 0;
}
static long do_futex(void)
{
    static int w;
    struct timespec t = {0, 800000000};
    return syscall(SYS_futex, &w, FUTEX_WAIT, 0, &t, 0, 0);
}
static long do_futex_forever(void)
{
    static int w;
    return syscall(SYS_futex, &w, FUTEX_WAIT, 0, NULL, 0, 0);
}
static long do_wait(void)
{
    int s;
    return waitpid(-1, &s, 0) > 0 ? 1 : -1;
}
static long do_eventfd(void)
{
    uint64_t v;
    return read(ef, &v, 8);
}
static long do_flock(void) { return flock(lockfd, LOCK_EX); }
static long do_setlkw(void)
{
    struct flock l = {.l_type = F_WRLCK};
    return fcntl(lockfd, F_SETLKW, &l);
}
static long do_fifo(void) { return open("fifo", O_RDONLY); }
static long do_sem(void)
{
    struct timespec t = {0, 800000000};
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR2);
    return sigtimedwait(&s, NULL, &t);
}
static long do_accept(void)
{
    static int l = -1;
    if (l < 0) {
        l = socket(AF_UNIX, SOCK_STREAM, 0);
        struct sockaddr sa = {AF_UNIX};
        bind(l, &sa, sizeof(sa_family_t));
        listen(l, 1);
    }
    return accept(l, 0, 0);
}

/* Longer than any of the timeouts, in 10 ms. */
#define FOREVER 170

#define BATCH 13
static int said[BATCH];
static pid_t runners[BATCH];
static int running;

/* In the case's own process: 0. */
static pid_t begin(void)
{
    int out[2];
    MUST(pipe(out));
    pid_t p = MUST(fork());
    if (p == 0) dup2(out[1], 1);
    close(out[1]);
    if (p == 0) {
        close(out[0]);
        return 0;
    }
    said[running] = out[0];
    runners[running++] = p;
    return p;
}

/* Prints what the batch said, in order. */
static void finish(void)
{
    for (int i = 0; i < running; i++) {
        char text[4096];
        ssize_t n;
        while ((n = read(said[i], text, sizeof text)) > 0) write(1, text, n);
        close(said[i]);
        waitpid(runners[i], NULL, 0);
    }
    running = 0;
}

static void one(const char *name, long (*call)(void), int flags, int lock)
{
    int go[2];
    pipe(go);
    pid_t p = fork();
    if (p == 0) {
        if (lock) lockfd = open("lock", O_RDWR);
        pid_t kid = 0;
        if (call == do_wait) {
            kid = fork();
            if (kid == 0) {
                msleep(350);
                _exit(0);
            }
        }
        on_signal(SIGUSR1, on, flags);
        write(go[1], "x", 1);
        errno = 0;
        long r = call();
        int e = errno;
        if (r > 0 && call != do_wait) r = 1;
        say("%s: %s, hits %d", name, r < 0 ? errname(e) : r ? "done 1" : "done 0", hits);
        _exit(0);
    }
    char c;
    read(go[0], &c, 1);
    close(go[0]);
    close(go[1]);
    wait_state(p, 'S');
    msleep(20);
    kill(p, SIGUSR1);
    msleep(80);
    int st;
    if (waitpid(p, &st, WNOHANG) == 0) {
        wait_state(p, 'S');
        /* Still waiting: restarted. A stop and continue must not end it. */
        kill(p, SIGSTOP);
        waitpid(p, &st, WUNTRACED);
        kill(p, SIGCONT);
        msleep(30);
        if (waitpid(p, &st, WNOHANG) == 0) {
            say("%s: goes on", name);
            for (int i = 0; i < FOREVER && waitpid(p, &st, WNOHANG) == 0; i++) msleep(10);
            if (waitpid(p, &st, WNOHANG) == 0) {
                say("%s: for ever", name);
                kill(p, SIGKILL);
                waitpid(p, &st, 0);
            }
        }
    }
}

static void stopped(const char *name, long (*call)(void))
{
    int go[2];
    pipe(go);
    pid_t p = fork();
    if (p == 0) {
        write(go[1], "x", 1);
        errno = 0;
        long r = call();
        say("stop/cont %s: %s", name, r < 0 ? errname(errno) : r > 0 ? "done 1" : "done 0");
        _exit(0);
    }
    char c;
    read(go[0], &c, 1);
    close(go[0]);
    close(go[1]);
    wait_state(p, 'S');
    int st;
    kill(p, SIGSTOP);
    waitpid(p, &st, WUNTRACED);
    msleep(20);
    kill(p, SIGCONT);
    for (int i = 0; i < FOREVER && waitpid(p, &st, WNOHANG) == 0; i++) msleep(10);
    if (waitpid(p, &st, WNOHANG) == 0) {
        say("stop/cont %s: waits on", name);
        kill(p, SIGKILL);
        waitpid(p, &st, 0);
    }
}

#define CASE(run) \
    do { \
        if (begin() == 0) { \
            run; \
            _exit(0); \
        } \
        if (running == BATCH) finish(); \
    } while (0)
#define CALL(f, lock) \
    do { \
        CASE(one(#f " restart", f, SA_RESTART, lock)); \
        CASE(one(#f " plain", f, 0, lock)); \
    } while (0)
#define STOPPED(name, f) CASE(stopped(name, f))

int main(void)
{
    pipe(pp);
    pipe(full);
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    fcntl(full[1], F_SETFL, O_NONBLOCK);
    while (write(full[1], big, sizeof big) > 0);
    while (write(full[1], big, 1) > 0);
    fcntl(full[1], F_SETFL, 0);
    ef = eventfd(0, 0);
    ep = epoll_create1(0);
    int lf = open("lock", O_CREAT | O_RDWR, 0600);
    mkfifo("fifo", 0600);
    CALL(do_read, 0);
    CALL(do_write, 0);
    CALL(do_recv, 0);
    CALL(do_recv_timeout, 0);
    CALL(do_poll, 0);
    CALL(do_select, 0);
    CALL(do_epoll, 0);
    CALL(do_pause, 0);
    CALL(do_nanosleep, 0);
    CALL(do_clock_abs, 0);
    CALL(do_futex, 0);
    CALL(do_futex_forever, 0);
    CALL(do_wait, 0);
    CALL(do_eventfd, 0);
    CALL(do_sem, 0);
    CALL(do_accept, 0);
    CALL(do_fifo, 0);
    flock(lf, LOCK_EX);
    CALL(do_flock, 1);
    struct flock l = {.l_type = F_WRLCK};
    fcntl(lf, F_SETLK, &l);
    CALL(do_setlkw, 1);
    STOPPED("read", do_read);
    STOPPED("pause", do_pause);
    STOPPED("poll", do_poll);
    STOPPED("select", do_select);
    STOPPED("epoll", do_epoll);
    STOPPED("nanosleep", do_nanosleep);
    STOPPED("clock_abs", do_clock_abs);
    STOPPED("futex", do_futex);
    STOPPED("sigtimedwait", do_sem);
    STOPPED("recv", do_recv);
    STOPPED("eventfd", do_eventfd);
    STOPPED("accept", do_accept);
    finish();
    return 0;
}
