//! Subscribing reactions to targets, which are made where they are not there.

use std::sync::Arc;

use crate::error::Result;
use crate::reaction_files::records::{FORGOTTEN, Subscription, Target};

use super::spec::Spec;
use super::state::Shared;

impl Shared {
    pub(super) fn lane_at(&mut self, lane: &str) -> Result<u64> {
        if let Some(at) = self.lane_texts.get(lane) {
            return Ok(*at);
        }
        let at = self.write_text(lane)?;
        self.lane_texts.insert(lane.into(), at);
        Ok(at)
    }

    /// The subscription of a registered reaction's cursor on a target; both are made where they are not there.
    pub(super) fn subscribe(&mut self, reaction: u32, cursor: u32, target: &str) -> Result<(u32, bool)> {
        let spec = Arc::clone(&self.registered[reaction as usize].spec);
        let (target_number, fresh) = match self.by_name.get(target) {
            Some(number) => (*number, false),
            None => (self.new_target(target, &spec)?, true),
        };
        if let Some(number) = self.by_pair.get(&(cursor, target_number)) {
            return Ok((*number, false));
        }
        if !fresh {
            self.raise(target_number, &spec)?;
        }
        self.make_room()?;
        let number = self.counts.subscriptions;
        let subscription = Subscription { reaction: cursor, target: target_number, ..Subscription::default() };
        self.files.subscriptions.write(number, subscription.encode())?;
        self.counts.subscriptions += 1;
        self.keep_counts()?;
        self.load_new()?;
        Ok((number, fresh))
    }

    pub(super) fn new_target(&mut self, name: &str, spec: &Spec) -> Result<u32> {
        self.make_room()?;
        let number = self.counts.targets;
        let name_at = self.write_text(name)?;
        let lane = self.lane_at(&spec.lane)?;
        // One that had this number before may have been lost: no process has a lease on this one with its token.
        let token = self.counts.generation;
        let target = Target { name: name_at, lane, priority: spec.priority, token, ..Target::default() };
        self.files.targets.write(number, target.encode())?;
        self.counts.targets += 1;
        self.keep_counts()?;
        self.load_new()?;
        Ok(number)
    }

    /// A later subscription may raise a target's priority, and takes it to its lane then; it never lowers it.
    pub(super) fn raise(&mut self, number: u32, spec: &Spec) -> Result<()> {
        let mut target = self.target(number)?;
        if spec.priority > target.priority {
            target.priority = spec.priority;
            target.lane = self.lane_at(&spec.lane)?;
            self.put_target(number, &target)?;
        }
        Ok(())
    }

    /// Whether no reaction is left that runs under a target.
    pub(super) fn deserted(&self, number: u32) -> Result<bool> {
        for at in &self.known[number as usize].subscriptions {
            if self.subscription(*at)?.done != FORGOTTEN {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
