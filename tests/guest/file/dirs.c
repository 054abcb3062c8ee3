/* Directory reading: getdents64, seeking, changes during a scan, many entries. */
#include "t.h"
#include <dirent.h>
static int cmp(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }
static void list(const char *n)
{
    DIR *d = opendir(n);
    if (!d) {
        say("%s: %s", n, errname(errno));
        return;
    }
    char *v[4096];
    int c = 0;
    struct dirent *e;
    while ((e = readdir(d))) {
        char t[300];
        sprintf(t, "%s(%d)", e->d_name, e->d_type);
        v[c++] = strdup(t);
    }
    qsort(v, c, sizeof *v, cmp);
    for (int i = 0; i < c && i < 20; i++) say("  %s", v[i]);
    say("%s: %d", n, c);
    closedir(d);
}
int main(void)
{
    mkdir("d", 0755);
    close(open("d/file", O_CREAT | O_WRONLY, 0600));
    mkdir("d/sub", 0700);
    symlink("x", "d/link");
    mkfifo("d/fifo", 0600);
    close(open("d/\xff\xfe odd", O_CREAT | O_WRONLY, 0600));
    unlink("d/\xff\xfe odd");
    list("d");
    list("none");
    list("d/file");
    mkdir("big", 0755);
    char n[64];
    for (int i = 0; i < 2000; i++) {
        sprintf(n, "big/entry-%d", i);
        close(open(n, O_CREAT | O_WRONLY, 0600));
    }
    DIR *d = opendir("big");
    int c = 0;
    while (readdir(d)) c++;
    say("big %d", c);
    rewinddir(d);
    c = 0;
    while (readdir(d)) c++;
    say("again %d", c);
    /* telldir and seekdir give the same entries. */
    rewinddir(d);
    for (int i = 0; i < 700; i++) readdir(d);
    long pos = telldir(d);
    char next[3][64];
    for (int i = 0; i < 3; i++) strcpy(next[i], readdir(d)->d_name);
    for (int i = 0; i < 100; i++) readdir(d);
    seekdir(d, pos);
    int same = 1;
    for (int i = 0; i < 3; i++) same &= !strcmp(next[i], readdir(d)->d_name);
    say("seekdir %d", same);
    /* Deleting while reading sees every other entry exactly once. */
    rewinddir(d);
    static char seen[2000];
    int twice = 0;
    struct dirent *e;
    while ((e = readdir(d)))
        if (e->d_name[0] == 'e') {
            int i = atoi(e->d_name + 6);
            twice += seen[i];
            seen[i] = 1;
            sprintf(n, "big/%s", e->d_name);
            unlink(n);
        }
    c = 0;
    for (int i = 0; i < 2000; i++) c += seen[i];
    say("seen %d twice %d", c, twice);
    closedir(d);
    V(rmdir("big"));
    int f = open("d", O_RDONLY | O_DIRECTORY);
    char b[4096];
    V(syscall(SYS_getdents64, f, b, 10));
    V(syscall(SYS_getdents64, f, (void *)8, 4096));
    V(syscall(SYS_getdents64, open("d/file", O_RDONLY), b, 4096));
    V(syscall(SYS_getdents64, 999, b, 4096));
    long r, total = 0;
    lseek(f, 0, SEEK_SET);
    while ((r = syscall(SYS_getdents64, f, b, 48)) > 0)
        for (long o = 0; o < r; o += *(unsigned short *)(b + o + 16)) total++;
    say("small buffers: %ld", total);
    V(syscall(SYS_getdents64, f, b, 4096));
    lseek(f, 0, SEEK_SET);
    r = syscall(SYS_getdents64, f, b, 4096);
    /* Their order is the file system's own. */
    long dot = 0;
    while (dot < r && strcmp(b + dot + 19, ".")) dot += *(unsigned short *)(b + dot + 16);
    struct stat st;
    stat("d", &st);
    say("inode of . agrees: %d", dot < r && *(ino_t *)(b + dot) == st.st_ino);
    V(read(f, b, 10) < 0 && (errno == EISDIR || errno == EINVAL));
    V(write(f, b, 1));
    V(lseek(f, -1, SEEK_SET));
    unlink("d/file");
    unlink("d/link");
    unlink("d/fifo");
    rmdir("d/sub");
    rmdir("d");
    V(syscall(SYS_getdents64, f, b, 4096));
    lseek(f, 0, SEEK_SET);
    V(syscall(SYS_getdents64, f, b, 4096));
    /* A tree removed from the bottom, one level with . and .. in the walk */
    char path[2000] = "t";
    for (int i = 0; i < 50; i++) {
        mkdir(path, 0755);
        strcat(path, "/nested");
    }
    *strrchr(path, '/') = 0;
    V(access(path, F_OK));
    V(chdir(path));
    char cwd[4096];
    getcwd(cwd, 4096);
    say("cwd ends %d", strlen(cwd) > 300 && !strcmp(cwd + strlen(cwd) - 6, "nested"));
    for (int i = 0; i < 50; i++) chdir("..");
    V(access("t", F_OK));
    V(getcwd(cwd, 1) == NULL && errno == ERANGE);
    while (strrchr(path, '/')) {
        rmdir(path);
        *strrchr(path, '/') = 0;
    }
    V(rmdir("t"));
    return 0;
}
