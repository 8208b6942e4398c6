//! Questions that are kept answered: events are grouped as they come, so that no answer ever reads them again.
//!
//! What is held of a group can take in what another holds. So events are taken in by stretches of the log, each
//! of which counts as a whole or not at all, and what comes out may be grouped once more, more coarsely.

mod held;
mod question;
mod values;

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{RecordBatch, new_empty_array};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use crate::Error;
use crate::column::Column;
use crate::unfit::Fit;
use held::{Held, Overflow};
use question::Kind;
pub use question::Question;
use values::{Reader, Value, array, bytes};

/// How many groups one batch has that comes out.
const BATCH_GROUPS: usize = 1 << 16;

/// The groups that some events make.
#[derive(Clone, Debug)]
pub struct Groups {
    question: Arc<Question>,
    input: SchemaRef,
    output: SchemaRef,
    nothing: Arc<[Held]>,
    index: HashMap<Box<[u8]>, usize>,
    held: Vec<Held>,
}

impl Groups {
    /// None yet. `input`: the columns of the events, which the question names by their numbers.
    pub fn new(question: Question, input: SchemaRef) -> Result<Self, Error> {
        let missing = |column: &usize| {
            let known =
                input.fields().get(*column).map(|field| Reader::new(&new_empty_array(field.data_type())).is_known());
            known != Some(true)
        };
        if question.columns().iter().any(missing) {
            return Err(Error::SchemaError("the question names a column that cannot be kept".to_owned()));
        }
        let of = |column: Option<usize>| column.map(|column| input.field(column).data_type());
        let nothing = question.cells.iter().map(|cell| Held::nothing(cell.kind, of(cell.column))).collect();
        let keys = question.keys.iter().map(|key| nullable(input.field(key.column)));
        let cells = question.cells.iter().enumerate().map(|(number, cell)| {
            let field = cell.column.map(|column| input.field(column));
            let name = format!("cell {number}");
            Arc::new(match (cell.kind, field) {
                (Kind::Minimum | Kind::Maximum, Some(field)) => field.clone().with_name(name).with_nullable(true),
                (kind, field) => Field::new(name, summed(kind, field.map(Field::data_type)), true),
            })
        });
        let output = Arc::new(Schema::new(keys.chain(cells).collect::<Vec<FieldRef>>()));
        Ok(Self { question: Arc::new(question), input, output, nothing, index: HashMap::new(), held: Vec::new() })
    }

    /// The same question without an event.
    #[must_use]
    pub fn blank(&self) -> Self {
        Self {
            question: Arc::clone(&self.question),
            input: Arc::clone(&self.input),
            output: Arc::clone(&self.output),
            nothing: Arc::clone(&self.nothing),
            index: HashMap::new(),
            held: Vec::new(),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The columns that come out: the keys, then what is held.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.output)
    }

    /// Take in the events of a batch.
    pub fn take(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        if batch.schema_ref().fields() != self.input.fields() {
            return Err(Error::SchemaError("these are not the columns of the question".to_owned()));
        }
        let question = Arc::clone(&self.question);
        let columns: Vec<Reader<'_>> = batch.columns().iter().map(|column| Reader::new(column)).collect();
        let (mut key, mut last_key, mut last) = (Vec::new(), Vec::new(), None);
        for row in 0..batch.num_rows() {
            if question.test.as_ref().is_some_and(|test| test.of(&columns, row) != Some(true)) {
                continue;
            }
            key.clear();
            for each in &question.keys {
                match (columns[each.column].at(row), each.grain_us) {
                    (Value::Long(time_us), Some(grain_us)) => Value::Long(time_us - time_us.rem_euclid(grain_us)),
                    (value, _) => value,
                }
                .put(&mut key);
            }
            // Events come in runs.
            let group = match last {
                Some(group) if key == last_key => group,
                _ => self.group(&key),
            };
            last = Some(group);
            std::mem::swap(&mut key, &mut last_key);
            let width = question.cells.len();
            for (cell, held) in question.cells.iter().zip(&mut self.held[group * width..(group + 1) * width]) {
                if cell.test.as_ref().is_some_and(|test| test.of(&columns, row) != Some(true)) {
                    continue;
                }
                let value = cell.column.map_or(Value::Bool(true), |column| columns[column].at(row));
                held.take(value).map_err(too_large)?;
            }
        }
        Ok(())
    }

