//! Whole logs, coming and going.

pub(crate) mod backup;
pub(crate) mod export;
pub mod restore;
