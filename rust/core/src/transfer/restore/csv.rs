//! Events from CSV: a line of column names, then one event a row. One thread takes rows apart, several read what their fields
//! say, and one takes their events in order.

use std::io::Read;
use std::ops::Range;

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, StringRecord};

use super::created::LastCreated;
use super::in_order::in_order;
use super::meta::{CausedBy, LastMeta};
use super::{Meta, Restoring, Row, check_data, in_source};
use crate::error::{Error, Result};
use crate::payload::check::Shapes;

/// How many rows one thread reads before another may go on, and how many bytes of them are enough.
const PIECE_ROWS: usize = 1 << 11;
const PIECE_BYTES: usize = 1 << 20;
/// Where the columns are.
struct Columns {
    position: Option<usize>,
    commit: Option<usize>,
    stream: usize,
    version: Option<usize>,
    name: usize,
    created: Option<usize>,
    data: usize,
    meta: Option<usize>,
    tags: Option<usize>,
}

impl Columns {
    fn find(header: &StringRecord) -> Result<Self> {
        let find = |name: &str| header.iter().position(|column| column == name);
        let need = |name: &str| {
            find(name).ok_or_else(|| {
                Error::Invalid(format!(
                    "there is no column `{name}`; the first line must name at least stream, name and data"
                ))
            })
        };
        Ok(Self {
            position: find("position"),
            commit: find("commit"),
            stream: need("stream")?,
            version: find("version"),
            name: need("name")?,
            created: find("created"),
            data: need("data")?,
            meta: find("meta"),
            tags: find("tags"),
        })
    }
}

/// Some rows, taken apart.
#[derive(Default)]
struct Piece {
    /// Their fields, one after another.
    bytes: Vec<u8>,
    /// Where each field ends.
    ends: Vec<usize>,
    /// For each row the line that it begins in.
    lines: Vec<u64>,
    /// How many bytes of the source were read, up to its last row.
    read: u64,
}

impl Piece {
    fn push(&mut self, record: &ByteRecord) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record.as_slice());
        self.ends.extend((0..record.len()).filter_map(|at| record.range(at)).map(|field| start + field.end));
        self.lines.push(record.position().map_or(0, csv::Position::line));
    }
}

/// The event of a row.
struct Event {
    line: u64,
    position: Option<u64>,
    commit: Option<u64>,
    stream: Range<usize>,
    version: Option<u64>,
    name: Range<usize>,
    created: Option<i64>,
    data: Range<usize>,
    meta: Option<(Range<usize>, Option<CausedBy>)>,
    tags: Range<usize>,
}

/// What was read of a piece: the events up to the first row that is wrong.
struct Taken {
    text: String,
    events: Vec<Event>,
    wrong: Option<(u64, Error)>,
    read: u64,
}

/// Take all events of a source. `file` is its name for people; `progress` hears of bytes read, and its error ends the work.
pub fn read_csv(
    restoring: &mut Restoring,
    source: &mut (dyn Read + Send),
    file: &str,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let mut reader = ReaderBuilder::new().buffer_capacity(1 << 18).from_reader(source);
    let header = reader.headers().map_err(|error| broken(error, file, 1))?;
    let columns = Columns::find(header).map_err(|error| in_source(error, file, "line", 1))?;
    let (mut record, mut failed) = (ByteRecord::new(), None);
    let mut get = || next_piece(&mut reader, &mut record, &mut failed, file);
    let mut read = 0;
    in_order(&mut get, &|piece| take(piece, &columns), &mut |taken| {
        read = taken.read;
        add(restoring, taken, file)?;
        progress(read)
    })?;
    progress(read)
}

/// The next rows; None at the end. What is wrong with the row behind them is told the next time.
fn next_piece(
    reader: &mut Reader<&mut (dyn Read + Send)>,
    record: &mut ByteRecord,
    failed: &mut Option<Error>,
    file: &str,
) -> Result<Option<Piece>> {
    if let Some(error) = failed.take() {
        return Err(error);
    }
    let mut piece = Piece::default();
    while piece.lines.len() < PIECE_ROWS && piece.bytes.len() < PIECE_BYTES {
        match reader.read_byte_record(record) {
            Ok(true) => piece.push(record),
            Ok(false) => break,
            Err(error) => {
                let line = error.position().map_or_else(|| reader.position().line(), csv::Position::line);
                *failed = Some(broken(error, file, line));
                break;
            }
        }
    }
    piece.read = reader.position().byte();
    match failed.take_if(|_| piece.lines.is_empty()) {
        Some(error) => Err(error),
        None => Ok(Some(piece).filter(|piece| !piece.lines.is_empty())),
    }
}

