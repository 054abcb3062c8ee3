//! Sockets: families, types, options, messages, addresses, and the ioctl numbers of network devices.

consts! {
    /// Address families.
    FAMILIES: u16 {
        AF_UNSPEC = 0;
        AF_UNIX = 1;
        AF_INET = 2;
        AF_AX25 = 3;
        AF_IPX = 4;
        AF_APPLETALK = 5;
        AF_BRIDGE = 7;
        AF_X25 = 9;
        AF_INET6 = 10;
        AF_KEY = 15;
        AF_NETLINK = 16;
        AF_PACKET = 17;
        AF_PPPOX = 24;
        AF_CAN = 29;
        AF_TIPC = 30;
        AF_BLUETOOTH = 31;
        AF_ALG = 38;
        AF_NFC = 39;
        AF_VSOCK = 40;
        AF_KCM = 41;
        AF_QIPCRTR = 42;
        AF_SMC = 43;
        AF_XDP = 44;
        AF_MCTP = 45;
        AF_MAX = 46;
    }
}
/// The same as [`AF_UNIX`].
pub const AF_LOCAL: u16 = AF_UNIX;
consts! {
    /// Socket types, under [`SOCK_TYPE_MASK`].
    SOCK_TYPES: u32 {
        SOCK_STREAM = 1;
        SOCK_DGRAM = 2;
        SOCK_RAW = 3;
        SOCK_RDM = 4;
        SOCK_SEQPACKET = 5;
        SOCK_DCCP = 6;
        SOCK_PACKET = 10;
    }
}
/// The type without its flags.
pub const SOCK_TYPE_MASK: u32 = 0xf;
flags! {
    /// Flags beside a socket type, and of `accept4`.
    pub struct SockFlags: u32 {
        const SOCK_NONBLOCK = 0x800;
        const SOCK_CLOEXEC = 0x80000;
    }
}
consts! {
    /// Protocols of IP.
    IPPROTOS: u32 {
        IPPROTO_IP = 0;
        IPPROTO_ICMP = 1;
        IPPROTO_IGMP = 2;
        IPPROTO_IPIP = 4;
        IPPROTO_TCP = 6;
        IPPROTO_UDP = 17;
        IPPROTO_DCCP = 33;
        IPPROTO_IPV6 = 41;
        IPPROTO_GRE = 47;
        IPPROTO_ESP = 50;
        IPPROTO_AH = 51;
        IPPROTO_ICMPV6 = 58;
        IPPROTO_SCTP = 132;
        IPPROTO_UDPLITE = 136;
        IPPROTO_RAW = 255;
        IPPROTO_MPTCP = 262;
    }
}
consts! {
    /// Levels of socket options.
    SOL: u32 {
        SOL_IP = 0;
        SOL_SOCKET = 1;
        SOL_TCP = 6;
        SOL_UDP = 17;
        SOL_IPV6 = 41;
        SOL_ICMPV6 = 58;
        SOL_RAW = 255;
        SOL_PACKET = 263;
        SOL_NETLINK = 270;
    }
}
consts! {
    /// Options of [`SOL_SOCKET`].
    SO: u32 {
        SO_DEBUG = 1;
        SO_REUSEADDR = 2;
        SO_TYPE = 3;
        SO_ERROR = 4;
        SO_DONTROUTE = 5;
        SO_BROADCAST = 6;
        SO_SNDBUF = 7;
        SO_RCVBUF = 8;
        SO_KEEPALIVE = 9;
        SO_OOBINLINE = 10;
        SO_NO_CHECK = 11;
        SO_PRIORITY = 12;
        SO_LINGER = 13;
        SO_BSDCOMPAT = 14;
        SO_REUSEPORT = 15;
        SO_PASSCRED = 16;
        SO_PEERCRED = 17;
        SO_RCVLOWAT = 18;
        SO_SNDLOWAT = 19;
        SO_RCVTIMEO_OLD = 20;
        SO_SNDTIMEO_OLD = 21;
        SO_BINDTODEVICE = 25;
        SO_ATTACH_FILTER = 26;
        SO_DETACH_FILTER = 27;
        SO_PEERNAME = 28;
        SO_TIMESTAMP_OLD = 29;
        SO_ACCEPTCONN = 30;
        SO_PEERSEC = 31;
        SO_SNDBUFFORCE = 32;
        SO_RCVBUFFORCE = 33;
        SO_PASSSEC = 34;
        SO_TIMESTAMPNS_OLD = 35;
        SO_MARK = 36;
        SO_TIMESTAMPING_OLD = 37;
        SO_PROTOCOL = 38;
        SO_DOMAIN = 39;
        SO_RXQ_OVFL = 40;
        SO_PEEK_OFF = 42;
        SO_NOFCS = 43;
        SO_LOCK_FILTER = 44;
        SO_SELECT_ERR_QUEUE = 45;
        SO_BUSY_POLL = 46;
        SO_MAX_PACING_RATE = 47;
        SO_BPF_EXTENSIONS = 48;
        SO_INCOMING_CPU = 49;
        SO_ATTACH_BPF = 50;
        SO_ATTACH_REUSEPORT_CBPF = 51;
        SO_ATTACH_REUSEPORT_EBPF = 52;
        SO_MEMINFO = 55;
        SO_INCOMING_NAPI_ID = 56;
        SO_COOKIE = 57;
        SO_PEERGROUPS = 59;
        SO_ZEROCOPY = 60;
        SO_TXTIME = 61;
        SO_BINDTOIFINDEX = 62;
        SO_TIMESTAMP_NEW = 63;
        SO_TIMESTAMPNS_NEW = 64;
        SO_TIMESTAMPING_NEW = 65;
        SO_RCVTIMEO_NEW = 66;
        SO_SNDTIMEO_NEW = 67;
        SO_PREFER_BUSY_POLL = 69;
        SO_NETNS_COOKIE = 71;
        SO_BUF_LOCK = 72;
        SO_RESERVE_MEM = 73;
        SO_TXREHASH = 74;
        SO_RCVMARK = 75;
        SO_PASSPIDFD = 76;
        SO_PEERPIDFD = 77;
        SO_RCVPRIORITY = 82;
        SO_PASSRIGHTS = 83;
        SO_INQ = 84;
    }
}
consts! {
    /// Options of [`SOL_IP`].
    IP_OPTS: u32 {
        IP_TOS = 1;
        IP_TTL = 2;
        IP_HDRINCL = 3;
        IP_OPTIONS = 4;
        IP_ROUTER_ALERT = 5;
        IP_RECVOPTS = 6;
        IP_RETOPTS = 7;
        IP_PKTINFO = 8;
        IP_MTU_DISCOVER = 10;
        IP_RECVERR = 11;
        IP_RECVTTL = 12;
        IP_RECVTOS = 13;
        IP_MTU = 14;
        IP_FREEBIND = 15;
        IP_TRANSPARENT = 19;
        IP_RECVORIGDSTADDR = 20;
        IP_MINTTL = 21;
        IP_NODEFRAG = 22;
        IP_CHECKSUM = 23;
        IP_BIND_ADDRESS_NO_PORT = 24;
        IP_RECVFRAGSIZE = 25;
        IP_MULTICAST_IF = 32;
        IP_MULTICAST_TTL = 33;
        IP_MULTICAST_LOOP = 34;
        IP_ADD_MEMBERSHIP = 35;
        IP_DROP_MEMBERSHIP = 36;
        IP_MULTICAST_ALL = 49;
        IP_UNICAST_IF = 50;
        IP_LOCAL_PORT_RANGE = 51;
        IP_PROTOCOL = 52;
    }
}
consts! {
    /// Options of [`SOL_IPV6`].
    IPV6_OPTS: u32 {
        IPV6_ADDRFORM = 1;
        IPV6_CHECKSUM = 7;
        IPV6_UNICAST_HOPS = 16;
        IPV6_MULTICAST_IF = 17;
        IPV6_MULTICAST_HOPS = 18;
        IPV6_MULTICAST_LOOP = 19;
        IPV6_ADD_MEMBERSHIP = 20;
        IPV6_DROP_MEMBERSHIP = 21;
        IPV6_ROUTER_ALERT = 22;
        IPV6_MTU_DISCOVER = 23;
        IPV6_MTU = 24;
        IPV6_RECVERR = 25;
        IPV6_V6ONLY = 26;
        IPV6_HDRINCL = 36;
        IPV6_RECVPKTINFO = 49;
        IPV6_PKTINFO = 50;
        IPV6_RECVHOPLIMIT = 51;
        IPV6_HOPLIMIT = 52;
        IPV6_DONTFRAG = 62;
        IPV6_RECVTCLASS = 66;
        IPV6_TCLASS = 67;
        IPV6_AUTOFLOWLABEL = 70;
        IPV6_TRANSPARENT = 75;
        IPV6_FREEBIND = 78;
    }
}
consts! {
    /// Options of [`SOL_TCP`].
    TCP_OPTS: u32 {
        TCP_NODELAY = 1;
        TCP_MAXSEG = 2;
        TCP_CORK = 3;
        TCP_KEEPIDLE = 4;
        TCP_KEEPINTVL = 5;
        TCP_KEEPCNT = 6;
        TCP_SYNCNT = 7;
        TCP_LINGER2 = 8;
        TCP_DEFER_ACCEPT = 9;
        TCP_WINDOW_CLAMP = 10;
        TCP_INFO = 11;
        TCP_QUICKACK = 12;
        TCP_CONGESTION = 13;
        TCP_MD5SIG = 14;
        TCP_USER_TIMEOUT = 18;
        TCP_REPAIR = 19;
        TCP_FASTOPEN = 23;
        TCP_TIMESTAMP = 24;
        TCP_NOTSENT_LOWAT = 25;
        TCP_CC_INFO = 26;
        TCP_SAVE_SYN = 27;
        TCP_SAVED_SYN = 28;
        TCP_FASTOPEN_CONNECT = 30;
        TCP_ULP = 31;
        TCP_ZEROCOPY_RECEIVE = 35;
        TCP_INQ = 36;
        TCP_TX_DELAY = 37;
        TCP_IS_MPTCP = 43;
        TCP_RTO_MAX_MS = 44;
    }
}
flags! {
    /// Flags of `send` and `recv`, and of what was received. `MSG_FIN`, `MSG_SYN`, `MSG_RST` are of no use to programs.
    pub struct MsgFlags: u32 {
        const MSG_OOB = 1;
        const MSG_PEEK = 2;
        const MSG_DONTROUTE = 4;
        const MSG_CTRUNC = 8;
        const MSG_PROXY = 0x10;
        const MSG_TRUNC = 0x20;
        const MSG_DONTWAIT = 0x40;
        const MSG_EOR = 0x80;
        const MSG_WAITALL = 0x100;
        const MSG_FIN = 0x200;
        const MSG_SYN = 0x400;
        const MSG_CONFIRM = 0x800;
        const MSG_RST = 0x1000;
        const MSG_ERRQUEUE = 0x2000;
        const MSG_NOSIGNAL = 0x4000;
        const MSG_MORE = 0x8000;
        const MSG_WAITFORONE = 0x10000;
        const MSG_BATCH = 0x40000;
        const MSG_ZEROCOPY = 0x4000000;
        const MSG_FASTOPEN = 0x20000000;
        const MSG_CMSG_CLOEXEC = 0x40000000;
    }
}
consts! {
    /// How to `shutdown`.
    SHUT: u32 {
        SHUT_RD = 0;
        SHUT_WR = 1;
        SHUT_RDWR = 2;
    }
}
consts! {
    /// Control messages of [`SOL_SOCKET`].
    SCM: i32 {
        SCM_RIGHTS = 1;
        SCM_CREDENTIALS = 2;
        SCM_SECURITY = 3;
        SCM_PIDFD = 4;
    }
}
/// Most file descriptors in one `SCM_RIGHTS`.
pub const SCM_MAX_FD: usize = 253;
/// Default limit of a listen queue.
pub const SOMAXCONN: u32 = 4096;
/// Most messages in one `sendmmsg` or `recvmmsg`: more are cut off.
pub const MMSG_MAX: usize = 1024;

