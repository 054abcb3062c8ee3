//! Path walk, names, permissions and mounts on a tmpfs, without a machine.

use super::namespace::{bind, move_mount, remount, unmount};
use super::perm::MAY_WRITE;
use super::*;
use crate::fs::tmpfs::{Options, TmpFs};
use crate::task::{CapSet, Cred};
use abi::fs::{OpenFlags, ResolveFlags};
use abi::mount::UmountFlags;
use std::sync::{Mutex, MutexGuard, Once};

/// The mount table is one for the process, so tests go one at a time.
static SERIAL: Mutex<()> = Mutex::new(());

struct World {
    root: Actor,
    user: Actor,
    _serial: MutexGuard<'static, ()>,
}

fn user_cred(uid: u32) -> Cred {
    let ids = Cred {
        uid,
        euid: uid,
        suid: uid,
        fsuid: uid,
        gid: uid,
        egid: uid,
        sgid: uid,
        fsgid: uid,
        ..Cred::root()
    };
    Cred {
        effective: CapSet::EMPTY,
        permitted: CapSet::EMPTY,
        ..ids
    }
}

fn world() -> World {
    static TYPES: Once = Once::new();
    TYPES.call_once(|| {
        register_filesystem("tmpfs", false, |_, data, _| {
            Ok(TmpFs::new(Options::parse(data, 1 << 20)?))
        });
    });
    let serial = SERIAL.lock().unwrap_or_else(|e| e.into_inner());
    let top = mount_root(
        TmpFs::new(Options {
            mode: 0o755,
            ..Options::default()
        }),
        "root",
        MountFlags::empty(),
    );
    let actor = |cred: Cred| Actor {
        cred: Arc::new(cred),
        root: top.clone(),
        cwd: top.clone(),
        umask: 0o022,
    };
    World {
        root: actor(Cred::root()),
        user: actor(user_cred(1000)),
        _serial: serial,
    }
}

impl World {
    fn mkdir(&self, path: &str) {
        create::mkdir(&self.root, None, path.as_bytes(), 0o777).unwrap();
    }

    fn file(&self, path: &str) {
        create::mknod(
            &self.root,
            None,
            path.as_bytes(),
            InodeKind::Regular,
            0o644,
            0,
        )
        .unwrap();
    }

    fn symlink(&self, path: &str, to: &str) {
        create::symlink(&self.root, None, path.as_bytes(), to.as_bytes()).unwrap();
    }

    fn find(&self, path: &str) -> Result<Path, Errno> {
        find_as(&self.root, path, LookupFlags::FOLLOW, ResolveFlags::empty())
    }

    fn name(&self, path: &Path) -> String {
        String::from_utf8(path_string(path, &self.root.root)).unwrap()
    }

    fn ino(&self, path: &str) -> Result<u64, Errno> {
        Ok(self.find(path)?.inode().metadata().unwrap().ino)
    }
}

fn find_as(
    actor: &Actor,
    path: &str,
    flags: LookupFlags,
    resolve: ResolveFlags,
) -> Result<Path, Errno> {
    Walk::new(actor, None, path.as_bytes(), flags, resolve)
        .and_then(Walk::finish)
        .map_err(|e| e.errno())
}

fn no(result: Result<impl Sized>) -> Errno {
    match result {
        Ok(_) => panic!("should have failed"),
        Err(e) => e.errno(),
    }
}

#[test]
fn walks_names_dots_and_slashes() {
    let w = world();
    w.mkdir("/a");
    w.mkdir("/a/b");
    w.file("/a/b/f");
    let f = w.ino("/a/b/f").unwrap();
    for same in ["a/b/f", "//a///b/./f", "/a/../a/b/../b/f", "/../../a/b/f"] {
        assert_eq!(w.ino(same), Ok(f), "{same}");
    }
    assert_eq!(w.ino("/a/b/f/"), Err(Errno::ENOTDIR));
    assert_eq!(w.ino("/a/b/f/x"), Err(Errno::ENOTDIR));
    assert_eq!(w.ino("/a/b/f/.."), Err(Errno::ENOTDIR));
    assert_eq!(w.ino("/a/c"), Err(Errno::ENOENT));
    assert_eq!(w.ino("/a/c/d"), Err(Errno::ENOENT));
    assert_eq!(w.ino(""), Err(Errno::ENOENT));
    assert_eq!(w.ino(&"x".repeat(256)), Err(Errno::ENAMETOOLONG));
    assert_eq!(w.ino(&"/a/..".repeat(900)), Err(Errno::ENAMETOOLONG));
    assert_eq!(w.name(&w.find("/a/b/f").unwrap()), "/a/b/f");
    assert_eq!(w.name(&w.find("/").unwrap()), "/");
}

