/* execve: what it keeps and what it resets, from threads, interpreters in a row, descriptors, limits. */
#include "t.h"
#include <sys/prctl.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <linux/futex.h>
static char self[512];
static int report(void)
{
    stack_t o; sigaltstack(0, &o); say("  altstack %x", o.ss_flags);
    sigset_t m, p; sigprocmask(0, 0, &m); sigpending(&p);
    for (int s = 1; s < 65; s++) { struct sigaction a; if (s == 32 || s == 33) continue; if (syscall(SYS_rt_sigaction, s, 0, &a, 8)) continue; if (a.sa_handler != SIG_DFL || sigismember(&m, s)==1 || sigismember(&p, s)==1) say("  sig %d: %s blocked %d pending %d", s, a.sa_handler == SIG_IGN ? "ign" : "dfl", sigismember(&m, s), sigismember(&p, s)); }
    struct itimerval it; getitimer(ITIMER_REAL, &it); say("  itimer real %d", it.it_value.tv_sec > 50);
    getitimer(ITIMER_VIRTUAL, &it); say("  itimer virt %d", it.it_value.tv_sec > 50);
    struct itimerspec ts; say("  timer 0: %s", syscall(SYS_timer_gettime, 0, &ts) ? errname(errno) : "there");
    void *hp = (void*)1; size_t l = 0; syscall(SYS_get_robust_list, 0, &hp, &l); say("  robust %d", hp != 0);
    char name[17] = ""; prctl(PR_GET_NAME, name); say("  name %s", name);
    V(prctl(PR_GET_KEEPCAPS)); V(prctl(PR_GET_DUMPABLE)); V(prctl(PR_GET_NO_NEW_PRIVS, 0,0,0,0)); V(prctl(PR_GET_TIMERSLACK));
    int sig = -1; prctl(PR_GET_PDEATHSIG, &sig); say("  pdeath %d", sig);
    int sub = -1; prctl(PR_GET_CHILD_SUBREAPER, &sub); say("  subreaper %d", sub);
    V(getpriority(PRIO_PROCESS, 0)); V(sched_getscheduler(0));
    cpu_set_t c; sched_getaffinity(0, sizeof c, &c); say("  cpu 0 %d", CPU_ISSET(0, &c));
    V(prctl(PR_GET_SECUREBITS)); V(prctl(PR_GET_THP_DISABLE, 0,0,0,0));
    V(getpgrp() == getpid()); V(getsid(0) == getpid());
    struct rlimit rl; getrlimit(RLIMIT_NOFILE, &rl); say("  nofile as set %d", rl.rlim_cur == 50);
    unsigned long gs = 1; syscall(SYS_arch_prctl, 0x1004, &gs); say("  gs %lx", gs);
    unsigned mx; unsigned short cw; asm volatile("stmxcsr %0; fnstcw %1" : "=m"(mx), "=m"(cw)); say("  mxcsr %x cw %x", mx, cw);
    say("  comm file: %d", prctl(PR_GET_NAME, name));
    V(fcntl(40, F_GETFD)); V(fcntl(41, F_GETFD)); V(fcntl(42, F_GETFD));
    unsigned long v = 0; say("  personality %x", (unsigned)syscall(SYS_personality, 0xffffffff));
    
    FILE *f = fopen("/proc/self/status", "r"); char ln[200]; while (fgets(ln, 200, f)) if (!strncmp(ln, "Threads:", 8) || !strncmp(ln, "Name:", 5)|| !strncmp(ln, "VmLck:", 6)) say("  %s", strtok(ln, "\n"));
    return 33;
}
static void nop(int s) {}
static void *idle(void *x) { for (;;) pause(); }
static void *spin(void *x) { for (;;); }
static void *ex(void *x) { execl(self, "threadexec", "tid", x, NULL); return 0; }
static void try(const char *l, const char *path, char **argv, char **envp)
{
    pid_t p = fork(); int st;
    if (!p) { execve(path, argv, envp); say("%s: %s", l, errname(errno)); _exit(111); }
    waitpid(p, &st, 0); say("%s: %s", l, status_words(st));
}
static void cp(const char *to, int mode) { char c[1200]; sprintf(c, "cp /proc/%d/exe %s; chmod %o %s", getpid(), to, mode, to); system(c); }
int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "report")) return report();
    if (argc > 1 && !strcmp(argv[1], "tid")) { say("  pid same %d tid is pid %d threads %d arg0 %s", atoi(argv[2]) == getpid(), syscall(SYS_gettid) == getpid(), access("/proc/self/task", 0) == 0, argv[0]); return 5; }
    if (argc == 0) { return 60; }
    if (argc > 1 && !strncmp(argv[1], "args", 4)) { say("argc %d [%s]", argc, argv[0]); for (int i = 1; i < argc; i++) say("  %s", argv[i]); return 0; }
    if (argv[0][0] == 0) return 61;
    self[readlink("/proc/self/exe", self, 511)] = 0;
    int st; pid_t p = fork();
    if (!p) {
        setpgid(0, 0);
        static char alt[65536]; stack_t ss = {alt, 0, sizeof alt}; sigaltstack(&ss, 0);
        signal(SIGUSR1, nop); signal(SIGUSR2, SIG_IGN); signal(SIGRTMIN, SIG_IGN); signal(SIGCHLD, SIG_IGN);
        sigset_t s; sigemptyset(&s); sigaddset(&s, SIGTERM); sigaddset(&s, SIGRTMIN + 1); sigprocmask(SIG_BLOCK, &s, 0);
        raise(SIGTERM); raise(SIGRTMIN + 1); kill(getpid(), SIGTERM);
        struct itimerval it = {{0}, {100, 0}}; setitimer(ITIMER_REAL, &it, 0); setitimer(ITIMER_VIRTUAL, &it, 0);
        timer_t t; timer_create(CLOCK_MONOTONIC, 0, &t);
        prctl(PR_SET_NAME, "othername"); prctl(PR_SET_KEEPCAPS, 1); prctl(PR_SET_DUMPABLE, 0); prctl(PR_SET_TIMERSLACK, 77777); prctl(PR_SET_PDEATHSIG, SIGUSR1); prctl(PR_SET_CHILD_SUBREAPER, 1);
        setpriority(PRIO_PROCESS, 0, 5); cpu_set_t c; CPU_ZERO(&c); CPU_SET(0, &c); sched_setaffinity(0, sizeof c, &c);
        struct sched_param sp = {0}; sched_setscheduler(0, SCHED_BATCH, &sp);
        prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); prctl(PR_MCE_KILL,1,1,0,0);
        struct rlimit rl = {50, 60}; setrlimit(RLIMIT_NOFILE, &rl);
        syscall(SYS_arch_prctl, 0x1001, 0x12345000);
        unsigned mx = 0x9fc0; unsigned short cw = 0xc7f; asm volatile("ldmxcsr %0; fldcw %1" ::"m"(mx), "m"(cw));
        syscall(SYS_personality, 0x0040000 | 0x0020000);
        mlockall(MCL_CURRENT);
        int k = open("/dev/null", O_RDWR); dup2(k, 40); dup3(k, 41, O_CLOEXEC); dup3(k, 42, O_CLOEXEC); fcntl(42, F_SETFD, 0);
        execl(self, "x", "report", NULL);
    }
    waitpid(p, &st, 0); say("report: %s", status_words(st));
    char pid[20];
    p = fork();
    if (!p) { sprintf(pid, "%d", getpid()); pthread_t t; for (int i = 0; i < 3; i++) pthread_create(&t, 0, idle, 0); pthread_create(&t, 0, spin, 0); pthread_create(&t, 0, ex, pid); pause(); }
    waitpid(p, &st, 0); say("thread exec: %s", status_words(st));
    p = fork();
    if (!p) { sprintf(pid, "%d", getpid()); pthread_t t; pthread_create(&t, 0, ex, pid); syscall(SYS_exit, 7); }
    waitpid(p, &st, 0); say("thread exec, leader gone: %s", status_words(st));
    p = fork();
    if (!p) { sprintf(pid, "%d", getpid()); pthread_t t; for (int i = 0; i < 4; i++) pthread_create(&t, 0, ex, pid); ex(pid); }
    waitpid(p, &st, 0); say("all exec: %s", status_words(st));
    p = vfork(); if (!p) { execl(self, "v", "args", "1", NULL); _exit(1); } waitpid(p, &st, 0); say("vfork exec %s", status_words(st));
    p = vfork(); if (!p) { execl("/nope", "v", NULL); _exit(errno == ENOENT ? 9 : 1); } waitpid(p, &st, 0); say("vfork exec fail %s", status_words(st));
    try("argv NULL", self, NULL, NULL);
    try("argv empty", self, (char *[]){NULL}, NULL);
    try("argv empty to script", "/usr/bin/ldd", (char *[]){NULL}, NULL);
    /* interpreters */
    FILE *f; int fd;
    #define FILE_(n, mode, ...) f = fopen(n, "w"); fprintf(f, __VA_ARGS__); fclose(f); chmod(n, mode)
    FILE_("i1", 0755, "#!%s args  a b  \t \n", self); try("args one string", "./i1", (char *[]){"zero", "one", NULL}, NULL);
    FILE_("i2", 0755, "#!%s args\r\n", self); try("cr", "./i2", (char *[]){"zero", NULL}, NULL);
    FILE_("i3", 0755, "#! %s\targs\n", self); try("tabs", "./i3", (char *[]){"zero", NULL}, NULL);
    FILE_("i4", 0755, "#!"); try("only #!", "./i4", (char *[]){"zero", NULL}, NULL);
    FILE_("i5", 0755, "#!   \n"); try("blank", "./i5", (char *[]){"zero", NULL}, NULL);
    FILE_("i6", 0755, "#!i1\n"); try("relative interp", "./i6", (char *[]){"zero", NULL}, NULL);
    FILE_("n1", 0755, "#!./n0\n"); FILE_("n0", 0755, "#!%s args\n", self);
    for (int i = 2; i < 8; i++) { char n[10]; sprintf(n, "n%d", i); FILE_(n, 0755, "#!./n%d\n", i - 1); char l[20]; sprintf(l, "depth %d", i); char w[10]; sprintf(w, "./n%d", i); try(l, w, (char *[]){"zero", NULL}, NULL); }
    FILE_("i7", 0755, "#!./i8\n"); FILE_("i8", 0644, "#!%s\n", self); try("interp no x", "./i7", (char *[]){"zero", NULL}, NULL);
    FILE_("i9", 0755, "#!/dev/null\n"); try("interp dev", "./i9", (char *[]){"zero", NULL}, NULL);
    FILE_("ia", 0755, "#!%s args with a very long tail %0200d\n", "/bin/echo", 5); try("long tail", "./ia", (char *[]){"zero", NULL}, NULL);
    FILE_("ib", 0755, "#!%s args with a very long tail %0250d", "/bin/echo", 5); try("longer tail", "./ib", (char *[]){"zero", NULL}, NULL);
    fd = open("ic", O_CREAT | O_WRONLY, 0755); write(fd, "#!/bin/echo x\0y\n", 16); close(fd); try("nul in line", "./ic", (char *[]){"zero", NULL}, NULL);
    fd = open("i1", O_RDONLY); 
    p = fork(); if (!p) { syscall(SYS_execveat, fd, "", (char *[]){"zero", NULL}, NULL, AT_EMPTY_PATH); say("%s", errname(errno)); _exit(1); } waitpid(p, &st, 0); say("script by fd: %s", status_words(st));
    fcntl(fd, F_SETFD, 0); p = fork(); if (!p) { dup2(fd, 30); syscall(SYS_execveat, 30, "", (char *[]){"zero", NULL}, NULL, AT_EMPTY_PATH); say("%s", errname(errno)); _exit(1); } waitpid(p, &st, 0); say("script by fd: %s", status_words(st));
    int dfd = open(".", O_PATH); fcntl(dfd, F_SETFD, 0); p = fork(); if (!p) { dup2(dfd, 31); syscall(SYS_execveat, 31, "i1", (char *[]){"zero", NULL}, NULL, 0); say("%s", errname(errno)); _exit(1); } waitpid(p, &st, 0); say("script by dir fd: %s", status_words(st));
    int ofd = open(self, O_PATH); p = fork(); if (!p) { syscall(SYS_execveat, ofd, "", (char *[]){"zero", "args", NULL}, NULL, AT_EMPTY_PATH); say("%s", errname(errno)); _exit(1); } waitpid(p, &st, 0); say("O_PATH exec: %s", status_words(st));
    p = fork(); if (!p) { prctl(PR_SET_NAME, "q"); syscall(SYS_execveat, ofd, "", (char *[]){"zero", "report", NULL}, NULL, AT_EMPTY_PATH); _exit(1); } waitpid(p, &st, 0); say("O_PATH report: %s", status_words(st));
    V(syscall(SYS_execveat, AT_FDCWD, 8, 0, 0, 0)); V(syscall(SYS_execveat, AT_FDCWD, "", 0, 0, 0)); V(syscall(SYS_execveat, AT_FDCWD, "", 0, 0, AT_EMPTY_PATH)); V(syscall(SYS_execveat, 0, "i1", 0, 0, 0)); V(syscall(SYS_execveat, AT_FDCWD, "i1", 0, 0, 0x10000000));
    /* memfd exec */
    int m = memfd_create("prog", MFD_CLOEXEC); fd = open(self, O_RDONLY); char buf[65536]; ssize_t n; while ((n = read(fd, buf, sizeof buf)) > 0) write(m, buf, n);
    p = fork(); if (!p) { fexecve(m, (char *[]){"zero", "args", NULL}, (char *[]){NULL}); say("%s", errname(errno)); _exit(1); } waitpid(p, &st, 0); say("memfd, open for writing: %s", status_words(st));
    char pth[64]; sprintf(pth, "/proc/self/fd/%d", m); int r = open(pth, O_RDONLY | O_CLOEXEC); close(m);
    p = fork(); if (!p) { fexecve(r, (char *[]){"zero", "args", NULL}, (char *[]){NULL}); say("%s", errname(errno)); _exit(1); } waitpid(p, &st, 0); say("memfd: %s", status_words(st));
    /* text busy */
    cp("busy", 0755); fd = open("busy", O_RDWR); try("ETXTBSY", "./busy", (char *[]){"z", "args", NULL}, NULL); close(fd);
    p = fork(); if (!p) { _exit(0); } 
    waitpid(p, &st, 0);
    int go[2]; pipe(go); p = fork(); if (!p) { dup2(go[0], 0); close(go[1]); execl("/bin/cat", "cat", NULL); } 
    usleep(50000); V(open("/bin/cat", O_WRONLY)); V(truncate("/bin/cat", 0)); close(go[1]); waitpid(p, &st, 0);
    /* stack limits and args */
    try("env only", self, (char *[]){"z", "args", NULL}, (char *[]){"A=B", NULL});
    struct rlimit rl; getrlimit(RLIMIT_STACK, &rl); rl.rlim_cur = 65536; 
    p = fork(); if (!p) { setrlimit(RLIMIT_STACK, &rl); execl(self, "z", "args", NULL); say("%s", errname(errno)); _exit(1); } waitpid(p, &st, 0); say("64K stack: %s", status_words(st));
    rl.rlim_cur = 4096; p = fork(); if (!p) { setrlimit(RLIMIT_STACK, &rl); execl("/bin/true", "z", NULL); say("%s", errname(errno)); _exit(1); } waitpid(p, &st, 0); say("4K stack: %s", status_words(st));
    rl.rlim_cur = rl.rlim_max = 0; p = fork(); if (!p) { setrlimit(RLIMIT_STACK, &rl); execl("/bin/true", "z", NULL); say("%s", errname(errno)); _exit(1); } waitpid(p, &st, 0); say("0 stack: %s", status_words(st));
    struct rlimit as = {1 << 20, 1 << 20}; p = fork(); if (!p) { setrlimit(RLIMIT_AS, &as); execl("/bin/true", "z", NULL); say("%s", errname(errno)); _exit(1); } waitpid(p, &st, 0); say("1M AS: %s", status_words(st));
    as.rlim_cur = as.rlim_max = 100 << 20; p = fork(); if (!p) { setrlimit(RLIMIT_AS, &as); execl("/bin/true", "z", NULL); say("%s", errname(errno)); _exit(1); } waitpid(p, &st, 0); say("100M AS: %s", status_words(st));
    as.rlim_cur = as.rlim_max = 0; p = fork(); if (!p) { setrlimit(RLIMIT_DATA, &as); execl("/bin/true", "z", NULL); say("%s", errname(errno)); _exit(1); } waitpid(p, &st, 0); say("0 DATA: %s", status_words(st));
    return 0;
}
