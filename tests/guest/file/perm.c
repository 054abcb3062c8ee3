/* Permission checks as other identities, sticky directories, chroot, mounts.
 * needs: root
 * disk: no
 */
#include "t.h"
#include <grp.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#define AS(u, g, ...) \
    IN_CHILD("as " #u, { \
        setgroups(0, NULL); \
        setresgid(g, g, g); \
        setresuid(u, u, u); \
        __VA_ARGS__; \
    })
#define TRY(e) \
    do { \
        int f_ = (e); \
        okay(#e, f_); \
        if (f_ >= 0) close(f_); \
    } while (0)
static void put(const char *n, int mode, int u, int g)
{
    int f = MUST(open(n, O_CREAT | O_RDWR, 0600));
    fchown(f, u, g);
    fchmod(f, mode);
    close(f);
}
/* Of somebody else's file: the setting protected_hardlinks says whether it may be. */
static void linked(void)
{
    char c = '0';
    int f = open("/proc/sys/fs/protected_hardlinks", O_RDONLY);
    read(f, &c, 1);
    close(f);
    int r = link("none", "x");
    say("link as the setting says: %d", c == '0' ? r == 0 : r < 0 && errno == EPERM);
}
int main(void)
{
    chmod(".", 0777);
    umask(0);
    put("own", 0600, 1000, 1000);
    put("grp", 0060, 1000, 2000);
    put("oth", 0006, 1000, 2000);
    put("exec", 0711, 0, 0);
    put("none", 0, 0, 0);
    AS(1000, 1000, TRY(open("own", O_RDWR)); TRY(open("grp", O_RDWR)); TRY(open("oth", O_RDWR));
       TRY(open("none", O_RDONLY)); TRY(open("none", O_PATH)); V(access("exec", X_OK));
       V(access("exec", R_OK)); V(chmod("own", 0644)); V(chmod("none", 0644)); V(chown("own", -1, 2000));
       V(chown("own", -1, 1000)); V(chown("own", 1001, -1)); V(truncate("none", 0));
       V(utimensat(AT_FDCWD, "none", NULL, 0)); linked());
    AS(5, 2000, TRY(open("own", O_RDWR)); TRY(open("grp", O_RDWR)); TRY(open("oth", O_RDWR)));
    AS(7, 7, TRY(open("own", O_RDONLY)); TRY(open("own", O_WRONLY)); TRY(open("grp", O_RDWR));
       TRY(open("oth", O_RDWR)));
    IN_CHILD("supplementary", {
        gid_t g = 2000;
        setgroups(1, &g);
        setgid(9);
        setuid(9);
        TRY(open("grp", O_RDWR));
    });
    mkdir("nox", 0644);
    put("nox/f", 0666, 0, 0);
    mkdir("noread", 0711);
    put("noread/f", 0644, 0, 0);
    mkdir("nowrite", 0755);
    put("nowrite/f", 0666, 0, 0);
    AS(1000, 1000, TRY(open("nox/f", O_RDONLY)); TRY(open("nox", O_RDONLY)); V(chdir("nox"));
       TRY(open("noread", O_RDONLY)); TRY(open("noread/f", O_RDONLY)); V(unlink("nowrite/f"));
       V(mkdir("nowrite/d", 0700)); V(rename("nowrite/f", "f")); TRY(open("nowrite/f", O_RDWR));
       V(symlink("a", "nowrite/l")); TRY(open("nowrite/new", O_CREAT | O_RDWR, 0600)));
    mkdir("sticky", 01777);
    put("sticky/mine", 0666, 1000, 1000);
    put("sticky/yours", 0666, 1001, 1001);
    mkdir("sticky/d", 0777);
    AS(1000, 1000, V(unlink("sticky/yours")); V(rename("sticky/yours", "sticky/x"));
       V(rename("sticky/mine", "sticky/yours")); V(rmdir("sticky/d")); V(unlink("sticky/mine")));
    /* Root, and the limits of root. */
    V(access("none", R_OK | W_OK));
    V(access("none", X_OK));
    V(access("exec", X_OK));
    TRY(open("none", O_RDWR));
    IN_CHILD("exec of none", {
        execl("./none", "x", NULL);
        say("%s", errname(errno));
    });
    /* New files: owner, group, setgid directory. */
    mkdir("sg", 02777);
    chown("sg", 0, 3000);
    chmod("sg", 02777);
    AS(1000, 1000, {
        struct stat s;
        TRY(open("sg/f", O_CREAT | O_RDWR, 02755));
        stat("sg/f", &s);
        say("%d:%d %o", s.st_uid, s.st_gid, s.st_mode);
        mkdir("sg/d", 0755);
        stat("sg/d", &s);
        say("%d:%d %o", s.st_uid, s.st_gid, s.st_mode);
        TRY(open("f1", O_CREAT | O_RDWR, 0600));
        stat("f1", &s);
        say("%d:%d", s.st_uid, s.st_gid);
        V(chmod("f1", 06777));
        chown("f1", -1, -1);
        stat("f1", &s);
        say("%o", s.st_mode);
        V(mknod("dev", S_IFCHR | 0600, 0x103));
        V(chroot("."));
        V(mount("t", "sg", "tmpfs", 0, 0));
        V(umount("sg"));
        V(sethostname("x", 1));
        V(setdomainname("x", 1));
        V(syscall(SYS_pivot_root, ".", "."));
    });
    V(mknod("dev", S_IFCHR | 0600, 0x103));
    TRY(open("dev", O_RDWR));
    /* chroot */
    mkdir("jail", 0755);
    mkdir("jail/in", 0755);
    put("jail/file", 0644, 0, 0);
    put("outside", 0644, 0, 0);
    IN_CHILD("chroot", {
        int out = open(".", O_RDONLY);
        V(chroot("jail/file"));
        V(chroot("gone"));
        V(chroot("jail"));
        V(access("/file", F_OK));
        V(access("/outside", F_OK));
        V(chdir("/"));
        V(access("../outside", F_OK));
        V(access("/../../file", F_OK));
        char c[100];
        say("cwd %s", getcwd(c, 100));
        V(symlink("/file", "abs"));
        V(access("in/../abs", F_OK));
        V(fchdir(out));
        V(access("outside", F_OK));
        long r = syscall(SYS_getcwd, c, 100);
        say("getcwd %.13s", r > 0 ? c : errname(errno));
    });
    /* Mounts, in a namespace of their own. */
    IN_CHILD("mounts", {
        if (unshare(CLONE_NEWNS)) {
            say("unshare: %s", errname(errno));
            _exit(0);
        }
        V(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
        mkdir("m", 0755);
        put("m/under", 0644, 0, 0);
        V(mount("x", "m", "tmpfs", 0, "size=64k,mode=700"));
        V(access("m/under", F_OK));
        struct stat s;
        stat("m", &s);
        say("mode %o", s.st_mode);
        put("m/f", 0644, 0, 0);
        int f = open("m/f", O_RDWR);
        static char b[200000];
        V(write(f, b, sizeof b));
        V(write(f, b, 1));
        ftruncate(f, 0);
        V(umount("m"));
        close(f);
        V(mount(0, "m", 0, MS_REMOUNT | MS_RDONLY, 0));
        TRY(open("m/g", O_CREAT | O_RDWR, 0600));
        TRY(open("m/f", O_RDWR));
        TRY(open("m/f", O_RDONLY));
        V(unlink("m/f"));
        V(access("m/f", W_OK));
        struct statvfs v;
        statvfs("m", &v);
        say("flags ro %d", !!(v.f_flag & ST_RDONLY));
        V(mount(0, "m", 0, MS_REMOUNT, 0));
        TRY(open("m/f", O_RDWR));
        mkdir("b", 0755);
        V(mount("jail", "b", 0, MS_BIND, 0));
        V(access("b/file", F_OK));
        V(mount(0, "b", 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0));
        TRY(open("b/file", O_RDWR));
        TRY(open("jail/file", O_RDWR));
        V(rename("b/file", "jail/file2"));
        V(link("jail/file", "b/l"));
        V(rmdir("b"));
        V(umount("b"));
        V(umount("b"));
        put("bf", 0644, 0, 0);
        V(mount("outside", "bf", 0, MS_BIND, 0));
        V(unlink("bf"));
        V(umount2("bf", MNT_DETACH));
        V(mount("x", "outside", "tmpfs", 0, 0));
        V(mount("x", "m", "nosuchfs", 0, 0));
        V(mount("x", "nodir", "tmpfs", 0, 0));
        V(umount("/proc/self"));
        V(umount2("m", 0x100));
        V(umount2("m", UMOUNT_NOFOLLOW | MNT_EXPIRE | MNT_DETACH));
        V(mount("y", "m/", "tmpfs", MS_NOEXEC | MS_NOSUID | MS_NODEV, 0));
        int i = open("/bin/true", O_RDONLY);
        int o = open("m/true", O_CREAT | O_WRONLY, 0755);
        long n;
        while ((n = read(i, b, sizeof b)) > 0) write(o, b, n);
        close(o);
        V(execl("m/true", "x", NULL));
        mknod("m/null", S_IFCHR | 0666, 0x103);
        TRY(open("m/null", O_RDWR));
        V(umount("m"));
        V(umount("m"));
        V(access("m/under", F_OK));
        FILE *mi = fopen("/proc/self/mountinfo", "r");
        char l[500];
        int lines = 0;
        while (fgets(l, 500, mi)) lines++;
        say("mountinfo %d", lines > 3);
        V(mount("none", "m", "tmpfs", 0, "size=bogus"));
        V(mount("none", "m", "tmpfs", 0, "nosuch=1"));
        V(mount("proc", "m", "proc", 0, 0));
        V(access("m/self/status", F_OK));
        V(umount("m"));
        V(mount("o", "m", "overlay", 0, "lowerdir=nolower"));
        mkdir("lo", 0755);
        mkdir("up", 0755);
        mkdir("wk", 0755);
        put("lo/a", 0644, 0, 0);
        put("lo/del", 0644, 0, 0);
        V(mount("t", "up", "tmpfs", 0, 0));
        mkdir("up/u", 0755);
        mkdir("up/w", 0755);
        char cwd[200];
        char opt[800];
        getcwd(cwd, 200);
        sprintf(opt, "lowerdir=%s/lo,upperdir=%s/up/u,workdir=%s/up/w", cwd, cwd, cwd);
        V(mount("o", "m", "overlay", 0, opt));
        V(unlink("m/del"));
        V(access("m/del", F_OK));
        V(access("lo/del", F_OK));
        stat("up/u/del", &s);
        say("whiteout %o %lx", s.st_mode & S_IFMT, (long)s.st_rdev);
        f = open("m/a", O_WRONLY);
        write(f, "up", 2);
        close(f);
        stat("lo/a", &s);
        say("lower size %ld", (long)s.st_size);
        stat("up/u/a", &s);
        say("upper size %ld", (long)s.st_size);
        V(mkdir("m/del", 0755));
        V(rename("m/del", "m/dd"));
        V(umount("m"));
    });
    return 0;
}
