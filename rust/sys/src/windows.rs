//! What Windows does in its own way. Checked by the compiler; the engine as a whole is not ported.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::disk::FileFacts;

const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
const FILE_FLAG_DELETE_ON_CLOSE: u32 = 0x0400_0000;
const FILE_ATTRIBUTE_TEMPORARY: u32 = 0x0000_0100;
const SYNCHRONIZE: u32 = 0x0010_0000;

/// `BY_HANDLE_FILE_INFORMATION`; the times are left as the pairs of words that they are.
#[repr(C)]
#[derive(Default)]
struct FileInformation {
    attributes: u32,
    created: [u32; 2],
    accessed: [u32; 2],
    written: [u32; 2],
    volume_serial_number: u32,
    size_high: u32,
    size_low: u32,
    links: u32,
    index_high: u32,
    index_low: u32,
}

#[link(name = "kernel32")]
unsafe extern "system" {
    fn GetFileInformationByHandle(file: *mut std::ffi::c_void, found: *mut FileInformation) -> i32;
    fn GetTickCount64() -> u64;
}

/// What a file is to the system.
pub fn file_facts(file: &File) -> io::Result<FileFacts> {
    let mut found = FileInformation::default();
    // SAFETY: the handle is open for as long as the file is borrowed, and the structure is a local of the layout named.
    if unsafe { GetFileInformationByHandle(file.as_raw_handle().cast(), &raw mut found) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let index = u64::from(found.index_high) << 32 | u64::from(found.index_low);
    Ok(FileFacts {
        identity: (found.volume_serial_number.into(), index),
        len: u64::from(found.size_high) << 32 | u64::from(found.size_low),
        linked: found.links > 0,
        allocated: None,
    })
}

/// The same of what a path leads to, a file or a folder.
pub fn path_facts(path: &Path) -> io::Result<FileFacts> {
    file_facts(&OpenOptions::new().access_mode(SYNCHRONIZE).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)?)
}

/// Nothing: NTFS keeps a journal of names, and there is no call to flush those of a folder.
pub fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// A file that is gone as soon as no process has it open.
pub fn anonymous_file() -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("act-fast-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .attributes(FILE_ATTRIBUTE_TEMPORARY)
        .custom_flags(FILE_FLAG_DELETE_ON_CLOSE)
        .open(std::env::temp_dir().join(name))
}

/// How long the machine has been up, in ms, sleep included. The same for all processes, and never set back.
#[must_use]
pub fn uptime_ms() -> u64 {
    // SAFETY: a plain system call.
    unsafe { GetTickCount64() }
}

/// How many files this process may have open: as many as memory has room for.
#[must_use]
pub fn open_files_max() -> Option<u64> {
    None
}
