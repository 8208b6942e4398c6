//! Correlating: reading new events once, and finding whom they concern.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::payload::gone::is_gone;
use crate::read::event::EventView;

use super::Reactions;
use super::home::{Events, Home, Texts, Wanted};
use super::spec::Spec;
use super::state::{Shared, Strand};
use super::template::{Resolver, fill};
use crate::reaction_files::records::Cursor;

/// What a step of correlating has done.
#[derive(Debug, Default)]
pub struct Correlated<'a> {
    /// How many events were looked at.
    pub examined: usize,
    /// How many targets are new.
    pub subscribed: usize,
    /// How many events were added to the work of a target.
    pub marked: usize,
    /// What is left for functions to resolve, by reaction.
    pub unresolved: Vec<Unresolved<'a>>,
    /// Events whose templates could not be filled in: `Reactions::hold` says what becomes of their reactions.
    pub failed: Vec<Failed>,
    /// Whether every reaction that does not hold has been correlated up to the head.
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

/// An event whose targets cannot be found: its reaction goes no further.
#[derive(Debug)]
pub struct Failed {
    /// The number of the reaction.
    pub reaction: u32,
    /// The event.
    pub position: u64,
    /// Why, for people.
    pub error: String,
}

/// What a function found for one event: its targets.
pub type Resolved = (u64, Vec<String>);

/// One window of the log, and the reactions that stand at its beginning.
#[derive(Debug)]
pub struct Window {
    /// It begins after this position …
    pub from: u64,
    /// … and ends with this one.
    pub to: u64,
    group: Vec<Group>,
}

impl Window {
    /// The names of the events in it that concern anybody.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.group.iter().flat_map(Group::names).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The events in it that concern anybody.
    fn wanted(&self) -> Wanted {
        let item = |group: &Group| (group.names(), group.spec.tags.clone());
        let items = self.reads_tags().then(|| self.group.iter().map(item).collect());
        Wanted { names: self.names(), items, from: self.from, to: self.to }
    }

    /// Whether the tags of these events are looked at.
    pub fn reads_tags(&self) -> bool {
        self.group.iter().any(|group| !group.spec.tags.is_empty())
    }

    /// Whether the payloads of these events are looked at.
    pub fn reads_data(&self) -> bool {
        self.group.iter().any(|group| group.spec.resolver.reads_data())
    }
}

/// A reaction, and those of its events that have been correlated up to the beginning of a window.
#[derive(Debug)]
struct Group {
    reaction: u32,
    spec: Arc<Spec>,
    strands: Vec<Strand>,
}

/// Events that a function was asked about, each with the cursor that it is of.
#[derive(Debug)]
pub(super) struct Asked {
    from: u64,
    to: u64,
    cursors: Vec<u32>,
    events: Vec<(u64, u32)>,
}

/// The targets of an event, and the cursor that it is of.
type Found = (u64, u32, Vec<String>);

impl<H: Home + Events> Reactions<H> {
    /// The same as `correlate_from`, where the events are at home.
    pub fn correlate(&self, limit: usize) -> Result<Correlated<'_>> {
        self.correlate_from(&self.home, limit)
    }
}

