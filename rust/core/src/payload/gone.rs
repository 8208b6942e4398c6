//! What stands in the place of a payload that is gone. No event of an app is text, so these are none of theirs.

/// The payload of an event that was pruned.
pub const PRUNED: &[u8] = br#""pruned""#;
/// The payload of an event that was redacted as a whole.
pub const REDACTED: &[u8] = br#""redacted""#;

/// Whether a payload is gone.
#[inline]
pub fn is_gone(data: &[u8]) -> bool {
    data == PRUNED || data == REDACTED
}
