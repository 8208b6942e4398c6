//! What is declared, as Python says it in JSON: the events, where their values are, what becomes of them.

use serde::Deserialize;

use crate::error::{Error, Result};

/// The declaration of a state.
#[derive(Debug, Deserialize)]
pub struct StateSpec {
    /// By the numbers that names go by in the replay.
    pub(super) events: Vec<Event>,
    /// What takes values in.
    pub(super) kept: Vec<Kept>,
    /// What is computed from these.
    pub(super) computed: Vec<Formula>,
    /// What a state is written from.
    pub(super) fields: Vec<Field>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Event {
    pub(super) object: Object,
    /// How many values are taken from the payload.
    pub(super) leaves: usize,
    /// Whether only Python can read this event: it has been upcast.
    pub(super) by_class: bool,
    pub(super) feeds: Vec<Feed>,
    /// What is to be recomputed after this event.
    pub(super) computed: Vec<usize>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Object {
    pub(super) members: Vec<Member>,
}

/// A field of an object in the payload.
#[derive(Debug, Deserialize)]
pub(super) struct Member {
    pub(super) key: String,
    /// `"key":`, as it stands in compact JSON.
    #[serde(default)]
    pub(super) quoted: Vec<u8>,
    /// Which kinds of values it may have: see `crate::payload::json::kind`.
    pub(super) kinds: u8,
    pub(super) leaf: Option<Leaf>,
    pub(super) inside: Option<Object>,
    /// What it must be where nothing is taken from it.
    #[serde(default)]
    pub(super) check: Check,
    /// What the leaves in it are when it is missing; None when it must not be.
    pub(super) missing: Option<Vec<(usize, Constant)>>,
}

/// What a value must be for its class to take it, beyond its kind. What is not said may be anything.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Check {
    /// The kinds that only Python can judge.
    #[serde(default)]
    pub(super) doubt: u8,
    pub(super) number: Option<NumberCheck>,
    pub(super) text: Option<TextCheck>,
    pub(super) elements: Option<Box<Each>>,
    /// An object with these members, none of them with leaves.
    pub(super) object: Option<Object>,
    /// An object whose values are all alike.
    pub(super) values: Option<Box<Each>>,
}

/// What each value in a list or an object must be.
#[derive(Debug, Deserialize)]
pub(super) struct Each {
    pub(super) kinds: u8,
    pub(super) check: Check,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NumberCheck {
    Int { low: Option<i64>, high: Option<i64> },
    Float,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TextCheck {
    OneOf(Vec<String>),
    /// `zone`: it says how far it is from UTC, or does not; None: either.
    Instant {
        zone: Option<bool>,
    },
    Date,
    Time,
    Duration,
    Uuid,
    Decimal,
}

/// A value that is taken from the payload.
#[derive(Debug, Deserialize)]
pub(super) struct Leaf {
    pub(super) at: usize,
    pub(super) sort: Sort,
    /// The only texts that it may be.
    pub(super) options: Option<Vec<String>>,
    /// The least and the greatest whole number that it may be.
    pub(super) low: Option<i64>,
    pub(super) high: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Sort {
    Int,
    Float,
    Bool,
    Str,
    /// A time in UTC.
    Moment,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Constant {
    None,
    Int(i64),
    /// Written as text: what a JSON library makes of a number may be off by a bit.
    #[serde(deserialize_with = "float")]
    Float(f64),
    Bool(bool),
    Str(String),
}

fn float<'de, D: serde::Deserializer<'de>>(text: D) -> std::result::Result<f64, D::Error> {
    String::deserialize(text)?.parse().map_err(serde::de::Error::custom)
}

#[derive(Debug, Deserialize)]
pub(super) struct Feed {
    pub(super) kept: usize,
    /// None: a one.
    pub(super) value: Option<Expr>,
    #[serde(rename = "where")]
    pub(super) condition: Option<Expr>,
    pub(super) minus: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Expr {
    Leaf(usize),
    Constant(Constant),
    Negative(Box<Expr>),
    Not(Box<Expr>),
    OneOf(Box<Expr>, Vec<Constant>),
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum Arithmetic {
    #[serde(rename = "+")]
    Add,
    #[serde(rename = "-")]
    Subtract,
    #[serde(rename = "*")]
    Multiply,
    #[serde(rename = "/")]
    Divide,
    #[serde(rename = "//")]
    FloorDivide,
    #[serde(rename = "%")]
    Remainder,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) enum Comparison {
    #[serde(rename = "==")]
    Equal,
    #[serde(rename = "!=")]
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

#[derive(Debug, Deserialize)]
pub(super) struct Kept {
    pub(super) kind: Kind,
    pub(super) start: Constant,
    pub(super) most: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Sum,
    First,
    Last,
    Minimum,
    Maximum,
    Collect,
    Distinct,
    /// Like `Last`, but None is a value too.
    Copy,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Formula {
    Kept(usize),
    Constant(Constant),
    Negative(Box<Formula>),
    Arithmetic(Arithmetic, Box<Formula>, Box<Formula>),
}

/// A field of the state as it is written.
#[derive(Debug, Deserialize)]
pub(super) struct Field {
    pub(super) key: String,
    pub(super) of: Source,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    Kept(usize),
    Computed(usize),
    /// JSON, the same for every state.
    Constant(String),
}

impl StateSpec {
    /// Read a declaration.
    pub fn read(json: &[u8]) -> Result<Self> {
        let mut spec: Self = serde_json::from_slice(json)
            .map_err(|error| Error::Invalid(format!("the declaration cannot be read: {error}")))?;
        for event in &mut spec.events {
            event.object.quote();
        }
        Ok(spec)
    }
}

impl Object {
    fn quote(&mut self) {
        for member in &mut self.members {
            member.quoted = format!("{}:", serde_json::Value::from(member.key.as_str())).into_bytes();
            if let Some(inside) = &mut member.inside {
                inside.quote();
            }
            member.check.quote();
        }
    }
}

impl Check {
    fn quote(&mut self) {
        if let Some(object) = &mut self.object {
            object.quote();
        }
        for each in [&mut self.elements, &mut self.values].into_iter().flatten() {
            each.check.quote();
        }
    }
}
