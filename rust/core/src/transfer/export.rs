//! Export: events as JSON lines or CSV, exactly as they stand in the log. The mirror image of `restore`.

use std::collections::HashMap;
use std::io::Write;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

use crate::error::{Doing, Error, Result};
use crate::read::event::EventView;
use crate::read::query::Filter;
use crate::store::log::Log;

const BUFFER_BYTES: usize = 1 << 20;
const PAGE_EVENTS: usize = 1 << 14;
/// How many names are remembered before they are forgotten.
const TEXTS_MAX: usize = 1 << 20;
const HEADER: &[u8] = b"position,commit,stream,version,name,created,data,meta,tags\n";
static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

/// How events are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    JsonLines,
    /// A line of column names, then one event a row.
    Csv,
}

impl Format {
    /// The format of that name.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "jsonl" => Ok(Self::JsonLines),
            "csv" => Ok(Self::Csv),
            _ => Err(Error::Invalid(format!("format {name:?} is not known; choose \"jsonl\" or \"csv\""))),
        }
    }
}

/// What repeats from event to event.
#[derive(Default)]
struct Repeated<'a> {
    texts: HashMap<u32, &'a str>,
    created_us: i64,
    created: String,
}

impl<'a> Repeated<'a> {
    fn text(&mut self, log: &'a Log, key: u32) -> Result<&'a str> {
        if let Some(text) = self.texts.get(&key) {
            return Ok(text);
        }
        if self.texts.len() == TEXTS_MAX {
            self.texts.clear();
        }
        let text = log.text(key)?;
        self.texts.insert(key, text);
        Ok(text)
    }

    /// Write an event's tags as a JSON list.
    fn put_tags(&mut self, log: &'a Log, event: &EventView<'_>, out: &mut Vec<u8>) -> Result<()> {
        out.push(b'[');
        for tag in event.tags.keys() {
            if out.len() > 1 {
                out.push(b',');
            }
            put_text(out, self.text(log, tag)?);
        }
        out.push(b']');
        Ok(())
    }

    fn look_at(&mut self, created_us: i64) -> Result<()> {
        if self.created_us != created_us || self.created.is_empty() {
            let moment = Timestamp::from_microsecond(created_us).map_err(|_| {
                Error::Invalid(format!("an event was created {created_us} µs after 1970, which is not a date"))
            })?;
            self.created_us = created_us;
            self.created.clear();
            PRINTER
                .print_timestamp(&moment, &mut self.created)
                .map_err(|error| Error::Invalid(format!("a time cannot be written: {error}")))?;
        }
        Ok(())
    }
}

impl Log {
    /// Write the events that a filter lets through, as the log is now, in the order of their positions. `progress` hears of
    /// positions done and positions in all; its error ends the work. Answers how many events were written.
    pub fn export(
        &self,
        filter: &Filter,
        format: Format,
        out: &mut dyn Write,
        progress: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<u64> {
        let mut query = self.query(filter)?;
        let (low, high) = query.span();
        let total = (high + 1).saturating_sub(low);
        let mut known = Repeated::default();
        let mut lines = Vec::with_capacity(2 * BUFFER_BYTES);
        let mut count = 0;
        let mut tags = Vec::new();
        if format == Format::Csv {
            lines.extend_from_slice(HEADER);
        }
        while let Some(events) = query.next_page(self, PAGE_EVENTS)? {
            for event in &events {
                let (stream, name) = (known.text(self, event.stream)?, known.text(self, event.name)?);
                tags.clear();
                if !event.tags.is_empty() {
                    known.put_tags(self, event, &mut tags)?;
                }
                known.look_at(event.created)?;
                match format {
                    Format::JsonLines => put_line(&mut lines, event, stream, name, &known.created, &tags),
                    Format::Csv => put_row(&mut lines, event, stream, name, &known.created, &tags),
                }
                if lines.len() > BUFFER_BYTES {
                    out.write_all(&lines).doing(|| "writing an export".to_owned())?;
                    lines.clear();
                }
            }
            count += events.len() as u64;
            if let Some(last) = events.last() {
                progress((last.position + 1).saturating_sub(low), total)?;
            }
        }
        out.write_all(&lines).doing(|| "writing an export".to_owned())?;
        progress(total, total)?;
        Ok(count)
    }
}

fn put_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn put_line(out: &mut Vec<u8>, event: &EventView<'_>, stream: &str, name: &str, created: &str, tags: &[u8]) {
    out.extend_from_slice(br#"{"position":"#);
    put_number(out, event.position);
    out.extend_from_slice(br#","commit":"#);
    put_number(out, event.commit);
    out.extend_from_slice(br#","stream":"#);
    put_text(out, stream);
    out.extend_from_slice(br#","version":"#);
    put_number(out, event.version);
    out.extend_from_slice(br#","name":"#);
    put_text(out, name);
    out.extend_from_slice(br#","created":""#);
    out.extend_from_slice(created.as_bytes());
    out.extend_from_slice(br#"","data":"#);
    put_json(out, event.data);
    out.extend_from_slice(br#","meta":"#);
    put_json(out, if event.meta.is_empty() { b"null" } else { event.meta });
    if !tags.is_empty() {
        out.extend_from_slice(br#","tags":"#);
        out.extend_from_slice(tags);
    }
    out.extend_from_slice(b"}\n");
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("text is JSON, and memory takes it");
}

/// JSON as it stands, but on one line: line breaks between its parts become spaces.
fn put_json(out: &mut Vec<u8>, json: &[u8]) {
    let start = out.len();
    out.extend_from_slice(json.trim_ascii());
    if out[start..].iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        out[start..].iter_mut().filter(|byte| matches!(**byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    }
}

fn put_row(out: &mut Vec<u8>, event: &EventView<'_>, stream: &str, name: &str, created: &str, tags: &[u8]) {
    put_number(out, event.position);
    out.push(b',');
    put_number(out, event.commit);
    out.push(b',');
    put_field(out, stream.as_bytes());
    out.push(b',');
    put_number(out, event.version);
    out.push(b',');
    put_field(out, name.as_bytes());
    out.push(b',');
    out.extend_from_slice(created.as_bytes());
    out.push(b',');
    put_field(out, event.data);
    out.push(b',');
    put_field(out, event.meta);
    out.push(b',');
    put_field(out, tags);
    out.push(b'\n');
}

/// A field, in quotes where it needs them.
fn put_field(out: &mut Vec<u8>, field: &[u8]) {
    if !field.iter().any(|byte| matches!(byte, b'"' | b',' | b'\n' | b'\r')) {
        return out.extend_from_slice(field);
    }
    out.push(b'"');
    for byte in field {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}
