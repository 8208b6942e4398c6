//! Reactions on disk: the files that all processes share. Knows nothing of the log.

pub(crate) mod cell;
pub(crate) mod copy;
pub(crate) mod files;
pub(crate) mod mirror;
pub(crate) mod records;
pub(crate) mod repair;
pub(crate) mod texts;
pub(crate) mod work;

/// Where they are, in the store's folder.
pub(crate) const FOLDER: &str = "reactions";
