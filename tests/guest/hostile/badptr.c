/* Every system call number with bad pointers and wild arguments, each number
 * in a process of its own. Nothing but the caller may suffer.
 * timeout: 120
 * expect:
 * numbers tried: 470
 * memory of the parent unchanged: 1
 * files of the parent work: 1
 * shell after all: exited 4
 */
#include "t.h"
static const unsigned long wild[] = {0,
                                     8,
                                     -1UL,
                                     0x7fff00000000,
                                     0x7ffffffff000,
                                     0xffffffff81000000,
                                     0x8000000000000000,
                                     4096,
                                     0x7ffcfffff000,
                                     1UL << 31,
                                     0x1000000000000};
int main(void)
{
    char check[4096];
    memset(check, 0x5a, sizeof check);
    int f = open("keep", O_CREAT | O_RDWR, 0600);
    write(f, "keep", 4);
    int tried = 0;
    for (int nr = 0; nr < 470; nr++, tried++) {
        /* What ends the machine or waits for ever by design. */
        if (nr == SYS_reboot || nr == SYS_kill || nr == SYS_tkill || nr == SYS_tgkill) continue;
        pid_t p = fork();
        if (!p) {
            setpgid(0, 0);
            setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
            mkdir("j", 0755);
            chdir("j");
            setgid(54321);
            setuid(54321);
            alarm(1);
            int d = open("/dev/null", O_RDWR);
            dup2(d, 0);
            dup2(d, 1);
            dup2(d, 2);
            unsigned n = sizeof wild / sizeof *wild;
            unsigned seed = nr;
            for (int i = 0; i < 40; i++) {
                unsigned long a[6];
                for (int k = 0; k < 6; k++) {
                    seed = seed * 1103515245 + 12345;
                    a[k] = i < (int)n         ? wild[i]
                           : (seed >> 16) % 3 ? wild[(seed >> 16) % n]
                                              : (seed >> 16) % 8;
                }
                if ((nr == SYS_clone || nr == SYS_fork || nr == SYS_vfork || nr == SYS_clone3) && i > 3)
                    break;
                syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
            }
            _exit(0);
        }
        int st;
        setpgid(p, p);
        for (int i = 0; i < 500 && !waitpid(p, &st, WNOHANG); i++) msleep(i < 20 ? 1 : 5);
        kill(-p, SIGKILL);
        kill(p, SIGKILL);
        waitpid(p, &st, 0);
    }
    say("numbers tried: %d", tried);
    int same = 1;
    for (int i = 0; i < 4096; i++) same &= check[i] == 0x5a;
    say("memory of the parent unchanged: %d", same);
    char b[4];
    say("files of the parent work: %d", pread(f, b, 4, 0) == 4 && !memcmp(b, "keep", 4));
    IN_CHILD("shell after all", execl("/bin/sh", "sh", "-c", "exit 4", NULL));
    return 0;
}
