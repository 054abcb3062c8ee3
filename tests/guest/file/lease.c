/* Leases: which open files stand in the way, who is told, what waits and for how long.
 * needs: root
 */
#include "t.h"
static volatile int told, told_fd, told_code;
static void on_told(int signo, siginfo_t *info, void *context)
{
    told++;
    told_fd = info->si_fd;
    told_code = info->si_code;
}
static void nothing(int signo) {}
static void wait_told(int count)
{
    for (int i = 0; i < 400 && told < count; i++) msleep(5);
}
static void reap(const char *label, pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR);
    say("%s: %s", label, status_words(status));
}
/* A child that opens `name`: exits with 3, or the error. */
static pid_t opener(const char *name, int flags)
{
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(name, flags);
        _exit(fd >= 0 ? 3 : errno);
    }
    return pid;
}

static void who_may(void)
{
    int f = open("f", O_RDWR | O_CREAT, 0644);
    V(fcntl(f, F_GETLEASE));
    V(fcntl(f, F_SETLEASE, F_RDLCK));
    V(fcntl(f, F_SETLEASE, F_WRLCK));
    V(fcntl(f, F_GETLEASE));
    V(fcntl(f, F_SETLEASE, F_UNLCK));
    V(fcntl(f, F_SETLEASE, F_UNLCK));
    V(fcntl(f, F_SETLEASE, 77));
    close(f);
    int r = open("f", O_RDONLY);
    V(fcntl(r, F_SETLEASE, F_RDLCK));
    V(fcntl(r, F_GETLEASE));
    V(fcntl(r, F_SETLEASE, F_WRLCK));
    V(fcntl(r, F_GETLEASE));
    V(fcntl(r, F_SETLEASE, F_UNLCK));
    V(fcntl(r, F_GETLEASE));
    int r2 = open("f", O_RDONLY);
    V(fcntl(r, F_SETLEASE, F_WRLCK));
    V(fcntl(r, F_SETLEASE, F_RDLCK));
    V(fcntl(r2, F_SETLEASE, F_RDLCK));
    int r3 = dup(r2);
    V(fcntl(r3, F_GETLEASE));
    V(fcntl(r3, F_SETLEASE, F_UNLCK));
    V(fcntl(r2, F_GETLEASE));
    V(fcntl(r, F_GETLEASE));
    close(r2);
    close(r3);
    char *map = mmap(0, 4096, PROT_READ, MAP_PRIVATE, r, 0);
    V(fcntl(r, F_SETLEASE, F_WRLCK));
    V(fcntl(r, F_SETLEASE, F_UNLCK));
    munmap(map, 4096);

    mkdir("d", 0755);
    int p[2];
    MUST(pipe(p));
    V(fcntl(p[0], F_SETLEASE, F_RDLCK));
    V(fcntl(p[0], F_GETLEASE));
    V(fcntl(open("/dev/null", O_RDONLY), F_SETLEASE, F_RDLCK));
    V(fcntl(open("/proc/self/stat", O_RDONLY), F_SETLEASE, F_RDLCK));
    V(fcntl(999, F_SETLEASE, F_RDLCK));
    int o = open("f", O_PATH);
    V(fcntl(o, F_SETLEASE, F_RDLCK));
    V(fcntl(o, F_GETLEASE));
    IN_CHILD("another user's file", {
        chmod("f", 0666);
        chmod(".", 0777);
        setuid(1000);
        V(fcntl(open("f", O_RDONLY), F_SETLEASE, F_RDLCK));
        V(fcntl(open("own", O_RDONLY | O_CREAT, 0600), F_SETLEASE, F_RDLCK));
    });
    V(fcntl(r, F_SETLEASE, F_RDLCK));
    IN_CHILD("the open file's, not the process's", {
        V(fcntl(r, F_GETLEASE));
        close(r);
    });
    V(fcntl(r, F_GETLEASE));
    IN_CHILD("unlocked by a child", V(fcntl(r, F_SETLEASE, F_UNLCK)));
    V(fcntl(r, F_GETLEASE));
    close(r);
}

