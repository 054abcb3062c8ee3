/* What /proc shows of memory page by page, and what it counts: pagemap, smaps, map_files, faults, io. And what a task does:
 * its system call, timers, turns.
 * needs: root */
#include "t.h"
#include <dirent.h>
#include <sys/prctl.h>

enum { PAGE = 4096 };

static char text[1 << 18];
static long slurp(const char *path)
{
    int fd = MUST(open(path, O_RDONLY | O_CLOEXEC));
    long n = 0, r;
    while ((r = read(fd, text + n, sizeof text - 1 - n)) > 0) n += r;
    text[n] = 0;
    close(fd);
    return r < 0 ? -1 : n;
}

static void pages(const char *label, void *at, int n)
{
    char line[200];
    uint64_t e[32];
    int fd = MUST(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)), used = 0;
    MUST(pread(fd, e, n * 8, (uintptr_t)at / PAGE * 8));
    close(fd);
    for (int i = 0; i < n; i++)
        used += snprintf(line + used, sizeof line - used, " %s%s%s", e[i] >> 63 ? "p" : "-", e[i] >> 61 & 1 ? "f" : "",
                         e[i] >> 58 & 1 ? "g" : "");
    say("%s:%s", label, line);
}

static int is_exclusive(void *at)
{
    uint64_t e;
    int fd = MUST(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    MUST(pread(fd, &e, 8, (uintptr_t)at / PAGE * 8));
    close(fd);
    return e >> 56 & 1;
}

static void exclusive(const char *label, void *at)
{
    say("%s: exclusive %d", label, is_exclusive(at));
}

/* Fields of the area that starts at `at`. */
static void smaps(const char *label, void *at, const char *const *fields)
{
    char start[40], *p, *end;
    slurp("/proc/self/smaps");
    snprintf(start, sizeof start, "%lx-", (long)at);
    for (p = text; p && strncmp(p, start, strlen(start)); p = strchr(p, '\n'), p += p != NULL);
    if (!p) {
        say("%s: no area", label);
        return;
    }
    end = strstr(p, "VmFlags:");
    if (end) *end = 0;
    for (; *fields; fields++) {
        char key[40];
        snprintf(key, sizeof key, "\n%s:", *fields);
        char *f = strstr(p, key);
        say("%s %s: %ld", label, *fields, f ? atol(f + strlen(key)) : -1);
    }
}

static long field(const char *path, const char *key)
{
    slurp(path);
    char *p = strstr(text, key);
    return p ? atol(p + strlen(key)) : -1;
}

static long minflt(const char *path)
{
    slurp(path);
    char *p = strrchr(text, ')') + 1;
    for (int i = 0; i < 8; i++) p = strchr(p, ' ') + 1;
    return atol(p);
}

static long ru(int who)
{
    struct rusage u;
    MUST(getrusage(who, &u));
    return u.ru_minflt;
}

static char *anon(int n, int prot, int flags)
{
    /* With room on both sides, so that no other area joins it. */
    char *p = mmap(NULL, (n + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return mmap(p + PAGE, n * PAGE, prot, flags | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void touch(char *p, int n)
{
    for (int i = 0; i < n; i++) p[i * PAGE] = 1;
}

static int tick(void *arg) { return 0; }

int main(void)
{
    static const char *const all[] = {"Size",          "Rss",           "Pss",           "Pss_Dirty", "Shared_Clean", "Shared_Dirty",
                                      "Private_Clean", "Private_Dirty", "Anonymous", "AnonHugePages", "Swap",         "Locked",
                                      NULL};
    static const char *const some[] = {"Rss", "Pss", "Shared_Dirty", "Private_Dirty", "Anonymous", NULL};
    volatile char c;
    char *p = anon(16, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    pages("untouched", p, 8);
    touch(p, 3);
    c = p[4 * PAGE];
    pages("three written, one read", p, 8);
    smaps("anonymous", p, all);
    exclusive("own", p);
    MUST(madvise(p, PAGE, MADV_DONTNEED));
    pages("one dropped", p, 8);
    MUST(mprotect(p + PAGE, PAGE, PROT_NONE));
    pages("one inaccessible", p, 8);
    MUST(mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE));
    int go[2], done[2];
    MUST(pipe(go));
    MUST(pipe(done));
    pid_t child = fork();
    if (!child) {
        char b;
        exclusive("child's", p + PAGE);
        smaps("child's", p, some);
        p[PAGE] = 2;
        exclusive("child's after a write", p + PAGE);
        write(done[1], "x", 1);
        read(go[0], &b, 1);
        _exit(0);
    }
    read(done[0], (char *)&c, 1);
    exclusive("parent's", p + 2 * PAGE);
    smaps("parent's", p, some);
    write(go[1], "x", 1);
    waitpid(child, NULL, 0);
    /* Memory of a process that has been waited for may still be on its way back. */
    for (int i = 0; i < 2000 && !is_exclusive(p + 2 * PAGE); i++) usleep(1000);
    exclusive("parent's alone again", p + 2 * PAGE);

    char *s = anon(8, PROT_READ | PROT_WRITE, MAP_SHARED);
    touch(s, 2);
    pages("shared anonymous", s, 4);
    static const char *const shared[] = {"Rss", "Anonymous", "Size", NULL};
    smaps("shared anonymous", s, shared);
    int fd = MUST(open("file", O_CREAT | O_RDWR, 0600));
    MUST(ftruncate(fd, 8 * PAGE));
    for (int i = 0; i < 8; i++) MUST(pwrite(fd, "x", 1, i * PAGE));
    char *f = anon(8, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    f = mmap(f, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0);
    c = f[0];
    f[PAGE] = 2;
    pages("file", f, 2);
    static const char *const private[] = {"Anonymous", "Size", NULL};
    smaps("file", f, private);

    /* The file itself. */
    int map = MUST(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    uint64_t e[4];
    V(pread(map, e, 7, 0));
    V(pread(map, e, 8, 4));
    V(pread(map, e, 0, 0));
    V(pread(map, e, 16, 0));
    V(e[0]);
    V(pread(map, e, 16, 0x7ffffffff000 / PAGE * 8));
    V(pread(map, e, 32, 0x7ffffffff000 / PAGE * 8 - 16));
    V(pread(map, e, 16, 1L << 60));
    V(lseek(map, 0, SEEK_END));
    V(lseek(map, 80, SEEK_SET));
    V(lseek(map, 8, SEEK_CUR));
    V(write(map, e, 8));

    slurp("/proc/self/smaps_rollup");
    say("rollup: %d", strstr(text, "[rollup]\nRss: ") != NULL);
    long before = field("/proc/self/smaps_rollup", "Anonymous:"), status = field("/proc/self/status", "RssAnon:");
    char *big = anon(256, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    madvise(big, 256 * PAGE, MADV_NOHUGEPAGE);
    long self = ru(RUSAGE_SELF), thread = ru(RUSAGE_THREAD), stat = minflt("/proc/self/stat");
    touch(big, 256);
    say("minor faults: %d %d %d", ru(RUSAGE_SELF) - self >= 256, ru(RUSAGE_THREAD) - thread >= 256,
        minflt("/proc/self/stat") - stat >= 256);
    say("not many more: %d", ru(RUSAGE_SELF) - self < 400);
    long grown = field("/proc/self/smaps_rollup", "Anonymous:") - before;
    say("anonymous memory grew: %d", grown >= 1024 && grown < 1400);
    /* Its counters may lag behind. */
    grown = field("/proc/self/status", "RssAnon:") - status;
    say("status: %d", grown >= 512 && grown < 1700);
    long children = ru(RUSAGE_CHILDREN);
    IN_CHILD("child that touches memory", {
        char *m = anon(1024, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        madvise(m, 1024 * PAGE, MADV_NOHUGEPAGE);
        for (int round = 0; round < 10; round++) {
            touch(m, 1024);
            madvise(m, 1024 * PAGE, MADV_DONTNEED);
        }
    });
    say("children's faults: %d", ru(RUSAGE_CHILDREN) - children >= 10240);

    /* Mapped files by their addresses. */
    char path[100], link[4096], want[4096];
    snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", (long)f, (long)f + 8 * PAGE);
    ssize_t n = MUST(readlink(path, link, sizeof link - 1));
    link[n] = 0;
    getcwd(want, sizeof want - 10);
    strcat(want, "/file");
    say("map_files: %d", !strcmp(link, want));
    struct stat st;
    MUST(lstat(path, &st));
    say("mode %o", st.st_mode);
    int through = OK(open(path, O_RDWR));
    unlink("file");
    n = readlink(path, link, sizeof link - 1);
    link[n] = 0;
    say("deleted: %d", n > 10 && !strcmp(link + n - 10, " (deleted)"));
    V(pread(through, link, 1, 0));
    snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", (long)f, (long)f + 7 * PAGE);
    V(readlink(path, link, sizeof link));
    snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", (long)p, (long)p + 16 * PAGE);
    V(readlink(path, link, sizeof link));
    V(readlink("/proc/self/map_files/0x1000-2000", link, sizeof link));
    V(open("/proc/self/map_files/new", O_CREAT | O_RDWR, 0600));
    DIR *dir = opendir("/proc/self/map_files");
    struct dirent *d;
    int found = 0, odd = 0;
    while ((d = readdir(dir))) {
        unsigned long a, b;
        if (d->d_name[0] == '.') continue;
        odd += sscanf(d->d_name, "%lx-%lx", &a, &b) != 2 || d->d_type != DT_LNK;
        found += a == (unsigned long)f && b == a + 8 * PAGE;
    }
    closedir(dir);
    say("listed %d odd %d", found, odd);
    snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", (long)f, (long)f + 8 * PAGE);
    IN_CHILD("without rights", {
        MUST(setresuid(1000, 1000, 1000));
        prctl(PR_SET_DUMPABLE, 1);
        V(readlink(path, link, sizeof link) > 0);
        V(open(path, O_RDONLY));
    });

    /* What it has read and written. */
    long rchar = field("/proc/self/io", "rchar: "), wchar = field("/proc/self/io", "wchar: ");
    long syscr = field("/proc/self/io", "syscr: "), syscw = field("/proc/self/io", "syscw: ");
    for (int i = 0; i < 10; i++) {
        pwrite(fd, link, 100, 0);
        pread(fd, link, 50, 0);
    }
    read(-1, link, 1);
    long r = field("/proc/self/io", "syscr: ") - syscr, w = field("/proc/self/io", "syscw: ") - syscw;
    say("calls: %ld", w);
    say("written: %ld", field("/proc/self/io", "wchar: ") - wchar);
    say("read: %d, reads %d", field("/proc/self/io", "rchar: ") - rchar >= 500, r >= 10 && r <= 30);

    /* Timers. */
    timer_t t1, t2, t3;
    struct sigevent ev = {.sigev_notify = SIGEV_NONE};
    ev.sigev_value.sival_ptr = (void *)0x1234;
    MUST(timer_create(CLOCK_MONOTONIC, NULL, &t1));
    MUST(timer_create(CLOCK_REALTIME, &ev, &t2));
    ev.sigev_notify = SIGEV_SIGNAL;
    ev.sigev_signo = 40;
    MUST(timer_create(CLOCK_BOOTTIME, &ev, &t3));
    slurp("/proc/self/timers");
    char *line = strtok(text, "\n");
    for (; line; line = strtok(NULL, "\n")) {
        char *dot = strrchr(line, '.');
        if (dot && atoi(dot + 1) == getpid()) strcpy(dot + 1, "me");
        say("%s", line);
    }
    n = slurp("/proc/self/uid_map");
    say("uid_map %zd: %d", n, strstr(text, "         0          0 ") == text);
    slurp("/proc/self/setgroups");
    say("setgroups: %s", strtok(text, "\n"));
    slurp("/proc/self/mountstats");
    say("mountstats: %d", strstr(text, " mounted on /proc with fstype proc\n") != NULL);
    slurp("/proc/self/sched");
    say("sched: %d %d %d", strstr(text, ", #threads: 1)\n---------") != NULL, strstr(text, "\npolicy  ") != NULL,
        strstr(text, "\nnr_switches  ") != NULL);

    /* A call with its arguments. */
    pid_t reader = fork();
    if (!reader) {
        syscall(SYS_read, go[0], 0x1234560, 77, 1, 2, 3);
        _exit(0);
    }
    wait_state(reader, 'S');
    snprintf(path, sizeof path, "/proc/%d/syscall", reader);
    slurp(path);
    snprintf(want, sizeof want, "0 0x%x 0x1234560 0x4d 0x1 0x2 0x3 0x7", go[0]);
    say("syscall: %d", !strncmp(text, want, strlen(want)));
    snprintf(path, sizeof path, "/proc/%d/stack", reader);
    slurp(path);
    say("stack: %d", strncmp(text, "[<0>] ", 6) == 0 && strchr(text, '+') != NULL);
    kill(reader, SIGKILL);
    waitpid(reader, NULL, 0);
    V(slurp("/proc/self/syscall") > 0);
    say("own: %.2s", text);
    say("score: %d", field("/proc/self/oom_score", "") >= 600);
    return 0;
}
