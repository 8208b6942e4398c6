//! The disk as the engine sees it: one small trait, so that tests can put a lying one underneath.

mod memory;
mod real;
mod shelf;
mod subfolder;

use std::fmt::Debug;
use std::io;

use act_fast_sys::{Guarded, Map};

use crate::error::{Doing, Result};
use crate::fault;

pub use memory::MemoryDisk;
pub use real::RealDisk;
pub use shelf::{Folder, Opener, Shelf, shelf, shelves};
pub(crate) use shelf::{archive_of, check_no_archive, forget_archive, put_archive};
pub use subfolder::Within;

/// How many bytes are written at once.
const PIECE_BYTES: usize = 4 << 20;

/// The folder that a file is in.
fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Write a file that is not there yet, or is not needed any more; return when its bytes would survive a power cut.
pub(crate) fn write_file(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let file = disk.open(name, Access::Create)?;
    fault::point();
    for (piece, at) in bytes.chunks(PIECE_BYTES).zip((0..).step_by(PIECE_BYTES)) {
        file.write_all_at(piece, at)?;
        file.start_flush(at, piece.len() as u64);
    }
    fault::point();
    file.flush()
}

/// Put a file in the place of whatever has its name, whole or not at all; return when it would survive a power cut.
fn put_file(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let making = format!("{name}.tmp");
    let placed = write_file(disk, &making, bytes).and_then(|()| disk.rename(&making, name));
    if placed.is_err() {
        // What cannot be removed now is written over when the next is made.
        let _ = disk.remove(&making);
    }
    placed?;
    disk.sync_folder(folder_of(name))
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    Write,
    /// A new and empty file in the place of whatever has this name.
    Create,
}

/// What a file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Two numbers that tell it from any other file.
    pub identity: (u64, u64),
    /// Its length in bytes.
    pub len: u64,
}

/// An open file.
#[expect(clippy::len_without_is_empty, reason = "no caller asks whether a file is empty")]
pub trait DiskFile: Send + Sync + Debug {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Write some of `bytes` at `offset`; the answer is how many, as the system call has it.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Return when what was written, and the length, would survive a power cut.
    fn flush(&self) -> io::Result<()>;
    /// Have the system begin to write `len` bytes from `offset` on to the disk, so that `flush` has less to wait for.
    fn start_flush(&self, _offset: u64, _len: u64) {}
    /// Reserve blocks for `len` bytes from `offset` on, growing the file where it is shorter.
    fn reserve(&self, offset: u64, len: u64) -> io::Result<()>;
    /// Have the pages of `len` bytes from `offset` on at hand, which were reserved and nothing has been written to: storing
    /// into a mapping of them then does not have to have each page made. A hint; but what fails here would fail then.
    fn warm(&self, _offset: u64, _len: u64) -> io::Result<()> {
        Ok(())
    }
    /// Reserve the blocks of all of the file: those that a copy left out, and those that it shares with its original.
    fn reserve_all(&self) -> io::Result<()> {
        self.reserve(0, self.len()?)
    }
    /// Whether the file has fewer blocks than its length takes.
    fn sparse(&self) -> io::Result<bool> {
        Ok(false)
    }
    /// Share a window of the file. It may reach beyond the end; what lies there is not to be touched.
    fn map(&self, offset: u64, len: usize, writable: bool) -> io::Result<Map>;
    /// Some bytes, copied; fewer where the file is shorter.
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let there = self.len()?.saturating_sub(offset).min(len as u64) as usize;
        if there == 0 {
            return Ok(Vec::new());
        }
        Ok(self.map(offset, there, false)?.bytes(0, there).to_vec())
    }
    /// Whether the file still has a name.
    fn linked(&self) -> io::Result<bool>;
    /// Two numbers that tell this file from a copy of it.
    fn identity(&self) -> io::Result<(u64, u64)>;
    /// What is the same until the machine that it is on starts again; empty where the system does not tell.
    fn boot(&self) -> io::Result<String> {
        act_fast_sys::boot_id()
    }
    /// Whether it wants to be told of lines that are replaced through a mapping.
    fn records(&self) -> bool {
        false
    }
    /// A line is about to be replaced: its number, and what is in it.
    fn replaced(&self, _number: u64, _before: &[u8; 64]) {}

    /// Write all of `bytes`, however often that takes.
    fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = &bytes[written..];
                    offset += written as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Write zeros over `len` bytes from `offset` on.
    fn write_zeros(&self, mut offset: u64, len: u64) -> io::Result<()> {
        static ZEROS: [u8; 1 << 18] = [0; 1 << 18];
        let end = offset + len;
        while offset < end {
            let piece = usize::try_from(end - offset).unwrap_or(usize::MAX).min(ZEROS.len());
            self.write_all_at(&ZEROS[..piece], offset)?;
            offset += piece as u64;
        }
        Ok(())
    }
}

/// Have the blocks of all of a file, or a full disk is an error here and not a signal when it is stored into.
pub(crate) fn fill(file: &dyn DiskFile, name: &str, only_sparse: bool) -> Result<()> {
    let what = || format!("making room for all of {name}");
    if !only_sparse || file.sparse().doing(what)? { file.reserve_all().doing(what) } else { Ok(()) }
}

/// A lock that ends with its holder, however that ends.
#[derive(Debug)]
pub struct LockGuard(pub Option<Guarded>);

/// A directory of files. Names are relative to it, with `/` between folder and file.
pub trait Disk: Send + Sync + Debug {
    /// Open a file.
    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn DiskFile>>;
    /// The names in a folder; none where there is no such folder.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    /// Make a folder and those above it.
    fn create_folder(&self, folder: &str) -> io::Result<()>;
    /// Give a file another name, replacing the file that had it; or a folder a name that nothing has.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Let two folders have each other's names, in one step.
    fn exchange(&self, one: &str, other: &str) -> io::Result<()>;
    /// Remove a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Remove a folder and what is in it.
    fn remove_folder(&self, folder: &str) -> io::Result<()>;
    /// Return when the names in a folder would survive a power cut; for "", also the name of the store itself.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;
    /// Take the lock of that name, waiting for it.
    fn lock(&self, name: &str) -> io::Result<LockGuard>;
    /// Take the lock of that name if it is free.
    fn try_lock(&self, name: &str) -> io::Result<Option<LockGuard>>;
    /// What the file of this name is, without keeping it open.
    fn facts(&self, name: &str) -> io::Result<Facts> {
        let file = self.open(name, Access::Read)?;
        Ok(Facts { identity: file.identity()?, len: file.len()? })
    }
    /// The name of the network file system that this is on, if it is on one.
    fn network(&self) -> Option<&'static str> {
        None
    }
    /// The name of the file system that this is on, if it writes what is written again to another place, so that even
    /// blocks that were reserved can turn out to be missing.
    fn copies_on_write(&self) -> Option<&'static str> {
        None
    }
    /// Let go of what nothing will open again. What has a name outside this process stays.
    fn discard(&self) {}
    /// Where the archive of the store is, if it was opened with an address of its own; it goes before what the store says.
    fn archive(&self) -> Option<&str> {
        None
    }
    /// Where this is, for people.
    fn describe(&self) -> String;
    /// Whether the log may be written through a mapping. Tests that watch every write say no.
    fn mapped_writes(&self) -> bool {
        true
    }
}