#[test]
fn follows_symbolic_links() {
    let w = world();
    w.mkdir("/d");
    w.file("/d/f");
    w.symlink("/abs", "/d");
    w.symlink("/rel", "d");
    w.symlink("/d/up", "../rel/f");
    w.symlink("/loop", "loop");
    w.symlink("/slash", "d/");
    w.symlink("/dangling", "nowhere");
    let f = w.ino("/d/f").unwrap();
    for path in [
        "/abs/f",
        "/rel/f",
        "/d/up",
        "/abs/up",
        "/slash/f",
        "/rel/../rel/f",
    ] {
        assert_eq!(w.ino(path), Ok(f), "{path}");
    }
    assert_eq!(w.ino("/loop"), Err(Errno::ELOOP));
    assert_eq!(w.ino("/loop/x"), Err(Errno::ELOOP));
    assert_eq!(w.ino("/dangling"), Err(Errno::ENOENT));
    let last = |path| {
        find_as(&w.root, path, LookupFlags::empty(), ResolveFlags::empty())
            .map(|p| p.inode().kind())
    };
    assert_eq!(last("/rel"), Ok(InodeKind::Symlink));
    assert_eq!(last("/rel/"), Ok(InodeKind::Directory));
    assert_eq!(last("/d/up/"), Err(Errno::ENOTDIR));
    // 40 links are fine, 41 are not.
    w.symlink("/l0", "d");
    for i in 1..41 {
        w.symlink(&format!("/l{i}"), &format!("l{}", i - 1));
    }
    assert!(w.find("/l39").is_ok());
    assert_eq!(w.ino("/l40"), Err(Errno::ELOOP));
}

#[test]
fn resolve_flags_confine() {
    let w = world();
    w.mkdir("/jail");
    w.file("/jail/f");
    w.file("/secret");
    w.symlink("/jail/abs", "/f");
    w.symlink("/jail/out", "../secret");
    w.symlink("/jail/in", "./f");
    let start = w.find("/jail").unwrap();
    let go = |path: &str, resolve| {
        Walk::new(
            &w.root,
            Some(&start),
            path.as_bytes(),
            LookupFlags::FOLLOW,
            resolve,
        )
        .and_then(Walk::finish)
        .map(|p| w.name(&p))
        .map_err(|e| e.errno())
    };
    let beneath = ResolveFlags::RESOLVE_BENEATH;
    assert_eq!(go("f", beneath), Ok("/jail/f".into()));
    assert_eq!(go("in", beneath), Ok("/jail/f".into()));
    assert_eq!(go("../secret", beneath), Err(Errno::EXDEV));
    assert_eq!(go("abs", beneath), Err(Errno::EXDEV));
    assert_eq!(go("out", beneath), Err(Errno::EXDEV));
    assert_eq!(go("/jail/f", beneath), Err(Errno::EXDEV));
    let in_root = ResolveFlags::RESOLVE_IN_ROOT;
    assert_eq!(go("abs", in_root), Ok("/jail/f".into()));
    assert_eq!(go("/../f", in_root), Ok("/jail/f".into()));
    assert_eq!(go("out", in_root), Err(Errno::ENOENT));
    assert_eq!(
        go("in", ResolveFlags::RESOLVE_NO_SYMLINKS),
        Err(Errno::ELOOP)
    );
}

