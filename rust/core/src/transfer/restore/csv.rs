//! Events from CSV: a line of column names, then one event a row. One thread takes rows apart, several read what their fields
//! say, and one takes their events in order.

use std::io::{self, Read};
use std::ops::Range;

use csv::{ByteRecord, ErrorKind, Position, Reader, ReaderBuilder, StringRecord};
use memchr::memchr;

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
        let find = |name: &str| {
            let mut found = header.iter().enumerate().filter(|(_, column)| *column == name).map(|(at, _)| at);
            match (found.next(), found.next()) {
                (at, None) => Ok(at),
                _ => Err(Error::Invalid(format!("it names more than one column `{name}`; an event has one of each"))),
            }
        };
        let need = |name: &str| {
            find(name)?.ok_or_else(|| {
                Error::Invalid(format!(
                    "there is no column `{name}`; the first line must name at least stream, name and data, in small \
                     letters and with commas between them"
                ))
            })
        };
        Ok(Self {
            position: find("position")?,
            commit: find("commit")?,
            stream: need("stream")?,
            version: find("version")?,
            name: need("name")?,
            created: find("created")?,
            data: need("data")?,
            meta: find("meta")?,
            tags: find("tags")?,
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
    fn push(&mut self, record: &ByteRecord, line: u64) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record.as_slice());
        self.ends.extend((0..record.len()).filter_map(|at| record.range(at)).map(|field| start + field.end));
        self.lines.push(line);
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

/// What is read from, up to the end of a row that is as long as one may be.
struct Bounded<'a> {
    source: &'a mut (dyn Read + Send),
    /// How many bytes the row that is being read may still take.
    left: u64,
    last_byte: u8,
    /// Whether lines end with two bytes, as the first one does.
    line_ends_are_double: Option<bool>,
}

impl Read for Bounded<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other("a row is too long"));
        }
        let count = self.source.read(bytes)?;
        self.left = self.left.saturating_sub(count as u64);
        if self.line_ends_are_double.is_none()
            && let Some(at) = memchr(b'\n', &bytes[..count])
        {
            let before = if at == 0 { self.last_byte } else { bytes[at - 1] };
            self.line_ends_are_double = Some(before == b'\r');
        }
        if let Some(byte) = bytes[..count].last() {
            self.last_byte = *byte;
        }
        Ok(count)
    }
}

/// Rows, one after another.
struct Rows<'a> {
    reader: Reader<Bounded<'a>>,
    file: &'a str,
    record: ByteRecord,
    /// Where the last row begins.
    line: u64,
    /// How many lines the reader is behind where a row begins: it takes a row for ended before the last byte of its line end.
    lines_behind: u64,
    /// Whether the last field of the last row says where it ends.
    closed: bool,
    segment_bytes: u64,
    row_bytes_max: u64,
    /// What is wrong with the next row.
    failed: Option<Error>,
}

/// Take all events of a source. `file` is its name for people; `progress` hears of bytes read, and its error ends the work.
pub fn read_csv(
    restoring: &mut Restoring,
    source: &mut (dyn Read + Send),
    file: &str,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let (segment_bytes, row_bytes_max) = (restoring.segment_bytes, restoring.text_bytes_max());
    let bounded = Bounded { source, left: row_bytes_max, last_byte: b'\n', line_ends_are_double: None };
    let reader = ReaderBuilder::new().buffer_capacity(1 << 18).from_reader(bounded);
    let (record, line, lines_behind, closed, failed) = (ByteRecord::new(), 1, 0, true, None);
    let mut rows = Rows { reader, file, record, line, lines_behind, closed, segment_bytes, row_bytes_max, failed };
    let columns = rows.columns()?;
    let mut get = || rows.next_piece();
    let mut read = 0;
    in_order(&mut get, &|piece| take(piece, &columns), &mut |taken| {
        read = taken.read;
        add(restoring, taken, file)?;
        progress(read)
    })?;
    progress(read)
}

impl Rows<'_> {
    fn columns(&mut self) -> Result<Columns> {
        let file = self.file;
        let found = match self.reader.headers() {
            Ok(header) => Columns::find(header),
            Err(error) => return Err(self.broken(error)),
        };
        self.lines_behind = u64::from(self.reader.get_ref().line_ends_are_double == Some(true));
        found.map_err(|error| in_source(error, file, "line", 1))
    }

    /// The next rows; None at the end. What is wrong with the row behind them is told the next time.
    fn next_piece(&mut self) -> Result<Option<Piece>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut piece = Piece::default();
        while piece.lines.len() < PIECE_ROWS && piece.bytes.len() < PIECE_BYTES {
            self.reader.get_mut().left = self.row_bytes_max;
            match self.reader.read_byte_record(&mut self.record) {
                Ok(true) => {
                    self.line = self.record.position().map_or(0, Position::line) + self.lines_behind;
                    let last = self.record.iter().next_back().and_then(<[u8]>::last);
                    self.closed = matches!(last, Some(b'}' | b']'));
                    piece.push(&self.record, self.line);
                }
                Ok(false) => {
                    self.failed = self.check_end().err();
                    break;
                }
                Err(error) => {
                    self.failed = Some(self.broken(error));
                    break;
                }
            }
        }
        piece.read = self.reader.position().byte();
        match self.failed.take_if(|_| piece.lines.is_empty()) {
            Some(error) => Err(error),
            None => Ok(Some(piece).filter(|piece| !piece.lines.is_empty())),
        }
    }

    /// Refuse what may have been cut short in its last field.
    fn check_end(&self) -> Result<()> {
        if self.closed || matches!(self.reader.get_ref().last_byte, b'\n' | b'\r') {
            return Ok(());
        }
        let what = "it is the last one, and nothing shows that it is whole: the file may have been cut short; if it was \
                    not, end it with a line break";
        Err(in_source(Error::Invalid(what.to_owned()), self.file, "line", self.line))
    }

    fn broken(&self, error: csv::Error) -> Error {
        let begins = if self.reader.get_ref().left == 0 { self.record.position() } else { error.position() };
        let line = begins.map_or(1, Position::line) + self.lines_behind;
        let what = match error.kind() {
            ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
            ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("it has {len} fields, but the first line names {expected_len}: it is damaged, or cut short")
            }
            ErrorKind::Io(_) if self.reader.get_ref().left == 0 => {
                format!(
                    "the row that begins here has more than {} bytes, and an event must fit into one log file of {} bytes \
                     (segment_bytes); is there a quote that is not closed?",
                    self.row_bytes_max, self.segment_bytes
                )
            }
            ErrorKind::Io(_) => {
                let csv::ErrorKind::Io(source) = error.into_kind() else { unreachable!("just looked at") };
                return Error::Io { what: format!("reading {}", self.file), source };
            }
            _ => "it cannot be read as CSV".to_owned(),
        };
        in_source(Error::Invalid(what), self.file, "line", line)
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
