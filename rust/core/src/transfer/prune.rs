//! Pruning: what lies below the event that closes a stream's books, and holds its state, is emptied.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use regex::Regex;

use crate::clock::now_us;
use crate::disk::Disk;
use crate::error::Result;
use crate::log::record::{KeyKind, Kind, Preamble, Stored};
use crate::pattern;
use crate::payload::gone::PRUNED;
use crate::read::walk::each_event;
use crate::store::log::Log;
use crate::transfer::rewrite::{Note, Progress, Rewriting, Rewritten, Rule};
use crate::write::once::KEY_TAG;

/// For how long an event is kept whose commit is known by a key: a repetition is answered by what is in it.
const KEY_KEPT_US: i64 = 30 * 24 * 60 * 60 * 1_000_000;
/// How the payload of an event begins that holds its stream's state.
const HOLDS_STATE: &[u8] = br#"{"state":"#;

/// What may be pruned.
#[derive(Clone, Debug, Default)]
pub struct Pruning {
    /// The names of the events that close a stream's books.
    pub closings: Vec<String>,
    /// Only streams in whose name this regular expression is found.
    pub pattern: Option<String>,
    /// Nothing above this position.
    pub upto: Option<u64>,
}

/// What there is to prune.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prunable {
    /// How many events of each name, and how many bytes their payloads have.
    pub names: BTreeMap<String, (u64, u64)>,
    /// In how many streams.
    pub streams: u64,
    /// The position of the last one; 0 when there is none.
    pub last: u64,
    /// How many events stay because they have tags, which decisions across streams count on, or because a key may still be
    /// asked for whose answer they are part of.
    pub tagged: u64,
}

impl Prunable {
    /// How many events.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.names.values().map(|(events, _)| events).sum()
    }

    /// How many bytes of payload would go.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let all: u64 = self.names.values().map(|(_, bytes)| bytes).sum();
        all.saturating_sub(self.events() * PRUNED.len() as u64)
    }
}

impl Log {
    /// What there is to prune now, as far as the log is published.
    pub fn prunable(&self, pruning: &Pruning, progress: Progress<'_>) -> Result<Prunable> {
        let end = self.head()? + 1;
        self.reading(|index| {
            let mut survey = Survey::new(pruning)?;
            for counting in [false, true] {
                let mut at = 0;
                each_event(self, index, 1..end, |commit, _| {
                    if commit.place != at {
                        at = commit.place;
                        progress(commit.head.position + if counting { end } else { 0 }, 2 * end)?;
                        if counting { survey.count(commit) } else { survey.look(commit) }
                    }
                    Ok(true)
                })?;
            }
            Ok(survey.found)
        })
    }
}

/// Empty what may be pruned in the store on a disk, which nobody may have open. What was done is told by an event of that
/// stream and name. None: there was nothing to prune, and nothing was changed.
pub fn prune(
    disk: &Arc<dyn Disk>,
    pruning: &Pruning,
    stream: &str,
    name: &str,
    meta: &[u8],
    progress: Progress<'_>,
) -> Result<Option<(Prunable, Rewritten)>> {
    let mut survey = Survey::new(pruning)?;
    let rewriting = Rewriting::begin(disk, "prune")?;
    let each = |take: &mut dyn FnMut(&Preamble<'_>)| {
        rewriting.each(|found| {
            if found.head.kind == Kind::Commit {
                take(&rewriting.commit(found)?);
            }
            Ok(())
        })
    };
    each(&mut |commit| survey.look(commit))?;
    each(&mut |commit| survey.count(commit))?;
    let found = survey.found.clone();
    if found.events() == 0 {
        return Ok(None);
    }
    let data = format!(
        r#"{{"events":{},"bytes":{},"streams":{},"upto":{}}}"#,
        found.events(),
        found.bytes(),
        found.streams,
        found.last
    );
    let note = Note { stream, name, data: data.as_bytes(), meta };
    let done = rewriting.finish(&mut survey, &note, progress)?;
    Ok(Some((found, done)))
}

