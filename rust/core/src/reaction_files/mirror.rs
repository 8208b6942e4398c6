//! A mirror: the files of reactions in memory, for a database that keeps their lines.
//!
//! It remembers which lines were written, and what was in them before: they go to the database together, or are undone. What
//! others have written is put in their place. Packed, a line is its address, in 8 bytes with the highest first, and its bytes.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use act_fast_sys::Map;

use crate::disk::{Access, Disk, DiskFile, LockGuard, MemoryDisk};
use crate::error::{Doing, Error, Result};
use crate::shared::line::{self, Address, LINE_BYTES, Line};

use super::FOLDER;
use super::copy::copy;
use super::files::{AREAS, Files, area_of};

/// What a packed line has.
pub const PACKED_BYTES: usize = 8 + LINE_BYTES;
/// How many lines a page has at most: those whose addresses differ in their last digits alone.
const PAGE_LINES: u64 = 64;
/// The id of a store that files in memory belong to: no other process sees them.
pub const STORE_ID: [u8; 16] = [0; 16];

/// Lines that were written, by address, and what was in them before.
type Journal = Mutex<BTreeMap<u64, Line>>;

/// Files in memory that remember which lines were written.
#[derive(Debug)]
pub struct Mirror {
    disk: Arc<dyn Disk>,
    journal: Arc<Journal>,
    files: Files,
}

impl Mirror {
    /// An empty one.
    pub fn new() -> Result<Self> {
        let recorded = Recorded::default();
        let journal = Arc::clone(&recorded.journal);
        let disk: Arc<dyn Disk> = Arc::new(recorded);
        let (files, _) = Files::open(&disk, &STORE_ID)?;
        Ok(Self { disk, journal, files })
    }

    /// Where the files are.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Put lines in their places that others have written; which those are.
    pub fn take_over(&self, packed: &[u8], taken: &mut Vec<(u8, u64)>) -> Result<()> {
        let (lines, []) = packed.as_chunks::<PACKED_BYTES>() else { return Err(foreign(packed.len() as u64)) };
        for each in lines {
            let (address, content) = unpacked(each);
            self.put(address, content)?;
            taken.push((address.area(), address.number()));
        }
        Ok(())
    }

    /// Put the lines of a page in their places, all but empty ones; which those are.
    pub fn take_page(&self, address: u64, page: &[u8], taken: &mut Vec<(u8, u64)>) -> Result<()> {
        let (lines, []) = page.as_chunks::<LINE_BYTES>() else { return Err(foreign(page.len() as u64)) };
        for (address, content) in (address..).map(Address::from_raw).zip(lines) {
            if *content != [0; LINE_BYTES] {
                self.put(address, content)?;
                taken.push((address.area(), address.number()));
            }
        }
        Ok(())
    }

    /// The pages that lines are in: the address of the first line of each, and what its lines hold now.
    pub fn pages(&self, addresses: impl Iterator<Item = u64>) -> Result<Vec<(u64, Vec<u8>)>> {
        let mut pages: Vec<u64> = addresses.map(|address| address - address % PAGE_LINES).collect();
        pages.dedup();
        pages.into_iter().map(|page| self.page(Address::from_raw(page))).collect()
    }

    fn page(&self, page: Address) -> Result<(u64, Vec<u8>)> {
        let file = self.files.grown(page.area()).ok_or_else(|| foreign(page.number()))?;
        let first = page.number().max(1); // before it is what tells the file from others
        let end = (page.number() + PAGE_LINES).min(file.lines()?);
        let mut content = Vec::with_capacity(PAGE_LINES as usize * LINE_BYTES);
        for number in first..end {
            content.extend_from_slice(&line::load(file.shared(number)?));
        }
        Ok((Address::new(page.area(), first).raw(), content))
    }

    /// The record of reactions of a store that no one works on, as packed lines; None when there is nothing.
    pub fn lines_of(disk: &Arc<dyn Disk>, store_id: &[u8; 16]) -> Result<Option<Vec<u8>>> {
        let mirror = Self::new()?;
        if !copy((disk, store_id), (&mirror.disk, &STORE_ID), true)? {
            return Ok(None);
        }
        let mut packed = Vec::new();
        for area in AREAS {
            let Some(file) = mirror.files.grown(area) else { continue };
            for number in 1..file.lines()? {
                let address = Address::new(area, number);
                let content = mirror.content(address)?;
                if content != [0; LINE_BYTES] {
                    packed.extend_from_slice(&address.raw().to_be_bytes());
                    packed.extend_from_slice(&content);
                }
            }
        }
        Ok(Some(packed))
    }

