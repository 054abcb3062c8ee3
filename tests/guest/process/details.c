/* Small print of calls: forged siginfos, clocks behind descriptors, marks of memory, mappings under an unlimited stack.
 * needs: root */
#include "t.h"
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/timex.h>
#include <linux/capability.h>
#include <linux/prctl.h>

union info {
    struct { int signo, error, code; } s;
    char bytes[128];
};

static void queue(pid_t to, const char *label, int code, int offset, int sig)
{
    union info i;
    memset(&i, 0, sizeof i);
    i.s.signo = sig;
    i.s.code = code;
    if (offset) i.bytes[offset] = 1;
    long r = syscall(SYS_rt_sigqueueinfo, to, sig, &i);
    say("%s: code %d signal %d byte %d: %s", label, code, sig, offset, r ? errname(errno) : "ok");
}

static void siginfos(void)
{
    static const int codes[] = {-1, -2, -6, -7, -8, -60, -61, -1000, 0, 1, 2, 6, 7, 0x7f, 0x80, 0x81};
    signal(SIGUSR1, SIG_IGN);
    signal(SIGIO, SIG_IGN);
    signal(SIGSEGV, SIG_IGN);
    for (int i = 0; i < sizeof codes / sizeof *codes; i++) {
        queue(getpid(), "self", codes[i], 0, SIGUSR1);
        queue(getpid(), "self", codes[i], 47, SIGUSR1);
        queue(getpid(), "self", codes[i], 48, SIGUSR1);
        queue(getpid(), "self", codes[i], 127, SIGSEGV);
        queue(getpid(), "self", codes[i], 127, SIGCHLD);
        queue(getpid(), "self", codes[i], 127, SIGIO);
        queue(1, "other", codes[i], 0, 0);
        queue(1, "other", codes[i], 127, 0);
    }
    queue(getpid(), "bad signal", -1, 0, 65);
    queue(getpid(), "bad signal", -1, 0, -1);
    queue(getpid(), "bad signal", -8, 100, 65);
    queue(999999, "nobody", -1, 0, SIGUSR1);
    queue(999999, "nobody", 1, 0, SIGUSR1);
    queue(0, "zero", -1, 0, SIGUSR1);
    queue(-1, "minus one", -1, 0, SIGUSR1);
    V(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, NULL));
    V(syscall(SYS_rt_sigqueueinfo, 999999, SIGUSR1, NULL));
    union info i = {0};
    i.s.code = -8;
    i.bytes[60] = 1;
    V(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR1, &i));
    V(syscall(SYS_rt_tgsigqueueinfo, 0, gettid(), SIGUSR1, &i));
    V(syscall(SYS_rt_tgsigqueueinfo, getpid(), 0, SIGUSR1, &i));
    int fd = MUST(syscall(SYS_pidfd_open, getpid(), 0));
    i.s.signo = SIGUSR1;
    V(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, &i, 0));
    i.bytes[60] = 0;
    V(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, &i, 0));
    V(syscall(SYS_pidfd_send_signal, fd, SIGUSR2, &i, 0));

    V(lseek(fd, 0, SEEK_SET));
    V(lseek(fd, 0, SEEK_CUR));
    V(lseek(fd, 0, 99));
    char c;
    V(read(fd, &c, 1));
    V(pread(fd, &c, 1, 0));
    V(write(fd, &c, 1));
    V(pwrite(fd, &c, 1, 0));
    V(ftruncate(fd, 0));
    V(fallocate(fd, 0, 0, 1));
    V(fsync(fd));
    V(fchmod(fd, 0600));
    P(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0));
    V(posix_fadvise(fd, 0, 0, POSIX_FADV_NORMAL));
    V(readahead(fd, 0, 1));
    V(flock(fd, 2));
    struct flock l = {.l_type = F_RDLCK};
    V(fcntl(fd, F_SETLK, &l));
    V(fcntl(fd, F_SETLEASE, F_RDLCK));
    V(fchown(fd, 1, 1));
    V(futimens(fd, NULL));
    V(faccessat(fd, "", X_OK, AT_EMPTY_PATH));
    struct stat own, again, other;
    int same = MUST(syscall(SYS_pidfd_open, getpid(), 0)), init = MUST(syscall(SYS_pidfd_open, 1, 0));
    fstat(fd, &own);
    fstat(same, &again);
    fstat(init, &other);
    say("mode %o uid %d links %d", own.st_mode, own.st_uid, (int)own.st_nlink);
    say("inodes %d %d", own.st_ino == again.st_ino, own.st_ino == other.st_ino);
    struct statfs fs;
    fstatfs(fd, &fs);
    say("%lx", (long)fs.f_type);
    char path[40], link[40] = {0};
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    readlink(path, link, 39);
    say("%s", link);
    int reopened = OK(open(path, O_RDWR));
    V(syscall(SYS_pidfd_send_signal, reopened, 0, NULL, 0));
    int event = MUST(syscall(SYS_eventfd2, 0, 0));
    V(fchmod(event, 0600));
    V(fchown(event, 1, 1));
    V(lseek(event, 5, SEEK_SET));
    V(pread(event, path, 8, 0));
    close(event);
    close(reopened);
    close(same);
    close(init);
    close(fd);
}

