//! Columns that grow value by value, and can be cut back to where a row began.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float64Array, Int64Array,
    ListArray, MapArray, StringArray, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray, new_empty_array,
};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, FieldRef};

use crate::Error;
use crate::unfit::{Fit, Unfit};

const TOO_LARGE: Unfit = Unfit::new("it is too large for a column");

/// Which values are there. Counted only, until the first one is missing.
#[derive(Debug, Default)]
struct Valid {
    len: usize,
    seen: Option<BooleanBufferBuilder>,
}

impl Valid {
    #[inline]
    fn push(&mut self, valid: bool) {
        if valid && self.seen.is_none() {
            self.len += 1;
        } else {
            self.push_many(1, valid);
        }
    }

    /// So many that are there, or are not.
    fn push_many(&mut self, count: usize, valid: bool) {
        if self.seen.is_none() && !valid && count > 0 {
            let mut seen = BooleanBufferBuilder::new(self.len + count);
            seen.append_n(self.len, true);
            self.seen = Some(seen);
        }
        if let Some(seen) = &mut self.seen {
            seen.append_n(count, valid);
        }
        self.len += count;
    }

    fn truncate(&mut self, len: usize) {
        self.len = len;
        if let Some(seen) = &mut self.seen {
            seen.truncate(len);
        }
    }

    fn finish(&mut self) -> Option<NullBuffer> {
        self.len = 0;
        self.seen.take().map(|mut seen| NullBuffer::new(seen.finish()))
    }
}

/// What has grown, and as much room for what comes next, which is mostly as large.
fn taken<T>(values: &mut Vec<T>) -> Vec<T> {
    let room = Vec::with_capacity(values.len());
    std::mem::replace(values, room)
}

/// Bytes back to back, and where each value ends.
#[derive(Debug)]
pub(crate) struct Spans<T> {
    ends: Vec<i32>,
    pub(crate) of: T,
}

impl<T> Spans<T> {
    fn new(of: T) -> Self {
        Self { ends: vec![0], of }
    }

    fn last(&self) -> i32 {
        self.ends[self.ends.len() - 1]
    }

    fn end_at(&mut self, len: usize) -> Fit {
        self.ends.push(i32::try_from(len).map_err(|_| TOO_LARGE)?);
        Ok(())
    }

    fn truncate(&mut self, len: usize) -> usize {
        self.ends.truncate(len + 1);
        self.last() as usize
    }

    fn offsets(&mut self) -> OffsetBuffer<i32> {
        let mut ends = Vec::with_capacity(self.ends.len());
        ends.push(0);
        OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.ends, ends)))
    }
}

#[derive(Debug)]
enum Values {
    Long(Vec<i64>),
    Double(Vec<f64>),
    Bool(Vec<bool>),
    Days(Vec<i32>),
    Decimal(Vec<i128>),
    Sixteen(Vec<u8>),
    Bytes(Spans<Vec<u8>>),
    List(Spans<Box<Column>>),
    Map(Spans<Box<(Column, Column)>>),
    Struct(Vec<Column>),
}

/// One column.
#[derive(Debug)]
pub(crate) struct Column {
    field: FieldRef,
    valid: Valid,
    values: Values,
}

impl Column {
    pub(crate) fn new(field: &FieldRef) -> Self {
        let values = match field.data_type() {
            DataType::Float64 => Values::Double(Vec::new()),
            DataType::Boolean => Values::Bool(Vec::new()),
            DataType::Date32 => Values::Days(Vec::new()),
            DataType::Decimal128(..) => Values::Decimal(Vec::new()),
            DataType::FixedSizeBinary(_) => Values::Sixteen(Vec::new()),
            DataType::Utf8 | DataType::Binary => Values::Bytes(Spans::new(Vec::new())),
            DataType::List(of) => Values::List(Spans::new(Box::new(Self::new(of)))),
            DataType::Map(entry, _) => match entry.data_type() {
                DataType::Struct(fields) => {
                    Values::Map(Spans::new(Box::new((Self::new(&fields[0]), Self::new(&fields[1])))))
                }
                _ => unreachable!("a map's entries are a struct"),
            },
            DataType::Struct(fields) => Values::Struct(fields.iter().map(Self::new).collect()),
            _ => Values::Long(Vec::new()),
        };
        Self { field: Arc::clone(field), valid: Valid::default(), values }
    }

    pub(crate) fn len(&self) -> usize {
        self.valid.len
    }

    #[inline]
    pub(crate) fn push_long(&mut self, value: i64) {
        if let Values::Long(values) = &mut self.values {
            values.push(value);
            self.valid.push(true);
        }
    }

    #[inline]
    pub(crate) fn push_longs(&mut self, all: impl ExactSizeIterator<Item = i64>) {
        if let Values::Long(values) = &mut self.values {
            self.valid.push_many(all.len(), true);
            values.extend(all);
        }
    }

