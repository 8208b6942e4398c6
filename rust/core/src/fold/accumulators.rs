//! What accumulators hold, how they take values in, and how a state is written.

use std::cmp::Ordering;
use std::collections::VecDeque;

use crate::payload::times;

use super::expr::Given;
use super::spec::{Arithmetic, Feed, Formula, Kept, Kind, Source, StateSpec};
use super::value::{TooLarge, Value};

/// What a field holds.
#[derive(Clone, Debug)]
pub(super) enum Accumulated {
    None,
    Int(i64),
    Float(f64),
    Bool(bool),
    Str(String),
    Moment(i64),
    List(VecDeque<Accumulated>),
}

/// A value cannot be taken in: a number does not fit 64 bits, or there are more distinct values than there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfit;

impl From<TooLarge> for Unfit {
    fn from(_: TooLarge) -> Self {
        Self
    }
}

impl Accumulated {
    fn of(value: &Value<'_>) -> Self {
        match value {
            Value::None => Self::None,
            Value::Int(value) => Self::Int(*value),
            Value::Float(value) => Self::Float(*value),
            Value::Bool(value) => Self::Bool(*value),
            Value::Str(value) => Self::Str(value.as_ref().to_owned()),
            Value::Moment(value) => Self::Moment(*value),
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::Int(value) => Value::Int(*value),
            Self::Float(value) => Value::Float(*value),
            Self::Bool(value) => Value::Bool(*value),
            Self::Str(value) => Value::Str(value.as_str().into()),
            Self::Moment(value) => Value::Moment(*value),
            Self::None | Self::List(_) => Value::None,
        }
    }

    fn put(&mut self, value: &Value<'_>) {
        match (&mut *self, value) {
            (Self::Str(text), Value::Str(new)) => {
                text.clear();
                text.push_str(new);
            }
            (held, value) => *held = Self::of(value),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::None => out.extend_from_slice(b"null"),
            Self::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Self::Int(value) => write_json(out, value),
            Self::Float(value) => write_json(out, value),
            Self::Str(value) => write_json(out, value),
            Self::Moment(value) => write_json(out, &times::utc_text(*value)),
            Self::List(values) => {
                out.push(b'[');
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    value.write(out);
                }
                out.push(b']');
            }
        }
    }
}

fn write_json<T: serde::Serialize>(out: &mut Vec<u8>, value: &T) {
    // Writing to memory does not fail, and none of these values is one that JSON cannot hold.
    let _ = serde_json::to_writer(out, value);
}

impl StateSpec {
    /// How many fields a row of held values has: those kept, then those computed.
    pub(super) fn width(&self) -> usize {
        self.kept.len() + self.computed.len()
    }

    /// The row of a stream without events.
    pub(super) fn empty(&self) -> Vec<Accumulated> {
        let mut row: Vec<Accumulated> = self.kept.iter().map(Kept::empty).collect();
        row.resize(self.width(), Accumulated::None);
        for at in 0..self.computed.len() {
            // What Python has computed for its own defaults can be computed.
            let _ = self.compute(at, &mut row);
        }
        row
    }

    /// Take what an event gives into a row.
    #[inline]
    pub(super) fn take(&self, name: usize, given: &[Given<'_>], row: &mut [Accumulated]) -> Result<(), Unfit> {
        let event = &self.events[name];
        for (feed, given) in event.feeds.iter().zip(given) {
            match given {
                Given::Nothing => {}
                Given::TooLarge => return Err(Unfit),
                Given::Value(value) => self.kept[feed.kept].take(feed, value, &mut row[feed.kept])?,
            }
        }
        for at in &event.computed {
            self.compute(*at, row)?;
        }
        Ok(())
    }

    fn compute(&self, at: usize, row: &mut [Accumulated]) -> Result<(), Unfit> {
        let found = Accumulated::of(&formula(&self.computed[at], row)?);
        row[self.kept.len() + at] = found;
        Ok(())
    }

    /// A row as the JSON of a state.
    pub(super) fn write(&self, row: &[Accumulated], out: &mut Vec<u8>) {
        out.push(b'{');
        for (at, field) in self.fields.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_json(out, &field.key);
            out.push(b':');
            match &field.of {
                Source::Kept(at) => row[*at].write(out),
                Source::Computed(at) => row[self.kept.len() + at].write(out),
                Source::Constant(json) => out.extend_from_slice(json.as_bytes()),
            }
        }
        out.push(b'}');
    }
}

fn formula<'a>(of: &'a Formula, row: &'a [Accumulated]) -> Result<Value<'a>, TooLarge> {
    match of {
        Formula::Kept(at) => Ok(row[*at].value()),
        Formula::Constant(constant) => Ok(Value::constant(constant)),
        Formula::Negative(of) => formula(of, row)?.negative(),
        Formula::Arithmetic(how, left, right) => {
            let (left, right) = (formula(left, row)?, formula(right, row)?);
            left.arithmetic(*how, &right)
        }
    }
}

impl Kept {
    fn empty(&self) -> Accumulated {
        match self.kind {
            Kind::Collect | Kind::Distinct => Accumulated::List(VecDeque::new()),
            Kind::Sum | Kind::Copy => Accumulated::of(&Value::constant(&self.start)),
            _ => Accumulated::None,
        }
    }

    #[inline]
    fn take(&self, feed: &Feed, value: &Value<'_>, held: &mut Accumulated) -> Result<(), Unfit> {
        if matches!(value, Value::None) {
            if self.kind == Kind::Copy {
                *held = Accumulated::None;
            }
            return Ok(());
        }
        match self.kind {
            Kind::Sum => sum(held, value, feed.minus)?,
            Kind::First if !matches!(held, Accumulated::None) => {}
            Kind::First | Kind::Last | Kind::Copy => held.put(value),
            Kind::Minimum | Kind::Maximum => {
                let wanted = if self.kind == Kind::Minimum { Ordering::Less } else { Ordering::Greater };
                if matches!(held, Accumulated::None) || value.order(&held.value()) == Some(wanted) {
                    held.put(value);
                }
            }
            Kind::Collect => {
                if let Accumulated::List(values) = held {
                    values.push_back(Accumulated::of(value));
                    if values.len() > self.most {
                        values.pop_front();
                    }
                }
            }
            Kind::Distinct => {
                if let Accumulated::List(values) = held
                    && !values.iter().any(|known| value.order(&known.value()) == Some(Ordering::Equal))
                {
                    if values.len() >= self.most {
                        return Err(Unfit);
                    }
                    values.push_back(Accumulated::of(value));
                }
            }
        }
        Ok(())
    }
}

#[inline]
fn sum(held: &mut Accumulated, value: &Value<'_>, minus: bool) -> Result<(), TooLarge> {
    if let (Accumulated::Int(held), Value::Int(value)) = (&mut *held, value) {
        let found = if minus { held.checked_sub(*value) } else { held.checked_add(*value) };
        *held = found.ok_or(TooLarge)?;
        return Ok(());
    }
    let how = if minus { Arithmetic::Subtract } else { Arithmetic::Add };
    *held = Accumulated::of(&held.value().arithmetic(how, value)?);
    Ok(())
}
