//! What is held of a group: it takes in values, and what others have taken in.

use std::cmp::Ordering;

use arrow_schema::DataType;

use super::question::Kind;
use super::values::{Value, array};

/// A sum, a count or an end of a range.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Held {
    Count(i64),
    /// Of whole numbers and decimals; None before the first.
    Whole(Option<i128>),
    Double(Option<f64>),
    Least(Option<Owned>),
    Most(Option<Owned>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Owned {
    Long(i64),
    Double(f64),
    Bool(bool),
    Decimal(i128),
    Bytes(Box<[u8]>),
}

/// A sum is beyond what a column can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow;

impl Owned {
    fn of(value: Value<'_>) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Long(value) => Self::Long(value),
            Value::Double(value) => Self::Double(value),
            Value::Bool(value) => Self::Bool(value),
            Value::Decimal(value) => Self::Decimal(value),
            Value::Bytes(value) => Self::Bytes(value.into()),
        })
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::Long(value) => Value::Long(*value),
            Self::Double(value) => Value::Double(*value),
            Self::Bool(value) => Value::Bool(*value),
            Self::Decimal(value) => Value::Decimal(*value),
            Self::Bytes(value) => Value::Bytes(value),
        }
    }
}

impl Held {
    /// Nothing yet, of a column of a type.
    pub(super) fn nothing(kind: Kind, of: Option<&DataType>) -> Self {
        match kind {
            Kind::Count => Self::Count(0),
            Kind::Sum if of == Some(&DataType::Float64) => Self::Double(None),
            Kind::Sum => Self::Whole(None),
            Kind::Minimum => Self::Least(None),
            Kind::Maximum => Self::Most(None),
        }
    }

    /// Take in the value of an event.
    #[inline]
    pub(super) fn take(&mut self, value: Value<'_>) -> Result<(), Overflow> {
        match (self, value) {
            (_, Value::Null) => {}
            (Self::Count(count), _) => *count += 1,
            (Self::Whole(sum), Value::Long(value)) => add(sum, value.into())?,
            (Self::Whole(sum), Value::Decimal(value)) => add(sum, value)?,
            (Self::Double(sum), Value::Double(value)) => *sum = Some(sum.unwrap_or(0.0) + value),
            (Self::Least(held), value) => replace(held, value, Ordering::Less),
            (Self::Most(held), value) => replace(held, value, Ordering::Greater),
            (Self::Whole(_) | Self::Double(_), _) => {}
        }
        Ok(())
    }

    /// Take in what another of the same kind holds.
    pub(super) fn merge(&mut self, other: Self) -> Result<(), Overflow> {
        match (self, other) {
            (Self::Count(count), Self::Count(more)) => *count += more,
            (Self::Whole(sum), Self::Whole(Some(more))) => add(sum, more)?,
            (Self::Double(sum), Self::Double(Some(more))) => *sum = Some(sum.unwrap_or(0.0) + more),
            (Self::Least(held), Self::Least(Some(other))) => replace(held, other.value(), Ordering::Less),
            (Self::Most(held), Self::Most(Some(other))) => replace(held, other.value(), Ordering::Greater),
            _ => {}
        }
        Ok(())
    }

    /// What it comes to.
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Count(count) => Value::Long(*count),
            Self::Whole(sum) => sum.map_or(Value::Null, Value::Decimal),
            Self::Double(sum) => sum.map_or(Value::Null, Value::Double),
            Self::Least(held) | Self::Most(held) => held.as_ref().map_or(Value::Null, Owned::value),
        }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        if let Self::Double(Some(sum)) = self {
            // As it is, sign of nothing included.
            out.push(1);
            out.extend_from_slice(&sum.to_le_bytes());
            return;
        }
        self.value().put(out);
    }

    /// Read what `put` has written of one like this.
    pub(super) fn read(&self, from: &mut &[u8]) -> Option<Self> {
        if let Self::Double(_) = self {
            return Some(match array::<1>(from)?[0] {
                0 => Self::Double(None),
                _ => Self::Double(Some(f64::from_le_bytes(array(from)?))),
            });
        }
        let value = Value::take(from)?;
        Some(match (self, value) {
            (Self::Count(_), Value::Long(count)) => Self::Count(count),
            (Self::Whole(_), Value::Null) => Self::Whole(None),
            (Self::Whole(_), Value::Decimal(sum)) => Self::Whole(Some(sum)),
            (Self::Least(_), value) => Self::Least(Owned::of(value)),
            (Self::Most(_), value) => Self::Most(Owned::of(value)),
            _ => return None,
        })
    }
}

fn add(sum: &mut Option<i128>, value: i128) -> Result<(), Overflow> {
    let found = sum.unwrap_or(0).checked_add(value).filter(|found| found.unsigned_abs() < 10_u128.pow(38));
    *sum = Some(found.ok_or(Overflow)?);
    Ok(())
}

fn replace(held: &mut Option<Owned>, value: Value<'_>, wanted: Ordering) {
    let better = held.as_ref().is_none_or(|held| value.order(held.value()) == Some(wanted));
    if better {
        *held = Owned::of(value);
    }
}
