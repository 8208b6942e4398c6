//! Skipping: one event of one reaction is stepped over by hand, and that is written down.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::reaction_files::records::{FORGOTTEN, Subscription};
use crate::reaction_files::texts::TEXT_MAX_BYTES;

use super::Reactions;
use super::administer::Selection;
use super::home::Home;
use super::state::Shared;

/// Where one reaction stands on a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The reaction.
    pub reaction: String,
    /// The position of its next event; None when it has none to process.
    pub next: Option<u64>,
    /// How often that event has failed.
    pub failures: u16,
    /// How many events it has processed.
    pub processed: u64,
}

impl Head {
    /// The same with what it has to do in the events of another name.
    fn add(&mut self, other: Self) {
        self.processed += other.processed;
        // One that has failed is what it stops at: others may have found earlier events of other names since.
        let order = |head: &Self| (head.next.is_none(), head.failures == 0, head.next);
        if order(&other) < order(self) {
            (self.next, self.failures) = (other.next, other.failures);
        }
    }
}

impl<H: Home> Reactions<H> {
    /// Where each reaction stands on a target; nowhere for a reaction that holds, which is told as one of its name.
    pub fn heads(&self, target: &str) -> Result<Vec<Head>> {
        self.locked(|shared| {
            let selection = Selection { names: Some(vec![target.to_owned()]), ..Selection::default() };
            let Some(number) = shared.select(&selection, None, 1)?.first().copied() else { return Ok(Vec::new()) };
            let mut found: Vec<Head> = Vec::new();
            for (_, each) in shared.standing_of(number)? {
                let head = shared.head_of(&each)?;
                match found.iter_mut().find(|known| known.reaction == head.reaction) {
                    Some(known) => known.add(head),
                    None => found.push(head),
                }
            }
            Ok(found)
        })
    }

    /// Step over the next event of a reaction on a target, which must be the one at `position`, and keep a note of it.
    ///
    /// A lease on the target ends, and so does a block that is because of this event and this reaction alone.
    pub fn skip(&self, target: &str, reaction: &str, position: u64, note: &str) -> Result<()> {
        if note.len() > TEXT_MAX_BYTES {
            let most =
                format!("the record of a skipped event has {} bytes; at most {TEXT_MAX_BYTES} are allowed", note.len());
            return Err(Error::Invalid(most));
        }
        self.locked(|shared| shared.skip(target, reaction, position, note))?;
        self.flush()?;
        // Workers that sleep may be able to continue now, and callers may wait for the target to have come this far.
        self.home.wake();
        self.home.moved();
        Ok(())
    }

    /// What was noted of skipped events, the oldest first; and in between, as `position\ttarget`, which targets were reset after
    /// which position since, so that what was skipped comes to them once more. `\0reaction` follows where that is so of one
    /// reaction alone, because it was forgotten.
    pub fn skipped(&self) -> Result<Vec<Arc<str>>> {
        self.locked(|shared| Ok(shared.files.skipped.all()?.0))
    }
}

impl Shared {
    /// Note that a target, or one reaction on it, begins again after a position, if anything was ever skipped.
    pub(super) fn note_reset(&self, number: u32, to: u64, reaction: Option<&str>) -> Result<()> {
        let (notes, used) = self.files.skipped.all()?;
        if !notes.is_empty() {
            let of = reaction.map_or_else(String::new, |reaction| format!("\0{reaction}"));
            self.files.skipped.write(&format!("{to}\t{}{of}", self.known[number as usize].name), used)?;
        }
        Ok(())
    }

    /// The target of a name. A reaction that holds is told as one of its name, and is none.
    fn named(&mut self, target: &str) -> Result<u32> {
        let selection = Selection { names: Some(vec![target.to_owned()]), ..Selection::default() };
        let found = self.select(&selection, None, 1)?;
        found.first().copied().ok_or_else(|| {
            Error::Invalid(format!(
                "{target:?} is a reaction that is stuck, not a target: its `to=` has found no target for the event yet, so there \
             is nothing to skip; fix `to=`, then unblock it"
            ))
        })
    }

    /// The subscriptions of a target to what reactions take now.
    fn standing_of(&mut self, number: u32) -> Result<Vec<(u32, Subscription)>> {
        let mut found = Vec::new();
        for at in self.known[number as usize].subscriptions.clone() {
            let mut each = self.subscription(at)?;
            let name = Arc::clone(&self.cursor_names[each.reaction as usize]);
            if each.done != FORGOTTEN && self.told(&name)?.0.contains(&each.reaction) {
                if self.pass_over(&mut each)? {
                    self.put_subscription(at, &each)?;
                }
                found.push((at, each));
            }
        }
        Ok(found)
    }

    fn head_of(&self, each: &Subscription) -> Result<Head> {
        let next = each.pending().then(|| self.next_of(each)).transpose()?;
        Ok(Head {
            reaction: self.cursor_names[each.reaction as usize].to_string(),
            next,
            failures: if next == Some(each.failing) { each.attempts } else { 0 },
            processed: each.done_count,
        })
    }

    fn skip(&mut self, target_name: &str, reaction: &str, position: u64, note: &str) -> Result<()> {
        let number = self.named(target_name)?;
        let mut target = self.target(number)?;
        let mut chosen: Option<(u32, Subscription, u64)> = None;
        let mut others_fail = false;
        for (at, each) in self.standing_of(number)? {
            if *self.cursor_names[each.reaction as usize] == *reaction {
                let next = if each.pending() { self.next_of(&each)? } else { u64::MAX };
                let order = |next: u64| (next != position, next);
                if chosen.as_ref().is_none_or(|(_, _, first)| order(next) < order(*first)) {
                    chosen = Some((at, each, next));
                }
            } else {
                others_fail |= each.attempts > 0 && each.failing == target.failing && each.failing > each.done;
            }
        }
        let Some((at, each, _)) = chosen else {
            return Err(Error::Invalid(format!("no reaction {reaction:?} runs under the target {target_name:?}")));
        };
        let next = each.pending().then(|| self.next_of(&each)).transpose()?;
        if next != Some(position) {
            let stands = next.map_or_else(
                || "has nothing to process".to_owned(),
                |next| format!("is at the event at position {next}"),
            );
            return Err(Error::Invalid(format!(
                "{reaction:?} {stands}, so the event at position {position} cannot be skipped; the next one can"
            )));
        }
        // Noted first: what is stepped over is never stepped over in silence.
        let (_, used) = self.files.skipped.all()?;
        self.files.skipped.write(note, used)?;
        self.files.skipped.flush()?;
        let done_count = each.done_count + 1;
        let done = Subscription { done: position, done_count, failing: 0, attempts: 0, ..each };
        self.put_subscription(at, &done)?;
        target = if target.failing == position && !others_fail {
            target.freed()
        } else {
            let freed = target.freed();
            let (blocked, failing, attempts, failed) = (target.blocked, target.failing, target.attempts, target.failed);
            crate::reaction_files::records::Target { blocked, failing, attempts, failed, ..freed }
        };
        self.put_target(number, &target)
    }
}
