//! Undoing: what a process has made of lines that could not be kept is made again of those that are there.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::Result;
use crate::reaction_files::files::{CURSORS, SUBSCRIPTIONS, TARGETS};

use super::home::Section;
use super::state::{Before, HeldLease, KnownTarget, Leases, Shared, Stale};

impl Shared {
    /// Have what is needed to undo what is done from now on.
    pub(super) fn note_before(&mut self) {
        if self.before.is_none() {
            self.before = Some(Before { leases: self.leases.clone(), registered: self.registered.len() });
        }
    }

    /// What was done is kept.
    pub(super) fn kept(&mut self) {
        self.before = None;
    }

    /// What was done is undone, or is about to be.
    pub(super) fn undone(&mut self) {
        if let Some(before) = self.before.take() {
            self.leases = before.leases;
            self.registered.truncate(before.registered);
            if self.stale == Stale::No {
                self.stale = Stale::Undone;
            }
        }
    }

    /// Where a cursor's work comes from, in words.
    pub(super) fn strand_of(&self, cursor: u32) -> (Arc<str>, Arc<str>) {
        let number = cursor as usize;
        (Arc::clone(&self.cursor_names[number]), Arc::clone(&self.cursor_keys[number]))
    }

    /// All lines were read again. What this process has leased is still its own where they say so: the database may
    /// have lost what came after the lease, but not a part of it.
    pub(super) fn keep_leases(&mut self, leases: Leases, before: &[KnownTarget]) -> Result<()> {
        let same = before.len() <= self.known.len() && before.iter().zip(&self.known).all(|(a, b)| a.name == b.name);
        let mut held = HashMap::new();
        for (number, lease) in leases.held {
            if self.still_holds(number, &lease)? {
                held.insert(number, lease);
            }
        }
        self.leases = if same { Leases { held, ..leases } } else { Leases { held, ..Leases::default() } };
        Ok(())
    }

    fn still_holds(&self, number: u32, lease: &HeldLease) -> Result<bool> {
        if self.known.get(number as usize).is_none_or(|known| known.name != lease.name) {
            return Ok(false);
        }
        let target = self.target(number)?;
        if (target.token, target.holder) != (lease.token, lease.holder) || target.leased_until_ms == 0 {
            return Ok(false);
        }
        for part in &lease.parts {
            if part.subscription >= self.counts.subscriptions {
                return Ok(false);
            }
            let now = self.subscription(part.subscription)?;
            let its_own = now.target == number && now.done_count == part.done_count;
            if !its_own || self.strand_of(now.reaction) != part.of {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Take note of what others have written since the last section.
    pub(super) fn take_note(&mut self, section: &Section<'_>) {
        if section.anew {
            self.stale = Stale::Replaced;
        }
        self.taken.extend_from_slice(&section.taken);
    }

    /// Look at the targets that others have changed.
    pub(super) fn look_at_taken(&mut self) -> Result<()> {
        for (area, line) in std::mem::take(&mut self.taken) {
            let cell = u32::try_from(line.saturating_sub(1) / 2).unwrap_or(u32::MAX);
            match area {
                TARGETS if cell < self.counts.targets => self.stand(cell)?,
                SUBSCRIPTIONS if cell < self.counts.subscriptions => {
                    let target = self.subscription(cell)?.target;
                    if target < self.counts.targets {
                        self.stand(target)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether cursors are among what others have changed.
    pub(super) fn note_taken_cursors(&self) -> Result<()> {
        if self.taken.iter().any(|(area, _)| *area == CURSORS) {
            self.files.cursor_changes()?.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}
