//! Names and error messages: written once, referred to by the number of their first line.

use std::sync::Arc;

use crate::bytes::{narrow_at, put_narrow};
use crate::error::{Error, Result};
use crate::grown::Grown;
use crate::line::{self, BODY_BYTES, LINE_BYTES};

const FIRST_AT: usize = 2;
/// Longer messages are cut.
const TEXT_MAX_BYTES: usize = 2000;

#[derive(Debug)]
pub(super) struct Texts(Grown);

impl Texts {
    pub(super) fn new(file: Grown) -> Self {
        Self(file)
    }

    /// Write the first lines of these texts over those of others.
    pub(super) fn copy_to(&self, others: &Self, lines: u64) -> Result<()> {
        others.0.reserve(lines)?;
        for number in 1..lines {
            line::store(others.0.shared(number)?, &line::load(self.0.shared(number)?));
        }
        Ok(())
    }

    /// How many lines there is room for: no text is further back.
    pub(super) fn lines(&self) -> Result<u64> {
        self.0.lines()
    }

    /// Write a text after `used` lines; answers where it is, and how many lines are used then.
    pub(super) fn write(&self, text: &str, used: u64) -> Result<(u64, u64)> {
        let bytes = &text.as_bytes()[..text.floor_char_boundary(TEXT_MAX_BYTES)];
        let first_part = bytes.len().min(BODY_BYTES - FIRST_AT);
        let (head, rest) = bytes.split_at(first_part);
        let start = used.max(1);
        let end = start + 1 + rest.len().div_ceil(BODY_BYTES) as u64;
        self.0.reserve(end)?;
        let mut first = [0; LINE_BYTES];
        put_narrow::<2>(&mut first, 0, bytes.len() as u64);
        first[FIRST_AT..FIRST_AT + head.len()].copy_from_slice(head);
        line::seal(&mut first, self.0.address(start));
        line::store(self.0.shared(start)?, &first);
        for (number, part) in (start + 1..).zip(rest.chunks(BODY_BYTES)) {
            let mut more = [0; LINE_BYTES];
            more[..part.len()].copy_from_slice(part);
            line::seal(&mut more, self.0.address(number));
            line::store(self.0.shared(number)?, &more);
        }
        Ok((start, end))
    }

    /// The text that starts with a line.
    pub(super) fn read(&self, start: u64) -> Result<Arc<str>> {
        let first = self.0.read(start)?;
        let len = narrow_at::<2>(&first, 0) as usize;
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(&first[FIRST_AT..FIRST_AT + len.min(BODY_BYTES - FIRST_AT)]);
        let mut number = start;
        while bytes.len() < len {
            number += 1;
            let more = self.0.read(number)?;
            bytes.extend_from_slice(&more[..(len - bytes.len()).min(BODY_BYTES)]);
        }
        let text = String::from_utf8(bytes).map_err(|_| Error::index_damaged("reactions/texts", start * 64))?;
        Ok(text.into())
    }

    pub(super) fn flush(&self) -> Result<()> {
        self.0.flush()
    }
}
