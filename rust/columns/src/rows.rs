//! States as Arrow batches: rows that somebody folds, page by page.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchReader, StringArray};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use crate::Error;
use crate::class_decoder::ByClass;
use crate::decode::Decoder;
use crate::shape::Shape;

/// One state: what it is the state of, and its JSON.
#[derive(Clone, Debug)]
pub struct StateRow {
    /// The stream's name.
    pub stream: String,
    /// The stream's version that it was folded up to.
    pub version: u64,
    /// The position of the last event that it was folded from.
    pub position: u64,
    /// The state, as JSON, or why there is none.
    pub state: ByClass,
}

/// States as batches: stream, version, position, the fields of the shape, error.
pub struct Rows<I> {
    shape: Arc<Shape>,
    fields: Vec<Option<FieldRef>>,
    schema: SchemaRef,
    at: Option<String>,
    pages: I,
}

impl<I> std::fmt::Debug for Rows<I> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Rows").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl<I> Rows<I> {
    /// `names`: what the shape's fields are called as columns. `at`: what stands in a column `as of` in front, if there
    /// is one.
    pub fn new(shape: Arc<Shape>, names: &[String], at: Option<&str>, pages: I) -> Self {
        let fields: Vec<FieldRef> =
            shape.members().iter().zip(names).map(|(member, name)| member.of.field(name)).collect();
        let own = |name: &str, data_type, nullable| Arc::new(Field::new(name, data_type, nullable));
        let mut all: Vec<FieldRef> = at.iter().map(|_| own("as of", DataType::Utf8, false)).collect();
        all.push(own("stream", DataType::Utf8, false));
        all.push(own("version", DataType::Int64, false));
        all.push(own("position", DataType::Int64, false));
        all.extend(fields.iter().cloned());
        all.push(own("error", DataType::Utf8, true));
        let fields = fields.into_iter().map(Some).collect();
        Self { shape, fields, schema: Arc::new(Schema::new(all)), at: at.map(str::to_owned), pages }
    }

    fn batch(&self, rows: &[StateRow]) -> Result<RecordBatch, Error> {
        let mut streams = StringBuilder::new();
        let mut versions = Int64Builder::with_capacity(rows.len());
        let mut positions = Int64Builder::with_capacity(rows.len());
        let mut errors = StringBuilder::new();
        let mut decoder = Decoder::new(&self.shape, &self.fields);
        for row in rows {
            streams.append_value(&row.stream);
            versions.append_value(row.version.cast_signed());
            positions.append_value(row.position.cast_signed());
            errors.append_option(decoder.decoded(&row.state).err());
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        if let Some(at) = &self.at {
            columns.push(Arc::new(StringArray::from_iter_values(rows.iter().map(|_| at))));
        }
        columns.push(Arc::new(streams.finish()));
        columns.push(Arc::new(versions.finish()));
        columns.push(Arc::new(positions.finish()));
        columns.extend(decoder.finish()?.into_iter().flatten());
        columns.push(Arc::new(errors.finish()));
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

impl<I: Iterator<Item = Result<Vec<StateRow>, Error>>> Iterator for Rows<I> {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let page = self.pages.next()?;
        Some(page.and_then(|rows| self.batch(&rows)))
    }
}

impl<I: Iterator<Item = Result<Vec<StateRow>, Error>>> RecordBatchReader for Rows<I> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
