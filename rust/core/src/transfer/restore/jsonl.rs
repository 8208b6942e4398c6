//! Events from JSON lines: one object a line. Several threads read lines, block by block; one takes their events in order.

use std::borrow::Cow;
use std::io::{BufRead, Read};
use std::ops::Range;

use memchr::{memchr, memchr_iter, memrchr};

use super::created::LastCreated;
use super::in_order::in_order;
use super::line::Line;
use super::meta::{CausedBy, LastMeta};
use super::{Meta, Restoring, Row, in_source};
use crate::error::{Doing, Error, Result};
use crate::payload::check::Shapes;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// How many bytes make a block, and the rest of its last line.
const BLOCK_BYTES: u64 = 1 << 20;

/// A text in a block, or one that had to be put together.
enum Text {
    At(Range<usize>),
    Own(String),
}

impl Text {
    fn of(found: Cow<'_, str>, block: &str) -> Self {
        match found {
            Cow::Borrowed(text) => Self::At(range(text, block)),
            Cow::Owned(text) => Self::Own(text),
        }
    }

    fn get<'a>(&'a self, block: &'a str) -> &'a str {
        match self {
            Self::At(range) => &block[range.clone()],
            Self::Own(text) => text,
        }
    }
}

/// Where in a block a part of it is.
fn range(part: &str, block: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - block.as_ptr().addr();
    start..start + part.len()
}

/// The event of a line.
struct Event {
    line: u64,
    position: Option<u64>,
    commit: Option<u64>,
    stream: Text,
    version: Option<u64>,
    name: Text,
    created: Option<i64>,
    data: Range<usize>,
    meta: Option<(Range<usize>, Option<CausedBy>)>,
    tags: Option<Range<usize>>,
}

/// Some lines, to be read.
struct Block {
    bytes: Vec<u8>,
    first_line: u64,
}

/// What was read of them: the events up to the first line that is wrong.
struct Taken {
    text: String,
    events: Vec<Event>,
    wrong: Option<(u64, Error)>,
    read: u64,
}

/// Take all events of a source. `file` is its name for people; `progress` hears of bytes read, and its error ends the work.
pub fn read_jsonl(
    restoring: &mut Restoring,
    source: &mut (dyn BufRead + Send),
    file: &str,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let mut read = 0;
    let (segment_bytes, line_bytes_max) = (restoring.segment_bytes, restoring.text_bytes_max());
    let mut lines = Lines { source, file, next_line: 1, segment_bytes, line_bytes_max, failed: None };
    in_order(&mut || lines.next_block(), &take, &mut |taken| {
        read += taken.read;
        add(restoring, taken, file)?;
        progress(read)
    })?;
    progress(read)
}

/// Lines, block by block.
struct Lines<'a> {
    source: &'a mut (dyn BufRead + Send),
    file: &'a str,
    next_line: u64,
    segment_bytes: u64,
    line_bytes_max: u64,
    /// What is wrong with the next line.
    failed: Option<Error>,
}

impl Lines<'_> {
    /// The next lines; None at the end. What is wrong with the line behind them is told the next time.
    fn next_block(&mut self) -> Result<Option<Block>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let what = || format!("reading {}", self.file);
        let mut bytes = Vec::with_capacity(BLOCK_BYTES as usize + 4096);
        (&mut *self.source).take(BLOCK_BYTES).read_to_end(&mut bytes).doing(what)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let mut last_line = memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
        if last_line < bytes.len() {
            let left = self.line_bytes_max.saturating_sub((bytes.len() - last_line) as u64);
            (&mut *self.source).take(left).read_until(b'\n', &mut bytes).doing(what)?;
        }
        if bytes.len() - last_line < self.line_bytes_max as usize || bytes.last() == Some(&b'\n') {
            last_line = bytes.len();
        }
        let too_long = bytes.len() > last_line;
        bytes.truncate(last_line);
        let first_line = self.next_line;
        self.next_line += memchr_iter(b'\n', &bytes).count() as u64;
        if too_long {
            let error = Error::Invalid(format!(
                "it has {} bytes or more, and an event must fit into one log file of {} bytes (segment_bytes)",
                self.line_bytes_max, self.segment_bytes
            ));
            self.failed = Some(in_source(error, self.file, "line", self.next_line));
        }
        match self.failed.take_if(|_| bytes.is_empty()) {
            Some(error) => Err(error),
            None => Ok(Some(Block { bytes, first_line })),
        }
    }
}

/// Read a block's lines.
fn take(block: Block) -> Taken {
    let Block { mut bytes, first_line } = block;
    let read = bytes.len() as u64;
    if first_line == 1 && bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    let (text, broken) = match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let mut bytes = error.into_bytes();
            // The line that it is in is told; those before it are read.
            let end = bytes[..valid].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            bytes.truncate(end);
            (String::from_utf8(bytes).unwrap_or_default(), Some(Error::Invalid("it is not UTF-8".to_owned())))
        }
    };
    let mut events = Vec::new();
    let mut line = first_line;
    let mut wrong = None;
    let (mut created, mut meta, mut shapes) = (LastCreated::default(), LastMeta::default(), Shapes::default());
    let mut start = 0;
    while start < text.len() {
        let end = memchr(b'\n', &text.as_bytes()[start..]).map_or(text.len(), |at| start + at + 1);
        let each = &text[start..end];
        if !each.trim_ascii().is_empty() {
            match event(each, line, &text, &mut created, &mut meta, &mut shapes) {
                Ok(event) => events.push(event),
                Err(error) => {
                    wrong = Some((line, error));
                    break;
                }
            }
        }
        line += 1;
        start = end;
    }
    let wrong = wrong.or(broken.map(|error| (line, error)));
    Taken { text, events, wrong, read }
}

fn event<'a>(
    text: &'a str,
    line: u64,
    block: &str,
    created: &mut LastCreated<'a>,
    meta: &mut LastMeta<'a>,
    shapes: &mut Shapes,
) -> Result<Event> {
    let found = Line::read(text, shapes)?;
    let created = found.created.map(|text| created.parse(text)).transpose()?;
    let meta = match found.meta {
        None => None,
        Some(text) => Some((range(text, block), meta.cause_of(text)?)),
    };
    Ok(Event {
        line,
        position: found.position,
        commit: found.commit,
        stream: Text::of(found.stream, block),
        version: found.version,
        name: Text::of(found.name, block),
        created,
        data: range(found.data, block),
        meta,
        tags: found.tags.map(|tags| range(tags, block)),
    })
}

fn add(restoring: &mut Restoring, taken: Taken, file: &str) -> Result<()> {
    let Taken { text, events, wrong, .. } = taken;
    for event in events {
        let row = Row {
            position: event.position,
            commit: event.commit,
            stream: event.stream.get(&text),
            version: event.version,
            name: event.name.get(&text),
            created: event.created,
            data: &text[event.data],
            meta: event.meta.map(|(at, cause)| Meta::again(&text[at], cause)),
            tags: event.tags.map_or("", |at| &text[at]),
        };
        restoring.add(&row).map_err(|error| in_source(error, file, "line", event.line))?;
    }
    match wrong {
        Some((line, error)) => Err(in_source(error, file, "line", line)),
        None => Ok(()),
    }
}
