/* fs.file-max is reached: whoever isn't root gets no new open file (ENFILE), but may go on with those there are. The
 * expected lines are written down here since the limit is one of the whole system, and the host has other users.
 * expect:
 * root, full: ok
 * open: ENFILE
 * open of what isn't there: ENFILE
 * path only: ENFILE
 * directory: ENFILE
 * socket: ENFILE
 * socketpair: ENFILE
 * pipe: ENFILE
 * epoll: ENFILE
 * eventfd: ENFILE
 * timerfd: ENFILE
 * signalfd: ENFILE
 * pidfd: ENFILE
 * memfd: ENFILE
 * inotify: ENFILE
 * slave: ENFILE
 * accept: ENFILE
 * exec: ENFILE
 * dup: ok
 * dup2: ok
 * F_DUPFD: ok
 * stat: ok
 * fork: ok
 * child: exited 0
 * room for one: ok
 * full again: ENFILE
 * room for half a pipe: ENFILE
 * nothing leaked: ok
 * accept with room: ok
 * with a capability alone: ok
 * user: exited 0
 * file-max as before: 1
 */
#include "t.h"
#include <linux/capability.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>

static int setting, number, listener, master;

static void put_max(const char *text)
{
    MUST(pwrite(setting, text, strlen(text), 0));
}

/* Room for so many more. */
static void room(long more)
{
    char text[64] = "";
    MUST(pread(number, text, sizeof text - 1, 0));
    snprintf(text, sizeof text, "%ld", strtol(text, NULL, 10) + more);
    put_max(text);
}

static void user(int tell, int go)
{
    int fds[2];
    char c;
    sigset_t set;
    sigemptyset(&set);
    okay("open", open("/", O_RDONLY));
    okay("open of what isn't there", open("/no/where", O_RDONLY));
    okay("path only", open("/", O_PATH));
    okay("directory", openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY));
    okay("socket", socket(AF_UNIX, SOCK_STREAM, 0));
    okay("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    okay("pipe", pipe(fds));
    okay("epoll", epoll_create1(0));
    okay("eventfd", eventfd(0, 0));
    okay("timerfd", timerfd_create(CLOCK_MONOTONIC, 0));
    okay("signalfd", signalfd(-1, &set, 0));
    okay("pidfd", syscall(SYS_pidfd_open, getpid(), 0));
    okay("memfd", memfd_create("m", 0));
    okay("inotify", inotify_init1(0));
    okay("slave", ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY));
    okay("accept", accept4(listener, NULL, NULL, SOCK_NONBLOCK));
    okay("exec", execl("/proc/self/exe", "x", NULL));
    okay("dup", dup(0));
    okay("dup2", dup2(0, 50));
    okay("F_DUPFD", fcntl(0, F_DUPFD_CLOEXEC, 60));
    struct stat st;
    okay("stat", stat("/", &st));
    pid_t child = fork();
    if (!child) _exit(0);
    say("fork: %s", child > 0 ? "ok" : errname(errno));
    int status;
    waitpid(child, &status, 0);
    say("child: %s", status_words(status));
    /* Root makes room for one. */
    MUST(write(tell, "1", 1));
    MUST(read(go, &c, 1));
    int one = okay("room for one", open("/", O_RDONLY));
    okay("full again", open("/", O_RDONLY));
    close(one);
    okay("room for half a pipe", pipe(fds));
    one = okay("nothing leaked", open("/", O_RDONLY));
    close(one);
    okay("accept with room", accept(listener, NULL, NULL));
}

int main(void)
{
    int tell[2], go[2];
    struct sockaddr_un a = {AF_UNIX, ""};
    socklen_t len = offsetof(struct sockaddr_un, sun_path) + 9;
    char was[64] = "", is[64] = "", c;
    memcpy(a.sun_path, "\0file_max", 9);
    setting = MUST(open("/proc/sys/fs/file-max", O_RDWR));
    number = MUST(open("/proc/sys/fs/file-nr", O_RDONLY));
    MUST(pread(setting, was, sizeof was - 1, 0));
    listener = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    MUST(bind(listener, (void *)&a, len));
    MUST(listen(listener, 5));
    MUST(connect(MUST(socket(AF_UNIX, SOCK_STREAM, 0)), (void *)&a, len));
    master = MUST(posix_openpt(O_RDWR | O_NOCTTY));
    MUST(unlockpt(master));
    MUST(pipe(tell));
    MUST(pipe(go));
    room(0);
    int fd = okay("root, full", open("/", O_RDONLY));
    close(fd);
    pid_t child = fork();
    if (!child) {
        MUST(setgid(65534));
        MUST(setuid(65534));
        user(tell[1], go[0]);
        _exit(0);
    }
    close(tell[1]);
    if (read(tell[0], &c, 1) == 1) {
        room(1);
        MUST(write(go[1], "1", 1));
    }
    int status;
    waitpid(child, &status, 0);
    room(0);
    pid_t able = fork();
    if (!able) {
        struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
        struct __user_cap_data_struct caps[2] = {{1 << CAP_SYS_ADMIN, 1 << CAP_SYS_ADMIN, 0}, {0, 0, 0}};
        MUST(prctl(PR_SET_KEEPCAPS, 1));
        MUST(setuid(65534));
        MUST(syscall(SYS_capset, &header, caps));
        okay("with a capability alone", open("/", O_RDONLY));
        _exit(0);
    }
    waitpid(able, NULL, 0);
    say("user: %s", status_words(status));
    put_max(was);
    MUST(pread(setting, is, sizeof is - 1, 0));
    say("file-max as before: %d", !strcmp(was, is));
    return 0;
}
