//! Where processes do not fork: nothing is inherited, so there is nothing to guard.

use std::fs::File;
use std::io;

/// There never is one.
#[must_use]
pub fn watch() -> u32 {
    0
}

/// There never is one.
#[inline]
#[must_use]
pub fn generation() -> u32 {
    0
}

/// An open file that no other process has.
#[derive(Debug)]
pub struct Guarded(File);

impl Guarded {
    /// Open a file.
    pub fn open(open: impl FnOnce() -> io::Result<File>) -> io::Result<Self> {
        open().map(Self)
    }

    /// The file; never None here.
    #[must_use]
    pub fn file(&self) -> Option<&File> {
        Some(&self.0)
    }
}
