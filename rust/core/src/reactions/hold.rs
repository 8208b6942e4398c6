//! Holding: a reaction whose targets cannot be found for an event waits there, and makes no other reaction wait.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::pattern;
use crate::reaction_files::records::Cursor;

use super::Reactions;
use super::administer::Selection;
use super::home::{Events, Home};
use super::state::{Registered, Shared};

/// A reaction that holds.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) reaction: Arc<str>,
    /// Its cursors that hold; the first of them at the event that is told, which is one of this program's if there is any.
    pub(super) cursors: Vec<u32>,
    pub(super) cursor: Cursor,
}

/// What is to hold a reaction.
struct NewHold<'a> {
    reaction: u32,
    position: u64,
    event: &'a str,
    attempts: u16,
    due_ms: Option<u64>,
    error: &'a str,
}

impl<H: Home> Reactions<H> {
    /// How often the targets of an event could not be found for a reaction so far.
    pub fn attempts_at(&self, reaction: u32, position: u64) -> Result<u16> {
        self.locked(|shared| {
            let mut attempts = 0;
            for number in shared.cursors_before(reaction, position)? {
                let cursor = shared.cursor(number)?;
                if cursor.failing == position {
                    attempts = attempts.max(cursor.attempts);
                }
            }
            Ok(attempts)
        })
    }

    /// The targets of an event could not be found, so many times by now: let its reaction hold before it until a time of day,
    /// in ms since 1970, or, with None, until it is unblocked. If another process has found them meanwhile, or has
    /// counted this attempt, nothing is done. Answers whether it was.
    ///
    /// `event` is the name of the event.
    pub fn hold_at(
        &self,
        reaction: u32,
        (position, event): (u64, &str),
        attempts: u16,
        due_ms: Option<u64>,
        error: &str,
    ) -> Result<bool> {
        let held = NewHold { reaction, position, event, attempts, due_ms, error };
        let held = self.locked(|shared| shared.hold(&held))?;
        self.home.moved();
        Ok(held)
    }
}

impl<H: Home + Events> Reactions<H> {
    /// The same, where the events are at home.
    pub fn hold(&self, reaction: u32, position: u64, attempts: u16, due_ms: Option<u64>, error: &str) -> Result<bool> {
        let event = name_at(&self.home, position)?;
        self.hold_at(reaction, (position, event), attempts, due_ms, error)
    }
}

/// The name of the event at a position.
pub fn name_at(events: &impl Events, position: u64) -> Result<&str> {
    let found = events.events(&[position])?;
    events.texts().text(found[0].name)
}

impl Shared {
    /// The cursors of a reaction of this program that stand before an event.
    fn cursors_before(&self, reaction: u32, position: u64) -> Result<Vec<u32>> {
        let registered = self
            .registered
            .get(reaction as usize)
            .ok_or_else(|| Error::Invalid(format!("there is no reaction number {reaction}")))?;
        let mut before = Vec::with_capacity(registered.strands.len());
        for strand in &registered.strands {
            if self.cursor(strand.cursor)?.read + 1 == position {
                before.push(strand.cursor);
            }
        }
        Ok(before)
    }

    fn hold(&mut self, held: &NewHold<'_>) -> Result<bool> {
        let NewHold { reaction, position, event, attempts, due_ms, error } = *held;
        let strands = &self.registered[reaction as usize].strands;
        let Some(failing) = strands.iter().find(|strand| strand.event == event).map(|strand| strand.cursor) else {
            return Ok(false);
        };
        let before = self.cursors_before(reaction, position)?;
        let cursor = self.cursor(failing)?;
        if !before.contains(&failing) || (cursor.failing == position && cursor.attempts >= attempts) {
            return Ok(false);
        }
        // All that stand there go on together, so that nothing overtakes the event when it is tried again.
        for number in before {
            let cursor = self.cursor(number)?;
            self.put_cursor(number, &Cursor { joined: false, ..cursor })?;
        }
        let error = self.write_error(cursor.error, error)?;
        let (blocked, due_ms) = (due_ms.is_none(), due_ms.unwrap_or(0));
        let cursor = Cursor { joined: false, failing: position, attempts, due_ms, blocked, error, ..cursor };
        self.put_cursor(failing, &cursor)?;
        Ok(true)
    }

    /// How far a reaction of this program goes, where it holds: what comes later waits, of whatever name.
    pub(super) fn held_at(&self, registered: &Registered, which: impl Fn(&Cursor) -> bool) -> Result<Option<u64>> {
        let mut end = None::<u64>;
        for strand in &registered.strands {
            let cursor = self.cursor(strand.cursor)?;
            if cursor.holds() && which(&cursor) {
                end = Some(end.unwrap_or(u64::MAX).min(cursor.read));
            }
        }
        Ok(end)
    }

    /// The reactions that hold, of all programs, in the order in which they were first known.
    pub(super) fn holds(&self) -> Result<Vec<Hold>> {
        let mut found: Vec<Hold> = Vec::new();
        for (number, name) in (0..).zip(&self.cursor_names) {
            let cursor = self.cursor(number)?;
            if !cursor.holds() || cursor.forgotten() || cursor.whole() {
                continue;
            }
            let rank = |number: u32, cursor: &Cursor| (!self.number_of.contains_key(&number), cursor.failing);
            match found.iter_mut().find(|hold| hold.reaction == *name) {
                Some(hold) if rank(number, &cursor) < rank(hold.cursors[0], &hold.cursor) => {
                    hold.cursors.insert(0, number);
                    hold.cursor = cursor;
                }
                Some(hold) => hold.cursors.push(number),
                None => found.push(Hold { reaction: Arc::clone(name), cursors: vec![number], cursor }),
            }
        }
        Ok(found)
    }

    /// Those of them that are meant, by the names of the reactions.
    pub(super) fn holds_meant(&self, selection: &Selection) -> Result<Vec<Hold>> {
        let pattern = selection.pattern.as_deref().map(pattern::compile).transpose()?;
        let lane = selection.lane.as_ref().map(|name| self.lane_texts.get(name.as_str()).copied());
        let mut meant = self.holds()?;
        meant.retain(|hold| {
            let named = selection.names.as_ref().is_none_or(|names| names.iter().any(|name| **name == *hold.reaction));
            let matching = pattern.as_ref().is_none_or(|pattern| pattern.is_match(&hold.reaction));
            let in_lane = lane.is_none_or(|lane| lane == Some(hold.cursor.lane));
            named && matching && in_lane && selection.blocked.is_none_or(|blocked| blocked == hold.cursor.blocked)
        });
        Ok(meant)
    }
}
