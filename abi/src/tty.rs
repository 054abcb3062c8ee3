//! Terminals: `termios`, window size, and the ioctl numbers of ttys, pseudo-terminals and consoles.
//!
//! These are the kernel's structs, which differ from the C library's of the same name.

abi_struct! {
    /// The kernel's `struct termios` (`TCGETS`).
    pub struct Termios [36] {
        /// [`InputFlags`] bits.
        pub c_iflag: u32,
        /// [`OutputFlags`] bits.
        pub c_oflag: u32,
        /// [`ControlFlags`] bits; the speed is the field under `CBAUD`.
        pub c_cflag: u32,
        /// [`LocalFlags`] bits.
        pub c_lflag: u32,
        /// Line discipline.
        pub c_line: u8,
        /// Control characters, by [`CC_INDEX`].
        pub c_cc: [u8; NCCS],
    }

    /// `struct termios2` (`TCGETS2`), the same as the kernel's own `struct ktermios`.
    pub struct Termios2 [44] {
        pub c_iflag: u32,
        pub c_oflag: u32,
        pub c_cflag: u32,
        pub c_lflag: u32,
        pub c_line: u8,
        pub c_cc: [u8; NCCS],
        /// Bits per second.
        pub c_ispeed: u32,
        /// Bits per second.
        pub c_ospeed: u32,
    }

    /// The System V `struct termio` (`TCGETA`): low halves of the flags.
    pub struct Termio [18] {
        pub c_iflag: u16,
        pub c_oflag: u16,
        pub c_cflag: u16,
        pub c_lflag: u16,
        pub c_line: u8,
        pub c_cc: [u8; 8],
        pub _pad: u8,
    }

    /// `struct winsize`.
    pub struct Winsize [8] {
        /// Characters.
        pub ws_row: u16,
        pub ws_col: u16,
        /// Pixels.
        pub ws_xpixel: u16,
        pub ws_ypixel: u16,
    }

    /// `struct vt_mode`.
    pub struct VtMode [8] {
        pub mode: u8,
        pub waitv: u8,
        pub relsig: i16,
        pub acqsig: i16,
        pub frsig: i16,
    }

    /// `struct vt_stat`.
    pub struct VtStat [6] {
        pub v_active: u16,
        pub v_signal: u16,
        pub v_state: u16,
    }
}

/// Number of control characters.
pub const NCCS: usize = 19;

/// The value of a control character that is switched off.
pub const POSIX_VDISABLE: u8 = 0;

impl Termios {
    /// What a tty starts with (`drivers/tty/tty_io.c:tty_std_termios`): 38400 baud, 8 bits, canonical with echo.
    pub const STD: Termios = Termios {
        c_iflag: ICRNL | IXON,
        c_oflag: OPOST | ONLCR,
        c_cflag: B38400 | CS8 | CREAD | HUPCL,
        c_lflag: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
        c_line: 0,
        c_cc: [
            3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0,
        ],
    };
}

impl From<Termios> for Termios2 {
    /// Speeds are those of the `CBAUD` field; both directions alike.
    fn from(t: Termios) -> Self {
        let speed = baud(t.c_cflag).unwrap_or(0);
        Termios2 {
            c_iflag: t.c_iflag,
            c_oflag: t.c_oflag,
            c_cflag: t.c_cflag,
            c_lflag: t.c_lflag,
            c_line: t.c_line,
            c_cc: t.c_cc,
            c_ispeed: speed,
            c_ospeed: speed,
        }
    }
}

impl From<Termios2> for Termios {
    fn from(t: Termios2) -> Self {
        Termios {
            c_iflag: t.c_iflag,
            c_oflag: t.c_oflag,
            c_cflag: t.c_cflag,
            c_lflag: t.c_lflag,
            c_line: t.c_line,
            c_cc: t.c_cc,
        }
    }
}

/// Bits per second of the `CBAUD` field; `None` for `BOTHER`, whose speed stands in [`Termios2`].
pub fn baud(cflag: u32) -> Option<u32> {
    if cflag & CBAUD == BOTHER {
        return None;
    }
    BAUDS
        .iter()
        .find(|(_, b)| *b == cflag & CBAUD)
        .and_then(|(name, _)| name[1..].parse().ok())
}

