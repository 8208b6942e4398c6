//! What streams and event names there are, from the index alone.

use crate::error::{Error, Result};
use crate::index::{Index, Key};
use crate::log::record::KeyKind;
use crate::names;
use crate::pattern;
use crate::read::here::HereReader;
use crate::store::log::Log;

/// How many keys one page looks at before it comes back.
const PAGE_EXAMINED_MAX: u32 = 1 << 16;

/// A stream at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// Its name.
    pub stream: String,
    /// How many events it has.
    pub version: u64,
    /// The position of its first event.
    pub first_position: u64,
    /// The position of its last event.
    pub last_position: u64,
    /// When its first event was created, in µs since 1970.
    pub first_created: i64,
    /// When its last event was created, in µs since 1970.
    pub last_created: i64,
    /// The name of its last event.
    pub last_name: String,
}

/// What of a stream is looked up in its events; all else the index knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looks {
    /// When its first event was created.
    pub first_created: bool,
    /// When its last event was created.
    pub last_created: bool,
    /// The name of its last event.
    pub last_name: bool,
}

impl Looks {
    const ALL: Self = Self { first_created: true, last_created: true, last_name: true };
}

/// Some streams, and where to go on.
#[derive(Clone, Debug)]
pub struct StreamPage {
    /// In the order in which they came to be.
    pub streams: Vec<StreamInfo>,
    /// The stream to go on after; None at the end.
    pub next: Option<String>,
}

impl Log {
    /// Streams in the order in which they came to be, after the stream `after`, at most `limit`.
    pub fn streams(&self, pattern: Option<&str>, after: Option<&str>, limit: usize) -> Result<StreamPage> {
        let pattern = pattern.map(pattern::compile).transpose()?;
        if let Some(after) = after {
            names::check("stream", after)?;
        }
        let head = self.head()?;
        self.reading(|index| {
            let first = match after {
                None => 0,
                Some(after) => match index.find(KeyKind::Stream, after)? {
                    Some((number, _)) => number + 1,
                    None => {
                        return Err(Error::Invalid(format!("there is no stream {after:?} to continue after")));
                    }
                },
            };
            let mut page = StreamPage { streams: Vec::new(), next: None };
            if limit == 0 {
                return Ok(page);
            }
            let keys = self.control.index_state()?.keys;
            let mut last_seen = None;
            let mut here = HereReader::new(self);
            for number in first..keys {
                if page.streams.len() == limit || (number - first >= PAGE_EXAMINED_MAX && last_seen.is_some()) {
                    page.next = last_seen;
                    return Ok(page);
                }
                let key = index.key(number)?;
                if !is_there(&key, head) {
                    continue;
                }
                let text = index.text(&key)?;
                last_seen = Some(text.to_owned());
                if pattern.as_ref().is_none_or(|pattern| pattern.is_match(text)) {
                    page.streams.push(self.stream_info(index, &mut here, &key, head, Looks::ALL)?);
                }
            }
            Ok(page)
        })
    }

    /// Streams as they were when the position `cut` was the last, in the order in which they came to be: about `limit` of
    /// them, and the number of the key to go on from; None at the end. What is not looked up is 0 or empty.
    pub fn streams_at(
        &self,
        cut: u64,
        from: u32,
        limit: usize,
        looks: Looks,
    ) -> Result<(Vec<StreamInfo>, Option<u32>)> {
        let cut = cut.min(self.head()?);
        self.reading(|index| {
            let keys = self.control.index_state()?.keys;
            let end = keys.min(from.saturating_add(PAGE_EXAMINED_MAX));
            let mut streams = Vec::new();
            let mut here = HereReader::new(self);
            for number in from..end {
                if streams.len() >= limit {
                    return Ok((streams, Some(number)));
                }
                let key = index.key(number)?;
                if is_there(&key, cut) {
                    streams.push(self.stream_info(index, &mut here, &key, cut, looks)?);
                }
            }
            Ok((streams, (end < keys).then_some(end)))
        })
    }

    /// The same of one stream, if it was there.
    pub fn stream_at(&self, cut: u64, stream: &str, looks: Looks) -> Result<Option<StreamInfo>> {
        let cut = cut.min(self.head()?);
        self.reading(|index| match index.find(KeyKind::Stream, stream)? {
            Some((_, key)) if is_there(&key, cut) => {
                self.stream_info(index, &mut HereReader::new(self), &key, cut, looks).map(Some)
            }
            _ => Ok(None),
        })
    }

    fn stream_info(
        &self,
        index: &Index,
        here: &mut HereReader<'_>,
        key: &Key,
        cut: u64,
        looks: Looks,
    ) -> Result<StreamInfo> {
        let version = index.count_up_to(key, cut)?;
        let last_position = index.posting(key, version)?;
        let mut first_created = 0;
        if looks.first_created {
            first_created = here.event(index.place(key.first)?, key.first, |event| event.created)?;
        }
        let (mut last_created, mut last_name) = (0, key.last_name);
        let younger = version < key.count;
        if looks.last_created || (looks.last_name && younger) {
            let place = index.place(last_position)?;
            (last_created, last_name) = here.event(place, last_position, |event| (event.created, event.name))?;
        }
        let last_name = if looks.last_name { index.text(&index.key(last_name)?)?.to_owned() } else { String::new() };
        let stream = index.text(key)?.to_owned();
        Ok(StreamInfo {
            stream,
            version,
            first_position: key.first,
            last_position,
            first_created,
            last_created,
            last_name,
        })
    }

    /// How many streams there are.
    pub fn stream_count(&self) -> Result<u64> {
        let head = self.head()?;
        self.reading(|index| {
            let state = self.control.index_state()?;
            let mut count = u64::from(state.streams);
            // The youngest may be of commits that are not published yet.
            for number in (0..state.keys).rev() {
                let key = index.key(number)?;
                if key.count > 0 && key.first <= head {
                    break;
                }
                count -= u64::from(key.kind == KeyKind::Stream);
            }
            Ok(count)
        })
    }

    /// Every event name with how many events have it, in the order in which they came to be.
    pub fn event_names(&self) -> Result<Vec<(String, u64)>> {
        let head = self.head()?;
        self.reading(|index| {
            let mut found = Vec::new();
            let mut next = self.control.index_state()?.last_name;
            while let Some(number) = next.checked_sub(1) {
                let key = index.key(number)?;
                let count = index.count_up_to(&key, head)?;
                if count > 0 {
                    found.push((index.text(&key)?.to_owned(), count));
                }
                if key.name_before >= next {
                    return Err(Error::index_damaged(crate::index::FOLDER, 0));
                }
                next = key.name_before;
            }
            found.reverse();
            Ok(found)
        })
    }
}

/// Whether a key is that of a stream that has events up to a position.
fn is_there(key: &Key, position: u64) -> bool {
    key.kind == KeyKind::Stream && key.count > 0 && key.first <= position
}
