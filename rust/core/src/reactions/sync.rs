//! Seeing what other processes have done, and what a start of the machine has ended.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use crate::error::{Error, Result};
use crate::reaction_files::files::RING;
use crate::reaction_files::records::Counts;

use super::state::{KnownTarget, Shared, Stale};

impl Shared {
    /// Leases of before the machine's start are over: their clock has started over.
    pub(super) fn end_leases(&mut self, head: u64) -> Result<()> {
        for number in 0..self.counts.targets {
            let mut target = self.target(number)?;
            if target.leased_until_ms != target.ended() || target.watermark > head {
                target.leased_until_ms = target.ended();
                target.watermark = target.watermark.min(head);
                self.files.targets.write(number, target.encode())?;
            }
        }
        self.counts.boot = self.boot;
        self.keep_counts()
    }

    /// What a dead process left may be half announced: look at everything again, and let the others do so too.
    pub(super) fn distrust(&mut self) -> Result<()> {
        self.files.ring_head()?.fetch_add(RING + 1, Ordering::SeqCst);
        self.files.cursor_changes()?.fetch_add(1, Ordering::SeqCst);
        self.counts = self.read_counts()?;
        Ok(())
    }

    pub(super) fn ring_head(&self) -> Result<u64> {
        Ok(self.files.ring_head()?.load(Ordering::SeqCst))
    }

    /// See what others have done since the last time. Under the lock.
    pub(super) fn sync(&mut self, uptime_ms: u64, now_ms: u64, head: u64) -> Result<()> {
        self.uptime_ms = uptime_ms;
        self.now_ms = now_ms;
        self.head = head;
        self.counts = self.read_counts()?;
        if self.counts.generation != self.loaded.generation || self.stale != Stale::No {
            self.begin_anew(head)?;
            self.stale = Stale::No;
        }
        self.note_taken_cursors()?;
        self.look_at_cursors()?;
        self.load_new()?;
        self.look_at_taken()?;
        let changes = self.ring_head()?;
        if changes < self.seen || changes - self.seen > RING {
            self.seen = changes;
            for number in 0..self.counts.targets {
                self.stand(number)?;
            }
        }
        while self.seen < changes {
            let number = self.files.change(self.seen)?;
            self.seen += 1;
            if number < self.counts.targets {
                self.stand(number)?;
            }
        }
        for number in self.frontier.expired(uptime_ms, now_ms) {
            self.stand(number)?;
        }
        Ok(())
    }

    /// Another process has rebuilt everything: what this process knew is no longer true.
    pub(super) fn begin_anew(&mut self, head: u64) -> Result<()> {
        self.loaded = Counts { generation: self.counts.generation, ..Counts::default() };
        self.by_name.clear();
        self.by_pair.clear();
        self.cursor_names.clear();
        self.cursor_keys.clear();
        self.cursors_of.clear();
        self.kin.clear();
        self.cursors.clear();
        self.lane_texts.clear();
        self.number_of.clear();
        let leases = std::mem::take(&mut self.leases);
        let known = std::mem::take(&mut self.known);
        self.frontier.clear();
        self.seen = u64::MAX;
        let before = std::mem::take(&mut self.registered);
        let again = self.load_new().and_then(|()| {
            match self.stale {
                Stale::No => {}
                Stale::Undone => self.leases = leases, // of lines that are what they were
                Stale::Replaced => self.keep_leases(leases, &known)?,
            }
            before.iter().try_for_each(|each| self.register_one(Arc::clone(&each.spec), head))
        });
        if again.is_err() {
            self.registered = before;
            self.loaded.generation = self.counts.generation.wrapping_add(1);
        }
        again
    }

    /// Read the cursors again if anybody has changed one.
    pub(super) fn look_at_cursors(&mut self) -> Result<()> {
        let changes = self.files.cursor_changes()?.load(Ordering::SeqCst);
        if changes != self.cursor_changes {
            let known = u32::try_from(self.cursors.len()).unwrap_or(u32::MAX);
            self.cursors = (0..known).map(|number| self.read_cursor(number)).collect::<Result<_>>()?;
            self.cursor_changes = changes;
        }
        Ok(())
    }

    pub(super) fn load_cursor(&mut self, number: u32) -> Result<()> {
        let cursor = self.read_cursor(number)?;
        let name = self.files.texts.read(cursor.name)?;
        let key = if cursor.whole() { "".into() } else { self.files.texts.read(cursor.key)? };
        if cursor.whole() && self.loaded.cursors == 0 {
            self.files.work.flush()?; // an earlier version has left that to the kernel, and it cannot be derived again
        }
        self.know_lane(cursor.lane)?;
        let others = self.cursors_of.entry(Arc::clone(&name)).or_default();
        let event = event_of(&key);
        let mut kin = SmallVec::new();
        for other in others.iter() {
            let others_event = event_of(&self.cursor_keys[*other as usize]);
            if event.is_empty() || others_event.is_empty() || event == others_event {
                kin.push(*other);
                self.kin[*other as usize].push(number);
            }
        }
        others.push(number);
        self.kin.push(kin);
        self.cursor_names.push(name);
        self.cursor_keys.push(key);
        self.cursors.push(cursor);
        Ok(())
    }

    /// The name of the events of a cursor; empty where an earlier version has mixed all.
    pub(super) fn event_of(&self, cursor: u32) -> &str {
        event_of(&self.cursor_keys[cursor as usize])
    }

    pub(super) fn load_new(&mut self) -> Result<()> {
        for number in self.loaded.cursors..self.counts.cursors {
            self.load_cursor(number)?;
            self.loaded.cursors += 1;
        }
        let fresh = self.loaded.targets..self.counts.targets;
        for number in fresh.clone() {
            let target = self.target(number)?;
            let name = self.files.texts.read(target.name)?;
            self.by_name.insert(Arc::clone(&name), number);
            self.know_lane(target.lane)?;
            self.known.push(KnownTarget { name, ..KnownTarget::default() });
            self.loaded.targets += 1;
        }
        for number in self.loaded.subscriptions..self.counts.subscriptions {
            let subscription = self.subscription(number)?;
            if self.files.subscriptions.is_torn(number)? {
                // The sound half may be the older one, and not know of work that was added.
                return Err(Error::index_damaged("reactions/subscriptions", u64::from(number) * 128));
            }
            self.by_pair.insert((subscription.reaction, subscription.target), number);
            if let Some(known) = self.known.get_mut(subscription.target as usize) {
                known.subscriptions.push(number);
            }
            self.loaded.subscriptions += 1;
        }
        self.loaded = self.counts;
        fresh.into_iter().try_for_each(|number| self.stand(number))
    }

    pub(super) fn know_lane(&mut self, at: u64) -> Result<()> {
        if at != 0 && !self.lane_texts.values().any(|known| *known == at) {
            self.lane_texts.insert(self.files.texts.read(at)?, at);
        }
        Ok(())
    }
}

/// The event's name in a cursor's key; empty where there is none.
fn event_of(key: &str) -> &str {
    key.split('\0').next().unwrap_or_default()
}