impl<H: Home> Reactions<H> {
    /// Read up to `limit` new events for the reactions that have come the least far.
    pub fn correlate_from<'a>(&self, events: &'a impl Events, limit: usize) -> Result<Correlated<'a>> {
        let cut = events.head()?;
        let Some(window) = self.next_window(cut)? else {
            return Ok(Correlated { caught_up: true, ..Correlated::default() });
        };
        let (found, to) = events.events_of(window.wanted(), limit.max(1))?;
        self.correlate_in(&window, found, to, events.texts())
    }

    /// The window that is to be correlated next, up to a position at most; None when all have come so far.
    pub fn next_window(&self, cut: u64) -> Result<Option<Window>> {
        self.locked(|shared| next_window(shared, cut))
    }

    /// Find whom the events of a window up to a position concern: those that have its names, in order.
    pub fn correlate_in<'a>(
        &self,
        window: &Window,
        events: Vec<EventView<'a>>,
        to: u64,
        texts: &dyn Texts,
    ) -> Result<Correlated<'a>> {
        let mut done = Correlated { examined: events.len(), ..Correlated::default() };
        for group in &window.group {
            let wanted = group.wanted(&events, texts)?;
            let cursors: Vec<u32> = group.strands.iter().map(|strand| strand.cursor).collect();
            let reaction = group.reaction;
            if matches!(group.spec.resolver, Resolver::Function) && !wanted.is_empty() {
                let (events, of) = wanted.into_iter().map(|(event, cursor)| (event, (event.position, cursor))).unzip();
                self.asked().insert(reaction, Asked { from: window.from, to, cursors, events: of });
                done.unresolved.push(Unresolved { reaction, from: window.from, to, events });
                continue;
            }
            let (found, failed) = group.resolve_here(&wanted, texts)?;
            let upto = failed.as_ref().map_or(to, |failed| failed.position - 1);
            let (subscribed, marked) = self.take(reaction, &cursors, window.from, upto, &found)?;
            done.subscribed += subscribed;
            done.marked += marked;
            done.failed.extend(failed);
        }
        Ok(done)
    }

    /// Take what a function found for a reaction's events between two positions. `to` is before the end of what was asked
    /// for when it failed at the event after it. Answers how many targets are new and how many events were added.
    /// If another process has moved a cursor meanwhile, nothing is done for it: it has been done.
    pub fn resolve(&self, reaction: u32, from: u64, to: u64, found: &[Resolved]) -> Result<(usize, usize)> {
        for name in found.iter().flat_map(|(_, targets)| targets) {
            crate::names::check("target", name)?;
        }
        let asked = self.asked().remove(&reaction).filter(|asked| asked.from == from && to <= asked.to);
        let Some(asked) = asked else { return Ok((0, 0)) };
        let mut found_of = Vec::with_capacity(found.len());
        for (position, targets) in found {
            if let Ok(at) = asked.events.binary_search_by_key(position, |(position, _)| *position) {
                found_of.push((*position, asked.events[at].1, targets.clone()));
            }
        }
        self.take(reaction, &asked.cursors, from, to, &found_of)
    }

    /// Subscribe, add to the work of those subscribed, and move cursors that still stand where they were.
    fn take(&self, reaction: u32, cursors: &[u32], from: u64, to: u64, found: &[Found]) -> Result<(usize, usize)> {
        if to <= from {
            return Ok((0, 0));
        }
        let taken = self.locked(|shared| {
            if reaction as usize >= shared.registered.len() {
                return Err(Error::Invalid(format!("there is no reaction number {reaction}")));
            }
            let mut standing = Vec::with_capacity(cursors.len());
            for number in cursors {
                if shared.cursor(*number)?.read == from {
                    standing.push(*number);
                }
            }
            let counted = shared.add_work(reaction, &standing, found)?;
            for number in standing {
                let cursor = shared.cursor(number)?;
                let cursor = if cursor.failing <= to { cursor.freed() } else { cursor };
                shared.put_cursor(number, &Cursor { read: to, ..cursor })?;
                if !cursor.joined {
                    shared.join(number, shared.head)?;
                }
            }
            Ok(counted)
        });
        self.home.moved();
        taken
    }
}

impl Group {
    fn names(&self) -> Vec<String> {
        self.strands.iter().map(|strand| strand.event.clone()).collect()
    }