#[test]
fn permissions_are_checked() {
    let w = world();
    w.mkdir("/open");
    attr::chmod(&w.root.cred, &w.find("/open").unwrap(), 0o1777).unwrap();
    w.mkdir("/open/closed");
    attr::chmod(&w.root.cred, &w.find("/open/closed").unwrap(), 0o700).unwrap();
    w.file("/open/closed/f");
    w.file("/open/f");
    let as_user =
        |path: &str| find_as(&w.user, path, LookupFlags::FOLLOW, ResolveFlags::empty()).map(drop);
    assert_eq!(as_user("/open/f"), Ok(()));
    assert_eq!(as_user("/open/closed/f"), Err(Errno::EACCES));
    assert_eq!(
        no(create::mkdir(&w.user, None, b"/no", 0o777)),
        Errno::EACCES
    );
    let mine = create::mkdir(&w.user, None, b"/open/mine", 0o777).unwrap();
    let meta = mine.inode().metadata().unwrap();
    assert_eq!((meta.uid, meta.mode), (1000, 0o040755));
    // Sticky: not mine, not my directory.
    assert_eq!(no(remove::unlink(&w.user, None, b"/open/f")), Errno::EPERM);
    remove::rmdir(&w.user, None, b"/open/mine").unwrap();
    assert_eq!(w.name(&mine), "/open/mine (deleted)");
    assert_eq!(
        no(create::mkdir(&w.user, Some(&mine), b"x", 0o777)),
        Errno::ENOENT
    );
    let f = w.find("/open/f").unwrap();
    assert_eq!(no(attr::chmod(&w.user.cred, &f, 0o777)), Errno::EPERM);
    assert_eq!(
        no(attr::chown(&w.user.cred, &f, Some(1000), None)),
        Errno::EPERM
    );
    assert_eq!(
        no(perm::path_permission(&w.user.cred, &f, MAY_WRITE)),
        Errno::EACCES
    );
    // Set-id bits go when the owner changes.
    attr::chmod(&w.root.cred, &f, 0o6755).unwrap();
    attr::chown(&w.root.cred, &f, Some(1000), Some(1000)).unwrap();
    assert_eq!(f.inode().metadata().unwrap().mode, 0o100755);
    // chmod by an owner outside the group drops setgid.
    attr::chown(&w.root.cred, &f, None, Some(5)).unwrap();
    attr::chmod(&w.user.cred, &f, 0o2755).unwrap();
    assert_eq!(f.inode().metadata().unwrap().mode, 0o100755);
}

#[test]
fn renames_follow_the_rules() {
    let w = world();
    let none = RenameFlags::empty();
    let mv = |a: &str, b: &str, flags| {
        remove::rename(&w.root, (None, a.as_bytes()), (None, b.as_bytes()), flags)
            .map_err(|e| e.errno())
    };
    w.mkdir("/a");
    w.mkdir("/a/sub");
    w.mkdir("/b");
    w.file("/f");
    w.file("/g");
    let f = w.ino("/f").unwrap();
    assert_eq!(mv("/a", "/a/sub/x", none), Err(Errno::EINVAL));
    assert_eq!(mv("/a/sub", "/a", none), Err(Errno::ENOTEMPTY));
    assert_eq!(mv("/f", "/b", none), Err(Errno::EISDIR));
    assert_eq!(mv("/b", "/f", none), Err(Errno::ENOTDIR));
    assert_eq!(
        mv("/f", "/g", RenameFlags::RENAME_NOREPLACE),
        Err(Errno::EEXIST)
    );
    assert_eq!(mv("/f/", "/h", none), Err(Errno::ENOTDIR));
    assert_eq!(mv("/none", "/h", none), Err(Errno::ENOENT));
    assert_eq!(mv("/a/..", "/h", none), Err(Errno::EBUSY));
    let held = w.find("/f").unwrap();
    mv("/f", "/a/sub/f2", none).unwrap();
    assert_eq!(w.ino("/f"), Err(Errno::ENOENT));
    assert_eq!(w.ino("/a/sub/f2"), Ok(f));
    assert_eq!(w.name(&held), "/a/sub/f2");
    mv("/a/sub/f2", "/g", none).unwrap();
    assert_eq!(w.ino("/g"), Ok(f));
    mv("/g", "/a", RenameFlags::RENAME_EXCHANGE).unwrap();
    assert_eq!(w.ino("/a"), Ok(f));
    assert!(w.find("/g/sub").is_ok());
    mv("/g", "/b", none).unwrap();
    assert!(w.find("/b/sub").is_ok());
    assert_eq!(no(remove::rmdir(&w.root, None, b"/b")), Errno::ENOTEMPTY);
    assert_eq!(no(remove::rmdir(&w.root, None, b"/a")), Errno::ENOTDIR);
    assert_eq!(no(remove::unlink(&w.root, None, b"/b")), Errno::EISDIR);
    assert_eq!(no(remove::rmdir(&w.root, None, b"/b/.")), Errno::EINVAL);
}

#[test]
fn hard_links_and_deleted_names() {
    let w = world();
    w.file("/f");
    let f = w.find("/f").unwrap();
    create::link(&w.root, &f, None, b"/g").unwrap();
    assert_eq!(f.inode().metadata().unwrap().nlink, 2);
    assert_eq!(no(create::link(&w.root, &f, None, b"/g")), Errno::EEXIST);
    assert_eq!(
        no(create::link(&w.root, &w.find("/").unwrap(), None, b"/h")),
        Errno::EPERM
    );
    remove::unlink(&w.root, None, b"/f").unwrap();
    assert_eq!(w.name(&f), "/f (deleted)");
    assert_eq!(f.inode().metadata().unwrap().nlink, 1);
    w.file("/f");
    assert_ne!(w.ino("/f"), w.ino("/g"));
    assert_eq!(w.name(&f), "/f (deleted)");
}

