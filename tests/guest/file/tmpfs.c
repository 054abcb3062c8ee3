/* Where tmpfs differs from file systems on a disk: the largest size, reads of nothing.
 * disk: no
 */
#include "t.h"
int main(void)
{
    char b[8];
    struct stat st;
    struct timespec ts[2] = {{100, 0}, {100, 0}};
    int f = MUST(open("a", O_CREAT | O_RDWR, 0600));
    V(lseek(f, LONG_MAX, SEEK_SET));
    V(ftruncate(f, LONG_MAX));
    V(pread(f, b, 8, 1L << 50));
    V(ftruncate(f, 0));
    V(pread(f, b, 8, LONG_MAX));
    V(pread(f, b, 8, LONG_MAX - 5));
    V(pwrite(f, b, 8, LONG_MAX - 5));
    V(read(f, b, 1));
    V(write(f, b, 1));
    V(lseek(f, 1, SEEK_CUR));
    V(lseek(f, 0, SEEK_SET));
    futimens(f, ts);
    V(pread(f, b, 0, 0));
    fstat(f, &st);
    say("an empty read is an access: %d", st.st_atime != 100);
    return 0;
}
