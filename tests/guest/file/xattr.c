/* Extended attributes: user., trusted., security.; sizes and flags.
 * needs: root
 */
#include "t.h"
#include <sys/xattr.h>
int main(void)
{
    char b[70000];
    int f = open("f", O_CREAT | O_RDWR, 0600);
    mkdir("d", 0700);
    symlink("f", "l");
    symlink("none", "dl");
    V(setxattr("f", "trusted.t", "1", 1, 0));
    V(getxattr("f", "trusted.t", b, 10));
    V(setxattr("f", "user.a", "value", 5, 0));
    V(getxattr("f", "user.a", b, 100));
    V(getxattr("f", "user.a", b, 2));
    V(getxattr("f", "user.a", NULL, 0));
    V(getxattr("f", "user.none", b, 100));
    V(setxattr("f", "user.a", "v2", 2, XATTR_CREATE));
    V(setxattr("f", "user.b", "v2", 2, XATTR_REPLACE));
    V(setxattr("f", "user.a", "v2", 2, XATTR_REPLACE));
    V(setxattr("f", "user.e", "", 0, 0));
    V(getxattr("f", "user.e", b, 10));
    V(setxattr("f", "noprefix", "x", 1, 0));
    V(setxattr("f", "user.", "x", 1, 0));
    V(setxattr("f", "user.a", "x", 1, 99));
    memset(b, 'a', 300);
    b[300] = 0;
    memcpy(b, "user.", 5);
    V(setxattr("f", b, "x", 1, 0));
    V(setxattr("f", "user.big", b, 65537, 0));
    V(setxattr("none", "user.a", "x", 1, 0));
    V(fsetxattr(f, "user.f", "x", 1, 0));
    V(fgetxattr(f, "user.f", b, 1));
    V(lsetxattr("l", "user.l", "x", 1, 0));
    V(lsetxattr("l", "trusted.l", "x", 1, 0));
    V(setxattr("l", "user.l", "x", 1, 0));
    V(setxattr("d", "user.d", "x", 1, 0));
    V(setxattr("dl", "user.d", "x", 1, 0));
    long n = listxattr("f", b, sizeof b);
    int count = 0;
    for (char *p = b; p < b + n; p += strlen(p) + 1)
        if (!strncmp(p, "user.", 5)) count++;
    say("user attributes %d", count);
    V(listxattr("f", b, 1));
    V(listxattr("f", NULL, 0) > 10);
    V(removexattr("f", "user.a"));
    V(removexattr("f", "user.a"));
    V(fremovexattr(f, "user.f"));
    V(setxattr("/proc/self/status", "user.x", "x", 1, 0));
    chmod(".", 0755);
    fchmod(f, 0644);
    IN_CHILD("other user", {
        setuid(1000);
        V(setxattr("f", "user.z", "x", 1, 0));
        V(getxattr("f", "user.e", b, 10));
        V(setxattr("f", "trusted.z", "x", 1, 0));
        V(getxattr("f", "trusted.t", b, 10));
        V(setxattr("f", "security.z", "x", 1, 0));
        long k = listxattr("f", b, sizeof b);
        int tr = 0;
        for (char *p = b; p < b + k; p += strlen(p) + 1) tr += !strncmp(p, "trusted.", 8);
        say("trusted seen %d", tr);
    });
    mkdir("st", 01777);
    chmod("st", 01777);
    IN_CHILD("sticky dir", {
        setuid(1000);
        V(setxattr("st", "user.z", "x", 1, 0));
    });
    return 0;
}
