/* overlayfs that promises nothing for its data: works as any other, shows it, and can't be mounted a second time.
 * needs: root
 */
#include "t.h"
#include <sys/mount.h>
static int over(const char *options)
{
    char all[256];
    sprintf(all, "lowerdir=low,upperdir=up,workdir=work%s", options);
    return mount("o", "at", "overlay", 0, all);
}
static void shown(void)
{
    FILE *f = fopen("/proc/self/mounts", "r");
    char line[4096];
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, "o /mnt/at ", 10)) say("shown: %d", strstr(line, "volatile") != NULL);
    fclose(f);
}
int main(void)
{
    MUST(unshare(CLONE_NEWNS));
    MUST(mount("none", "/", 0, MS_REC | MS_PRIVATE, 0));
    MUST(mount("t", "/mnt", "tmpfs", 0, "size=4m,mode=755"));
    MUST(chdir("/mnt"));
    mkdir("low", 0755), mkdir("up", 0755), mkdir("work", 0755), mkdir("at", 0755);
    V(over(",volatile=on")), V(over(",redirect_dir=what")), V(over(",nonsense"));
    V(over(",volatile"));
    shown();
    struct stat s;
    V(stat("work/work/incompat/volatile", &s)), say("%o", s.st_mode & S_IFMT);
    V(stat("work/work/incompat/volatile/dirty", &s)), say("%o %ld", s.st_mode & S_IFMT, (long)s.st_size);
    int f = open("at/file", O_CREAT | O_RDWR, 0644);
    V(write(f, "hello", 5)), V(fsync(f)), V(fdatasync(f)), V(syncfs(f));
    close(f);
    V(stat("up/file", &s)), V(s.st_size);
    V(umount("at"));
    V(over(",volatile")), V(over(""));
    V(unlink("work/work/incompat/volatile/dirty")), V(rmdir("work/work/incompat/volatile"));
    V(over(""));
    shown();
    V(access("at/file", F_OK));
    V(umount("at"));
    MUST(chdir("/"));
    return 0;
}