    /// The events that a reaction listens to, each with its cursor.
    fn wanted<'a>(&self, events: &[EventView<'a>], texts: &dyn Texts) -> Result<Vec<(EventView<'a>, u32)>> {
        let mut names = Answers::default();
        let mut streams = Answers::default();
        let mut tags = Answers::default();
        let mut wanted = Vec::new();
        let cursor_of = |text: &str| self.strands.iter().find(|strand| strand.event == text).map(|own| own.cursor);
        for event in events.iter().filter(|event| !is_gone(event.data)) {
            let Some(cursor) = names.ask(texts, event.name, cursor_of)? else { continue };
            if streams.ask(texts, event.stream, |text| self.spec.source.has(text))?
                && self.spec.has_tags(event, texts, &mut tags)?
            {
                wanted.push((*event, cursor));
            }
        }
        Ok(wanted)
    }

    /// The targets of events, up to the first whose template cannot be filled in.
    fn resolve_here(&self, events: &[(EventView<'_>, u32)], texts: &dyn Texts) -> Result<(Vec<Found>, Option<Failed>)> {
        let mut found = Vec::with_capacity(events.len());
        for (event, cursor) in events {
            let target = match &self.spec.resolver {
                Resolver::Fixed(name) => Ok(name.clone()),
                Resolver::Own => Ok(texts.text(event.stream)?.to_owned()),
                Resolver::Template(pieces) => fill(pieces, event, texts.text(event.stream)?, texts.text(event.name)?),
                Resolver::Function => continue,
            };
            match target {
                Ok(name) => found.push((event.position, *cursor, vec![name])),
                Err(error) => {
                    let failed = Failed { reaction: self.reaction, position: event.position, error };
                    return Ok((found, Some(failed)));
                }
            }
        }
        Ok((found, None))
    }
}

impl Spec {
    /// Whether an event carries all tags that the reaction asks for.
    fn has_tags(&self, event: &EventView<'_>, texts: &dyn Texts, known: &mut Answers<bool>) -> Result<bool> {
        if self.tags.is_empty() {
            return Ok(true);
        }
        let mut found = 0;
        for key in event.tags.keys() {
            found += usize::from(known.ask(texts, key, |text| self.tags.iter().any(|tag| tag == text))?);
        }
        Ok(found == self.tags.len())
    }
}

/// What is asked of texts, each once.
struct Answers<T> {
    answers: std::collections::HashMap<u32, T>,
    last: Option<(u32, T)>,
}

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self { answers: std::collections::HashMap::new(), last: None }
    }
}

impl<T: Copy> Answers<T> {
    fn ask(&mut self, texts: &dyn Texts, key: u32, test: impl FnOnce(&str) -> T) -> Result<T> {
        if let Some((_, answer)) = self.last.filter(|(last, _)| *last == key) {
            return Ok(answer);
        }
        let answer = match self.answers.get(&key) {
            Some(answer) => *answer,
            None => {
                let answer = test(texts.text(key)?);
                self.answers.insert(key, answer);
                answer
            }
        };
        self.last = Some((key, answer));
        Ok(answer)
    }
}

