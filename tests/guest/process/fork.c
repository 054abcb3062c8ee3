/* fork, vfork, clone flags: what is shared and what is copied. */
#include "t.h"
#include <linux/sched.h>

static int global = 1;

static int thread_like(void *arg)
{
    global = 7;
    close(*(int *)arg);
    chdir("/");
    umask(0);
    return 5;
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    IN_CHILD("plain fork", global = 2);
    V(global);

    pid_t p = vfork();
    if (p == 0) {
        global = 3;
        _exit(4);
    }
    int st;
    MUST(waitpid(p, &st, 0));
    say("vfork: %s, global %d", status_words(st), global);

    /* File offsets are shared, descriptor tables are not. */
    int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
    MUST(write(fd, "abcdef", 6));
    lseek(fd, 0, SEEK_SET);
    IN_CHILD("child reads two", {
        char b[2];
        read(fd, b, 2);
        close(fd);
    });
    V(lseek(fd, 0, SEEK_CUR));

    /* CLONE_VM | CLONE_FILES | CLONE_FS: all three shared. */
    char *stack = MUST(mmap(0, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    umask(022);
    p = clone(thread_like, stack + 65536, CLONE_VM | CLONE_FILES | CLONE_FS | SIGCHLD, &fd);
    MUST(waitpid(p, &st, 0));
    say("shared clone: %s, global %d", status_words(st), global);
    V(fcntl(fd, F_GETFD));
    char cwd[256];
    say("cwd: %s", getcwd(cwd, sizeof cwd));
    say("umask: %o", umask(022));

    /* None shared. */
    global = 1;
    fd = MUST(open("/dev/null", O_RDWR));
    chdir("/usr");
    p = clone(thread_like, stack + 65536, SIGCHLD, &fd);
    MUST(waitpid(p, &st, 0));
    say("copied clone: %s, global %d", status_words(st), global);
    V(fcntl(fd, F_GETFD));
    say("cwd: %s", getcwd(cwd, sizeof cwd));

    /* A child without SIGCHLD is only seen with __WALL or __WCLONE. */
    p = clone(thread_like, stack + 65536, 0, &fd);
    V(waitpid(p, &st, 0));
    say("wclone: %d", waitpid(p, &st, __WCLONE) == p);
    say("status: %s", status_words(st));

    /* Flag combinations that are refused. */
    V(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0));
    V(syscall(SYS_clone, CLONE_THREAD | SIGCHLD, 0, 0, 0, 0));
    V(syscall(SYS_clone, CLONE_NEWNS | CLONE_FS | SIGCHLD, 0, 0, 0, 0));
    V(syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0));

    struct clone_args a = {.flags = 0, .exit_signal = SIGCHLD};
    p = syscall(SYS_clone3, &a, sizeof a);
    if (p == 0) _exit(9);
    MUST(waitpid(p, &st, 0));
    say("clone3: %s", status_words(st));
    V(syscall(SYS_clone3, &a, 8));
    V(syscall(SYS_clone3, &a, 100000));
    V(syscall(SYS_clone3, (void *)8, sizeof a));
    a.exit_signal = 200;
    V(syscall(SYS_clone3, &a, sizeof a));
    a.exit_signal = SIGCHLD;
    a.flags = CLONE_DETACHED;
    V(syscall(SYS_clone3, &a, sizeof a));
    a.flags = 0;
    a.stack = 4096;
    V(syscall(SYS_clone3, &a, sizeof a));
    struct {
        struct clone_args a;
        char more[16];
    } big = {.a = {.exit_signal = SIGCHLD}};
    big.more[3] = 1;
    V(syscall(SYS_clone3, &big, sizeof big));

    /* CHILD_SETTID, PARENT_SETTID, CHILD_CLEARTID. */
    pid_t *tids = MUST(mmap(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    p = syscall(SYS_clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, 0, &tids[0], &tids[1], 0);
    if (p == 0) {
        tids[2] = tids[1] == getpid();
        _exit(0);
    }
    MUST(waitpid(p, &st, 0));
    say("parent_settid: %d child_settid: %d", tids[0] == p, tids[2]);

    /* SIGCHLD ignored: children vanish. */
    signal(SIGCHLD, SIG_IGN);
    p = fork();
    if (p == 0) _exit(0);
    V(waitpid(p, &st, 0));
    signal(SIGCHLD, SIG_DFL);
    return 0;
}
