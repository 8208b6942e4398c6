//! How a store is opened.

use std::time::Duration;

use crate::error::{Error, Result};

/// What an acknowledged append has survived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: appends return when their commit has been flushed; concurrent ones share a flush.
    Fsync,
    /// A power cut, but for at most the last interval: flushed in the background.
    Interval,
    /// The end of the process, not of the machine.
    Os,
}

impl Durability {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fsync => "fsync",
            Self::Interval => "interval",
            Self::Os => "os",
        }
    }

    /// The durability of that name.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "fsync" => Ok(Self::Fsync),
            "interval" => Ok(Self::Interval),
            "os" => Ok(Self::Os),
            _ => Err(Error::Invalid(format!(
                "durability {name:?} is not known; choose \"fsync\", \"interval\" or \"os\""
            ))),
        }
    }
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// What an acknowledged append has survived.
    pub durability: Durability,
    /// Where others have the store open, take their durability instead.
    pub adopt_durability: bool,
    /// How often `Durability::Interval` flushes.
    pub flush_interval: Duration,
    /// The size of a log file, in bytes; an existing store keeps the size it was made with.
    pub segment_bytes: u64,
    /// The largest payload of one event, in bytes.
    pub payload_max_bytes: usize,
    /// How many bytes of packed log files are kept unpacked in memory, before a handle begins again with none.
    pub unpacked_max_bytes: u64,
    /// Compress log files in the background once nothing is written to them any more.
    pub compress: bool,
    /// Refuse appends.
    pub read_only: bool,
    /// Make the store where there is none.
    pub create: bool,
    /// Whether tests may move the clock forward.
    pub movable_clock: bool,
}

/// The smallest log file.
pub(crate) const SEGMENT_MIN_BYTES: u64 = 16 << 10;
/// The largest log file.
pub(crate) const SEGMENT_MAX_BYTES: u64 = 1 << 30;

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::Fsync,
            adopt_durability: false,
            flush_interval: Duration::from_millis(100),
            segment_bytes: 64 << 20,
            payload_max_bytes: 16 << 20,
            unpacked_max_bytes: 256 << 20,
            compress: false,
            read_only: false,
            create: true,
            movable_clock: false,
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<()> {
        let size = self.segment_bytes;
        if !(SEGMENT_MIN_BYTES..=SEGMENT_MAX_BYTES).contains(&size) || !size.is_multiple_of(4096) {
            return Err(Error::Invalid(format!(
                "segment_bytes is {size}; it must be a multiple of 4096 from {SEGMENT_MIN_BYTES} to {SEGMENT_MAX_BYTES}"
            )));
        }
        if self.payload_max_bytes == 0 {
            return Err(Error::Invalid("payload_max_bytes is 0; it must be at least 1".to_owned()));
        }
        if self.flush_interval.is_zero() {
            return Err(Error::Invalid("the flush interval is 0; it must be at least a millisecond".to_owned()));
        }
        Ok(())
    }
}