#[test]
fn opens_and_creates() {
    let w = world();
    w.mkdir("/d");
    w.file("/f");
    w.symlink("/new", "d/made");
    let open = |actor: &Actor, path: &str, flags: OpenFlags| {
        How::new(flags, 0o666, ResolveFlags::empty())
            .and_then(|how| open_at(actor, None, path.as_bytes(), how))
            .map_err(|e| e.errno())
            .map(|f| w.name(f.path()))
    };
    let create = OpenFlags::O_CREAT | OpenFlags::O_RDWR;
    assert_eq!(open(&w.root, "/d/x", create), Ok("/d/x".into()));
    assert_eq!(open(&w.root, "/new", create), Ok("/d/made".into()));
    assert_eq!(
        open(&w.root, "/new", create | OpenFlags::O_EXCL),
        Err(Errno::EEXIST)
    );
    assert_eq!(
        open(&w.root, "/new", create | OpenFlags::O_NOFOLLOW),
        Err(Errno::ELOOP)
    );
    assert_eq!(open(&w.root, "/d/y/", create), Err(Errno::EISDIR));
    assert_eq!(open(&w.root, "/d", create), Err(Errno::EISDIR));
    assert_eq!(open(&w.root, "/d", OpenFlags::O_WRONLY), Err(Errno::EISDIR));
    assert_eq!(
        open(&w.root, "/f", OpenFlags::O_DIRECTORY),
        Err(Errno::ENOTDIR)
    );
    assert_eq!(
        open(&w.root, "/new", OpenFlags::O_PATH | OpenFlags::O_NOFOLLOW),
        Ok("/new".into())
    );
    assert_eq!(open(&w.user, "/f", OpenFlags::O_WRONLY), Err(Errno::EACCES));
    assert_eq!(open(&w.user, "/z", create), Err(Errno::EACCES));
    let hidden = open(&w.root, "/d", OpenFlags::O_TMPFILE | OpenFlags::O_RDWR).unwrap();
    assert!(
        hidden.starts_with("/d/#") && hidden.ends_with(" (deleted)"),
        "{hidden}"
    );
    assert_eq!(
        open(&w.root, "/d", OpenFlags::O_TMPFILE),
        Err(Errno::EINVAL)
    );
}

