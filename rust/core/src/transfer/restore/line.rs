//! What a line says of an event. Lines as exports write them are taken apart where they stand; all others by a JSON reader.

use std::borrow::Cow;

use memchr::memmem;
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::check_data;
use crate::error::{Error, Result};
use crate::payload::check::{Shapes, check, check_shaped};

/// A line, taken apart. Its payload is one that a log can hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) position: Option<u64>,
    pub(super) commit: Option<u64>,
    pub(super) stream: Cow<'a, str>,
    pub(super) version: Option<u64>,
    pub(super) name: Cow<'a, str>,
    pub(super) created: Option<&'a str>,
    pub(super) data: &'a str,
    pub(super) meta: Option<&'a str>,
    pub(super) tags: Option<&'a str>,
}

impl<'a> Line<'a> {
    /// Take a line apart. An `Invalid` error says what is wrong with it.
    pub(super) fn read(text: &'a str, shapes: &mut Shapes) -> Result<Self> {
        match exported(text, shapes) {
            Some(line) => Ok(line),
            None => by_reader(text, shapes),
        }
    }
}

/// A line as an export writes it, with its fields in this order and nothing between them; None for any other, and for one
/// in which something may be wrong.
fn exported<'a>(text: &'a str, shapes: &mut Shapes) -> Option<Line<'a>> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let rest = text.strip_prefix(r#"{"position":"#)?;
    let (position, rest) = number(rest)?;
    let (commit, rest) = number(rest.strip_prefix(r#","commit":"#)?)?;
    let (stream, rest) = plain(rest.strip_prefix(r#","stream":""#)?)?;
    let (version, rest) = number(rest.strip_prefix(r#","version":"#)?)?;
    let (name, rest) = plain(rest.strip_prefix(r#","name":""#)?)?;
    let (created, rest) = plain(rest.strip_prefix(r#","created":""#)?)?;
    let rest = rest.strip_prefix(r#","data":"#)?;
    let (data, meta, tags) = values(rest.strip_suffix('}')?)?;
    let sound = !stream.is_empty() && !name.is_empty() && is_bare(data);
    if !(sound && check_shaped(shapes, name, data.as_bytes()).is_ok()) {
        return None;
    }
    Some(Line {
        position: Some(position),
        commit: Some(commit),
        stream: Cow::Borrowed(stream),
        version: Some(version),
        name: Cow::Borrowed(name),
        created: Some(created),
        data,
        meta,
        tags,
    })
}

/// What stands between `"data":` and the last brace. Where it is cut does not matter as long as each part is one whole
/// value: a reader that goes from left to right finds the same ones.
fn values(text: &str) -> Option<(&str, Option<&str>, Option<&str>)> {
    if let Some(data) = text.strip_suffix(r#","meta":null"#) {
        return Some((data, None, None));
    }
    let at = memmem::rfind(text.as_bytes(), br#","meta":"#)?;
    let (data, rest) = (&text[..at], &text[at + r#","meta":"#.len()..]);
    let (meta, tags) = match memmem::rfind(rest.as_bytes(), br#","tags":"#) {
        Some(at) if rest.ends_with(']') => (&rest[..at], Some(&rest[at + r#","tags":"#.len()..])),
        _ => (rest, None),
    };
    if !(is_value(meta) && tags.is_none_or(|tags| is_value(tags) && tags != "null")) {
        return None;
    }
    Some((data, (meta != "null").then_some(meta), tags))
}

/// Whether a text is one value, without spaces around it, that readers take for the same.
fn is_value(text: &str) -> bool {
    is_bare(text) && check(text.as_bytes()).is_ok()
}

/// Whether there are no spaces around a text.
fn is_bare(text: &str) -> bool {
    let bare = |byte: Option<&u8>| byte.is_some_and(|byte| *byte > b' ');
    bare(text.as_bytes().first()) && bare(text.as_bytes().last())
}

/// A whole number as JSON has it, and what follows.
fn number(text: &str) -> Option<(u64, &str)> {
    let bytes = text.as_bytes();
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > 19 || (bytes[0] == b'0' && digits > 1) {
        return None;
    }
    let number = bytes[..digits].iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    Some((number, &text[digits..]))
}

/// A text that stands for itself, up to its quote, and what follows that.
fn plain(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let end = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20))?;
    (bytes[end] == b'"').then(|| (&text[..end], &text[end + 1..]))
}

/// Any line, by a JSON reader. Fields that are not known are passed over.
#[derive(Deserialize)]
struct Fields<'a> {
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

fn by_reader<'a>(text: &'a str, shapes: &mut Shapes) -> Result<Line<'a>> {
    let found: Fields<'_> = serde_json::from_str(text).map_err(|error| Error::Invalid(describe(&error, text)))?;
    let missing = |name: &str| Error::Invalid(format!("`{name}` is missing; every event has stream, name and data"));
    if found.stream.is_empty() {
        return Err(missing("stream"));
    }
    if found.name.is_empty() {
        return Err(missing("name"));
    }
    let data = found.data.ok_or_else(|| missing("data"))?.get();
    check_data(shapes, &found.name, data)?;
    Ok(Line {
        position: found.position,
        commit: found.commit,
        stream: found.stream,
        version: found.version,
        name: found.name,
        created: found.created,
        data,
        meta: found.meta.map(RawValue::get),
        tags: found.tags.map(RawValue::get),
    })
}

/// What is wrong with a line, without anything that stands in it.
fn describe(error: &serde_json::Error, text: &str) -> String {
    let column = error.column();
    if !text.trim_ascii_start().starts_with('{') {
        return "it is not one JSON object; each event has a line of its own".to_owned();
    }
    match error.classify() {
        Category::Eof => format!(
            "the line ends in the middle of an object, after {} bytes: the file was cut short, or an event was written in \
             more than one line",
            text.trim_ascii_end().len()
        ),
        Category::Data if error.to_string().starts_with("duplicate field") => {
            format!("it has a field twice, see byte {column}")
        }
        Category::Data => format!("a value is not of the type it must have, before byte {column}"),
        _ => format!("it is not one JSON object, see byte {column}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FULL: &str = concat!(
        r#"{"position":7,"commit":5,"stream":"a-ä","version":2,"name":"N","created":"2026-01-02T03:04:05.123456Z","#,
        r#""data":{"meta":1,"x":",\"meta\":null"},"meta":{"correlation":"c"},"tags":["course:maths"]}"#,
    );

    /// Both readers say the same of a line that the quick one takes.
    fn compare(text: &str) -> bool {
        let mut shapes = Shapes::default();
        let quick = exported(text, &mut shapes);
        if let Some(line) = &quick {
            assert_eq!(by_reader(text, &mut shapes).ok().as_ref(), Some(line), "{text}");
        }
        quick.is_some()
    }

    #[test]
    fn lines_as_exports_write_them_need_no_json_reader() {
        let short =
            r#"{"position":1,"commit":1,"stream":"s","version":1,"name":"N","created":"x","data":1,"meta":null}"#;
        for line in [FULL, &format!("{FULL}\n"), short, &short.replace(":null}", r#":null,"tags":["t"]}"#)] {
            assert!(compare(line), "{line}");
        }
    }

    #[test]
    fn whatever_is_unusual_is_left_to_the_reader() {
        for (from, to) in [
            ("\"commit\":5", "\"commit\":05"),
            ("\"commit\":5", "\"commit\":-5"),
            ("\"commit\":5", "\"commit\":99999999999999999999"),
            ("\"commit\":5", "\"commit\": 5"),
            ("a-ä", "a\\u00e4"),
            ("\"N\"", "\"\""),
            ("\"data\":{", "\"data\": {"),
            ("\"data\":{", "\"data\":{{"),
            ("\"data\":{", "\"data\":0,\"data\":{"),
            ("\"tags\":[", "\"tags\":[,"),
            ("{\"correlation\":\"c\"}", "{\"correlation\":\"c\"},\"more\":1"),
            ("{\"correlation\":\"c\"}", "{\"correlation\"}"),
            ("]}", "]"),
            ("]}", "]}}"),
        ] {
            let line = FULL.replace(from, to);
            assert_ne!(line, FULL, "{from}");
            assert!(!compare(&line), "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_apart_quickly_is_what_the_reader_finds(
            at in 0..FULL.len(),
            len in 0..12_usize,
            put in r#"[{}\[\]",:\\ 0-9na-e-]{0,6}|,"meta":null|,"tags":\[|,"data":|"meta":|null|\{"#,
        ) {
            let end = (at + len).min(FULL.len());
            if FULL.is_char_boundary(at) && FULL.is_char_boundary(end) {
                compare(&format!("{}{put}{}", &FULL[..at], &FULL[end..]));
            }
        }
    }
}
