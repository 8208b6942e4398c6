//! The log's files: all of one size, one after the other. A *place* is an offset in the whole log:
//! the segment's number times the size of a segment, plus the offset in its file.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use act_fast_sys::Map;
use smallvec::SmallVec;

use crate::disk::{Access, Disk, DiskFile, Facts, fill};
use crate::error::{Doing, Error, Result};
pub(crate) use crate::log::header::{Form, HEADER_BYTES, Header, form_of};
use crate::log::packed::{Packed, Shared};
use crate::log::record::{HEAD_BYTES, Head};
use crate::sparse::{SPARSE_MAX, Sparse};

pub(crate) const FOLDER: &str = "log";
const NEXT: &str = "log/next.tmp";
/// One file of the log.
#[derive(Debug)]
enum Segment {
    Plain(Plain),
    Packed(Arc<Packed>),
}

/// A file of the log that holds records as they are.
#[derive(Debug)]
struct Plain {
    /// The length of the file as far as this handle knows: what lies beyond must not be touched.
    len: AtomicUsize,
    /// Tells the file from one that takes its name.
    identity: (u64, u64),
    read: Map,
    write: OnceLock<Map>,
}

/// How many segments have their files open at once: those that are written to or flushed. Reading needs only the mappings.
const FILES_MAX: usize = 4;

/// An open file of a segment.
pub(crate) type SegmentFile = Arc<dyn DiskFile>;

/// Open files of segments, with their numbers; rarely more than one.
pub(crate) type Flushable = SmallVec<[(u64, SegmentFile); 2]>;

/// What a record is written to.
#[derive(Debug)]
pub(crate) enum Opened<'a> {
    File(SegmentFile),
    Map(&'a Map),
}

#[derive(Debug)]
pub(crate) struct Segments {
    /// The disk that the files are on, and what they share.
    shared: Shared,
    pub(crate) segment_bytes: u64,
    pub(crate) store_id: [u8; 16],
    /// Whether this is the log of a replica.
    pub(crate) replica: bool,
    writable: bool,
    open: Sparse<Segment>,
    /// The files used last, the youngest at the end.
    files: Mutex<Vec<(u64, SegmentFile)>>,
}

/// The file of segment `number`, relative to the store.
pub(crate) fn name(number: u64) -> String {
    format!("{FOLDER}/{number:08}.seg")
}

/// The numbers of the segments in the store, in order.
pub(crate) fn list(disk: &dyn Disk) -> Result<Vec<u64>> {
    let names = disk.list(FOLDER).doing(|| format!("listing {}/{FOLDER}", disk.describe()))?;
    Ok(names.iter().filter_map(|name| name.strip_suffix(".seg")?.parse().ok()).collect())
}

/// The head of segment `number`.
pub(crate) fn read_header(disk: &dyn Disk, number: u64) -> Result<Header> {
    let file = name(number);
    let handle = disk.open(&file, Access::Read).doing(|| format!("opening {file}"))?;
    header_of(&*handle, number).map(|(header, _)| header)
}

/// The head of segment `number`, and its form.
fn header_of(handle: &dyn DiskFile, number: u64) -> Result<(Header, Form)> {
    let file = name(number);
    if handle.len().doing(|| format!("measuring {file}"))? < HEADER_BYTES {
        return Err(Error::corrupt(file, 0, None, "this log file is shorter than its header"));
    }
    let map = handle.map(0, HEADER_BYTES as usize, false).doing(|| format!("mapping {file}"))?;
    let bytes = map.bytes(0, HEADER_BYTES as usize);
    let header = Header::decode(bytes, &file)?;
    if header.number != number {
        return Err(Error::corrupt(file, 32, None, &format!("this log file says that it is number {}", header.number)));
    }
    Ok((header, form_of(bytes)))
}