    /// Take in what others have taken in.
    pub fn merge(&mut self, other: Self) -> Result<(), Error> {
        if self.is_empty() {
            (self.index, self.held) = (other.index, other.held);
            return Ok(());
        }
        let width = self.nothing.len();
        let mut theirs = other.held;
        let mut merged: Vec<(usize, Held)> = Vec::with_capacity(theirs.len());
        // Nothing is changed before all of it is known to fit.
        let mut added = Vec::new();
        for (key, from) in other.index {
            match self.index.get(&key) {
                None => added.push((key, from)),
                Some(to) => {
                    for cell in 0..width {
                        let mut held = self.held[to * width + cell].clone();
                        let more = std::mem::replace(&mut theirs[from * width + cell], Held::Count(0));
                        held.merge(more).map_err(too_large)?;
                        merged.push((to * width + cell, held));
                    }
                }
            }
        }
        for (at, held) in merged {
            self.held[at] = held;
        }
        for (key, from) in added {
            let taken = theirs[from * width..(from + 1) * width].iter_mut();
            self.held.extend(taken.map(|held| std::mem::replace(held, Held::Count(0))));
            self.index.insert(key, self.index.len());
        }
        Ok(())
    }

    /// All groups, in the order in which they came to be here.
    pub fn batches(&self) -> Result<Vec<RecordBatch>, Error> {
        let width = self.nothing.len();
        let keys = self.ordered_keys();
        let batches = keys.chunks(BATCH_GROUPS).zip((0..).step_by(BATCH_GROUPS)).map(|(keys, first)| {
            let mut columns: Vec<Column> = self.output.fields().iter().map(Column::new).collect();
            for (at, mut key) in keys.iter().copied().enumerate() {
                let (key_columns, cell_columns) = columns.split_at_mut(self.question.keys.len());
                for column in key_columns {
                    push(column, Value::take(&mut key).unwrap_or(Value::Null)).map_err(|_| too_much())?;
                }
                let held = &self.held[(first + at) * width..(first + at + 1) * width];
                for (column, held) in cell_columns.iter_mut().zip(held) {
                    push(column, held.value()).map_err(|_| too_much())?;
                }
            }
            let arrays = columns.iter_mut().map(Column::finish).collect::<Result<Vec<_>, _>>()?;
            let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(keys.len()));
            RecordBatch::try_new_with_options(self.schema(), arrays, &options)
        });
        batches.collect()
    }

    /// All of it, to be read by `load`.
    #[must_use]
    pub fn dump(&self) -> Vec<u8> {
        let width = self.nothing.len();
        let mut out = Vec::with_capacity(16 + self.held.len() * 24);
        out.extend_from_slice(&(self.len() as u64).to_le_bytes());
        for (at, key) in self.ordered_keys().into_iter().enumerate() {
            out.extend_from_slice(&(key.len() as u32).to_le_bytes());
            out.extend_from_slice(key);
            self.held[at * width..(at + 1) * width].iter().for_each(|held| held.put(&mut out));
        }
        out
    }

    /// What `dump` has written for the same question; None when it is not that.
    #[must_use]
    pub fn load(&self, mut from: &[u8]) -> Option<Self> {
        let mut found = self.blank();
        let count = u64::from_le_bytes(array(&mut from)?);
        for at in 0..usize::try_from(count).ok()? {
            let len = u32::from_le_bytes(array(&mut from)?) as usize;
            let key = bytes(&mut from, len)?;
            found.index.insert(key.into(), at);
            for nothing in &*self.nothing {
                found.held.push(nothing.read(&mut from)?);
            }
        }
        (from.is_empty() && found.len() as u64 == count).then_some(found)
    }

    #[inline]
    fn group(&mut self, key: &[u8]) -> usize {
        if let Some(group) = self.index.get(key) {
            return *group;
        }
        let group = self.index.len();
        self.index.insert(key.into(), group);
        self.held.extend_from_slice(&self.nothing);
        group
    }

    fn ordered_keys(&self) -> Vec<&[u8]> {
        let mut keys: Vec<&[u8]> = vec![&[]; self.len()];
        for (key, at) in &self.index {
            keys[*at] = key;
        }
        keys
    }
}

fn nullable(field: &Field) -> FieldRef {
    Arc::new(field.clone().with_nullable(true))
}

/// The type of a count, or of a sum of values of a type.
fn summed(kind: Kind, of: Option<&DataType>) -> DataType {
    match (kind, of) {
        (Kind::Sum, Some(DataType::Float64)) => DataType::Float64,
        (Kind::Sum, Some(DataType::Decimal128(_, scale))) => DataType::Decimal128(38, *scale),
        (Kind::Sum, _) => DataType::Decimal128(38, 0),
        _ => DataType::Int64,
    }
}

