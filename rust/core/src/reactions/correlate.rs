//! Correlating: reading new events once, and finding whom they concern.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::read::event::EventView;
use crate::read::query::Filter;
use crate::store::log::Log;

use super::Reactions;
use super::spec::{Resolver, Spec, fill};
use super::state::Shared;
use crate::reaction_files::records::Cursor;

/// What a step of correlating has done.
#[derive(Debug)]
pub struct Correlated<'a> {
    /// How many events were looked at.
    pub examined: usize,
    /// How many targets are new.
    pub subscribed: usize,
    /// How many events were added to somebody's work.
    pub marked: usize,
    /// What is left for functions to resolve, by reaction.
    pub unresolved: Vec<Unresolved<'a>>,
    /// Whether every reaction has been correlated up to the head.
    pub caught_up: bool,
}

/// Events whose targets a function of the program has to find. `Reactions::resolve` takes what it found.
#[derive(Debug)]
pub struct Unresolved<'a> {
    /// The number of the reaction.
    pub reaction: u32,
    /// The reaction had been correlated up to here …
    pub from: u64,
    /// … and will have been up to here.
    pub to: u64,
    /// The events in between.
    pub events: Vec<EventView<'a>>,
}

/// What a function found for one event: its targets, or why there is none to be found.
pub type Resolved = (u64, std::result::Result<Vec<String>, String>);

/// One window of the log, and the reactions that stand at its beginning.
struct Window {
    from: u64,
    to: u64,
    group: Vec<(u32, Arc<Spec>)>,
}

