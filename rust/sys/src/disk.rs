//! What the standard library does not offer about files and machines.

use std::fs::File;
use std::io;
use std::path::Path;

/// Reserve the blocks of `len` bytes from `offset` on, growing the file where it is shorter, so that storing into a
/// mapping of them cannot fail for want of space.
#[cfg(target_os = "linux")]
pub fn reserve(file: &File, offset: u64, len: u64) -> io::Result<()> {
    match allocate(file, 0, offset, len) {
        Err(error) if unsupported(&error) => write_zeros(file, offset, len),
        outcome => outcome,
    }
}

/// Reserve the blocks of the first `len` bytes, also those that are shared with a copy (a *reflink*), which would have to
/// be found again when they are written to.
#[cfg(target_os = "linux")]
pub fn reserve_unshared(file: &File, len: u64) -> io::Result<()> {
    if len == 0 {
        return Ok(());
    }
    match allocate(file, libc::FALLOC_FL_UNSHARE_RANGE, 0, len) {
        // Where it is not known, nothing can be shared.
        Err(error) if unsupported(&error) => reserve(file, 0, len),
        outcome => outcome,
    }
}

#[cfg(target_os = "linux")]
fn allocate(file: &File, mode: libc::c_int, offset: u64, len: u64) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let at = libc::off_t::try_from(offset).map_err(io::Error::other)?;
    let size = libc::off_t::try_from(len).map_err(io::Error::other)?;
    loop {
        // SAFETY: a plain system call on an open descriptor.
        if unsafe { libc::fallocate(file.as_raw_fd(), mode, at, size) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(target_os = "linux")]
fn unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL))
}

/// Reserve by writing zeros where there is no call for it: what is there already is left alone.
#[cfg(not(target_os = "linux"))]
pub fn reserve_unshared(file: &File, len: u64) -> io::Result<()> {
    reserve(file, 0, len)
}

/// Reserve by writing zeros where there is no call for it.
#[cfg(not(target_os = "linux"))]
pub fn reserve(file: &File, offset: u64, len: u64) -> io::Result<()> {
    write_zeros(file, offset, len)
}

fn write_zeros(file: &File, offset: u64, len: u64) -> io::Result<()> {
    static ZEROS: [u8; 65536] = [0; 65536];
    let start = offset.max(file.metadata()?.len());
    let mut at = start;
    while at < offset + len {
        let piece = usize::try_from((offset + len - at).min(ZEROS.len() as u64)).unwrap_or(ZEROS.len());
        match write_at(file, &ZEROS[..piece], at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => at += written as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Have the system begin to write a part of a file to the disk. Nothing is waited for, and nothing is promised.
#[cfg(target_os = "linux")]
pub fn start_flush(file: &File, offset: u64, len: u64) {
    use std::os::fd::AsRawFd;
    let (Ok(at), Ok(size)) = (libc::off64_t::try_from(offset), libc::off64_t::try_from(len)) else { return };
    // SAFETY: a plain system call on an open descriptor.
    let _ = unsafe { libc::sync_file_range(file.as_raw_fd(), at, size, libc::SYNC_FILE_RANGE_WRITE) };
}

/// There is no call for it here.
#[cfg(not(target_os = "linux"))]
pub fn start_flush(_file: &File, _offset: u64, _len: u64) {}

/// Write at an offset, wherever the file was read or written before; how many bytes were written.
#[cfg(unix)]
pub fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, bytes, offset)
}

/// Write at an offset, wherever the file was read or written before; how many bytes were written.
#[cfg(windows)]
pub fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, offset)
}

/// Read from an offset on; how many bytes were read.
#[cfg(unix)]
pub fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, offset)
}

/// Read from an offset on; how many bytes were read.
#[cfg(windows)]
pub fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, offset)
}

/// What a file is to the system, apart from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// Tells it from all other files of this machine, for as long as it is open somewhere.
    pub identity: (u64, u64),
    /// Its length in bytes.
    pub len: u64,
    /// Whether it has a name yet.
    pub linked: bool,
    /// The bytes that it takes on the disk; None where that is not told.
    pub allocated: Option<u64>,
}

/// What a file is to the system.
#[cfg(unix)]
pub fn file_facts(file: &File) -> io::Result<FileFacts> {
    Ok(facts(&file.metadata()?))
}

/// The same of what a path leads to, a file or a folder.
#[cfg(unix)]
pub fn path_facts(path: &Path) -> io::Result<FileFacts> {
    Ok(facts(&std::fs::metadata(path)?))
}

#[cfg(unix)]
fn facts(meta: &std::fs::Metadata) -> FileFacts {
    use std::os::unix::fs::MetadataExt;
    const BLOCK_BYTES: u64 = 512;
    FileFacts {
        identity: (meta.dev(), meta.ino()),
        len: meta.len(),
        linked: meta.nlink() > 0,
        allocated: Some(meta.blocks() * BLOCK_BYTES),
    }
}

