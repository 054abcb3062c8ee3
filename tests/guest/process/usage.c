/* What wait4, waitid and getrusage say of the memory of children: the peak and the faults of each, of grandchildren that were waited
 * for, of zombies, whether or not the wait asked for it. */
#include "t.h"
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MB (1 << 20)

/* Touches so many MiB, page by page. */
static void touch(int mib)
{
    char *p = mmap(NULL, mib * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(p, mib * MB, MADV_NOHUGEPAGE);
    for (long i = 0; i < mib * MB; i += 4096) p[i] = 1;
}

static pid_t child_with(int mib)
{
    pid_t pid = fork();
    if (!pid) {
        touch(mib);
        _exit(3);
    }
    return pid;
}

/* Whether `u` is that of a process that touched so many MiB and little else. */
static void judge(const char *what, const struct rusage *u, int mib)
{
    say("%s: peak %d, faults %d", what, u->ru_maxrss >= mib * 1024L && u->ru_maxrss < mib * 1024L + 8192,
        u->ru_minflt >= mib * 256L && u->ru_minflt < mib * 256L + 2048);
}

static void at_exit(const char *what, int mib)
{
    struct rusage u;
    getrusage(RUSAGE_CHILDREN, &u);
    say("%s: peak of all %d", what, u.ru_maxrss >= mib * 1024L && u.ru_maxrss < mib * 1024L + 8192);
}

/* Minor faults of a zombie, by its stat file. */
static long zombie_faults(pid_t pid)
{
    char path[40], text[512] = "";
    long faults = -1;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY);
    if (read(fd, text, sizeof text - 1) > 0) sscanf(strrchr(text, ')'), ") %*c %*d %*d %*d %*d %*d %*u %ld", &faults);
    close(fd);
    return faults;
}

int main(void)
{
    struct rusage u;
    int status;
    wait4(child_with(24), &status, 0, &u);
    judge("wait4", &u, 24);
    at_exit("24 MiB", 24);

    waitpid(child_with(40), &status, 0);
    at_exit("40 MiB, not asked for at once", 40);

    siginfo_t info;
    pid_t pid = child_with(12);
    syscall(SYS_waitid, P_PID, pid, &info, WEXITED | WNOWAIT, &u);
    judge("waitid, left there", &u, 12);
    say("zombie's faults %d", zombie_faults(pid) >= 12 * 256);
    syscall(SYS_waitid, P_PID, pid, &info, WEXITED, &u);
    judge("waitid", &u, 12);

    pid = fork();
    if (!pid) {
        waitpid(child_with(64), NULL, 0);
        _exit(0);
    }
    wait4(pid, &status, 0, &u);
    judge("of a grandchild", &u, 64);

    pid = fork();
    if (!pid) {
        if (!fork()) {
            touch(80);
            _exit(0);
        }
        _exit(0);
    }
    wait4(pid, &status, 0, &u);
    say("a grandchild that nobody waited for doesn't count %d", u.ru_maxrss < 80 * 1024);

    getrusage(RUSAGE_CHILDREN, &u);
    long before = u.ru_minflt;
    for (int i = 0; i < 40; i++) waitpid(child_with(1), NULL, 0);
    getrusage(RUSAGE_CHILDREN, &u);
    say("forty small ones: faults %d", u.ru_minflt - before >= 40 * 256);

    pid = vfork();
    if (!pid) _exit(0);
    wait4(pid, &status, 0, &u);
    say("vfork: peak %d", u.ru_maxrss > 0);
    pid = vfork();
    if (!pid) {
        execl("/bin/true", "true", NULL);
        _exit(1);
    }
    wait4(pid, &status, 0, &u);
    say("a program: peak %d, faults %d", u.ru_maxrss > 256 && u.ru_maxrss < 16384, u.ru_minflt > 10);
    return 0;
}
