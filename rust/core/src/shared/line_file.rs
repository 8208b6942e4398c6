//! A file of lines that grows, mapped window by window.
//!
//! It is open only while it is mapped, grown or flushed, so that an open store takes few descriptors. Each time it is the
//! file that was opened at first, or an error: its name may have gone to another one.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use act_fast_sys::Map;

use crate::bytes::{put_narrow, u32_at};
use crate::disk::{Access, Disk, DiskFile, Facts, fill};
use crate::error::{Doing, Error, Result};
use crate::log::record::FORMAT;
use crate::shared::line::{self, Address, LINE_BYTES, Line, SharedLine};
use crate::sparse::Sparse;

const WINDOW_BYTES: u64 = 64 << 20;
const GROWTH_MIN_BYTES: u64 = 64 << 10;
const GROWTH_MAX_BYTES: u64 = 8 << 20;
const MAGIC: &[u8; 8] = b"ACTINDX\0";

#[derive(Debug)]
pub(crate) struct Grown {
    disk: Arc<dyn Disk>,
    name: String,
    pub(crate) area: u8,
    /// Tells the file from another one that takes its name.
    identity: (u64, u64),
    writable: bool,
    /// The file, where it wants to be told of lines that are replaced.
    recorder: Option<Box<dyn DiskFile>>,
    /// Of the file, when it is made; earlier ones are read too.
    format: u32,
    /// Whether this one has an earlier one.
    earlier: bool,
    /// Most files have no more than this window, so it is found without being looked for.
    first: Map,
    /// The windows behind it, each at its own number.
    windows: Sparse<Map>,
    /// As far as this handle knows.
    len: AtomicU64,
    /// Up to where there are blocks, and a mapping of the last of them: writing there cannot fail.
    ready: AtomicU64,
}

/// An area whose files have come to another format since.
struct Later {
    area: u8,
    format: u32,
    /// Whether a file of the earlier one becomes one of this when it is opened.
    raised: bool,
}

const LATER: [Later; 2] =
    [Later { area: 2, format: FORMAT + 1, raised: false }, Later { area: 66, format: FORMAT + 1, raised: true }];

impl Grown {
    /// The file that was opened.
    fn new(disk: &Arc<dyn Disk>, name: String, area: u8, file: Box<dyn DiskFile>, writable: bool) -> Result<Self> {
        let what = || format!("looking at {name}");
        let identity = file.identity().doing(what)?;
        let len = AtomicU64::new(file.len().doing(what)?);
        let first = file.map(0, WINDOW_BYTES as usize, writable).doing(|| format!("mapping {name}"))?;
        let windows = Sparse::new();
        let format = LATER.iter().find(|later| later.area == area).map_or(FORMAT, |later| later.format);
        let recorder = file.records().then_some(file);
        let (disk, ready, earlier) = (Arc::clone(disk), AtomicU64::new(0), false);
        Ok(Self { disk, name, area, identity, writable, recorder, format, earlier, first, windows, len, ready })
    }

    /// The file, opened again.
    pub(crate) fn opened(&self) -> Result<Box<dyn DiskFile>> {
        self.open_again().doing(|| format!("opening {}", self.name))
    }

    fn open_again(&self) -> io::Result<Box<dyn DiskFile>> {
        let file = self.disk.open(&self.name, if self.writable { Access::Write } else { Access::Read })?;
        self.check(file.identity()?)?;
        Ok(file)
    }

