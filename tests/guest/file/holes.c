/* Holes, data, and how many files and descriptors in flight there may be. */
#include "t.h"
#include <sys/socket.h>
#include <sys/un.h>
static void map(int f, const char *what)
{
    struct stat s;
    fstat(f, &s);
    char line[512] = "";
    for (long at = 0; at < s.st_size;) {
        long data = lseek(f, at, SEEK_DATA);
        if (data < 0) break;
        long hole = lseek(f, data, SEEK_HOLE);
        snprintf(line + strlen(line), sizeof line - strlen(line), " %ld-%ld", data, hole);
        at = hole;
    }
    say("%s:%s", what, line);
}
static int send_fd(int s, int fd, int n)
{
    int fds[260];
    for (int i = 0; i < n; i++) fds[i] = fd;
    char c[CMSG_SPACE(sizeof fds)] = {0};
    struct iovec v = {"x", 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = CMSG_SPACE(n * sizeof(int))};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET, h->cmsg_type = SCM_RIGHTS, h->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(h), fds, n * sizeof(int));
    return sendmsg(s, &m, MSG_DONTWAIT);
}
int main(void)
{
    int f = open("f", O_CREAT | O_RDWR | O_TRUNC, 0600);
    char b[4096];
    memset(b, 'x', sizeof b);
    ftruncate(f, 1 << 20);
    map(f, "all hole");
    V(lseek(f, 0, SEEK_DATA)), V(lseek(f, 0, SEEK_HOLE)), V(lseek(f, 1 << 20, SEEK_HOLE)), V(lseek(f, (1 << 20) - 1, SEEK_HOLE));
    pwrite(f, b, 4096, 65536), pwrite(f, b, 4096, 131072);
    map(f, "two");
    fsync(f);
    map(f, "two, synced");
    V(lseek(f, 65537, SEEK_DATA)), V(lseek(f, 65537, SEEK_HOLE)), V(lseek(f, 131072 + 4096, SEEK_DATA));
    V(fallocate(f, 3, 65536, 4096));
    map(f, "punched");
    pwrite(f, b, 10, (1 << 20) - 10);
    map(f, "end");
    V(ftruncate(f, 131073));
    map(f, "cut");
    struct stat s;
    fstat(f, &s);
    say("blocks some %d", s.st_blocks > 0 && s.st_blocks < 2048);
    /* Too many in flight. */
    int pair[2];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    V(send_fd(pair[0], f, 253)), V(send_fd(pair[0], f, 254)), V(send_fd(pair[0], f, 0)), V(send_fd(pair[0], -1, 1)), V(send_fd(pair[0], pair[0], 1));
    if (geteuid() == 0) IN_CHILD("in flight", {
        setgid(65534), setuid(65534);
        struct rlimit r = {20, 20};
        setrlimit(RLIMIT_NOFILE, &r);
        int q[2];
        socketpair(AF_UNIX, SOCK_DGRAM, 0, q);
        V(send_fd(q[0], f, 10)), V(send_fd(q[0], f, 10)), V(send_fd(q[0], f, 10)), V(send_fd(q[0], f, 1));
        char t[100];
        V(recv(q[1], t, 100, 0)), V(send_fd(q[0], f, 1));
    });
    long nr[3] = {0}, later[3] = {0};
    FILE *n = fopen("/proc/sys/fs/file-nr", "r");
    V(fscanf(n, "%ld %ld %ld", nr, nr + 1, nr + 2));
    fclose(n);
    int fds[50];
    for (int i = 0; i < 50; i++) fds[i] = open("f", O_RDONLY);
    say("unused %ld counted %d", nr[1], nr[0] > 0 && nr[2] > nr[0]);
    for (int i = 0; i < 50; i++) close(fds[i]);
    struct stat st;
    V(stat("/proc/sys/fs/file-max", &st)), say("%o", st.st_mode);
    V(stat("/proc/sys/fs/file-nr", &st)), say("%o", st.st_mode);
    if (geteuid() == 0) {
        int max = MUST(open("/proc/sys/fs/file-max", O_RDWR));
        char was[32] = "";
        MUST(read(max, was, 31));
        V(pwrite(max, "x", 1, 0));
        V(pwrite(max, "-1", 2, 0));
        close(max);
    }
    return 0;
}
