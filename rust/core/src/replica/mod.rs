//! The replica of a replicated store: records of an ordered log that others keep, applied to a log of this machine, everywhere
//! alike. `docs/replication.md` tells the rules.

mod applier;
mod body;
mod decide;
mod outcome;
mod record;
mod sessions;
mod time;
mod zstd;

pub use applier::{Applier, Duplicate, Other};
pub use body::Proposal;
pub use outcome::Settled;
pub use record::{Head, Kind, body_record, commits_record, genesis_record, read_genesis};
