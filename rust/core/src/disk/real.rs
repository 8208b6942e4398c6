//! A directory of a real file system.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use act_fast_sys::{
    FileFacts, Guarded, Map, copy_on_write_file_system, exchange, file_facts, network_file_system, open_files_max,
    path_facts, read_at, reserve, reserve_unshared, start_flush, sync_folder, write_at, writes_in_place,
};

use super::{Access, Disk, DiskFile, Facts, LockGuard};

/// How many files an open store has open: its place among the handles, the control file, and the log file that it writes.
const STORE_FILES: u32 = 3;
/// How many it has open for moments: while it is opened and closed, and when others write many log files at once.
const STORE_FILES_MAX: u32 = 12;

/// A directory of a real file system.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
    archive: Option<String>,
}

impl RealDisk {
    /// The directory at `root`, which need not be there yet.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf(), archive: None }
    }

    /// The same, of which the archive is at an address, whatever the store says.
    #[must_use]
    pub fn with_archive(self, address: Option<String>) -> Self {
        Self { archive: address, ..self }
    }

    fn lock_file(&self, name: &str) -> io::Result<Guarded> {
        let path = self.root.join(name);
        let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path);
        Guarded::open(open).map_err(|error| told(&path, error))
    }
}

impl Disk for RealDisk {
    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let mut options = File::options();
        options.read(true).write(access != Access::Read);
        if access == Access::Create {
            options.create(true).truncate(true);
        }
        let path = self.root.join(name);
        Ok(Box::new(OpenFile(options.open(&path).map_err(|error| told(&path, error))?)))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.root.join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(told(&self.root.join(folder), error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn create_folder(&self, folder: &str) -> io::Result<()> {
        let folder = self.root.join(folder);
        let missing: Vec<&Path> =
            folder.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists()).collect();
        fs::create_dir_all(&folder)?;
        // Folders above the store are synced here and nowhere else.
        missing.into_iter().filter(|made| self.root.starts_with(made)).try_for_each(sync_name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.root.join(from), self.root.join(to))
    }

    fn exchange(&self, one: &str, other: &str) -> io::Result<()> {
        exchange(&self.root.join(one), &self.root.join(other))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.root.join(name))
    }

    fn remove_folder(&self, folder: &str) -> io::Result<()> {
        fs::remove_dir_all(self.root.join(folder))
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let path = self.root.join(folder);
        sync_folder(&path).map_err(|error| told(&path, error))?;
        if folder.is_empty() { sync_name(&self.root) } else { Ok(()) }
    }

    fn lock(&self, name: &str) -> io::Result<LockGuard> {
        let guarded = self.lock_file(name)?;
        loop {
            match file_of(&guarded)?.lock() {
                Ok(()) => return Ok(LockGuard(Some(guarded))),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn try_lock(&self, name: &str) -> io::Result<Option<LockGuard>> {
        let guarded = self.lock_file(name)?;
        match file_of(&guarded)?.try_lock() {
            Ok(()) => Ok(Some(LockGuard(Some(guarded)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn facts(&self, name: &str) -> io::Result<Facts> {
        let FileFacts { identity, len, .. } = path_facts(&self.root.join(name))?;
        Ok(Facts { identity, len })
    }

    fn network(&self) -> Option<&'static str> {
        network_file_system(&self.root)
    }

    fn copies_on_write(&self) -> Option<&'static str> {
        copy_on_write_file_system(&self.root)
    }

    fn archive(&self) -> Option<&str> {
        self.archive.as_deref()
    }

    fn describe(&self) -> String {
        self.root.display().to_string()
    }
}

/// A file that was opened in this very process.
fn file_of(guarded: &Guarded) -> io::Result<&File> {
    guarded.file().ok_or_else(|| io::Error::other("this process was forked while a lock was being taken"))
}

/// An error that says what to do where a process, or the machine, has too many files open.
fn told(path: &Path, error: io::Error) -> io::Error {
    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    let limit = match error.raw_os_error() {
        Some(EMFILE) => {
            open_files_max().map_or_else(|| "this process".to_owned(), |max| format!("this process ({max})"))
        }
        Some(ENFILE) => "this machine".to_owned(),
        _ => return error,
    };
    io::Error::other(format!(
        "{}: {error}. That is the limit of {limit}; an open store takes {STORE_FILES} files, and up to \
         {STORE_FILES_MAX} for moments: close stores that are not in use, or raise the limit (ulimit -n)",
        path.display()
    ))
}

/// Return when a folder's own name would survive a power cut; also where the folder above may not be looked into.
fn sync_name(folder: &Path) -> io::Result<()> {
    let above = match folder.parent() {
        None => return Ok(()),
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
    };
    match sync_folder(above) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        outcome => outcome.map_err(|error| told(folder, error)),
    }
}

/// An open file; also what the store in memory is made of.
#[derive(Debug)]
pub(super) struct OpenFile(pub(super) File);

impl DiskFile for OpenFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        write_at(&self.0, bytes, offset)
    }

    fn flush(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn start_flush(&self, offset: u64, len: u64) {
        start_flush(&self.0, offset, len);
    }

    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        reserve(&self.0, offset, len)
    }

    fn warm(&self, offset: u64, len: u64) -> io::Result<()> {
        // Measured: to make pages by storing into them takes five times as long. Where what is written goes to other blocks,
        // those that were reserved are for the first store.
        if writes_in_place(&self.0) { self.write_zeros(offset, len) } else { Ok(()) }
    }

    fn reserve_all(&self) -> io::Result<()> {
        reserve_unshared(&self.0, self.len()?)
    }

    fn sparse(&self) -> io::Result<bool> {
        let allocated = file_facts(&self.0)?.allocated;
        Ok(allocated.is_some_and(|bytes| self.len().is_ok_and(|len| bytes < len)))
    }

    fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        // The bytes are of who calls, so that a disk that fails or a file that becomes shorter is an error and no signal.
        let mut bytes = vec![0; self.len()?.saturating_sub(offset).min(len as u64) as usize];
        let mut done = 0;
        while done < bytes.len() {
            match read_at(&self.0, &mut bytes[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(done);
        Ok(bytes)
    }

    fn map(&self, offset: u64, len: usize, writable: bool) -> io::Result<Map> {
        if writable { Map::shared(&self.0, offset, len) } else { Map::read_only(&self.0, offset, len) }
    }

    fn linked(&self) -> io::Result<bool> {
        Ok(file_facts(&self.0)?.linked)
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        Ok(file_facts(&self.0)?.identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_warmed_reads_as_zeros_and_has_its_blocks_and_what_is_before_it_stays() {
        let root = std::env::temp_dir().join(format!("act-fast-warm-{}", std::process::id()));
        fs::create_dir_all(&root).expect("a folder");
        let file = RealDisk::new(&root).open("file", Access::Create).expect("a file");
        file.write_all_at(&[7; 100], 0).expect("writing");
        file.reserve(100, 1 << 20).expect("blocks");
        file.warm(100, 1 << 20).expect("pages");
        let bytes = file.read_at(0, 2 << 20).expect("reading");
        assert_eq!(bytes.len(), 100 + (1 << 20));
        assert!(bytes[..100].iter().all(|byte| *byte == 7) && bytes[100..].iter().all(|byte| *byte == 0));
        assert!(!file.sparse().expect("its blocks"));
        fs::remove_dir_all(root).expect("removing");
    }
}
