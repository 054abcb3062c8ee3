/* What every guest program uses: facts are printed one a line, `name: value`,
 * errors by name, so that two kernels' answers can be compared as text. */
#ifndef T_H
#define T_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* One whole line in one write, so that several processes may print. */
static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void say(const char *format, ...)
{
    char line[4096];
    va_list list;
    va_start(list, format);
    int n = vsnprintf(line, sizeof line - 1, format, list);
    va_end(list);
    if (n > (int)sizeof line - 2) n = sizeof line - 2;
    line[n++] = '\n';
    if (write(1, line, n) != n) _exit(99);
}

static inline const char *errname(int e)
{
    const char *name = strerrorname_np(e);
    return name ? name : e == 512 ? "ERESTARTSYS" : "E?";
}

/* `label: value`, or the error's name when the value is -1. */
static inline long show(const char *label, long value)
{
    if (value == -1) say("%s: %s", label, errname(errno));
    else say("%s: %ld", label, value);
    return value;
}

/* `label: ok`, or the error's name: for values that differ from run to run. */
static inline long okay(const char *label, long value)
{
    if (value == -1) say("%s: %s", label, errname(errno));
    else say("%s: ok", label);
    return value;
}

/* The expression's own text is its label. */
#define V(e) show(#e, (long)(e))
#define OK(e) okay(#e, (long)(e))
/* A pointer result: MAP_FAILED is -1. */
#define P(e) ((void *)okay(#e, (long)(e)))
/* pthread calls return the error. */
#define PT(e) \
    do { \
        int e_ = (e); \
        say("%s: %s", #e, e_ ? errname(e_) : "0"); \
    } while (0)
/* What can't go wrong: not reported unless it does. */
#define MUST(e) \
    ({ \
        __typeof__(e) v_ = (e); \
        if ((long)v_ == -1) { \
            say("%s:%d: %s: %s", __FILE__, __LINE__, #e, errname(errno)); \
            exit(98); \
        } \
        v_; \
    })

/* A wait status in words. */
static inline const char *status_words(int status)
{
    static char text[64];
    if (WIFEXITED(status)) snprintf(text, sizeof text, "exited %d", WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        snprintf(text, sizeof text, "killed by SIG%s", sigabbrev_np(WTERMSIG(status)) ?: "?");
    else if (WIFSTOPPED(status))
        snprintf(text, sizeof text, "stopped by SIG%s", sigabbrev_np(WSTOPSIG(status)) ?: "?");
    else if (WIFCONTINUED(status)) snprintf(text, sizeof text, "continued");
    else snprintf(text, sizeof text, "status %x", status);
    return text;
}

/* Runs the statements in a child and prints how it ended. */
#define IN_CHILD(label, ...) \
    do { \
        pid_t child_ = fork(); \
        if (child_ == 0) { \
            __VA_ARGS__; \
            _exit(0); \
        } \
        int status_ = 0; \
        if (child_ < 0 || waitpid(child_, &status_, 0) != child_) say("%s: %s", label, errname(errno)); \
        else say("%s: %s", label, status_words(status_)); \
    } while (0)

static inline void msleep(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) && errno == EINTR);
}

static inline long long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* State letter of /proc/<pid>/stat: 'R', 'S', 'T', 'Z'... or '?' */
static inline char state_of(pid_t pid)
{
    char path[64], text[512], *p;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    if (n <= 0) return '?';
    text[n] = 0;
    p = strrchr(text, ')');
    return p && p[1] ? p[2] : '?';
}

/* Waits (2 s at most) until the process sleeps, or has the given state. */
static inline void wait_state(pid_t pid, char state)
{
    for (int i = 0; i < 400 && state_of(pid) != state; i++) msleep(5);
}

static inline void on_signal(int signo, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    MUST(sigaction(signo, &action, NULL));
}
#endif
