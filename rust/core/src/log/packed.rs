//! A packed log file: the bytes of a sealed one, compressed block by block, with what it takes to find them.
//!
//! Readers go on asking for bytes at places. A packed file has an *image*: fresh memory into which blocks are unpacked when
//! they are first asked for, or a little before. Layout in `docs/format.md`.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;

use act_fast_sys::Map;
use zstd::zstd_safe::{DCtx, DDict};

use crate::bytes::u32_at;
use crate::disk::{Disk, DiskFile};
use crate::error::{Doing, Error, Result};
use crate::log::absent::Absent;
use crate::log::ahead::{Helpers, SHARED_MIN, Work};
use crate::log::contents::{
    BLOCK_ENTRY_BYTES, CONTENTS_AT, CONTENTS_BYTES, Contents, SECTIONS_AT, TEXT_ENTRY_BYTES, block_crc, piece,
};
use crate::log::header::{Form, Header};
use crate::log::image::{AHEAD_BYTES, GOING_ON_BYTES, Image, To};
use crate::shared::lock;

/// How many bytes are unpacked ahead for one call, at most.
const AHEAD_MAX_BYTES: usize = 8 << 20;

thread_local! {
    static UNPACKING: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

/// What is shared by all files of a handle.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    /// How many bytes all images have.
    pub(crate) filled_bytes: Arc<AtomicU64>,
    helpers: Arc<Helpers>,
    /// Of archived files, read what their stubs say.
    pub(crate) hollow: bool,
}

