//! Whether an open log is the replica of a replicated store, and what only such a log, or no such log, may do.

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::log::segments::{self, Header};
use crate::shared::control::Control;
use crate::store::log::Log;

/// What brings a replicated store into being, and is the same for all of its replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// What tells the store from all others.
    pub store_id: [u8; 16],
    /// The size of a log file, in bytes.
    pub segment_bytes: u64,
}

impl Genesis {
    /// The head of a replica's first log file.
    pub(super) fn header(self) -> Header {
        let Self { store_id, segment_bytes } = self;
        Header { store_id, number: 0, segment_bytes, replica: true }
    }

    /// Refuse a log that is no replica, or that of another store. `place` says where it is.
    pub(super) fn check(known: Option<Self>, found: &Header, place: &str) -> Result<()> {
        if !found.replica {
            return Err(Error::Format(format!(
                "the store at {place} is a log of its own, not the replica of a replicated store; choose another path"
            )));
        }
        let Some(Self { store_id, segment_bytes }) = known else {
            return Ok(());
        };
        if found.store_id != store_id {
            return Err(Error::Format(format!(
                "{place} has the replica of another store ({}, not {}); choose another path",
                hex(&found.store_id),
                hex(&store_id)
            )));
        }
        if found.segment_bytes != segment_bytes {
            return Err(Error::Format(format!(
                "the replica at {place} has log files of {} bytes, but those of its store have {segment_bytes}; remove it, \
                 and it is made again",
                found.segment_bytes
            )));
        }
        Ok(())
    }
}

fn hex(id: &[u8; 16]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Log {
    /// What can still be told of the replica on `disk`, however damaged it is: of which store it is, and up to which place it
    /// had applied records.
    #[must_use]
    pub fn replica_remains(disk: &dyn Disk) -> (Option<[u8; 16]>, Option<u64>) {
        let control = Control::open(disk, false).ok().flatten().filter(|control| control.replica);
        let header = || segments::read_header(disk, 0).ok().map(|header| header.store_id);
        let place = control.as_ref().and_then(|control| control.applied().ok());
        (control.map(|control| control.store_id).or_else(header), place)
    }

    /// Whether this is the replica of a replicated store.
    #[inline]
    #[must_use]
    pub fn is_replica(&self) -> bool {
        self.segments.replica
    }

    /// Refuse to change a replica in any other way than by applying records.
    #[inline]
    pub fn check_not_replica(&self) -> Result<()> {
        if self.is_replica() {
            return Err(Error::Invalid(format!(
                "{} is the replica of a replicated store ({}); open the store by its address",
                self.describe(),
                hex(&self.store_id())
            )));
        }
        Ok(())
    }

    /// Refuse what only a replica can do.
    pub fn check_replica(&self) -> Result<()> {
        if self.is_replica() {
            return Ok(());
        }
        Err(Error::Invalid(format!("{} is not the replica of a replicated store", self.describe())))
    }
}