static void nonblocking(void)
{
    int r = open("f", O_RDONLY);
    V(fcntl(r, F_SETLEASE, F_RDLCK));
    V(open("f", O_WRONLY | O_NONBLOCK));
    say("told %d", told);
    V(fcntl(r, F_GETLEASE));
    V(open("f", O_WRONLY | O_NONBLOCK | O_TRUNC));
    say("told %d", told);
    int o = open("f", O_RDONLY | O_NONBLOCK);
    say("readers may: %d", o >= 0);
    close(o);
    V(fcntl(r, F_SETLEASE, F_RDLCK));
    V(fcntl(r, F_SETLEASE, F_UNLCK));
    o = open("f", O_WRONLY | O_NONBLOCK);
    say("then: %d", o >= 0);
    V(fcntl(r, F_SETLEASE, F_RDLCK));
    close(o);
    V(fcntl(r, F_SETLEASE, F_RDLCK));
    close(r);
    told = 0;
}

static void waiting(void)
{
    int f = open("g", O_RDONLY | O_CREAT, 0600);
    V(fcntl(f, F_SETLEASE, F_WRLCK));
    pid_t c = opener("g", O_RDONLY);
    wait_told(1);
    V(fcntl(f, F_GETLEASE));
    wait_state(c, 'S');
    V(fcntl(f, F_SETLEASE, F_RDLCK));
    reap("reader", c);
    V(fcntl(f, F_GETLEASE));
    c = opener("g", O_RDWR);
    wait_told(2);
    V(fcntl(f, F_GETLEASE));
    wait_state(c, 'S');
    V(fcntl(f, F_SETLEASE, F_UNLCK));
    reap("writer", c);
    V(fcntl(f, F_GETLEASE));

    V(fcntl(f, F_SETSIG, SIGUSR1));
    V(fcntl(f, F_SETLEASE, F_WRLCK));
    c = opener("/dev/null", O_RDONLY);
    reap("elsewhere", c);
    c = fork();
    if (c == 0) {
        close(f);
        int k = open("g", O_RDONLY);
        _exit(k >= 0 ? 3 : errno);
    }
    wait_told(3);
    say("its descriptor %d, code %d", told_fd == f, told_code);
    V(close(f));
    reap("closed by its holder", c);

    f = open("g", O_RDONLY);
    V(fcntl(f, F_SETLEASE, F_RDLCK));
    V(link("g", "h"));
    V(rename("h", "i"));
    V(chmod("g", 0644));
    V(unlink("i"));
    say("names don't matter: %d", told);
    c = fork();
    if (c == 0) {
        close(f);
        _exit(truncate("g", 0) ? errno : 3);
    }
    wait_told(4);
    V(fcntl(f, F_GETLEASE));
    V(fcntl(f, F_SETLEASE, F_UNLCK));
    reap("truncate", c);

    V(fcntl(f, F_SETLEASE, F_RDLCK));
    c = fork();
    if (c == 0) {
        on_signal(SIGALRM, nothing, 0);
        struct itimerval at = {{0, 0}, {0, 30000}};
        setitimer(ITIMER_REAL, &at, NULL);
        int k = open("g", O_WRONLY);
        _exit(k >= 0 ? 3 : errno == EINTR ? 4 : 5);
    }
    reap("interrupted", c);
    V(fcntl(f, F_GETLEASE));
    close(f);
}

static void knobs(void)
{
    char text[16] = "";
    int f = open("k", O_RDONLY | O_CREAT, 0600);
    int time = open("/proc/sys/fs/lease-break-time", O_RDWR);
    V(pread(time, text, sizeof text, 0));
    say("%s", text);
    V(pwrite(time, "1", 1, 0));
    V(fcntl(f, F_SETLEASE, F_RDLCK));
    pid_t c = opener("k", O_WRONLY);
    reap("broken after a second", c);
    V(fcntl(f, F_GETLEASE));
    V(pwrite(time, "45", 2, 0));
    int on = open("/proc/sys/fs/leases-enable", O_RDWR);
    V(pwrite(on, "0", 1, 0));
    V(fcntl(f, F_SETLEASE, F_RDLCK));
    V(pwrite(on, "1", 1, 0));
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_told, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGIO, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    who_may();
    nonblocking();
    waiting();
    knobs();
    return 0;
}
