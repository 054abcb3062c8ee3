/* execve: scripts, errors, argv, environment, what survives. */
#include "t.h"
#include <sys/auxv.h>

static void file(const char *name, const char *text, int mode)
{
    unlink(name);
    int fd = MUST(open(name, O_CREAT | O_WRONLY | O_TRUNC, 0700));
    MUST(write(fd, text, strlen(text)));
    fchmod(fd, mode);
    close(fd);
}

static void try(const char *label, const char *path, char **argv, char **envp)
{
    pid_t p = fork();
    if (p == 0) {
        execve(path, argv, envp);
        say("%s: %s", label, errname(errno));
        _exit(111);
    }
    int st;
    waitpid(p, &st, 0);
    say("%s: %s", label, status_words(st));
}

static void aux(const char *name, unsigned long type)
{
    errno = 0;
    unsigned long v = getauxval(type);
    say("auxv %s: %s", name, v ? "there" : errno ? "absent" : "0");
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "show")) {
        for (int i = 0; i < argc; i++) say("  argv[%d]: %s", i, argv[i]);
        extern char **environ;
        for (char **e = environ; *e; e++) say("  env: %s", *e);
        sigset_t m, pend;
        sigprocmask(0, NULL, &m);
        sigpending(&pend);
        struct sigaction a, b;
        sigaction(SIGUSR1, NULL, &a);
        sigaction(SIGUSR2, NULL, &b);
        say("  masked TERM %d, pending TERM %d, USR1 %s, USR2 %s", sigismember(&m, SIGTERM),
            sigismember(&pend, SIGTERM), a.sa_handler == SIG_DFL ? "default" : "other",
            b.sa_handler == SIG_IGN ? "ignored" : "other");
        V(fcntl(20, F_GETFD));
        V(fcntl(21, F_GETFD));
        say("  umask %o", umask(0));
        return 42;
    }
    if (argc > 1 && !strcmp(argv[1], "aux")) {
        aux("AT_PHDR", AT_PHDR);
        aux("AT_ENTRY", AT_ENTRY);
        aux("AT_RANDOM", AT_RANDOM);
        aux("AT_EXECFN", AT_EXECFN);
        aux("AT_PLATFORM", AT_PLATFORM);
        aux("AT_HWCAP", AT_HWCAP);
        aux("AT_SYSINFO_EHDR", AT_SYSINFO_EHDR);
        aux("AT_MINSIGSTKSZ", AT_MINSIGSTKSZ);
        say("AT_PAGESZ %lu AT_CLKTCK %lu AT_PHENT %lu AT_SECURE %lu AT_FLAGS %lu", getauxval(AT_PAGESZ),
            getauxval(AT_CLKTCK), getauxval(AT_PHENT), getauxval(AT_SECURE), getauxval(AT_FLAGS));
        say("platform %s execfn %s", (char *)getauxval(AT_PLATFORM),
            strrchr((char *)getauxval(AT_EXECFN), '/') ? "path" : "bare");
        say("uids match %d", getauxval(AT_UID) == getuid() && getauxval(AT_EGID) == getegid());
        return 0;
    }
    char self[512];
    ssize_t n = MUST(readlink("/proc/self/exe", self, sizeof self - 1));
    self[n] = 0;
    char *env[] = {"A=1", "B=", "=odd", "noequals", NULL};
    char *show_argv[] = {"any name", "show", "", "x y", NULL};

    signal(SIGUSR1, (void (*)(int))main);
    signal(SIGUSR2, SIG_IGN);
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGTERM);
    sigprocmask(SIG_BLOCK, &s, NULL);
    dup2(0, 20);
    dup3(0, 21, O_CLOEXEC);
    umask(027);
    pid_t p = fork();
    if (p == 0) {
        raise(SIGTERM);
        execve(self, show_argv, env);
        _exit(1);
    }
    int st;
    waitpid(p, &st, 0);
    say("show: %s", status_words(st));
    sigprocmask(SIG_UNBLOCK, &s, NULL);
    umask(022);
    try("aux", self, (char *[]){"x", "aux", NULL}, env);
    try("empty environment", self, (char *[]){"x", "show", NULL}, NULL);

    char script[700];
    snprintf(script, sizeof script, "#!%s show\n", self);
    symlink(self, "prog");
    file("s1", "#!/bin/echo one two  three \nignored\n", 0755);
    try("script", "./s1", (char *[]){"argv0", "a", "b", NULL}, env);
    file("s2", "#!./s1\n", 0755);
    try("nested script", "./s2", (char *[]){"argv0", "a", NULL}, env);
    file("s3", "#! \t /bin/echo\n", 0755);
    try("blank before", "./s3", (char *[]){"argv0", NULL}, env);
    file("s4", "#!\n", 0755);
    try("no interpreter", "./s4", (char *[]){"x", NULL}, env);
    file("s5", "#!/no/such/interpreter\n", 0755);
    try("missing interpreter", "./s5", (char *[]){"x", NULL}, env);
    file("s6", "#!./s6\n", 0755);
    try("script loop", "./s6", (char *[]){"x", NULL}, env);
    file("s7", "#!/tmp\n", 0755);
    try("directory interpreter", "./s7", (char *[]){"x", NULL}, env);
    file("s8", "#!/bin/echo", 0755);
    try("no newline", "./s8", (char *[]){"x", NULL}, env);
    char longname[400];
    memset(longname, 'a', sizeof longname);
    longname[0] = '#';
    longname[1] = '!';
    longname[2] = '/';
    longname[399] = 0;
    file("s9", longname, 0755);
    try("interpreter name cut", "./s9", (char *[]){"x", NULL}, env);
    file("e1", "just text\n", 0755);
    try("text", "./e1", (char *[]){"x", NULL}, env);
    file("e2", "", 0755);
    try("empty", "./e2", (char *[]){"x", NULL}, env);
    file("e3", "\177ELF", 0755);
    try("short ELF", "./e3", (char *[]){"x", NULL}, env);
    file("e4", "#!/bin/true\n", 0644);
    try("no x bit", "./e4", (char *[]){"x", NULL}, env);
    try("directory", "/tmp", (char *[]){"x", NULL}, env);
    try("missing", "./none", (char *[]){"x", NULL}, env);
    try("empty path", "", (char *[]){"x", NULL}, env);
    try("through file", "./e1/x", (char *[]){"x", NULL}, env);
    symlink("loop", "loop");
    try("loop", "./loop", (char *[]){"x", NULL}, env);
    try("bad path", (char *)8, (char *[]){"x", NULL}, env);
    try("bad argv", self, (char **)8, env);
    try("bad string", self, (char *[]){"x", (char *)8, NULL}, env);
    try("device", "/dev/null", (char *[]){"x", NULL}, env);

    /* E2BIG: one string over 128 KiB; all strings over a quarter of the stack. */
    char *big = malloc(200000);
    memset(big, 'a', 199999);
    big[199999] = 0;
    try("one long string", "/bin/true", (char *[]){"x", big, NULL}, env);
    big[131071] = 0;
    try("longest string", "/bin/true", (char *[]){"x", big, NULL}, env);
    char *many[200];
    for (int i = 0; i < 199; i++) many[i] = big;
    many[199] = NULL;
    try("too many strings", "/bin/true", many, env);
    struct rlimit rl = {1 << 20, RLIM_INFINITY};
    setrlimit(RLIMIT_STACK, &rl);
    many[5] = NULL;
    try("small stack", "/bin/true", many, env);

    /* Writing to a running program, running a file open for writing. */
    int fd = open(self, O_WRONLY);
    if (fd < 0) say("open running for write: %s", errname(errno));
    file("copy", "#!/bin/true\n", 0755);
    fd = MUST(open("copy", O_WRONLY));
    try("open for writing", "./copy", (char *[]){"x", NULL}, env);
    close(fd);

    /* execveat. */
    fd = MUST(open("/bin/true", O_RDONLY | O_CLOEXEC));
    p = fork();
    if (p == 0) {
        syscall(SYS_execveat, fd, "", (char *[]){"x", NULL}, env, AT_EMPTY_PATH);
        _exit(77);
    }
    waitpid(p, &st, 0);
    say("execveat fd: %s", status_words(st));
    V(syscall(SYS_execveat, fd, "", show_argv, env, 0));
    V(syscall(SYS_execveat, 999, "x", show_argv, env, 0));
    V(syscall(SYS_execveat, AT_FDCWD, "prog", show_argv, env, AT_SYMLINK_NOFOLLOW));
    V(syscall(SYS_execveat, AT_FDCWD, "prog", show_argv, env, 0x10));
    int sfd = MUST(open("s1", O_RDONLY | O_CLOEXEC));
    V(syscall(SYS_execveat, sfd, "", show_argv, env, AT_EMPTY_PATH));
    return 0;
}
