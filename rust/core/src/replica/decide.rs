//! What becomes of a proposal besides the versions of its streams: the same for all replicas, whatever their options are.

use crate::error::{Error, Result};
use crate::log::builder::{PROPOSED_BYTES_MAX, commit_bytes_max};
use crate::log::record::{ALIGN_BYTES, CREATED_MAX_US, HEAD_BYTES};
use crate::log::segments::HEADER_BYTES;
use crate::names;
use crate::replica::body::Proposal;
use crate::store::log::Log;
use crate::write::append;
use crate::write::commit::Part;

/// Whether a replica may append a proposal to log files of this size. Payloads are whatever they are.
pub(super) fn acceptable(proposal: &Proposal<'_>, segment_bytes: u64) -> bool {
    let parts = proposal.parts;
    !parts.is_empty()
        && proposal.created <= CREATED_MAX_US
        && parts.iter().all(|part| !part.events.is_empty() && names::check("stream", part.stream).is_ok())
        && names_are_names(parts)
        && bytes_max(parts, proposal.meta) <= record_bytes_max(segment_bytes)
}

fn names_are_names(parts: &[Part<'_>]) -> bool {
    let mut last = "";
    parts.iter().flat_map(|part| part.events).all(|event| {
        let known = event.name == last && !last.is_empty();
        last = event.name;
        known || names::check("event name", event.name).is_ok()
    })
}

/// The most bytes that the commit of a proposal can take, if all of its names were new.
fn bytes_max(parts: &[Part<'_>], meta: &[u8]) -> u64 {
    let (mut events, mut data, mut names) = (0, 0, 0);
    for part in parts {
        events += part.events.len();
        data += part.events.iter().map(|event| event.data.len()).sum::<usize>();
        names += part.stream.len() + part.events.iter().map(|event| event.name.len()).sum::<usize>();
    }
    commit_bytes_max(events, data, meta.len(), parts.len() + events, names) + PROPOSED_BYTES_MAX
}

/// What a record may take in a log file of this size, which also takes the record that ends it.
fn record_bytes_max(segment_bytes: u64) -> u64 {
    segment_bytes - HEADER_BYTES - HEAD_BYTES as u64 - ALIGN_BYTES as u64
}

impl Log {
    /// Refuse what replicas would refuse, whatever the versions of the streams are, and what no log takes.
    pub fn check_proposal(&self, parts: &[Part<'_>], meta: &[u8]) -> Result<()> {
        append::check_commit(parts, meta, self.options.payload_max_bytes)?;
        let (wanted, limit) = (bytes_max(parts, meta), record_bytes_max(self.segments.segment_bytes));
        if wanted > limit {
            return Err(Error::Invalid(format!(
                "this commit takes up to {wanted} bytes; in this store a commit may take {limit}: append it in several"
            )));
        }
        Ok(())
    }
}