    /// Add a whole number, which may be one of days.
    #[inline]
    pub(crate) fn push_whole(&mut self, value: i64) {
        match &self.values {
            Values::Days(_) => self.push_days(value as i32),
            _ => self.push_long(value),
        }
    }

    pub(crate) fn is_sixteen(&self) -> bool {
        matches!(self.values, Values::Sixteen(_))
    }

    #[inline]
    pub(crate) fn push_double(&mut self, value: f64) {
        if let Values::Double(values) = &mut self.values {
            values.push(value);
            self.valid.push(true);
        }
    }

    pub(crate) fn push_bool(&mut self, value: bool) {
        if let Values::Bool(values) = &mut self.values {
            values.push(value);
            self.valid.push(true);
        }
    }

    pub(crate) fn push_days(&mut self, value: i32) {
        if let Values::Days(values) = &mut self.values {
            values.push(value);
            self.valid.push(true);
        }
    }

    pub(crate) fn push_decimal(&mut self, value: i128) {
        if let Values::Decimal(values) = &mut self.values {
            values.push(value);
            self.valid.push(true);
        }
    }

    pub(crate) fn push_sixteen(&mut self, value: &[u8; 16]) {
        if let Values::Sixteen(values) = &mut self.values {
            values.extend_from_slice(value);
            self.valid.push(true);
        }
    }

    #[inline]
    pub(crate) fn push_bytes(&mut self, value: &[u8]) -> Fit {
        if let Values::Bytes(spans) = &mut self.values {
            spans.of.extend_from_slice(value);
            spans.end_at(spans.of.len())?;
            self.valid.push(true);
        }
        Ok(())
    }

    /// The same for many.
    pub(crate) fn push_all_bytes<'v>(&mut self, all: impl ExactSizeIterator<Item = &'v [u8]> + Clone) -> Fit {
        if let Values::Bytes(spans) = &mut self.values {
            spans.of.reserve(all.clone().map(<[u8]>::len).sum());
            spans.ends.reserve(all.len());
            self.valid.push_many(all.len(), true);
            for value in all {
                spans.of.extend_from_slice(value);
                spans.end_at(spans.of.len())?;
            }
        }
        Ok(())
    }

    /// So many nulls, in a column of texts.
    pub(crate) fn push_null_texts(&mut self, count: usize) {
        if let Values::Bytes(spans) = &mut self.values {
            spans.ends.resize(spans.ends.len() + count, spans.last());
            self.valid.push_many(count, false);
        }
    }

    /// So many lists without elements.
    pub(crate) fn push_empty_lists(&mut self, count: usize) {
        if let Values::List(spans) = &mut self.values {
            spans.ends.resize(spans.ends.len() + count, spans.last());
            self.valid.push_many(count, true);
        }
    }

    /// What the elements of the next list go into.
    pub(crate) fn elements(&mut self) -> Option<&mut Self> {
        match &mut self.values {
            Values::List(spans) => Some(&mut spans.of),
            _ => None,
        }
    }

    /// What the keys and values of the next map go into.
    pub(crate) fn entries(&mut self) -> Option<(&mut Self, &mut Self)> {
        match &mut self.values {
            Values::Map(spans) => {
                let (keys, values) = &mut *spans.of;
                Some((keys, values))
            }
            _ => None,
        }
    }

    /// What the fields of the next object go into.
    pub(crate) fn children(&mut self) -> &mut [Self] {
        match &mut self.values {
            Values::Struct(children) => children,
            _ => &mut [],
        }
    }

    /// The list, map or object whose parts were pushed is whole.
    pub(crate) fn close(&mut self) -> Fit {
        match &mut self.values {
            Values::List(spans) => spans.end_at(spans.of.len())?,
            Values::Map(spans) => spans.end_at(spans.of.0.len())?,
            _ => {}
        }
        self.valid.push(true);
        Ok(())
    }

    pub(crate) fn push_null(&mut self) {
        match &mut self.values {
            Values::Long(values) => values.push(0),
            Values::Double(values) => values.push(0.0),
            Values::Bool(values) => values.push(false),
            Values::Days(values) => values.push(0),
            Values::Decimal(values) => values.push(0),
            Values::Sixteen(values) => values.extend_from_slice(&[0; 16]),
            Values::Bytes(spans) => spans.ends.push(spans.last()),
            Values::List(spans) => spans.ends.push(spans.last()),
            Values::Map(spans) => spans.ends.push(spans.last()),
            Values::Struct(children) => children.iter_mut().for_each(Self::push_null),
        }
        self.valid.push(false);
    }

    /// Forget all values from the `len`th on, also half of one.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.valid.truncate(len);
        match &mut self.values {
            Values::Long(values) => values.truncate(len),
            Values::Double(values) => values.truncate(len),
            Values::Bool(values) => values.truncate(len),
            Values::Days(values) => values.truncate(len),
            Values::Decimal(values) => values.truncate(len),
            Values::Sixteen(values) => values.truncate(len * 16),
            Values::Bytes(spans) => {
                let end = spans.truncate(len);
                spans.of.truncate(end);
            }
            Values::List(spans) => {
                let end = spans.truncate(len);
                spans.of.truncate(end);
            }
            Values::Map(spans) => {
                let end = spans.truncate(len);
                spans.of.0.truncate(end);
                spans.of.1.truncate(end);
            }
            Values::Struct(children) => children.iter_mut().for_each(|child| child.truncate(len)),
        }
    }

    /// All values as an array, and an empty column to go on with.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, Error> {
        let len = self.valid.len;
        let nulls = self.valid.finish();
        let data_type = self.field.data_type();
        Ok(match &mut self.values {
            Values::Long(values) => {
                let values = ScalarBuffer::from(taken(values));
                match data_type {
                    DataType::Timestamp(_, zone) => {
                        Arc::new(TimestampMicrosecondArray::try_new(values, nulls)?.with_timezone_opt(zone.clone()))
                    }
                    DataType::Time64(_) => Arc::new(Time64MicrosecondArray::try_new(values, nulls)?),
                    _ => Arc::new(Int64Array::try_new(values, nulls)?),
                }
            }
            Values::Double(values) => Arc::new(Float64Array::try_new(ScalarBuffer::from(taken(values)), nulls)?),
            Values::Bool(values) => Arc::new(BooleanArray::new(BooleanBuffer::from(taken(values)), nulls)),
            Values::Days(values) => Arc::new(Date32Array::try_new(ScalarBuffer::from(taken(values)), nulls)?),
            Values::Decimal(values) => {
                let values = ScalarBuffer::from(taken(values));
                Arc::new(Decimal128Array::try_new(values, nulls)?.with_data_type(data_type.clone()))
            }
            Values::Sixteen(values) => Arc::new(FixedSizeBinaryArray::try_new(16, Buffer::from(taken(values)), nulls)?),
            Values::Bytes(spans) => {
                let bytes = Buffer::from(taken(&mut spans.of));
                if *data_type == DataType::Binary {
                    Arc::new(BinaryArray::try_new(spans.offsets(), bytes, nulls)?)
                } else {
                    Arc::new(texts(spans.offsets(), bytes, nulls)?)
                }
            }
            Values::List(spans) => {
                let of = Arc::clone(&spans.of.field);
                let elements = spans.of.finish()?;
                Arc::new(ListArray::try_new(of, spans.offsets(), elements, nulls)?)
            }
            Values::Map(spans) => {
                let DataType::Map(entry, ordered) = data_type else { unreachable!("a map's type is a map") };
                let DataType::Struct(fields) = entry.data_type() else { unreachable!("its entries are a struct") };
                let parts = vec![spans.of.0.finish()?, spans.of.1.finish()?];
                let entries = StructArray::try_new(fields.clone(), parts, None)?;
                Arc::new(MapArray::try_new(Arc::clone(entry), spans.offsets(), entries, nulls, *ordered)?)
            }
            Values::Struct(children) => {
                let DataType::Struct(fields) = data_type else { unreachable!("an object's type is a struct") };
                let children = children.iter_mut().map(Self::finish).collect::<Result<Vec<_>, _>>()?;
                Arc::new(StructArray::try_new_with_length(fields.clone(), children, nulls, len)?)
            }
        })
    }
}

