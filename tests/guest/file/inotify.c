/* inotify: which events, names, cookies, order, overflow of masks, removal. */
#include "t.h"
#include <sys/inotify.h>
static int in;
static void drain(const char *label)
{
    char b[8192];
    long n = read(in, b, sizeof b);
    say("%s:%s", label, n < 0 ? " none" : "");
    unsigned cookie = 0;
    for (long o = 0; n > 0 && o < n;) {
        struct inotify_event *e = (void *)(b + o);
        say("  mask %x name %s cookie %s", e->mask, e->len ? e->name : "-",
            e->cookie ? e->cookie == cookie ? "same" : "new" : "0");
        if (e->cookie) cookie = e->cookie;
        o += sizeof *e + e->len;
    }
}
int main(void)
{
    mkdir("d", 0755);
    close(open("f", O_CREAT | O_RDWR, 0600));
    in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    V(inotify_init1(0x1000));
    V(inotify_add_watch(in, "none", IN_ALL_EVENTS));
    V(inotify_add_watch(in, "d", 0));
    V(inotify_add_watch(0, "d", IN_CREATE));
    V(inotify_add_watch(in, "f", IN_CREATE | IN_ONLYDIR));
    int w = inotify_add_watch(in, "d", IN_ALL_EVENTS);
    say("watch %d again %d", w, inotify_add_watch(in, "d", IN_ALL_EVENTS));
    V(inotify_add_watch(in, "d", IN_CREATE | IN_MASK_CREATE));
    drain("nothing");
    int f = open("d/a", O_CREAT | O_RDWR, 0600);
    write(f, "x", 1);
    write(f, "y", 1);
    close(f);
    drain("create, write, close");
    f = open("d/a", O_RDONLY);
    char c;
    read(f, &c, 1);
    close(f);
    drain("read");
    chmod("d/a", 0644);
    drain("chmod");
    truncate("d/a", 0);
    drain("truncate");
    rename("d/a", "d/b");
    drain("rename");
    rename("d/b", "b");
    drain("out");
    rename("b", "d/c");
    drain("in");
    link("d/c", "d/hard");
    drain("link");
    unlink("d/hard");
    drain("unlink");
    mkdir("d/sub", 0755);
    drain("mkdir");
    rmdir("d/sub");
    drain("rmdir");
    symlink("x", "d/l");
    drain("symlink");
    struct timespec t[2] = {};
    utimensat(AT_FDCWD, "d/c", t, 0);
    drain("utimens");
    int w2 = inotify_add_watch(in, "f", IN_OPEN | IN_ONESHOT);
    close(open("f", O_RDONLY));
    close(open("f", O_RDONLY));
    drain("oneshot");
    V(inotify_rm_watch(in, w2));
    w2 = inotify_add_watch(in, "f", IN_DELETE_SELF | IN_ATTRIB | IN_MOVE_SELF);
    rename("f", "g");
    drain("move self");
    unlink("g");
    drain("delete self");
    unlink("d/c");
    unlink("d/l");
    drain("empty");
    rmdir("d");
    drain("directory gone");
    V(inotify_rm_watch(in, w));
    mkdir("e", 0755);
    w = inotify_add_watch(in, "e", IN_CREATE);
    V(inotify_rm_watch(in, w));
    drain("removed");
    struct pollfd p = {in, POLLIN};
    V(poll(&p, 1, 0));
    inotify_add_watch(in, "e", IN_CREATE);
    mkdir("e/x", 0700);
    V(poll(&p, 1, 0));
    int n = 0;
    V(ioctl(in, 0x541b, &n));
    say("bytes %d", n);
    char small[8];
    V(read(in, small, 8));
    drain("last");
    return 0;
}
