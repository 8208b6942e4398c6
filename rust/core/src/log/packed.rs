//! A packed log file: the bytes of a sealed one, compressed block by block, with what it takes to find them.
//!
//! Readers go on asking for bytes at places. A packed file has an *image*: fresh memory of the size of the bytes it holds,
//! into which blocks are unpacked when they are first asked for. Layout in `docs/format.md`.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use act_fast_sys::Map;
use zstd::zstd_safe::{DCtx, DDict};

use crate::bytes::u32_at;
use crate::disk::{Disk, DiskFile};
use crate::error::{Doing, Error, Result};
use crate::log::absent::Absent;
use crate::log::contents::{
    BLOCK_ENTRY_BYTES, CONTENTS_AT, CONTENTS_BYTES, Contents, SECTIONS_AT, TEXT_ENTRY_BYTES, block_crc, piece,
};
use crate::log::header::{Form, Header};
use crate::shared::lock;

/// Memory for so many bytes is taken at once when all of so many before them was unpacked: then a reader goes on from block to
/// block, and taking it page by page would be a good part of the work.
const AHEAD_BYTES: usize = 2 << 20;
const GOING_ON_BYTES: usize = 64 << 10;
const PAGE_BYTES: usize = 4 << 10;
/// How many threads put blocks into an image at once, at most.
const FILLING: usize = 8;

thread_local! {
    static UNPACKING: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

/// What is shared by all files of a handle.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    /// How many bytes all images have.
    pub(crate) filled_bytes: Arc<AtomicU64>,
    /// Of archived files, read what their stubs say.
    pub(crate) hollow: bool,
}

impl Shared {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, filled_bytes: Arc::default(), hollow: false }
    }
}

/// A packed log file that is open.
pub(crate) struct Packed {
    name: String,
    header: Header,
    /// What there is instead of blocks, where they are archived.
    pub(crate) absent: Option<Absent>,
    pub(crate) contents: Contents,
    file: Map,
    dictionary: DDict<'static>,
    image: Map,
    /// Which blocks the image has.
    present: Box<[AtomicBool]>,
    /// Held by whoever puts a block into the image: that of the block's number.
    filling: [Mutex<()>; FILLING],
    shared: Shared,
    shift: u32,
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Packed")
            .field("name", &self.name)
            .field("contents", &self.contents)
            .finish_non_exhaustive()
    }
}

impl Packed {
    /// Open a packed file, or the stub of one, whose header has been read.
    pub(crate) fn open(file: &dyn DiskFile, name: &str, header: &Header, form: Form, shared: &Shared) -> Result<Self> {
        let what = || format!("mapping {name}");
        let len = usize::try_from(file.len().doing(|| format!("measuring {name}"))?).unwrap_or(usize::MAX);
        let damaged = |at: usize, what: &str| Error::corrupt(name, at as u64, None, what);
        if len < SECTIONS_AT {
            return Err(damaged(0, "this packed log file is shorter than its header"));
        }
        let map = file.map(0, len, false).doing(what)?;
        let contents = Contents::decode(map.bytes(CONTENTS_AT, CONTENTS_BYTES))
            .filter(|contents| contents.plain_bytes <= header.segment_bytes)
            .ok_or_else(|| damaged(CONTENTS_AT, "what this packed log file says of its contents is damaged"))?;
        let blocks_at = contents.blocks_at();
        let here = if form == Form::Archived { 0 } else { contents.packed_bytes as usize };
        if len < blocks_at.saturating_add(here) {
            return Err(damaged(len, "this packed log file is shorter than it says"));
        }
        let sections = map.bytes(SECTIONS_AT, blocks_at - SECTIONS_AT);
        if crc32c::crc32c(sections) != contents.sections_crc {
            return Err(damaged(
                SECTIONS_AT,
                "the dictionary, the table or the names of this packed log file are damaged",
            ));
        }
        let dictionary = DDict::try_create(&sections[..contents.dictionary_bytes as usize])
            .ok_or_else(|| damaged(SECTIONS_AT, "the dictionary of this packed log file cannot be used"))?;
        let absent = match form {
            Form::Archived => Some(Absent::open(name, header, &contents, map.bytes(blocks_at, len - blocks_at))?),
            _ => None,
        };
        let image = Map::anonymous((contents.plain_bytes as usize).max(1)).doing(what)?;
        let present = (0..contents.blocks).map(|_| AtomicBool::new(false)).collect();
        Ok(Self {
            name: name.to_owned(),
            header: *header,
            absent,
            contents,
            file: map,
            dictionary,
            image,
            present,
            filling: [const { Mutex::new(()) }; FILLING],
            shared: shared.clone(),
            shift: contents.block_bytes.trailing_zeros(),
        })
    }

