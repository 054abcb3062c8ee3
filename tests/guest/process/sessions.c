/* Sessions, groups, orphans: every refusal of setpgid and setsid, who may signal whom. */
#include "t.h"
static volatile int hup, cont; static void on(int s) { if (s == SIGHUP) hup++; else cont++; }
static int sy(int *p, int v) { return write(p[1], &v, 4); }
static int rd(int *p) { int v = -1; read(p[0], &v, 4); return v; }
int main(void)
{
    setvbuf(stdout,0,_IONBF,0);
    int st, p[2], q[2]; pipe(p); pipe(q);
    V(setpgid(-1, 0)); V(setpgid(0, -1)); V(setpgid(999999, 0)); V(setpgid(0, 999999)); V(setpgid(1, 1)); V(getpgid(-1)); V(getpgid(999999)); V(getsid(-1)); V(getsid(999999)); OK(getpgid(1)); OK(getsid(1));
    IN_CHILD("session", { V(setsid() == getpid()); V(setsid()); V(setpgid(0, 0)); V(setpgid(0, getpid())); V(getsid(0) == getpid()); pid_t c = fork(); if (!c) { V(setpgid(0,0)); V(setpgid(0, getppid())); V(setpgid(0, 0)); _exit(0); } waitpid(c, &st, 0); });
    IN_CHILD("leader of a group", { setpgid(0, 0); V(setsid()); });
    IN_CHILD("member of former", { pid_t c = fork(); if (!c) { setpgid(0, 0); pid_t d = fork(); if (!d) { V(setsid() == getpid()); _exit(0); } waitpid(d, 0, 0); _exit(0); } waitpid(c, 0, 0); });
    /* setpgid of child after exec */
    pid_t c = fork(); if (!c) { dup2(p[0], 0); close(p[1]); execl("/bin/cat", "cat", NULL); } 
    close(p[0]); while (1) { char b[64], l[64]; sprintf(b, "/proc/%d/comm", c); int f = open(b, 0); read(f, l, 3); close(f); if (!strncmp(l, "cat", 3)) break; usleep(1000); }
    V(setpgid(c, c)); V(setpgid(c, 0)); close(p[1]); waitpid(c, 0, 0); pipe(p);
    /* child in another session */
    c = fork(); if (!c) { setsid(); sy(p, 1); rd(q); _exit(0); } rd(p); V(setpgid(c, c)); V(setpgid(0, c)); V(setpgid(c, getpgrp())); sy(q, 0); waitpid(c, 0, 0);
    /* grandchild */
    c = fork(); if (!c) { pid_t d = fork(); if (!d) { rd(q); _exit(0); } sy(p, d); waitpid(d, 0, 0); _exit(0); } int d = rd(p); V(setpgid(d, d)); V(getpgid(d) == getpgrp()); sy(q, 0); waitpid(c, 0, 0);
    /* zombie child */
    c = fork(); if (!c) _exit(0); wait_state(c, 'Z'); V(setpgid(c, c)); V(getpgid(c) > 0); V(getsid(c) > 0); V(kill(c, 0)); V(kill(c, SIGTERM)); waitpid(c, 0, 0); V(kill(c, 0)); V(getpgid(c));
    /* a group whose only member is a zombie */
    c = fork(); if (!c) { setpgid(0, 0); _exit(0); } wait_state(c, 'Z'); V(kill(-c, 0)); V(killpg(c, SIGTERM)); V(setpgid(0, c)); waitpid(c, 0, 0); V(kill(-c, 0)); 
    setpgid(0, getpgrp());
    /* orphaned group with a stopped member: SIGHUP and SIGCONT */
    c = fork(); if (!c) {
        setsid(); signal(SIGHUP, SIG_IGN);
        pid_t m = fork(); if (!m) { pid_t k = fork(); if (!k) { setpgid(0, 0); signal(SIGHUP, on); signal(SIGCONT, on); int pa = getppid(); sy(p, getpid()); raise(SIGSTOP); while (!cont || !hup) usleep(1000); say("  orphan stopped: hup %d cont %d", hup, cont); sy(p, 1); _exit(0); } usleep(1000); int kk = rd(p); wait_state(kk, 'T'); _exit(0); }
        waitpid(m, &st, 0); struct pollfd f = {p[0], POLLIN}; if (poll(&f, 1, 3000) != 1) say("  nothing came"); _exit(0); }
    waitpid(c, &st, 0); say("orphan: %s", status_words(st));
    /* orphaned group, no stop by TSTP/TTIN/TTOU */
    c = fork(); if (!c) { setsid(); pid_t k = fork(); if (!k) { setpgid(0, 0); raise(SIGTSTP); raise(SIGTTIN); raise(SIGTTOU); _exit(7); } 
       /* parent in same session, other group: not orphaned */ waitpid(k, &st, WUNTRACED); say("  %s", status_words(st)); kill(k, SIGKILL); waitpid(k, 0, 0); 
       k = fork(); if (!k) { raise(SIGTSTP); raise(SIGTTIN); raise(SIGTTOU); _exit(7); } waitpid(k, &st, WUNTRACED); say("  in the leader's group: %s", status_words(st)); kill(k, SIGKILL); waitpid(k, 0, 0); _exit(0); }
    waitpid(c, 0, 0);
    /* kill -1 from a session of our own isn't tried. Signal permission */
    IN_CHILD("other user", { pid_t me = getpid(); pid_t k = fork(); if (!k) { setuid(1001); V(kill(me, 0)); V(kill(me, SIGCONT)); V(kill(1, 0)); V(kill(-getpgrp(), 0)); V(kill(getpid(), 0)); V(tgkill(me, me, 0)); union sigval v = {0}; V(sigqueue(me, 0, v)); _exit(0); } waitpid(k, 0, 0); });
    IN_CHILD("SIGCONT in session", { pid_t k = fork(); if (!k) { pid_t pa = getppid(); setuid(1001); V(kill(pa, SIGCONT)); V(kill(pa, SIGTERM)); setsid(); V(kill(pa, SIGCONT)); _exit(0); } waitpid(k, 0, 0); });
    IN_CHILD("ruid, suid", { int pa = getpid(); setresuid(1001, 1002, 1003); pid_t k = fork(); if (!k) { V(setresuid(-1, -1, -1)); V(kill(pa, 0)); _exit(0);} waitpid(k, 0, 0); });
    /* exit of session leader without tty: no HUP for members */
    c = fork(); if (!c) { setsid(); pid_t k = fork(); if (!k) { sy(p, getpid()); sleep(10); _exit(0);} _exit(0); } waitpid(c, 0, 0); d = rd(p); msleep(20); V(kill(d, 0)); V(getsid(d) == c); kill(d, SIGKILL);
    return 0;
}
