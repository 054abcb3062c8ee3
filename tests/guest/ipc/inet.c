/* Internet sockets as far as they concern no network. */
#include "t.h"
#include <sys/socket.h>
int main(void)
{
    int s[2];
    V(socketpair(AF_INET, SOCK_STREAM, 0, s));
    OK(socket(AF_INET, SOCK_STREAM, 0));
    return 0;
}