    fn check(&self, identity: (u64, u64)) -> io::Result<()> {
        if identity == self.identity {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "another file has taken its name"))
    }

    fn header(&self, store_id: &[u8; 16], generation: u32) -> Line {
        self.header_of(self.format, store_id, generation)
    }

    fn header_of(&self, format: u32, store_id: &[u8; 16], generation: u32) -> Line {
        let mut header = [0; LINE_BYTES];
        header[..8].copy_from_slice(MAGIC);
        put_narrow::<4>(&mut header, 8, u64::from(format));
        put_narrow::<4>(&mut header, 12, u64::from(generation));
        header[16..32].copy_from_slice(store_id);
        line::seal(&mut header, self.address(0));
        header
    }

    /// Make an empty file with room for `lines` lines after its head.
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        name: String,
        area: u8,
        store_id: &[u8; 16],
        generation: u32,
        lines: u64,
    ) -> Result<Self> {
        let file = disk.open(&name, Access::Create).doing(|| format!("making {name}"))?;
        let grown = Self::new(disk, name, area, file, true)?;
        grown.reserve(lines + 1)?;
        let header = grown.header(store_id, generation);
        line::store(grown.shared(0)?, &header);
        Ok(grown)
    }

    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        name: String,
        area: u8,
        store_id: &[u8; 16],
        generation: u32,
        writable: bool,
    ) -> Result<Self> {
        let access = if writable { Access::Write } else { Access::Read };
        let file = disk.open(&name, access).doing(|| format!("opening {name}"))?;
        if writable {
            fill(&*file, &name, true)?;
        }
        let mut grown = Self::new(disk, name, area, file, writable)?;
        if grown.has_head(store_id, generation)? { Ok(grown) } else { Err(Error::index_damaged(&grown.name, 0)) }
    }

    /// Open a file whose content can be lost; one whose head is not what it must be is cleared, in its place, so that those
    /// who have it open go on with the same one. Answers also whether that was so.
    pub(crate) fn open_or_clear(
        disk: &Arc<dyn Disk>,
        name: String,
        area: u8,
        store_id: &[u8; 16],
        generation: u32,
    ) -> Result<(Self, bool)> {
        let file = disk.open(&name, Access::Write).doing(|| format!("opening {name}"))?;
        fill(&*file, &name, true)?;
        let mut grown = Self::new(disk, name, area, file, true)?;
        if grown.has_head(store_id, generation)? {
            return Ok((grown, false));
        }
        grown.write_zeros(0)?;
        grown.reserve(1)?;
        line::store(grown.shared(0)?, &grown.header(store_id, generation));
        Ok((grown, true))
    }

    fn has_head(&mut self, store_id: &[u8; 16], generation: u32) -> Result<bool> {
        if self.measure()? < LINE_BYTES as u64 {
            return Ok(false);
        }
        let header = line::load(self.shared(0)?);
        if &header[..8] == MAGIC && u32_at(&header, 8) > self.format && line::sound(&header, self.address(0)) {
            return Err(Error::Format(format!(
                "{} has format {}, which is newer than {}",
                self.name,
                u32_at(&header, 8),
                self.format
            )));
        }
        if self.format > FORMAT && header == self.header_of(FORMAT, store_id, generation) {
            // Its lines are read as they are.
            let raised = LATER.iter().any(|later| later.area == self.area && later.raised);
            self.earlier = !raised;
            if raised && self.writable {
                // Earlier versions must not write to it any more.
                line::store(self.shared(0)?, &self.header(store_id, generation));
            }
            return Ok(true);
        }
        Ok(header == self.header(store_id, generation))
    }

    /// Whether the file is of an earlier format than what is made now, and stays so.
    #[inline]
    pub(crate) fn is_of_earlier_format(&self) -> bool {
        self.earlier
    }

    /// Whether the file belongs to another store.
    pub(crate) fn foreign(disk: &Arc<dyn Disk>, name: String, area: u8, store_id: &[u8; 16]) -> Result<bool> {
        let file = disk.open(&name, Access::Read).doing(|| format!("opening {name}"))?;
        let grown = Self::new(disk, name, area, file, false)?;
        if grown.measure()? < LINE_BYTES as u64 {
            return Ok(false);
        }
        let header = line::load(grown.shared(0)?);
        Ok(line::sound(&header, grown.address(0)) && &header[..8] == MAGIC && header[16..32] != store_id[..])
    }

    #[inline]
    pub(crate) fn address(&self, number: u64) -> Address {
        Address::new(self.area, number)
    }

    fn measure(&self) -> Result<u64> {
        let found = match &self.recorder {
            Some(file) => file.len(),
            None => self.disk.facts(&self.name).and_then(|Facts { identity, len }| self.check(identity).map(|()| len)),
        };
        let len = found.doing(|| format!("measuring {}", self.name))?;
        self.len.store(len, Ordering::Relaxed);
        Ok(len)
    }

    /// Give the first `lines` lines their blocks, so that writing them cannot fail.
    #[inline(always)]
    pub(crate) fn reserve(&self, lines: u64) -> Result<()> {
        let ready = lines * LINE_BYTES as u64 <= self.ready.load(Ordering::Relaxed);
        if ready { Ok(()) } else { self.grow(lines) }
    }

    #[cold]
    fn grow(&self, lines: u64) -> Result<()> {
        let wanted = lines * LINE_BYTES as u64;
        let file = match self.open_again() {
            // Nothing is to be written to what others do not see.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::displaced(&self.disk.describe()));
            }
            file => file.doing(|| format!("opening {}", self.name))?,
        };
        let what = || format!("growing {}", self.name);
        let len = file.len().doing(what)?;
        self.len.store(len, Ordering::Relaxed);
        if wanted > len {
            let step = (len / 4).clamp(GROWTH_MIN_BYTES, GROWTH_MAX_BYTES);
            let target = wanted.max(len + step).next_multiple_of(4096);
            file.reserve(len, target - len).doing(what)?;
            file.warm(len, target - len).doing(what)?;
            self.len.store(target, Ordering::Relaxed);
        }
        self.shared(lines - 1)?;
        self.ready
            .store(self.len.load(Ordering::Relaxed).min(wanted.next_multiple_of(WINDOW_BYTES)), Ordering::Relaxed);
        Ok(())
    }

    /// The line's shared words. Asking for a line beyond the end of the file is an error.
    #[inline(always)]
    pub(crate) fn shared(&self, number: u64) -> Result<&SharedLine> {
        match self.hint(number) {
            Some(line) => Ok(line),
            None => self.mapped(number),
        }
    }

    /// The same where that takes no system call; for hints, which need not be of lines that exist.
    #[inline(always)]
    pub(crate) fn hint(&self, number: u64) -> Option<&SharedLine> {
        let at = number * LINE_BYTES as u64;
        if at + LINE_BYTES as u64 > self.len.load(Ordering::Relaxed) {
            return None;
        }
        if at < WINDOW_BYTES {
            return Some(self.first.line(at as usize));
        }
        let window = self.windows.peek((at / WINDOW_BYTES) as usize)?;
        Some(window.line((at % WINDOW_BYTES) as usize))
    }

    #[cold]
    fn mapped(&self, number: u64) -> Result<&SharedLine> {
        let at = number * LINE_BYTES as u64;
        if at + LINE_BYTES as u64 > self.len.load(Ordering::Relaxed) && at + LINE_BYTES as u64 > self.measure()? {
            return Err(Error::index_damaged(&self.name, at));
        }
        if at < WINDOW_BYTES {
            return Ok(self.first.line(at as usize));
        }
        let window = usize::try_from(at / WINDOW_BYTES).unwrap_or(usize::MAX);
        let map = self
            .windows
            .get(window, || {
                self.open_again()
                    .and_then(|file| file.map(window as u64 * WINDOW_BYTES, WINDOW_BYTES as usize, self.writable))
                    .doing(|| format!("mapping {}", self.name))
            })
            .unwrap_or_else(|| Err(Error::Full(format!("{} has reached its maximum size", self.name))))?;
        Ok(map.line((at % WINDOW_BYTES) as usize))
    }

    /// Write a line, with its checksum.
    #[inline]
    pub(crate) fn put(&self, number: u64, content: &mut Line) -> Result<()> {
        line::seal(content, self.address(number));
        let shared = self.shared(number)?;
        if let Some(file) = &self.recorder {
            file.replaced(number, &line::load(shared));
        }
        line::store(shared, content);
        Ok(())
    }

    /// Write zeros over all lines but the head.
    pub(crate) fn clear(&self) -> Result<()> {
        self.write_zeros(LINE_BYTES as u64)
    }

    fn write_zeros(&self, from: u64) -> Result<()> {
        let len = self.measure()?.saturating_sub(from);
        self.opened()?.write_zeros(from, len).doing(|| format!("clearing {}", self.name))
    }

    /// The line, or None when it stays unsound for longer than changing it takes.
    #[inline]
    pub(crate) fn glance(&self, number: u64) -> Result<Option<Line>> {
        Ok(line::glance(self.shared(number)?, self.address(number)))
    }

    /// A sound line, of a file whose lines do not change once they are written.
    pub(crate) fn read(&self, number: u64) -> Result<Line> {
        self.glance(number)?.ok_or_else(|| Error::index_damaged(&self.name, number * LINE_BYTES as u64))
    }

    pub(crate) fn flush(&self) -> Result<()> {
        self.flush_through(&*self.opened()?)
    }

    /// Flush it by what `opened` gave.
    pub(crate) fn flush_through(&self, file: &dyn DiskFile) -> Result<()> {
        let what = || format!("flushing {}", self.name);
        file.flush().doing(what)?;
        // What failed before, and others were told of, the mapping tells: it has had the file open ever since.
        self.first.flush(0, LINE_BYTES).doing(what)
    }

    /// How many lines there is room for.
    pub(crate) fn lines(&self) -> Result<u64> {
        Ok(self.measure()? / LINE_BYTES as u64)
    }

    pub(crate) fn bytes(&self) -> Result<u64> {
        self.measure()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn a_head_of_a_newer_format_is_refused_and_a_damaged_one_is_cleared() {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
        let create = || Grown::create(&disk, "reactions/cells".to_owned(), 9, &[1; 16], 1, 0).expect("a file");
        let open = || Grown::open_or_clear(&disk, "reactions/cells".to_owned(), 9, &[1; 16], 1);
        let grown = create();
        let mut newer = grown.header(&[1; 16], 1);
        put_narrow::<4>(&mut newer, 8, u64::from(FORMAT) + 1);
        line::store(grown.shared(0).expect("a line"), &newer);
        assert!(matches!(open(), Ok((_, true))), "a format that does not fit its checksum is damage");
        line::seal(&mut newer, grown.address(0));
        line::store(grown.shared(0).expect("a line"), &newer);
        assert!(matches!(open(), Err(Error::Format(_))));
        create();
        assert!(matches!(open(), Ok((_, false))));
    }

    #[test]
    fn a_file_that_has_lost_its_name_to_another_is_read_on_but_not_written_and_the_other_is_left_alone() {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
        let name = || "index/00000001/keys".to_owned();
        let grown = Grown::create(&disk, name(), 9, &[1; 16], 1, 0).expect("a file");
        grown.put(1, &mut [7; LINE_BYTES]).expect("a line");
        let other = Grown::create(&disk, name(), 9, &[2; 16], 1, 0).expect("another file");
        let before = other.bytes().expect("a length");
        let beyond = WINDOW_BYTES / LINE_BYTES as u64;
        assert!(matches!(grown.reserve(beyond + 1), Err(Error::Failed(_))));
        assert!(matches!(grown.shared(beyond).map(drop), Err(Error::Io { .. })));
        assert!(matches!(grown.clear(), Err(Error::Io { .. })));
        assert!(matches!(grown.flush(), Err(Error::Io { .. })));
        assert_eq!(grown.read(1).expect("a line")[0], 7);
        assert_eq!(other.bytes().expect("a length"), before);
    }
}