static void clocks(void)
{
    int files[] = {MUST(open("/dev/null", O_RDWR)), MUST(syscall(SYS_pidfd_open, getpid(), 0)), 999};
    for (int i = 0; i < 3; i++) {
        int id = (int)(~(unsigned)files[i] << 3 | 3);
        struct timespec t = {0, 1};
        struct timex x = {0};
        struct sigevent ev = {.sigev_notify = SIGEV_NONE};
        struct itimerspec its = {0};
        timer_t timer;
        say("descriptor %d", i);
        V(clock_gettime(id, &t));
        V(clock_getres(id, &t));
        V(clock_getres(id, NULL));
        V(syscall(SYS_clock_settime, id, &t));
        V(clock_adjtime(id, &x));
        V(timer_create(id, &ev, &timer));
        PT(clock_nanosleep(id, 0, &t, NULL));
        V(syscall(SYS_timerfd_create, id, 0));
    }
    static const clockid_t others[] = {CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_PROCESS_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
                                       CLOCK_REALTIME_COARSE, 10, 12, 15, 16, 17, 99, -1, -2, -6};
    for (int i = 0; i < sizeof others / sizeof *others; i++) {
        struct timex x = {0};
        struct timespec t = {0, 1};
        say("clock %d", others[i]);
        V(clock_adjtime(others[i], &x));
        V(syscall(SYS_clock_settime, others[i], &t));
        V(syscall(SYS_clock_adjtime, others[i], (void *)8));
        V(syscall(SYS_clock_settime, others[i], (void *)8));
    }
}

static void adjustments(void)
{
    struct timex x = {0}, old = {0};
    V(adjtimex(&old) >= 0);
    say("tick %ld tolerance %ld precision %ld stabil %ld", old.tick, old.tolerance, old.precision, old.stabil);
    x.modes = ADJ_TICK;
    x.tick = 8999;
    V(adjtimex(&x));
    x.tick = 11001;
    V(adjtimex(&x));
    x.tick = old.tick;
    V(adjtimex(&x) >= 0);
    say("tick %ld", x.tick);
    x.modes = ADJ_FREQUENCY;
    x.freq = LONG_MAX;
    V(adjtimex(&x));
    x.freq = LONG_MIN;
    V(adjtimex(&x));
    x.freq = old.freq;
    V(adjtimex(&x) >= 0);
    /* adjtime(3): the rest that is still to be made up. */
    x.modes = ADJ_OFFSET_SINGLESHOT;
    x.offset = 0;
    V(adjtimex(&x) >= 0);
    say("rest %ld", x.offset);
    x.modes = ADJ_OFFSET_SS_READ;
    x.offset = 77;
    V(adjtimex(&x) >= 0);
    say("rest %ld", x.offset);
    x.modes = ADJ_OFFSET_SINGLESHOT & ~1;
    V(adjtimex(&x));
    x.modes = 0x8000;
    V(adjtimex(&x));
    x.modes = ADJ_OFFSET_SINGLESHOT | ADJ_STATUS;
    x.offset = 0;
    x.status = STA_PLL;
    V(adjtimex(&x) >= 0);
    V(x.status & STA_PLL);
    /* The phase-locked loop, without effect unless it is on. */
    x.modes = ADJ_OFFSET | ADJ_MICRO;
    x.offset = 1000;
    V(adjtimex(&x) >= 0);
    say("offset %ld", x.offset);
    struct timeval delta = {0, 0}, rest = {7, 7};
    V(adjtime(&delta, &rest));
    say("rest %ld %ld", (long)rest.tv_sec, (long)rest.tv_usec);
    V(adjtime(NULL, &rest));
    IN_CHILD("without rights", {
        MUST(setresuid(1000, 1000, 1000));
        x.modes = ADJ_FREQUENCY;
        V(adjtimex(&x));
        x.modes = ADJ_OFFSET_SS_READ;
        V(adjtimex(&x) >= 0);
        x.modes = ADJ_OFFSET_SINGLESHOT;
        V(adjtimex(&x));
        x.modes = ADJ_TICK;
        x.tick = 1;
        V(adjtimex(&x));
        x.modes = 0;
        V(adjtimex(&x) >= 0);
    });
}