/// What is to be pruned, found in two walks: which stream was closed at which version, and what lies below.
struct Survey<'a> {
    pruning: &'a Pruning,
    pattern: Option<Regex>,
    /// The keys of the events that close a stream.
    closings: Vec<u32>,
    names: HashMap<u32, String>,
    /// The tags that only say by which key a commit is known.
    keys: HashSet<u32>,
    /// Keys since then may still be asked for.
    old_us: i64,
    /// The streams that are meant, each with the version of the event that closed it last.
    closed: HashMap<u32, u64>,
    /// The streams that a young key was used for, each with the version of the event that closed it last before that: from
    /// there on, the state that the key is answered with is folded.
    asked: HashMap<u32, u64>,
    meant: HashMap<u32, bool>,
    seen: HashSet<u32>,
    found: Prunable,
}

impl<'a> Survey<'a> {
    fn new(pruning: &'a Pruning) -> Result<Self> {
        Ok(Self {
            pruning,
            pattern: pruning.pattern.as_deref().map(pattern::compile).transpose()?,
            closings: Vec::new(),
            names: HashMap::new(),
            keys: HashSet::new(),
            old_us: now_us() - KEY_KEPT_US,
            closed: HashMap::new(),
            asked: HashMap::new(),
            meant: HashMap::new(),
            seen: HashSet::new(),
            found: Prunable::default(),
        })
    }

    fn look(&mut self, commit: &Preamble<'_>) {
        for each in commit.definitions() {
            match each.kind {
                KeyKind::Stream => {
                    if let Some(pattern) = &self.pattern {
                        self.meant.insert(each.key, pattern.is_match(each.text));
                    }
                }
                KeyKind::Name => {
                    self.names.insert(each.key, each.text.to_owned());
                    if self.pruning.closings.iter().any(|name| name == each.text) {
                        self.closings.push(each.key);
                    }
                }
                KeyKind::Tag => {
                    if each.text.starts_with(KEY_TAG) {
                        self.keys.insert(each.key);
                    }
                }
            }
        }
        if commit.head.created > self.old_us
            && commit.events().any(|event| event.tags.keys().any(|tag| self.keys.contains(&tag)))
        {
            for event in commit.events() {
                let closing = self.closed.get(&event.stream).copied().unwrap_or(0);
                self.asked.entry(event.stream).or_insert(closing);
            }
        }
        if self.closings.is_empty() {
            return;
        }
        for event in commit.events() {
            if self.closings.contains(&event.name)
                && event.data.starts_with(HOLDS_STATE)
                && self.meant.get(&event.stream).copied().unwrap_or(true)
            {
                self.closed.insert(event.stream, event.version);
            }
        }
    }

    fn count(&mut self, commit: &Preamble<'_>) {
        for event in commit.events() {
            if !self.is_below(&event) {
                continue;
            }
            if self.is_wanted(&event) {
                self.found.tagged += 1;
                continue;
            }
            let name = self.names.get(&event.name).cloned().unwrap_or_default();
            let of_name = self.found.names.entry(name).or_default();
            of_name.0 += 1;
            of_name.1 += event.data.len() as u64;
            self.found.last = event.position;
            self.found.streams += u64::from(self.seen.insert(event.stream));
        }
    }

    /// Whether an event stays although its stream's books were closed: for its tags, unless all it has is a key, or because
    /// the answer to a young key is folded from it.
    fn is_wanted(&self, event: &Stored<'_>) -> bool {
        self.asked.get(&event.stream).is_some_and(|closing| event.version >= *closing)
            || event.tags.keys().any(|tag| !self.keys.contains(&tag))
    }

    fn is_below(&self, event: &Stored<'_>) -> bool {
        self.closed.get(&event.stream).is_some_and(|closing| event.version < *closing)
            && self.pruning.upto.is_none_or(|upto| event.position <= upto)
            && event.data != PRUNED
    }
}

impl Rule for Survey<'_> {
    fn payload(&mut self, event: &Stored<'_>) -> Result<Option<&[u8]>> {
        Ok((!self.is_wanted(event) && self.is_below(event)).then_some(PRUNED))
    }

    fn keeps(&self, stream: u32, version: u64) -> bool {
        let begins = self.asked.get(&stream).or_else(|| self.closed.get(&stream));
        begins.is_none_or(|closing| version >= *closing)
    }
}
