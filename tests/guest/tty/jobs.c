/* The controlling terminal: acquiring it, foreground groups, signals from
 * keys, background reads and writes, window changes, session end. */
#include "t.h"
#include <termios.h>
static int m, s;
static char name[64];
static volatile int got[65];
static void on(int x) { got[x]++; }
static void report(const char *l)
{
    char o[200] = "";
    for (int i = 1; i < 65; i++)
        if (got[i]) {
            sprintf(o + strlen(o), " %s:%d", sigabbrev_np(i), got[i]);
            got[i] = 0;
        }
    say("%s:%s", l, *o ? o : " none");
}
static void *drain(void *x)
{
    char b[1000];
    while (read(m, b, 1000) > 0);
    return 0;
}
int main(void)
{
    m = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    int n = 0;
    ioctl(m, TIOCSPTLCK, &n);
    ioctl(m, TIOCGPTN, &n);
    sprintf(name, "/dev/pts/%d", n);
    V(open("/dev/tty", O_RDWR));
    pthread_t dr;
    pthread_create(&dr, 0, drain, 0);
    fcntl(m, F_SETFD, FD_CLOEXEC);
    IN_CHILD("session", {
        setsid();
        s = open(name, O_RDWR | O_NOCTTY);
        V(open("/dev/tty", O_RDWR));
        V(tcgetpgrp(s));
        V(ioctl(s, TIOCSCTTY, 0));
        V(ioctl(s, TIOCSCTTY, 0));
        V(tcgetpgrp(s) == getpgrp());
        V(tcgetsid(s) == getsid(0));
        int tty = open("/dev/tty", O_RDWR);
        say("/dev/tty %d", tty >= 0);
        for (int i = 1; i < 32; i++)
            if (i != SIGKILL && i != SIGSTOP && i != SIGSEGV && i != SIGCHLD) on_signal(i, on, SA_RESTART);
        write(m, "\x03", 1);
        msleep(20);
        report("intr");
        write(m, "\x1c", 1);
        msleep(20);
        report("quit");
        write(m, "\x1a", 1);
        msleep(20);
        report("susp");
        struct winsize w = {10, 20};
        ioctl(m, TIOCSWINSZ, &w);
        msleep(10);
        report("winsize");
        ioctl(m, TIOCSWINSZ, &w);
        msleep(10);
        report("same winsize");
        w.ws_col++;
        ioctl(s, TIOCSWINSZ, &w);
        msleep(10);
        report("from the slave");
        V(ioctl(m, TIOCSIG, SIGUSR1) == 0 || errno == EINVAL);
        V(ioctl(m, TIOCSIG, SIGINT));
        msleep(10);
        report("tiocsig");
        write(m, "typed\x03more\n", 11);
        msleep(10);
        char b[100];
        long r = read(s, b, 100);
        say("intr flushes: %ld [%.*s]", r, (int)r - 1, b);
        report("and");
        struct termios t;
        tcgetattr(s, &t);
        t.c_lflag |= NOFLSH;
        tcsetattr(s, TCSANOW, &t);
        write(m, "typed\x03more\n", 11);
        msleep(10);
        r = read(s, b, 100);
        say("noflsh: %ld [%.*s]", r, (int)r - 1, b);
        report("and");
        t.c_lflag &= ~NOFLSH;
        tcsetattr(s, TCSANOW, &t);
        /* A background group */
        int st;
        int pp[2];
        pipe(pp);
        pid_t c = fork();
        if (!c) {
            for (int i = 1; i < 32; i++) signal(i, SIG_DFL);
            setpgid(0, 0);
            write(pp[1], "x", 1);
            char x[10];
            long k = read(s, x, 10);
            say("background read after foreground: %ld", k);
            k = write(s, "ok\n", 3);
            say("write without tostop: %ld", k);
            tcgetattr(s, &t);
            t.c_lflag |= TOSTOP;
            signal(SIGTTOU, SIG_IGN);
            tcsetattr(s, TCSANOW, &t);
            signal(SIGTTOU, SIG_DFL);
            _exit(0);
        }
        read(pp[0], b, 1);
        waitpid(c, &st, WUNTRACED);
        say("%s", status_words(st));
        V(tcsetpgrp(s, c));
        V(tcgetpgrp(s) == c);
        write(m, "input\n", 6);
        kill(-c, SIGCONT);
        waitpid(c, &st, WUNTRACED);
        say("%s", status_words(st));
        /* We are background now: tcsetpgrp sends TTOU unless blocked or ignored */
        report("before");
        got[SIGTTOU] = 0;
        c = fork();
        if (!c) {
            signal(SIGTTOU, SIG_DFL);
            setpgid(0, 0);
            tcsetpgrp(s, getpgrp());
            say("unreached or continued");
            _exit(0);
        }
        waitpid(c, &st, WUNTRACED);
        say("tcsetpgrp from background: %s", status_words(st));
        kill(c, SIGKILL);
        waitpid(c, &st, 0);
        signal(SIGTTOU, SIG_IGN);
        V(tcsetpgrp(s, getpgrp()));
        V(tcsetpgrp(s, 999999));
        V(tcsetpgrp(s, 1));
        V(tcsetpgrp(m, getpgrp()));
        V(tcsetpgrp(pp[0], getpgrp()));
        tcgetattr(s, &t);
        t.c_lflag |= TOSTOP;
        tcsetattr(s, TCSANOW, &t);
        c = fork();
        if (!c) {
            signal(SIGTTOU, SIG_DFL);
            setpgid(0, 0);
            write(pp[1], "x", 1);
            write(s, "tostop\n", 7);
            _exit(0);
        }
        read(pp[0], b, 1);
        waitpid(c, &st, WUNTRACED);
        say("tostop: %s", status_words(st));
        kill(c, SIGKILL);
        waitpid(c, &st, 0);
        c = fork();
        if (!c) {
            signal(SIGTTIN, SIG_IGN);
            setpgid(0, 0);
            say("read, TTIN ignored: %s", read(s, b, 1) < 0 ? errname(errno) : "data");
            signal(SIGTTIN, SIG_DFL);
            _exit(0);
        }
        waitpid(c, &st, 0);
        /* An orphaned background group gets EIO. */
        c = fork();
        if (!c) {
            pid_t q = fork();
            if (!q) {
                setpgid(0, 0);
                while (getppid() == 0);
                msleep(50);
                signal(SIGTTIN, SIG_DFL);
                say("orphan's read: %s", read(s, b, 1) < 0 ? errname(errno) : "data");
                write(pp[1], "x", 1);
                _exit(0);
            }
            setpgid(q, q);
            _exit(0);
        }
        waitpid(c, &st, 0);
        read(pp[0], b, 1);
        V(ioctl(s, TIOCNOTTY, 0));
        msleep(10);
        report("notty");
        V(open("/dev/tty", O_RDWR));
        V(tcgetpgrp(s));
        V(ioctl(s, TIOCSCTTY, 0));
        got[SIGHUP] = 0;
        /* The leader's exit hangs up the foreground group. */
        c = fork();
        if (!c) {
            setpgid(0, 0);
            signal(SIGTTOU, SIG_IGN);
            tcsetpgrp(s, getpgrp());
            on_signal(SIGHUP, on, 0);
            on_signal(SIGCONT, on, 0);
            write(pp[1], "x", 1);
            for (int i = 0; i < 200 && !got[SIGHUP]; i++) msleep(5);
            msleep(10);
            say("hup %d cont %d", got[SIGHUP], got[SIGCONT]);
            int v = open("/dev/tty", O_RDWR);
            say("/dev/tty: %s", v < 0 ? errname(errno) : "opened");
            _exit(0);
        }
        read(pp[0], b, 1);
    });
    msleep(200);
    IN_CHILD("second session", {
        setsid();
        int k = open(name, O_RDWR);
        say("open acquires: %d", k >= 0 && tcgetpgrp(k) == getpgrp());
        int m2 = open("/dev/ptmx", O_RDWR);
        int z = 0;
        ioctl(m2, TIOCSPTLCK, &z);
        ioctl(m2, TIOCGPTN, &z);
        sprintf(name, "/dev/pts/%d", z);
        int s2 = open(name, O_RDWR);
        V(ioctl(s2, TIOCSCTTY, 0));
        on_signal(SIGHUP, on, 0);
        close(s2);
        close(m2);
        msleep(10);
        report("other terminal closed");
    });
    return 0;
}
