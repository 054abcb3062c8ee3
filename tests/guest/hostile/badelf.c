/* Executes garbage ELF files: wild headers, huge sizes, overlapping and
 * negative segments, looping interpreters, every byte of the header changed.
 * timeout: 60
 * expect:
 * changed headers tried: 512
 * int 0x80: killed by SIGSEGV
 * vsyscall: killed by SIGSEGV
 * 32-bit program: ENOEXEC
 * truncated: tried
 * shell after all: exited 4
 */
#include "t.h"
static char img[1 << 20];
static long len;
static void write_out(const char *n, long l)
{
    unlink(n);
    int f = open(n, O_CREAT | O_WRONLY, 0755);
    write(f, img, l);
    close(f);
}
static int try(const char *n, int *err)
{
    int pp[2];
    pipe2(pp, O_CLOEXEC);
    pid_t p = fork();
    if (!p) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        alarm(1);
        int d = open("/dev/null", O_RDWR);
        dup2(d, 0);
        dup2(d, 1);
        dup2(d, 2);
        execl(n, "x", "-c", "exit 0", NULL);
        int e = errno;
        write(pp[1], &e, 4);
        _exit(1);
    }
    close(pp[1]);
    int st;
    *err = 0;
    read(pp[0], err, 4);
    close(pp[0]);
    for (int i = 0; i < 300 && !waitpid(p, &st, WNOHANG); i++) msleep(5);
    kill(p, SIGKILL);
    waitpid(p, &st, 0);
    return st;
}
int main(void)
{
    int f = open("/bin/sh", O_RDONLY), e, tried = 0;
    len = read(f, img, sizeof img);
    unsigned seed = 7;
    for (int i = 0; i < 256; i++, tried++) {
        char k = img[i + 4];
        img[i + 4] = (seed = seed * 1103515245 + 12345) >> 16;
        write_out("x", len);
        try("./x", &e);
        img[i + 4] = k;
    }
    for (int i = 0; i < 256; i++, tried++) {
        char keep[1024];
        memcpy(keep, img, 1024);
        for (int k = 0; k < 4; k++) {
            seed = seed * 1103515245 + 12345;
            long v = seed & 1 ? -1L : seed & 2 ? 0x7fffffffffff0000 : (long)seed << 20;
            memcpy(img + 16 + seed / 8 % 600 / 8 * 8, &v, 8);
        }
        write_out("x", len);
        try("./x", &e);
        memcpy(img, keep, 1024);
    }
    say("changed headers tried: %d", tried);
    IN_CHILD("int 0x80", {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        asm volatile("mov $20, %%eax; int $0x80" ::: "rax");
    });
    IN_CHILD("vsyscall", {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        ((long (*)(void *))0xffffffffff600400)(0);
    });
    char k = img[4];
    img[4] = 1;
    img[18] = 3;
    write_out("x32", len);
    try("./x32", &e);
    say("32-bit program: %s", errname(e));
    img[4] = k;
    img[18] = 62;
    for (long l = 0; l < 2000; l += 40) {
        write_out("x", l);
        try("./x", &e);
    }
    for (long l = 4096; l < len; l += 8192) {
        write_out("x", l);
        try("./x", &e);
    }
    say("truncated: tried");
    IN_CHILD("shell after all", execl("/bin/sh", "sh", "-c", "exit 4", NULL));
    return 0;
}
