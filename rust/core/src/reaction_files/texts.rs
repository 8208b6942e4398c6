//! Names and error messages: written once, referred to by the number of their first line.

use std::sync::Arc;

use crate::bytes::{narrow_at, put_narrow};
use crate::error::{Error, Result};
use crate::shared::line::{self, BODY_BYTES, LINE_BYTES};
use crate::shared::line_file::Grown;

/// The length, and how many lines there are for it.
const FIRST_AT: usize = 3;
/// Longer messages are cut.
pub(crate) const TEXT_MAX_BYTES: usize = 2000;

#[derive(Debug)]
pub(crate) struct Texts(Grown);

impl Texts {
    pub(crate) fn new(file: Grown) -> Self {
        Self(file)
    }

    pub(crate) fn file(&self) -> &Grown {
        &self.0
    }

    /// Write the first lines of these texts over those of others.
    pub(crate) fn copy_to(&self, others: &Self, lines: u64) -> Result<()> {
        others.0.reserve(lines)?;
        for number in 1..lines {
            line::store(others.0.shared(number)?, &line::load(self.0.shared(number)?));
        }
        Ok(())
    }

    /// How many lines there is room for: no text is further back.
    pub(crate) fn lines(&self) -> Result<u64> {
        self.0.lines()
    }

    /// All texts of a file that holds nothing but texts one after the other, and where the next one goes.
    pub(crate) fn all(&self) -> Result<(Vec<Arc<str>>, u64)> {
        let (mut found, mut at) = (Vec::new(), 1);
        let lines = self.lines()?;
        while at < lines {
            // What comes last may have been left half written.
            let Some(first) = self.0.glance(at)?.filter(|first| first[2] != 0) else { break };
            let Ok(text) = self.read(at) else { break };
            found.push(text);
            at += u64::from(first[2]);
        }
        Ok((found, at))
    }

    /// Write a text after `used` lines; answers where it is, and how many lines are used then.
    pub(crate) fn write(&self, text: &str, used: u64) -> Result<(u64, u64)> {
        self.write_with_room(text, used, lines_of(cut(text).len()))
    }

    /// The same for a text that others are to be written over.
    pub(crate) fn write_first(&self, text: &str, used: u64) -> Result<(u64, u64)> {
        self.write_with_room(text, used, lines_of(cut(text).len()).next_power_of_two())
    }

    fn write_with_room(&self, text: &str, used: u64, lines: u64) -> Result<(u64, u64)> {
        let start = used.max(1);
        self.0.reserve(start + lines)?;
        self.put(start, text, lines)?;
        Ok((start, start + lines))
    }

    /// Write a text over the one that starts with a line; whether there is room for it.
    pub(crate) fn write_over(&self, start: u64, text: &str) -> Result<bool> {
        // A process that died while writing it may have left it unsound.
        let Some(first) = self.0.glance(start)? else { return Ok(false) };
        let room = u64::from(first[2]);
        if lines_of(cut(text).len()) > room {
            return Ok(false);
        }
        self.put(start, text, room)?;
        Ok(true)
    }

    fn put(&self, start: u64, text: &str, room: u64) -> Result<()> {
        let bytes = cut(text).as_bytes();
        let (head, rest) = bytes.split_at(bytes.len().min(BODY_BYTES - FIRST_AT));
        let mut first = [0; LINE_BYTES];
        put_narrow::<2>(&mut first, 0, bytes.len() as u64);
        put_narrow::<1>(&mut first, 2, room);
        first[FIRST_AT..FIRST_AT + head.len()].copy_from_slice(head);
        self.0.put(start, &mut first)?;
        for (number, part) in (start + 1..).zip(rest.chunks(BODY_BYTES)) {
            let mut more = [0; LINE_BYTES];
            more[..part.len()].copy_from_slice(part);
            self.0.put(number, &mut more)?;
        }
        Ok(())
    }

    /// The text that starts with a line.
    pub(crate) fn read(&self, start: u64) -> Result<Arc<str>> {
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

    pub(crate) fn flush(&self) -> Result<()> {
        self.0.flush()
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MAX_BYTES)]
}

fn lines_of(bytes: usize) -> u64 {
    1 + bytes.saturating_sub(BODY_BYTES - FIRST_AT).div_ceil(BODY_BYTES) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, MemoryDisk};

    #[test]
    fn a_text_is_written_over_another_one_as_long_as_there_is_room() {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
        let texts = Texts::new(Grown::create(&disk, "texts".to_owned(), 9, &[1; 16], 1, 0).expect("a file"));
        let (start, used) = texts.write_first(&"long ".repeat(30), 0).expect("writing");
        for text in ["", "short", &"a\u{e9}".repeat(70), &"x".repeat(57 + 3 * 60)] {
            assert!(texts.write_over(start, text).expect("writing over it"));
            assert_eq!(&*texts.read(start).expect("reading"), text);
        }
        assert!(!texts.write_over(start, &"x".repeat(57 + 3 * 60 + 1)).expect("writing over it"));
        let (next, _) = texts.write("next", used).expect("writing");
        assert_eq!((&*texts.read(next).expect("reading"), next), ("next", start + 4));
    }

    #[test]
    fn the_longest_text_has_room() {
        assert!(lines_of(TEXT_MAX_BYTES).next_power_of_two() <= 255);
    }
}
