//! What a handle keeps from append to append.

use crate::index::Warm;
use crate::log::builder::Builder;

/// What a handle keeps from append to append.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) builder: Builder,
    /// What the last commit has left of the index.
    pub(crate) warm: Warm,
    /// When this handle last looked whether the store is still there, in µs since 1970.
    pub(crate) place_checked: i64,
}

impl Writer {
    pub(crate) fn builder(&mut self) -> &mut Builder {
        &mut self.builder
    }
}
