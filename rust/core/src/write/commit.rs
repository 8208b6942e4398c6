//! What is appended, and where it came to be.

use smallvec::SmallVec;

/// An event to append.
#[derive(Clone, Copy, Debug)]
pub struct NewEvent<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its payload: JSON.
    pub data: &'a [u8],
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