static void marks(void)
{
    /* Some hosts are containers without it. */
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[2];
    MUST(syscall(SYS_capget, &head, caps));
    caps[0].effective &= ~(1 << CAP_SYS_RESOURCE);
    MUST(syscall(SYS_capset, &head, caps));
    unsigned int size = 0;
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    V(prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0));
    say("size %u", size);
    V(prctl(PR_SET_MM, PR_SET_MM_START_CODE, 0, 0, 0));
    V(prctl(PR_SET_MM, PR_SET_MM_START_CODE, 1L << 60, 0, 0));
    V(prctl(PR_SET_MM, PR_SET_MM_ARG_START, page + 100, 0, 0));
    V(prctl(PR_SET_MM, PR_SET_MM_ARG_END, page + 104, 0, 0));
    V(prctl(PR_SET_MM, PR_SET_MM_ARG_START, page + 100, 0, 0));
    V(prctl(PR_SET_MM, PR_SET_MM_ARG_END, page + 104, 0, 0));
    V(prctl(PR_SET_MM, PR_SET_MM_ENV_START, page + 8300, 0, 0));
    V(prctl(PR_SET_MM, PR_SET_MM_BRK, 0x1000, 0, 0));
    V(prctl(PR_SET_MM, PR_SET_MM_START_BRK, page, 0, 0));
    V(prctl(PR_SET_MM, PR_SET_MM_START_STACK, page, 0, 0));
    V(prctl(PR_SET_MM, PR_SET_MM_START_DATA, page, 0, 0));
    V(prctl(PR_SET_MM, PR_SET_MM_END_DATA, page + 8192, 0, 0));
    V(prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, 999, 0, 0));
    V(prctl(PR_SET_MM, 99, page, 0, 0));
    V(prctl(PR_SET_MM, PR_SET_MM_ARG_START, page, 0, 1));
    V(prctl(PR_SET_MM, PR_SET_MM_ARG_START, page, 1, 0));
    V(prctl(PR_SET_MM, PR_SET_MM_AUXV, page, 7, 0));
    V(prctl(PR_SET_MM, PR_SET_MM_AUXV, page, 4096, 0));
    memset(page, 0, 64);
    ((long *)page)[0] = 77;
    ((long *)page)[1] = 88;
    V(prctl(PR_SET_MM, PR_SET_MM_AUXV, page, 32, 0));
    long auxv[4] = {0};
    int fd = MUST(open("/proc/self/auxv", O_RDONLY));
    V(read(fd, auxv, 32) >= 16);
    close(fd);
    struct prctl_mm_map map;
    memset(&map, 0, sizeof map);
    V(prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0));
    V(prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map - 1, 0));
    V(prctl(PR_SET_MM, PR_SET_MM_MAP, NULL, sizeof map, 0));
    /* As a program that shows a title of its own. */
    char line[64] = {0};
    long brk_ = (long)sbrk(0);
    strcpy(page, "title");
    map.start_code = (long)marks & ~4095L;
    map.end_code = map.start_code + 4096;
    map.start_data = (long)page;
    map.end_data = (long)page + 4096;
    map.start_brk = brk_;
    map.brk = brk_;
    map.start_stack = (long)&map;
    map.arg_start = (long)page;
    map.arg_end = (long)page + 6;
    map.env_start = (long)page + 100;
    map.env_end = (long)page + 104;
    map.exe_fd = -1;
    V(prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0));
    fd = MUST(open("/proc/self/cmdline", O_RDONLY));
    V(read(fd, line, 64));
    say("%s", line);
    close(fd);
    map.arg_end = map.arg_start - 1;
    V(prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0));
    map.arg_end = map.arg_start;
    map.end_code = map.start_code;
    V(prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0));
    map.end_code = map.start_code + 1;
    map.start_stack = 8;
    V(prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0));
    map.start_stack = 1L << 60;
    V(prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0));
    map.start_stack = (long)&map;
    map.brk = map.start_brk - 1;
    V(prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0));
    map.brk = map.start_brk;
    map.auxv = (void *)page;
    map.auxv_size = 4096;
    V(prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0));
    map.auxv = NULL;
    V(prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0));
    map.auxv_size = 0;
    map.exe_fd = MUST(open("/dev/null", O_RDONLY));
    V(prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0));
    V(prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, map.exe_fd, 0, 0));
    IN_CHILD("without rights", {
        MUST(setresuid(1000, 1000, 1000));
        map.exe_fd = -1;
        V(prctl(PR_SET_MM, PR_SET_MM_ARG_START, page, 0, 0));
        V(prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0));
        V(prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0));
        V(prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, 0, 0, 0));
        V(prctl(PR_SET_MM, PR_SET_MM_AUXV, page, 16, 0));
    });
}

/* Where mappings go. */
static void layout(const char *label)
{
    char *a = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *b = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say("%s: %s, at %lx0000000000", label, b > a ? "up" : "down", (long)a >> 40);
}

static void with_layout(const char *self, const char *label, rlim_t stack, unsigned long persona)
{
    pid_t c = fork();
    if (!c) {
        struct rlimit l = {stack, RLIM_INFINITY};
        MUST(setrlimit(RLIMIT_STACK, &l));
        personality(persona | ADDR_NO_RANDOMIZE);
        execl(self, self, label, NULL);
        _exit(1);
    }
    waitpid(c, NULL, 0);
}

int main(int argc, char **argv)
{
    if (argc == 2) {
        layout(argv[1]);
        return 0;
    }
    siginfos();
    clocks();
    adjustments();
    with_layout(argv[0], "8 MiB", 8 << 20, 0);
    with_layout(argv[0], "256 MiB", 256 << 20, 0);
    with_layout(argv[0], "8 TiB", 8L << 40, 0);
    with_layout(argv[0], "unlimited", RLIM_INFINITY, 0);
    with_layout(argv[0], "compatible", 8 << 20, ADDR_COMPAT_LAYOUT);
    marks();
    return 0;
}
