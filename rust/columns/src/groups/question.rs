//! What is kept: by which columns events are grouped, what is held of each group, and which events count.

use std::cmp::Ordering;

use serde::Deserialize;

use super::values::{Reader, Value};

/// A question that is kept answered: a group-by over the columns of events.
#[derive(Clone, Debug, Deserialize)]
pub struct Question {
    /// What events are grouped by.
    pub(super) keys: Vec<Key>,
    /// What is held of each group.
    pub(super) cells: Vec<Cell>,
    /// Which events count; all, without it.
    pub(super) test: Option<Test>,
}

/// A column that events are grouped by.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Key {
    pub(super) column: usize,
    /// A time is cut down to a multiple of so many µs.
    pub(super) grain_us: Option<i64>,
}

/// Something that is held of a group.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Cell {
    pub(super) kind: Kind,
    /// Of which column; a count without one is of events.
    pub(super) column: Option<usize>,
    /// Which of the group's events count.
    pub(super) test: Option<Test>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Count,
    Sum,
    Minimum,
    Maximum,
}

/// A condition with SQL's three answers: what compares with null is neither true nor false.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Test {
    Compare(usize, How, Constant),
    Columns(usize, How, usize),
    OneOf(usize, Vec<Constant>),
    Null(usize),
    True(usize),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum How {
    #[serde(rename = "=")]
    Equal,
    #[serde(rename = "<>")]
    NotEqual,
    #[serde(rename = "<")]
    Less,
    #[serde(rename = "<=")]
    LessOrEqual,
    #[serde(rename = ">")]
    Greater,
    #[serde(rename = ">=")]
    GreaterOrEqual,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Constant {
    Long(i64),
    /// Written as text: what a JSON library makes of a number may be off by a bit.
    #[serde(deserialize_with = "number")]
    Double(f64),
    Bool(bool),
    /// The digits of a decimal of the column's scale.
    #[serde(deserialize_with = "number")]
    Decimal(i128),
    Text(String),
}

fn number<'de, D, T>(text: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    String::deserialize(text)?.parse().map_err(serde::de::Error::custom)
}

impl Question {
    /// Read a question, which is JSON.
    pub fn read(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The numbers of all columns that it names.
    pub(super) fn columns(&self) -> Vec<usize> {
        let mut found: Vec<usize> = self.keys.iter().map(|key| key.column).collect();
        found.extend(self.cells.iter().filter_map(|cell| cell.column));
        for test in self.cells.iter().filter_map(|cell| cell.test.as_ref()).chain(&self.test) {
            test.columns(&mut found);
        }
        found
    }
}

impl Constant {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Long(value) => Value::Long(*value),
            Self::Double(value) => Value::Double(*value),
            Self::Bool(value) => Value::Bool(*value),
            Self::Decimal(value) => Value::Decimal(*value),
            Self::Text(value) => Value::Bytes(value.as_bytes()),
        }
    }
}

impl How {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

impl Test {
    /// Whether a row meets it; None where SQL says null.
    pub(super) fn of(&self, columns: &[Reader<'_>], row: usize) -> Option<bool> {
        match self {
            Self::Compare(column, how, constant) => {
                columns[*column].at(row).order(constant.value()).map(|order| how.holds(order))
            }
            Self::Columns(left, how, right) => {
                columns[*left].at(row).order(columns[*right].at(row)).map(|order| how.holds(order))
            }
            Self::OneOf(column, options) => match columns[*column].at(row) {
                Value::Null => None,
                value => Some(options.iter().any(|each| value.order(each.value()) == Some(Ordering::Equal))),
            },
            Self::Null(column) => Some(matches!(columns[*column].at(row), Value::Null)),
            Self::True(column) => match columns[*column].at(row) {
                Value::Bool(value) => Some(value),
                _ => None,
            },
            Self::Not(of) => of.of(columns, row).map(|held| !held),
            Self::All(all) => settled(all, columns, row, false),
            Self::Any(any) => settled(any, columns, row, true),
        }
    }

    fn columns(&self, found: &mut Vec<usize>) {
        match self {
            Self::Compare(column, ..) | Self::OneOf(column, _) | Self::Null(column) | Self::True(column) => {
                found.push(*column);
            }
            Self::Columns(left, _, right) => found.extend([*left, *right]),
            Self::Not(of) => of.columns(found),
            Self::All(each) | Self::Any(each) => each.iter().for_each(|test| test.columns(found)),
        }
    }
}

/// The answer of several tests of which one that is `decisive` decides.
fn settled(tests: &[Test], columns: &[Reader<'_>], row: usize, decisive: bool) -> Option<bool> {
    let mut known = true;
    for test in tests {
        match test.of(columns, row) {
            Some(found) if found == decisive => return Some(decisive),
            Some(_) => {}
            None => known = false,
        }
    }
    known.then_some(!decisive)
}
