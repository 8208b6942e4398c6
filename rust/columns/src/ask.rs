//! What is asked for: which events, and which columns of them.

use std::collections::HashSet;
use std::sync::Arc;

use act_fast_core::Filter;
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use serde::Deserialize;

use crate::shape::{Shape, extended, instant};

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The place in the whole log.
    Position,
    /// The position of the first event of its commit.
    Commit,
    /// The stream's name.
    Stream,
    /// The place in the stream.
    Version,
    /// The event's name.
    Name,
    /// When it was committed.
    Created,
    /// The payload, as JSON.
    Data,
    /// The commit's meta, as JSON; null where it has none.
    Meta,
    /// The meta's correlation.
    Correlation,
    /// The meta's causation, as JSON.
    Causation,
    /// The id of the meta's actor.
    Actor,
    /// The event's tags, as a list.
    Tags,
    /// A field of the payload, by its number in the shape.
    Field(usize),
    /// Why the payload has no fields.
    Error,
}

/// One column of what comes out.
#[derive(Clone, Debug, Deserialize)]
pub struct Output {
    /// What it is called.
    pub name: String,
    /// What it holds.
    pub what: What,
}

/// Which events, and which columns of them.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Which events, in the order of their positions.
    pub filter: Filter,
    /// Which columns.
    pub outputs: Vec<Output>,
    /// The shape of the payloads, when any of the outputs needs it.
    pub shape: Option<Arc<Shape>>,
    /// The names of the events that the shape is for. All others are handed on to be decoded by their class.
    pub direct: HashSet<String>,
}

impl Ask {
    /// The columns that come out.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        let fields = self.outputs.iter().map(|output| self.field(output)).collect::<Vec<_>>();
        Arc::new(Schema::new(fields))
    }

    pub(crate) fn field(&self, output: &Output) -> FieldRef {
        let name = output.name.as_str();
        let plain = |data_type, nullable| Field::new(name, data_type, nullable);
        Arc::new(match &output.what {
            What::Position | What::Commit | What::Version => plain(DataType::Int64, false),
            What::Stream | What::Name => plain(DataType::Utf8, false),
            What::Created => plain(instant(), false),
            What::Data => extended(plain(DataType::Utf8, false), "arrow.json"),
            What::Meta | What::Causation => extended(plain(DataType::Utf8, true), "arrow.json"),
            What::Correlation | What::Actor | What::Error => plain(DataType::Utf8, true),
            What::Tags => plain(DataType::List(Arc::new(Field::new("item", DataType::Utf8, false))), false),
            What::Field(number) => {
                let member = self.shape.as_ref().and_then(|shape| shape.members().get(*number));
                return member.map_or_else(|| Arc::new(plain(DataType::Utf8, true)), |member| member.of.field(name));
            }
        })
    }

    /// Whether payloads have to be decoded.
    pub(crate) fn decodes(&self) -> bool {
        self.shape.is_some() && self.outputs.iter().any(|each| matches!(each.what, What::Field(_) | What::Error))
    }

    /// For each field of the shape, the column that it goes into.
    pub(crate) fn wanted(&self) -> Vec<Option<FieldRef>> {
        let len = self.shape.as_ref().map_or(0, |shape| shape.members().len());
        let mut wanted = vec![None; len];
        for output in &self.outputs {
            if let What::Field(number) = output.what
                && let Some(slot) = wanted.get_mut(number)
            {
                *slot = Some(self.field(output));
            }
        }
        wanted
    }
}
