//! One stretch of the log, read batch by batch.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use act_fast_core::{EventView, Filter, Log, Query};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;

use crate::ask::{Ask, What};
use crate::class_decoder::Unfitting;
use crate::column::nothing;
use crate::decode::Decoder;
use crate::head::Head;
use crate::texts::{Spread, Texts};
use crate::unfit::Unfit;
use crate::{Error, broken};

/// A batch ends with the page that brings it to so many rows, or so many bytes of payload.
pub(crate) const BATCH_ROWS: usize = 1 << 15;
const BATCH_BYTES: usize = 4 << 20;
/// So few that what is known of them stays near the processor while they go into one column after another.
const PAGE_ROWS: usize = 1 << 8;

/// A batch, and what of it did not fit the shape: nulls in the batch.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) batch: RecordBatch,
    pub(crate) unfitting: Vec<Unfitting>,
}

/// What ended a walk.
struct Failed(Error);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<act_fast_core::Error> for Failed {
    fn from(error: act_fast_core::Error) -> Self {
        Self(broken(error))
    }
}

/// Opens the log for some pages; it may have been closed meanwhile.
pub(crate) type OpenLog = dyn Fn() -> act_fast_core::Result<Arc<Log>> + Send + Sync;

/// A stretch of the log.
pub(crate) struct Chunk<'a> {
    ask: &'a Ask,
    schema: &'a SchemaRef,
    open: &'a OpenLog,
    query: Option<Query>,
    filter: Filter,
    /// The position of the last event that was read.
    last: u64,
    head: &'a mut Head,
    decoder: Option<Decoder<'a>>,
    texts: &'a mut Texts,
    /// Whether the events of a name have the shape as they stand, by the name's key.
    direct: HashMap<u32, bool, BuildHasherDefault<Spread>>,
}

impl<'a> Chunk<'a> {
    /// The events from position `low` to `high`, both in.
    pub(crate) fn new(
        ask: &'a Ask,
        schema: &'a SchemaRef,
        open: &'a OpenLog,
        (head, texts): (&'a mut Head, &'a mut Texts),
        low: u64,
        high: u64,
    ) -> Self {
        let filter = Filter { after: low - 1, before: Some(high + 1), ..ask.filter.clone() };
        let decoder = match &ask.shape {
            Some(shape) if ask.decodes() => Some(Decoder::new(shape, &ask.wanted())),
            _ => None,
        };
        Self { ask, schema, open, query: None, filter, last: low - 1, head, decoder, texts, direct: HashMap::default() }
    }

    /// The position of the last event that was read; what comes before the stretch, if none was.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// The next batch; None at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, Error> {
        let (mut rows, mut bytes) = (0, 0);
        let mut unfitting = Vec::new();
        while rows < BATCH_ROWS && bytes < BATCH_BYTES {
            let log = (self.open)().map_err(broken)?;
            if self.query.is_none() {
                self.query = Some(log.query(&self.filter).map_err(broken)?);
            }
            let Some(mut query) = self.query.take() else { break };
            let found = query.each_page(&log, BATCH_ROWS - rows, PAGE_ROWS, |page| {
                self.head.push(&log, self.texts, page)?;
                for event in page {
                    self.decode(&log, event, rows, &mut unfitting)?;
                    rows += 1;
                    bytes += event.data.len();
                }
                self.last = page.last().map_or(self.last, |event| event.position);
                Ok::<_, Failed>(())
            });
            self.query = Some(query);
            if found.map_err(|Failed(error)| error)?.is_none() {
                break;
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        Ok(Some(Piece { batch: self.batch(rows)?, unfitting }))
    }

    #[inline]
    fn decode(
        &mut self,
        log: &Log,
        event: &EventView<'_>,
        row: usize,
        unfitting: &mut Vec<Unfitting>,
    ) -> Result<(), Error> {
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        let direct = match self.direct.get(&event.name) {
            Some(direct) => *direct,
            None => {
                let direct = self.ask.direct.contains(log.text(event.name).map_err(broken)?);
                self.direct.insert(event.name, direct);
                direct
            }
        };
        let fit = if direct { decoder.row(event.data) } else { Err(Unfit::new("")) };
        if fit.is_err() {
            decoder.row_of_nothing();
            let name = log.text(event.name).map_err(broken)?;
            unfitting.push(Unfitting { name: name.to_owned(), data: event.data.to_vec(), row });
        }
        Ok(())
    }

    fn batch(&mut self, rows: usize) -> Result<RecordBatch, Error> {
        let mut own = self.head.finish()?.into_iter();
        let fields = self.decoder.as_mut().map(Decoder::finish).transpose()?.unwrap_or_default();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.ask.outputs.len());
        for (output, field) in self.ask.outputs.iter().zip(self.schema.fields()) {
            columns.push(match output.what {
                What::Field(number) => fields.get(number).cloned().flatten().unwrap_or_else(|| nothing(field, rows)),
                What::Error => nothing(field, rows),
                _ => own.next().unwrap_or_else(|| nothing(field, rows)),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(self.schema), columns, &options)
    }
}
