/* pidfds of threads and of the dead, their ioctls and files; kcmp; process_mrelease. */
#include "t.h"
#include <linux/sched.h>
#include <sys/pidfd.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <linux/kcmp.h>
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif
static int po(int p, int f) { return syscall(SYS_pidfd_open, p, f); }
static int ps(int fd, int s, void *i, int f) { return syscall(SYS_pidfd_send_signal, fd, s, i, f); }
static volatile pid_t tid; static volatile int stop; static volatile int hits, htid;
static void *thr(void *x) { tid = syscall(SYS_gettid); while (!stop) usleep(1000); return 0; }
static void *thr2(void *x) { tid = syscall(SYS_gettid); while (stop != 2) usleep(1000); syscall(SYS_exit, 0); return 0; }
static void on(int s, siginfo_t *i, void *c) { hits++; htid = syscall(SYS_gettid); say("  sig %d code %d val %d", s, i->si_code, i->si_code == SI_QUEUE || i->si_code < -1 ? i->si_value.sival_int : 0); }
struct pi { uint64_t mask, cgroupid; uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid; int32_t exit_code; uint32_t coredump_mask, coredump_signal; };
#define PIDFD_GET_INFO_ _IOWR(0xFF, 11, struct pi)
static long kc(int a, int b, int t, long i, long j) { return syscall(SYS_kcmp, a, b, t, i, j); }
int main(void)
{
    setvbuf(stdout,0,_IONBF,0);
    int st; siginfo_t si; pthread_t t; struct sigaction sa = {.sa_sigaction = on, .sa_flags = SA_SIGINFO};
    pthread_create(&t, 0, thr, 0); while (!tid) usleep(100);
    V(po(tid, 0)); int tf = po(tid, PIDFD_THREAD); say("thread pidfd %d fd %d", tf >= 0, fcntl(tf, F_GETFD));
    int f = po(getpid(), 0); say("flags %x", fcntl(f, F_GETFL)); int nb = po(getpid(), PIDFD_NONBLOCK); say("flags %x", fcntl(nb, F_GETFL)); V(po(getpid(), 1)); V(po(getpid(), O_CLOEXEC));
    sigaction(SIGUSR1, &sa, 0); sigaction(SIGRTMIN, &sa, 0);
    ps(tf, SIGUSR1, 0, 0); usleep(30000); say("in thread %d", htid == tid);
    V(ps(f, SIGUSR1, 0, 1)); V(ps(f, SIGUSR1, 0, 2)); V(ps(f, SIGUSR1, 0, 3)); V(ps(f, SIGUSR1, 0, 8)); 
    IN_CHILD("group", { setpgid(0, 0); int g = po(getpid(), 0); V(ps(g, SIGUSR1, 0, 4)); });
    memset(&si, 0, sizeof si); si.si_signo = SIGRTMIN; si.si_code = SI_QUEUE; si.si_value.sival_int = 5; si.si_pid = 7; V(ps(f, SIGRTMIN, &si, 0)); si.si_code = SI_USER; V(ps(f, SIGRTMIN, &si, 0)); si.si_code = 5; V(ps(f, SIGRTMIN, &si, 0)); si.si_code = SI_TKILL; V(ps(f, SIGRTMIN, &si, 0)); si.si_code=SI_QUEUE; V(ps(f, SIGUSR1, &si, 0)); V(ps(f, SIGRTMIN, (void *)8, 0)); V(ps(-1, SIGRTMIN, 0, 0)); V(ps(f, -1, 0, 0)); V(ps(f, 65, 0, 0));
    IN_CHILD("foreign code", { int g = po(getppid(), 0); si.si_signo = SIGRTMIN; si.si_code = SI_USER; V(ps(g, SIGRTMIN, &si, 0)); si.si_code = SI_QUEUE; setuid(1000); V(ps(g, 0, 0, 0)); V(syscall(SYS_pidfd_getfd, g, 0, 0)); });
    struct pollfd pf = {tf, POLLIN | POLLOUT | POLLHUP}; V(poll(&pf, 1, 0)); stop = 1; pthread_join(t, 0); V(poll(&pf, 1, 1000)); while (ps(tf, 0, 0, 0) == 0) usleep(100); /* It may be on its way. */ V(poll(&pf, 1, 0)); say("revents %x", pf.revents); V(ps(tf, 0, 0, 0));
    tid = 0; pthread_create(&t, 0, thr2, 0); while (!tid) usleep(100); int tf2 = po(tid, PIDFD_THREAD); stop = 2; pthread_join(t, 0); pf.fd = tf2; V(poll(&pf, 1, 1000)); V(waitid(P_PIDFD, tf2, &si, WEXITED | WNOHANG));
    /* process pidfd: not ready when only the leader has gone */
    pid_t p = fork(); if (!p) { stop = 0; pthread_create(&t, 0, thr, 0); syscall(SYS_exit, 3); }
    int pfd = po(p, 0), lfd = po(p, PIDFD_THREAD); wait_state(p, 'Z'); struct pollfd two[2] = {{pfd, POLLIN}, {lfd, POLLIN}}; V(poll(two, 2, 50)); say("process %x thread %x", two[0].revents, two[1].revents); V(ps(pfd, SIGKILL, 0, 0)); V(poll(two, 2, 1000) > 0); say("process %x", two[0].revents); MUST(waitpid(p, &st, 0)); say("%s", status_words(st)); V(poll(two, 2, 0)); say("reaped %x %x", two[0].revents, two[1].revents); V(po(p, 0));
    /* zombie can be opened */
    p = fork(); if (!p) _exit(5); wait_state(p, 'Z'); int z = po(p, 0); say("zombie opened %d", z >= 0); V(ps(z, 0, 0, 0)); V(ps(z, SIGTERM, 0, 0)); pf.fd = z; V(poll(&pf, 1, 0)); V(syscall(SYS_pidfd_getfd, z, 0, 0)); V(waitid(P_PIDFD, z, &si, WEXITED | WNOWAIT)); V(waitid(P_PIDFD, z, &si, WEXITED)); V(waitid(P_PIDFD, z, &si, WEXITED)); V(ps(z, 0, 0, 0)); V(syscall(SYS_pidfd_getfd, z, 0, 0)); V(syscall(SYS_process_madvise, z, 0, 0, 0, 0)); 
    /* epoll on pidfd, edge */
    p = fork(); if (!p) { usleep(20000); _exit(5); } z = po(p, 0); int ep = epoll_create1(0); struct epoll_event e = {EPOLLIN | EPOLLET}; epoll_ctl(ep, EPOLL_CTL_ADD, z, &e); V(epoll_wait(ep, &e, 1, 2000)); say("%x", e.events); V(epoll_wait(ep, &e, 1, 0)); waitpid(p, 0, 0); 
    /* clone with pidfd of a thread-group */
    int pfx = -1; struct clone_args a = {.flags = CLONE_PIDFD, .pidfd = (long)&pfx, .exit_signal = SIGCHLD}; p = syscall(SYS_clone3, &a, sizeof a); if (!p) _exit(8); say("fd %d cloexec %d fl %x", pfx >= 0, fcntl(pfx, F_GETFD), fcntl(pfx, F_GETFL)); V(waitid(P_PIDFD, pfx, &si, WEXITED)); say("%d %d", si.si_code, si.si_status);
    /* fdinfo */
    char b[4096]; sprintf(b, "/proc/self/fdinfo/%d", f); int fi = open(b, 0); int n = read(fi, b, 4095); b[n] = 0; char *l = strstr(b, "Pid:"); say("fdinfo %d pid %d NSpid %d", l != 0, l ? atoi(l + 4) == getpid() : 0, strstr(b, "NSpid:") != 0); sprintf(b, "/proc/self/fdinfo/%d", z); fi = open(b, 0); n = read(fi, b, 4095); b[n] = 0; l = strstr(b, "Pid:"); say("dead %d", l ? atoi(l + 4) : 99);
    char lk[64]; sprintf(b, "/proc/self/fd/%d", f); n = readlink(b, lk, 63); lk[n] = 0; say("%.15s", lk);
    struct stat sb; fstat(f, &sb); say("size %d", (int)sb.st_size);
     V(mmap(0, 4096, 1, MAP_PRIVATE, f, 0) == MAP_FAILED ? -1 : 0); V(ioctl(f, FIONREAD, &n)); V(fsync(f));
    struct pi pi = {.mask = 3}; V(ioctl(f, PIDFD_GET_INFO_, &pi)); say("mask %d pid %d ppid %d uid %d", (int)(pi.mask & 3), pi.pid == getpid(), pi.ppid == getppid(), pi.ruid); V(ioctl(f, PIDFD_GET_INFO_, 8)); V(ioctl(f, 0x1234, 8)); pi.mask = 8; V(ioctl(pfx, PIDFD_GET_INFO_, &pi));say("exit %d code %x", (int)(pi.mask & 8), pi.exit_code); pi.mask = 3; V(ioctl(pfx, PIDFD_GET_INFO_, &pi));
    /* PIDFD_SELF */
    V(ps(-10000, 0, 0, 0)); V(ps(-10001, 0, 0, 0)); V(ps(-10002, 0, 0, 0)); V(ps(-100,0,0,0)); int g = syscall(SYS_pidfd_getfd, -10001, 0, 0); V(g >= 0 ? 0 : -1);
    V(waitid(P_PIDFD, f, &si, WEXITED)); V(syscall(SYS_pidfd_getfd, f, 0, 0) >= 0); V(syscall(SYS_pidfd_getfd, 0, 0, 0));
    /* kcmp */
    p = fork(); if (!p) { for (;;) pause(); } int me = getpid();
    V(kc(me, me, KCMP_VM, 0, 0)); V(kc(me, p, KCMP_VM, 0, 0) != 0); V(kc(me, p, KCMP_FILE, 0, 0)); V(kc(me, p, KCMP_FILE, 0, 999)); V(kc(me, me, KCMP_FILE, f, nb) > 0); V(kc(me, p, KCMP_FILES, 0, 0) > 0); V(kc(me, me, KCMP_FILES, 0, 0)); V(kc(me, me, KCMP_FS, 0, 0)); V(kc(me, me, KCMP_SIGHAND, 0, 0)); V(kc(me, me, KCMP_IO, 0, 0)); V(kc(me, p, KCMP_IO, 0, 0)); V(kc(me, p, 99, 0, 0)); V(kc(me, 999999, KCMP_VM, 0, 0)); V(kc(0, 0, KCMP_VM, 0, 0)); V(kc(me, p, KCMP_EPOLL_TFD, 0, 0)); { struct kcmp_epoll_slot s = {ep, z, 0}; V(kc(me, me, KCMP_EPOLL_TFD, z, (long)&s)); V(kc(me, me, KCMP_EPOLL_TFD, f, (long)&s) > 0); s.tfd = 0; V(kc(me, me, KCMP_EPOLL_TFD, z, (long)&s)); s.efd = 0; V(kc(me, me, KCMP_EPOLL_TFD, z, (long)&s)); s.efd = ep; s.tfd = z; s.toff = 1; V(kc(me, me, KCMP_EPOLL_TFD, z, (long)&s)); }
    IN_CHILD("kcmp perm", { setuid(1000); V(kc(p, p, KCMP_VM, 0, 0)); });
    /* process_mrelease */
    z = po(p, 0); V(syscall(SYS_process_mrelease, z, 1)); V(syscall(SYS_process_mrelease, z, 0)); V(syscall(SYS_process_mrelease, -1, 0)); V(syscall(SYS_process_mrelease, 0, 0)); kill(p, SIGSTOP); waitpid(p, &st, WUNTRACED); kill(p, SIGKILL); int r = syscall(SYS_process_mrelease, z, 0); say("mrelease of a killed one: %s", r == 0 || errno == ESRCH ? "ok" : errname(errno)); waitpid(p, 0, 0); V(syscall(SYS_process_mrelease, z, 0));
    return 0;
}
