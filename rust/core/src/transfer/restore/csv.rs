//! Events from CSV: a line of column names, then one event a row.

use std::io::Read;

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};

use super::{Meta, Restoring, Row, created, in_source};
use crate::error::{Error, Result};

/// How many rows are read before progress is told.
const TOLD_ROWS: u64 = 1 << 14;

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

/// Take all events of a source. `file` is its name for people; `progress` hears of bytes read, and its error ends the work.
pub fn read_csv(
    restoring: &mut Restoring,
    source: &mut dyn Read,
    file: &str,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let mut reader = ReaderBuilder::new().buffer_capacity(1 << 18).from_reader(source);
    let header = reader.headers().map_err(|error| broken(error, file, 1))?;
    let columns = Columns::find(header).map_err(|error| in_source(error, file, "line", 1))?;
    let mut record = StringRecord::new();
    let mut rows = 0;
    while read_record(&mut reader, &mut record, file)? {
        let number = record.position().map_or(0, csv::Position::line);
        take(restoring, &columns, &record).map_err(|error| in_source(error, file, "line", number))?;
        rows += 1;
        if rows % TOLD_ROWS == 0 {
            progress(reader.position().byte())?;
        }
    }
    progress(reader.position().byte())
}

fn read_record(reader: &mut Reader<&mut dyn Read>, record: &mut StringRecord, file: &str) -> Result<bool> {
    reader.read_record(record).map_err(|error| {
        let line = error.position().map_or_else(|| reader.position().line(), csv::Position::line);
        broken(error, file, line)
    })
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

fn take(restoring: &mut Restoring, columns: &Columns, record: &StringRecord) -> Result<()> {
    let field = |column: Option<usize>| column.and_then(|at| record.get(at)).filter(|text| !text.is_empty());
    let whole = |name: &str, column: Option<usize>| -> Result<Option<u64>> {
        let parsed = field(column).map(|text| text.parse().map_err(|_| format!("`{name}` is not a whole number")));
        parsed.transpose().map_err(Error::Invalid)
    };
    let when = field(columns.created).map(|text| {
        created::parse(text)
            .ok_or_else(|| Error::Invalid("`created` is not a time such as 2026-01-31T12:00:00.000001Z".to_owned()))
    });
    restoring.add(&Row {
        position: whole("position", columns.position)?,
        commit: whole("commit", columns.commit)?,
        stream: record.get(columns.stream).unwrap_or_default(),
        version: whole("version", columns.version)?,
        name: record.get(columns.name).unwrap_or_default(),
        created: when.transpose()?,
        data: record.get(columns.data).unwrap_or_default(),
        checked: false,
        meta: field(columns.meta).map(Meta::parse).transpose()?,
        tags: field(columns.tags).unwrap_or_default(),
    })
}
