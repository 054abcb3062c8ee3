/* Figures of /proc that need the kernel to keep a count. */
#include "t.h"
static void has(const char *file, const char *key)
{
    static char buf[1 << 16];
    long n = 0, r;
    int fd = open(file, O_RDONLY);
    while (fd >= 0 && (r = read(fd, buf + n, sizeof buf - 1 - n)) > 0) n += r;
    buf[n] = 0;
    close(fd);
    say("%s %s: %d", file, key, strstr(buf, key) != NULL);
}
int main(void)
{
    has("/proc/meminfo", "\nShmem:");
    has("/proc/vmstat", "\npgfault ");
    has("/proc/self/smaps_rollup", "\nRss:");
    return 0;
}