/// The window that starts at the lowest cursor of this program's reactions; None when all have read up to `cut`. Those that
/// are new to an old log, or were away for long, take turns with the others. Who holds is left out until it is tried again.
fn next_window(shared: &mut Shared, cut: u64) -> Result<Option<Window>> {
    let mut near = Vec::new();
    let mut far = Vec::new();
    let mut ends = Vec::new();
    let mut held_until_ms = None::<u64>;
    for (number, registered) in (0..).zip(&shared.registered) {
        let waits = |cursor: &Cursor| cursor.blocked || cursor.due_ms > shared.now_ms;
        let end = shared.held_at(registered, waits)?;
        ends.extend(end);
        for (at, strand) in registered.strands.iter().enumerate() {
            let cursor = shared.cursor(strand.cursor)?;
            if cursor.holds() && waits(&cursor) && !cursor.blocked {
                held_until_ms = Some(held_until_ms.unwrap_or(u64::MAX).min(cursor.due_ms));
            }
            if end.is_some_and(|end| cursor.read >= end) {
                continue;
            }
            let own = (cursor.read, number, at);
            if cursor.joined { near.push(own) } else { far.push(own) }
        }
    }
    shared.held_until_ms = held_until_ms;
    let lowest = |cursors: &[(u64, u32, usize)]| cursors.iter().map(|(read, _, _)| *read).min().filter(|at| *at < cut);
    let (from, cursors) = match (lowest(&near), lowest(&far)) {
        (Some(_), Some(from)) if shared.joined_last => (from, far),
        (Some(from), _) => (from, near),
        (None, Some(from)) => (from, far),
        (None, None) => {
            shared.nothing_to_correlate();
            return Ok(None);
        }
    };
    let reactions: Vec<u32> =
        cursors.iter().filter(|(read, _, _)| *read == from).map(|(_, number, _)| *number).collect();
    if !shared.correlates(from, &reactions) {
        return Ok(None);
    }
    shared.joined_last = !shared.joined_last;
    let ends = cursors.iter().map(|(read, _, _)| *read).chain(ends);
    let to = ends.filter(|end| *end > from).min().unwrap_or(cut).min(cut);
    let mut group: Vec<Group> = Vec::new();
    for (_, number, at) in cursors.into_iter().filter(|(read, _, _)| *read == from) {
        let registered = &shared.registered[number as usize];
        let strand = registered.strands[at].clone();
        match group.last_mut().filter(|last| last.reaction == number) {
            Some(last) => last.strands.push(strand),
            None => {
                let spec = Arc::clone(&registered.spec);
                group.push(Group { reaction: number, spec, strands: vec![strand] });
            }
        }
    }
    Ok(Some(Window { from, to, group }))
}

impl Shared {
    /// How far every reaction of this program has been correlated that has come to where the others are. No reaction
    /// waits for one that holds.
    pub(super) fn cut(&self) -> Result<u64> {
        let (mut near, mut all, mut held) = (None::<u64>, None::<u64>, None::<u64>);
        let lower = |known: Option<u64>, read: u64| Some(known.unwrap_or(u64::MAX).min(read));
        for registered in &self.registered {
            let end = self.held_at(registered, |_| true)?;
            for strand in &registered.strands {
                let cursor = self.cursor(strand.cursor)?;
                if end.is_some_and(|end| cursor.read >= end) {
                    held = lower(held, cursor.read);
                    continue;
                }
                if cursor.joined {
                    near = lower(near, cursor.read);
                }
                all = lower(all, cursor.read);
            }
        }
        Ok(near.or(all).or(held).unwrap_or(0))
    }

    /// A cursor has come to where the others are; or all are there, when none was.
    pub(super) fn join(&mut self, number: u32, head: u64) -> Result<()> {
        let mut cursors = Vec::new();
        for registered in &self.registered {
            let end = self.held_at(registered, |_| true)?;
            for strand in &registered.strands {
                let cursor = self.cursor(strand.cursor)?;
                if end.is_none_or(|end| cursor.read < end) {
                    cursors.push((strand.cursor, cursor));
                }
            }
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

    /// Add what was found for a reaction's events of these cursors.
    fn add_work(&mut self, reaction: u32, cursors: &[u32], found: &[Found]) -> Result<(usize, usize)> {
        let mut by_target: BTreeMap<(&str, u32), Vec<u64>> = BTreeMap::new();
        for (position, cursor, targets) in found.iter().filter(|(_, cursor, _)| cursors.contains(cursor)) {
            for target in targets {
                let positions = by_target.entry((target, *cursor)).or_default();
                if positions.last() != Some(position) {
                    positions.push(*position);
                }
            }
        }
        let mut subscribed = 0;
        let mut marked = 0;
        for ((target, cursor), positions) in by_target {
            let (number, fresh) = self.subscribe(reaction, cursor, target)?;
            subscribed += usize::from(fresh);
            marked += positions.len();
            self.add_positions(number, &positions)?;
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
        if !was_pending {
            self.pass_over(&mut subscription)?;
        }
        self.put_subscription(number, &subscription)?;
        if was_pending { Ok(()) } else { self.changed(subscription.target) }
    }
}
