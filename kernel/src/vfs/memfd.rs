//! memfd_create(2): tmpfs files without a name, and the seals that limit what may be done to them (mm/memfd.c).

use super::{Dentry, File, Inode, Mount, Path, Superblock, lock_inode};
use crate::error::{Result, err};
use crate::fs::tmpfs::{Options, TmpFs};
use crate::mm::pagecache::PAGE;
use abi::errno::Errno;
use abi::fs::{OpenFlags, SealFlags};
use abi::mm::MfdFlags;
use abi::mount::MountFlags;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};

/// The seals of `inode`; none for files that can't have any.
pub fn seals(inode: &Arc<dyn Inode>) -> SealFlags {
    inode.seals().map_or(SealFlags::empty(), |s| {
        SealFlags::from_bits_retain(s.load(Ordering::Relaxed))
    })
}

const WRITE: SealFlags = SealFlags::F_SEAL_WRITE.union(SealFlags::F_SEAL_FUTURE_WRITE);

/// EPERM where the inode's seals forbid allocating up to `end`, or punching a hole (`hole`).
pub fn check_seals(inode: &Arc<dyn Inode>, hole: bool, end: u64) -> Result<()> {
    let sealed = seals(inode);
    let refused = if hole {
        sealed.intersects(WRITE)
    } else {
        sealed.contains(SealFlags::F_SEAL_GROW) && end > inode.metadata()?.size
    };
    if refused { err(Errno::EPERM) } else { Ok(()) }
}

/// How many of the bytes from `start` to `end` the seals let be written to a file of `size` bytes: pages that would
/// make it grow are refused as a whole (mm/shmem.c:shmem_write_begin()). EPERM for none.
pub fn check_write(inode: &Arc<dyn Inode>, size: u64, start: u64, end: u64) -> Result<u64> {
    let sealed = seals(inode);
    if sealed.intersects(WRITE) {
        return err(Errno::EPERM);
    }
    if !sealed.contains(SealFlags::F_SEAL_GROW) || end <= size {
        return Ok(end - start);
    }
    let whole = size - size % PAGE;
    if start < whole {
        Ok(whole - start)
    } else {
        err(Errno::EPERM)
    }
}

/// EPERM where the seals forbid a change of size.
pub fn check_size(inode: &Arc<dyn Inode>, old: u64, new: u64) -> Result<()> {
    let sealed = seals(inode);
    if sealed.contains(SealFlags::F_SEAL_SHRINK) && new < old
        || sealed.contains(SealFlags::F_SEAL_GROW) && new > old
    {
        return err(Errno::EPERM);
    }
    Ok(())
}

/// EPERM where F_SEAL_EXEC forbids to make the file executable, or not.
pub fn check_mode(inode: &Arc<dyn Inode>, old: u32, new: u32) -> Result<()> {
    if seals(inode).contains(SealFlags::F_SEAL_EXEC) && (old ^ new) & 0o111 != 0 {
        return err(Errno::EPERM);
    }
    Ok(())
}

/// fcntl F_GET_SEALS. EINVAL for files that can't have seals.
pub fn get(file: &File) -> Result<SealFlags> {
    match file.inode().seals() {
        Some(_) => Ok(seals(file.inode())),
        None => err(Errno::EINVAL),
    }
}

/// fcntl F_ADD_SEALS: mm/memfd.c:memfd_add_seals(). EPERM, EBUSY, EINVAL.
pub fn add(file: &File, more: SealFlags) -> Result<()> {
    if !file.writable() {
        return err(Errno::EPERM);
    }
    let Some(place) = file.inode().seals().filter(|_| more.unknown_bits() == 0) else {
        return err(Errno::EINVAL);
    };
    let _writers = lock_inode(file.inode());
    let mut all = seals(file.inode());
    if all.contains(SealFlags::F_SEAL_SEAL) {
        return err(Errno::EPERM);
    }
    let mut more = more;
    // Sealing execution of a file that nobody can execute also seals its content.
    if more.contains(SealFlags::F_SEAL_EXEC) && file.inode().metadata()?.mode & 0o111 != 0 {
        more |= SealFlags::F_SEAL_SHRINK | SealFlags::F_SEAL_GROW | WRITE;
    }
    if more.contains(SealFlags::F_SEAL_WRITE)
        && !all.contains(SealFlags::F_SEAL_WRITE)
        && file
            .inode()
            .mapping()
            .is_some_and(|m| m.is_mapped_writable())
    {
        return err(Errno::EBUSY);
    }
    all |= more;
    place.store(all.bits(), Ordering::Relaxed);
    Ok(())
}

static SHM: LazyLock<(Arc<TmpFs>, Arc<Mount>)> = LazyLock::new(|| {
    let fs = TmpFs::new(Options::default());
    let superblock = Superblock::of(fs.clone(), false);
    let root = superblock.root.clone();
    (
        fs,
        Mount::new(superblock, root, MountFlags::empty(), "tmpfs"),
    )
});

/// The place of a new file of the internal tmpfs, that /proc shows as `name` and ` (deleted)`: memfds, System V and
/// anonymous shared memory.
pub fn shm_path(name: &[u8], mode: u32, uid: u32, gid: u32) -> Result<Path> {
    let (fs, mount) = &*SHM;
    let inode = fs.unnamed_file(mode, uid, gid)?;
    let mut shown = name.to_vec();
    shown.extend_from_slice(b" (deleted)");
    Ok(Path {
        mount: mount.clone(),
        dentry: Dentry::nameless(&shown, inode),
    })
}

/// Longest name of a memfd, bytes.
pub const NAME_MAX: usize = 249;

/// memfd_create(2): the file, and the flags to install it with. EINVAL.
pub fn create(name: &[u8], flags: MfdFlags) -> Result<(Arc<File>, OpenFlags)> {
    let both = MfdFlags::MFD_EXEC | MfdFlags::MFD_NOEXEC_SEAL;
    let known = MfdFlags::MFD_CLOEXEC | MfdFlags::MFD_ALLOW_SEALING | both;
    if !known.contains(flags) || flags.contains(both) {
        return err(Errno::EINVAL);
    }
    let (uid, gid) =
        crate::sched::try_current().map_or((0, 0), |t| (t.cred().fsuid, t.cred().fsgid));
    let noexec = flags.contains(MfdFlags::MFD_NOEXEC_SEAL);
    let mode = if noexec { 0o666 } else { 0o777 };
    let path = shm_path(&[b"/memfd:", name].concat(), mode, uid, gid)?;
    if let Some(seals) = path.inode().seals() {
        let mut start = SealFlags::empty();
        start.set(SealFlags::F_SEAL_EXEC, noexec);
        if !noexec && !flags.contains(MfdFlags::MFD_ALLOW_SEALING) {
            start |= SealFlags::F_SEAL_SEAL;
        }
        seals.store(start.bits(), Ordering::Relaxed);
    }
    let mut install = OpenFlags::O_RDWR | OpenFlags::O_LARGEFILE;
    // Not counted among the file's writers: it may be executed all the same, as in Linux.
    let file = File::new(path.clone(), path.inode().open(install)?, install);
    install.set(OpenFlags::O_CLOEXEC, flags.contains(MfdFlags::MFD_CLOEXEC));
    Ok((file, install))
}
