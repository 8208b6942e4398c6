//! Streams as Arrow batches: a row for each, from the index, as they were at a cut.

use std::sync::Arc;
use std::vec::IntoIter;

use act_fast_core::{Looks, StreamInfo};
use arrow_array::builder::{Int64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchReader};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::shape::instant;
use crate::stream::Opener;
use crate::{Error, broken};

const BATCH_ROWS: usize = 1 << 12;

/// What a column of streams holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glance {
    /// The stream's name.
    Stream,
    /// How many events it has.
    Version,
    /// The position of its first event.
    FirstPosition,
    /// The position of its last event.
    LastPosition,
    /// When its first event was created.
    FirstCreated,
    /// When its last event was created.
    LastCreated,
    /// The name of its last event.
    LastName,
}

impl Glance {
    /// What a column of this name holds.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "stream" => Self::Stream,
            "version" => Self::Version,
            "first_position" => Self::FirstPosition,
            "last_position" => Self::LastPosition,
            "first_created" => Self::FirstCreated,
            "last_created" => Self::LastCreated,
            "last_name" => Self::LastName,
            _ => return None,
        })
    }

    fn field(self) -> Field {
        let (name, data_type) = match self {
            Self::Stream => ("stream", DataType::Utf8),
            Self::Version => ("version", DataType::Int64),
            Self::FirstPosition => ("first_position", DataType::Int64),
            Self::LastPosition => ("last_position", DataType::Int64),
            Self::FirstCreated => ("first_created", instant()),
            Self::LastCreated => ("last_created", instant()),
            Self::LastName => ("last_name", DataType::Utf8),
        };
        Field::new(name, data_type, false)
    }

    fn column(self, streams: &[StreamInfo]) -> ArrayRef {
        let texts = |of: fn(&StreamInfo) -> &str| {
            let mut column = StringBuilder::new();
            streams.iter().for_each(|each| column.append_value(of(each)));
            Arc::new(column.finish()) as ArrayRef
        };
        let numbers = |of: fn(&StreamInfo) -> u64| {
            let mut column = Int64Builder::with_capacity(streams.len());
            streams.iter().for_each(|each| column.append_value(of(each).cast_signed()));
            Arc::new(column.finish()) as ArrayRef
        };
        let times = |of: fn(&StreamInfo) -> i64| {
            let mut column = TimestampMicrosecondBuilder::with_capacity(streams.len()).with_data_type(instant());
            streams.iter().for_each(|each| column.append_value(of(each)));
            Arc::new(column.finish()) as ArrayRef
        };
        match self {
            Self::Stream => texts(|each| &each.stream),
            Self::Version => numbers(|each| each.version),
            Self::FirstPosition => numbers(|each| each.first_position),
            Self::LastPosition => numbers(|each| each.last_position),
            Self::FirstCreated => times(|each| each.first_created),
            Self::LastCreated => times(|each| each.last_created),
            Self::LastName => texts(|each| &each.last_name),
        }
    }
}

/// Streams as they were when a position was the last, in the order in which they came to be, or those of some names.
pub struct Streams {
    open: Opener,
    glances: Vec<Glance>,
    schema: SchemaRef,
    cut: u64,
    looks: Looks,
    next: Next,
}

enum Next {
    Key(u32),
    Named(IntoIter<String>),
    Over,
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Streams")
            .field("glances", &self.glances)
            .field("cut", &self.cut)
            .finish_non_exhaustive()
    }
}

impl Streams {
    /// Nothing is read yet. `named`: only these, each once.
    #[must_use]
    pub fn new(open: Opener, glances: Vec<Glance>, cut: u64, named: Option<Vec<String>>) -> Self {
        let fields: Vec<Field> = glances.iter().map(|glance| glance.field()).collect();
        let looks = Looks {
            first_created: glances.contains(&Glance::FirstCreated),
            last_created: glances.contains(&Glance::LastCreated),
            last_name: glances.contains(&Glance::LastName),
        };
        let next = named.map_or(Next::Key(0), |named| Next::Named(named.into_iter()));
        Self { open, glances, schema: Arc::new(Schema::new(fields)), cut, looks, next }
    }

    /// The next streams, perhaps none yet; None when there are no more.
    fn page(&mut self) -> act_fast_core::Result<Option<Vec<StreamInfo>>> {
        if matches!(self.next, Next::Over) {
            return Ok(None);
        }
        let log = (self.open)()?;
        let (streams, next) = match std::mem::replace(&mut self.next, Next::Over) {
            Next::Over => return Ok(None),
            Next::Key(from) => {
                let (streams, next) = log.streams_at(self.cut, from, BATCH_ROWS, self.looks)?;
                (streams, next.map_or(Next::Over, Next::Key))
            }
            Next::Named(mut names) => {
                let mut streams = Vec::new();
                for name in names.by_ref().take(BATCH_ROWS) {
                    streams.extend(log.stream_at(self.cut, &name, self.looks)?);
                }
                (streams, if names.len() > 0 { Next::Named(names) } else { Next::Over })
            }
        };
        self.next = next;
        Ok(Some(streams))
    }
}

impl Iterator for Streams {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.page().transpose()? {
                Err(error) => return Some(Err(broken(error))),
                Ok(streams) if streams.is_empty() => {}
                Ok(streams) => {
                    let columns = self.glances.iter().map(|glance| glance.column(&streams)).collect();
                    return Some(RecordBatch::try_new(Arc::clone(&self.schema), columns));
                }
            }
        }
    }
}

impl RecordBatchReader for Streams {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