#[test]
fn mounts_cover_and_come_off() {
    let w = world();
    let mount = |path: &str| {
        namespace::mount_new(
            b"tmpfs",
            b"t",
            b"",
            &w.find(path).unwrap(),
            MountFlags::empty(),
        )
    };
    w.mkdir("/m");
    w.file("/m/below");
    let m = mount("/m").unwrap();
    assert_eq!(w.ino("/m/below"), Err(Errno::ENOENT));
    w.file("/m/f");
    w.mkdir("/m/deep");
    assert_eq!(w.name(&w.find("/m/deep/../f").unwrap()), "/m/f");
    assert_eq!(w.ino("/m/.."), w.ino("/"));
    assert_eq!(
        find_as(
            &w.root,
            "/m/f",
            LookupFlags::FOLLOW,
            ResolveFlags::RESOLVE_NO_XDEV
        )
        .err(),
        Some(Errno::EXDEV)
    );
    assert_eq!(no(remove::rmdir(&w.root, None, b"/m")), Errno::EBUSY);
    assert_eq!(
        no(create::link(&w.root, &w.find("/m/f").unwrap(), None, b"/f")),
        Errno::EXDEV
    );
    // Bind, recursively and not.
    mount("/m/deep").unwrap();
    w.file("/m/deep/inner");
    w.mkdir("/flat");
    w.mkdir("/tree");
    bind(&w.find("/m").unwrap(), &w.find("/flat").unwrap(), false).unwrap();
    bind(&w.find("/m").unwrap(), &w.find("/tree").unwrap(), true).unwrap();
    assert_eq!(w.ino("/flat/f"), w.ino("/m/f"));
    assert_eq!(w.ino("/flat/deep/inner"), Err(Errno::ENOENT));
    assert_eq!(w.ino("/tree/deep/inner"), w.ino("/m/deep/inner"));
    // Read-only by mount.
    let ro = MountFlags::MS_RDONLY;
    remount(&w.find("/flat").unwrap(), b"", ro, true).unwrap();
    assert_eq!(
        no(create::mkdir(&w.root, None, b"/flat/x", 0o777)),
        Errno::EROFS
    );
    create::mkdir(&w.root, None, b"/m/x", 0o777).unwrap();
    let text = String::from_utf8(mount_text::mountinfo(&w.root.root)).unwrap();
    assert!(
        text.contains(" / /tree/deep rw,relatime - tmpfs t rw"),
        "{text}"
    );
    assert!(text.contains(" / /flat ro,relatime - tmpfs t rw"), "{text}");
    // Busy, moved, unmounted.
    assert_eq!(
        no(unmount(w.find("/m").unwrap(), UmountFlags::empty())),
        Errno::EBUSY
    );
    assert_eq!(
        no(move_mount(
            &w.find("/m").unwrap(),
            &w.find("/m/deep").unwrap(),
            false
        )),
        Errno::ELOOP
    );
    w.mkdir("/to");
    move_mount(&w.find("/m").unwrap(), &w.find("/to").unwrap(), false).unwrap();
    assert!(w.find("/to/deep/inner").is_ok());
    assert!(w.find("/m/below").is_ok());
    unmount(w.find("/to/deep").unwrap(), UmountFlags::empty()).unwrap();
    let held = w.find("/to/f").unwrap();
    drop(m);
    assert_eq!(
        no(unmount(w.find("/to").unwrap(), UmountFlags::empty())),
        Errno::EBUSY
    );
    unmount(w.find("/to").unwrap(), UmountFlags::MNT_DETACH).unwrap();
    assert_eq!(w.ino("/to/f"), Err(Errno::ENOENT));
    assert_eq!(w.name(&held), "/f");
    unmount(w.find("/tree").unwrap(), UmountFlags::MNT_DETACH).unwrap();
    unmount(w.find("/flat").unwrap(), UmountFlags::empty()).unwrap();
    assert_eq!(
        no(unmount(w.find("/flat").unwrap(), UmountFlags::empty())),
        Errno::EINVAL
    );
}

#[test]
fn the_cache_is_bounded() {
    let w = world();
    w.mkdir("/d");
    for i in 0..200 {
        w.file(&format!("/d/f{i}"));
    }
    let held = w.find("/d/f7").unwrap();
    // Twice round: the first only takes the marks of use away.
    dcache::shrink(2 * dcache::MAX_CACHED);
    dcache::shrink(2 * dcache::MAX_CACHED);
    let dir = w.find("/d").unwrap();
    assert!(dir.dentry.cached(b"f8").is_none());
    assert!(dir.dentry.cached(b"f7").is_some());
    assert_eq!(w.name(&held), "/d/f7");
    assert!(w.find("/d/f8").is_ok());
}

#[test]
fn mount_namespaces_part_and_end() {
    let w = world();
    w.mkdir("/m");
    let at = w.find("/m").unwrap();
    namespace::mount_new(b"tmpfs", b"t", b"", &at, MountFlags::empty()).unwrap();
    w.file("/m/f");
    let before = mount::mounts().len();
    let first = crate::task::FsPaths {
        root: w.root.root.clone(),
        cwd: w.find("/m").unwrap(),
        mounts: None,
    };
    let mut other = first.clone();
    namespace::MountNamespace::unshare(&mut other).unwrap();
    let inside = Actor {
        root: other.root.clone(),
        cwd: other.cwd.clone(),
        ..w.root.clone()
    };
    let find = |path: &str| find_as(&inside, path, LookupFlags::FOLLOW, ResolveFlags::empty());
    assert!(find("f").is_ok() && find("/m/f").is_ok());
    assert_eq!(path_string(&find("f").unwrap(), &inside.root), b"/m/f");
    assert_eq!(
        mount_text::mounts(&inside.root),
        mount_text::mounts(&w.root.root)
    );
    // What is mounted there is not seen here.
    let under = find("/m").unwrap();
    namespace::mount_new(b"tmpfs", b"t2", b"", &under, MountFlags::empty()).unwrap();
    drop(under);
    assert_eq!(find("/m/f").err(), Some(Errno::ENOENT));
    assert!(w.find("/m/f").is_ok());
    drop((inside, other));
    assert_eq!(mount::mounts().len(), before);
    drop(first);
    unmount(w.find("/m").unwrap(), UmountFlags::empty()).unwrap();
}
