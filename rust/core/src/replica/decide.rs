//! What becomes of a proposal besides the versions of its streams and its conditions: the same for all replicas, whatever their options are.

use crate::error::{Error, Result};
use crate::log::record::CREATED_MAX_US;
use crate::names;
use crate::payload::check::check_meta;
use crate::replica::body::Proposal;
use crate::store::log::Log;
use crate::write::append::{check_commit, check_once};
use crate::write::commit::Part;
use crate::write::condition::Guards;
use crate::write::once::{KEY_TAG, Once};

/// What a commit counts besides its meta and its parts, a part besides its stream and events, an event besides its name and
/// data, a tag besides its text; and by how much a commit must stay below the size of a log file.
const COMMIT_BYTES: u64 = 100;
const PART_BYTES: u64 = 12;
const EVENT_BYTES: u64 = 43;
const TAG_BYTES: u64 = 17;
const SPARE_BYTES: u64 = 96;

/// Whether a replica may append a proposal to log files of this size. Payloads are whatever they are.
pub(super) fn acceptable(proposal: &Proposal<'_>, segment_bytes: u64) -> bool {
    let parts = proposal.parts;
    !parts.is_empty()
        && proposal.created <= CREATED_MAX_US
        && parts.iter().all(|part| !part.events.is_empty() && names::check("stream", part.stream).is_ok())
        && names_are_names(parts)
        && (proposal.meta.is_empty() || check_meta(proposal.meta).is_ok())
        && parts.iter().flat_map(|part| part.events).all(|event| names::check_tags(event.tags).is_ok())
        && proposal.guards.check_form().is_ok()
        && proposal.guards.once.is_none_or(|once| once.check_form(parts).is_ok())
        && size(parts, proposal.guards.once, proposal.meta) <= segment_bytes - SPARE_BYTES
}

fn names_are_names(parts: &[Part<'_>]) -> bool {
    let mut last = "";
    parts.iter().flat_map(|part| part.events).all(|event| {
        let known = event.name == last && !last.is_empty();
        last = event.name;
        known || names::check("event name", event.name).is_ok()
    })
}

/// What the commit of a proposal counts, at least what it takes in the log. A rule that all replicas share, so it depends on
/// nothing but the proposal: every name counts as a new one.
fn size(parts: &[Part<'_>], once: Option<Once<'_>>, meta: &[u8]) -> u64 {
    let mut bytes = COMMIT_BYTES + meta.len() as u64;
    bytes += once.map_or(0, |once| TAG_BYTES + (KEY_TAG.len() + once.key.len()) as u64);
    for part in parts {
        bytes += PART_BYTES + part.stream.len() as u64;
        for event in part.events {
            bytes += EVENT_BYTES + event.name.len() as u64 + event.data.len() as u64;
            bytes += event.tags.iter().map(|tag| TAG_BYTES + tag.len() as u64).sum::<u64>();
        }
    }
    bytes
}

impl Log {
    /// Refuse what replicas would refuse, whatever is in the log, and what no log takes.
    pub fn check_proposal(
        &self,
        parts: &[Part<'_>],
        guards: &Guards<'_>,
        meta: &[u8],
        payload_max_bytes: usize,
    ) -> Result<()> {
        guards.check_form()?;
        check_once(parts, guards)?;
        check_commit(parts, meta, payload_max_bytes)?;
        let (wanted, limit) = (size(parts, guards.once, meta), self.segments.segment_bytes - SPARE_BYTES);
        if wanted > limit {
            return Err(Error::Invalid(format!(
                "this commit counts {wanted} bytes; in this store a commit may have {limit}: append it in several"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::builder::{PROPOSED_BYTES_MAX, TAG_BYTES_MAX, commit_bytes_max};
    use crate::log::record::{ALIGN_BYTES, HEAD_BYTES};
    use crate::log::segments::HEADER_BYTES;
    use crate::write::commit::NewEvent;

    #[test]
    fn what_a_commit_counts_is_never_less_than_it_takes() {
        for (events, bytes, tags) in [(1, 0, 0), (1, 1000, 1), (7, 3, 3), (500, 20, 2)] {
            let data = vec![b'1'; bytes];
            let tags = &["course:maths", "student:ada", "x"][..tags];
            let given = vec![NewEvent { name: "Happened", data: &data, tags }; events];
            let parts = vec![Part { stream: "stream", events: &given, expected: None }; 3];
            let tag_text: usize = tags.iter().map(|tag| tag.len()).sum();
            let text = 3 * ("stream".len() + events * ("Happened".len() + tag_text));
            let (all, tagged) = (3 * events, 3 * events * tags.len());
            let taken = commit_bytes_max(all, all * bytes, 5, 3 + all + tagged, text)
                + PROPOSED_BYTES_MAX
                + TAG_BYTES_MAX * tagged as u64;
            assert!(size(&parts, None, b"12345") >= taken, "{events} events of {bytes} bytes");
            let once = Once { key: "f81d4fae", since: 0 };
            let taken = commit_bytes_max(all, all * bytes, 5, 4 + all + tagged, text + once.key.len() + KEY_TAG.len())
                + PROPOSED_BYTES_MAX
                + TAG_BYTES_MAX * (1 + tagged as u64);
            assert!(size(&parts, Some(once), b"12345") >= taken, "{events} events of {bytes} bytes and a key");
        }
        assert!(SPARE_BYTES >= HEADER_BYTES + (HEAD_BYTES + ALIGN_BYTES) as u64);
    }
}
