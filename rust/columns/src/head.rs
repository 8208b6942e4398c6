//! The columns that a record holds itself, besides its payload's fields.

use act_fast_core::{EventView, Log};
use arrow_array::ArrayRef;

use crate::ask::{Ask, What};
use crate::column::Column;
use crate::texts::Texts;
use crate::{Error, broken, why};

/// Some of a record's own columns, growing row by row.
#[derive(Debug)]
pub(crate) struct Head {
    columns: Vec<(What, Column)>,
    meta: LastMeta,
}

/// What the last meta said: events of one commit share it.
#[derive(Debug, Default)]
struct LastMeta {
    at: usize,
    correlation: Option<String>,
    causation: Option<String>,
    actor: Option<String>,
}

impl Head {
    pub(crate) fn new(ask: &Ask) -> Self {
        let own = ask.outputs.iter().filter(|output| !matches!(output.what, What::Field(_) | What::Error));
        let columns = own.map(|output| (output.what.clone(), Column::new(&ask.field(output)))).collect();
        Self { columns, meta: LastMeta::default() }
    }

    /// Add an event to every column.
    #[inline]
    pub(crate) fn push(&mut self, log: &Log, texts: &mut Texts, event: &EventView<'_>) -> Result<(), Error> {
        let too_large = |_| Error::ComputeError("a payload is too large for a column".to_owned());
        for (what, column) in &mut self.columns {
            match what {
                What::Position => column.push_long(event.position.cast_signed()),
                What::Commit => column.push_long(event.commit.cast_signed()),
                What::Version => column.push_long(event.version.cast_signed()),
                What::Created => column.push_long(event.created),
                What::Stream => {
                    let text = texts.get(log, event.stream).map_err(broken)?;
                    column.push_bytes(text.as_bytes()).map_err(too_large)?;
                }
                What::Name => {
                    let text = texts.get(log, event.name).map_err(broken)?;
                    column.push_bytes(text.as_bytes()).map_err(too_large)?;
                }
                What::Data => push_json(column, event.data)?,
                What::Meta if event.meta.is_empty() => column.push_null(),
                What::Meta => push_json(column, event.meta)?,
                What::Correlation => push_text(column, self.meta.of(event.meta).correlation.as_deref())?,
                What::Causation => push_text(column, self.meta.of(event.meta).causation.as_deref())?,
                What::Actor => push_text(column, self.meta.of(event.meta).actor.as_deref())?,
                What::Tags => {
                    if let Some(elements) = column.elements() {
                        for tag in event.tags.keys() {
                            let text = texts.get(log, tag).map_err(broken)?;
                            elements.push_bytes(text.as_bytes()).map_err(too_large)?;
                        }
                    }
                    column.close().map_err(too_large)?;
                }
                What::Field(_) | What::Error => {}
            }
        }
        Ok(())
    }

    /// The columns in their order, and none of their rows to go on with.
    pub(crate) fn finish(&mut self) -> Result<Vec<ArrayRef>, Error> {
        // The next batch may come from a page whose memory lies where this one's did.
        self.meta = LastMeta::default();
        self.columns.iter_mut().map(|(_, column)| column.finish()).collect()
    }
}

fn push_text(column: &mut Column, text: Option<&str>) -> Result<(), Error> {
    match text {
        Some(text) => column
            .push_bytes(text.as_bytes())
            .map_err(|_| Error::ComputeError("a commit's meta is too large for a column".to_owned())),
        None => {
            column.push_null();
            Ok(())
        }
    }
}

/// JSON as it stands. What is not UTF-8 is no JSON either, but somebody wrote it.
#[inline]
fn push_json(column: &mut Column, json: &[u8]) -> Result<(), Error> {
    let fit = match std::str::from_utf8(json) {
        Ok(text) => column.push_bytes(text.as_bytes()),
        Err(_) => column.push_bytes(String::from_utf8_lossy(json).as_bytes()),
    };
    fit.map_err(|_| Error::ComputeError("a payload is too large for a column".to_owned()))
}

impl LastMeta {
    fn of(&mut self, meta: &[u8]) -> &Self {
        let at = meta.as_ptr() as usize;
        if self.at != at {
            let causation = why::value_at(meta, &["causation"]);
            let actor = causation.and_then(|found| why::text_at(found.as_bytes(), &["action", "actor", "id"]));
            let correlation = why::text_at(meta, &["correlation"]);
            *self = Self { at, correlation, causation: causation.map(str::to_owned), actor };
        }
        self
    }
}