    /// Keep these lines in the place of all that a store keeps of reactions, which no one works on.
    pub fn put_lines(disk: &Arc<dyn Disk>, store_id: &[u8; 16], packed: &[u8]) -> Result<()> {
        let mirror = Self::new()?;
        mirror.take_over(packed, &mut Vec::new())?;
        let what = || format!("making room for {}/{FOLDER}", disk.describe());
        if disk.list("").doing(what)?.iter().any(|name| name == FOLDER) {
            disk.remove_folder(FOLDER).doing(what)?;
        }
        copy((&mirror.disk, &STORE_ID), (disk, store_id), true).map(drop)
    }

    /// The lines that were written since the last `keep`, packed; none that are what they were.
    pub fn written(&self) -> Result<Vec<u8>> {
        let journal = self.journal();
        let mut packed = Vec::with_capacity(journal.len() * PACKED_BYTES);
        for (address, before) in &*journal {
            let now = self.content(Address::from_raw(*address))?;
            if now != *before {
                packed.extend_from_slice(&address.to_be_bytes());
                packed.extend_from_slice(&now);
            }
        }
        Ok(packed)
    }

    /// What was written is known to others.
    pub fn keep(&self) {
        self.journal().clear();
    }

    /// Bring back what was there before.
    pub fn undo(&self) -> Result<()> {
        for (address, before) in std::mem::take(&mut *self.journal()) {
            self.put(Address::from_raw(address), &before)?;
        }
        Ok(())
    }

    /// Forget all lines.
    pub fn clear(&self) -> Result<()> {
        self.keep();
        self.files.clear()
    }

    fn journal(&self) -> MutexGuard<'_, BTreeMap<u64, Line>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, address: Address, content: &Line) -> Result<()> {
        let file = self.files.grown(address.area()).ok_or_else(|| foreign(address.number()))?;
        file.reserve(address.number() + 1)?;
        line::store(file.shared(address.number())?, content);
        Ok(())
    }

    fn content(&self, address: Address) -> Result<Line> {
        let file = self.files.grown(address.area()).ok_or_else(|| foreign(address.number()))?;
        Ok(line::load(file.shared(address.number())?))
    }
}

/// The addresses of packed lines.
pub(crate) fn addresses(packed: &[u8]) -> impl Iterator<Item = u64> {
    packed.as_chunks::<PACKED_BYTES>().0.iter().map(|each| unpacked(each).0.raw())
}

fn unpacked(packed: &[u8; PACKED_BYTES]) -> (Address, &Line) {
    let (address, content) = packed.split_first_chunk().expect("a packed line begins with its address");
    (Address::from_raw(u64::from_be_bytes(*address)), content.try_into().expect("and ends with its bytes"))
}

fn foreign(offset: u64) -> Error {
    Error::corrupt(FOLDER, offset, None, "what the database keeps of reactions is not what was written there")
}

/// A disk in memory whose files remember what is written.
#[derive(Debug, Default)]
struct Recorded {
    disk: MemoryDisk,
    journal: Arc<Journal>,
}

impl Disk for Recorded {
    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let file = self.disk.open(name, access)?;
        let area = area_of(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(RecordedFile { file, area, journal: Arc::clone(&self.journal) }))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.disk.list(folder)
    }

    fn create_folder(&self, folder: &str) -> io::Result<()> {
        self.disk.create_folder(folder)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn exchange(&self, one: &str, other: &str) -> io::Result<()> {
        self.disk.exchange(one, other)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn remove_folder(&self, folder: &str) -> io::Result<()> {
        self.disk.remove_folder(folder)
    }

    fn sync_folder(&self, _folder: &str) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, name: &str) -> io::Result<LockGuard> {
        self.disk.lock(name)
    }

    fn try_lock(&self, name: &str) -> io::Result<Option<LockGuard>> {
        self.disk.try_lock(name)
    }

    fn describe(&self) -> String {
        self.disk.describe()
    }
}

#[derive(Debug)]
struct RecordedFile {
    file: Box<dyn DiskFile>,
    area: u8,
    journal: Arc<Journal>,
}

impl DiskFile for RecordedFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn reserve(&self, offset: u64, len: u64) -> io::Result<()> {
        self.file.reserve(offset, len)
    }

    fn map(&self, offset: u64, len: usize, writable: bool) -> io::Result<Map> {
        self.file.map(offset, len, writable)
    }

    fn linked(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        self.file.identity()
    }

    fn records(&self) -> bool {
        true
    }

    fn replaced(&self, number: u64, before: &Line) {
        let address = Address::new(self.area, number).raw();
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).entry(address).or_insert(*before);
    }
}
