//! Regular expressions, as conditions take them: searched, in linear time.

use regex::Regex;

use crate::error::{Error, Result};

/// The most memory that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

const LETTERS: [char; 14] = ['^', '$', '.', '*', '+', '?', '(', ')', '[', ']', '{', '}', '|', '\\'];

/// Whether a source is a pattern: a text without any of `^ $ . * + ? ( ) [ ] { } | \` is the name of one stream.
pub fn is_pattern(source: &str) -> bool {
    source.contains(LETTERS)
}

/// Compile a pattern: linear-time, searched, anchored only by its author.
pub(crate) fn compile(pattern: &str) -> Result<Regex> {
    regex::RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build().map_err(|error| {
        // The last line says what is wrong; those before it point to where, with a drawing.
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        Error::Invalid(format!("the pattern {pattern:?} is not a regular expression: {reason}"))
    })
}
