/* /proc: the keys and the shape of files that programs read, not the values. */
#include "t.h"
#include <ctype.h>
#include <dirent.h>
static char buf[1 << 20];
static long slurp(const char *f)
{
    int fd = open(f, O_RDONLY);
    if (fd < 0) {
        say("%s: %s", f, errname(errno));
        return -1;
    }
    long n = 0, r;
    while ((r = read(fd, buf + n, sizeof buf - 1 - n)) > 0) n += r;
    buf[n] = 0;
    close(fd);
    return n;
}
static void has(const char *file, const char **keys)
{
    if (slurp(file) < 0) return;
    for (; *keys; keys++) {
        char k[64];
        snprintf(k, 64, "%s", *keys);
        char *p = strstr(buf, k);
        say("%s %s: %d", file, k, p != NULL && (p == buf || p[-1] == '\n'));
    }
}

int main(int argc, char **argv)
{
    has("/proc/self/status", (const char *[]){"Name:",
                                              "Umask:",
                                              "State:",
                                              "Tgid:",
                                              "Pid:",
                                              "PPid:",
                                              "TracerPid:",
                                              "Uid:",
                                              "Gid:",
                                              "FDSize:",
                                              "Groups:",
                                              "VmPeak:",
                                              "VmSize:",
                                              "VmRSS:",
                                              "VmData:",
                                              "VmStk:",
                                              "VmExe:",
                                              "Threads:",
                                              "SigQ:",
                                              "SigPnd:",
                                              "ShdPnd:",
                                              "SigBlk:",
                                              "SigIgn:",
                                              "SigCgt:",
                                              "CapInh:",
                                              "CapPrm:",
                                              "CapEff:",
                                              "CapBnd:",
                                              "CapAmb:",
                                              "NoNewPrivs:",
                                              "Seccomp:",
                                              "Cpus_allowed:",
                                              "Cpus_allowed_list:",
                                              "voluntary_ctxt_switches:",
                                              "nonvoluntary_ctxt_switches:",
                                              0});
    has("/proc/meminfo",
        (const char *[]){"MemTotal:",   "MemFree:",      "MemAvailable:", "Buffers:",      "Cached:",
                         "SwapCached:", "Active:",       "Inactive:",     "SwapTotal:",    "SwapFree:",
                         "Dirty:",      "Writeback:",    "AnonPages:",    "Mapped:",       "Slab:",
                               "SReclaimable:", "CommitLimit:",  "Committed_AS:", 0});
    has("/proc/cpuinfo",
        (const char *[]){"processor\t:", "vendor_id\t:", "cpu family\t:", "model name\t:", "cpu MHz\t\t:",
                         "cache size\t:", "flags\t\t:", "bogomips\t:", "address sizes\t:", 0});
    has("/proc/stat", (const char *[]){"cpu ", "cpu0 ", "intr ", "ctxt ", "btime ", "processes ",
                                       "procs_running ", "procs_blocked ", 0});
    has("/proc/vmstat", (const char *[]){"nr_free_pages ", "pgpgin ", 0});
    has("/proc/filesystems", (const char *[]){"nodev\tproc", "nodev\tsysfs", "nodev\ttmpfs", "nodev\tdevpts",
                                              "nodev\toverlay", 0});
    slurp("/proc/self/stat");
    int f = 0;
    char *c = strrchr(buf, ')');
    for (char *t = strtok(c + 2, " "); t; t = strtok(0, " ")) f++;
    say("stat fields %d", f + 2);
    slurp("/proc/self/statm");
    f = 0;
    for (char *t = strtok(buf, " "); t; t = strtok(0, " ")) f++;
    say("statm %d", f);
    slurp("/proc/uptime");
    double a, b;
    say("uptime %d", sscanf(buf, "%lf %lf", &a, &b));
    slurp("/proc/loadavg");
    int x, y, z;
    say("loadavg %d", sscanf(buf, "%lf %*f %*f %d/%d %d", &a, &x, &y, &z));
    slurp("/proc/version");
    say("version %d", !strncmp(buf, "Linux version ", 14));
    slurp("/proc/self/cmdline");
    say("cmdline %s", strrchr(buf, '/') + 1);
    slurp("/proc/self/comm");
    say("comm %.*s", (int)strcspn(buf, "\n"), buf);
    slurp("/proc/self/environ");
    say("environ %d", strstr(buf, "PATH=") != 0);
    slurp("/proc/self/limits");
    for (char *l = strtok(buf, "\n"); l; l = strtok(0, "\n")) say("limit %.25s", l);
    slurp("/proc/self/wchan");
    slurp("/proc/self/cgroup");
    say("cgroup %d", strchr(buf, ':') != 0);
    slurp("/proc/self/oom_score_adj");
    say("oom %.*s", (int)strcspn(buf, "\n"), buf);
    slurp("/proc/self/personality");
    slurp("/proc/self/loginuid");
    slurp("/proc/self/io");
    say("io %d", strstr(buf, "rchar:") == buf);
    char l[4096];
    long n = readlink("/proc/self", l, 4096);
    l[n] = 0;
    say("self %d", atoi(l) == getpid());
    n = readlink("/proc/thread-self", l, 4096);
    l[n] = 0;
    say("thread-self %d", strstr(l, "/task/") != 0);
    n = readlink("/proc/self/exe", l, 4096);
    l[n] = 0;
    say("exe %s", strrchr(l, '/') + 1);
    n = readlink("/proc/self/cwd", l, 4096);
    l[n] = 0;
    char cw[4096];
    say("cwd %d", !strcmp(l, getcwd(cw, 4096)));
    n = readlink("/proc/self/root", l, 4096);
    l[n] = 0;
    say("root %s", l);
    int p[2];
    pipe(p);
    char t[64];
    sprintf(t, "/proc/self/fd/%d", p[0]);
    n = readlink(t, l, 4096);
    l[n] = 0;
    say("pipe %.6s", l);
    n = readlink("/proc/self/fd/0", l, 4096);
    l[n] = 0;
    say("fd 0 %s", l);
    int d = open("gone", O_CREAT | O_RDWR, 0600);
    unlink("gone");
    sprintf(t, "/proc/self/fd/%d", d);
    n = readlink(t, l, 4096);
    l[n] = 0;
    say("deleted %s", strrchr(l, '/') + 1);
    struct stat st;
    lstat(t, &st);
    say("fd mode %o", st.st_mode);
    sprintf(t, "/proc/self/fdinfo/%d", d);
    slurp(t);
    say("fdinfo %d %d", strstr(buf, "pos:") == buf, strstr(buf, "flags:") != 0);
    DIR *dir = opendir("/proc/self/task");
    int k = 0;
    while (readdir(dir)) k++;
    say("tasks %d", k - 2);
    closedir(dir);
    dir = opendir("/proc/self/fd");
    k = 0;
    while (readdir(dir)) k++;
    closedir(dir);
    say("fds %d", k - 2);
    dir = opendir("/proc");
    int pids = 0, me = 0;
    struct dirent *e;
    while ((e = readdir(dir))) {
        pids += isdigit(e->d_name[0]) != 0;
        me |= atoi(e->d_name) == getpid();
    }
    closedir(dir);
    say("pids %d me %d", pids > 1, me);
    V(access("/proc/1/status", R_OK));
    V(access("/proc/999999", F_OK));
    V(open("/proc/self/nosuch", O_RDONLY));
    V(mkdir("/proc/x", 0700));
    V(unlink("/proc/uptime"));
    V(open("/proc/newfile", O_CREAT | O_RDWR, 0600));
    slurp("/proc/self/maps");
    say("maps heap %d stack %d vdso %d exe %d", strstr(buf, "[heap]") != 0, strstr(buf, "[stack]") != 0,
        strstr(buf, "[vdso]") != 0, strstr(buf, "/proc") != 0 || strstr(buf, "proc\n") != 0);
    int okl = 1;
    for (char *q = strtok(buf, "\n"); q; q = strtok(0, "\n")) {
        unsigned long s, en, o, in;
        char pr[8];
        unsigned ma, mi;
        okl &= sscanf(q, "%lx-%lx %4s %lx %x:%x %lu", &s, &en, pr, &o, &ma, &mi, &in) == 7 && s < en;
    }
    say("maps parse %d", okl);
    slurp("/proc/self/mounts");
    say("mounts root %d proc %d", strstr(buf, " / ") != 0, strstr(buf, " /proc proc ") != 0);
    slurp("/proc/mounts");
    slurp("/proc/self/mountinfo");
    say("mountinfo %d", strstr(buf, " - ") != 0);
    int mem = open("/proc/self/mem", O_RDWR);
    volatile long v = 77;
    long got = 0;
    V(pread(mem, &got, 8, (long)&v));
    V(got);
    got = 78;
    V(pwrite(mem, &got, 8, (long)&v));
    V(v);
    V(pread(mem, &got, 8, 8));
    slurp("/proc/self/auxv");
    say("auxv %d", *(long *)buf > 0);
    const char *sys[] = {"kernel/ostype",
                         "kernel/osrelease",
                         "kernel/hostname",
                         "kernel/pid_max",
                         "kernel/threads-max",
                         "kernel/random/uuid",
                         "kernel/random/boot_id",
                         "kernel/random/entropy_avail",
                         "kernel/cap_last_cap",
                         "kernel/ngroups_max",
                         "kernel/overflowuid",
                         "fs/file-max",
                         "fs/nr_open",
                         "fs/pipe-max-size",
                         "fs/file-nr",
                         "vm/overcommit_memory",
                         "vm/max_map_count",
                         "vm/swappiness",
                         "kernel/core_pattern",
                         "kernel/randomize_va_space",
                         "kernel/yama",
                         0};
    for (const char **q = sys; *q && strcmp(*q, "kernel/yama"); q++) {
        char pa[100];
        sprintf(pa, "/proc/sys/%s", *q);
        n = slurp(pa);
        say("%s ends with newline %d", pa, n > 0 && buf[n - 1] == '\n');
    }
    slurp("/proc/sys/kernel/ostype");
    say("ostype %.*s", (int)strcspn(buf, "\n"), buf);
    slurp("/proc/sys/kernel/cap_last_cap");
    say("caps %d", atoi(buf) >= 40);
    V(open("/proc/sys/kernel/nosuch", O_RDONLY));
    const char *others[] = {"/sys/devices/system/cpu/online",
                            "/sys/devices/system/cpu/possible",
                            "/proc/devices",
                            "/proc/diskstats",
                            "/proc/partitions",
                            "/proc/swaps",
                            "/proc/cmdline",
                            "/proc/interrupts",
                            "/proc/self/net/unix",
                            "/proc/modules",
                            0};
    for (const char **q = others; *q; q++)
        V(access(*q, R_OK) == 0 || !strcmp(*q, "/proc/modules") || errno == ENOENT);
    /* A child as seen from its parent. */
    pid_t ch = fork();
    if (!ch) {
        for (;;) pause();
    }
    wait_state(ch, 'S');
    sprintf(t, "/proc/%d/status", ch);
    slurp(t);
    say("child state %d ppid %d", strstr(buf, "State:\tS (sleeping)") != 0,
        atoi(strstr(buf, "PPid:") + 5) == getpid());
    kill(ch, SIGKILL);
    wait_state(ch, 'Z');
    say("zombie %c", state_of(ch));
    sprintf(t, "/proc/%d/cmdline", ch);
    say("zombie cmdline %ld", slurp(t));
    sprintf(t, "/proc/%d/exe", ch);
    V(readlink(t, l, 100));
    sprintf(t, "/proc/%d", ch);
    int pd = open(t, O_RDONLY);
    waitpid(ch, 0, 0);
    V(openat(pd, "status", O_RDONLY));
    V(access(t, F_OK));
    const char *dev[] = {"/dev/null",    "/dev/zero", "/dev/full", "/dev/random",
                         "/dev/urandom", "/dev/tty",  "/dev/ptmx", 0};
    for (const char **q = dev; *q; q++) {
        stat(*q, &st);
        say("%s %o %lx", *q, st.st_mode & S_IFMT, (long)st.st_rdev);
    }
    d = open("/dev/full", O_RDWR);
    V(write(d, "x", 1));
    V(read(d, buf, 3));
    d = open("/dev/null", O_RDWR);
    V(read(d, buf, 3));
    V(write(d, buf, 100));
    V(open("/dev/tty", O_RDWR));
    unsigned char r1[16], r2[16];
    V(syscall(SYS_getrandom, r1, 16, 0));
    V(syscall(SYS_getrandom, r2, 16, 1));
    say("random differs %d", memcmp(r1, r2, 16) != 0);
    V(syscall(SYS_getrandom, r1, 16, 0x100));
    V(syscall(SYS_getrandom, (void *)8, 16, 0));
    return 0;
}