impl Shared {
    pub(crate) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, filled_bytes: Arc::default(), helpers: Arc::default(), hollow: false }
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
    image: Image,
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
    pub(crate) fn open(
        file: &dyn DiskFile,
        name: &str,
        header: &Header,
        form: Form,
        shared: &Shared,
    ) -> Result<Arc<Self>> {
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
        let (plain_bytes, block_bytes) = (contents.plain_bytes as usize, contents.block_bytes as usize);
        let image = Image::new(plain_bytes, block_bytes, Arc::clone(&shared.filled_bytes)).doing(what)?;
        Ok(Arc::new(Self {
            name: name.to_owned(),
            header: *header,
            absent,
            contents,
            file: map,
            dictionary,
            image,
            shared: shared.clone(),
            shift: contents.block_bytes.trailing_zeros(),
        }))
    }

    /// Some bytes, unpacked; None beyond the end.
    #[inline]
    pub(crate) fn within(self: &Arc<Self>, at: usize, len: usize) -> Result<Option<&[u8]>> {
        if at.checked_add(len).is_none_or(|end| end as u64 > self.contents.plain_bytes) {
            return Ok(None);
        }
        loop {
            match self.image.bytes(at, len) {
                Ok(bytes) => return Ok(Some(bytes)),
                Err((block, to)) => self.fill(block, to)?,
            }
        }
    }

    /// Where the block at an offset ends.
    pub(crate) fn block_end(&self, at: usize) -> usize {
        self.image.range(at >> self.shift).end
    }

    /// How many bytes an event has, more or less.
    fn event_bytes(&self) -> usize {
        let events = (self.contents.last_position + 1).saturating_sub(self.contents.first_position);
        (self.contents.plain_bytes / events.max(1)) as usize
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
    fn fill(self: &Arc<Self>, number: usize, to: To) -> Result<()> {
        match &self.absent {
            None => {
                if to == To::Place {
                    self.go_on_ahead(number);
                }
                self.unpack_block(number, to)
            }
            Some(absent) if self.shared.hollow => self.fill_hollow(absent, number),
            // The caller lets go of the lock, fetches the block, and tries again.
            Some(_) if lock::held() => Err(Error::Absent { number: self.header.number, block: number }),
            Some(_) => self.fetch(number),
        }
    }

    /// Fetch an archived block, and those beside it where much is being read.
    pub(crate) fn fetch(&self, number: usize) -> Result<()> {
        let Some(absent) = self.absent.as_ref().filter(|_| !self.image.has(number)) else {
            return Ok(());
        };
        let shelf = absent.shelf(&*self.shared.disk)?;
        let mut wanted = absent.wanted(number, &*shelf);
        wanted.end = wanted.end.min(self.image.count());
        // Another thread may be fetching the same.
        let here = |block: usize| block != number && self.image.has(block);
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
            self.unpack(block, To::Place, &bytes[at..at + range.len()])?;
        }
        Ok(())
    }

    /// Put what is known of an archived block without fetching it into the image, and of those beside it.
    fn fill_hollow(&self, absent: &Absent, number: usize) -> Result<()> {
        let start = absent.hollow_start(number << self.shift);
        let plain = absent.hollow(&self.file, self.contents.blocks_at(), start)?;
        self.image.put_all(number, start, &plain);
        Ok(())
    }

    /// Unpack a block that is here.
    fn unpack_block(&self, number: usize, to: To) -> Result<()> {
        let (range, _) = self.block(number)?;
        self.unpack(number, to, self.file.bytes(range.start, range.len()))
    }

    /// Unpack a block into the image.
    fn unpack(&self, number: usize, to: To, packed: &[u8]) -> Result<()> {
        let (range, crc) = self.block(number)?;
        let start = number << self.shift;
        let place = self.header.number * self.header.segment_bytes + start as u64;
        self.image.put(number, to, |plain| {
            let unpacked = UNPACKING.with_borrow_mut(|context| {
                let context = context.get_or_insert_with(DCtx::create);
                context.decompress_using_ddict(plain, packed, &self.dictionary)
            });
            if unpacked == Ok(plain.len()) && block_crc(&self.header.store_id, place, plain, packed) == crc {
                return Ok(());
            }
            let what = format!("the packed bytes that hold the log from byte {start} of this file on are damaged");
            let name = self.absent.as_ref().map_or(&*self.name, |absent| &*absent.object);
            Err(Error::corrupt(name, range.start as u64, None, &what))
        })
    }

    /// Do work on a thread that is to end, with what others before it have unpacked with.
    fn with_context_of(&self, helpers: &Helpers, work: impl FnOnce()) {
        UNPACKING.set(helpers.context());
        work();
        helpers.give_back(UNPACKING.take());
    }

    /// Have at hand what is wanted soon: the blocks at these offsets, in order. That is worth it where they are many.
    pub(crate) fn unpack_ahead(self: &Arc<Self>, offsets: impl Iterator<Item = usize>) {
        let (image, event_bytes) = (&self.image, self.event_bytes());
        let most = AHEAD_MAX_BYTES / self.contents.block_bytes as usize;
        let mut wanted: Vec<usize> = Vec::new();
        for at in offsets {
            for block in [at, at + event_bytes].map(|at| at >> self.shift) {
                if wanted.len() < most && wanted.last() != Some(&block) && block < image.count() && !image.has(block) {
                    wanted.push(block);
                }
            }
        }
        if wanted.len() < SHARED_MIN {
            return;
        }
        wanted.sort_unstable();
        wanted.dedup();
        let to = |at: usize| {
            let after_one = at > 0 && wanted[at - 1] + 1 == wanted[at];
            let beside = after_one || wanted.get(at + 1) == Some(&(wanted[at] + 1));
            if beside { To::Place } else { To::Heap }
        };
        let blocks: Vec<_> = (0..wanted.len()).map(|at| (wanted[at], to(at))).collect();
        let end = blocks.len();
        self.share(blocks, end);
    }

    /// Where a reader goes on from block to block: have the next ones at hand, as many as were read so before, and let
    /// another thread go on with as many again.
    fn go_on_ahead(self: &Arc<Self>, number: usize) {
        let least = GOING_ON_BYTES >> self.shift;
        let most = (AHEAD_BYTES / 2) >> self.shift;
        if self.shared.helpers.busy() {
            return;
        }
        let before = self.image.run_before(number, most);
        if before < least.max(SHARED_MIN) {
            return;
        }
        let mut run = number..(number + 2 * before).min(self.image.count());
        if run.len() == 2 * most {
            // Up to where a large page ends.
            run.end -= run.end % (2 * most);
        }
        self.image.have_memory(&run);
        self.share(self.missing(run).map(|block| (block, To::Place)).collect(), before);
    }

    fn missing(&self, mut run: Range<usize>) -> impl Iterator<Item = usize> {
        std::iter::from_fn(move || run.find(|block| !self.image.has(*block)))
    }

    /// Unpack blocks, those before `end` by when this returns but for what another thread is at.
    fn share(self: &Arc<Self>, blocks: Vec<(usize, To)>, end: usize) {
        let work = Arc::new(Work::new(blocks));
        if work.len() >= SHARED_MIN
            && let Some(leave) = self.shared.helpers.leave()
        {
            let (packed, work) = (Arc::clone(self), Arc::clone(&work));
            let help = move || {
                packed.with_context_of(leave.helpers(), || packed.work_off(&work, work.len()));
            };
            // What a thread that the system refuses would have done is done by this one.
            drop(thread::Builder::new().name("act-fast-unpacking".to_owned()).spawn(help));
        }
        self.work_off(&work, end.min(work.len()));
    }

    fn work_off(&self, work: &Work, end: usize) {
        work.off(end, |block, to| {
            // What is wrong with it is said when it is read.
            let _ = self.unpack_block(block, to);
        });
    }
}
