//! Texts of `--help` and `--showconfig`.

const OPTIONS: &str = "\
--showconfig
    Prints the configuration that this kernel was built with.

mem=<Amount of desired ram>
    How much memory the machine may use: page cache, files in memory and
    programs together. A number of bytes, or with k, M or G behind it.
    The default is half of the host's memory; nothing is reserved.
    Example: mem=512M

--help
    Prints this message.

root=<file containing the root fs>
    The root device. Without it, and without a file root_fs in the current
    directory, the machine runs on the host's own tree, copy-on-write in memory.

rootfstype=hostfs rootflags=<directory>
    Uses a directory of the host as the root file system. Writes go to the
    host; ro keeps the root from being changed.

--version
    Prints the version number of the kernel.

umid=<name>
    Names this machine. The name is the directory of its files under uml_dir.

con[0-9]*=<channel description>
    Attaches a console to a channel of the host. The channels are
        fd:<n>         an open descriptor of this process
        pts            a new pseudo terminal; the kernel log tells its name
        pty            the same of the BSD kind
        tty:<device>   a terminal of the host
        port:<n>       telnet clients of this TCP port
        xterm          a window of a terminal emulator
        null           reads nothing, swallows all output
        none           no such console
    Two of them with a comma between are input and output. con0 is
    fd:0,fd:1 by default, the others are xterm.
    Example: con=pts con0=fd:0,fd:1

ssl-non-raw
    Leaves the host's terminals of serial lines in the mode they are in.

ssl[0-9]*=<channel description>
    Attaches a serial line to a channel, as con does; pty by default.

xterm=<terminal emulator>,<title switch>,<exec switch>
    The emulator for xterm channels, the switch that sets its title, and the
    switch that makes it run a command. The default is xterm,-T,-e.
    Example: xterm=gnome-terminal,-t,--

console=<device>
    Where the kernel log goes; the last one is /dev/console.
    Example: console=ttyS0

uml_dir=<directory>
    Where the directories of machines are kept; ~/.uml by default.

mconsole=notify:<socket>
    Sends notifications to a datagram socket of the host: the path of the
    machine's management console at its start, the message of a panic, and
    what programs write to /proc/mconsole.

quiet
    Keeps the kernel's messages off the console.

noreboot
    The process ends when the guest reboots, instead of starting again.

hostfs=<root dir>,<flags>
    Confines what the guest can mount by hostfs to a directory of the host.
    With the flag append files can only be appended to.

ncpus=<# of desired CPUs>
    How many virtual CPUs the machine has; 1 by default.

spin=<auto|off|always>
    Whether the kernel answers a program that makes system call after system
    call from a second host CPU, which then is busy meanwhile. auto, the
    default: while the host has a CPU that nobody else wants.

nofsgsbase
    Does without the CPU's instructions for FS and GS bases, as hosts that
    lack them have to: slower.

init=<program>
    Runs this program as process 1, instead of /sbin/init or, on the host's
    tree, a shell. Words that the kernel doesn't know are its arguments,
    name=value pairs its environment; everything behind -- is its arguments.

";

/// The text of `--help`.
pub fn text() -> String {
    format!(
        "User Mode Linux v{}\n\tavailable at http://user-mode-linux.sourceforge.net/\n\n{OPTIONS}",
        kernel::RELEASE
    )
}

/// The text of `--showconfig`.
pub fn config() -> String {
    format!(
        "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/um {} Kernel Configuration (Umlaut {})\n#\n\
         CONFIG_UML=y\nCONFIG_64BIT=y\nCONFIG_SMP=y\nCONFIG_HZ=100\nCONFIG_HOSTFS=y\nCONFIG_OVERLAY_FS=y\nCONFIG_TMPFS=y\n\
         CONFIG_DEVTMPFS=y\nCONFIG_PROC_FS=y\nCONFIG_SYSFS=y\nCONFIG_UNIX98_PTYS=y\nCONFIG_EPOLL=y\nCONFIG_FUTEX=y\n\
         CONFIG_SIGNALFD=y\nCONFIG_TIMERFD=y\nCONFIG_EVENTFD=y\nCONFIG_UNIX=y\n# CONFIG_MODULES is not set\n\
         # CONFIG_IA32_EMULATION is not set\n# CONFIG_NAMESPACES is not set\n",
        kernel::RELEASE,
        env!("CARGO_PKG_VERSION")
    )
}
