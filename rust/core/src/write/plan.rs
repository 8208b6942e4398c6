//! What a commit needs of the index, and whether its streams are at the versions that it expects.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use smallvec::SmallVec;

use crate::error::{Error, Result};
use crate::index::{Buckets, Index, Key, Near, Warm, hash, postings};
use crate::log::builder::{TAG_BYTES_MAX, commit_bytes_max};
use crate::log::record::KeyKind;
use crate::shared::control::IndexState;
use crate::write::commit::Part;

/// A stream, a name or a tag that a commit adds to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touched {
    pub(super) number: u32,
    /// As it was before this commit; None for one that this commit brings into being.
    pub(super) known: Option<Key>,
    pub(super) added: u64,
}

impl Touched {
    #[inline]
    fn count(&self) -> u64 {
        self.known.map_or(0, |key| key.count)
    }

    #[inline]
    pub(super) fn lines(&self) -> u64 {
        postings::lines_needed(self.count(), self.known.map_or(0, |key| key.chunk_start), self.added)
    }
}

/// All that a commit is made of, resolved against the index.
pub(super) struct Plan<'a> {
    /// One for each distinct stream.
    pub(super) streams: SmallVec<[Touched; 1]>,
    /// For each part, which of `streams` it is, and the version before its first event.
    pub(super) parts: SmallVec<[(usize, u64); 1]>,
    /// One for each distinct name.
    pub(super) names: SmallVec<[(&'a str, Touched); 2]>,
    /// For each event, which of `names` it has.
    pub(super) event_names: SmallVec<[u32; 4]>,
    /// One for each distinct tag.
    pub(super) tags: SmallVec<[Touched; 2]>,
    /// Which of `tags` the events have, one event after another, and their keys.
    pub(super) tags_at: SmallVec<[u32; 4]>,
    pub(super) tag_keys: SmallVec<[u32; 4]>,
    pub(super) definitions: SmallVec<[(u32, KeyKind, &'a str); 2]>,
    /// Whether the tags of the first event are followed by the commit's key.
    pub(super) keyed: bool,
}

impl Plan<'_> {
    /// All that the commit adds to.
    #[inline]
    pub(super) fn touched(&self) -> impl Iterator<Item = &Touched> {
        self.streams.iter().chain(self.names.iter().map(|(_, name)| name)).chain(&self.tags)
    }
}

pub(super) fn bytes_max(plan: &Plan<'_>, parts: &[Part<'_>], count: usize, meta_bytes: usize) -> u64 {
    let data = parts.iter().flat_map(|part| part.events).map(|event| event.data.len()).sum();
    let text = plan.definitions.iter().map(|(_, _, text)| text.len()).sum();
    let tags = TAG_BYTES_MAX * plan.tag_keys.len() as u64;
    commit_bytes_max(count, data, meta_bytes, plan.definitions.len(), text) + tags
}

impl<'a> Plan<'a> {
    /// One with nothing in it yet. `keyed`: the tag that is the commit's key comes behind those of its first event.
    #[inline]
    pub(super) fn new(parts: &[Part<'_>], keyed: bool) -> Self {
        Self {
            streams: SmallVec::with_capacity(parts.len()),
            parts: SmallVec::with_capacity(parts.len()),
            names: SmallVec::new(),
            event_names: SmallVec::with_capacity(parts.iter().map(|part| part.events.len()).sum()),
            tags: SmallVec::new(),
            tags_at: SmallVec::new(),
            tag_keys: SmallVec::new(),
            definitions: SmallVec::new(),
            keyed,
        }
    }

    /// Resolve streams, names and tags, and check versions.
    #[inline]
    pub(super) fn resolve(
        &mut self,
        index: &Index,
        state: &IndexState,
        warm: &mut Warm,
        parts: &[Part<'a>],
        near: &[Near<'_>],
        mut key: Option<&'a str>,
    ) -> Result<()> {
        let mut next_key = state.keys;
        let mut define = |definitions: &mut SmallVec<[_; 2]>, kind, text| {
            definitions.push((next_key, kind, text));
            next_key += 1;
            Touched { number: next_key - 1, known: None, added: 0 }
        };
        // Several parts may name the same stream.
        let mut seen = (parts.len() > 1).then(|| Seen::new(index, parts));
        let mut tagged = Tagged::default();
        for (number, part) in parts.iter().enumerate() {
            let at = seen.as_mut().map_or(0, |seen| seen.place_of(index, parts, number));
            if at == self.streams.len() {
                let found = match &seen {
                    Some(seen) => index.find_near(&seen.near_of(parts, number))?,
                    None => find(index, near, KeyKind::Stream, part.stream)?,
                };
                self.streams.push(match found {
                    Some((number, key)) => Touched { number, known: Some(key), added: 0 },
                    None => define(&mut self.definitions, KeyKind::Stream, part.stream),
                });
            }
            let stream = &mut self.streams[at];
            let actual = stream.count() + stream.added;
            if let Some(expected) = part.expected.filter(|expected| *expected != actual) {
                return Err(Error::Conflict { stream: part.stream.to_owned(), expected, actual });
            }
            stream.added += part.events.len() as u64;
            self.parts.push((at, actual));
            for event in part.events {
                let name = match place_of(&self.names, event.name) {
                    Some(at) => at,
                    None => {
                        let touched = match warm.name(index, event.name)? {
                            Some((number, key)) => Touched { number, known: Some(key), added: 0 },
                            None => define(&mut self.definitions, KeyKind::Name, event.name),
                        };
                        self.names.push((event.name, touched));
                        self.names.len() - 1
                    }
                };
                self.names[name].1.added += 1;
                self.event_names.push(name as u32);
                for tag in event.tags.iter().copied().chain(key.take()) {
                    let at = match tagged.find(tag) {
                        Some(at) => at,
                        None => {
                            self.tags.push(match find(index, near, KeyKind::Tag, tag)? {
                                Some((number, key)) => Touched { number, known: Some(key), added: 0 },
                                None => define(&mut self.definitions, KeyKind::Tag, tag),
                            });
                            tagged.add(tag)
                        }
                    };
                    self.tags[at].added += 1;
                    self.tags_at.push(at as u32);
                    self.tag_keys.push(self.tags[at].number);
                }
            }
        }
        Ok(())
    }
}

/// The key with this name. Something may have been found out about it: then it is the same text in the same place.
#[inline]
fn find(index: &Index, near: &[Near<'_>], kind: KeyKind, text: &str) -> Result<Option<(u32, Key)>> {
    match near.iter().find(|near| near.kind == kind && std::ptr::eq(near.text, text)) {
        Some(near) => index.find_near(near),
        None => index.find(kind, text),
    }
}

/// Which of the names of a commit this is. Programs give the same few texts again and again.
#[inline]
fn place_of(names: &[(&str, Touched)], name: &str) -> Option<usize> {
    let same = names.iter().position(|(text, _)| std::ptr::eq(*text, name));
    same.or_else(|| names.iter().position(|(text, _)| *text == name))
}

/// How many tags are found sooner by looking at each than in a map.
const FEW: usize = 16;

/// The tags of a commit that were met, in the order of `Plan::tags`.
#[derive(Default)]
struct Tagged<'a> {
    texts: SmallVec<[&'a str; 4]>,
    /// All of them, once they are more than a few.
    many: Option<HashMap<&'a str, usize>>,
}

impl<'a> Tagged<'a> {
    #[inline]
    fn find(&self, tag: &str) -> Option<usize> {
        match self.texts.len() {
            ..=FEW => self.texts.iter().position(|text| *text == tag),
            _ => self.many.as_ref()?.get(tag).copied(),
        }
    }

    fn add(&mut self, tag: &'a str) -> usize {
        let at = self.texts.len();
        self.texts.push(tag);
        if at == FEW {
            self.many = Some(self.texts.iter().copied().zip(0..).collect());
        } else if let Some(many) = &mut self.many {
            many.insert(tag, at);
        }
        at
    }
}

/// How far ahead of the part that is looked up memory is fetched: first the bucket of its stream, then its key, then what that
/// leads to.
const BUCKETS_AHEAD: usize = 24;
const KEYS_AHEAD: usize = 16;
const REST_AHEAD: usize = 8;

/// Which of the distinct streams each part names. Most of what looking up many streams takes is waiting for memory, so those to
/// come are fetched meanwhile.
struct Seen<'i, 'a> {
    hashes: Vec<u64>,
    buckets: Option<Buckets<'i>>,
    /// Which keys those of the parts to come seem to be.
    keys: [Option<u32>; KEYS_AHEAD],
    /// Which key that of the part that was asked for last seems to be.
    key: Option<u32>,
    places: HashMap<Hashed<'a>, usize, BuildHasherDefault<AsItIs>>,
}

impl<'i, 'a> Seen<'i, 'a> {
    fn new(index: &'i Index, parts: &[Part<'_>]) -> Self {
        let hashes: Vec<u64> = parts.iter().map(|part| hash(KeyKind::Stream, part.stream)).collect();
        let buckets = index.buckets();
        if let Some(buckets) = buckets {
            hashes.iter().take(BUCKETS_AHEAD).for_each(|hash| buckets.fetch(*hash));
        }
        let places = HashMap::with_capacity_and_hasher(parts.len(), BuildHasherDefault::default());
        Self { hashes, buckets, keys: [None; KEYS_AHEAD], key: None, places }
    }

    /// Which one that of a part is: the next, if no part before names it.
    #[inline]
    fn place_of(&mut self, index: &Index, parts: &[Part<'a>], number: usize) -> usize {
        let mut ahead = None;
        if let Some(buckets) = self.buckets {
            if let Some(hash) = self.hashes.get(number + BUCKETS_AHEAD) {
                buckets.fetch(*hash);
            }
            ahead = self.hashes.get(number + KEYS_AHEAD).and_then(|hash| index.fetch_key(buckets, *hash));
        }
        self.key = std::mem::replace(&mut self.keys[number % KEYS_AHEAD], ahead);
        if let Some(ahead) = self.keys[(number + REST_AHEAD) % KEYS_AHEAD] {
            index.fetch_rest(ahead);
        }
        let (hash, next) = (self.hashes[number], self.places.len());
        *self.places.entry(Hashed { hash, text: parts[number].stream }).or_insert(next)
    }

    /// What is known of the stream of the part that `place_of` was asked for last.
    #[inline]
    fn near_of(&self, parts: &[Part<'a>], number: usize) -> Near<'a> {
        Near::new(KeyKind::Stream, parts[number].stream, self.hashes[number], self.key)
    }
}

/// A text with its hash.
#[derive(PartialEq, Eq)]
struct Hashed<'a> {
    hash: u64,
    text: &'a str,
}

impl Hash for Hashed<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// For what has a hash already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, _: &[u8]) {
        unreachable!("hashes are numbers");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