    /// Some bytes, unpacked; None beyond the end.
    #[inline]
    pub(crate) fn within(&self, at: usize, len: usize) -> Result<Option<&[u8]>> {
        let Some(end) = at.checked_add(len).filter(|end| *end as u64 <= self.contents.plain_bytes) else {
            return Ok(None);
        };
        if len > 0 {
            for block in at >> self.shift..=(end - 1) >> self.shift {
                if !self.present[block].load(Ordering::Acquire) {
                    self.fill(block)?;
                }
            }
        }
        Ok(Some(self.image.bytes(at, len)))
    }

    /// Where the block at an offset ends.
    pub(crate) fn block_end(&self, at: usize) -> usize {
        let end = ((at >> self.shift) + 1) << self.shift;
        end.min(self.contents.plain_bytes as usize)
    }

    /// Have memory at hand for a block, or for all that follow where it seems that they are wanted, too.
    fn have_memory(&self, number: usize, start: usize, len: usize) {
        let before = (number - (GOING_ON_BYTES >> self.shift).min(number)..number).len();
        let goes_on = start.is_multiple_of(AHEAD_BYTES)
            && before > 0
            && self.present[number - before..number].iter().all(|block| block.load(Ordering::Relaxed));
        if goes_on {
            self.image.populate_large(start, AHEAD_BYTES.min(self.image.len() - start));
        } else if len > PAGE_BYTES {
            self.image.populate(start, len);
        }
    }

    /// The text of this length at an offset, without unpacking anything; None when none begins there.
    pub(crate) fn text(&self, at: usize, len: usize) -> Option<&[u8]> {
        self.text_at(at)?.get(..len)
    }

    /// The preamble of the commit at an offset, without unpacking anything; None where it is not among the texts.
    pub(crate) fn preamble(&self, at: usize) -> Option<&[u8]> {
        self.text_at(at)
    }

