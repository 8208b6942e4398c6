//! The writing verbs: commits and snapshots.

pub(crate) mod append;
pub(crate) mod commit;
pub(crate) mod condition;
mod indexing;
pub(crate) mod once;
mod plan;
pub(crate) mod snapshots;
