//! Events from JSON lines: one object a line.

use std::borrow::Cow;
use std::io::BufRead;

use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::{Restoring, Row, created, in_source};
use crate::error::{Doing, Error, Result};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// How many bytes are read before progress is told.
const TOLD_BYTES: u64 = 4 << 20;

/// A line. Fields that are not known are passed over.
#[derive(Deserialize)]
struct Line<'a> {
    position: Option<u64>,
    commit: Option<u64>,
    stream: Option<Cow<'a, str>>,
    version: Option<u64>,
    name: Option<Cow<'a, str>>,
    created: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
}

/// A payload may be `null`, which is not the same as none.
fn even_null<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Take all events of a source. `file` is its name for people; `progress` hears of bytes read, and its error ends the work.
pub fn read_jsonl(
    restoring: &mut Restoring,
    source: &mut dyn BufRead,
    file: &str,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let mut bytes = Vec::new();
    let (mut read, mut told) = (0, 0);
    for number in 1.. {
        bytes.clear();
        let len = source.read_until(b'\n', &mut bytes).doing(|| format!("reading {file}"))?;
        if len == 0 {
            break;
        }
        let line = bytes.strip_prefix(BYTE_ORDER_MARK).filter(|_| number == 1).unwrap_or(&bytes);
        if !line.trim_ascii().is_empty() {
            take(restoring, line).map_err(|error| in_source(error, file, "line", number))?;
        }
        read += len as u64;
        if read - told >= TOLD_BYTES {
            told = read;
            progress(read)?;
        }
    }
    progress(read)
}

fn take(restoring: &mut Restoring, bytes: &[u8]) -> Result<()> {
    let invalid = |what: &str| Error::Invalid(what.to_owned());
    let text = std::str::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8"))?;
    let line: Line<'_> = serde_json::from_str(text).map_err(|error| Error::Invalid(describe(&error)))?;
    let missing = |name: &str| Error::Invalid(format!("`{name}` is missing; every event has stream, name and data"));
    let when = line.created.as_deref().map(|text| {
        created::parse(text).ok_or_else(|| invalid("`created` is no time such as 2026-01-31T12:00:00.000001Z"))
    });
    restoring.add(&Row {
        position: line.position,
        commit: line.commit,
        stream: line.stream.as_deref().ok_or_else(|| missing("stream"))?,
        version: line.version,
        name: line.name.as_deref().ok_or_else(|| missing("name"))?,
        created: when.transpose()?,
        data: line.data.ok_or_else(|| missing("data"))?.get(),
        trusted: true,
        meta: line.meta.map(RawValue::get),
    })
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