/// Make segment `header.number`, with blocks for its first `len` bytes, so that it is whole or not there at all.
/// `zeroed`: the blocks are written, not only reserved, which makes later flushes cheap.
pub(crate) fn create(disk: &dyn Disk, header: &Header, len: u64, zeroed: bool) -> Result<()> {
    let target = name(header.number);
    let what = || format!("making {target}");
    let file = disk.open(NEXT, Access::Create).doing(what)?;
    file.write_all_at(&header.encode(), 0).doing(what)?;
    if zeroed {
        file.write_zeros(HEADER_BYTES, len - HEADER_BYTES).doing(what)?;
    } else {
        file.reserve(0, len).doing(what)?;
    }
    file.flush().doing(what)?;
    if !zeroed {
        file.warm(HEADER_BYTES, len - HEADER_BYTES).doing(what)?;
    }
    disk.rename(NEXT, &target).doing(what)?;
    disk.sync_folder(FOLDER).doing(what)
}

/// Return when what these files hold would survive a power cut.
pub(crate) fn flush(number: u64, file: &SegmentFile) -> Result<()> {
    file.flush().doing(|| format!("flushing {}", name(number)))
}

impl Segments {
    pub(crate) fn new(disk: Arc<dyn Disk>, header: &Header, writable: bool) -> Self {
        let &Header { segment_bytes, store_id, replica, .. } = header;
        let (open, files) = (Sparse::new(), Mutex::default());
        Self { shared: Shared::new(disk), segment_bytes, store_id, replica, writable, open, files }
    }

    /// The same files, of which nothing is open or unpacked yet.
    pub(crate) fn afresh(&self) -> Self {
        let mut fresh = Self::new(Arc::clone(&self.shared.disk), &self.header(0), self.writable);
        fresh.shared.hollow = self.shared.hollow;
        fresh
    }

    /// The same files, where of archived ones only what their stubs say is read: their records without payloads, meta and
    /// checksums.
    pub(crate) fn hollowed(&self) -> Self {
        let mut fresh = self.afresh();
        fresh.shared.hollow = true;
        fresh
    }

    /// Whether of a segment only what its stub says is read.
    pub(crate) fn is_hollow(&self, number: u64) -> Result<bool> {
        Ok(self.shared.hollow && self.packed(number)?.is_some_and(|packed| packed.absent.is_some()))
    }

    /// Whether the blocks of a segment are elsewhere.
    pub(crate) fn is_archived(&self, number: u64) -> Result<bool> {
        Ok(self.packed(number)?.is_some_and(|packed| packed.absent.is_some()))
    }

    /// Fetch a block that was not at hand while a lock was held.
    pub(crate) fn fetch(&self, number: u64, block: usize) -> Result<()> {
        self.packed(number)?.map_or(Ok(()), |packed| packed.fetch(block))
    }

    pub(crate) fn header(&self, number: u64) -> Header {
        Header { store_id: self.store_id, number, segment_bytes: self.segment_bytes, replica: self.replica }
    }

    /// Which segment a place is in.
    #[inline]
    pub(crate) fn number_of(&self, place: u64) -> u64 {
        place / self.segment_bytes
    }

    /// Where the first record of a segment goes.
    pub(crate) fn first_place(&self, number: u64) -> u64 {
        number * self.segment_bytes + HEADER_BYTES
    }

    /// For error messages: the file and the offset of a place.
    pub(crate) fn file_and_offset(&self, place: u64) -> (String, u64) {
        (name(self.number_of(place)), place % self.segment_bytes)
    }

    /// An error about damage at a place.
    pub(crate) fn damaged(&self, place: u64, position: Option<u64>, what: &str) -> Error {
        let (file, offset) = self.file_and_offset(place);
        Error::corrupt(file, offset, position, what)
    }