/// Return when the names in a folder would survive a power cut.
#[cfg(unix)]
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// A file without a name, in memory.
#[cfg(target_os = "linux")]
pub fn anonymous_file() -> io::Result<File> {
    use std::os::fd::FromRawFd;
    // SAFETY: the name is a literal with its NUL.
    let fd = unsafe { libc::memfd_create(c"act-fast".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and owned by nothing else.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// A file whose name is gone as soon as it is open.
#[cfg(all(unix, not(target_os = "linux")))]
pub fn anonymous_file() -> io::Result<File> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("act-fast-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// Let two files or folders have each other's names, in one step.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let one = std::ffi::CString::new(one.as_os_str().as_bytes())?;
    let other = std::ffi::CString::new(other.as_os_str().as_bytes())?;
    #[cfg(target_os = "linux")]
    // SAFETY: a plain system call; both paths end in NUL and outlive it.
    let done =
        unsafe { libc::renameat2(libc::AT_FDCWD, one.as_ptr(), libc::AT_FDCWD, other.as_ptr(), libc::RENAME_EXCHANGE) };
    #[cfg(target_os = "macos")]
    // SAFETY: a plain system call; both paths end in NUL and outlive it.
    let done = unsafe { libc::renamex_np(one.as_ptr(), other.as_ptr(), libc::RENAME_SWAP) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// There is no call for it here.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub fn exchange(_one: &Path, _other: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What is the same until the machine starts again; empty where the system does not tell. An error where it tells, and this
/// process has no descriptor left to read it: that must not be taken for a system that does not tell.
#[cfg(target_os = "linux")]
pub fn boot_id() -> io::Result<String> {
    static KNOWN: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Ok(known.clone());
    }
    match std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(id) => Ok(KNOWN.get_or_init(|| id.trim().to_owned()).clone()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            Ok(String::new())
        }
        Err(error) => Err(error),
    }
}

/// What is the same until the machine starts again.
#[cfg(target_os = "macos")]
pub fn boot_id() -> io::Result<String> {
    let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let mut size = std::mem::size_of::<libc::timeval>();
    // SAFETY: the name ends in NUL, and the buffer is a `timeval` of the size given.
    let done = unsafe {
        libc::sysctlbyname(
            c"kern.boottime".as_ptr(),
            std::ptr::from_mut(&mut time).cast(),
            &raw mut size,
            std::ptr::null_mut(),
            0,
        )
    };
    Ok(if done == 0 { format!("{}.{}", time.tv_sec, time.tv_usec) } else { String::new() })
}

/// The system does not tell.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub fn boot_id() -> io::Result<String> {
    Ok(String::new())
}

/// How long the machine has been up, in ms, sleep included. The same for all processes, and never set back.
#[cfg(unix)]
#[must_use]
pub fn uptime_ms() -> u64 {
    #[cfg(target_os = "linux")]
    const CLOCK: libc::clockid_t = libc::CLOCK_BOOTTIME;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is a local that outlives the call.
    unsafe { libc::clock_gettime(CLOCK, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1000 + time.tv_nsec.cast_unsigned() / 1_000_000
}

/// How many files this process may have open; None where that is not known.
#[cfg(unix)]
#[must_use]
pub fn open_files_max() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is a local that outlives the call.
    let outcome = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    (outcome == 0).then_some(limit.rlim_cur)
}

/// The name of the network file system that a path is on; None when it is on none that is known.
#[cfg(target_os = "linux")]
#[must_use]
pub fn network_file_system(path: &Path) -> Option<&'static str> {
    match file_system(path)? {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x5346_414f => Some("AFS"),
        0x00c3_6400 => Some("Ceph"),
        0x4750_4653 => Some("GPFS"),
        0x0bd0_0bd0 => Some("Lustre"),
        _ => None,
    }
}

/// The name of the file system that a path is on, if it is one that never writes to the same place twice.
#[cfg(target_os = "linux")]
#[must_use]
pub fn copy_on_write_file_system(path: &Path) -> Option<&'static str> {
    copies_on_write(file_system(path)?)
}

/// Whether what is written to reserved blocks of a file stays in them: not so on a file system that never writes to the same
/// place twice.
#[cfg(target_os = "linux")]
#[must_use]
pub fn writes_in_place(file: &File) -> bool {
    use std::os::fd::AsRawFd;
    // SAFETY: all zeros is a valid value of this plain structure.
    let mut about: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: a plain system call on an open descriptor; the structure is a local that outlives it.
    let outcome = unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut about) };
    outcome == 0 && copies_on_write(about.f_type as u64 & 0xffff_ffff).is_none()
}

#[cfg(target_os = "linux")]
fn copies_on_write(file_system: u64) -> Option<&'static str> {
    match file_system {
        0x9123_683e => Some("btrfs"),
        0x2fc1_2fc1 => Some("ZFS"),
        0xca45_1a4e => Some("bcachefs"),
        0x3434 => Some("NILFS"),
        _ => None,
    }
}

/// The number that the system knows the file system of a path by.
#[cfg(target_os = "linux")]
fn file_system(path: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: all zeros is a valid value of this plain structure.
    let mut about: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends in NUL, and the structure is a local that outlives the call.
    let outcome = unsafe { libc::statfs(path.as_ptr(), &raw mut about) };
    (outcome == 0).then_some(about.f_type as u64 & 0xffff_ffff)
}

/// Unknown here.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn writes_in_place(_file: &File) -> bool {
    false
}

/// Unknown here.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn copy_on_write_file_system(_path: &Path) -> Option<&'static str> {
    None
}

/// Unknown here.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn network_file_system(_path: &Path) -> Option<&'static str> {
    None
}
