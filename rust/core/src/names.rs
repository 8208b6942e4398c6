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
    if text.bytes().any(|byte| matches!(byte, 0 | b'\n' | b'\r')) {
        return Err(Error::Invalid(format!("the {what} {text:?} contains a NUL or a line break; leave it out")));
    }
    Ok(())
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