    fn files_open(&self) -> MutexGuard<'_, Vec<(u64, SegmentFile)>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(files: &[(u64, SegmentFile)], number: u64) -> Option<SegmentFile> {
        files.iter().find(|(known, _)| *known == number).map(|(_, file)| Arc::clone(file))
    }

    /// The file of a segment, for this once.
    fn file_once(&self, number: u64) -> Result<SegmentFile> {
        if let Some(file) = Self::known(&self.files_open(), number) {
            return Ok(file);
        }
        let name = name(number);
        let access = if self.writable { Access::Write } else { Access::Read };
        self.shared.disk.open(&name, access).doing(|| format!("opening {name}")).map(Into::into)
    }

    /// The file of a segment that is written to or flushed; it stays open until `let_go_below`.
    pub(crate) fn file(&self, number: u64) -> Result<SegmentFile> {
        if let Some(file) = Self::known(&self.files_open(), number) {
            return Ok(file);
        }
        let file = self.file_once(number)?;
        let mut files = self.files_open();
        if let Some(file) = Self::known(&files, number) {
            return Ok(file);
        }
        if files.len() == FILES_MAX {
            files.remove(0);
        }
        files.push((number, Arc::clone(&file)));
        Ok(file)
    }

    /// The file of a segment, opened again. The system tells of a failed flush once to each open file, so whoever flushes
    /// besides the commits does so here, and takes no failure from them.
    pub(crate) fn file_apart(&self, number: u64) -> Result<Box<dyn DiskFile>> {
        let name = name(number);
        self.shared.disk.open(&name, Access::Write).doing(|| format!("opening {name}"))
    }

    /// Close the files of segments below a number: all that they hold has been flushed.
    pub(crate) fn let_go_below(&self, number: u64) {
        self.files_open().retain(|(known, _)| *known >= number);
    }

    /// How many bytes the file of a segment has.
    pub(crate) fn measure(&self, number: u64) -> Result<u64> {
        self.facts(number).map(|facts| facts.len)
    }

    fn facts(&self, number: u64) -> Result<Facts> {
        let name = name(number);
        self.shared.disk.facts(&name).doing(|| format!("measuring {name}"))
    }

    /// Map the segment that a place is in.
    pub(crate) fn map(&self, place: u64) -> Result<()> {
        self.get(self.number_of(place)).map(drop)
    }

    /// The mapped segment.
    #[inline]
    fn get(&self, number: u64) -> Result<&Segment> {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        self.open.get(index, || self.open_segment(number)).unwrap_or_else(|| {
            Err(Error::Full(format!(
                "the log has {SPARSE_MAX} files of {} bytes, which is the most it can have",
                self.segment_bytes
            )))
        })
    }

    fn open_segment(&self, number: u64) -> Result<Segment> {
        // One file for all of it: another one may take its name at any time.
        let file = self.file_once(number)?;
        let (header, form) = header_of(&*file, number)?;
        if (header.store_id, header.replica) != (self.store_id, self.replica) {
            return Err(Error::corrupt(name(number), 16, None, "this log file belongs to another store"));
        }
        if form != Form::Plain {
            let packed = Packed::open(&*file, &name(number), &header, form, &self.shared)?;
            return Ok(Segment::Packed(packed));
        }
        let bytes_max = usize::try_from(self.segment_bytes).unwrap_or(usize::MAX);
        let read = file.map(0, bytes_max, false).doing(|| format!("mapping {}", name(number)))?;
        let what = || format!("looking at {}", name(number));
        let (identity, len) = (file.identity().doing(what)?, file.len().doing(what)?.min(self.segment_bytes));
        Ok(Segment::Plain(Plain { len: AtomicUsize::new(len as usize), identity, read, write: OnceLock::new() }))
    }

    /// A segment that is packed; None when it is not.
    pub(crate) fn packed(&self, number: u64) -> Result<Option<&Arc<Packed>>> {
        Ok(match self.get(number)? {
            Segment::Plain(_) => None,
            Segment::Packed(packed) => Some(packed),
        })
    }

    /// Have at hand what is packed of events at these places, in order: whatever is wrong is met again when they are read.
    pub(crate) fn unpack_ahead(&self, places: &[u64]) {
        for run in places.chunk_by(|one, other| self.number_of(*one) == self.number_of(*other)) {
            if let Ok(Some(packed)) = self.packed(self.number_of(run[0]))
                && packed.absent.is_none()
            {
                packed.unpack_ahead(run.iter().map(|place| (place % self.segment_bytes) as usize));
            }
        }
    }

    /// How many bytes have been unpacked, all in all.
    pub(crate) fn unpacked_bytes(&self) -> u64 {
        self.shared.filled_bytes.load(Ordering::Relaxed)
    }

    /// How many bytes the file that is mapped has. It may have lost its name to a packed one: then it grows no more.
    fn measure_plain(&self, number: u64, plain: &Plain) -> Result<u64> {
        let found = self.facts(number)?;
        if found.identity == plain.identity {
            return Ok(found.len.min(self.segment_bytes));
        }
        let file = self.file_once(number)?;
        let (header, form) = header_of(&*file, number)?;
        if form != Form::Plain {
            return Ok(Packed::open(&*file, &name(number), &header, form, &self.shared)?.contents.plain_bytes);
        }
        // Packed and unpacked since.
        Ok(file.len().doing(|| format!("measuring {}", name(number)))?.min(self.segment_bytes))
    }

    /// How many bytes a segment has, unpacked.
    pub(crate) fn plain_bytes(&self, number: u64) -> Result<u64> {
        match self.get(number)? {
            Segment::Plain(plain) => self.measure_plain(number, plain),
            Segment::Packed(packed) => Ok(packed.contents.plain_bytes),
        }
    }

    /// Bytes of a segment that are written and no longer change. None beyond the end of its file.
    #[inline]
    fn within(&self, number: u64, at: usize, len: usize) -> Result<Option<&[u8]>> {
        self.within_segment(self.get(number)?, number, at, len)
    }

    #[inline]
    fn within_segment<'a>(
        &'a self,
        segment: &'a Segment,
        number: u64,
        at: usize,
        len: usize,
    ) -> Result<Option<&'a [u8]>> {
        let segment = match segment {
            Segment::Plain(plain) => plain,
            Segment::Packed(packed) => return packed.within(at, len),
        };
        let Some(end) = at.checked_add(len) else { return Ok(None) };
        if end > segment.len.load(Ordering::Relaxed) {
            let known = usize::try_from(self.measure_plain(number, segment)?).unwrap_or(usize::MAX);
            segment.len.store(known, Ordering::Relaxed);
            if end > known {
                return Ok(None);
            }
        }
        Ok(Some(segment.read.bytes(at, len)))
    }

    /// `len` bytes at a place, all within one segment, all written before.
    #[inline]
    pub(crate) fn bytes(&self, place: u64, len: usize) -> Result<&[u8]> {
        let at = (place % self.segment_bytes) as usize;
        self.within(self.number_of(place), at, len)?.ok_or_else(|| self.cut(place))
    }

    #[cold]
    fn cut(&self, place: u64) -> Error {
        self.damaged(place, None, "an entry reaches beyond the end of its log file")
    }

    /// All bytes from a place up to the end of its file.
    #[inline]
    pub(crate) fn bytes_from(&self, place: u64) -> Result<&[u8]> {
        self.bytes_up_to(place, usize::MAX)
    }

    /// Bytes from a place on: as many as are there, up to `limit`.
    #[inline]
    pub(crate) fn bytes_up_to(&self, place: u64, limit: usize) -> Result<&[u8]> {
        let number = self.number_of(place);
        let at = (place % self.segment_bytes) as usize;
        if let Some(bytes) = self.within(number, at, limit)? {
            return Ok(bytes);
        }
        let len = usize::try_from(self.plain_bytes(number)?).unwrap_or(usize::MAX);
        Ok(self.within(number, at, len.saturating_sub(at).min(limit))?.unwrap_or_default())
    }

    /// Bytes from a place on that take no more than one step to be had: all of its file, or the rest of its block where it
    /// is packed; and where to go on, 0 at the end of the file.
    pub(crate) fn stretch(&self, place: u64) -> (u64, Result<&[u8]>) {
        let number = self.number_of(place);
        let at = (place % self.segment_bytes) as usize;
        match self.get(number) {
            Ok(Segment::Packed(packed)) if (at as u64) < packed.contents.plain_bytes => {
                let end = packed.block_end(at);
                let next = if end as u64 == packed.contents.plain_bytes { 0 } else { place + (end - at) as u64 };
                (next, self.bytes_up_to(place, end - at))
            }
            _ => (0, self.bytes_from(place)),
        }
    }

    /// A text at a place, which is a name's. Those of packed segments are at hand without unpacking anything.
    #[inline]
    pub(crate) fn text(&self, place: u64, len: usize) -> Result<&[u8]> {
        let (number, at) = (self.number_of(place), (place % self.segment_bytes) as usize);
        let segment = self.get(number)?;
        if let Segment::Packed(packed) = segment
            && let Some(text) = packed.text(at, len)
        {
            return Ok(text);
        }
        self.within_segment(segment, number, at, len)?.ok_or_else(|| self.cut(place))
    }

    /// The byte at a place, where that takes nothing: for a place that nobody vouches for.
    #[inline]
    pub(crate) fn hint(&self, place: u64) -> Option<&u8> {
        let index = usize::try_from(self.number_of(place)).ok()?;
        let Segment::Plain(segment) = self.open.peek(index)? else { return None };
        let at = (place % self.segment_bytes) as usize;
        (at < segment.len.load(Ordering::Relaxed)).then(|| &segment.read.bytes(at, 1)[0])
    }

    /// A few bytes at a place: as many as are there, up to what a number takes. A file may end with its last record.
    #[inline]
    pub(crate) fn number_bytes(&self, place: u64) -> Result<&[u8]> {
        const NUMBER_BYTES: usize = 10;
        let at = (place % self.segment_bytes) as usize;
        if let Some(bytes) = self.within(self.number_of(place), at, NUMBER_BYTES)? {
            return Ok(bytes);
        }
        let rest = self.bytes_up_to(place, NUMBER_BYTES)?;
        if rest.is_empty() { self.bytes(place, 1) } else { Ok(rest) }
    }

    /// The bytes of the record at a place, by the length that it states.
    #[inline]
    pub(crate) fn record(&self, place: u64) -> Result<&[u8]> {
        self.bytes(place, self.record_len(place)?)
    }

    /// How long the record at a place is, as it states.
    #[inline]
    pub(crate) fn record_len(&self, place: u64) -> Result<usize> {
        let damaged = || self.damaged(place, None, "there should be a record here, but its header is damaged");
        Head::read(self.bytes(place, HEAD_BYTES)?).map(|head| head.len).ok_or_else(damaged)
    }

    /// What `take` finds at the beginning of `len` bytes of a packed file. It is shown no more of them than it takes, so that
    /// no more is unpacked: the rest of a block, and then twice as much each time.
    pub(crate) fn found_at<'a, T>(
        &'a self,
        packed: &Packed,
        place: u64,
        len: usize,
        take: impl Fn(&'a [u8]) -> Option<T>,
    ) -> Result<Option<T>> {
        let at = (place % self.segment_bytes) as usize;
        let mut shown = packed.block_end(at).saturating_sub(at).clamp(1, len.max(1));
        loop {
            let found = take(self.bytes(place, shown)?);
            if found.is_some() || shown >= len {
                return Ok(found);
            }
            shown = (2 * shown).min(len);
        }
    }

    /// Have what it takes to write at a place. A refusal is one of this process, which has too many files open or no
    /// address space left: nothing has been written. `mapped`: by storing into a mapping instead of by a system call.
    #[inline]
    pub(crate) fn opened(&self, place: u64, mapped: bool) -> Result<Opened<'_>> {
        let number = self.number_of(place);
        if mapped { self.write_map(number).map(Opened::Map) } else { self.file(number).map(Opened::File) }
    }

    /// Write a record.
    #[inline]
    pub(crate) fn write(&self, to: &Opened<'_>, place: u64, record: &[u8]) -> Result<()> {
        let at = place % self.segment_bytes;
        match to {
            Opened::File(file) => {
                let what = || format!("writing to {}", name(self.number_of(place)));
                file.write_all_at(record, at).doing(what)
            }
            Opened::Map(map) => {
                map.write(at as usize, record);
                Ok(())
            }
        }
    }

    fn write_map(&self, number: u64) -> Result<&Map> {
        let Segment::Plain(segment) = self.get(number)? else {
            return Err(self.damaged(number * self.segment_bytes, None, "this log file is packed, but is written to"));
        };
        if let Some(map) = segment.write.get() {
            return Ok(map);
        }
        let len = self.segment_bytes as usize;
        let map = self.file_once(number)?.map(0, len, true).doing(|| format!("mapping {}", name(number)))?;
        Ok(segment.write.get_or_init(|| map))
    }

    /// Have the pages from one place to another at hand for writing through the mapping; both in one segment.
    pub(crate) fn populate(&self, from: u64, to: u64) -> Result<()> {
        let number = self.number_of(from);
        let map = self.write_map(number)?;
        map.populate((from % self.segment_bytes) as usize, (to - from) as usize);
        Ok(())
    }

    /// Write again what is there from one place to another, so that the next flush finds it to be unflushed.
    pub(crate) fn rewrite(&self, from: u64, to: u64) -> Result<()> {
        const PIECE_BYTES: u64 = 1 << 18;
        let mut place = from.max(HEADER_BYTES);
        while place < to {
            let number = self.number_of(place);
            if self.packed(number)?.is_some() {
                // It was flushed before it took the place of the plain one.
                place = self.first_place(number + 1);
                continue;
            }
            let rest = self.bytes_from(place)?;
            let bytes = rest[..rest.len().min((to - place).min(PIECE_BYTES) as usize)].to_vec();
            if bytes.is_empty() {
                place = self.first_place(number + 1);
                continue;
            }
            self.write(&self.opened(place, false)?, place, &bytes)?;
            place += bytes.len() as u64;
        }
        Ok(())
    }

    /// The files of all segments that hold bytes from `from` up to `to`. As with `opened`, a refusal is one of this process.
    #[inline]
    pub(crate) fn files(&self, from: u64, to: u64) -> Result<Flushable> {
        self.numbers(from, to).map(|number| Ok((number, self.file(number)?))).collect()
    }

    /// Flush all segments that hold bytes from `from` up to `to`.
    pub(crate) fn flush(&self, from: u64, to: u64) -> Result<()> {
        // One at a time: there may be more than a process may have open.
        self.numbers(from, to).try_for_each(|number| flush(number, &self.file_once(number)?))
    }

    /// The segments that hold bytes from `from` up to `to`.
    pub(crate) fn numbers(&self, from: u64, to: u64) -> RangeInclusive<u64> {
        self.number_of(from)..=self.number_of(to.max(from))
    }

    /// Give the segments from that of `place` on all of their blocks again: a copy may have come without them.
    pub(crate) fn fill(&self, place: u64, only_sparse: bool) -> Result<()> {
        let first = self.number_of(place);
        for number in list(&*self.shared.disk)?.into_iter().filter(|number| *number >= first) {
            fill(&*self.file_once(number)?, &name(number), only_sparse)?;
        }
        Ok(())
    }
}

