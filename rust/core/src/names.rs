//! What may be the name of a stream or of an event, or a tag.

use crate::error::{Error, Result};

/// The stream that tells what was redacted and pruned.
pub(crate) const REWRITINGS: &str = "$rewritings";

/// The longest name, in bytes of UTF-8.
pub(crate) const NAME_MAX_BYTES: usize = 512;

/// The most tags that an event, or an item, may have.
pub(crate) const TAGS_MAX: usize = 64;

/// Refuse what cannot be a name. `what` is the word for it: `stream`, `event name` or `tag`.
#[inline]
pub(crate) fn check(what: &str, text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::Invalid(format!("the {what} is empty; give it at least one character")));
    }
    if text.len() > NAME_MAX_BYTES {
        return Err(Error::Invalid(format!(
            "the {what} has {} bytes of UTF-8; at most {NAME_MAX_BYTES} are allowed",
            text.len()
        )));
    }
    if may_break(text.as_bytes()) && text.bytes().any(|byte| matches!(byte, 0 | b'\n' | b'\r')) {
        return Err(Error::Invalid(format!("the {what} {text:?} contains a NUL or a line break; leave it out")));
    }
    Ok(())
}

/// Whether there may be a control character among these bytes; eight are looked at together.
#[inline]
fn may_break(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let (words, _) = bytes.as_chunks::<8>();
    let Some(last) = bytes.last_chunk::<8>() else { return true };
    words.iter().chain([last]).any(|word| {
        let word = u64::from_le_bytes(*word);
        // The lowest byte that is below 0x20 is found; those above it may seem so.
        word.wrapping_sub(ONES * 0x20) & !word & (ONES << 7) != 0
    })
}

/// Refuse what cannot be the tags of an event.
pub(crate) fn check_tags(tags: &[&str]) -> Result<()> {
    if tags.len() > TAGS_MAX {
        return Err(Error::Invalid(format!("there are {} tags; at most {TAGS_MAX} are allowed", tags.len())));
    }
    for (at, tag) in tags.iter().enumerate() {
        check("tag", tag)?;
        if tags[..at].contains(tag) {
            return Err(Error::Invalid("a tag is given twice; give it once".to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_no_name_has_is_found_wherever_it_stands() {
        for len in 1..40 {
            for at in 0..len {
                for (byte, allowed) in
                    [(0, false), (b'\n', false), (b'\r', false), (b'\t', true), (0x1f, true), (0x7f, true)]
                {
                    let mut text = vec![b'n'; len];
                    text[at] = byte;
                    let text = String::from_utf8(text).expect("ASCII");
                    assert_eq!(check("stream", &text).is_ok(), allowed, "{text:?}");
                }
            }
            assert!(check("stream", &"ü".repeat(len)).is_ok());
        }
    }
}
