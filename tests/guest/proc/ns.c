/* The names of a process's namespaces. */
#include "t.h"
int main(void)
{
    const char *names[] = {"mnt", "pid", "uts", "ipc", "net", "user"};
    for (int i = 0; i < 6; i++) {
        char path[64], text[64] = "";
        snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
        if (readlink(path, text, 63) < 0) say("%s: %s", names[i], errname(errno));
        else say("%s: %.*s", names[i], (int)strcspn(text, "["), text);
    }
    return 0;
}
