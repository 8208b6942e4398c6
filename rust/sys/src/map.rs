//! A window of a file, mapped and shared with every process that maps the same file; or fresh memory.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64};

use memmap2::{MmapOptions, MmapRaw};

/// A shared mapping. Bytes are reached in three ways: as atomic words, as slices of bytes that no longer change, and by
/// copying into bytes that no one reads yet. Which of the three is right for a place is the caller's protocol; the
/// bounds are checked here.
#[derive(Debug)]
pub struct Map {
    raw: MmapRaw,
    writable: bool,
}

#[cfg(target_os = "linux")]
const PAGE: usize = 4096;

impl Map {
    /// Map `len` bytes of `file` from `offset` on for reading.
    pub fn read_only(file: &File, offset: u64, len: usize) -> io::Result<Self> {
        let raw = MmapOptions::new().offset(offset).len(len).map_raw_read_only(file)?;
        Ok(Self { raw, writable: false })
    }

    /// Map `len` bytes of `file` from `offset` on for reading and writing.
    pub fn shared(file: &File, offset: u64, len: usize) -> io::Result<Self> {
        let raw = MmapOptions::new().offset(offset).len(len).map_raw(file)?;
        Ok(Self { raw, writable: true })
    }

    /// Fresh memory of this process alone: zeros, which take no room until they are written to.
    pub fn anonymous(len: usize) -> io::Result<Self> {
        let raw = MmapOptions::new().len(len).no_reserve_swap().map_anon()?;
        Ok(Self { raw: raw.into(), writable: true })
    }

    /// How many bytes are mapped.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Whether nothing is mapped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this mapping may be written to.
    #[inline]
    #[must_use]
    pub fn writable(&self) -> bool {
        self.writable
    }

    #[inline]
    fn check(&self, at: usize, len: usize) {
        assert!(
            at.checked_add(len).is_some_and(|end| end <= self.raw.len()),
            "bytes {at}..+{len} are outside of a mapping of {} bytes",
            self.raw.len()
        );
    }

    /// Bytes that no longer change (invariant M2).
    #[inline]
    #[must_use]
    pub fn bytes(&self, at: usize, len: usize) -> &[u8] {
        self.check(at, len);
        // SAFETY: in bounds (M1); the protocol hands out only bytes that no one changes any more (M2).
        unsafe { std::slice::from_raw_parts(self.raw.as_ptr().add(at), len) }
    }

    /// An 8-byte word shared with other threads and processes.
    #[inline]
    #[must_use]
    pub fn word(&self, at: usize) -> &AtomicU64 {
        self.check(at, 8);
        assert!(at.is_multiple_of(8), "word at {at} is not aligned");
        // SAFETY: in bounds (M1), aligned because mappings start on a page, and words are only reached atomically (M3).
        unsafe { &*self.raw.as_ptr().add(at).cast::<AtomicU64>() }
    }

    /// A 4-byte word shared with other threads and processes.
    #[inline]
    #[must_use]
    pub fn half(&self, at: usize) -> &AtomicU32 {
        self.check(at, 4);
        assert!(at.is_multiple_of(4), "half word at {at} is not aligned");
        // SAFETY: as for `word` (M1, M3).
        unsafe { &*self.raw.as_ptr().add(at).cast::<AtomicU32>() }
    }

    /// Eight neighbouring words: one cache line.
    #[inline]
    #[must_use]
    pub fn line(&self, at: usize) -> &[AtomicU64; 8] {
        self.check(at, 64);
        assert!(at.is_multiple_of(64), "line at {at} is not aligned");
        // SAFETY: as for `word`; an array of eight atomics has the layout of eight words (M1, M3).
        unsafe { &*self.raw.as_ptr().add(at).cast::<[AtomicU64; 8]>() }
    }

    /// Have the pages of some bytes at hand, so that storing into them does not stop to fetch each. A hint: where the
    /// system does not know it, nothing happens.
    pub fn populate(&self, at: usize, len: usize) {
        self.check(at, len);
        #[cfg(target_os = "linux")]
        if self.writable && len > 0 {
            let start = at / PAGE * PAGE;
            // SAFETY: in bounds (M1) after rounding down to a page; the call changes no bytes.
            unsafe {
                let address = self.raw.as_mut_ptr().add(start);
                libc::madvise(address.cast(), at + len - start, libc::MADV_POPULATE_WRITE);
            }
        }
    }

    /// Return when what was written to some bytes would survive a power cut. Fails also where the system could not write
    /// anything of the file since it was mapped, and has not said so here.
    pub fn flush(&self, at: usize, len: usize) -> io::Result<()> {
        self.check(at, len);
        self.raw.flush_range(at, len)
    }

    /// The same for bytes that are many: in large pages, where the system has them.
    pub fn populate_large(&self, at: usize, len: usize) {
        self.check(at, len);
        #[cfg(target_os = "linux")]
        if self.writable && len > 0 {
            // SAFETY: as for `populate` (M1).
            unsafe {
                let address = self.raw.as_mut_ptr().add(at / PAGE * PAGE);
                libc::madvise(address.cast(), at % PAGE + len, libc::MADV_HUGEPAGE);
            }
        }
        self.populate(at, len);
    }

    /// Copy `bytes` to where no one reads yet (invariant M4).
    #[inline]
    pub fn write(&self, at: usize, bytes: &[u8]) {
        self.check(at, bytes.len());
        assert!(self.writable, "this mapping is for reading");
        // SAFETY: in bounds (M1), writable, and the protocol gives the place to one writer and no reader (M4).
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.raw.as_mut_ptr().add(at), bytes.len());
        }
    }
    /// Have `fill` write bytes where no one reads yet (invariant M4).
    #[inline]
    pub fn fill<T>(&self, at: usize, len: usize, fill: impl FnOnce(&mut [u8]) -> T) -> T {
        self.check(at, len);
        assert!(self.writable, "this mapping is for reading");
        // SAFETY: in bounds (M1), writable, and the protocol gives the place to one writer and no reader (M4) for as long as
        // `fill` runs.
        fill(unsafe { std::slice::from_raw_parts_mut(self.raw.as_mut_ptr().add(at), len) })
    }
}