flags! {
    /// `c_iflag`.
    pub struct InputFlags: u32 {
        const IGNBRK = 0o1;
        const BRKINT = 0o2;
        const IGNPAR = 0o4;
        const PARMRK = 0o10;
        const INPCK = 0o20;
        const ISTRIP = 0o40;
        const INLCR = 0o100;
        const IGNCR = 0o200;
        const ICRNL = 0o400;
        const IUCLC = 0o1000;
        const IXON = 0o2000;
        const IXANY = 0o4000;
        const IXOFF = 0o10000;
        const IMAXBEL = 0o20000;
        const IUTF8 = 0o40000;
    }
}
flags! {
    /// `c_oflag`.
    pub struct OutputFlags: u32 {
        const OPOST = 0o1;
        const OLCUC = 0o2;
        const ONLCR = 0o4;
        const OCRNL = 0o10;
        const ONOCR = 0o20;
        const ONLRET = 0o40;
        const OFILL = 0o100;
        const OFDEL = 0o200;
    }
}
consts! {
    /// Delay fields of `c_oflag`, and their values.
    OUTPUT_DELAYS: u32 {
        NL0 = 0o0;
        CR0 = 0o0;
        TAB0 = 0o0;
        BS0 = 0o0;
        VT0 = 0o0;
        FF0 = 0o0;
        NLDLY = 0o400;
        NL1 = 0o400;
        CR1 = 0o1000;
        CR2 = 0o2000;
        CRDLY = 0o3000;
        CR3 = 0o3000;
        TAB1 = 0o4000;
        TAB2 = 0o10000;
        TABDLY = 0o14000;
        TAB3 = 0o14000;
        XTABS = 0o14000;
        BSDLY = 0o20000;
        BS1 = 0o20000;
        VTDLY = 0o40000;
        VT1 = 0o40000;
        FFDLY = 0o100000;
        FF1 = 0o100000;
    }
}
flags! {
    /// `c_cflag`. `CSIZE` is a field ([`CHAR_SIZES`]), as is `CBAUD` ([`BAUDS`]).
    pub struct ControlFlags: u32 {
        const CSIZE = 0o60;
        const CSTOPB = 0o100;
        const CREAD = 0o200;
        const PARENB = 0o400;
        const PARODD = 0o1000;
        const HUPCL = 0o2000;
        const CLOCAL = 0o4000;
        const CBAUDEX = 0o10000;
        const CBAUD = 0o10017;
        const CIBAUD = 0o2003600000;
        const ADDRB = 0o4000000000;
        const CMSPAR = 0o10000000000;
        const CRTSCTS = 0o20000000000;
    }
}
consts! {
    /// Values of `CSIZE`.
    CHAR_SIZES: u32 {
        CS5 = 0o0;
        CS6 = 0o20;
        CS7 = 0o40;
        CS8 = 0o60;
    }
}
consts! {
    /// Values of `CBAUD`, named by bits per second.
    BAUDS: u32 {
        B0 = 0o0;
        B50 = 0o1;
        B75 = 0o2;
        B110 = 0o3;
        B134 = 0o4;
        B150 = 0o5;
        B200 = 0o6;
        B300 = 0o7;
        B600 = 0o10;
        B1200 = 0o11;
        B1800 = 0o12;
        B2400 = 0o13;
        B4800 = 0o14;
        B9600 = 0o15;
        B19200 = 0o16;
        B38400 = 0o17;
        B57600 = 0o10001;
        B115200 = 0o10002;
        B230400 = 0o10003;
        B460800 = 0o10004;
        B500000 = 0o10005;
        B576000 = 0o10006;
        B921600 = 0o10007;
        B1000000 = 0o10010;
        B1152000 = 0o10011;
        B1500000 = 0o10012;
        B2000000 = 0o10013;
        B2500000 = 0o10014;
        B3000000 = 0o10015;
        B3500000 = 0o10016;
        B4000000 = 0o10017;
    }
}
/// Value of `CBAUD`: the speed stands in [`Termios2`].
pub const BOTHER: u32 = 0o10000;
/// Where the input speed stands in `c_cflag`.
pub const IBSHIFT: u32 = 16;
flags! {
    /// `c_lflag`.
    pub struct LocalFlags: u32 {
        const ISIG = 0o1;
        const ICANON = 0o2;
        const XCASE = 0o4;
        const ECHO = 0o10;
        const ECHOE = 0o20;
        const ECHOK = 0o40;
        const ECHONL = 0o100;
        const NOFLSH = 0o200;
        const TOSTOP = 0o400;
        const ECHOCTL = 0o1000;
        const ECHOPRT = 0o2000;
        const ECHOKE = 0o4000;
        const FLUSHO = 0o10000;
        const PENDIN = 0o40000;
        const IEXTEN = 0o100000;
        const EXTPROC = 0o200000;
    }
}
consts! {
    /// Indexes of control characters in `c_cc`.
    CC_INDEX: usize {
        VINTR = 0;
        VQUIT = 1;
        VERASE = 2;
        VKILL = 3;
        VEOF = 4;
        VTIME = 5;
        VMIN = 6;
        VSWTC = 7;
        VSTART = 8;
        VSTOP = 9;
        VSUSP = 10;
        VEOL = 11;
        VREPRINT = 12;
        VDISCARD = 13;
        VWERASE = 14;
        VLNEXT = 15;
        VEOL2 = 16;
    }
}
consts! {
    /// ioctl numbers of ttys. `FIONREAD` (as `TIOCINQ`) and `FIONBIO` are in [`crate::fs`].
    TTY_IOCTLS: u32 {
        TCGETS = 0x5401;
        TCSETS = 0x5402;
        TCSETSW = 0x5403;
        TCSETSF = 0x5404;
        TCGETA = 0x5405;
        TCSETA = 0x5406;
        TCSETAW = 0x5407;
        TCSETAF = 0x5408;
        TCSBRK = 0x5409;
        TCXONC = 0x540a;
        TCFLSH = 0x540b;
        TIOCEXCL = 0x540c;
        TIOCNXCL = 0x540d;
        TIOCSCTTY = 0x540e;
        TIOCGPGRP = 0x540f;
        TIOCSPGRP = 0x5410;
        TIOCOUTQ = 0x5411;
        TIOCSTI = 0x5412;
        TIOCGWINSZ = 0x5413;
        TIOCSWINSZ = 0x5414;
        TIOCMGET = 0x5415;
        TIOCMBIS = 0x5416;
        TIOCMBIC = 0x5417;
        TIOCMSET = 0x5418;
        TIOCGSOFTCAR = 0x5419;
        TIOCSSOFTCAR = 0x541a;
        TIOCINQ = 0x541b;
        TIOCLINUX = 0x541c;
        TIOCCONS = 0x541d;
        TIOCGSERIAL = 0x541e;
        TIOCSSERIAL = 0x541f;
        TIOCPKT = 0x5420;
        TIOCNOTTY = 0x5422;
        TIOCSETD = 0x5423;
        TIOCGETD = 0x5424;
        TCSBRKP = 0x5425;
        TIOCSBRK = 0x5427;
        TIOCCBRK = 0x5428;
        TIOCGSID = 0x5429;
        TIOCGRS485 = 0x542e;
        TIOCSRS485 = 0x542f;
        TCGETX = 0x5432;
        TCSETX = 0x5433;
        TCSETXF = 0x5434;
        TCSETXW = 0x5435;
        TIOCVHANGUP = 0x5437;
        TIOCGPTPEER = 0x5441;
        TIOCSERCONFIG = 0x5453;
        TIOCGLCKTRMIOS = 0x5456;
        TIOCSLCKTRMIOS = 0x5457;
        TIOCSERGETLSR = 0x5459;
        TIOCMIWAIT = 0x545c;
        TIOCGICOUNT = 0x545d;
        TIOCSPTLCK = 0x40045431;
        TIOCSIG = 0x40045436;
        TCSETS2 = 0x402c542b;
        TCSETSW2 = 0x402c542c;
        TCSETSF2 = 0x402c542d;
        TIOCGPTN = 0x80045430;
        TIOCGDEV = 0x80045432;
        TIOCGPKT = 0x80045438;
        TIOCGPTLCK = 0x80045439;
        TIOCGEXCL = 0x80045440;
        TCGETS2 = 0x802c542a;
    }
}
consts! {
    /// Arguments of `TCXONC`.
    TCFLOW: u32 {
        TCOOFF = 0;
        TCOON = 1;
        TCIOFF = 2;
        TCION = 3;
    }
}
consts! {
    /// Arguments of `TCFLSH`.
    TCFLUSH: u32 {
        TCIFLUSH = 0;
        TCOFLUSH = 1;
        TCIOFLUSH = 2;
    }
}
flags! {
    /// First byte of a read in packet mode; data follows 0.
    pub struct PktStatus: u8 {
        const TIOCPKT_FLUSHREAD = 1;
        const TIOCPKT_FLUSHWRITE = 2;
        const TIOCPKT_STOP = 4;
        const TIOCPKT_START = 8;
        const TIOCPKT_NOSTOP = 0x10;
        const TIOCPKT_DOSTOP = 0x20;
        const TIOCPKT_IOCTL = 0x40;
    }
}
flags! {
    /// `TIOCMGET`.
    pub struct ModemLines: u32 {
        const TIOCM_LE = 1;
        const TIOCM_DTR = 2;
        const TIOCM_RTS = 4;
        const TIOCM_ST = 8;
        const TIOCM_SR = 0x10;
        const TIOCM_CTS = 0x20;
        const TIOCM_CAR = 0x40;
        const TIOCM_RNG = 0x80;
        const TIOCM_DSR = 0x100;
        const TIOCM_OUT1 = 0x2000;
        const TIOCM_OUT2 = 0x4000;
        const TIOCM_LOOP = 0x8000;
    }
}
consts! {
    /// Line disciplines of use here.
    LINE_DISCIPLINES: u8 {
        N_TTY = 0;
        N_SLIP = 1;
        N_PPP = 3;
        N_NULL = 27;
    }
}
consts! {
    /// ioctl numbers of consoles.
    KD_IOCTLS: u32 {
        KIOCSOUND = 0x4b2f;
        KDMKTONE = 0x4b30;
        KDGETLED = 0x4b31;
        KDSETLED = 0x4b32;
        KDGKBTYPE = 0x4b33;
        KDADDIO = 0x4b34;
        KDDELIO = 0x4b35;
        KDENABIO = 0x4b36;
        KDDISABIO = 0x4b37;
        KDSETMODE = 0x4b3a;
        KDGETMODE = 0x4b3b;
        KDMAPDISP = 0x4b3c;
        KDUNMAPDISP = 0x4b3d;
        GIO_SCRNMAP = 0x4b40;
        PIO_SCRNMAP = 0x4b41;
        KDGKBMODE = 0x4b44;
        KDSKBMODE = 0x4b45;
        KDGKBENT = 0x4b46;
        KDSKBENT = 0x4b47;
        KDGKBSENT = 0x4b48;
        KDSKBSENT = 0x4b49;
        KDGKBDIACR = 0x4b4a;
        KDSKBDIACR = 0x4b4b;
        KDGETKEYCODE = 0x4b4c;
        KDSETKEYCODE = 0x4b4d;
        KDSIGACCEPT = 0x4b4e;
        KDKBDREP = 0x4b52;
        GIO_FONT = 0x4b60;
        PIO_FONT = 0x4b61;
        KDGKBMETA = 0x4b62;
        KDSKBMETA = 0x4b63;
        KDGKBLED = 0x4b64;
        KDSKBLED = 0x4b65;
        GIO_UNIMAP = 0x4b66;
        PIO_UNIMAP = 0x4b67;
        PIO_UNIMAPCLR = 0x4b68;
        GIO_UNISCRNMAP = 0x4b69;
        PIO_UNISCRNMAP = 0x4b6a;
        GIO_FONTX = 0x4b6b;
        PIO_FONTX = 0x4b6c;
        PIO_FONTRESET = 0x4b6d;
        GIO_CMAP = 0x4b70;
        PIO_CMAP = 0x4b71;
        KDFONTOP = 0x4b72;
    }
}
consts! {
    /// `KDGETMODE`.
    KD_MODES: u32 {
        KD_TEXT = 0;
        KD_GRAPHICS = 1;
        KD_TEXT0 = 2;
        KD_TEXT1 = 3;
    }
}
consts! {
    /// `KDGKBMODE`.
    K_MODES: u32 {
        K_RAW = 0;
        K_XLATE = 1;
        K_MEDIUMRAW = 2;
        K_UNICODE = 3;
        K_OFF = 4;
    }
}
consts! {
    /// `KDGKBTYPE`.
    KB_TYPES: u8 {
        KB_84 = 1;
        KB_101 = 2;
        KB_OTHER = 3;
    }
}
consts! {
    /// ioctl numbers of virtual terminals.
    VT_IOCTLS: u32 {
        VT_OPENQRY = 0x5600;
        VT_GETMODE = 0x5601;
        VT_SETMODE = 0x5602;
        VT_GETSTATE = 0x5603;
        VT_SENDSIG = 0x5604;
        VT_RELDISP = 0x5605;
        VT_ACTIVATE = 0x5606;
        VT_WAITACTIVE = 0x5607;
        VT_DISALLOCATE = 0x5608;
        VT_RESIZE = 0x5609;
        VT_RESIZEX = 0x560a;
        VT_LOCKSWITCH = 0x560b;
        VT_UNLOCKSWITCH = 0x560c;
        VT_GETHIFONTMASK = 0x560d;
        VT_WAITEVENT = 0x560e;
        VT_SETACTIVATE = 0x560f;
    }
}
