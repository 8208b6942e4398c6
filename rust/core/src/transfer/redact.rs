//! Redaction: payloads that should never have been written are replaced.

use std::collections::HashMap;
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::log::record::Stored;
use crate::payload::check::check;
use crate::transfer::rewrite::{Note, Progress, Rewriting, Rewritten, Rule};

/// A payload that is to be replaced.
#[derive(Clone, Debug)]
pub struct Replaced {
    /// The event's position.
    pub position: u64,
    /// What its payload is, so that nothing is replaced that somebody else has replaced meanwhile.
    pub from: Vec<u8>,
    /// What it becomes.
    pub to: Vec<u8>,
}

/// Replace payloads in the store on a disk, which nobody may have open. Snapshots that may hold what they said are gone,
/// and so is all that was derived from the log.
pub fn redact(
    disk: &Arc<dyn Disk>,
    replaced: Vec<Replaced>,
    note: &Note<'_>,
    progress: Progress<'_>,
) -> Result<Rewritten> {
    for each in &replaced {
        check(&each.to).map_err(|flaw| {
            Error::Invalid(format!("the new `data` of position {} is {flaw}; nothing was changed", each.position))
        })?;
    }
    let mut rule = Redacting { left: HashMap::new(), current: Vec::new(), touched: HashMap::new() };
    rule.left.extend(replaced.into_iter().map(|each| (each.position, each)));
    Rewriting::begin(disk, "redact")?.finish(&mut rule, note, progress)
}

struct Redacting {
    left: HashMap<u64, Replaced>,
    current: Vec<u8>,
    /// The version of the first event of each stream that was replaced.
    touched: HashMap<u32, u64>,
}

impl Rule for Redacting {
    fn payload(&mut self, event: &Stored<'_>) -> Result<Option<&[u8]>> {
        let Some(each) = self.left.remove(&event.position) else { return Ok(None) };
        if each.from != event.data {
            return Err(Error::Invalid(format!(
                "the event at position {} is no longer what it was when this began; look again; nothing was changed",
                event.position
            )));
        }
        self.touched.entry(event.stream).or_insert(event.version);
        self.current = each.to;
        Ok(Some(&self.current))
    }

    fn keeps(&self, stream: u32, version: u64) -> bool {
        self.touched.get(&stream).is_none_or(|first| version < *first)
    }

    fn check(&self) -> Result<()> {
        let Some(missing) = self.left.keys().min() else { return Ok(()) };
        Err(Error::Invalid(format!("there is no event at position {missing}; nothing was changed")))
    }
}
