/* 2,000 processes at once, 1,000 threads in a process.
 * timeout: 60
 */
#include "t.h"
#include <dirent.h>
#include <sys/prctl.h>

#define THREADS 1000
#define PROCESSES 2000

static pthread_barrier_t meet;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static long sum, handled;
static int next;

static void on(int s) { __sync_fetch_and_add(&handled, 1); }

static void *thread(void *x)
{
    long me = (long)x;
    pthread_barrier_wait(&meet);
    for (int i = 0; i < 10; i++) {
        pthread_mutex_lock(&lock);
        sum += me;
        pthread_mutex_unlock(&lock);
    }
    pthread_barrier_wait(&meet);
    /* Signals of the test come here. */
    pthread_barrier_wait(&meet);
    return (void *)(me * 2);
}

static int tasks(void)
{
    DIR *d = opendir("/proc/self/task");
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void line_of_status(const char *key)
{
    char l[200];
    FILE *f = fopen("/proc/self/status", "r");
    while (fgets(l, sizeof l, f))
        if (!strncmp(l, key, strlen(key))) say("%.*s", (int)strcspn(l, "\n"), l);
    fclose(f);
}

static void threads(void)
{
    static pthread_t t[THREADS];
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 64 << 10);
    pthread_barrier_init(&meet, NULL, THREADS + 1);
    on_signal(SIGUSR1, on, SA_RESTART);
    int made = 0;
    for (long i = 0; i < THREADS; i++) made += pthread_create(&t[i], &a, thread, (void *)i) == 0;
    say("made %d", made);
    line_of_status("Threads:");
    say("tasks %d", tasks());
    pthread_barrier_wait(&meet);
    pthread_barrier_wait(&meet);
    say("sum %ld", sum);
    for (int i = 0; i < THREADS; i++) pthread_kill(t[i], SIGUSR1);
    pthread_barrier_wait(&meet);
    long results = 0;
    for (int i = 0; i < THREADS; i++) {
        void *r;
        pthread_join(t[i], &r);
        results += (long)r;
    }
    say("results %ld, handled %ld", results, handled);
    /* The last to be joined may still be on its way out. */
    for (int i = 0; i < 400 && tasks() > 1; i++) msleep(5);
    say("tasks %d", tasks());
}

static void *forever(void *x)
{
    pthread_barrier_wait(&meet);
    for (;;) pause();
}

/* A whole process of 1,000 threads ends at once. */
static void ended(const char *how)
{
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 64 << 10);
    pthread_barrier_init(&meet, NULL, THREADS + 1);
    pthread_t t;
    for (long i = 0; i < THREADS; i++) MUST(pthread_create(&t, &a, forever, NULL) ? -1 : 0);
    pthread_barrier_wait(&meet);
    if (*how == 'k') kill(getpid(), SIGKILL);
    if (*how == 'x') execl("/bin/sh", "sh", "-c", "exit 5", NULL);
    exit(7);
}

static void processes(void)
{
    int go[2], up[2];
    MUST(pipe(go));
    MUST(pipe(up));
    static pid_t pids[PROCESSES];
    int made = 0;
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            char c;
            close(go[1]);
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            write(up[1], "x", 1);
            read(go[0], &c, 1);
            _exit(i % 100);
        }
        if (pids[i] > 0) made++;
        else {
            say("fork %d: %s", i, errname(errno));
            break;
        }
    }
    say("made %d", made);
    char buffer[PROCESSES];
    int seen = 0;
    while (seen < made) seen += read(up[0], buffer, sizeof buffer);
    say("all run: %d", seen);
    int alive = 0;
    for (int i = 0; i < made; i++) alive += kill(pids[i], 0) == 0;
    say("alive: %d", alive);
    for (int i = 0; i < made; i += 2) kill(pids[i], SIGKILL);
    int killed = 0, exited = 0, sum = 0, st;
    for (int i = 0; i < made; i += 2) killed += waitpid(pids[i], &st, 0) == pids[i] && WIFSIGNALED(st);
    say("killed: %d", killed);
    close(go[1]);
    while (waitpid(-1, &st, 0) > 0) exited++, sum += WEXITSTATUS(st);
    say("exited: %d, sum %d", exited, sum);
}

int main(void)
{
    /* First: the stacks that are kept of 1,000 threads make a slow fork. */
    processes();
    threads();
    IN_CHILD("1,000 threads and exit", ended("e"));
    IN_CHILD("1,000 threads and SIGKILL", ended("k"));
    IN_CHILD("1,000 threads and exec", ended("x"));
    return 0;
}
