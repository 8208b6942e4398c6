//! What the engine asks of the place that it runs in: lines that are shared with others, a lock, and news.

use std::fmt::Debug;
use std::sync::Arc;

use crate::disk::Disk;
use crate::error::Result;
use crate::read::event::EventView;
use crate::shared::lock::Guard;

/// The place that the reactions of a program run in: an embedded log, or a mirror of what a database keeps.
pub trait Home: Send + Sync + Debug {
    /// Where the files of reactions are, and what tells the store from all others.
    fn disk(&self) -> (&Arc<dyn Disk>, [u8; 16]);
    /// A number for what ends all leases when it is another one: the start of the machine. 0 where nothing does.
    fn boot(&self) -> u64;
    /// Refuse to go on once closed.
    fn check(&self) -> Result<()>;
    /// Be the only one to work on the lines, seeing what others have done.
    fn lock(&self) -> Result<Section<'_>>;
    /// Whether others see what was done only once it is kept, which may turn out not to be possible.
    fn undoes(&self) -> bool {
        false
    }
    /// Let others see what was done. False: that is still to come.
    fn keep(&self) -> Result<bool> {
        Ok(true)
    }
    /// Bring the lines back to what others see.
    fn undo(&self) -> Result<()> {
        Ok(())
    }
    /// Wake all who wait for news.
    fn wake(&self);
    /// Wake those who wait for targets to move on.
    fn moved(&self);
}

/// Events that reactions are to run for. What is read stays for as long as this does.
pub trait Events {
    /// The last position that readers see.
    fn head(&self) -> Result<u64>;
    /// The events at positions, in order.
    fn events(&self, positions: &[u64]) -> Result<Vec<EventView<'_>>>;
    /// Up to `limit` of the events that are wanted, the first ones; and the position up to which all are among them.
    fn events_of(&self, wanted: Wanted, limit: usize) -> Result<(Vec<EventView<'_>>, u64)>;
    /// Whether an error says that an event is damaged.
    fn is_event_damaged(&self, error: &crate::error::Error) -> bool;
    /// The texts of names and streams.
    fn texts(&self) -> &dyn Texts;
}

/// Which events are to be read.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Those with one of these names …
    pub names: Vec<String>,
    /// … or, where tags matter, those with one of the names and all of the tags of one of these.
    pub items: Option<Vec<(Vec<String>, Vec<String>)>>,
    /// After this position …
    pub from: u64,
    /// … and up to this one.
    pub to: u64,
}

/// Texts by number, as events refer to them.
pub trait Texts {
    /// The text of a number.
    fn text(&self, key: u32) -> Result<&str>;
}

/// A time in which no one else works on the lines.
#[derive(Debug, Default)]
pub struct Section<'a> {
    /// The last position that readers see.
    pub head: u64,
    /// Lines that others have written since the last time, which the engine is not told of in another way.
    pub taken: Vec<Place>,
    /// All lines were read again: what was made of them before holds no more.
    pub anew: bool,
    guard: Option<Guard<'a>>,
}

/// A line: the number of its file's kind, and its number there.
pub type Place = (u8, u64);

impl<'a> Section<'a> {
    /// One in which others have written some lines since the last, or all.
    #[must_use]
    pub fn of_mirror(head: u64, taken: Vec<Place>, anew: bool) -> Self {
        Self { head, taken, anew, guard: None }
    }

    pub(super) fn of_lock(guard: Guard<'a>, head: u64) -> Self {
        Self { head, guard: Some(guard), ..Self::default() }
    }

    /// Whether the process that was here before has died in the middle of it.
    pub(super) fn inherited(&self) -> bool {
        self.guard.as_ref().is_some_and(|guard| guard.inherited)
    }
}
