//! Shapes: what JSON must look like to become a column as it stands, and which column that is.

use std::sync::Arc;

use arrow_schema::extension::{EXTENSION_TYPE_METADATA_KEY, EXTENSION_TYPE_NAME_KEY};
use arrow_schema::{DataType, Field, FieldRef, Fields, TimeUnit};
use serde::Deserialize;

/// How many digits a decimal column has.
pub(crate) const DECIMAL_DIGITS: u8 = 38;

/// The shape of one value.
#[derive(Clone, Debug, Deserialize)]
pub struct Shape {
    /// Whether `null` is a value.
    #[serde(default)]
    pub(crate) nullable: bool,
    #[serde(flatten)]
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Kind {
    Int {
        low: Option<i64>,
        high: Option<i64>,
    },
    Float {
        at_least: Option<f64>,
        above: Option<f64>,
        at_most: Option<f64>,
        below: Option<f64>,
    },
    Bool,
    Text,
    /// One of these texts.
    Word {
        of: Vec<String>,
    },
    /// One of these numbers.
    Number {
        of: Vec<i64>,
    },
    /// A moment, µs since 1970 UTC. `zone`: it says how far it is from UTC; None: it may, and is UTC if it does not.
    Instant {
        zone: Option<bool>,
    },
    Date,
    Time,
    /// A duration, in µs.
    Duration,
    Decimal {
        scale: i8,
    },
    Uuid,
    Bytes,
    List {
        of: Box<Shape>,
        /// No element twice.
        #[serde(default)]
        unique: bool,
    },
    /// An object whose keys are all of one kind.
    Map {
        keys: Keys,
        of: Box<Shape>,
    },
    Struct(Members),
    /// Whatever has one of these shapes, or anything when there are none, as JSON text.
    Json {
        of: Vec<Shape>,
    },
    /// `null` and nothing else.
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Keys {
    Text,
    Int,
}

/// The fields of an object.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Listed")]
pub(crate) struct Members {
    pub(crate) fields: Vec<Member>,
    /// Whether other fields are refused.
    pub(crate) closed: bool,
    /// The field and the text that say which kind of object it is, among several.
    pub(crate) tag: Option<(String, String)>,
}

#[derive(Clone, Debug, Deserialize)]
struct Listed {
    fields: Vec<Member>,
    #[serde(default)]
    closed: bool,
    tag: Option<(String, String)>,
}

impl From<Listed> for Members {
    fn from(listed: Listed) -> Self {
        let mut fields = listed.fields;
        for field in &mut fields {
            field.quoted = format!("{}:", serde_json::Value::from(field.key.as_str())).into_bytes();
        }
        Self { fields, closed: listed.closed, tag: listed.tag }
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Member {
    /// What it is called in a column.
    pub(crate) name: String,
    /// What it is called in JSON.
    pub(crate) key: String,
    /// The key in quotes, with its colon.
    #[serde(skip)]
    pub(crate) quoted: Vec<u8>,
    pub(crate) of: Shape,
    /// What stands for it where it is missing, as JSON.
    pub(crate) default: Option<String>,
    /// It may be missing, and is null then.
    #[serde(default)]
    pub(crate) optional: bool,
}

impl Shape {
    /// Read a shape from JSON. The shape of an event or a state is a `struct`.
    pub fn read(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The members of a `struct`; none of anything else.
    pub(crate) fn members(&self) -> &[Member] {
        match &self.kind {
            Kind::Struct(members) => &members.fields,
            _ => &[],
        }
    }

    /// The column that values of this shape go into.
    pub(crate) fn field(&self, name: &str) -> FieldRef {
        let extension = match &self.kind {
            Kind::Json { .. } | Kind::Null => Some("arrow.json"),
            Kind::Uuid => Some("arrow.uuid"),
            _ => None,
        };
        // Everything may be null: also where the class has no None, a row that does not decode has no value.
        let field = Field::new(name, self.data_type(), true);
        Arc::new(match extension {
            Some(extension) => extended(field, extension),
            None => field,
        })
    }

    fn data_type(&self) -> DataType {
        match &self.kind {
            Kind::Int { .. } | Kind::Number { .. } | Kind::Duration => DataType::Int64,
            Kind::Float { .. } => DataType::Float64,
            Kind::Bool => DataType::Boolean,
            Kind::Text | Kind::Word { .. } | Kind::Json { .. } | Kind::Null => DataType::Utf8,
            Kind::Instant { zone: Some(false) } => DataType::Timestamp(TimeUnit::Microsecond, None),
            Kind::Instant { .. } => instant(),
            Kind::Date => DataType::Date32,
            Kind::Time => DataType::Time64(TimeUnit::Microsecond),
            Kind::Decimal { scale } => DataType::Decimal128(DECIMAL_DIGITS, *scale),
            Kind::Uuid => DataType::FixedSizeBinary(16),
            Kind::Bytes => DataType::Binary,
            Kind::List { of, .. } => DataType::List(of.field("item")),
            Kind::Map { keys, of } => {
                let keys = if *keys == Keys::Int { DataType::Int64 } else { DataType::Utf8 };
                let entry = Fields::from(vec![Arc::new(Field::new("key", keys, false)), of.field("value")]);
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry), false)), false)
            }
            Kind::Struct(members) => {
                DataType::Struct(members.fields.iter().map(|member| member.of.field(&member.name)).collect())
            }
        }
    }
}

/// A moment in UTC, in µs.
pub(crate) fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A field of a type that Arrow does not have, but agrees on.
pub(crate) fn extended(field: Field, extension: &str) -> Field {
    let metadata = [(EXTENSION_TYPE_NAME_KEY, extension), (EXTENSION_TYPE_METADATA_KEY, "")];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
    field.with_metadata(std::collections::HashMap::from(metadata))
}
