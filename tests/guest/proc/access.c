/* Who may open, read and follow the files of /proc/<pid>, and what a zombie, a process that isn't dumpable, a program with
 * more rights and an unreadable one show.
 * needs: root
 * timeout: 60 */
#include "t.h"
#include <dirent.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

static const char *files[] = {
    "auxv",    "clear_refs",    "cmdline", "comm",       "coredump_filter", "cwd",         "environ",
    "exe",     "fd",            "fd/0",    "fdinfo",     "fdinfo/0",        "gid_map",     "io",
    "limits",  "loginuid",      "map_files", "maps",     "mem",             "mountinfo",   "mounts",
    "mountstats", "ns",         "ns/mnt",  "oom_adj",    "oom_score",       "oom_score_adj", "pagemap",
    "personality", "projid_map", "root",   "sched",      "schedstat",       "sessionid",   "setgroups",
    "smaps",   "smaps_rollup",  "stack",   "stat",       "statm",           "status",      "syscall",
    "task",    "timers",        "timerslack_ns", "uid_map", "wchan"};
enum { FILES = sizeof files / sizeof *files };

static void become(int uid)
{
    MUST(setresgid(uid, uid, uid));
    MUST(setresuid(uid, uid, uid));
}

/* How an open file reads: nothing, something, or the error. */
static const char *reads(int fd)
{
    static char text[1 << 16];
    ssize_t n = read(fd, text, sizeof text);
    return n < 0 ? errname(errno) : n ? "text" : "empty";
}

static const char *lists(int fd)
{
    DIR *dir = fdopendir(dup(fd));
    struct dirent *e;
    int n = 0;
    if (!dir) return errname(errno);
    errno = 0;
    while ((e = readdir(dir))) n += e->d_name[0] != '.';
    const char *r = n ? "names" : errno ? errname(errno) : "none";
    closedir(dir);
    return r;
}

static void look(const char *who, const char *what, pid_t pid)
{
    char path[100], link[4096], out[300];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d", pid);
    if (!stat(path, &st)) say("%s %s itself: %o %d", who, what, st.st_mode, st.st_uid);
    for (int i = 0; i < FILES; i++) {
        int n = 0, fd;
        snprintf(path, sizeof path, "/proc/%d/%s", pid, files[i]);
        if (lstat(path, &st)) {
            say("%s %s %s: %s", who, what, files[i], errname(errno));
            continue;
        }
        n += snprintf(out + n, sizeof out - n, "%o %d", st.st_mode, st.st_uid);
        if (S_ISLNK(st.st_mode)) {
            n += snprintf(out + n, sizeof out - n, " link %s",
                          readlink(path, link, sizeof link) < 0 ? errname(errno) : "ok");
            n += snprintf(out + n, sizeof out - n, " follow %s", stat(path, &st) ? errname(errno) : "ok");
        } else {
            fd = open(path, O_RDONLY | O_CLOEXEC);
            n += snprintf(out + n, sizeof out - n, " open %s", fd < 0 ? errname(errno) : "ok");
            /* The first page of memory isn't mapped. */
            if (fd >= 0) n += snprintf(out + n, sizeof out - n, " %s", S_ISDIR(st.st_mode) ? lists(fd) : reads(fd));
            close(fd);
            if (st.st_mode & 0222) {
                fd = open(path, O_WRONLY | O_CLOEXEC);
                n += snprintf(out + n, sizeof out - n, " write %s", fd < 0 ? errname(errno) : "ok");
                close(fd);
            }
        }
        say("%s %s %s: %s", who, what, files[i], out);
    }
}

static void look_as(const char *who, int uid, const char *what, pid_t pid)
{
    pid_t c = fork();
    if (!c) {
        if (uid) become(uid);
        look(who, what, pid);
        _exit(0);
    }
    waitpid(c, NULL, 0);
}

static void everyone(const char *what, pid_t pid)
{
    look_as("root", 0, what, pid);
    look_as("owner", 1000, what, pid);
    look_as("other", 1001, what, pid);
}

static int ready[2];

