/* splice, tee, vmsplice, sendfile into pipes: bytes, offsets, errors. */
#include "t.h"
#include <sys/sendfile.h>
static char buf[200000], ref[200000];
static void fill(char *p, int n, int seed)
{
    for (int i = 0; i < n; i++) p[i] = i * 7 + seed + (i >> 8);
}
static long drain(int fd, int n)
{
    long t = 0, r;
    while (t < n && (r = read(fd, buf + t, n - t)) > 0) t += r;
    return t;
}
int main(void)
{
    int p[2], q[2], f = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    fill(ref, sizeof ref, 3);
    V(write(f, ref, 100000));
    pipe(p);
    pipe2(q, O_NONBLOCK);
    loff_t off = 1000;
    long n = 0, r;
    while (n < 50000 && (r = splice(f, &off, p[1], NULL, 50000 - n, 0)) > 0) n += r;
    say("spliced %ld off %ld pos %ld", n, (long)off, (long)lseek(f, 0, SEEK_CUR));
    V(tee(p[0], q[1], 20000, 0));
    V(ioctl(p[0], FIONREAD, &n));
    say("left %d", (int)n);
    V(ioctl(q[0], FIONREAD, &n));
    say("copied %d", (int)n);
    V(drain(q[0], 20000));
    say("same %d", !memcmp(buf, ref + 1000, 20000));
    n = 0;
    while (n < 30000 && (r = splice(p[0], NULL, q[1], NULL, 30000 - n, 0)) > 0) n += r;
    say("moved %ld", n);
    V(drain(q[0], 30000));
    say("same %d", !memcmp(buf, ref + 1000, 30000));
    V(drain(p[0], 20000));
    say("same %d", !memcmp(buf, ref + 31000, 20000));
    V(splice(f, NULL, p[1], NULL, 10, 0));
    lseek(f, 99990, SEEK_SET);
    V(splice(f, NULL, p[1], NULL, 100, 0));
    V(lseek(f, 0, SEEK_CUR));
    V(drain(p[0], 10));
    int g = open("out", O_RDWR | O_CREAT | O_TRUNC, 0600);
    write(p[1], ref, 5000);
    off = 100;
    V(splice(p[0], NULL, g, &off, 3000, 0));
    say("off %ld pos %ld", (long)off, (long)lseek(g, 0, SEEK_CUR));
    V(splice(p[0], NULL, g, NULL, 60000, 0));
    V(lseek(g, 0, SEEK_END));
    V(pread(g, buf, 3000, 100));
    say("same %d %d", !memcmp(buf + 1900, ref + 1900, 1100), !memcmp(buf, ref + 3100, 1000));
    struct iovec v[2] = {{ref, 3000}, {ref + 50000, 5000}};
    V(vmsplice(p[1], v, 2, 0));
    V(drain(p[0], 8000));
    say("same %d %d", !memcmp(buf, ref, 3000), !memcmp(buf + 3000, ref + 50000, 5000));
    write(p[1], "abcdef", 6);
    struct iovec o[2] = {{buf, 2}, {buf + 10, 100}};
    V(vmsplice(p[0], o, 2, 0));
    say("%.2s %.4s", buf, buf + 10);
    V(sendfile(p[1], f, (off = 5, &off), 1000));
    V(drain(p[0], 1000));
    say("same %d", !memcmp(buf, ref + 5, 1000));
    off = 0;
    V(splice(f, &off, p[1], &off, 10, 0));
    V(splice(p[0], &off, f, NULL, 10, 0));
    V(splice(f, NULL, g, NULL, 10, 0));
    V(splice(p[0], NULL, p[1], NULL, 10, 0));
    V(splice(p[1], NULL, f, NULL, 10, 0));
    V(splice(f, NULL, p[0], NULL, 10, 0));
    V(splice(f, NULL, p[1], NULL, 0, 0));
    V(splice(f, NULL, p[1], NULL, 10, 64));
    V(splice(p[0], NULL, f, NULL, 10, SPLICE_F_NONBLOCK));
    V(splice(q[0], NULL, f, NULL, 10, 0));
    V(tee(p[0], p[1], 10, 0));
    V(tee(f, p[1], 10, 0));
    V(tee(q[0], p[1], 10, 0));
    V(vmsplice(f, v, 1, 0));
    V(vmsplice(p[1], (void *)8, 1, 0));
    V(vmsplice(p[1], v, 2000, 0));
    int a = open("out", O_WRONLY | O_APPEND);
    write(p[1], "x", 1);
    V(splice(p[0], NULL, a, NULL, 1, 0));
    V(drain(p[0], 1));
    close(p[0]);
    signal(SIGPIPE, SIG_IGN);
    V(splice(f, (off = 0, &off), p[1], NULL, 10, 0));
    close(p[1]);
    close(q[1]);
    V(splice(q[0], NULL, f, NULL, 10, 0));
    /* A splice that waits for data in the pipe. */
    pipe(p);
    if (!fork()) {
        msleep(30);
        write(p[1], "late", 4);
        _exit(0);
    }
    V(splice(p[0], NULL, g, (off = 0, &off), 100, 0));
    wait(NULL);
    V(pread(g, buf, 4, 0));
    say("%.4s", buf);
    return 0;
}
