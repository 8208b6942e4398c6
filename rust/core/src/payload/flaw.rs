//! What may be wrong with a payload, in words.

use std::fmt;

/// What is wrong with a payload, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// What it is.
    pub what: What,
    /// The byte it begins at, from 0.
    pub at: usize,
}

/// What may be wrong with a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It is not JSON.
    NotJson,
    /// It is JSON that ends too early.
    Cut,
    /// It is not UTF-8.
    NotUtf8,
    /// An escape for half of a surrogate pair, which is no character.
    LoneSurrogate,
    /// A key that its object has already.
    RepeatedKey,
    /// A whole number of more than 64 bits.
    WideNumber,
    /// A number beyond what a double holds.
    VastNumber,
    /// Too many lists and objects inside each other.
    TooDeep(usize),
}

impl fmt::Display for Flaw {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at;
        match self.what {
            What::NotJson => write!(out, "not JSON in UTF-8 (see byte {at}); encode it first"),
            What::Cut => write!(out, "not JSON in UTF-8 (it ends too early, at byte {at}); encode it first"),
            What::NotUtf8 => write!(out, "not JSON in UTF-8 (byte {at} is not UTF-8); encode it first"),
            What::LoneSurrogate => {
                write!(
                    out,
                    "JSON that readers refuse: byte {at} begins half of a surrogate pair, which is not a character; replace it"
                )
            }
            What::RepeatedKey => {
                write!(
                    out,
                    "JSON that readers do not agree on: byte {at} begins a key that its object has already; keep one of them"
                )
            }
            What::WideNumber => write!(
                out,
                "JSON that readers do not agree on: byte {at} begins a whole number of more than 64 bits; write it as text"
            ),
            What::VastNumber => write!(
                out,
                "JSON that readers refuse: byte {at} begins a number that is larger than a float of 64 bits; write it as text"
            ),
            What::TooDeep(most) => write!(
                out,
                "JSON that readers refuse: at byte {at} lists and objects are nested more than {most} deep; make it flatter, or \
                 write the inner part as text"
            ),
        }
    }
}
