//! An open store, and its life: opened, flushed, waited for, kept in order, shut down.

pub(crate) mod archive;
pub(crate) mod compress;
pub(crate) mod directory;
pub(crate) mod flush;
pub(crate) mod flusher;
mod growth;
pub(crate) mod housekeeper;
mod keeper;
pub(crate) mod log;
mod open;
mod repair;
pub(crate) mod replica;
pub(crate) mod staging;
pub(crate) mod stats;
pub(crate) mod wait;
pub(crate) mod writer;
