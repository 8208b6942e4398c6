//! Walking the events of a group, page by page.

use crate::error::Result;
use crate::index::Index;
use crate::log::record::Stored;
use crate::read::event::{PAGE_BYTES_MAX, Reader};
use crate::read::walk::each_event;
use crate::store::log::Log;

use super::group::{Group, Walked};

/// How many events one page looks at before it comes back, even if empty, so that its caller stays interruptible.
const PAGE_EXAMINED_MAX: usize = 1 << 18;

/// An event to be folded.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// The slot of its stream in the group.
    pub slot: u32,
    /// The number of its name in `Span::names`.
    pub name: u32,
    /// Its version.
    pub version: u64,
    /// Its position.
    pub position: u64,
    /// Its payload: JSON.
    pub data: &'a [u8],
}

impl Group {
    /// The next events, at most `limit`, perhaps none yet; those of a stream are in order. None when there are no more.
    pub fn next_page<'a>(&mut self, log: &'a Log, limit: usize) -> Result<Option<Vec<Piece<'a>>>> {
        log.check_open()?;
        let start = self.next;
        log.reading(|index| {
            self.next = start;
            match self.keys.take() {
                Some(keys) => {
                    let page = self.page_of_streams(log, index, &keys, limit);
                    self.keys = Some(keys);
                    page
                }
                None if self.next.position >= self.positions.end => Ok(None),
                None => self.page_of_log(log, index, limit),
            }
        })
    }

    fn page_of_log<'a>(&mut self, log: &'a Log, index: &Index, limit: usize) -> Result<Option<Vec<Piece<'a>>>> {
        let mut pieces = Vec::new();
        let (mut bytes, mut examined) = (0, 0);
        let from = self.next.position;
        let mut next = from;
        each_event(log, index, from..self.positions.end, |_, event| {
            if pieces.len() == limit || examined == PAGE_EXAMINED_MAX || bytes > PAGE_BYTES_MAX {
                return Ok(false);
            }
            examined += 1;
            next += 1;
            if let Some(piece) = self.piece(event) {
                bytes += event.data.len();
                pieces.push(piece);
            }
            Ok(true)
        })?;
        self.next.position = next;
        Ok(Some(pieces))
    }

    #[inline]
    fn piece<'a>(&mut self, event: &Stored<'a>) -> Option<Piece<'a>> {
        let slot = self.slot(event.stream)?;
        let name = self.note(slot, event.name, event.version, event.position)?;
        Some(Piece { slot: slot as u32, name, version: event.version, position: event.position, data: event.data })
    }

    fn page_of_streams<'a>(
        &mut self,
        log: &'a Log,
        index: &Index,
        keys: &[crate::index::Key],
        limit: usize,
    ) -> Result<Option<Vec<Piece<'a>>>> {
        let mut pieces = Vec::new();
        let mut reader = Reader::new(log);
        let mut positions = Vec::new();
        let (mut bytes, mut examined) = (0, 0);
        let cut = self.positions.end - 1;
        let Walked { mut slot, mut version, .. } = self.next;
        if slot == keys.len() {
            return Ok(None);
        }
        while slot < keys.len() && pieces.len() < limit && examined < PAGE_EXAMINED_MAX && bytes <= PAGE_BYTES_MAX {
            let last = index.count_up_to(&keys[slot], cut)?;
            let page_last = last.min(version + (limit - pieces.len()) as u64);
            positions.clear();
            index.postings(&keys[slot], version + 1, page_last, &mut positions)?;
            log.unpack_ahead(index, &positions)?;
            index.each_place(&positions, |position, place| {
                if bytes > PAGE_BYTES_MAX {
                    return Ok(());
                }
                version += 1;
                let event = reader.event(place, position)?;
                if event.stream != self.standings[slot].stream || event.version != version {
                    return Err(crate::error::Error::index_damaged(crate::index::FOLDER, 0));
                }
                examined += 1;
                bytes += event.data.len();
                if let Some(name) = self.note(slot, event.name, version, position) {
                    pieces.push(Piece { slot: slot as u32, name, version, position, data: event.data });
                }
                Ok(())
            })?;
            if version >= last {
                (slot, version) = (slot + 1, 0);
            }
        }
        self.next = Walked { slot, version, ..self.next };
        Ok(Some(pieces))
    }
}
