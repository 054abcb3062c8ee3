/* Identities: set*id in all forms, supplementary groups, capabilities
 * across changes, setuid and setgid programs, securebits.
 * needs: root
 */
#include "t.h"
#include <grp.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

static void ids(const char *label)
{
    uid_t r, e, s;
    gid_t a, b, c;
    getresuid(&r, &e, &s);
    getresgid(&a, &b, &c);
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2] = {};
    syscall(SYS_capget, &h, d);
    say("%s: uid %d %d %d gid %d %d %d caps %s %s %s", label, r, e, s, a, b, c,
        d[0].effective ? d[0].effective == d[0].permitted ? "all" : "some" : "none",
        d[0].permitted ? "permitted" : "-", d[0].inheritable ? "inheritable" : "-");
}

static void copy_self(const char *name, int mode, int uid, int gid)
{
    char b[65536];
    unlink(name);
    int in = MUST(open("/proc/self/exe", O_RDONLY)), out = MUST(open(name, O_WRONLY | O_CREAT, 0755));
    ssize_t n;
    while ((n = read(in, b, sizeof b)) > 0) write(out, b, n);
    MUST(fchown(out, uid, gid));
    MUST(fchmod(out, mode));
    close(in);
    close(out);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        ids(argv[1]);
        say("  secure %d dumpable %d", (int)__builtin_strlen(getenv("X") ?: ""), prctl(PR_GET_DUMPABLE));
        return 0;
    }
    chmod(".", 0755);
    ids("start");
    IN_CHILD("setuid", {
        V(setuid(1000));
        ids("after");
        V(setuid(0));
        V(setuid(1000));
        V(setgid(5));
        V(setgroups(0, NULL));
    });
    IN_CHILD("seteuid", {
        V(seteuid(1000));
        ids("after");
        V(setuid(1001));
        V(seteuid(1001));
        V(seteuid(0));
        ids("back");
    });
    IN_CHILD("setreuid", {
        V(setreuid(1000, 1001));
        ids("after");
        V(setreuid(1001, -1));
        V(setreuid(-1, 1000));
        V(setreuid(5, 5));
        ids("end");
    });
    IN_CHILD("setresuid", {
        V(setresuid(1, 2, 3));
        ids("after");
        V(setresuid(3, 1, 2));
        ids("rotated");
        V(setresuid(4, -1, -1));
        V(setresuid(-1, -1, -1));
    });
    IN_CHILD("setresgid", {
        V(setresgid(1, 2, 3));
        V(setuid(9));
        V(setresgid(3, 1, 2));
        V(setregid(5, -1));
        ids("end");
    });
    IN_CHILD("setfsuid", {
        V(setfsuid(1000));
        V(setfsuid(-1));
        V(open("rootonly", O_CREAT | O_WRONLY, 0600));
        V(access("/root", R_OK));
        V(setfsgid(7));
        V(setfsgid(-1));
    });
    IN_CHILD("groups", {
        gid_t g[4] = {5, 3, 9, 3}, got[8];
        V(setgroups(4, g));
        V(getgroups(0, NULL));
        V(getgroups(2, got));
        int n = getgroups(8, got);
        say("groups: %d %d %d %d", n, got[0], got[1], got[2]);
        V(setgroups(70000, g));
    });
    IN_CHILD("keepcaps", {
        prctl(PR_SET_KEEPCAPS, 1);
        V(setuid(1000));
        ids("after");
    });
    IN_CHILD("capset", {
        struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
        struct __user_cap_data_struct d[2] = {};
        syscall(SYS_capget, &h, d);
        d[0].effective &= ~(1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH);
        V(syscall(SYS_capset, &h, d));
        int fd = open("noaccess", O_CREAT | O_RDWR, 0);
        close(fd);
        V(open("noaccess", O_RDONLY));
        d[0].permitted = d[0].effective;
        V(syscall(SYS_capset, &h, d));
        d[0].permitted = ~0u;
        V(syscall(SYS_capset, &h, d));
        h.version = 0x12345;
        V(syscall(SYS_capget, &h, NULL));
        say("version: %x", h.version);
        V(syscall(SYS_capget, &h, d));
        h.version = _LINUX_CAPABILITY_VERSION_3;
        h.pid = 999999;
        V(syscall(SYS_capget, &h, d));
        h.pid = 1;
        V(syscall(SYS_capset, &h, d));
    });
    IN_CHILD("bounding", {
        V(prctl(PR_CAPBSET_DROP, CAP_SYS_TIME));
        V(prctl(PR_CAPBSET_READ, CAP_SYS_TIME));
        execl("/proc/self/exe", "x", "after bounding", NULL);
    });
    IN_CHILD("ambient", {
        V(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
        struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
        struct __user_cap_data_struct d[2] = {};
        syscall(SYS_capget, &h, d);
        d[0].inheritable = 1 << CAP_CHOWN;
        V(syscall(SYS_capset, &h, d));
        V(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
        V(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0));
        V(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
        V(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0));
        V(prctl(PR_CAP_AMBIENT, 99, 0, 0, 0));
    });
    copy_self("suid", 04755, 1000, 1000);
    copy_self("sgid", 02755, 0, 1234);
    copy_self("suid_root", 04755, 0, 0);
    copy_self("both", 06755, 77, 88);
    copy_self("sgid_nox", 02745, 0, 1234);
    IN_CHILD("suid", execl("./suid", "x", "suid program", NULL));
    IN_CHILD("sgid", execl("./sgid", "x", "sgid program", NULL));
    IN_CHILD("sgid without group x", execl("./sgid_nox", "x", "sgid_nox program", NULL));
    IN_CHILD("both", execl("./both", "x", "both program", NULL));
    IN_CHILD("suid root from user", {
        setgid(1000);
        setuid(1000);
        execl("./suid_root", "x", "suid root", NULL);
        say("%s", errname(errno));
    });
    IN_CHILD("no_new_privs", {
        setgid(1000);
        setuid(1000);
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        execl("./suid_root", "x", "nnp", NULL);
    });
    IN_CHILD("plain exec from user", {
        setgid(1000);
        setuid(1000);
        chmod("suid_root", 0755);
        execl("./both", "x", "both", NULL);
    });
    /* Writing clears the bits; chown does too. */
    struct stat st;
    copy_self("w", 06755, 0, 0);
    IN_CHILD("user writes", {
        chmod("w", 06777);
        setuid(1000);
        int fd = MUST(open("w", O_WRONLY));
        MUST(write(fd, "x", 1));
        fstat(fd, &st);
        say("mode %o", st.st_mode);
    });
    copy_self("w", 06755, 0, 0);
    V(chown("w", 1, 1));
    stat("w", &st);
    say("mode %o", st.st_mode);
    IN_CHILD("user chown", {
        setuid(1000);
        V(chown("w", 1000, -1));
        V(chown("w", -1, -1));
        V(chmod("w", 0));
    });
    V(prctl(PR_SET_SECUREBITS, 1 << 4));
    V(prctl(PR_GET_SECUREBITS));
    IN_CHILD("no setuid fixup off", {
        V(setuid(1000));
        ids("after");
    });
    /* Permission to signal and to look at others. */
    pid_t p = fork();
    if (p == 0) {
        setresuid(500, 500, 500);
        for (;;) pause();
    }
    msleep(20);
    IN_CHILD("kill other", {
        setresuid(600, 600, 600);
        V(kill(p, SIGTERM));
        V(kill(p, 0));
        V(kill(-1, SIGTERM));
        V(getpgid(p) > 0);
        V(setpriority(PRIO_PROCESS, p, 1));
        V(sched_setaffinity(p, 0, NULL));
    });
    IN_CHILD("kill by real uid", {
        setresuid(500, 600, 600);
        V(kill(p, 0));
    });
    IN_CHILD("kill by saved", {
        setresuid(600, 600, 500);
        V(kill(p, 0));
    });
    kill(p, SIGKILL);
    wait(NULL);
    IN_CHILD("nproc", {
        struct rlimit r = {3, 3};
        setrlimit(RLIMIT_NPROC, &r);
        setresuid(4242, 4242, 4242);
        int made = 0, last = 0;
        pid_t kids[8];
        while (made < 6) {
            pid_t k = fork();
            if (k == 0) {
                for (;;) pause();
            }
            if (k < 0) {
                last = errno;
                break;
            }
            kids[made++] = k;
        }
        say("made %d then %s", made, errname(last));
        for (int i = 0; i < made; i++) kill(kids[i], SIGKILL);
        while (wait(NULL) > 0);
    });
    return 0;
}