fn push(column: &mut Column, value: Value<'_>) -> Fit {
    match value {
        Value::Null => column.push_null(),
        Value::Long(value) => column.push_whole(value),
        Value::Double(value) => column.push_double(value),
        Value::Bool(value) => column.push_bool(value),
        Value::Decimal(value) => column.push_decimal(value),
        Value::Bytes(value) => match <&[u8; 16]>::try_from(value) {
            Ok(sixteen) if column.is_sixteen() => column.push_sixteen(sixteen),
            _ => column.push_bytes(value)?,
        },
    }
    Ok(())
}

fn too_large(_: Overflow) -> Error {
    Error::ComputeError("a sum has more than 38 digits".to_owned())
}

fn too_much() -> Error {
    Error::ComputeError("the texts of the groups are too large for a column".to_owned())
}

#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray};

    use super::*;

    const QUESTION: &str = r#"{
        "keys": [{"column": 0, "grain_us": null}, {"column": 1, "grain_us": 10}],
        "cells": [
            {"kind": "count", "column": null, "test": null},
            {"kind": "sum", "column": 2, "test": {"compare": [2, ">", {"long": 1}]}},
            {"kind": "minimum", "column": 0, "test": null},
            {"kind": "sum", "column": 3, "test": null}
        ],
        "test": {"not": {"null": 0}}
    }"#;

    fn batch(rows: &[(Option<&str>, i64, Option<i64>, f64)]) -> RecordBatch {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("name", Arc::new(StringArray::from_iter(rows.iter().map(|row| row.0)))),
            ("time", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1)))),
            ("amount", Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.2)))),
            ("ratio", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.3)))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
    }

    fn groups(batches: &[RecordBatch]) -> Groups {
        let question = Question::read(QUESTION).unwrap();
        let mut groups = Groups::new(question, batches[0].schema()).unwrap();
        batches.iter().for_each(|batch| groups.take(batch).unwrap());
        groups
    }

    fn rows() -> Vec<(Option<&'static str>, i64, Option<i64>, f64)> {
        vec![
            (Some("a"), -1, Some(5), 0.5),
            (Some("b"), 3, None, 1.5),
            (None, 3, Some(7), 2.5),
            (Some("a"), -10, Some(1), 3.5),
            (Some("a"), 9, Some(4), 4.5),
        ]
    }

    #[test]
    fn events_are_grouped_by_all_keys_and_nulls_are_left_out_as_sql_does() {
        let found = groups(&[batch(&rows())]).batches().unwrap();
        let column = |at: usize| found[0].column(at);
        let longs = |at: usize| column(at).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec();
        assert_eq!(found[0].num_rows(), 3);
        assert_eq!(longs(1), [-10, 0, 0]);
        assert_eq!(longs(2), [2, 1, 1]);
        let sums = column(3).as_any().downcast_ref::<arrow_array::Decimal128Array>().unwrap();
        assert_eq!(sums.iter().collect::<Vec<_>>(), [Some(5), None, Some(4)]);
        let names = column(4).as_any().downcast_ref::<StringArray>().unwrap();
        assert_eq!(names.iter().collect::<Vec<_>>(), [Some("a"), Some("b"), Some("a")]);
    }

    #[test]
    fn stretches_taken_apart_and_merged_are_as_good_as_one() {
        let whole = groups(&[batch(&rows())]);
        for at in 0..=5 {
            let mut merged = groups(&[batch(&rows()[..at])]);
            merged.merge(groups(&[batch(&rows()[at..])])).unwrap();
            assert_eq!(merged.batches().unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
            let sorted = |groups: &Groups| {
                let mut rows: Vec<(Vec<u8>, Vec<Held>)> = groups
                    .index
                    .iter()
                    .map(|(key, at)| (key.to_vec(), groups.held[at * 4..(at + 1) * 4].to_vec()))
                    .collect();
                rows.sort_by(|one, other| one.0.cmp(&other.0));
                rows
            };
            assert_eq!(sorted(&merged), sorted(&whole), "{at}");
        }
    }

    #[test]
    fn what_is_dumped_is_loaded_and_nothing_else() {
        let groups = groups(&[batch(&rows())]);
        let dumped = groups.dump();
        assert_eq!(groups.load(&dumped).unwrap().batches().unwrap(), groups.batches().unwrap());
        for len in 0..dumped.len() {
            assert!(groups.load(&dumped[..len]).is_none(), "{len}");
        }
        assert!(groups.load(&[dumped.as_slice(), b"\0"].concat()).is_none());
    }

    #[test]
    fn a_column_that_is_not_there_is_refused() {
        let question = Question::read(r#"{"keys": [{"column": 4, "grain_us": null}], "cells": [], "test": null}"#);
        assert!(Groups::new(question.unwrap(), batch(&rows()).schema()).is_err());
    }
}