abi_struct! {
    /// The kernel's `struct user_msghdr`.
    pub struct Msghdr [56] {
        pub msg_name: u64,
        /// Bytes.
        pub msg_namelen: i32,
        pub _pad0: u32,
        pub msg_iov: u64,
        /// Elements.
        pub msg_iovlen: u64,
        pub msg_control: u64,
        /// Bytes.
        pub msg_controllen: u64,
        /// [`MsgFlags`] bits.
        pub msg_flags: u32,
        pub _pad1: u32,
    }

    /// `struct mmsghdr`.
    pub struct Mmsghdr [64] {
        pub msg_hdr: Msghdr,
        /// Bytes moved.
        pub msg_len: u32,
        pub _pad: u32,
    }

    /// `struct cmsghdr`; the data follow.
    pub struct Cmsghdr [16] {
        /// Bytes, header included.
        pub cmsg_len: u64,
        /// One of [`SOL`].
        pub cmsg_level: i32,
        /// Of the level: one of [`SCM`].
        pub cmsg_type: i32,
    }

    /// `struct ucred`.
    pub struct Ucred [12] {
        pub pid: i32,
        pub uid: u32,
        pub gid: u32,
    }

    /// `struct linger`.
    pub struct Linger [8] {
        pub l_onoff: i32,
        /// Seconds.
        pub l_linger: i32,
    }

    /// `struct sockaddr_un`. An address may be shorter: the length that comes with it counts.
    pub struct SockaddrUn [110] {
        pub sun_family: u16,
        pub sun_path: [u8; 108],
    }

    /// `struct sockaddr_in`; port and address are in network byte order.
    pub struct SockaddrIn [16] {
        pub sin_family: u16,
        pub sin_port: [u8; 2],
        pub sin_addr: [u8; 4],
        pub _pad: [u8; 8],
    }

    /// `struct sockaddr_in6`; port, flow and address are in network byte order.
    pub struct SockaddrIn6 [28] {
        pub sin6_family: u16,
        pub sin6_port: [u8; 2],
        pub sin6_flowinfo: [u8; 4],
        pub sin6_addr: [u8; 16],
        pub sin6_scope_id: u32,
    }

    /// `struct sockaddr_nl`.
    pub struct SockaddrNl [12] {
        pub nl_family: u16,
        pub nl_pad: u16,
        pub nl_pid: u32,
        /// Bit mask.
        pub nl_groups: u32,
    }

    /// `struct sockaddr_ll`.
    pub struct SockaddrLl [20] {
        pub sll_family: u16,
        /// Network byte order.
        pub sll_protocol: [u8; 2],
        pub sll_ifindex: i32,
        pub sll_hatype: u16,
        pub sll_pkttype: u8,
        pub sll_halen: u8,
        pub sll_addr: [u8; 8],
    }

    /// `struct in_pktinfo`.
    pub struct InPktinfo [12] {
        pub ipi_ifindex: i32,
        pub ipi_spec_dst: [u8; 4],
        pub ipi_addr: [u8; 4],
    }

    /// `struct in6_pktinfo`.
    pub struct In6Pktinfo [20] {
        pub ipi6_addr: [u8; 16],
        pub ipi6_ifindex: u32,
    }

    /// `struct ip_mreqn`.
    pub struct IpMreqn [12] {
        pub imr_multiaddr: [u8; 4],
        pub imr_address: [u8; 4],
        pub imr_ifindex: i32,
    }

    /// `struct ipv6_mreq`.
    pub struct Ipv6Mreq [20] {
        pub ipv6mr_multiaddr: [u8; 16],
        pub ipv6mr_ifindex: i32,
    }

    /// `struct ifreq`: what the second half holds depends on the ioctl.
    pub struct Ifreq [40] {
        /// NUL-terminated.
        pub ifr_name: [u8; IFNAMSIZ],
        pub ifr_ifru: [u8; 24],
    }

    /// `struct ifconf`.
    pub struct Ifconf [16] {
        /// Bytes.
        pub ifc_len: i32,
        pub _pad: u32,
        pub ifc_buf: u64,
    }
}

