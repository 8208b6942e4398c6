//! Events from columns, as whatever reads Parquet files hands them over.

use act_fast_sys::{ArrowBatch, ArrowStream, Kind};

use super::in_order::in_order;
use super::meta::{CausedBy, LastMeta};
use super::{Meta, Restoring, Row, check_data, in_source};
use crate::error::{Error, Result};

/// What the columns are, in the order of the fields of a row.
pub const KINDS: [Kind; 9] = [
    Kind::Natural,
    Kind::Natural,
    Kind::Text,
    Kind::Natural,
    Kind::Text,
    Kind::Whole,
    Kind::Text,
    Kind::Text,
    Kind::Text,
];

const POSITION: usize = 0;
const COMMIT: usize = 1;
const STREAM: usize = 2;
const VERSION: usize = 3;
const NAME: usize = 4;
const CREATED: usize = 5;
const DATA: usize = 6;
const META: usize = 7;
const TAGS: usize = 8;

/// The rows of a batch, up to the first that is wrong.
struct Looked {
    batch: ArrowBatch,
    first_row: u64,
    /// For each row, what caused its commit.
    causes: Vec<Option<CausedBy>>,
    wrong: Option<Error>,
}

/// Take all events of a stream whose columns are of [`KINDS`]. `file` is its name for people; `progress` hears how many were
/// taken, and its error ends the work.
pub fn read_columns(
    restoring: &mut Restoring,
    stream: &mut ArrowStream,
    file: &str,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let mut next_row = 1;
    let mut get = || {
        let batch = stream.next_batch();
        let batch = batch.map_err(|fault| {
            let said = fault.0.lines().next().unwrap_or_default();
            Error::Invalid(format!("it cannot be read as Parquet ({said})"))
        })?;
        let first_row = next_row;
        next_row += batch.as_ref().map_or(0, |batch| batch.rows() as u64);
        Ok(batch.map(|batch| (batch, first_row)))
    };
    in_order(&mut get, &|(batch, first_row)| look_at(batch, first_row), &mut |looked| {
        let end = looked.first_row + looked.batch.rows() as u64;
        add(restoring, looked, file)?;
        progress(end - 1)
    })
}

fn look_at(batch: ArrowBatch, first_row: u64) -> Looked {
    let mut causes = Vec::with_capacity(batch.rows());
    let mut last = LastMeta::default();
    let looked = (0..batch.rows()).try_for_each(|row| {
        let whole = (batch.text(STREAM, row), batch.text(NAME, row));
        let ((Some(_), Some(_)), Some(data)) = (whole, batch.text(DATA, row)) else {
            return Err(Error::Invalid("`stream`, `name` or `data` is missing; every event has all three".to_owned()));
        };
        let cause = batch.text(META, row).map_or(Ok(None), |meta| last.cause_of(meta))?;
        check_data(data)?;
        causes.push(cause);
        Ok(())
    });
    Looked { batch, first_row, causes, wrong: looked.err() }
}

fn add(restoring: &mut Restoring, looked: Looked, file: &str) -> Result<()> {
    let Looked { batch, first_row, causes, wrong } = looked;
    let failed = |error, row: usize| in_source(error, file, "row", first_row + row as u64);
    let sound = causes.len();
    for (row, cause) in causes.into_iter().enumerate() {
        let event = Row {
            position: batch.natural(POSITION, row),
            commit: batch.natural(COMMIT, row),
            stream: batch.text(STREAM, row).unwrap_or_default(),
            version: batch.natural(VERSION, row),
            name: batch.text(NAME, row).unwrap_or_default(),
            created: batch.whole(CREATED, row),
            data: batch.text(DATA, row).unwrap_or_default(),
            checked: true,
            meta: batch.text(META, row).map(|meta| Meta::again(meta, cause)),
            tags: batch.text(TAGS, row).unwrap_or_default(),
        };
        restoring.add(&event).map_err(|error| failed(error, row))?;
    }
    wrong.map_or(Ok(()), |error| Err(failed(error, sound)))
}
