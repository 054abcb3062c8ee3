/* Runs the programs of a plan one after the other and reports each on stdout:
 *
 *     @begin <name>
 *     @| <a line of its output>
 *     @+ <its last line, when no newline ends it>
 *     @end <name> exit <status> | signal <number> | timeout
 *     @done
 *
 * The same binary runs as an ordinary process on the host and as init (pid 1)
 * in the guest, so that a program finds the same session, descriptors,
 * environment and directory in both. As init it mounts the file systems and
 * powers the machine off at the end. It asks little of a kernel on purpose.
 *
 * usage: driver <plan> <directory>
 * A line of the plan: name TAB seconds TAB program [TAB argument]...
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 8192, OUTPUT_MAX_BYTES = 1 << 20 };

static int init;
static char partial[LINE_MAX_BYTES];
static size_t partial_len;

static long long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void emit_line(const char *mark)
{
    printf("%s %.*s\n", mark, (int)partial_len, partial);
    partial_len = 0;
}

static void emit(const char *buf, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (buf[i] == '\n' || partial_len == sizeof partial) emit_line("@|");
        if (buf[i] != '\n') partial[partial_len++] = buf[i];
    }
    fflush(stdout);
}

/* Kills whatever the last program left: everything as init, else our children. */
static void sweep(pid_t group)
{
    if (init) {
        kill(-1, SIGKILL);
    } else {
        kill(-group, SIGKILL);
        char path[64], list[4096];
        snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
        for (int round = 0; round < 100; round++) {
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            ssize_t n = fd < 0 ? 0 : read(fd, list, sizeof list - 1);
            close(fd);
            if (n <= 0) break;
            list[n] = 0;
            for (char *p = strtok(list, " "); p; p = strtok(NULL, " ")) kill(atoi(p), SIGKILL);
            while (waitpid(-1, NULL, WNOHANG) > 0);
        }
    }
    for (int i = 0; i < 1000; i++) {
        pid_t p = waitpid(-1, NULL, WNOHANG);
        if (p < 0) break;
        if (p == 0) usleep(2000);
    }
}

static void child(char **argv, int out, const char *dir)
{
    setsid();
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) _exit(125);
    for (int fd = 3; fd < 1024; fd++) close(fd);
    for (int s = 1; s < NSIG; s++) signal(s, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    umask(022);
    if (chdir(dir)) {
        dprintf(2, "chdir %s: %s\n", dir, strerror(errno));
        _exit(125);
    }
    static char home[600], tmp[600];
    snprintf(home, sizeof home, "HOME=%s", dir);
    snprintf(tmp, sizeof tmp, "TMPDIR=%s", dir);
    char *env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                   "LC_ALL=C",
                   "TERM=dumb",
                   "TZ=UTC",
                   "LOGNAME=root",
                   "USER=root",
                   home,
                   tmp,
                   NULL};
    execve(argv[0], argv, env);
    dprintf(2, "exec %s: %s\n", argv[0], strerror(errno));
    _exit(126);
}

static void run(const char *name, int seconds, char **argv, const char *dir)
{
    int out[2], status = 0, ended = 0;
    printf("@begin %s\n", name);
    fflush(stdout);
    if (mkdir(dir, 0777) && errno != EEXIST) printf("@| driver: mkdir %s: %s\n", dir, strerror(errno));
    chmod(dir, 0777);
    if (pipe2(out, O_CLOEXEC)) {
        printf("@| driver: pipe: %s\n@end %s exit 125\n", strerror(errno), name);
        return;
    }
    pid_t pid = fork();
    if (pid == 0) child(argv, out[1], dir);
    close(out[1]);
    if (pid < 0) {
        printf("@| driver: fork: %s\n@end %s exit 125\n", strerror(errno), name);
        close(out[0]);
        return;
    }
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    long long deadline = now_ms() + seconds * 1000LL;
    size_t total = 0;
    char buf[4096];
    int open_end = 1;
    while (now_ms() < deadline) {
        if (open_end) {
            struct pollfd p = {.fd = out[0], .events = POLLIN};
            poll(&p, 1, ended ? 0 : 20);
            ssize_t n = read(out[0], buf, sizeof buf);
            if (n > 0) {
                if (total < OUTPUT_MAX_BYTES) emit(buf, n);
                total += n;
                continue;
            }
            if (n == 0) open_end = 0;
        }
        if (ended) break;
        pid_t p = waitpid(pid, &status, WNOHANG);
        if (p == 0 && !open_end) usleep(5000);
        ended = p == pid;
    }
    sweep(pid);
    close(out[0]);
    if (partial_len) emit_line("@+");
    if (!ended) printf("@end %s timeout\n", name);
    else if (WIFSIGNALED(status)) printf("@end %s signal %d\n", name, WTERMSIG(status));
    else printf("@end %s exit %d\n", name, WEXITSTATUS(status));
    fflush(stdout);
}

/* Whatever the host's tree shows there. */
static void mount_own(const char *type, const char *where, const char *options)
{
    mkdir(where, 0755);
    if (mount(type, where, type, 0, options)) printf("driver: mount %s on %s: %s\n", type, where, strerror(errno));
}

/* mkdir -p; a failure shows when the first program's directory is made. */
static void make_dirs(const char *path)
{
    char part[512];
    snprintf(part, sizeof part, "%s", path);
    for (char *p = part + 1; *p; p++)
        if (*p == '/') {
            *p = 0;
            mkdir(part, 0755);
            *p = '/';
        }
    mkdir(part, 0777);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: driver <plan> <directory>\n");
        return 2;
    }
    init = getpid() == 1;
    if (init) {
        /* As inits do: process group 1 is there then. */
        setsid();
        mount_own("proc", "/proc", NULL);
        mount_own("sysfs", "/sys", NULL);
        mount_own("devtmpfs", "/dev", "mode=755");
        /* What udev adds. */
        symlink("/proc/self/fd", "/dev/fd");
        symlink("/proc/self/fd/0", "/dev/stdin");
        symlink("/proc/self/fd/1", "/dev/stdout");
        symlink("/proc/self/fd/2", "/dev/stderr");
        mount_own("devpts", "/dev/pts", "mode=620,ptmxmode=666");
        mount_own("tmpfs", "/dev/shm", "mode=1777");
        make_dirs(argv[2]);
        chmod(argv[2], 0777);
    } else {
        make_dirs(argv[2]);
        chmod(argv[2], 0777);
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    }
    FILE *plan = fopen(argv[1], "re");
    if (!plan) {
        printf("driver: %s: %s\n", argv[1], strerror(errno));
        return 2;
    }
    static char line[LINE_MAX_BYTES];
    for (int number = 0; fgets(line, sizeof line, plan); number++) {
        char *words[32], dir[512];
        int n = 0;
        line[strcspn(line, "\n")] = 0;
        for (char *w = strtok(line, "\t"); w && n < 31; w = strtok(NULL, "\t")) words[n++] = w;
        words[n] = NULL;
        if (n < 3) continue;
        snprintf(dir, sizeof dir, "%s/%d", argv[2], number);
        run(words[0], atoi(words[1]), words + 2, dir);
    }
    printf("@done\n");
    fflush(stdout);
    if (init) {
        sync();
        reboot(RB_POWER_OFF);
    }
    return 0;
}
