//! The engine of act-fast: an append log of streams with optimistic concurrency, in memory-mapped files that any number
//! of processes share. `docs/design.md` is the map; `docs/format.md` is the file format field by field.

#![forbid(unsafe_code)]

mod bytes;
mod clock;
mod correlation;
pub mod disk;
mod error;
pub mod fault;
pub mod fold;
pub mod foreign;
mod index;
mod log;
mod names;
mod options;
mod pattern;
pub mod payload;
mod reaction_files;
pub mod reactions;
mod read;
mod recovery;
pub mod replica;
mod shared;
mod sparse;
mod store;
pub mod transfer;
mod write;

pub use act_fast_sys::{fork_generation, watch_forks};
pub use correlation::{CORRELATION_BYTES, correlation};
pub use error::{Error, Result};
pub use log::manifest::ArchivedFile;
pub use log::record::{Proposed, Tags};
pub use options::{Durability, Options};
pub use pattern::is_pattern;
pub use read::event::{EventView, Page};
pub use read::query::{Filter, Query};
pub use read::streams::{Looks, StreamInfo, StreamPage};
pub use recovery::recover::Recovered;
pub use recovery::verify::{Problem, Report, verify};
pub use store::archive::Readable;
pub use store::compress::Kept;
pub use store::log::{Handle, Log};
pub use store::replica::Genesis;
pub use store::stats::{Share, Stats};
pub use transfer::backup::Backup;
pub use transfer::export::Format;
pub use write::commit::{Appended, AppendedParts, NewEvent, Origin, Part, Patience};
pub use write::condition::{Condition, Guards, Item};
pub use write::once::{KEY_TAG, Once, Used};
pub use write::snapshots::SnapshotView;
