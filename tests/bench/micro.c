/* The primitives a kernel in user space pays for, one row each:
 * `name value unit`, the best of several rounds. Lower is better but for
 * MB/s and the counts of work done.
 *
 * usage: micro <directory for a scratch file> [part of a row's name]
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 5, PAGE = 4096 };

static const char *only;
static char path[512], other[520], buffer[1 << 20];
static int file, zero, null, event, epoll;
static char *big;
static int there[2], back[2];

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void must(int good, const char *what)
{
    if (!good) {
        perror(what);
        exit(1);
    }
}

static void *nothing(void *x) { return x; }

static void clock_row(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
}
static void getppid_row(void) { syscall(SYS_getppid); }
static void yield_row(void) { sched_yield(); }
static void read1_row(void) { must(read(zero, buffer, 1) == 1, "read"); }
static void write1_row(void) { must(write(null, buffer, 1) == 1, "write"); }
static void pread4k_row(void) { must(pread(file, buffer, PAGE, 8 * PAGE) == PAGE, "pread"); }
static void pwrite4k_row(void) { must(pwrite(file, buffer, PAGE, 8 * PAGE) == PAGE, "pwrite"); }
static void pread1m_row(void) { must(pread(file, buffer, 1 << 20, 0) == 1 << 20, "pread"); }
static void fstat_row(void)
{
    struct stat s;
    fstat(file, &s);
}
static void stat_row(void)
{
    struct stat s;
    stat(path, &s);
}
static void open_row(void) { close(open(path, O_RDONLY)); }
static void create_row(void)
{
    close(open(other, O_CREAT | O_WRONLY, 0600));
    unlink(other);
}
static void eventfd_row(void)
{
    unsigned long v = 1;
    must(write(event, &v, 8) == 8 && read(event, &v, 8) == 8, "eventfd");
}
static void epoll_row(void)
{
    struct epoll_event e;
    epoll_wait(epoll, &e, 1, 0);
}
static void mask_row(void)
{
    sigset_t s;
    sigemptyset(&s);
    sigprocmask(SIG_BLOCK, &s, NULL);
}
static void handler(int s) { (void)s; }
static void signal_row(void) { raise(SIGUSR1); }

static void *anonymous(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(p != MAP_FAILED, "mmap");
    return p;
}

static void mmap_row(void) { munmap(anonymous(PAGE), PAGE); }

static void touch_row(void)
{
    volatile char *p = anonymous(4 << 20);
    for (long i = 0; i < 4 << 20; i += PAGE) p[i] = 1;
    munmap((void *)p, 4 << 20);
}

static void file_map_row(void)
{
    volatile char *p = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE, file, 0);
    for (long i = 0; i < 1 << 20; i += PAGE) (void)p[i];
    munmap((void *)p, 1 << 20);
}

static void thread_row(void)
{
    pthread_t t;
    must(pthread_create(&t, NULL, nothing, NULL) == 0, "pthread_create");
    pthread_join(t, NULL);
}

static void fork_row(void)
{
    pid_t p = fork();
    if (p == 0) _exit(0);
    must(waitpid(p, NULL, 0) == p, "fork");
}

static void fork_cow_row(void)
{
    pid_t p = fork();
    if (p == 0) {
        for (long i = 0; i < 16 << 20; i += PAGE) big[i] = 2;
        _exit(0);
    }
    must(waitpid(p, NULL, 0) == p, "fork");
}

static void exec_row(void)
{
    pid_t p = fork();
    if (p == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    must(waitpid(p, NULL, 0) == p, "fork");
}

static void vexec_row(void)
{
    pid_t p = vfork();
    if (p == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    must(waitpid(p, NULL, 0) == p, "vfork");
}

static void pingpong_row(void)
{
    char c = 1;
    must(write(there[1], &c, 1) == 1 && read(back[0], &c, 1) == 1, "ping-pong");
}

/* A child that sends every byte back, over pipes or a socket pair. */
static pid_t echo(int sockets)
{
    if (sockets) {
        int s[2];
        must(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0, "socketpair");
        there[1] = s[0], back[0] = dup(s[0]), there[0] = s[1], back[1] = dup(s[1]);
    } else {
        must(pipe(there) == 0 && pipe(back) == 0, "pipe");
    }
    pid_t p = fork();
    if (p == 0) {
        char c;
        close(there[1]);
        close(back[0]);
        while (read(there[0], &c, 1) == 1)
            if (write(back[1], &c, 1) != 1) break;
        _exit(0);
    }
    close(there[0]);
    close(back[1]);
    return p;
}

static void echo_end(pid_t p)
{
    close(there[1]);
    close(back[0]);
    waitpid(p, NULL, 0);
}

