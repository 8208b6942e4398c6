//! Adding a commit to the index by the one who makes it, and so need not read what it is made of; nor what the commit
//! before has left of the index, as long as nobody else has written since.

use crate::error::Result;
use crate::log::record::{Definition, KeyKind, LogState};
use crate::shared::control::IndexState;

use super::filling::{OpenKey, PlacesLine};
use super::{Index, Key};

/// How many event names stay at hand.
const NAMES_MAX: usize = 16;

/// What the last commit through a handle has left of the index.
#[derive(Debug, Default)]
pub(crate) struct Warm {
    /// All but the names' numbers is true of this index, while the log ends here, with this checksum.
    of: Option<(u32, u64, u32)>,
    state: IndexState,
    places: PlacesLine,
    names: Vec<WarmName>,
}

/// An event name. Its number never changes.
#[derive(Debug)]
struct WarmName {
    text: String,
    /// Whether the key is as it was left.
    current: bool,
    open: OpenKey,
}

impl Warm {
    /// Have it be true of an index when the log has come to `log`; the state of the index then. Only for the holder of the
    /// writer's lock.
    pub(crate) fn at(&mut self, index: &Index, log: &LogState) -> Result<IndexState> {
        let more = self.names.len().saturating_sub(NAMES_MAX);
        self.names.drain(..more);
        let wanted = Some((index.generation, log.tail, log.crc));
        if self.of != wanted {
            self.forget();
            self.state = index.control.index_state()?;
            self.of = wanted;
        }
        Ok(self.state)
    }

    /// All that was added is in the index, and the log has come to `log`.
    pub(crate) fn done(&mut self, index: &Index, log: &LogState) {
        self.of = Some((index.generation, log.tail, log.crc));
    }

    /// Let go of what may be true no longer.
    pub(crate) fn forget(&mut self) {
        self.of = None;
        self.places = PlacesLine::default();
        self.names.iter_mut().for_each(|name| name.current = false);
    }

    /// The key of an event name; None where there is none yet.
    #[inline]
    pub(crate) fn name(&mut self, index: &Index, text: &str) -> Result<Option<(u32, Key)>> {
        let Some(at) = self.names.iter().position(|name| name.text == text) else {
            let found = index.find(KeyKind::Name, text)?;
            if let Some((number, key)) = found {
                self.keep_name(text, number, key);
            }
            return Ok(found);
        };
        let name = &mut self.names[at];
        if !name.current {
            let number = name.open.number;
            name.open = OpenKey::new(number, index.key(number)?);
            name.current = true;
        }
        Ok(Some((name.open.number, name.open.key)))
    }

    fn keep_name(&mut self, text: &str, number: u32, key: Key) -> usize {
        self.names.push(WarmName { text: text.to_owned(), current: true, open: OpenKey::new(number, key) });
        self.names.len() - 1
    }

    /// Add a key that the commit brings into being.
    pub(crate) fn define(&mut self, index: &Index, definition: &Definition<'_>) -> Result<()> {
        index.define(definition, &mut self.state)
    }

    /// Begin to add to an event name that `name` has found, or `define` has made; what to call it by until the end.
    #[inline]
    pub(crate) fn open_name(&mut self, index: &Index, text: &str, number: u32) -> Result<usize> {
        let found = self.names.iter().position(|name| name.open.number == number && name.current);
        found.map_or_else(|| Ok(self.keep_name(text, number, index.key(number)?)), Ok)
    }

    /// Add an event of that name.
    #[inline]
    pub(crate) fn add_to_name(&mut self, index: &Index, name: usize, position: u64) -> Result<()> {
        self.names[name].open.push_run(index, position, 1, &mut self.state)
    }

    /// Nothing more is added to it.
    #[inline]
    pub(crate) fn close_name(&mut self, index: &Index, name: usize) -> Result<()> {
        self.names[name].open.close(index)
    }

    /// Add the place of an event.
    #[inline]
    pub(crate) fn add_place(&mut self, index: &Index, position: u64, place: u64) -> Result<()> {
        self.places.put(index, position, place)
    }

    /// No more places are added.
    #[inline]
    pub(crate) fn close_places(&mut self, index: &Index) -> Result<()> {
        self.places.close(index)
    }

    /// Add events with positions from one on to a stream, the last of them with that name.
    #[inline]
    pub(crate) fn add_to_stream(
        &mut self,
        index: &Index,
        (number, key): (u32, Key),
        (position, count): (u64, u64),
        last_name: u32,
    ) -> Result<Key> {
        let mut open = OpenKey::new(number, key);
        open.push_run(index, position, count, &mut self.state)?;
        open.key.last_name = last_name;
        open.close(index)?;
        Ok(open.key)
    }

    /// Add an event to a tag that was opened.
    #[inline]
    pub(crate) fn add_to_tag(&mut self, index: &Index, tag: &mut OpenTag, position: u64) -> Result<()> {
        tag.open.push_run(index, position, 1, &mut self.state)?;
        tag.left -= 1;
        if tag.left == 0 { tag.open.close(index) } else { Ok(()) }
    }
}

/// A tag that is being added to.
#[derive(Debug)]
pub(crate) struct OpenTag {
    open: OpenKey,
    /// How many more events it is to have.
    left: u64,
}

impl OpenTag {
    #[inline]
    pub(crate) fn new(number: u32, key: Key, left: u64) -> Self {
        Self { open: OpenKey::new(number, key), left }
    }
}
