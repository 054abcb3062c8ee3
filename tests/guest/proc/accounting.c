/* Figures of /proc that need the kernel to keep a count. */
#include "t.h"
#include <sys/mman.h>
static char buf[1 << 16];
static long figure(const char *file, const char *key)
{
    long n = 0, r;
    int fd = open(file, O_RDONLY);
    while (fd >= 0 && (r = read(fd, buf + n, sizeof buf - 1 - n)) > 0) n += r;
    buf[n] = 0;
    close(fd);
    char *at = strstr(buf, key);
    return at ? atol(at + strlen(key)) : -1;
}
static void has(const char *file, const char *key)
{
    say("%s %s: %d", file, key + 1, figure(file, key) >= 0);
}
int main(void)
{
    has("/proc/meminfo", "\nShmem:");
    has("/proc/meminfo", "\nDirty:");
    has("/proc/vmstat", "\npgfault ");
    has("/proc/vmstat", "\npgmajfault ");
    has("/proc/vmstat", "\nnr_shmem ");
    has("/proc/self/smaps_rollup", "\nRss:");
    has("/proc/self/smaps_rollup", "\nPss_Shmem:");
    long shmem = figure("/proc/meminfo", "\nShmem:");
    int fd = MUST(memfd_create("m", 0));
    static char zeros[1 << 20];
    for (int i = 0; i < 32; i++) MUST(pwrite(fd, zeros, sizeof zeros, (long)i << 20));
    say("32 MiB of shared memory show: %d", figure("/proc/meminfo", "\nShmem:") >= shmem + (24 << 10));
    return 0;
}
