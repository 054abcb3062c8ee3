/* The line discipline, broadly: every group of settings with every group of
 * input, what is echoed and what is read.
 * timeout: 60
 */
#include "t.h"
#include <termios.h>
static int m, s;
static void bytes(const char *label, const char *b, int n)
{
    char o[4000] = "";
    char *p = o;
    for (int i = 0; i < n; i++)
        if (b[i] > 32 && b[i] < 127 && b[i] != '\\') *p++ = b[i];
        else p += sprintf(p, "\\%02x", (unsigned char)b[i]);
    *p = 0;
    if (n < 0) say("%s: %s", label, errname(errno));
    else say("%s: %d [%s]", label, n, o);
}
static const char *inputs[] = {
    "plain\n",
    "two words\x17x\n",
    "a\tb\tcc\x7f\x7f\x7f\x7f\n",
    "one,two;three_4\x17\x17z\n",
    "kill this\x15kept\n",
    "ctl\x01\x02\x7fq\x7f\x7f\x7fw\n",
    "re\x12print\x7f\x12\n",
    "next\x16\x7f\x16\x03\x16\nend\n",
    "eof\x04more\x04\x04",
    "Caps\xe4\xfc\xff\x80High\n",
    "\xc3\xa4\xe2\x82\xac\x7f\x7f\x7f\n",
    "w\xc3\xa9 \xe2\x82\xacuro\x17\x17.\n",
    "cr\r\nnl\n\rend\r",
    "stop\x13go\x11on\n",
    "x\x13y\n",
    "\x7f\x15\x17\n",
    "tab\t\x7f\x7f\x7f\x7f\x7f\n",
    "long line then tab \t and \ttwo\x17\x17\x17\x17\n",
    "\x1b[A\x08\x0e\x0f\x7f\x7f\n",
    "eol;and:more\n",
    "\x04",
    "a\x04\x7f" "b\n",
    "\x80\x81\x7f\xc3\x7f\n",
    "\xff\xff\x7fq\n",
};
struct setting {
    const char *name;
    int i_on, i_off, o_on, o_off, l_on, l_off;
    char eol, eol2;
};
static const struct setting settings[] = {
    {"std", 0},
    {"utf8", .i_on = IUTF8},
    {"noecho", .l_off = ECHO},
    {"noecho echonl", .l_off = ECHO, .l_on = ECHONL},
    {"no echoe", .l_off = ECHOE},
    {"no echok", .l_off = ECHOK},
    {"no echoke", .l_off = ECHOKE},
    {"no echoctl", .l_off = ECHOCTL},
    {"echoprt", .l_on = ECHOPRT},
    {"echoprt utf8", .l_on = ECHOPRT, .i_on = IUTF8},
    {"no iexten", .l_off = IEXTEN},
    {"no icrnl", .i_off = ICRNL},
    {"inlcr", .i_on = INLCR},
    {"inlcr no icrnl", .i_on = INLCR, .i_off = ICRNL},
    {"igncr", .i_on = IGNCR},
    {"iuclc", .i_on = IUCLC},
    {"istrip", .i_on = ISTRIP},
    {"parmrk", .i_on = PARMRK},
    {"parmrk istrip", .i_on = PARMRK | ISTRIP},
    {"ixany", .i_on = IXANY},
    {"no ixon", .i_off = IXON},
    {"no isig", .l_off = ISIG},
    {"noflsh", .l_on = NOFLSH},
    {"no opost", .o_off = OPOST},
    {"no onlcr", .o_off = ONLCR},
    {"ocrnl", .o_on = OCRNL, .i_off = ICRNL},
    {"ocrnl onlret", .o_on = OCRNL | ONLRET, .i_off = ICRNL},
    {"onlret", .o_on = ONLRET, .o_off = ONLCR},
    {"onocr", .o_on = ONOCR},
    {"olcuc", .o_on = OLCUC},
    {"xtabs", .o_on = XTABS},
    {"xtabs utf8", .o_on = XTABS, .i_on = IUTF8},
    {"eol", .eol = ';', .eol2 = ':'},
    {"eol no iexten", .eol = ';', .eol2 = ':', .l_off = IEXTEN},
    {"raw echo", .l_off = ICANON},
    {"raw echo no icrnl", .l_off = ICANON, .i_off = ICRNL | IXON},
    {"raw isig only", .l_off = ICANON | ECHO, .i_off = ICRNL},
    {"raw ixon only", .l_off = ICANON | ECHO | ISIG, .i_off = ICRNL},
    {"raw", .l_off = ICANON | ECHO | ISIG | IEXTEN, .i_off = ICRNL | IXON, .o_off = OPOST},
    {"raw parmrk", .l_off = ICANON | ECHO | ISIG | IEXTEN, .i_off = ICRNL | IXON, .i_on = PARMRK},
};
/* Input and its echo travel by work queues, which poll waits for. */
static void settle(void)
{
    struct pollfd both[2] = {{s, POLLIN}, {m, POLLIN}};
    for (int i = 0; i < 3; i++) {
        msleep(2);
        poll(both, 2, 0);
    }
}
static void drain(const char *what, int fd)
{
    char b[1000];
    int n, k = 0;
    while ((n = read(fd, b, sizeof b)) >= 0 && k++ < 8) {
        bytes(what, b, n);
        if (n == 0) continue;
    }
}
int main(void)
{
    struct termios t0;
    char name[64];
    int n;
    MUST(m = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK));
    n = 0;
    MUST(ioctl(m, TIOCSPTLCK, &n));
    MUST(ioctl(m, TIOCGPTN, &n));
    sprintf(name, "/dev/pts/%d", n);
    MUST(s = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK));
    MUST(tcgetattr(s, &t0));
    for (unsigned i = 0; i < sizeof settings / sizeof *settings; i++) {
        const struct setting *c = &settings[i];
        for (unsigned j = 0; j < sizeof inputs / sizeof *inputs; j++) {
            struct termios t = t0;
            t.c_iflag = (t.c_iflag | c->i_on) & ~c->i_off;
            t.c_oflag = (t.c_oflag | c->o_on) & ~c->o_off;
            t.c_lflag = (t.c_lflag | c->l_on) & ~c->l_off;
            if (c->eol) t.c_cc[VEOL] = c->eol, t.c_cc[VEOL2] = c->eol2;
            if (!(t.c_lflag & ICANON)) t.c_cc[VMIN] = 1, t.c_cc[VTIME] = 0;
            /* A new line on the screen, so that columns start at 0. */
            MUST(tcsetattr(s, TCSANOW, &t0));
            MUST(write(s, "\n", 1));
            MUST(write(m, "\x11", 1));
            settle();
            char b[100];
            while (read(m, b, sizeof b) > 0);
            while (read(s, b, sizeof b) > 0);
            MUST(tcsetattr(s, TCSAFLUSH, &t));
            int len = strlen(inputs[j]);
            MUST(write(m, inputs[j], len));
            settle();
            say("%s, input %u", c->name, j);
            drain(" echo", m);
            int fion = -1;
            ioctl(s, FIONREAD, &fion);
            say(" fionread %d", fion);
            drain(" read", s);
            MUST(tcflow(s, TCOON));
            MUST(write(m, "\x11", 1));
            settle();
            drain(" later", m);
            /* What a change of mode makes of a line begun. */
            t.c_lflag ^= ICANON;
            t.c_cc[VMIN] = 1;
            MUST(tcsetattr(s, TCSANOW, &t));
            drain(" changed", s);
        }
    }
    /* Output processing from the program's side. */
    const char *out = "a\tb\nc\rd\be\t\tf\x01g\x7f\xc3\xa4\ti\r\r\nend\r\n";
    for (unsigned i = 0; i < sizeof settings / sizeof *settings; i++) {
        const struct setting *c = &settings[i];
        struct termios t = t0;
        t.c_iflag = (t.c_iflag | c->i_on) & ~c->i_off;
        t.c_oflag = (t.c_oflag | c->o_on) & ~c->o_off;
        MUST(tcsetattr(s, TCSANOW, &t0));
        MUST(write(s, "\n", 1));
        MUST(tcsetattr(s, TCSANOW, &t));
        V(write(s, out, strlen(out)));
        settle();
        drain(c->name, m);
    }
    /* Every size of read on canonical lines. */
    MUST(tcsetattr(s, TCSANOW, &t0));
    for (int size = 1; size < 8; size++) {
        MUST(write(m, "abc\nd\x04" "ef\x04\x04g\n", 12));
        settle();
        char b[8];
        int k;
        say("size %d", size);
        while ((k = read(s, b, size)) >= 0) bytes(" part", b, k);
    }
    return 0;
}