/// Read what the rows of a piece say.
fn take(piece: Piece, columns: &Columns) -> Taken {
    let Piece { bytes, ends, lines, read } = piece;
    let width = (ends.len() / lines.len().max(1)).max(1);
    let text = String::from_utf8(bytes).unwrap_or_else(|error| {
        let valid = error.utf8_error().valid_up_to();
        let mut bytes = error.into_bytes();
        bytes.truncate(valid);
        String::from_utf8(bytes).unwrap_or_default()
    });
    let mut events = Vec::with_capacity(lines.len());
    let mut wrong = None;
    let mut reading = Reading { text: &text, columns, created: LastCreated::default(), meta: LastMeta::default() };
    let mut shapes = Shapes::default();
    let mut start = 0;
    for (line, ends) in lines.into_iter().zip(ends.chunks(width)) {
        match reading.event(line, start, ends, &mut shapes) {
            Ok(event) => events.push(event),
            Err(error) => {
                wrong = Some((line, error));
                break;
            }
        }
        start = ends.last().copied().unwrap_or(start);
    }
    Taken { text, events, wrong, read }
}

/// Reads rows, one after another.
struct Reading<'a> {
    text: &'a str,
    columns: &'a Columns,
    created: LastCreated<'a>,
    meta: LastMeta<'a>,
}

impl<'a> Reading<'a> {
    /// The event of a row that begins at `start`, and whose fields end at `ends`.
    fn event(&mut self, line: u64, start: usize, ends: &[usize], shapes: &mut Shapes) -> Result<Event> {
        let (text, columns) = (self.text, self.columns);
        // Side by side, two fields may make a letter that neither of them has.
        if !ends.iter().all(|end| text.is_char_boundary(*end)) {
            return Err(Error::Invalid("it is not UTF-8".to_owned()));
        }
        let at = |column: usize| if column == 0 { start..ends[0] } else { ends[column - 1]..ends[column] };
        let field = |column: Option<usize>| column.map(at).filter(|at| !at.is_empty());
        let whole = |name: &str, column: Option<usize>| -> Result<Option<u64>> {
            let parsed =
                field(column).map(|at| text[at].parse().map_err(|_| format!("`{name}` is not a whole number")));
            parsed.transpose().map_err(Error::Invalid)
        };
        let meta = field(columns.meta).map(|at| self.meta.cause_of(&text[at.clone()]).map(|cause| (at, cause)));
        let event = Event {
            line,
            position: whole("position", columns.position)?,
            commit: whole("commit", columns.commit)?,
            stream: at(columns.stream),
            version: whole("version", columns.version)?,
            name: at(columns.name),
            created: field(columns.created).map(|at| self.created.parse(&text[at])).transpose()?,
            data: at(columns.data),
            meta: meta.transpose()?,
            tags: field(columns.tags).unwrap_or_default(),
        };
        check_data(shapes, &text[event.name.clone()], &text[event.data.clone()])?;
        Ok(event)
    }
}

fn add(restoring: &mut Restoring, taken: Taken, file: &str) -> Result<()> {
    let Taken { text, events, wrong, .. } = taken;
    for event in events {
        let row = Row {
            position: event.position,
            commit: event.commit,
            stream: &text[event.stream],
            version: event.version,
            name: &text[event.name],
            created: event.created,
            data: &text[event.data],
            meta: event.meta.map(|(at, cause)| Meta::again(&text[at], cause)),
            tags: &text[event.tags],
        };
        restoring.add(&row).map_err(|error| in_source(error, file, "line", event.line))?;
    }
    match wrong {
        Some((line, error)) => Err(in_source(error, file, "line", line)),
        None => Ok(()),
    }
}

fn broken(error: csv::Error, file: &str, line: u64) -> Error {
    let what = match error.kind() {
        ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} fields, but the first line names {expected_len}: it is damaged, or cut short")
        }
        ErrorKind::Io(_) => {
            let csv::ErrorKind::Io(source) = error.into_kind() else { unreachable!("just looked at") };
            return Error::Io { what: format!("reading {file}"), source };
        }
        _ => "it cannot be read as CSV".to_owned(),
    };
    in_source(Error::Invalid(what), file, "line", line)
}
