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
                if key.kind != KeyKind::Stream || key.count == 0 || key.first > head {
                    continue;
                }
                let text = index.text(&key)?;
                last_seen = Some(text.to_owned());
                if pattern.as_ref().is_none_or(|pattern| pattern.is_match(text)) {
                    page.streams.push(self.stream_info(index, &mut here, &key, text, head)?);
                }
            }
            Ok(page)
        })
    }

    fn stream_info(
        &self,
        index: &Index,
        here: &mut HereReader<'_>,
        key: &Key,
        text: &str,
        head: u64,
    ) -> Result<StreamInfo> {
        let version = index.count_up_to(key, head)?;
        let last_position = index.posting(key, version)?;
        let first_created = here.event(index.place(key.first)?, key.first, |event| event.created)?;
        let last_place = index.place(last_position)?;
        let (last_created, last_name) = here.event(last_place, last_position, |event| (event.created, event.name))?;
        Ok(StreamInfo {
            stream: text.to_owned(),
            version,
            first_position: key.first,
            last_position,
            first_created,
            last_created,
            last_name: index.text(&index.key(last_name)?)?.to_owned(),
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