/// Texts, all looked at together. What is not UTF-8 is no JSON either, but somebody wrote it.
fn texts(ends: OffsetBuffer<i32>, bytes: Buffer, nulls: Option<NullBuffer>) -> Result<StringArray, Error> {
    StringArray::try_new(ends.clone(), bytes.clone(), nulls.clone()).or_else(|_| {
        let each = ends.windows(2).map(|ends| String::from_utf8_lossy(&bytes[ends[0] as usize..ends[1] as usize]));
        let mended = StringArray::from_iter_values(each);
        StringArray::try_new(mended.offsets().clone(), mended.values().clone(), nulls)
    })
}

/// A column of nothing but nulls.
pub(crate) fn nothing(field: &FieldRef, len: usize) -> ArrayRef {
    if len == 0 { new_empty_array(field.data_type()) } else { arrow_array::new_null_array(field.data_type(), len) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array;
    use arrow_schema::Field;

    #[test]
    fn bytes_that_are_no_text_spoil_no_other_value() {
        let mut column = Column::new(&Arc::new(Field::new("data", DataType::Utf8, true)));
        for batch in 0..2 {
            // Side by side, the second and the third would be one letter.
            for value in [&b"a"[..], b"\xc3", b"\xa4", "ä".as_bytes()] {
                column.push_bytes(value).expect("room");
            }
            column.push_null();
            let found = column.finish().expect("a column");
            let texts = found.as_any().downcast_ref::<StringArray>().expect("texts");
            let values: Vec<_> = texts.iter().collect();
            assert_eq!(values, [Some("a"), Some("\u{fffd}"), Some("\u{fffd}"), Some("ä"), None], "batch {batch}");
        }
    }
}
