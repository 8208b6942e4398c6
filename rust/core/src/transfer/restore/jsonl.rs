//! Events from JSON lines: one object a line. Several threads read lines, block by block; one takes their events in order.

use std::borrow::Cow;
use std::io::{BufRead, Read};
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::meta::CausedBy;
use super::{Meta, Restoring, Row, check_data, created, in_source};
use crate::error::{Doing, Error, Result};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// How many bytes make a block, and the rest of its last line.
const BLOCK_BYTES: u64 = 1 << 20;
/// How many threads read, at most, and how many blocks wait for each of them.
const THREADS_MAX: usize = 4;
const WAITING_MAX: usize = 2;

/// A line. Fields that are not known are passed over.
#[derive(Deserialize)]
struct Line<'a> {
    position: Option<u64>,
    commit: Option<u64>,
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    version: Option<u64>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    created: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
    #[serde(borrow)]
    tags: Option<&'a RawValue>,
}

/// A payload may be `null`, which is not the same as none.
fn even_null<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

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
    source: &mut dyn BufRead,
    file: &str,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    thread::scope(|scope| {
        let readers: Vec<(SyncSender<Block>, Receiver<Taken>)> = (0..threads)
            .map(|_| {
                let (give, given) = sync_channel::<Block>(WAITING_MAX);
                let (send, taken) = sync_channel(WAITING_MAX);
                scope.spawn(move || {
                    for block in given {
                        if send.send(take(block)).is_err() {
                            return;
                        }
                    }
                });
                (give, taken)
            })
            .collect();
        let mut next_line = 1;
        let (mut given, mut taken, mut read) = (0, 0, 0);
        loop {
            while given - taken < threads * WAITING_MAX {
                let Some(block) = next_block(source, next_line, file)? else { break };
                next_line += block.bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
                readers[given % threads].0.send(block).map_err(|_| died())?;
                given += 1;
            }
            if given == taken {
                return progress(read);
            }
            let block = readers[taken % threads].1.recv().map_err(|_| died())?;
            taken += 1;
            read += block.read;
            add(restoring, block, file)?;
            progress(read)?;
        }
    })
}

fn died() -> Error {
    Error::Failed("a thread that read lines has died".to_owned())
}

/// The next lines; None at the end.
fn next_block(source: &mut dyn BufRead, first_line: u64, file: &str) -> Result<Option<Block>> {
    let what = || format!("reading {file}");
    let mut bytes = Vec::with_capacity(BLOCK_BYTES as usize + 4096);
    (&mut *source).take(BLOCK_BYTES).read_to_end(&mut bytes).doing(what)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.last() != Some(&b'\n') {
        source.read_until(b'\n', &mut bytes).doing(what)?;
    }
    Ok(Some(Block { bytes, first_line }))
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
    for each in text.split_inclusive('\n') {
        if !each.trim_ascii().is_empty() {
            match event(each, line, &text) {
                Ok(event) => events.push(event),
                Err(error) => {
                    wrong = Some((line, error));
                    break;
                }
            }
        }
        line += 1;
    }
    let wrong = wrong.or(broken.map(|error| (line, error)));
    Taken { text, events, wrong, read }
}

fn event(text: &str, line: u64, block: &str) -> Result<Event> {
    let found: Line<'_> = serde_json::from_str(text).map_err(|error| Error::Invalid(describe(&error)))?;
    let missing = |name: &str| Error::Invalid(format!("`{name}` is missing; every event has stream, name and data"));
    if found.stream.is_empty() {
        return Err(missing("stream"));
    }
    if found.name.is_empty() {
        return Err(missing("name"));
    }
    let created =
        match found.created {
            None => None,
            Some(text) => Some(created::parse(text).ok_or_else(|| {
                Error::Invalid("`created` is not a time such as 2026-01-31T12:00:00.000001Z".to_owned())
            })?),
        };
    let meta = match found.meta.map(RawValue::get) {
        None => None,
        Some(text) => Some((range(text, block), Meta::parse(text)?.into_cause())),
    };
    let data = found.data.ok_or_else(|| missing("data"))?.get();
    check_data(data)?;
    Ok(Event {
        line,
        position: found.position,
        commit: found.commit,
        stream: Text::of(found.stream, block),
        version: found.version,
        name: Text::of(found.name, block),
        created,
        data: range(data, block),
        meta,
        tags: found.tags.map(|tags| range(tags.get(), block)),
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
            checked: true,
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

/// What is wrong with a line, without anything that stands in it.
fn describe(error: &serde_json::Error) -> String {
    let column = error.column();
    match error.classify() {
        Category::Eof => format!("the line ends in the middle, after {column} bytes: the file was cut short"),
        Category::Data => format!("a value is not of the type it must have, before byte {column}"),
        _ => format!("it is not one JSON object, see byte {column}"),
    }
}
