/* inotify in the corners: flags of watches, cookies, overflow, limits, what ends a watch. */
#include "t.h"
#include <sys/inotify.h>
#include <sys/syscall.h>
static int in;
static void drain(const char *label)
{
    char b[65536];
    long n = read(in, b, sizeof b);
    say("%s:%s", label, n < 0 ? " none" : "");
    unsigned cookie = 0;
    for (long o = 0; n > 0 && o < n;) {
        struct inotify_event *e = (void *)(b + o);
        say("  wd %d mask %x len %u name %s cookie %s", e->wd, e->mask, e->len, e->len ? e->name : "-",
            e->cookie ? e->cookie == cookie ? "same" : "new" : "0");
        if (e->cookie) cookie = e->cookie;
        o += sizeof *e + e->len;
    }
}
static long number(const char *path)
{
    char b[32] = "";
    int f = open(path, O_RDONLY);
    read(f, b, 31);
    close(f);
    return atol(b);
}
int main(void)
{
    in = inotify_init1(IN_NONBLOCK);
    mkdir("a", 0755), mkdir("b", 0755), mkdir("a/d", 0755);
    close(open("a/f", O_CREAT | O_RDWR, 0644));
    symlink("f", "a/l"), symlink("d", "a/ld");
    V(inotify_init1(-1));
    V(inotify_add_watch(-1, "a", IN_CREATE));
    V(inotify_add_watch(in, "", IN_CREATE));
    V(inotify_add_watch(in, (void *)1, IN_CREATE));
    V(inotify_add_watch(in, "a/f/x", IN_CREATE));
    V(inotify_add_watch(in, "a", IN_ONLYDIR));
    V(inotify_add_watch(in, "a", IN_MASK_ADD | IN_MASK_CREATE | IN_CREATE));
    V(inotify_add_watch(in, "a", 0x80000000));
    V(inotify_add_watch(in, "a", IN_ISDIR));
    V(inotify_add_watch(in, "a", IN_UNMOUNT));
    V(inotify_add_watch(in, "a", IN_Q_OVERFLOW));
    V(inotify_add_watch(in, "a", IN_IGNORED));
    V(inotify_add_watch(in, "a", 0x00800000 | IN_CREATE));
    V(inotify_add_watch(in, "a/f", IN_ONLYDIR | IN_CREATE));
    V(inotify_add_watch(in, "a/l", IN_ONLYDIR | IN_CREATE));
    V(inotify_add_watch(in, "a/ld", IN_ONLYDIR | IN_DONT_FOLLOW | IN_CREATE));
    V(inotify_rm_watch(in, 1000));
    V(inotify_rm_watch(in, -1));
    V(inotify_rm_watch(-1, 1));
    V(inotify_rm_watch(0, 1));
    int p = open("a", O_PATH);
    V(inotify_add_watch(p, "a", IN_CREATE));
    V(write(in, "x", 1));
    V(lseek(in, 0, SEEK_CUR));
    V(pread(in, &p, 4, 0));
    V(inotify_add_watch(in, "a/ld", IN_ONLYDIR | IN_ALL_EVENTS));
    close(open("a/d", O_RDONLY));
    drain("through a link");
    V(inotify_add_watch(in, "a/l", IN_DONT_FOLLOW | IN_ALL_EVENTS));
    char text[8];
    readlink("a/l", text, 8);
    close(open("a/l", O_RDONLY));
    drain("the link itself");
    int wa = V(inotify_add_watch(in, "a", IN_MOVED_FROM | IN_MOVED_TO));
    int wb = V(inotify_add_watch(in, "b", IN_MOVED_FROM | IN_MOVED_TO | IN_MOVE_SELF));
    rename("a/f", "b/f"), rename("b/f", "a/f"), rename("a/d", "b/e"), rename("b", "c");
    drain("moves");
    close(open("a/g", O_CREAT | O_RDWR, 0644));
    syscall(SYS_renameat2, AT_FDCWD, "a/f", AT_FDCWD, "a/g", RENAME_EXCHANGE);
    drain("exchange");
    int wf = V(inotify_add_watch(in, "a/f", IN_ALL_EVENTS));
    rename("a/g", "a/f");
    drain("replaced");
    V(inotify_rm_watch(in, wf));
    rename("a/f", "a/f");
    drain("onto itself");
    /* IN_MASK_ADD and plain. */
    V(inotify_add_watch(in, "a", IN_MASK_ADD | IN_CREATE));
    V(inotify_add_watch(in, "a", IN_MASK_CREATE | IN_CREATE));
    close(open("a/1", O_CREAT | O_RDWR, 0644)), rename("a/1", "a/2");
    drain("both");
    V(inotify_add_watch(in, "a", IN_DELETE));
    rename("a/2", "a/3"), unlink("a/3");
    drain("one");
    /* IN_EXCL_UNLINK. */
    V(inotify_add_watch(in, "a", IN_ALL_EVENTS));
    int f = open("a/x", O_CREAT | O_RDWR, 0644);
    unlink("a/x"), write(f, "x", 1), fchmod(f, 0600), close(f);
    drain("unlinked is told");
    V(inotify_add_watch(in, "a", IN_ALL_EVENTS | IN_EXCL_UNLINK));
    f = open("a/x", O_CREAT | O_RDWR, 0644);
    write(f, "x", 1), unlink("a/x"), write(f, "x", 1), fchmod(f, 0600), close(f);
    drain("unlinked is not");
    /* Links. */
    close(open("a/h", O_CREAT | O_RDWR, 0644));
    drain("made");
    int wh = V(inotify_add_watch(in, "a/h", IN_ALL_EVENTS));
    link("a/h", "c/h2");
    drain("linked");
    f = open("c/h2", O_WRONLY);
    write(f, "x", 1), close(f);
    drain("by the other name");
    unlink("a/h");
    drain("one gone");
    unlink("c/h2");
    drain("both gone");
    V(inotify_rm_watch(in, wh));
    /* What else tells. */
    f = open("a/y", O_CREAT | O_RDWR, 0644);
    drain("y");
    int pf[2];
    pipe(pf);
    write(pf[1], "abc", 3), splice(pf[0], 0, f, 0, 3, 0);
    drain("splice to");
    lseek(f, 0, SEEK_SET), splice(f, 0, pf[1], 0, 3, 0);
    drain("splice from");
    ftruncate(f, 10), fallocate(f, 0, 0, 100);
    drain("sizes");
    fchown(f, -1, -1);
    drain("no owner");
    fsync(f), pwrite(f, "", 0, 0), read(f, text, 0), write(f, "", 0);
    drain("nothing written");
    lseek(f, 0, SEEK_END), read(f, text, 1);
    drain("read at the end");
    struct iovec v = {"zz", 2};
    writev(f, &v, 1);
    drain("vectors");
    int y2 = open("a/y", O_RDWR), z = open("c/z", O_CREAT | O_RDWR, 0644);
    drain("opened");
    copy_file_range(y2, 0, z, 0, 2, 0), sendfile(z, y2, 0, 1);
    drain("copied out");
    lseek(z, 0, 0), copy_file_range(z, 0, y2, 0, 2, 0);
    drain("copied in");
    void *m = mmap(0, 4096, PROT_WRITE | PROT_READ, MAP_SHARED, y2, 0);
    *(char *)m = 1, msync(m, 4096, MS_SYNC), munmap(m, 4096);
    drain("mapped");
    close(y2);
    close(f);
    drain("closed");
    close(open("a/y", O_RDONLY | O_TRUNC)), close(open("a/y", O_WRONLY | O_TRUNC));
    drain("truncated by open");
    close(open("a/y", O_PATH));
    int tmp = open("a", O_TMPFILE | O_RDWR, 0600);
    drain("nameless");
    char path[80];
    snprintf(path, 40, "/proc/self/fd/%d", tmp);
    linkat(AT_FDCWD, path, AT_FDCWD, "a/named", AT_SYMLINK_FOLLOW);
    write(tmp, "x", 1), close(tmp);
    drain("named");
    mknod("a/fifo", S_IFIFO | 0600, 0), mkdir("a/dir", 0755), symlink("x", "a/sym"), link("a/y", "a/y3");
    drain("made");
    chmod("a/dir", 0700), rmdir("a/dir"), rename("a/fifo", "a/ff");
    drain("fifo");
    int dd = open("a", O_RDONLY | O_DIRECTORY);
    drain("dir open");
    char recs[4096];
    syscall(SYS_getdents64, dd, recs, 4096);
    drain("dir read"), syscall(SYS_getdents64, dd, recs, 4096);
    drain("dir end");
    close(dd);
    IN_CHILD("exec", { execl("/bin/true", "true", (char *)0); });
    drain("dir closed");
    /* Coalescing, sizes of names. */
    f = open("a/y", O_RDWR);
    write(f, "1", 1), write(f, "1", 1), write(f, "1", 1), lseek(f, 0, 0), read(f, text, 1), read(f, text, 1);
    close(open("a/0123456789abcde", O_CREAT | O_RDWR, 0600)), close(open("a/0123456789abcdef", O_CREAT | O_RDWR, 0600));
    drain("coalesced");
    close(f);
    /* Too small a buffer. */
    drain("rest");
    chmod("a/y", 0600);
    char small[16];
    V(read(in, small, 16));
    V(read(in, small, 0));
    char more[48];
    V(read(in, more, 48));
    V(read(in, (void *)1, 4096));
    drain("after");
    chmod("a/y", 0600);
    V(read(in, (void *)1, 4096));
    drain("after a fault");
    /* The limits. */
    long max = number("/proc/sys/fs/inotify/max_queued_events");
    say("queue %ld", max);
    struct stat st;
    const char *names[] = {"max_queued_events", "max_user_instances", "max_user_watches"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "/proc/sys/fs/inotify/%s", names[i]);
        V(stat(path, &st));
        say("%s mode %o some %d", names[i], st.st_mode, number(path) > 0);
    }
    V(inotify_add_watch(in, "a", IN_ATTRIB));
    close(open("a/z", O_CREAT | O_RDWR, 0644));
    for (long i = 0; i < max / 2 + 5; i++) chmod("a/y", 0600), chmod("a/z", 0600);
    struct pollfd pl = {in, POLLIN | POLLOUT};
    V(poll(&pl, 1, 0)), V(pl.revents);
    int bytes;
    ioctl(in, FIONREAD, &bytes);
    say("bytes %d", bytes);
    long n, events = 0, over = 0;
    char *buf = malloc(1 << 20);
    while ((n = read(in, buf, 1 << 20)) > 0)
        for (long o = 0; o < n;) {
            struct inotify_event *e = (void *)(buf + o);
            events++;
            if (e->mask & IN_Q_OVERFLOW) over++, say("overflow wd %d mask %x len %d at %ld", e->wd, e->mask, e->len, events);
            o += sizeof *e + e->len;
        }
    say("events %ld overflows %ld", events, over);
    /* Descriptors. */
    int again = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    int w1 = V(inotify_add_watch(again, "a", IN_CREATE));
    V(inotify_rm_watch(again, w1));
    V(inotify_add_watch(again, "a", IN_CREATE));
    V(fcntl(again, F_GETFD)), V(fcntl(again, F_GETFL));
    snprintf(path, 40, "/proc/self/fd/%d", again);
    char link_[64] = "";
    readlink(path, link_, 63);
    say("%s", link_);
    snprintf(path, 40, "/proc/self/fdinfo/%d", again);
    FILE *info = fopen(path, "r");
    while (fgets(link_, 64, info))
        if (!strncmp(link_, "inotify", 7)) say("%.12s%s", link_, strstr(link_, "mask:") ? " mask" : "");
    fclose(info);
    V(inotify_add_watch(in, "/proc/self", IN_OPEN) > 0);
    V(inotify_add_watch(in, "/dev/null", IN_OPEN | IN_CLOSE) > 0);
    close(open("/dev/null", O_RDONLY));
    drain("device");
    mkdir("locked", 0700);
    if (geteuid() == 0) IN_CHILD("user", {
        chmod("locked", 0300);
        setgid(65534), setuid(65534);
        V(inotify_add_watch(in, "locked", IN_CREATE));
        V(inotify_add_watch(in, "locked/x", IN_CREATE));
    });
    return 0;
}