/// For how many bytes a log has blocks when it begins.
pub(crate) const FIRST_BYTES: u64 = 256 << 10;
const GROWTH_MIN_BYTES: u64 = 1 << 20;
const GROWTH_MAX_BYTES: u64 = 8 << 20;

/// By how much a log grows at a time that has come to `allocated` bytes. Steps are few: each is one more time that the disk
/// is told of a longer file, and that a flush may have to wait for it.
pub(crate) fn growth_step(segment_bytes: u64, allocated: u64) -> u64 {
    let step = if allocated == 0 { FIRST_BYTES } else { allocated.clamp(GROWTH_MIN_BYTES, GROWTH_MAX_BYTES) };
    // No more than half a file, but for small ones.
    step.min((segment_bytes / 2).max(FIRST_BYTES)).min(segment_bytes).next_multiple_of(4096)
}

/// With how much room left a log that has come to `allocated` bytes asks for more.
pub(crate) fn growth_mark(segment_bytes: u64, allocated: u64) -> u64 {
    growth_step(segment_bytes, allocated).min(allocated) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_has_just_begun_asks_for_no_more_and_one_that_fills_a_file_grows_in_few_steps() {
        let segment_bytes = 64 << 20;
        let first = growth_step(segment_bytes, 0);
        assert_eq!(first, FIRST_BYTES);
        assert!(growth_mark(segment_bytes, first) <= first / 2, "small stores stay as they are");
        let (mut allocated, mut steps) = (first, 0);
        while allocated < segment_bytes {
            assert!(growth_mark(segment_bytes, allocated) <= allocated / 2);
            allocated += growth_step(segment_bytes, allocated);
            steps += 1;
        }
        assert!(steps <= 12, "{steps} steps");
    }

    #[test]
    fn no_step_is_larger_than_a_file_of_the_log() {
        for segment_bytes in [4096, 64 << 10, 300 << 10, 1 << 20] {
            for allocated in [0, 4096, segment_bytes, 3 * segment_bytes] {
                assert!(growth_step(segment_bytes, allocated) <= segment_bytes);
                assert!(growth_mark(segment_bytes, allocated) <= segment_bytes / 2);
            }
        }
    }
}
