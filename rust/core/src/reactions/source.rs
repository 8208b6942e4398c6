//! Which streams a reaction listens to.

use regex::Regex;

use crate::error::Result;
use crate::names;
use crate::pattern;

/// Which streams a reaction listens to.
#[derive(Clone, Debug)]
pub enum Source {
    /// All.
    All,
    /// This one, exactly.
    Stream(String),
    /// Those in whose names this is found.
    Pattern(Regex),
}

impl Source {
    /// None: all streams; a text: one stream, or those that a pattern is found in.
    pub fn from_text(text: Option<&str>) -> Result<Self> {
        match text {
            None => Ok(Self::All),
            Some(text) if pattern::is_pattern(text) => pattern::compile(text).map(Self::Pattern),
            Some(text) => names::check("source", text).map(|()| Self::Stream(text.to_owned())),
        }
    }

    /// A text that no other source has.
    pub(super) fn key(&self) -> String {
        match self {
            Self::All => String::new(),
            Self::Stream(name) => format!("={name}"),
            Self::Pattern(pattern) => format!("~{}", pattern.as_str()),
        }
    }

    /// The source of such a text.
    pub(super) fn from_key(key: &str) -> Result<Self> {
        match key.strip_prefix('=') {
            Some(name) => Ok(Self::Stream(name.to_owned())),
            None => key.strip_prefix('~').map_or(Ok(Self::All), |pattern| pattern::compile(pattern).map(Self::Pattern)),
        }
    }

    pub(super) fn has(&self, stream: &str) -> bool {
        match self {
            Self::All => true,
            Self::Stream(name) => name == stream,
            Self::Pattern(pattern) => pattern.is_match(stream),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_source_is_exact_and_a_pattern_is_searched() {
        assert!(!Source::from_text(Some("s1")).is_ok_and(|source| source.has("s12")));
        assert!(Source::from_text(Some("s1.?$")).is_ok_and(|source| source.has("xs12")));
    }
}
