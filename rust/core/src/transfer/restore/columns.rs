//! Events from columns, as whatever reads Parquet files hands them over.

use std::ops::Range;
use std::sync::Arc;

use act_fast_sys::{ArrowBatch, ArrowStream, Kind};

use super::in_order::in_order;
use super::meta::{CausedBy, LastMeta};
use super::{Meta, Restoring, Row, check_data, in_source};
use crate::error::{Error, Result};
use crate::payload::check::Shapes;

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

/// How many rows one thread looks at before another may go on: a batch can be all there is.
const PIECE_ROWS: usize = 1 << 12;

/// Some rows of a batch.
struct Piece {
    batch: Arc<ArrowBatch>,
    rows: Range<usize>,
    /// The number of the first of them in the source.
    first_row: u64,
}

/// The rows of a piece, up to the first that is wrong.
struct Looked {
    piece: Piece,
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
    let mut open: Option<(Arc<ArrowBatch>, usize)> = None;
    let mut get = || -> Result<Option<Piece>> {
        loop {
            if let Some((batch, from)) = open.take().filter(|(batch, from)| *from < batch.rows()) {
                let rows = from..batch.rows().min(from + PIECE_ROWS);
                let first_row = next_row;
                next_row += rows.len() as u64;
                open = Some((Arc::clone(&batch), rows.end));
                return Ok(Some(Piece { batch, rows, first_row }));
            }
            let batch = stream.next_batch().map_err(|fault| {
                let said = fault.0.lines().next().unwrap_or_default();
                Error::Invalid(format!("it cannot be read as Parquet ({said})"))
            })?;
            let Some(batch) = batch else { return Ok(None) };
            open = Some((Arc::new(batch), 0));
        }
    };
    in_order(&mut get, &look_at, &mut |looked| {
        let end = looked.piece.first_row + looked.piece.rows.len() as u64;
        add(restoring, looked, file)?;
        progress(end - 1)
    })
}

fn look_at(piece: Piece) -> Looked {
    let batch = &*piece.batch;
    let mut causes = Vec::with_capacity(piece.rows.len());
    let (mut last, mut shapes) = (LastMeta::default(), Shapes::default());
    let looked = piece.rows.clone().try_for_each(|row| {
        let whole = (batch.text(STREAM, row), batch.text(NAME, row));
        let ((Some(_), Some(name)), Some(data)) = (whole, batch.text(DATA, row)) else {
            return Err(Error::Invalid("`stream`, `name` or `data` is missing; every event has all three".to_owned()));
        };
        let cause = batch.text(META, row).map_or(Ok(None), |meta| last.cause_of(meta))?;
        check_data(&mut shapes, name, data)?;
        causes.push(cause);
        Ok(())
    });
    let wrong = looked.err();
    Looked { piece, causes, wrong }
}

fn add(restoring: &mut Restoring, looked: Looked, file: &str) -> Result<()> {
    let Looked { piece: Piece { batch, rows, first_row }, causes, wrong } = looked;
    let failed = |error, row: usize| in_source(error, file, "row", first_row + (row - rows.start) as u64);
    let sound = rows.start + causes.len();
    for (row, cause) in rows.clone().zip(causes) {
        let event = Row {
            position: batch.natural(POSITION, row),
            commit: batch.natural(COMMIT, row),
            stream: batch.text(STREAM, row).unwrap_or_default(),
            version: batch.natural(VERSION, row),
            name: batch.text(NAME, row).unwrap_or_default(),
            created: batch.whole(CREATED, row),
            data: batch.text(DATA, row).unwrap_or_default(),
            meta: batch.text(META, row).map(|meta| Meta::again(meta, cause)),
            tags: batch.text(TAGS, row).unwrap_or_default(),
        };
        restoring.add(&event).map_err(|error| failed(error, row))?;
    }
    wrong.map_or(Ok(()), |error| Err(failed(error, sound)))
}
