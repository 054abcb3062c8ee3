/* flock, POSIX and open-file-description locks, leases' absence of harm. */
#include "t.h"
#include <sys/file.h>
static int f, g;
static long posix(int fd, int cmd, int type, off_t s, off_t l)
{
    struct flock k = {.l_type = type, .l_whence = SEEK_SET, .l_start = s, .l_len = l};
    long r = fcntl(fd, cmd, &k);
    if (!r && (cmd == F_GETLK || cmd == F_OFD_GETLK)) {
        say("  %s %ld+%ld pid %s",
            k.l_type == F_UNLCK   ? "free"
            : k.l_type == F_WRLCK ? "write"
                                  : "read",
            (long)k.l_start, (long)k.l_len,
            k.l_pid == -1          ? "-1"
            : k.l_pid == getppid() ? "parent"
            : k.l_pid              ? "some"
                                   : "0");
    }
    return r;
}
int main(void)
{
    f = open("f", O_RDWR | O_CREAT, 0600);
    g = open("f", O_RDWR);
    int ro = open("f", O_RDONLY);
    V(flock(f, LOCK_EX));
    V(flock(g, LOCK_EX | LOCK_NB));
    V(flock(g, LOCK_SH | LOCK_NB));
    V(flock(f, LOCK_SH));
    V(flock(g, LOCK_SH | LOCK_NB));
    V(flock(f, LOCK_EX | LOCK_NB));
    V(flock(g, LOCK_UN));
    int h = dup(f);
    close(f);
    V(flock(g, LOCK_EX | LOCK_NB));
    close(h);
    V(flock(g, LOCK_EX | LOCK_NB));
    V(flock(g, 77));
    V(flock(999, LOCK_SH));
    IN_CHILD("shared by fork", V(flock(g, LOCK_UN)));
    f = open("f", O_RDWR);
    V(flock(f, LOCK_EX | LOCK_NB));
    V(flock(f, LOCK_UN));
    V(posix(f, F_SETLK, F_WRLCK, 10, 10));
    V(posix(g, F_SETLK, F_WRLCK, 15, 1));
    IN_CHILD("other process", {
        V(posix(f, F_SETLK, F_RDLCK, 12, 1));
        V(posix(f, F_GETLK, F_RDLCK, 0, 0));
        V(posix(f, F_SETLK, F_WRLCK, 20, 5));
        V(posix(f, F_GETLK, F_WRLCK, 20, 5));
    });
    V(posix(f, F_SETLK, F_UNLCK, 13, 2));
    IN_CHILD("hole", {
        V(posix(f, F_SETLK, F_WRLCK, 13, 2));
        V(posix(f, F_GETLK, F_WRLCK, 14, 20));
        V(posix(f, F_GETLK, F_WRLCK, 10, 3));
    });
    V(posix(f, F_SETLK, F_RDLCK, 0, 0));
    IN_CHILD("read locked", {
        V(posix(f, F_SETLK, F_RDLCK, 100, 1));
        V(posix(f, F_SETLK, F_WRLCK, 100, 1));
    });
    V(posix(ro, F_SETLK, F_WRLCK, 0, 1));
    V(posix(f, F_SETLK, 9, 0, 1));
    V(posix(f, F_SETLK, F_RDLCK, -1, 1));
    V(posix(f, F_SETLK, F_RDLCK, 10, -5));
    V(posix(f, F_SETLK, F_RDLCK, 3, -5));
    int p[2];
    pipe(p);
    close(g);
    IN_CHILD("close drops all", V(posix(f, F_SETLK, F_WRLCK, 0, 0)));
    /* Deadlock detection and waiting. */
    posix(f, F_SETLK, F_WRLCK, 0, 1);
    int st;
    pid_t c = fork();
    if (!c) {
        posix(f, F_SETLK, F_WRLCK, 1, 1);
        write(p[1], "x", 1);
        _exit(posix(f, F_SETLKW, F_WRLCK, 0, 1) ? errno : 0);
    }
    char x;
    read(p[0], &x, 1);
    wait_state(c, 'S');
    V(posix(f, F_SETLKW, F_WRLCK, 1, 1));
    posix(f, F_SETLK, F_UNLCK, 0, 0);
    waitpid(c, &st, 0);
    say("waiter: %s", status_words(st));
    c = fork();
    if (!c) {
        posix(f, F_SETLK, F_WRLCK, 0, 0);
        write(p[1], "x", 1);
        msleep(50);
        _exit(0);
    }
    read(p[0], &x, 1);
    V(posix(f, F_SETLKW, F_WRLCK, 0, 0));
    waitpid(c, &st, 0);
    posix(f, F_SETLK, F_UNLCK, 0, 0);
    g = open("f", O_RDWR);
    V(posix(f, F_OFD_SETLK, F_WRLCK, 0, 5));
    V(posix(g, F_OFD_SETLK, F_WRLCK, 0, 5));
    V(posix(g, F_OFD_GETLK, F_WRLCK, 0, 5));
    V(posix(g, F_SETLK, F_WRLCK, 0, 5));
    V(posix(g, F_GETLK, F_WRLCK, 0, 5));
    close(dup(f));
    V(posix(g, F_OFD_SETLK, F_WRLCK, 4, 5));
    close(f);
    V(posix(g, F_OFD_SETLK, F_WRLCK, 4, 5));
    struct flock k = {.l_type = F_WRLCK, .l_pid = 5};
    V(fcntl(g, F_OFD_SETLK, &k));
    V(fcntl(g, F_GETLEASE));
    V(fcntl(p[0], F_GETLEASE));
    V(fcntl(g, F_GETOWN));
    V(fcntl(g, F_SETOWN, getpid()));
    V(fcntl(g, F_GETOWN) == getpid());
    V(fcntl(g, F_SETSIG, SIGUSR1));
    V(fcntl(g, F_GETSIG));
    V(fcntl(g, F_SETSIG, 99));
    V(fcntl(g, 9999));
    return 0;
}
