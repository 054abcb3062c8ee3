/* prctl in full: refusals, broken memory policy, MDWE, arch_prctl, host names, personality. */
#include "t.h"
#include <sys/prctl.h>
#include <linux/prctl.h>
#include <sys/utsname.h>
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#define PR_SET_MEMORY_MERGE 67
#define PR_GET_AUXV 0x41555856
#include <sys/personality.h>
#define PR(...) syscall(SYS_prctl, __VA_ARGS__)
#define W(e) do { errno = 0; long v_ = (e); int e_ = errno; if (v_ == -1) say("%s: %s", #e, errname(e_)); else say("%s: %ld", #e, v_); } while (0)
int main(void)
{
    unsigned int u[64]; unsigned long ul; char c[64];
    W(PR(PR_SET_NAME, 8, 0,0,0)); W(PR(PR_GET_NAME, 8, 0,0,0));
    W(PR(PR_SET_PDEATHSIG, -1, 0,0,0)); W(PR(PR_SET_PDEATHSIG, 0x100000001, 0,0,0)); W(PR(PR_SET_PDEATHSIG, 64, 0,0,0)); W(PR(PR_SET_PDEATHSIG, 0, 0,0,0));
    W(PR(PR_GET_PDEATHSIG, 8, 0,0,0));
    W(PR(PR_SET_UNALIGN, 1,0,0,0)); W(PR(PR_GET_UNALIGN, u,0,0,0)); W(PR(PR_GET_FPEMU, u,0,0,0)); W(PR(PR_GET_FPEXC, u,0,0,0)); W(PR(PR_GET_ENDIAN, u,0,0,0));
    W(PR(PR_SET_TIMING, 1,0,0,0)); W(PR(PR_SET_TIMING, 0,0,0,0)); W(PR(PR_GET_TIMING,0,0,0,0));
    W(PR(PR_SET_TSC, PR_TSC_SIGSEGV + 5,0,0,0)); W(PR(PR_SET_TSC, PR_TSC_ENABLE,0,0,0)); W(PR(PR_GET_TSC, u,0,0,0)); say("tsc %u", u[0]);
    W(PR(PR_MCE_KILL, 0,0,0,0)); W(PR(PR_MCE_KILL, 0,1,0,0)); W(PR(PR_MCE_KILL, 1,0,0,0)); W(PR(PR_MCE_KILL_GET,0,0,0,0)); W(PR(PR_MCE_KILL, 1,1,0,0)); W(PR(PR_MCE_KILL_GET,0,0,0,0)); W(PR(PR_MCE_KILL, 1,2,0,0)); W(PR(PR_MCE_KILL_GET,0,0,0,0)); W(PR(PR_MCE_KILL, 1,3,0,0)); W(PR(PR_MCE_KILL, 2,0,0,0)); W(PR(PR_MCE_KILL_GET,1,0,0,0)); W(PR(PR_MCE_KILL,1,1,1,0));
    W(PR(PR_SET_PTRACER, 0,0,0,0)); W(PR(PR_SET_PTRACER, -1,0,0,0));
    W(PR(PR_SET_CHILD_SUBREAPER, 5,0,0,0)); u[0]=77; W(PR(PR_GET_CHILD_SUBREAPER, u,0,0,0)); say("sub %u", u[0]); W(PR(PR_GET_CHILD_SUBREAPER, 8,0,0,0)); W(PR(PR_SET_CHILD_SUBREAPER, 0,1,1,1));
    W(PR(PR_SET_NO_NEW_PRIVS, 1,1,0,0)); W(PR(PR_SET_NO_NEW_PRIVS, 2,0,0,0));
    W(PR(PR_SET_FP_MODE, 1,0,0,0)); W(PR(PR_GET_FP_MODE,0,0,0,0)); W(PR(PR_SVE_SET_VL,0,0,0,0));
    W(PR(PR_CAP_AMBIENT, 9,0,0,0)); W(PR(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 64,0,0)); W(PR(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 0,0,0)); W(PR(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 0,0,0)); W(PR(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, 0,0,0)); W(PR(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1,0,0)); W(PR(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 0,1,0));
    W(PR(PR_GET_SPECULATION_CTRL, 0,1,0,0)); W(PR(PR_SET_SPECULATION_CTRL, 9,0,0,0)); W(PR(PR_SET_SPECULATION_CTRL, 0,9,1,0));
    W(PR(PR_PAC_RESET_KEYS,0,0,0,0)); W(PR(PR_SET_TAGGED_ADDR_CTRL,0,0,0,0)); W(PR(PR_GET_TAGGED_ADDR_CTRL,0,0,0,0));
    W(PR(PR_SET_MDWE, 2,0,0,0)); W(PR(PR_SET_MDWE, 8,0,0,0)); W(PR(PR_SET_MDWE, 1,1,0,0)); W(PR(PR_GET_MDWE, 0,0,0,0)); W(PR(PR_GET_MDWE, 1,0,0,0));
    IN_CHILD("mdwe", {
        char *a = mmap(0, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        W(PR(PR_SET_MDWE, 1,0,0,0)); W(PR(PR_GET_MDWE, 0,0,0,0)); W(PR(PR_SET_MDWE, 1,0,0,0)); W(PR(PR_SET_MDWE, 0,0,0,0)); W(PR(PR_SET_MDWE, 3,0,0,0));
        W(mmap(0, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0); W(mprotect(a, 4096, 5)); W(mprotect(a, 4096, 4));W(mprotect(a, 4096, 1));
        char *x = mmap(0, 4096, 5, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); W(mprotect(x, 4096, 5)); W(mprotect(x, 4096, 1)); W(mprotect(x, 4096, 5));
        IN_CHILD("mdwe child", W(PR(PR_GET_MDWE, 0,0,0,0)));
    });
    /* arch_prctl */
    W(syscall(SYS_arch_prctl, 0x1003, 8)); W(syscall(SYS_arch_prctl, 0x1002, -1L)); W(syscall(SYS_arch_prctl, 0x1001, 0x7fffffffe000)); W(syscall(SYS_arch_prctl, 0x1001, 0x7ffffffff000)); W(syscall(SYS_arch_prctl, 0x4001)); W(syscall(SYS_arch_prctl, 0x5001, 0));
    /* uts */
    struct utsname n; uname(&n); char old[65]; strcpy(old, n.nodename);
    W(sethostname("abc", -1)); W(sethostname("abc", 65)); W(sethostname((char *)8, 3)); W(setdomainname("abc", -1)); W(setdomainname("abc", 65)); 
    W(personality(0xffffffff)); W(personality(0x8)); W(personality(0xffffffff)); uname(&n); W(personality(0x20000)); uname(&n); say("release %.2s", n.release); W(personality(0)); W(syscall(SYS_personality, 0x1ffffffffUL));
    W(gethostname(c, 1)); 
    IN_CHILD("not root", { setuid(1000); W(sethostname("abc", 3)); W(setdomainname("abc", 3)); W(PR(PR_CAPBSET_DROP, 0,0,0,0)); W(PR(PR_SET_SECUREBITS, 0,0,0,0)); W(PR(PR_SET_MM, PR_SET_MM_START_BRK, 0x1000,0,0)); W(PR(PR_SET_IO_FLUSHER,1,0,0,0)); W(PR(PR_GET_IO_FLUSHER,0,0,0,0)); W(PR(PR_SET_DUMPABLE, 1,0,0,0)); W(PR(PR_GET_DUMPABLE, 0,0,0,0)); });
    return 0;
}
