/* Packet mode of a pty's master: what status bytes tell and when; EXTPROC, by which the program at the master edits
 * lines; TIOCSIG. */
#include "t.h"
#include <sys/epoll.h>
#include <termios.h>
#ifndef EXTPROC
#define EXTPROC 0200000
#endif
static int m, s;
static char name[64];
static volatile sig_atomic_t hits[65];

static void on(int signo)
{
    hits[signo]++;
}

static void hex(const char *label, int fd, size_t room)
{
    unsigned char b[64];
    char line[200] = "";
    long n = read(fd, b, room);
    for (long i = 0; i < n; i++) sprintf(line + strlen(line), " %02x", b[i]);
    if (n < 0) say("%s: %s", label, errname(errno));
    else say("%s: %ld%s", label, n, line);
}

static void look(const char *label)
{
    struct pollfd p = {m, POLLIN | POLLPRI | POLLRDNORM, 0};
    poll(&p, 1, 0);
    say("%s: events %x", label, p.revents);
    while (p.revents) {
        hex("  read", m, 64);
        p.revents = 0;
        poll(&p, 1, 0);
    }
}

static void waiting(const char *label)
{
    struct pollfd p = {s, POLLIN, 0};
    int n = -1;
    /* Input goes through a work queue. */
    msleep(30);
    poll(&p, 1, 0);
    ioctl(s, FIONREAD, &n);
    say("%s: events %x bytes %d", label, p.revents, n);
}

static void packet(int on)
{
    MUST(ioctl(m, TIOCPKT, &on));
}

static void status(struct termios *t0)
{
    struct termios t;
    packet(1);
    look("nothing");
    hex("nothing", m, 9);
    write(s, "abc", 3);
    look("data");
    tcflow(s, TCOOFF);
    look("stop");
    write(s, "late", 4);
    tcflow(s, TCOON);
    look("start, and what waited");
    tcflow(s, TCOOFF);
    tcflow(s, TCOON);
    look("stop and start");
    write(m, "\023", 1);
    msleep(30);
    look("stopped by a character");
    write(m, "\021", 1);
    msleep(30);
    look("started by a character");
    tcflush(s, TCIFLUSH);
    look("read side");
    tcflush(s, TCOFLUSH);
    look("write side");
    tcflush(s, TCIOFLUSH);
    look("both sides");
    t = *t0;
    t.c_cc[VSTOP] = 'x';
    tcsetattr(s, TCSANOW, &t);
    look("another stop character");
    tcsetattr(s, TCSANOW, &t);
    look("the same again");
    tcsetattr(s, TCSANOW, t0);
    tcflush(s, TCIFLUSH);
    look("two in one");
    write(s, "abc", 3);
    tcflow(s, TCOOFF);
    hex("status first", m, 64);
    hex("room for one", m, 1);
    hex("room for two", m, 2);
    tcflow(s, TCOON);
    write(m, "\003", 1);
    msleep(30);
    look("interrupt");
    struct epoll_event e = {EPOLLPRI, {0}}, got[2];
    int ep = epoll_create1(0);
    epoll_ctl(ep, EPOLL_CTL_ADD, m, &e);
    write(s, "x", 1);
    V(epoll_wait(ep, got, 2, 0));
    tcflush(s, TCIFLUSH);
    V(epoll_wait(ep, got, 2, 0));
    say("%x", got[0].events);
    close(ep);
    packet(0);
    look("off with a status");
    tcflush(s, TCIFLUSH);
    look("nobody notes");
    packet(1);
    look("on again");
    tcflush(s, TCIFLUSH);
    packet(1);
    look("on while on");
    int n = 7;
    V(ioctl(m, TIOCGPKT, &n));
    V(n);
    packet(5);
    V(ioctl(m, TIOCGPKT, &n));
    V(n);
    V(ioctl(s, TIOCGPKT, &n));
    V(ioctl(m, TIOCPKT, NULL));
}

static void external(struct termios *t0)
{
    struct termios t = *t0;
    t.c_lflag |= EXTPROC;
    V(tcsetattr(s, TCSANOW, &t));
    look("external");
    tcgetattr(s, &t);
    say("kept %d canonical %d", !!(t.c_lflag & EXTPROC), !!(t.c_lflag & ICANON));
    t.c_cc[VKILL] = 'k';
    tcsetattr(s, TCSANOW, &t);
    look("any change");
    tcsetattr(s, TCSANOW, &t);
    look("and none");
    write(m, "ab\177\003\021", 5);
    waiting("unedited");
    look("no echo");
    hex("part", s, 2);
    hex("all without a line's end", s, 64);
    write(m, "\r\n", 2);
    waiting("ends");
    hex("ends", s, 64);
    write(m, "\004", 1);
    waiting("end of file");
    hex("end of file", s, 64);
    write(m, "a\004", 2);
    waiting("end behind a byte");
    hex("one", s, 1);
    hex("end alone", s, 64);
    write(m, "\004b", 2);
    waiting("end before a byte");
    hex("both", s, 64);
    t.c_iflag |= ISTRIP;
    tcsetattr(s, TCSANOW, &t);
    write(m, "\301\003", 2);
    waiting("stripped");
    hex("stripped", s, 64);
    t.c_iflag &= ~ISTRIP;
    tcsetattr(s, TCSANOW, &t);
    write(m, "half", 4);
    waiting("half");
    tcsetattr(s, TCSANOW, t0);
    waiting("half, external no longer");
    hex("half", s, 64);
    look("external no longer");
    tcsetattr(s, TCSANOW, t0);
    look("nothing of it");
    write(m, "xy", 2);
    waiting("a line begun");
    look("its echo");
    tcsetattr(s, TCSANOW, &t);
    waiting("external meanwhile");
    hex("begun", s, 64);
    write(s, "out\n", 4);
    look("output as ever");
    packet(0);
    tcsetattr(s, TCSANOW, t0);
    look("without packets");
}

static void signals(void)
{
    V(ioctl(m, TIOCSIG, SIGINT));
    pid_t child = fork();
    if (!child) {
        setsid();
        s = open(name, O_RDWR);
        on_signal(SIGINT, on, 0);
        on_signal(SIGQUIT, on, 0);
        on_signal(SIGTSTP, on, 0);
        V(ioctl(m, TIOCSIG, SIGINT));
        V(ioctl(m, TIOCSIG, SIGQUIT));
        V(ioctl(m, TIOCSIG, SIGTSTP));
        say("%d %d %d", hits[SIGINT], hits[SIGQUIT], hits[SIGTSTP]);
        V(ioctl(m, TIOCSIG, SIGTERM));
        V(ioctl(m, TIOCSIG, 0));
        V(ioctl(m, TIOCSIG, -1));
        V(ioctl(s, TIOCSIG, SIGINT));
        say("%d", hits[SIGINT]);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

int main(void)
{
    struct termios t0;
    m = MUST(posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK));
    grantpt(m);
    unlockpt(m);
    strcpy(name, ptsname(m));
    s = MUST(open(name, O_RDWR | O_NOCTTY | O_NONBLOCK));
    tcgetattr(s, &t0);
    status(&t0);
    external(&t0);
    signals();
    return 0;
}
