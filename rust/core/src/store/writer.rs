//! What a handle keeps from append to append.

use crate::log::builder::Builder;

/// What a handle keeps from append to append.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) builder: Builder,
    /// The event name used last, and its key's number, which never changes.
    pub(crate) last_name: Option<(String, u32)>,
    /// When this handle last looked whether the store is still there, in µs since 1970.
    pub(crate) place_checked: i64,
}

impl Writer {
    pub(crate) fn builder(&mut self) -> &mut Builder {
        &mut self.builder
    }
}
