//! The writing verbs: commits and snapshots.

pub(crate) mod append;
pub(crate) mod commit;
mod plan;
pub(crate) mod snapshots;
