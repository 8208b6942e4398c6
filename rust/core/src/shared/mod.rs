//! What processes share: marks, self-checking lines, locks, and who is alive.

mod announced;
pub(crate) mod control;
pub(crate) mod handles;
mod identity;
pub(crate) mod line;
pub(crate) mod line_file;
pub(crate) mod lock;