/* A child with user 1000 that runs `f` and sleeps. */
static pid_t target(void (*f)(void))
{
    char c;
    MUST(pipe(ready));
    pid_t pid = fork();
    if (!pid) {
        become(1000);
        f();
        write(ready[1], "x", 1);
        for (;;) pause();
    }
    close(ready[1]);
    read(ready[0], &c, 1);
    close(ready[0]);
    wait_state(pid, 'S');
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void changed(void) {}
static void dumpable(void) { MUST(prctl(PR_SET_DUMPABLE, 1)); }
static void undumpable(void)
{
    dumpable();
    MUST(prctl(PR_SET_DUMPABLE, 0));
}

static void runs(const char *program)
{
    char fd[12];
    snprintf(fd, sizeof fd, "%d", ready[1]);
    execl(program, program, "sleep", fd, NULL);
    say("%s: %s", program, errname(errno));
}
static void runs_setuid(void) { runs("./suid"); }
static void runs_unreadable(void) { runs("./unreadable"); }
static void runs_plain(void) { runs("./plain"); }

static void copy(const char *to, int mode)
{
    static char buf[1 << 16];
    int in = MUST(open("/proc/self/exe", O_RDONLY)), out = MUST(open(to, O_CREAT | O_WRONLY | O_TRUNC, 0700));
    ssize_t n;
    while ((n = read(in, buf, sizeof buf)) > 0) MUST(write(out, buf, n));
    close(in);
    close(out);
    MUST(chmod(to, mode));
}

static void *sleeper(void *arg)
{
    for (;;) pause();
}
static void *leaver(void *arg)
{
    syscall(SYS_exit, 0);
    return NULL;
}

/* Files that were open before the process ran another program, ended, was waited for. */
static void keep(void)
{
    static const char *kept[] = {"auxv", "environ",      "maps", "smaps",  "smaps_rollup", "io",     "stack", "syscall", "personality",
                                 "stat", "status", "cmdline",      "wchan", "statm", "limits", "mountinfo", "comm"};
    enum { KEPT = sizeof kept / sizeof *kept };
    int fds[KEPT], mem, dir, fd;
    char path[100], c, link[100];
    int go[2], up[2];
    MUST(pipe(go));
    MUST(pipe(up));
    pid_t pid = fork();
    if (!pid) {
        char text[12];
        read(go[0], &c, 1);
        snprintf(text, sizeof text, "%d", up[1]);
        execl("./plain", "plain", "sleep", text, NULL);
        _exit(1);
    }
    for (int i = 0; i < KEPT; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", pid, kept[i]);
        fds[i] = open(path, O_RDONLY | O_CLOEXEC);
    }
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    mem = MUST(open(path, O_RDWR | O_CLOEXEC));
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    fd = MUST(open(path, O_RDONLY | O_CLOEXEC));
    snprintf(path, sizeof path, "/proc/%d", pid);
    dir = MUST(open(path, O_RDONLY | O_CLOEXEC));
    for (int round = 0; round < 4; round++) {
        static const char *when[] = {"before", "after exec", "zombie", "gone"};
        for (int i = 0; i < KEPT; i++) {
            if (lseek(fds[i], 0, SEEK_SET)) say("lseek %s: %s", kept[i], errname(errno));
            if (strcmp(kept[i], "stack")) say("%s %s: %s", when[round], kept[i], reads(fds[i]));
        }
        static char there[8];
        ssize_t n = pread(mem, there, 8, (off_t)&go);
        say("%s mem: %s", when[round], n < 0 ? errname(errno) : n ? "text" : "empty");
        n = pwrite(mem, there, 8, (off_t)there);
        say("%s mem written: %s", when[round], n < 0 ? errname(errno) : n ? "some" : "none");
        lseek(fd, 0, SEEK_SET);
        say("%s fd: %s", when[round], lists(fd));
        say("%s exe: %s", when[round], readlinkat(dir, "exe", link, 100) < 0 ? errname(errno) : "ok");
        say("%s cwd: %s", when[round], readlinkat(dir, "cwd", link, 100) < 0 ? errname(errno) : "ok");
        say("%s fd/0: %s", when[round], readlinkat(dir, "fd/0", link, 100) < 0 ? errname(errno) : "ok");
        say("%s listed: %s", when[round], lists(dir));
        lseek(dir, 0, SEEK_SET);
        if (round == 0) {
            write(go[1], "x", 1);
            read(up[0], &c, 1);
            wait_state(pid, 'S');
        } else if (round == 1) {
            kill(pid, SIGKILL);
            wait_state(pid, 'Z');
        } else if (round == 2) {
            waitpid(pid, NULL, 0);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        write(atoi(argv[2]), "x", 1);
        close(atoi(argv[2]));
        for (;;) pause();
    }
    MUST(chmod(".", 0777));
    copy("plain", 0755);
    copy("suid", 04755);
    copy("unreadable", 0711);
    pid_t p = target(dumpable);
    everyone("dumpable", p);
    kill(p, SIGKILL);
    wait_state(p, 'Z');
    everyone("zombie", p);
    end(p);
    p = target(changed);
    everyone("changed", p);
    end(p);
    p = target(undumpable);
    everyone("undumpable", p);
    kill(p, SIGKILL);
    wait_state(p, 'Z');
    everyone("undumpable zombie", p);
    end(p);
    p = target(runs_plain);
    everyone("program", p);
    end(p);
    p = target(runs_setuid);
    everyone("setuid", p);
    end(p);
    p = target(runs_unreadable);
    everyone("unreadable", p);
    end(p);

    /* The rights that count: those of the file system's user here, the capabilities too. */
    p = target(dumpable);
    char path[100], link[100];
    snprintf(path, sizeof path, "/proc/%d/cwd", p);
    for (int fs = 0; fs < 2; fs++) {
        int real = fs ? 1001 : 1000, own = fs ? 1000 : 1001;
        pid_t c = fork();
        if (!c) {
            char word[8];
            struct iovec here = {word, 8}, there = {main, 8};
            struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3};
            struct __user_cap_data_struct none[2] = {0};
            int pidfd = MUST(syscall(SYS_pidfd_open, p, 0));
            MUST(setresgid(real, 0, 0));
            MUST(setresuid(real, 0, 0));
            setfsgid(own);
            setfsuid(own);
            MUST(syscall(SYS_capset, &head, none));
            say("%s alone", fs ? "the file system's user" : "the real user");
            V(readlink(path, link, sizeof link) > 0);
            V(process_vm_readv(p, &here, 1, &there, 1, 0));
            V(syscall(SYS_process_madvise, pidfd, &there, 1, MADV_COLD, 0));
            V(syscall(SYS_process_madvise, pidfd, &there, 1, MADV_DONTNEED, 0));
            V(syscall(SYS_get_robust_list, p, word, word));
            V(syscall(SYS_pidfd_getfd, pidfd, 0, 0) >= 0);
            _exit(0);
        }
        waitpid(c, NULL, 0);
    }
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/fd", p);
    V(stat(path, &st));
    V(st.st_size);
    end(p);

    /* The main thread has ended, another lives. */
    pid_t live = fork();
    if (!live) {
        pthread_t t;
        pthread_create(&t, NULL, sleeper, NULL);
        leaver(NULL);
    }
    wait_state(live, 'Z');
    look("root", "threads", live);
    end(live);
    keep();

    /* What may be written. */
    static const char *texts[][2] = {{"uid_map", "0 0 1"},     {"gid_map", "junk"},   {"setgroups", "allow"},
                                     {"setgroups", "deny"},    {"setgroups", "junk"}, {"setgroups", "allow   "},
                                     {"setgroups", "allow \n"}, {"clear_refs", "1"},   {"clear_refs", "4\n"},
                                     {"clear_refs", "5"},      {"clear_refs", "0"},   {"clear_refs", "6"},
                                     {"clear_refs", "x"},      {"sched", "0"},        {"coredump_filter", "0x33"}};
    for (int i = 0; i < sizeof texts / sizeof *texts; i++) {
        snprintf(path, sizeof path, "/proc/self/%s", texts[i][0]);
        int fd = MUST(open(path, O_WRONLY | O_CLOEXEC));
        ssize_t n = write(fd, texts[i][1], strlen(texts[i][1]));
        say("%s <- %.*s: %s", texts[i][0], (int)strcspn(texts[i][1], "\n"), texts[i][1], n < 0 ? errname(errno) : "ok");
        close(fd);
    }
    return 0;
}
