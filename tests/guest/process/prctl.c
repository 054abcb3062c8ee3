/* prctl's common options, names, uname, personality, arch_prctl. */
#include "t.h"
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <asm/prctl.h>

int main(void)
{
    char name[17] = "";
    V(prctl(PR_GET_NAME, name));
    say("name: %s", name);
    V(prctl(PR_SET_NAME, "a name that is much too long"));
    prctl(PR_GET_NAME, name);
    say("name: %s", name);
    V(prctl(PR_SET_NAME, 8));
    V(prctl(PR_GET_DUMPABLE));
    V(prctl(PR_SET_DUMPABLE, 0));
    V(prctl(PR_GET_DUMPABLE));
    V(prctl(PR_SET_DUMPABLE, 2));
    V(prctl(PR_SET_DUMPABLE, 1));
    V(prctl(PR_GET_KEEPCAPS));
    V(prctl(PR_SET_KEEPCAPS, 2));
    V(prctl(PR_SET_KEEPCAPS, 1));
    V(prctl(PR_GET_KEEPCAPS));
    V(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    V(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    V(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    V(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    V(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0));
    IN_CHILD("inherited", V(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)));
    V(prctl(PR_GET_TIMERSLACK));
    V(prctl(PR_SET_TIMERSLACK, 12345));
    V(prctl(PR_GET_TIMERSLACK));
    V(prctl(PR_SET_TIMERSLACK, 0));
    V(prctl(PR_GET_TIMERSLACK));
    V(prctl(PR_SET_PDEATHSIG, 65));
    V(prctl(PR_SET_PDEATHSIG, 0));
    /* A kernel without seccomp says EINVAL. */
    V(prctl(PR_GET_SECCOMP) == 0 || errno == EINVAL);
    V(prctl(PR_CAPBSET_READ, 0));
    V(prctl(PR_CAPBSET_READ, 64));
    V(prctl(PR_GET_TSC, name));
    V(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    V(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
    V(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    V(prctl(0x7fffffff));
    V(prctl(PR_GET_SECUREBITS));
    int tid = 0;
    V(prctl(PR_GET_TID_ADDRESS, &tid) == 0);
    int fd = open("/proc/self/comm", O_RDWR);
    MUST(write(fd, "written\n", 8));
    prctl(PR_GET_NAME, name);
    say("comm: %s", name);

    struct utsname u;
    V(uname(&u));
    say("sysname %s machine %s", u.sysname, u.machine);
    V(uname((void *)8));
    unsigned long gs = 1, fs = 0;
    V(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
    say("gs: %lu", gs);
    V(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x123456789000));
    V(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
    say("gs: %lx", gs);
    sched_yield();
    syscall(SYS_arch_prctl, ARCH_GET_GS, &gs);
    say("gs kept: %lx", gs);
    V(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x8000000000000000));
    V(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs));
    say("fs set: %d", fs != 0);
    V(syscall(SYS_arch_prctl, 0x9999, 0));
    IN_CHILD("gs after fork", {
        syscall(SYS_arch_prctl, ARCH_GET_GS, &gs);
        say("child gs: %lx", gs);
    });
    V(personality(0xffffffff));
    say("address limit: %d", (unsigned)syscall(SYS_personality, ADDR_NO_RANDOMIZE) == 0);
    V(personality(0xffffffff));
    return 0;
}
