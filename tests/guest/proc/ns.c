/* Mount namespaces as files: their names, unshare, setns.
 * needs: root
 */
#include "t.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
static void link_of(const char *what, const char *path)
{
    char text[64] = "";
    if (readlink(path, text, 63) < 0) say("%s: %s", what, errname(errno));
    else say("%s: %.*s", what, (int)strcspn(text, "["), text);
}
static int same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}
int main(void)
{
    link_of("self", "/proc/self/ns/mnt");
    link_of("thread", "/proc/thread-self/ns/mnt");
    link_of("none", "/proc/self/ns/nothing");
    int first = MUST(open("/proc/self/ns/mnt", O_RDONLY));
    V(open("/proc/self/ns/mnt", O_WRONLY));
    V(setns(first, CLONE_NEWUTS));
    int plain = MUST(open("/proc/self/stat", O_RDONLY));
    V(setns(plain, 0));
    V(setns(-1, 0));
    say("parent and child: %d", same("/proc/self/ns/mnt", "/proc/self/ns/mnt"));
    IN_CHILD("namespaces", {
        OK(unshare(CLONE_NEWNS));
        char parent[64];
        snprintf(parent, sizeof parent, "/proc/%d/ns/mnt", getppid());
        say("unshared: %d", same("/proc/self/ns/mnt", parent));
        OK(mount("none", "/", 0, MS_REC | MS_PRIVATE, 0));
        OK(mkdir("here", 0700));
        OK(mount("none", "here", "tmpfs", 0, 0));
        OK(close(MUST(open("here/inside", O_CREAT | O_RDWR, 0600))));
        V(access("here/inside", F_OK));
        int second = MUST(open("/proc/self/ns/mnt", O_RDONLY));
        char cwd[4096], path[4200];
        getcwd(cwd, sizeof cwd);
        snprintf(path, sizeof path, "%s/here/inside", cwd);
        OK(setns(first, 0));
        say("back: %d", same("/proc/self/ns/mnt", parent));
        V(access(path, F_OK));
        getcwd(cwd, sizeof cwd);
        say("in %s", cwd);
        OK(setns(second, CLONE_NEWNS));
        V(access(path, F_OK));
        int pidfd = MUST(syscall(SYS_pidfd_open, getppid(), 0));
        V(setns(pidfd, 0));
        OK(setns(pidfd, CLONE_NEWNS));
        say("the parent's: %d", same("/proc/self/ns/mnt", parent));
        OK(setgid(65534));
        OK(setuid(65534));
        V(setns(second, 0));
    });
    return 0;
}
