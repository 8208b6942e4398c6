//! An open store, and its life: opened, flushed, waited for, kept in order, shut down.

pub(crate) mod flush;
pub(crate) mod housekeeper;
pub(crate) mod log;
pub(crate) mod staging;
pub(crate) mod stats;
pub(crate) mod wait;
