/* Identities and capabilities across every set*id call and execve, setuid and setgid programs.
 * needs: root
 */
#include "t.h"
#include <sys/prctl.h>
#include <sys/fsuid.h>
#include <linux/capability.h>
#include <grp.h>
#include <sys/auxv.h>
#define getauxval_() getauxval(AT_SECURE)
static void ids(const char *l) { uid_t r, e, s; gid_t a, b, c; getresuid(&r, &e, &s); getresgid(&a, &b, &c); say("  %s: %d %d %d fs %d; %d %d %d fs %d", l, r, e, s, setfsuid(-1), a, b, c, setfsgid(-1)); }
static void caps(const char *l) { FILE *f = fopen("/proc/self/status", "r"); char b[200], o[400] = ""; while (fgets(b, 200, f)) if (!strncmp(b, "Cap", 3) && strncmp(b, "CapBnd", 6)) { unsigned long v = strtoul(b + 8, 0, 16); sprintf(o + strlen(o), " %.6s %s", b, v == 0 ? "0" : (v & (v - 1)) == 0 ? "one" : "many"); } fclose(f); say("  %s:%s", l, o); }
#define CH(l, ...) IN_CHILD(l, __VA_ARGS__)
#define CG(...) syscall(SYS_capget, __VA_ARGS__)
#define CS(...) syscall(SYS_capset, __VA_ARGS__)
int main(int argc, char **argv)
{
    if (argc > 1) { ids("exec"); caps("exec"); V(prctl(PR_GET_DUMPABLE)); V(prctl(PR_GET_SECUREBITS)); V(prctl(PR_GET_KEEPCAPS)); say("  secure %d", (int)__builtin_expect(getauxval_(), 0)); return 0; }
    setvbuf(stdout,0,_IONBF,0);
    char self[512]; self[readlink("/proc/self/exe", self, 511)] = 0;
    CH("setuid", { V(setuid(-1)); V(setuid(1000)); ids("a"); V(setuid(0)); V(setuid(1000)); V(seteuid(0)); caps("a"); V(prctl(PR_GET_DUMPABLE)); });
    CH("seteuid", { V(seteuid(1000)); ids("a"); caps("a"); V(prctl(PR_GET_DUMPABLE)); V(seteuid(0)); ids("b"); caps("b"); });
    CH("setreuid", { V(setreuid(1000, 2000)); ids("a"); V(setreuid(2000, 1000)); ids("b"); V(setreuid(3000, -1)); V(setreuid(-1, 2000)); ids("c"); V(setreuid(-1, -1)); ids("d"); });
    CH("setreuid saved", { V(setreuid(-1, 1000)); ids("a"); V(setreuid(1000, -1)); ids("b"); V(setuid(0)); });
    CH("setresuid", { V(setresuid(1, 2, 3)); ids("a"); V(setresuid(3, 1, 2)); ids("b"); V(setresuid(4, -1, -1)); V(setresuid(-1, 2, -1)); ids("c"); V(setresuid(0, 0, 0)); });
    CH("gids", { V(setgid(5)); ids("a"); V(setegid(6)); ids("b"); V(setregid(7, 8)); ids("c"); V(setresgid(9, 10, 11)); ids("d"); setuid(1000); V(setgid(10)); ids("e"); V(setgid(99)); V(setregid(11, 9)); ids("f"); V(setresgid(1, -1, -1)); V(setegid(9)); V(setgroups(0, 0)); });
    CH("fs ids", { V(setfsuid(1000)); V(setfsuid(-1)); V(setfsgid(5)); V(setfsgid(-1)); caps("a"); V(setfsuid(0)); V(setfsuid(-1)); setresuid(1, 2, 3); V(setfsuid(3)); V(setfsuid(9)); V(setfsuid(-1)); });
    V(getresuid(0, 0, 0) == 0 ? 0 : -1); V(setgroups(70000, 0)); V(setgroups(-1, 0)); V(setgroups(1, (void *)8)); V(getgroups(-1, 0)); gid_t g[3] = {5, 3, 9}; CH("groups", { V(setgroups(3, g)); V(getgroups(0, 0)); V(getgroups(2, g)); V(getgroups(3, (void *)8)); V(getgroups(3, g)); say("%d %d %d", g[0], g[1], g[2]); });
    /* capabilities */
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0}; struct __user_cap_data_struct d[2] = {{0}};
    V(CG(0, d)); V(CG(8, d)); V(CG(&h, 0)); V(CG(&h, 8)); h.version = 5; V(CG(&h, 0)); V(h.version == _LINUX_CAPABILITY_VERSION_3); h.version = 5; V(CG(&h, d)); h.version = 5; V(CS(&h, d)); h.version = _LINUX_CAPABILITY_VERSION_3; h.pid = -1; V(CG(&h, d)); h.pid = 999999; V(CG(&h, d)); h.pid = 1; V(CG(&h, d)); V(CS(&h, d)); h.pid = 0; V(CS(0, d)); V(CS(&h, 0)); V(CS(&h, 8)); h.version = _LINUX_CAPABILITY_VERSION_1; V(CG(&h, d)); h.version = _LINUX_CAPABILITY_VERSION_2; V(CG(&h, d)); h.version = _LINUX_CAPABILITY_VERSION_3;
    CH("drop", { CG(&h, d); d[0].effective = 0; d[1].effective = 0; V(CS(&h, d)); caps("a"); V(setuid(5)); V(sethostname("x", 1)); d[0].effective = d[0].permitted; V(CS(&h, d)); caps("b"); d[0].permitted &= ~1; V(CS(&h, d)); d[0].effective &= ~1; V(CS(&h, d)); d[0].permitted |= 1; V(CS(&h, d)); d[0].inheritable = 1; V(CS(&h, d)); d[0].inheritable = 2; V(CS(&h, d)); });
    CH("keepcaps", { prctl(PR_SET_KEEPCAPS, 1); V(setuid(1000)); caps("a"); V(prctl(PR_GET_KEEPCAPS)); CG(&h, d); d[0].effective = d[0].permitted; V(CS(&h, d)); caps("b"); V(setuid(0)); ids("c"); });
    CH("securebits", { V(prctl(PR_SET_SECUREBITS, 4)); V(setuid(1000)); caps("a"); V(prctl(PR_GET_SECUREBITS)); execl(self, self, "x", NULL); });
    CH("noroot", { V(prctl(PR_SET_SECUREBITS, 3)); V(prctl(PR_SET_SECUREBITS, 1)); V(prctl(PR_SET_SECUREBITS, 0)); execl(self, self, "x", NULL); });
    CH("ambient", { CG(&h, d); d[0].inheritable = 1 << 13; V(CS(&h, d)); V(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 13, 0, 0)); V(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 13, 0, 0)); caps("a"); prctl(PR_SET_KEEPCAPS, 1); setresuid(1000, 1000, 1000); caps("b"); execl(self, self, "x", NULL); });
    CH("ambient lost", { CG(&h, d); d[0].inheritable = 1 << 13; CS(&h, d); prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 13, 0, 0); d[0].inheritable = 0; V(CS(&h, d)); caps("a"); });
    CH("bounding", { V(prctl(PR_CAPBSET_DROP, 13, 0, 0, 0)); V(prctl(PR_CAPBSET_READ, 13)); execl(self, self, "x", NULL); });
    CH("exec as user", { setresuid(1000, 1000, 1000); execl(self, self, "x", NULL); });
    CH("exec ruid user", { setresuid(1000, 0, 0); caps("a"); execl(self, self, "x", NULL); });
    CH("exec euid user", { setresuid(0, 1000, 0); caps("a"); execl(self, self, "x", NULL); });
    /* setuid, setgid programs */
    char cmd[1500]; sprintf(cmd, "cp %s su; cp %s sg; cp %s sus; chown 2000:3000 su sg sus; chmod 4755 su; chmod 2755 sg; chmod 6755 sus; chmod 755 .", self, self, self); system(cmd);
    CH("setuid program", { execl("./su", "su", "x", NULL); }); CH("by a user", { setgroups(0, 0); setresgid(1000, 1000, 1000); setresuid(1000, 1000, 1000); execl("./su", "su", "x", NULL); say("%s", errname(errno)); }); CH("setgid by a user", { setgroups(0, 0); setresgid(1000, 1000, 1000); setresuid(1000, 1000, 1000); execl("./sg", "sg", "x", NULL); say("%s", errname(errno)); }); CH("both", { setgroups(0, 0); setresgid(1000, 1000, 1000); setresuid(1000, 1000, 1000); execl("./sus", "su", "x", NULL); say("%s", errname(errno)); }); CH("no new privs", { prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); setresgid(1000, 1000, 1000); setresuid(1000, 1000, 1000); execl("./sus", "su", "x", NULL); say("%s", errname(errno)); }); system("chown 0:0 su; chmod 4755 su"); CH("setuid root by a user", { setgroups(0, 0); setresgid(1000, 1000, 1000); setresuid(1000, 1000, 1000); execl("./su", "su", "x", NULL); say("%s", errname(errno)); }); system("printf '#!%s x\\n' \"$(readlink -f su)\" > s1; chown 2000 s1; chmod 4755 s1"); CH("setuid script", { execl("./s1", "s1", NULL); say("%s", errname(errno)); }); system("chown 2000:3000 sg; chmod 2745 sg"); CH("setgid without group x", { execl("./sg", "sg", "x", NULL); say("%s", errname(errno)); });
    return 0;
}
