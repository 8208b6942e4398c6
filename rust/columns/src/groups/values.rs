//! Values of columns, row by row, and how they compare.

use std::cmp::Ordering;

use arrow_array::{
    Array, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float64Array, Int64Array, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow_buffer::NullBuffer;

/// One value. Times, and days since 1970, are whole numbers; texts and UUIDs are bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Long(i64),
    Double(f64),
    Bool(bool),
    Decimal(i128),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// How it compares with another of its column; None where one of them is missing.
    #[inline]
    pub(super) fn order(self, other: Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Long(left), Value::Long(right)) => Some(left.cmp(&right)),
            (Self::Double(left), Value::Double(right)) => left.partial_cmp(&right),
            (Self::Bool(left), Value::Bool(right)) => Some(left.cmp(&right)),
            (Self::Decimal(left), Value::Decimal(right)) => Some(left.cmp(&right)),
            (Self::Bytes(left), Value::Bytes(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }

    /// Write it so that `take` reads it, and equal values are written alike.
    #[inline]
    pub(super) fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(0),
            Self::Long(value) => {
                out.push(1);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Self::Double(value) => {
                out.push(2);
                // Minus nothing is nothing.
                let value = if value == 0.0 { 0.0 } else { value };
                out.extend_from_slice(&value.to_le_bytes());
            }
            Self::Bool(value) => out.extend_from_slice(&[3, u8::from(value)]),
            Self::Decimal(value) => {
                out.push(4);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Self::Bytes(value) => {
                out.push(5);
                out.extend_from_slice(&(value.len() as u32).to_le_bytes());
                out.extend_from_slice(value);
            }
        }
    }

    /// Read one from the beginning of some bytes, and leave what follows.
    pub(super) fn take(from: &mut &'a [u8]) -> Option<Self> {
        Some(match array::<1>(from)?[0] {
            0 => Self::Null,
            1 => Self::Long(i64::from_le_bytes(array(from)?)),
            2 => Self::Double(f64::from_le_bytes(array(from)?)),
            3 => Self::Bool(array::<1>(from)?[0] != 0),
            4 => Self::Decimal(i128::from_le_bytes(array(from)?)),
            5 => {
                let len = u32::from_le_bytes(array(from)?) as usize;
                Self::Bytes(bytes(from, len)?)
            }
            _ => return None,
        })
    }
}

/// So many bytes from the beginning of some, and leave what follows.
pub(super) fn bytes<'a>(from: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(len)?;
    *from = rest;
    Some(taken)
}

/// The same, of a length that is known.
pub(super) fn array<const LEN: usize>(from: &mut &[u8]) -> Option<[u8; LEN]> {
    let (taken, rest) = from.split_first_chunk::<LEN>()?;
    *from = rest;
    Some(*taken)
}

#[derive(Clone, Copy, Debug)]
enum Typed<'a> {
    Long(&'a [i64]),
    Days(&'a [i32]),
    Double(&'a [f64]),
    Decimal(&'a [i128]),
    Bool(&'a BooleanArray),
    Text(&'a StringArray),
    Sixteen(&'a FixedSizeBinaryArray),
    Other,
}

/// A column, to be read row by row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    typed: Typed<'a>,
    nulls: Option<&'a NullBuffer>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(column: &'a dyn Array) -> Self {
        let any = column.as_any();
        let typed = if let Some(found) = any.downcast_ref::<Int64Array>() {
            Typed::Long(found.values())
        } else if let Some(found) = any.downcast_ref::<TimestampMicrosecondArray>() {
            Typed::Long(found.values())
        } else if let Some(found) = any.downcast_ref::<Time64MicrosecondArray>() {
            Typed::Long(found.values())
        } else if let Some(found) = any.downcast_ref::<Date32Array>() {
            Typed::Days(found.values())
        } else if let Some(found) = any.downcast_ref::<Float64Array>() {
            Typed::Double(found.values())
        } else if let Some(found) = any.downcast_ref::<Decimal128Array>() {
            Typed::Decimal(found.values())
        } else if let Some(found) = any.downcast_ref::<BooleanArray>() {
            Typed::Bool(found)
        } else if let Some(found) = any.downcast_ref::<StringArray>() {
            Typed::Text(found)
        } else if let Some(found) = any.downcast_ref::<FixedSizeBinaryArray>() {
            Typed::Sixteen(found)
        } else {
            Typed::Other
        };
        Self { typed, nulls: column.nulls() }
    }

    /// Whether columns of its type can be read.
    pub(super) fn is_known(&self) -> bool {
        !matches!(self.typed, Typed::Other)
    }

    #[inline]
    pub(super) fn at(&self, row: usize) -> Value<'a> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return Value::Null;
        }
        match self.typed {
            Typed::Long(values) => Value::Long(values[row]),
            Typed::Days(values) => Value::Long(values[row].into()),
            Typed::Double(values) => Value::Double(values[row]),
            Typed::Decimal(values) => Value::Decimal(values[row]),
            Typed::Bool(values) => Value::Bool(values.value(row)),
            Typed::Text(values) => Value::Bytes(values.value(row).as_bytes()),
            Typed::Sixteen(values) => Value::Bytes(values.value(row)),
            Typed::Other => Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let values = [
            Value::Null,
            Value::Long(i64::MIN),
            Value::Double(-1.5),
            Value::Bool(true),
            Value::Decimal(i128::MAX),
            Value::Bytes(b"a\0b"),
            Value::Bytes(b""),
        ];
        let mut out = Vec::new();
        values.iter().for_each(|value| value.put(&mut out));
        let mut rest = out.as_slice();
        for value in values {
            assert_eq!(Value::take(&mut rest), Some(value));
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn both_zeros_are_one_key() {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        Value::Double(0.0).put(&mut one);
        Value::Double(-0.0).put(&mut other);
        assert_eq!(one, other);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let mut rest = bytes.as_slice();
            while Value::take(&mut rest).is_some() {}
        }
    }
}
