/* Stop and continue: what stops, what continues, which pending signals they
 * remove, states seen from outside. */
#include "t.h"

/* The parent says it, so that lines keep their order. */
static int ran[2];
static void on_cont(int s) { write(ran[1], "c", 1); }
static void heard(void)
{
    char x;
    struct pollfd p = {ran[0], POLLIN};
    say("cont handler %d", poll(&p, 1, 5000) == 1 && read(ran[0], &x, 1) == 1);
}
static pid_t start(void (*body)(void))
{
    int p[2];
    pipe(p);
    pid_t c = fork();
    if (!c) {
        if (body) body();
        write(p[1], "x", 1);
        for (;;) pause();
    }
    char x;
    read(p[0], &x, 1);
    close(p[0]);
    close(p[1]);
    return c;
}
static void handler(void) { on_signal(SIGCONT, on_cont, 0); }
static void block_cont(void)
{
    sigset_t s;
    sigfillset(&s);
    sigprocmask(SIG_BLOCK, &s, 0);
    handler();
}
static void *spin(void *x)
{
    for (;;);
    return x;
}
static void threads(void)
{
    pthread_t t;
    pthread_create(&t, 0, spin, 0);
}

int main(void)
{
    int st;
    setpgid(0, 0);
    pipe(ran);
    pid_t c = start(handler);
    kill(c, SIGSTOP);
    waitpid(c, &st, WUNTRACED);
    say("%s, state %c", status_words(st), state_of(c));
    kill(c, SIGSTOP);
    msleep(20);
    V(waitpid(c, &st, WUNTRACED | WNOHANG));
    kill(c, SIGCONT);
    waitpid(c, &st, WCONTINUED);
    say("%s", status_words(st));
    heard();
    wait_state(c, 'S');
    say("state %c", state_of(c));
    kill(c, SIGCONT);
    heard();
    V(waitpid(c, &st, WCONTINUED | WNOHANG));
    /* A signal sent while stopped waits for the continue; KILL doesn't. */
    kill(c, SIGSTOP);
    waitpid(c, &st, WUNTRACED);
    kill(c, SIGTERM);
    msleep(20);
    say("state %c", state_of(c));
    kill(c, SIGCONT);
    waitpid(c, &st, 0);
    say("%s", status_words(st));
    c = start(NULL);
    kill(c, SIGSTOP);
    waitpid(c, &st, WUNTRACED);
    kill(c, SIGKILL);
    waitpid(c, &st, 0);
    say("%s", status_words(st));
    /* Continues even when SIGCONT is blocked or ignored. */
    c = start(block_cont);
    kill(c, SIGSTOP);
    waitpid(c, &st, WUNTRACED);
    kill(c, SIGCONT);
    waitpid(c, &st, WCONTINUED);
    say("%s", status_words(st));
    kill(c, SIGTSTP);
    msleep(10);
    say("blocked tstp: %c", state_of(c));
    kill(c, SIGKILL);
    waitpid(c, &st, 0);
    /* All threads stop, also ones that never enter the kernel. */
    c = start(threads);
    kill(c, SIGSTOP);
    waitpid(c, &st, WUNTRACED);
    msleep(20);
    struct timespec a, b;
    clockid_t clk;
    clock_getcpuclockid(c, &clk);
    clock_gettime(clk, &a);
    msleep(50);
    clock_gettime(clk, &b);
    say("stopped threads use no CPU: %d",
        (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < 10);
    kill(c, SIGKILL);
    waitpid(c, &st, 0);
    say("%s", status_words(st));
    /* SIGCONT removes pending stops and the other way round. */
    sigset_t s, p;
    sigfillset(&s);
    sigprocmask(SIG_BLOCK, &s, 0);
    raise(SIGTSTP);
    sigpending(&p);
    say("tstp %d", sigismember(&p, SIGTSTP));
    raise(SIGCONT);
    sigpending(&p);
    say("tstp %d cont %d", sigismember(&p, SIGTSTP), sigismember(&p, SIGCONT));
    raise(SIGTTIN);
    sigpending(&p);
    say("ttin %d cont %d", sigismember(&p, SIGTTIN), sigismember(&p, SIGCONT));
    return 0;
}