static void row(const char *name, long count, double parts, void (*body)(void))
{
    if (only && !strstr(name, only)) return;
    double best = 1e18;
    body();
    for (int round = 0; round < ROUNDS; round++) {
        double start = now_ns();
        for (long i = 0; i < count; i++) body();
        double each = (now_ns() - start) / count / parts;
        if (each < best) best = each;
    }
    printf("%s %.1f ns\n", name, best);
    fflush(stdout);
}

static void bandwidth(void)
{
    long total = 256L << 20, got = 0, n;
    int p[2];
    must(pipe(p) == 0, "pipe");
    pid_t child = fork();
    if (child == 0) {
        for (long i = 0; i < total; i += 65536)
            if (write(p[1], buffer, 65536) != 65536) _exit(1);
        _exit(0);
    }
    close(p[1]);
    double start = now_ns();
    while ((n = read(p[0], buffer, 65536)) > 0) got += n;
    printf("pipe_bw %.1f MB/s\n", got / (now_ns() - start) * 1e3);
    fflush(stdout);
    close(p[0]);
    waitpid(child, NULL, 0);
}

static void cpu_loop(void)
{
    double best = 1e18;
    for (int round = 0; round < 3; round++) {
        volatile double x = 0;
        double start = now_ns();
        for (long i = 0; i < 50000000; i++) x += i;
        double took = (now_ns() - start) / 1e6;
        if (took < best) best = took;
    }
    printf("cpu_loop %.1f ms\n", best);
    fflush(stdout);
}

static volatile int stop;
static void *work(void *x)
{
    volatile long n = 0;
    while (!stop) n++;
    *(long *)x = n;
    return NULL;
}

static void four_threads(void)
{
    pthread_t t[4];
    long done[4], sum = 0;
    struct timespec second = {2, 0};
    for (int i = 0; i < 4; i++) must(pthread_create(&t[i], NULL, work, &done[i]) == 0, "pthread_create");
    nanosleep(&second, NULL);
    stop = 1;
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
        sum += done[i];
    }
    printf("four_threads %.1f M\n", sum / 1e6);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    must(argc > 1, "usage: micro <directory> [row]");
    only = argc > 2 ? argv[2] : NULL;
    if (only && !strcmp(only, "four_threads")) {
        four_threads();
        return 0;
    }
    memset(buffer, 1, sizeof buffer);
    snprintf(path, sizeof path, "%s/micro-%d", argv[1], getpid());
    snprintf(other, sizeof other, "%s.2", path);
    file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    must(file >= 0 && write(file, buffer, sizeof buffer) == sizeof buffer, path);
    zero = open("/dev/zero", O_RDWR), null = open("/dev/null", O_RDWR);
    event = eventfd(0, EFD_NONBLOCK), epoll = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, event, &e);
    signal(SIGUSR1, handler);

    row("clock_gettime", 50000, 1, clock_row);
    row("getppid", 10000, 1, getppid_row);
    row("sched_yield", 5000, 1, yield_row);
    row("read1_zero", 10000, 1, read1_row);
    row("write1_null", 10000, 1, write1_row);
    row("pread4k_file", 5000, 1, pread4k_row);
    row("pwrite4k_file", 3000, 1, pwrite4k_row);
    row("pread1m_file", 50, 1, pread1m_row);
    row("fstat", 5000, 1, fstat_row);
    row("stat", 5000, 1, stat_row);
    row("open_close", 3000, 1, open_row);
    row("create_unlink", 500, 1, create_row);
    row("eventfd_rw", 3000, 1, eventfd_row);
    row("epoll_wait0", 3000, 1, epoll_row);
    row("sigprocmask", 5000, 1, mask_row);
    row("signal_self", 2000, 1, signal_row);
    row("mmap_munmap_4k", 1000, 1, mmap_row);
    row("touch_page_anon", 10, 1024, touch_row);
    row("mmap_file_read_1m", 20, 1, file_map_row);
    row("thread_create_join", 100, 1, thread_row);
    row("fork_exit", 30, 1, fork_row);
    big = anonymous(64 << 20);
    memset(big, 1, 64 << 20);
    row("fork_exit_64m", 10, 1, fork_row);
    row("fork_cow_16m", 3, 1, fork_cow_row);
    munmap(big, 64 << 20);
    row("fork_exec_true", 20, 1, exec_row);
    row("vfork_exec_true", 20, 1, vexec_row);
    pid_t child = echo(0);
    row("pipe_pingpong", 2000, 1, pingpong_row);
    echo_end(child);
    child = echo(1);
    row("unix_pingpong", 2000, 1, pingpong_row);
    echo_end(child);
    if (!only || strstr("pipe_bw", only)) bandwidth();
    if (!only || strstr("cpu_loop", only)) cpu_loop();
    unlink(path);
    return 0;
}
