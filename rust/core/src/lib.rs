//! The engine of act-fast: an append log of streams with optimistic concurrency, in memory-mapped files that any number
//! of processes share. `docs/design.md` is the map; `docs/format.md` is the file format field by field.

#![forbid(unsafe_code)]

mod append;
mod backup;
mod bytes;
mod control;
mod correlation;
pub mod disk;
mod error;
mod export;
pub mod fault;
mod flush;
pub mod fold;
mod grown;
mod housekeeper;
mod index;
pub mod json;
mod line;
mod lock;
mod log;
mod making;
pub mod moments;
mod names;
mod options;
mod query;
pub mod reactions;
mod read;
mod record;
mod recover;
pub mod restore;
mod scan;
mod segments;
mod slots;
mod snapshots;
mod sparse;
mod stats;
mod streams;
mod verify;
mod wait;
mod walk;

pub use append::{Appended, AppendedParts, NewEvent, Part, Patience};
pub use backup::Backup;
pub use correlation::{CORRELATION_BYTES, correlation};
pub use error::{Error, Result};
pub use export::Format;
pub use log::Log;
pub use options::{Durability, Options};
pub use query::{Filter, Query};
pub use read::{EventView, Page};
pub use recover::Recovered;
pub use snapshots::SnapshotView;
pub use stats::Stats;
pub use streams::{StreamInfo, StreamPage};
pub use verify::{Problem, Report, verify};
