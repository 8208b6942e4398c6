//! The columns that a record holds itself, besides its payload's fields.

use act_fast_core::{EventView, Log};
use arrow_array::ArrayRef;

use crate::ask::{Ask, What};
use crate::column::Column;
use crate::texts::Texts;
use crate::unfit::Unfit;
use crate::{Error, broken, why};

/// Some of a record's own columns, growing page by page.
#[derive(Debug)]
pub(crate) struct Head {
    columns: Vec<(What, Column)>,
    /// Whether any of them is a part of the meta.
    explains: bool,
}

/// What the meta of some events, one after another, says.
#[derive(Debug, Default)]
struct Why {
    events: usize,
    correlation: Option<String>,
    causation: Option<String>,
    actor: Option<String>,
}

impl Head {
    pub(crate) fn new(ask: &Ask) -> Self {
        let own = ask.outputs.iter().filter(|output| !matches!(output.what, What::Field(_) | What::Error));
        let columns: Vec<_> = own.map(|output| (output.what.clone(), Column::new(&ask.field(output)))).collect();
        let explains =
            columns.iter().any(|(what, _)| matches!(what, What::Correlation | What::Causation | What::Actor));
        Self { columns, explains }
    }

    /// Add some events to every column.
    pub(crate) fn push(&mut self, log: &Log, texts: &mut Texts, events: &[EventView<'_>]) -> Result<(), Error> {
        let whys = if self.explains { whys(events) } else { Vec::new() };
        for (what, column) in &mut self.columns {
            match what {
                What::Position => column.push_longs(events.iter().map(|event| event.position.cast_signed())),
                What::Commit => column.push_longs(events.iter().map(|event| event.commit.cast_signed())),
                What::Version => column.push_longs(events.iter().map(|event| event.version.cast_signed())),
                What::Created => column.push_longs(events.iter().map(|event| event.created)),
                What::Stream => push_texts(column, log, texts, events.iter().map(|event| event.stream))?,
                What::Name => push_texts(column, log, texts, events.iter().map(|event| event.name))?,
                What::Data => column.push_all_bytes(events.iter().map(|event| event.data)).map_err(too_large)?,
                What::Meta => {
                    for alike in events.chunk_by(|one, other| one.meta.is_empty() == other.meta.is_empty()) {
                        if alike[0].meta.is_empty() {
                            column.push_null_texts(alike.len());
                        } else {
                            column.push_all_bytes(alike.iter().map(|event| event.meta)).map_err(too_large)?;
                        }
                    }
                }
                What::Correlation => push_whys(column, &whys, |why| why.correlation.as_deref())?,
                What::Causation => push_whys(column, &whys, |why| why.causation.as_deref())?,
                What::Actor => push_whys(column, &whys, |why| why.actor.as_deref())?,
                What::Tags if events.iter().all(|event| event.tags.is_empty()) => {
                    column.push_empty_lists(events.len());
                }
                What::Tags => {
                    for event in events {
                        if let Some(elements) = column.elements().filter(|_| !event.tags.is_empty()) {
                            push_texts(elements, log, texts, event.tags.keys())?;
                        }
                        column.close().map_err(too_large)?;
                    }
                }
                What::Field(_) | What::Error => {}
            }
        }
        Ok(())
    }

    /// The columns in their order, and none of their rows to go on with.
    pub(crate) fn finish(&mut self) -> Result<Vec<ArrayRef>, Error> {
        self.columns.iter_mut().map(|(_, column)| column.finish()).collect()
    }
}

fn too_large(_: Unfit) -> Error {
    Error::ComputeError("a payload, or the meta of a commit, is too large for a column".to_owned())
}

#[inline]
fn push_texts(
    column: &mut Column,
    log: &Log,
    texts: &mut Texts,
    mut keys: impl Iterator<Item = u32>,
) -> Result<(), Error> {
    keys.try_for_each(|key| {
        let text = texts.get(log, key).map_err(broken)?;
        column.push_bytes(text.as_bytes()).map_err(too_large)
    })
}

fn push_whys(column: &mut Column, whys: &[Why], of: impl Fn(&Why) -> Option<&str>) -> Result<(), Error> {
    whys.iter().try_for_each(|why| match of(why) {
        None => {
            column.push_null_texts(why.events);
            Ok(())
        }
        Some(said) => column.push_all_bytes(std::iter::repeat_n(said.as_bytes(), why.events)).map_err(too_large),
    })
}

/// What the metas of a page's events say: those of one commit share it, and so do all that have none.
fn whys(events: &[EventView<'_>]) -> Vec<Why> {
    let alike = events
        .chunk_by(|one, other| std::ptr::eq(one.meta, other.meta) || (one.meta.is_empty() && other.meta.is_empty()));
    let said = alike.map(|events| {
        let meta = events[0].meta;
        if meta.is_empty() {
            return Why { events: events.len(), ..Why::default() };
        }
        let causation = why::value_at(meta, &["causation"]);
        let actor = causation.and_then(|found| why::text_at(found.as_bytes(), &["action", "actor", "id"]));
        let correlation = why::text_at(meta, &["correlation"]);
        Why { events: events.len(), correlation, causation: causation.map(str::to_owned), actor }
    });
    said.collect()
}
