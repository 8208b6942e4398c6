//! Whole logs, coming and going.

pub(crate) mod backup;
pub(crate) mod export;
mod log_writer;
pub mod prune;
pub mod redact;
pub mod restore;
pub mod rewrite;
mod swap;