    fn text_at(&self, at: usize) -> Option<&[u8]> {
        let count = self.contents.texts as usize;
        let table = self.file.bytes(self.contents.texts_at(), count * TEXT_ENTRY_BYTES);
        let offset = |number: usize| u32_at(table, number * TEXT_ENTRY_BYTES) as usize;
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if offset(middle) < at { low = middle + 1 } else { high = middle }
        }
        if low == count || offset(low) != at {
            return None;
        }
        let start_of = |number: usize| u32_at(table, number * TEXT_ENTRY_BYTES + 4) as usize;
        let end = if low + 1 < count { start_of(low + 1) } else { self.contents.text_bytes as usize };
        let texts_at = self.contents.texts_at() + count * TEXT_ENTRY_BYTES;
        self.file.bytes(texts_at, self.contents.text_bytes as usize).get(start_of(low)..end)
    }

    /// All of the file as it is on disk.
    pub(crate) fn raw(&self) -> &[u8] {
        self.file.bytes(0, self.file.len())
    }

    /// Where a block is in the file, and the checksum of its bytes.
    fn block(&self, number: usize) -> Result<(Range<usize>, u32)> {
        let table = self.file.bytes(self.contents.table_at(), self.contents.blocks as usize * BLOCK_ENTRY_BYTES);
        let blocks_at = self.contents.blocks_at();
        let (range, crc) = piece(table, number, self.contents.packed_bytes).ok_or_else(|| {
            Error::corrupt(&*self.name, blocks_at as u64, None, "the table of this packed log file is damaged")
        })?;
        Ok((blocks_at + range.start..blocks_at + range.end, crc))
    }

    /// Have a block in the image.
    #[cold]
    fn fill(&self, number: usize) -> Result<()> {
        match &self.absent {
            None => {
                let (range, _) = self.block(number)?;
                self.unpack(number, self.file.bytes(range.start, range.len()))
            }
            Some(absent) if self.shared.hollow => self.fill_hollow(absent, number),
            // The caller lets go of the lock, fetches the block, and tries again.
            Some(_) if lock::held() => Err(Error::Absent { number: self.header.number, block: number }),
            Some(_) => self.fetch(number),
        }
    }

    /// Fetch an archived block, and those beside it where much is being read.
    pub(crate) fn fetch(&self, number: usize) -> Result<()> {
        let Some(absent) = self.absent.as_ref().filter(|_| !self.present[number].load(Ordering::Acquire)) else {
            return Ok(());
        };
        let shelf = absent.shelf(&*self.shared.disk)?;
        let mut wanted = absent.wanted(number, &*shelf);
        wanted.end = wanted.end.min(self.present.len());
        // Another thread may be fetching the same.
        let here = |block: usize| block != number && self.present[block].load(Ordering::Acquire);
        while here(wanted.start) {
            wanted.start += 1;
        }
        while here(wanted.end - 1) {
            wanted.end -= 1;
        }
        let (first, last) = (self.block(wanted.start)?.0, self.block(wanted.end - 1)?.0);
        let bytes = absent.read(&shelf, first.start, last.end - first.start)?;
        for block in wanted {
            let range = self.block(block)?.0;
            let at = range.start - first.start;
            self.unpack(block, &bytes[at..at + range.len()])?;
        }
        Ok(())
    }

    /// Put what is known of an archived block without fetching it into the image, and of those beside it.
    fn fill_hollow(&self, absent: &Absent, number: usize) -> Result<()> {
        let start = absent.hollow_start(number << self.shift);
        let plain = absent.hollow(&self.file, self.contents.blocks_at(), start)?;
        // One for all: a piece may have several blocks.
        let _one = self.filling[0].lock().unwrap_or_else(PoisonError::into_inner);
        if !self.present[number].load(Ordering::Relaxed) {
            self.image.write(start, &plain);
            for block in start >> self.shift..=(start + plain.len() - 1) >> self.shift {
                self.present[block].store(true, Ordering::Release);
            }
            self.shared.filled_bytes.fetch_add(plain.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Unpack a block into the image.
    fn unpack(&self, number: usize, packed: &[u8]) -> Result<()> {
        let (range, crc) = self.block(number)?;
        let start = number << self.shift;
        let len = self.block_end(start) - start;
        let place = self.header.number * self.header.segment_bytes + start as u64;
        let _one = self.filling[number % FILLING].lock().unwrap_or_else(PoisonError::into_inner);
        if self.present[number].load(Ordering::Relaxed) {
            return Ok(());
        }
        self.have_memory(number, start, len);
        let sound = UNPACKING.with_borrow_mut(|context| {
            self.image.fill(start, len, |plain| {
                let context = context.get_or_insert_with(DCtx::create);
                context.decompress_using_ddict(plain, packed, &self.dictionary) == Ok(len)
                    && block_crc(&self.header.store_id, place, plain, packed) == crc
            })
        });
        if !sound {
            let what = format!("the packed bytes that hold the log from byte {start} of this file on are damaged");
            let name = self.absent.as_ref().map_or(&*self.name, |absent| &*absent.object);
            return Err(Error::corrupt(name, range.start as u64, None, &what));
        }
        self.present[number].store(true, Ordering::Release);
        self.shared.filled_bytes.fetch_add(len as u64, Ordering::Relaxed);
        Ok(())
    }
}
