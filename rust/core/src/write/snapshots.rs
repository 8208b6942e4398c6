//! Snapshots: states stored beside the events. They take neither a version nor a position, and nothing is lost with one.

use crate::error::{Error, Result};
use crate::log::builder::{Builder, NewSnapshot};
use crate::log::record::{KeyKind, LogState, SnapshotRecord, sound};
use crate::names;
use crate::store::log::Log;

/// What a snapshot record takes besides its data, at most.
const OVERHEAD_BYTES: u64 = 32 + 8 + 4 * 10;

/// A stored state.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotView<'a> {
    /// The version of the stream that it is the state at.
    pub version: u64,
    /// When it was stored, in µs since 1970.
    pub created: i64,
    /// The state, as it was given.
    pub data: &'a [u8],
}

impl Log {
    /// Store the state of a stream at a version that it has reached.
    pub fn save_snapshot(&self, stream: &str, version: u64, data: &[u8]) -> Result<()> {
        let reached = self.version(stream)?;
        if version == 0 || version > reached {
            return Err(Error::Invalid(format!(
                "a snapshot of stream {stream:?} at version {version} is impossible: the stream is at version {reached}"
            )));
        }
        self.check_writable()?;
        loop {
            let mut writer = self.writer();
            let guard = self.lock_writer()?;
            let outcome = self.write_snapshot(writer.builder(), stream, version, data);
            drop(guard);
            drop(writer);
            match outcome {
                // Nothing was written yet.
                Err(Error::Absent { number, block }) => self.segments.fetch(number, block)?,
                outcome => return outcome,
            }
        }
    }

    fn write_snapshot(&self, builder: &mut Builder, stream: &str, version: u64, data: &[u8]) -> Result<()> {
        self.check_sane()?;
        self.check_in_place()?;
        let index = self.index()?;
        let mut state = self.control.log_state()?;
        let (number, key) = index
            .find(KeyKind::Stream, stream)?
            .ok_or_else(|| Error::Invalid(format!("there is no stream {stream:?}")))?;
        if key.snapshot != 0 && self.snapshot_at(key.snapshot, number)?.version > version {
            // Somebody else was further; what is kept never goes back.
            return Ok(());
        }
        self.make_room(builder, &mut state, data.len() as u64 + OVERHEAD_BYTES)?;
        let place = state.tail;
        // On a replica, the time of a commit must not hang on what only this machine has stored.
        let created = if self.is_replica() { state.created } else { self.now_us().max(state.created) };
        let new = NewSnapshot { stream: number, version, before: key.snapshot, data };
        builder.snapshot(&state, created, &new);
        let (record, crc) = builder.finish(self.seed);
        self.write_record(place, record)?;
        state = LogState { tail: place + record.len() as u64, created, crc, ..state };
        self.control.put_log_state(state);
        let snapshot = SnapshotRecord::read(record)
            .ok_or_else(|| self.segments.damaged(place, None, "a snapshot record was built wrongly"))?;
        match index.apply_snapshot(place, &snapshot) {
            Ok(()) => self.control.set_indexed(state.tail, state.position),
            // As for a commit: it is there, and what cannot be indexed now could not be by the next writer either.
            Err(Error::Corrupt { .. }) => self.remake_index(state.tail)?,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The youngest snapshot of a stream, of those at or below a version if one is given.
    pub fn latest_snapshot(&self, stream: &str, at_or_below: Option<u64>) -> Result<Option<SnapshotView<'_>>> {
        self.latest_snapshot_beginning(stream, at_or_below, b"")
    }

    /// The same, of those whose data begins with these bytes: several programs may keep their own side by side.
    pub fn latest_snapshot_beginning(
        &self,
        stream: &str,
        at_or_below: Option<u64>,
        beginning: &[u8],
    ) -> Result<Option<SnapshotView<'_>>> {
        names::check("stream", stream)?;
        let found = self.reading(|index| index.find(KeyKind::Stream, stream))?;
        let Some((number, key)) = found else {
            return Ok(None);
        };
        let mut place = key.snapshot;
        while place != 0 {
            let snapshot = self.snapshot_at(place, number)?;
            if at_or_below.is_none_or(|limit| snapshot.version <= limit) && snapshot.data.starts_with(beginning) {
                let SnapshotRecord { head, version, data, .. } = snapshot;
                return Ok(Some(SnapshotView { version, created: head.created, data }));
            }
            if snapshot.before >= place {
                return Err(self.segments.damaged(place, None, "a snapshot says that an older one is younger"));
            }
            place = snapshot.before;
        }
        Ok(None)
    }

    fn snapshot_at(&self, place: u64, stream: u32) -> Result<SnapshotRecord<'_>> {
        let bytes = self.segments.record(place)?;
        sound(bytes, place, self.seed)
            .and_then(|_| SnapshotRecord::read(bytes))
            .filter(|snapshot| snapshot.stream == stream)
            .ok_or_else(|| self.segments.damaged(place, None, "the snapshot here is damaged"))
    }
}
