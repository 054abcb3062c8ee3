/* Shared, slave, private and unbindable mounts: who receives mounts and unmounts, what mountinfo shows of groups.
 * needs: root
 */
#include "t.h"
#include <sys/mount.h>
enum { MOST = 200 };
struct shown {
    char where[256], fields[256], source[64];
};
static int by_place(const void *a, const void *b)
{
    const struct shown *x = a, *y = b;
    int c = strcmp(x->where, y->where);
    return c ? c : x < y ? -1 : x > y;
}
/* What is mounted below /mnt, groups by letters in the order in which they appear. */
static void tree(const char *what)
{
    static struct shown all[MOST];
    static char line[4096];
    FILE *f = fopen("/proc/self/mountinfo", "r");
    int n = 0, groups[26], known = 0;
    while (n < MOST && fgets(line, sizeof line, f)) {
        char where[256], *opts, *dash;
        if (sscanf(line, "%*d %*d %*s %*s %255s", where) != 1 || strncmp(where, "/mnt/", 5) || !strchr("/", where[6])) continue;
        opts = strstr(line, where) + strlen(where) + 1;
        opts = strchr(opts, ' ');
        dash = strstr(opts, " - ");
        *dash = 0;
        strcpy(all[n].where, where + 5), strcpy(all[n].fields, opts);
        sscanf(dash + 3, "%*s %63s", all[n].source);
        n++;
    }
    fclose(f);
    qsort(all, n, sizeof *all, by_place);
    say("-- %s", what);
    for (int i = 0; i < n; i++) {
        char out[512] = "", *at, *save;
        for (at = strtok_r(all[i].fields, " ", &save); at; at = strtok_r(NULL, " ", &save)) {
            char *colon = strchr(at, ':');
            if (colon) {
                int id = atoi(colon + 1), k = 0;
                while (k < known && groups[k] != id) k++;
                if (k == known) groups[known++] = id;
                sprintf(out + strlen(out), " %.*s:%c", (int)(colon - at), at, 'A' + k);
            } else sprintf(out + strlen(out), " %s", at);
        }
        say("%s %s%s", all[i].where, all[i].source, out);
    }
}
static int put(const char *source, const char *at) { return mount(source, at, "tmpfs", 0, "size=64k"); }
static int bind(const char *from, const char *at, int rec) { return mount(from, at, 0, MS_BIND | rec, 0); }
static int kind(const char *at, unsigned long flags) { return mount(0, at, 0, flags, 0); }
static void clear(void)
{
    MUST(chdir("/"));
    while (umount2("/mnt", MNT_DETACH) == 0);
    MUST(put("top", "/mnt"));
    MUST(kind("/mnt", MS_PRIVATE));
    MUST(chdir("/mnt"));
    for (char d[] = "a"; *d <= 'f'; ++*d) MUST(mkdir(d, 0755));
}
int main(void)
{
    MUST(unshare(CLONE_NEWNS));
    MUST(mount("none", "/", 0, MS_REC | MS_PRIVATE, 0));
    clear();
    put("A", "a");
    mkdir("a/x", 0755), mkdir("a/y", 0755);
    V(kind("a", MS_SHARED));
    V(bind("a", "b", 0));
    tree("b is a peer of a");
    V(put("X", "a/x"));
    tree("a mount on one shows on both, in a group of its own");
    V(put("Y", "b/y"));
    V(umount("a/y"));
    V(umount("a/y"));
    V(put("XX", "a/x"));
    tree("stacked");
    V(umount("b/x"));
    tree("and down");
    int hold = open("b/x", O_RDONLY);
    V(umount("a/x"));
    close(hold);
    V(umount("a/x"));
    tree("busy elsewhere, then not");
    V(kind("b", MS_SLAVE));
    tree("b is a slave of a");
    V(put("X", "a/x")), V(put("Y", "b/y"));
    tree("slaves receive and don't send");
    V(bind("b", "c", 0)), V(kind("b", MS_SHARED)), V(bind("b", "d", 0));
    tree("a shared slave, and a copy of a slave");
    V(umount("a/x"));
    tree("unmounting goes down the chain");
    V(put("Z", "a/x"));
    tree("mounting too");
    V(put("W", "d/y"));
    tree("from the middle");
    V(umount2("a", MNT_DETACH));
    tree("the master is gone");
    clear();
    /* What is below a mount that receives. */
    put("A", "a"), mkdir("a/x", 0755), mkdir("a/x/deep", 0755), kind("a", MS_SHARED);
    bind("a/x", "b", 0);
    tree("a part of it");
    V(put("D", "a/x/deep")), V(put("X", "a/x"));
    tree("what the part doesn't show isn't received");
    V(umount("a/x")), V(umount("b/deep"));
    tree("and back");
    /* Beneath what is there already. */
    V(kind("b", MS_SLAVE)), V(put("own", "b/deep")), V(put("theirs", "a/x/deep"));
    tree("received beneath");
    V(umount("a/x/deep"));
    tree("taken from beneath");
    clear();
    /* Trees. */
    put("A", "a"), mkdir("a/m", 0755), put("B", "b"), mkdir("b/n", 0755), put("C", "b/n");
    kind("a", MS_SHARED), bind("a", "c", 0);
    V(bind("b", "a/m", MS_REC));
    tree("a tree is received whole");
    V(umount("a/m"));
    V(umount2("a/m", MNT_DETACH));
    tree("and goes whole");
    V(mount("b", "a/m", 0, MS_MOVE, 0));
    tree("moved into a shared one");
    V(mount("a/m", "d", 0, MS_MOVE, 0));
    V(mount("a/m/n", "d", 0, MS_MOVE, 0));
    clear();
    put("U", "a"), mkdir("a/x", 0755), put("V", "a/x"), put("S", "b"), mkdir("b/y", 0755);
    V(kind("a/x", MS_UNBINDABLE));
    tree("unbindable");
    V(bind("a/x", "c", 0)), V(bind("a", "c", MS_REC));
    tree("a copy without it");
    V(kind("b", MS_SHARED)), V(mount("a", "b/y", 0, MS_MOVE, 0));
    V(kind("a/x", MS_SLAVE));
    tree("slave of nobody");
    V(kind("a/x", MS_SHARED)), V(mount("a", "b/y", 0, MS_MOVE, 0));
    tree("no longer");
    V(kind("b", MS_PRIVATE | MS_REC));
    tree("all private");
    V(kind("b", MS_SHARED | MS_REC)), V(kind("b", MS_SLAVE | MS_REC));
    tree("shared and slave of nobody");
    V(kind("b/y/x", MS_SHARED | MS_SLAVE)), V(kind("b/y/x", MS_SHARED | MS_BIND)), V(kind("b/none", MS_SHARED));
    mkdir("b/y/d", 0755);
    V(kind("b/y/d", MS_SHARED));
    clear();
    /* Other namespaces. */
    put("A", "a"), mkdir("a/x", 0755), mkdir("a/y", 0755), kind("a", MS_SHARED);
    int go[2], done[2];
    char c = 0;
    pipe(go), pipe(done);
    pid_t k = fork();
    if (!k) {
        MUST(unshare(CLONE_NEWNS));
        MUST(chdir("/mnt"));
        tree("the copy is a peer");
        V(put("X", "a/x"));
        write(done[1], &c, 1), read(go[0], &c, 1);
        tree("received");
        kind("a", MS_SLAVE), kind("a", MS_SHARED), bind("a", "b", 0), kind("b", MS_SLAVE), umount2("a", MNT_DETACH);
        tree("a slave of a slave, whose masters are elsewhere");
        write(done[1], &c, 1), read(go[0], &c, 1);
        tree("received over two");
        _exit(0);
    }
    read(done[0], &c, 1);
    tree("from the other namespace");
    V(put("Y", "a/y"));
    write(go[1], &c, 1), read(done[0], &c, 1);
    V(umount("a/y"));
    write(go[1], &c, 1);
    int status;
    wait(&status);
    say("%s", status_words(status));
    /* pivot_root doesn't like shared mounts. */
    clear();
    put("R", "a"), mkdir("a/new", 0755), mkdir("a/new/old", 0755), kind("a", MS_SHARED), put("N", "a/new");
    mkdir("a/new/old", 0755);
    V(syscall(SYS_pivot_root, "a/new", "a/new/old"));
    kind("a", MS_PRIVATE);
    V(syscall(SYS_pivot_root, "a/new", "a/new/old"));
    MUST(chdir("/"));
    return 0;
}
