//! Writing a log from its beginning, where nobody reads yet: records back to back, without an index.

use std::sync::Arc;

use crate::disk::{Access, Disk, DiskFile};
use crate::error::{Doing, Result};
use crate::log::builder::{Builder, NewCommit, NewSnapshot};
use crate::log::record::{ALIGN_BYTES, HEAD_BYTES, KeyKind, LogState, Seed};
use crate::log::segments::{self, HEADER_BYTES, Header};
use crate::store::directory::new_store_id;

const BUFFER_BYTES: usize = 1 << 20;
/// What a snapshot record takes besides its data, at most.
const SNAPSHOT_OVERHEAD_BYTES: u64 = HEAD_BYTES as u64 + 40;

/// An event whose names have keys.
pub(super) struct NewEvent<'a> {
    pub(super) stream: u32,
    pub(super) name: u32,
    pub(super) version: u64,
    pub(super) tags: &'a [u32],
    pub(super) data: &'a [u8],
}

/// Whether a commit of at most `bytes_max` bytes fits into a segment.
pub(super) fn fits(bytes_max: u64, segment_bytes: u64) -> bool {
    bytes_max.next_multiple_of(ALIGN_BYTES as u64) + HEAD_BYTES as u64 <= segment_bytes - HEADER_BYTES
}

/// The writer of a new log.
#[derive(Debug)]
pub(super) struct LogWriter {
    disk: Arc<dyn Disk>,
    header: Header,
    seed: Seed,
    builder: Builder,
    state: LogState,
    file: Box<dyn DiskFile>,
    buffer: Vec<u8>,
    /// Where in the file the buffer goes.
    buffer_at: u64,
}

impl LogWriter {
    /// Begin the log of a new store on a disk.
    pub(super) fn begin(disk: &Arc<dyn Disk>, segment_bytes: u64) -> Result<Self> {
        Self::begin_as(disk, new_store_id(), segment_bytes)
    }

    /// Begin a log on a disk for the store of that id.
    pub(super) fn begin_as(disk: &Arc<dyn Disk>, store_id: [u8; 16], segment_bytes: u64) -> Result<Self> {
        disk.create_folder(segments::FOLDER).doing(|| format!("making {}", disk.describe()))?;
        let header = Header { store_id, number: 0, segment_bytes, replica: false };
        let file = create(disk, &header)?;
        Ok(Self {
            disk: Arc::clone(disk),
            seed: Seed::new(&header.store_id),
            builder: Builder::default(),
            state: LogState { tail: HEADER_BYTES, ..LogState::default() },
            file,
            buffer: header.encode().to_vec(),
            buffer_at: 0,
            header,
        })
    }

    /// Write a commit. `created` must not be less than that of the commit before.
    pub(super) fn commit<'a>(
        &mut self,
        created: i64,
        meta: &[u8],
        definitions: &[(u32, KeyKind, &str)],
        events: impl ExactSizeIterator<Item = NewEvent<'a>>,
        bytes_max: u64,
    ) -> Result<()> {
        self.make_room(bytes_max)?;
        let count = events.len() as u64;
        let new = NewCommit {
            place: self.state.tail,
            previous: self.state.crc,
            position: self.state.position + 1,
            created,
            synced: 0,
            count,
            proposed: None,
            meta,
            definitions,
        };
        self.builder.commit(&new, self.seed);
        for event in events {
            self.builder.event(event.stream, event.name, event.version, event.tags, event.data, self.seed);
        }
        let len = self.put()?;
        self.state.tail += len;
        self.state.position += count;
        self.state.created = created;
        Ok(())
    }

    /// Write a snapshot, and answer where it is.
    pub(super) fn snapshot(&mut self, created: i64, snapshot: &NewSnapshot<'_>) -> Result<u64> {
        self.make_room(snapshot.data.len() as u64 + SNAPSHOT_OVERHEAD_BYTES)?;
        let place = self.state.tail;
        self.builder.snapshot(&self.state, created, snapshot);
        self.state.tail += self.put()?;
        self.state.created = created;
        Ok(place)
    }

    /// Go on in the next segment if a record of at most so many bytes does not fit into this one.
    fn make_room(&mut self, bytes_max: u64) -> Result<()> {
        let segment_end = (self.header.number + 1) * self.header.segment_bytes;
        if self.state.tail + bytes_max.next_multiple_of(ALIGN_BYTES as u64) + HEAD_BYTES as u64 > segment_end {
            self.roll()?;
        }
        Ok(())
    }

    /// Put the record that was built into the buffer; its length.
    fn put(&mut self) -> Result<u64> {
        let (record, crc) = self.builder.finish(self.seed);
        self.state.crc = crc;
        self.buffer.extend_from_slice(record);
        let len = record.len() as u64;
        if self.buffer.len() >= BUFFER_BYTES {
            self.write()?;
        }
        Ok(len)
    }

    fn write(&mut self) -> Result<()> {
        let name = segments::name(self.header.number);
        self.file.write_all_at(&self.buffer, self.buffer_at).doing(|| format!("writing to {name}"))?;
        self.file.start_flush(self.buffer_at, self.buffer.len() as u64);
        self.buffer_at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.write()?;
        self.file.flush().doing(|| format!("flushing {}", segments::name(self.header.number)))
    }

    /// End this segment and go on in the next.
    fn roll(&mut self) -> Result<()> {
        self.builder.end(&self.state);
        self.put()?;
        self.flush()?;
        self.header.number += 1;
        self.file = create(&self.disk, &self.header)?;
        self.buffer.extend_from_slice(&self.header.encode());
        self.buffer_at = 0;
        self.state.tail = self.header.number * self.header.segment_bytes + HEADER_BYTES;
        Ok(())
    }

    /// Flush all of it; how many bytes the log has.
    pub(super) fn finish(mut self) -> Result<u64> {
        self.flush()?;
        self.disk.sync_folder(segments::FOLDER).doing(|| format!("syncing {}", self.disk.describe()))?;
        self.disk.sync_folder("").doing(|| format!("syncing {}", self.disk.describe()))?;
        Ok(self.state.tail)
    }
}

fn create(disk: &Arc<dyn Disk>, header: &Header) -> Result<Box<dyn DiskFile>> {
    let name = segments::name(header.number);
    disk.open(&name, Access::Create).doing(|| format!("making {name}"))
}
