//! What is appended, and where it came to be.

use smallvec::SmallVec;

use crate::error::{Error, Result};
use crate::log::record::{LogState, Proposed};

/// An event to append.
#[derive(Clone, Copy, Debug)]
pub struct NewEvent<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its payload: JSON.
    pub data: &'a [u8],
    /// Its tags, none of them twice.
    pub tags: &'a [&'a str],
}

/// Events to append to one stream.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The stream.
    pub stream: &'a str,
    /// The events, in order; at least one.
    pub events: &'a [NewEvent<'a>],
    /// The version that the stream must have; None when any will do.
    pub expected: Option<u64>,
}

/// Where an append put its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The version of the first event.
    pub first_version: u64,
    /// The version of the last event, which is the stream's.
    pub last_version: u64,
    /// The position of the first event.
    pub first_position: u64,
    /// The position of the last event.
    pub last_position: u64,
}

/// Where a commit stands in the log that it is copied from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The position of its first event.
    pub position: u64,
    /// µs since 1970.
    pub created: i64,
}

impl Origin {
    /// Refuse what would stand elsewhere in a log that is in this state.
    pub(super) fn check(self, state: &LogState) -> Result<()> {
        let Self { position, created } = self;
        if position != state.position + 1 {
            let next = state.position + 1;
            return Err(Error::Invalid(format!(
                "the commit at position {position} cannot be copied to a log whose next position is {next}"
            )));
        }
        if created < state.created {
            return Err(Error::Invalid(format!("the commit at position {position} is older than the one before it")));
        }
        Ok(())
    }
}

/// What a commit says of itself besides its events and its meta.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    /// µs since 1970; that of the commit before it counts if it is later.
    pub(crate) created: i64,
    /// Which proposal it was; only in the log of a replica.
    pub(crate) proposed: Option<Proposed>,
}

/// Whether an append may wait for other writers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As long as it takes.
    Wait,
    /// Not at all: `Error::WouldWait` instead, and nothing was changed.
    Try,
}

/// What each part of an append came to, in order.
pub type AppendedParts = SmallVec<[Appended; 1]>;
