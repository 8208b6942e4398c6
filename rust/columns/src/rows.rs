//! States as Arrow batches: rows that somebody folds, page by page.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchReader};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use crate::Error;
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
    /// The state.
    pub data: Vec<u8>,
}

/// States as batches: (stream, version, position, the fields of the shape, error).
pub struct Rows<I> {
    shape: Arc<Shape>,
    fields: Vec<Option<FieldRef>>,
    schema: SchemaRef,
    pages: I,
}

impl<I> std::fmt::Debug for Rows<I> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Rows").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// The columns of states of a shape; `names`: what its fields are called.
pub(crate) fn schema(
    shape: &Shape,
    own: [&str; 3],
    names: &[String],
    error: &str,
) -> (SchemaRef, Vec<Option<FieldRef>>) {
    let fields: Vec<FieldRef> = shape.members().iter().zip(names).map(|(member, name)| member.of.field(name)).collect();
    let [stream, version, position] = own;
    let mut all: Vec<FieldRef> = vec![
        Arc::new(Field::new(stream, DataType::Utf8, false)),
        Arc::new(Field::new(version, DataType::Int64, false)),
        Arc::new(Field::new(position, DataType::Int64, false)),
    ];
    all.extend(fields.iter().cloned());
    all.push(Arc::new(Field::new(error, DataType::Utf8, true)));
    (Arc::new(Schema::new(all)), fields.into_iter().map(Some).collect())
}

impl<I> Rows<I> {
    /// `names`: what the shape's fields are called as columns.
    pub fn new(shape: Arc<Shape>, names: &[String], pages: I) -> Self {
        let (schema, fields) = schema(&shape, ["stream", "version", "position"], names, "error");
        Self { shape, fields, schema, pages }
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
            match decoder.row(&row.data) {
                Ok(()) => errors.append_null(),
                Err(unfit) => {
                    decoder.row_of_nothing();
                    let name = unfit.field.and_then(|field| self.shape.members().get(field));
                    errors.append_value(
                        name.map_or_else(|| unfit.what.to_owned(), |m| format!("field {:?}: {}", m.name, unfit.what)),
                    );
                }
            }
        }
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(streams.finish()), Arc::new(versions.finish()), Arc::new(positions.finish())];
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