/// Bytes of `struct sockaddr_storage`: the largest address.
pub const SOCKADDR_STORAGE: usize = 128;
/// Bytes of an interface name with its NUL.
pub const IFNAMSIZ: usize = 16;

/// `CMSG_ALIGN`: rounds a length up to 8 bytes.
pub const fn cmsg_align(len: usize) -> usize {
    (len + 7) & !7
}

/// `CMSG_SPACE`: bytes that a control message with `len` bytes of data takes, padding included.
pub const fn cmsg_space(len: usize) -> usize {
    size_of::<Cmsghdr>() + cmsg_align(len)
}

/// `CMSG_LEN`: the `cmsg_len` of a control message with `len` bytes of data.
pub const fn cmsg_len(len: usize) -> usize {
    size_of::<Cmsghdr>() + len
}

/// One control message in a buffer: its header, its data, and where the next begins; `None` at the end and for a
/// length that doesn't fit (`CMSG_OK`).
pub fn cmsg_at(buf: &[u8], pos: usize) -> Option<(Cmsghdr, &[u8], usize)> {
    let (hdr, rest) = <Cmsghdr as zerocopy::FromBytes>::read_from_prefix(buf.get(pos..)?).ok()?;
    let len = usize::try_from(hdr.cmsg_len)
        .ok()?
        .checked_sub(size_of::<Cmsghdr>())?;
    Some((hdr, rest.get(..len)?, pos + cmsg_space(len)))
}

