//! The log: what it is made of, its files, and how it is walked.

pub(crate) mod absent;
mod ahead;
pub(crate) mod builder;
pub(crate) mod contents;
pub(crate) mod header;
mod image;
pub(crate) mod manifest;
pub(crate) mod packed;
pub(crate) mod packing;
pub(crate) mod record;
pub(crate) mod scan;
pub(crate) mod segments;
pub(crate) mod stub;