impl Reactions {
    /// Read up to `limit` new events for the reactions that have come the least far.
    pub fn correlate(&self, limit: usize) -> Result<Correlated<'_>> {
        let cut = self.log.head()?;
        let mut done = Correlated { examined: 0, subscribed: 0, marked: 0, unresolved: Vec::new(), caught_up: false };
        let Some(window) = self.locked(|shared| next_window(shared, cut))? else {
            done.caught_up = true;
            return Ok(done);
        };
        let (events, to) = self.read_window(&window, limit.max(1))?;
        done.examined = events.len();
        let mut found = Vec::new();
        for (number, spec) in &window.group {
            let wanted = self.wanted(spec, &events)?;
            if matches!(spec.resolver, Resolver::Function) {
                if !wanted.is_empty() {
                    let unresolved = Unresolved { reaction: *number, from: window.from, to, events: wanted };
                    done.unresolved.push(unresolved);
                    continue;
                }
                found.push((*number, Vec::new()));
            } else {
                found.push((*number, self.resolve_here(spec, &wanted)?));
            }
        }
        for (reaction, resolved) in found {
            let (subscribed, marked) = self.resolve(reaction, window.from, to, &resolved)?;
            done.subscribed += subscribed;
            done.marked += marked;
        }
        Ok(done)
    }

    fn read_window(&self, window: &Window, limit: usize) -> Result<(Vec<EventView<'_>>, u64)> {
        let mut names: Vec<String> = window.group.iter().flat_map(|(_, spec)| spec.events.iter().cloned()).collect();
        names.sort_unstable();
        names.dedup();
        let filter =
            Filter { names: Some(names), after: window.from, before: Some(window.to + 1), ..Filter::default() };
        let mut query = self.log.query(&filter)?;
        loop {
            match query.next_page(&self.log, limit)? {
                None => return Ok((Vec::new(), window.to)),
                Some(events) if events.is_empty() => {}
                Some(events) => {
                    let whole = events.len() < limit && query.next_page(&self.log, 1)?.is_none();
                    let last = events.last().map_or(window.to, |event| event.position);
                    return Ok((events, if whole { window.to } else { last }));
                }
            }
        }
    }

    /// The events that a reaction listens to.
    fn wanted<'a>(&'a self, spec: &Spec, events: &[EventView<'a>]) -> Result<Vec<EventView<'a>>> {
        let mut names = Known::default();
        let mut streams = Known::default();
        let mut wanted = Vec::new();
        for event in events {
            let named = names.ask(&self.log, event.name, |text| spec.events.iter().any(|name| name == text))?;
            if named && streams.ask(&self.log, event.stream, |text| spec.source.has(text))? {
                wanted.push(*event);
            }
        }
        Ok(wanted)
    }

    fn resolve_here(&self, spec: &Spec, events: &[EventView<'_>]) -> Result<Vec<Resolved>> {
        let mut resolved = Vec::with_capacity(events.len());
        for event in events {
            let target = match &spec.resolver {
                Resolver::Fixed(name) => Ok(name.clone()),
                Resolver::Own => Ok(self.log.text(event.stream)?.to_owned()),
                Resolver::Template(pieces) => {
                    fill(pieces, event, self.log.text(event.stream)?, self.log.text(event.name)?)
                }
                Resolver::Function => continue,
            };
            resolved.push((event.position, target.map(|name| vec![name])));
        }
        Ok(resolved)
    }

    /// Take what was found for a reaction's events between two positions: subscribe, add to their work, and move the
    /// reaction's cursor. Answers how many targets are new and how many events were added.
    ///
    /// If somebody else has moved the cursor meanwhile, nothing is done: it has been done.
    pub fn resolve(&self, reaction: u32, from: u64, to: u64, found: &[Resolved]) -> Result<(usize, usize)> {
        for name in found.iter().filter_map(|(_, targets)| targets.as_ref().ok()).flatten() {
            crate::names::check("target", name)?;
        }
        let head = self.log.head()?;
        self.locked(|shared| {
            let cursor_number = shared
                .registered
                .get(reaction as usize)
                .ok_or_else(|| Error::Invalid(format!("there is no reaction number {reaction}")))?
                .cursor;
            let mut cursor = shared.cursor(cursor_number)?;
            if cursor.read != from {
                return Ok((0, 0));
            }
            let counted = shared.add_work(reaction, found)?;
            cursor.read = to;
            shared.put_cursor(cursor_number, &cursor)?;
            if !cursor.joined {
                shared.join(cursor_number, head)?;
            }
            Ok(counted)
        })
    }
}

/// Whether texts pass a test, each asked once.
#[derive(Default)]
struct Known {
    answers: std::collections::HashMap<u32, bool>,
    last: Option<(u32, bool)>,
}

impl Known {
    fn ask(&mut self, log: &Log, key: u32, test: impl FnOnce(&str) -> bool) -> Result<bool> {
        if let Some((_, answer)) = self.last.filter(|(last, _)| *last == key) {
            return Ok(answer);
        }
        let answer = match self.answers.get(&key) {
            Some(answer) => *answer,
            None => {
                let answer = test(log.text(key)?);
                self.answers.insert(key, answer);
                answer
            }
        };
        self.last = Some((key, answer));
        Ok(answer)
    }
}

/// The window that starts at the lowest cursor of this program's reactions; None when all have read up to `cut`. Those that
/// are new to an old log, or were away for long, take turns with the others.
fn next_window(shared: &mut Shared, cut: u64) -> Result<Option<Window>> {
    let mut near = Vec::new();
    let mut far = Vec::new();
    for (number, registered) in (0..).zip(&shared.registered) {
        let cursor = shared.cursor(registered.cursor)?;
        let own = (cursor.read, number, Arc::clone(&registered.spec));
        if cursor.joined { near.push(own) } else { far.push(own) }
    }
    let lowest =
        |cursors: &[(u64, u32, Arc<Spec>)]| cursors.iter().map(|(read, _, _)| *read).min().filter(|from| *from < cut);
    let (from, cursors) = match (lowest(&near), lowest(&far)) {
        (Some(_), Some(from)) if shared.joined_last => (from, far),
        (Some(from), _) => (from, near),
        (None, Some(from)) => (from, far),
        (None, None) => return Ok(None),
    };
    shared.joined_last = !shared.joined_last;
    let to = cursors.iter().map(|(read, _, _)| *read).filter(|read| *read > from).min().unwrap_or(cut).min(cut);
    let group = cursors.into_iter().filter(|(read, _, _)| *read == from).map(|(_, number, spec)| (number, spec));
    Ok(Some(Window { from, to, group: group.collect() }))
}

impl Shared {
    /// How far every reaction of this program has been correlated that has come to where the others are.
    pub(super) fn cut(&self) -> Result<u64> {
        let mut near = None;
        let mut all = None;
        for registered in &self.registered {
            let cursor = self.cursor(registered.cursor)?;
            if cursor.joined {
                near = Some(near.unwrap_or(u64::MAX).min(cursor.read));
            }
            all = Some(all.unwrap_or(u64::MAX).min(cursor.read));
        }
        Ok(near.or(all).unwrap_or(0))
    }

    /// A reaction has come to where the others are; or all are there, when none was.
    pub(super) fn join(&mut self, number: u32, head: u64) -> Result<()> {
        let mut cursors = Vec::with_capacity(self.registered.len());
        for registered in &self.registered {
            cursors.push((registered.cursor, self.cursor(registered.cursor)?));
        }
        let near = cursors.iter().filter(|(_, cursor)| cursor.joined).map(|(_, cursor)| cursor.read).min();
        for (at, cursor) in cursors.iter().filter(|(_, cursor)| !cursor.joined) {
            let there = match near {
                Some(near) => *at == number && cursor.read >= near,
                None => cursors.iter().all(|(_, cursor)| cursor.read >= head),
            };
            if there {
                self.put_cursor(*at, &Cursor { joined: true, ..*cursor })?;
            }
        }
        Ok(())
    }

    fn add_work(&mut self, reaction: u32, found: &[Resolved]) -> Result<(usize, usize)> {
        let mut by_target: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        let mut unnamed = Vec::new();
        for (position, targets) in found {
            match targets {
                Ok(targets) => {
                    for target in targets {
                        let positions = by_target.entry(target).or_default();
                        if positions.last() != Some(position) {
                            positions.push(*position);
                        }
                    }
                }
                Err(error) => unnamed.push((*position, error)),
            }
        }
        let mut subscribed = 0;
        let mut marked = 0;
        for (target, positions) in by_target {
            let (number, fresh) = self.subscribe(reaction, target)?;
            subscribed += usize::from(fresh);
            marked += positions.len();
            self.add_positions(number, &positions)?;
        }
        // An event that names no target waits, blocked, under the reaction's own name, so that nothing is lost silently.
        let spec = Arc::clone(&self.registered[reaction as usize].spec);
        for (position, error) in unnamed {
            let (number, fresh) = self.subscribe(reaction, &spec.name)?;
            subscribed += usize::from(fresh);
            marked += 1;
            self.add_positions(number, &[position])?;
            let target_number = self.subscription(number)?.target;
            let mut target = self.target(target_number)?;
            if !target.blocked {
                target.blocked = true;
                target.failing = position;
                self.note_error(&mut target, error)?;
                self.put_target(target_number, &target)?;
            }
        }
        Ok((subscribed, marked))
    }

    fn add_positions(&mut self, number: u32, positions: &[u64]) -> Result<()> {
        let mut subscription = self.subscription(number)?;
        let before = subscription;
        let mut counts = self.counts;
        let lines_before = counts.work_lines;
        self.files.work.add(number, &mut subscription, positions, &mut counts)?;
        if counts.work_lines != lines_before {
            self.counts = counts;
            self.keep_counts()?;
        }
        if subscription == before {
            return Ok(());
        }
        // Work below the watermark, seen again after a crash, is done already.
        if subscription.done_count == before.count && subscription.done > before.last {
            subscription.done_count = self.files.work.count_up_to(&subscription, subscription.done)?;
        }
        let was_pending = before.pending();
        self.put_subscription(number, &subscription)?;
        if was_pending { Ok(()) } else { self.changed(subscription.target) }
    }
}
