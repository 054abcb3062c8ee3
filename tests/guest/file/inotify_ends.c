/* When a watched file is told of its end: names, open files, working directories, rename over it. */
#include "t.h"
#include <sys/inotify.h>
#include <sys/stat.h>

static int in;

static void drain(const char *what)
{
    char buf[4096] __attribute__((aligned(8)));
    say("%s:", what);
    for (;;) {
        ssize_t n = read(in, buf, sizeof buf);
        if (n <= 0)
            break;
        for (char *p = buf; p < buf + n;) {
            struct inotify_event *e = (void *)p;
            say("  wd %d mask %x %s", e->wd, e->mask, e->len ? e->name : "-");
            p += sizeof *e + e->len;
        }
    }
}

static int watch(const char *name)
{
    int wd = inotify_add_watch(in, name, IN_ALL_EVENTS & ~(IN_OPEN | IN_ACCESS | IN_MODIFY));
    say("watch %s: %d", name, wd);
    return wd;
}

static void file(const char *name)
{
    close(creat(name, 0600));
}

int main(void)
{
    in = inotify_init1(IN_NONBLOCK);
    mkdir("d", 0755);
    watch("d");
    file("d/a");
    drain("made");
    watch("d/a");
    unlink("d/a");
    drain("closed file unlinked");

    file("d/b");
    watch("d/b");
    int fd = open("d/b", O_RDONLY);
    drain("before");
    unlink("d/b");
    drain("open file unlinked");
    int other = dup(fd);
    close(fd);
    drain("a duplicate is left");
    close(other);
    drain("closed");

    file("d/c");
    watch("d/c");
    link("d/c", "d/c2");
    drain("linked");
    unlink("d/c");
    drain("one of two names");
    unlink("d/c2");
    drain("the other");

    file("d/c");
    watch("d/c");
    link("d/c", "d/c2");
    fd = open("d/c", O_RDONLY);
    unlink("d/c");
    drain("open by the first name");
    unlink("d/c2");
    drain("the second name");
    close(fd);
    drain("closed after all");

    mkdir("d/s", 0755);
    watch("d/s");
    rmdir("d/s");
    drain("rmdir");
    int home = open(".", O_RDONLY | O_DIRECTORY);
    mkdir("d/s", 0755);
    watch("d/s");
    chdir("d/s");
    rmdir("../s");
    drain("rmdir of the working directory");
    fchdir(home);
    drain("left");

    file("d/x");
    file("d/y");
    watch("d/x");
    watch("d/y");
    rename("d/x", "d/y");
    drain("renamed over a closed file");
    file("d/x");
    watch("d/x");
    fd = open("d/y", O_RDONLY);
    rename("d/x", "d/y");
    drain("renamed over an open file");
    close(fd);
    drain("that closed");

    mkdir("d/m", 0755);
    mkdir("d/n", 0755);
    watch("d/m");
    watch("d/n");
    rename("d/m", "d/n");
    drain("a directory over another");
    rename("d/n", "d/m");
    mkdir("d/n", 0755);
    drain("back");
    renameat2(AT_FDCWD, "d/m", AT_FDCWD, "d/n", RENAME_EXCHANGE);
    drain("exchanged");

    unsigned quiet = IN_CREATE;
    file("q");
    int wd = inotify_add_watch(in, "q", quiet);
    fd = open("q", O_RDONLY);
    unlink("q");
    V(inotify_rm_watch(in, wd));
    drain("taken away before the end");
    close(fd);
    file("q");
    wd = inotify_add_watch(in, "q", quiet);
    unlink("q");
    V(inotify_rm_watch(in, wd));
    drain("an end that wasn't asked for");
    return 0;
}