consts! {
    /// ioctl numbers of sockets and network devices.
    SOCK_IOCTLS: u32 {
        FIOSETOWN = 0x8901;
        SIOCSPGRP = 0x8902;
        FIOGETOWN = 0x8903;
        SIOCGPGRP = 0x8904;
        SIOCATMARK = 0x8905;
        SIOCGSTAMP_OLD = 0x8906;
        SIOCGSTAMPNS_OLD = 0x8907;
        SIOCADDRT = 0x890b;
        SIOCDELRT = 0x890c;
        SIOCGIFNAME = 0x8910;
        SIOCGIFCONF = 0x8912;
        SIOCGIFFLAGS = 0x8913;
        SIOCSIFFLAGS = 0x8914;
        SIOCGIFADDR = 0x8915;
        SIOCSIFADDR = 0x8916;
        SIOCGIFDSTADDR = 0x8917;
        SIOCSIFDSTADDR = 0x8918;
        SIOCGIFBRDADDR = 0x8919;
        SIOCSIFBRDADDR = 0x891a;
        SIOCGIFNETMASK = 0x891b;
        SIOCSIFNETMASK = 0x891c;
        SIOCGIFMETRIC = 0x891d;
        SIOCSIFMETRIC = 0x891e;
        SIOCGIFMTU = 0x8921;
        SIOCSIFMTU = 0x8922;
        SIOCSIFNAME = 0x8923;
        SIOCSIFHWADDR = 0x8924;
        SIOCGIFHWADDR = 0x8927;
        SIOCADDMULTI = 0x8931;
        SIOCDELMULTI = 0x8932;
        SIOCGIFINDEX = 0x8933;
        SIOCDIFADDR = 0x8936;
        SIOCSIFHWBROADCAST = 0x8937;
        SIOCGIFTXQLEN = 0x8942;
        SIOCSIFTXQLEN = 0x8943;
        SIOCETHTOOL = 0x8946;
        SIOCOUTQNSD = 0x894b;
        SIOCGSKNS = 0x894c;
        SIOCDARP = 0x8953;
        SIOCGARP = 0x8954;
        SIOCSARP = 0x8955;
        SIOCGIFMAP = 0x8970;
        SIOCSIFMAP = 0x8971;
    }
}
/// `ioctl` of a socket: bytes to read (the same number as `FIONREAD`).
pub const SIOCINQ: u32 = 0x541b;
/// `ioctl` of a socket: bytes not yet sent (the same number as `TIOCOUTQ`).
pub const SIOCOUTQ: u32 = 0x5411;
flags! {
    /// Flags of a network device.
    pub struct IffFlags: u32 {
        const IFF_UP = 1;
        const IFF_BROADCAST = 2;
        const IFF_DEBUG = 4;
        const IFF_LOOPBACK = 8;
        const IFF_POINTOPOINT = 0x10;
        const IFF_NOTRAILERS = 0x20;
        const IFF_RUNNING = 0x40;
        const IFF_NOARP = 0x80;
        const IFF_PROMISC = 0x100;
        const IFF_ALLMULTI = 0x200;
        const IFF_MASTER = 0x400;
        const IFF_SLAVE = 0x800;
        const IFF_MULTICAST = 0x1000;
        const IFF_PORTSEL = 0x2000;
        const IFF_AUTOMEDIA = 0x4000;
        const IFF_DYNAMIC = 0x8000;
        const IFF_LOWER_UP = 0x10000;
        const IFF_DORMANT = 0x20000;
        const IFF_ECHO = 0x40000;
    }
}
consts! {
    /// Hardware types of network devices.
    ARPHRD: u16 {
        ARPHRD_ETHER = 1;
        ARPHRD_SLIP = 256;
        ARPHRD_PPP = 512;
        ARPHRD_TUNNEL = 768;
        ARPHRD_LOOPBACK = 772;
        ARPHRD_SIT = 776;
        ARPHRD_NETLINK = 824;
        ARPHRD_NONE = 65534;
        ARPHRD_VOID = 65535;
    }
}
