//! The files that all processes share, opened, or made where they are missing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::disk::{Access, Disk, fill};
use crate::error::{Doing, Error, Result};
use crate::shared::line::SharedLine;
use crate::shared::line_file::Grown;

use super::FOLDER;
use super::cell::Cells;
use super::texts::Texts;
use super::work::Work;

pub(crate) const TARGETS: u8 = 64;
pub(crate) const SUBSCRIPTIONS: u8 = 65;
pub(crate) const CURSORS: u8 = 66;
const COUNTS: u8 = 67;
const TEXTS: u8 = 68;
const WORK: u8 = 69;
const CHANGES: u8 = 70;
const SKIPPED: u8 = 71;
const ALL: [(&str, u8); 8] = [
    ("targets", TARGETS),
    ("subscriptions", SUBSCRIPTIONS),
    ("cursors", CURSORS),
    ("counts", COUNTS),
    ("texts", TEXTS),
    ("work", WORK),
    ("changes", CHANGES),
    ("skipped", SKIPPED),
];

/// The files that are kept for all.
pub(crate) const AREAS: [u8; 7] = [TARGETS, SUBSCRIPTIONS, CURSORS, COUNTS, TEXTS, WORK, SKIPPED];

/// How many changes the ring holds; eight to a line.
pub(crate) const RING: u64 = 1 << 14;
const RING_HEAD_LINE: u64 = 1;
const RING_LINE: u64 = 2;

/// The area of a file, by its name.
pub(crate) fn area_of(name: &str) -> Option<u8> {
    let name = name.strip_prefix(FOLDER)?.strip_prefix('/')?;
    ALL.iter().find(|(known, _)| *known == name).map(|(_, area)| *area)
}

#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) targets: Cells,
    pub(crate) subscriptions: Cells,
    pub(crate) cursors: Cells,
    pub(crate) counts: Cells,
    pub(crate) texts: Texts,
    pub(crate) work: Work,
    /// What was stepped over by hand; younger than the other files, so that it may be missing.
    pub(crate) skipped: Texts,
    changes: Grown,
}

/// What is kept of reactions and is not derived.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) targets: Cells,
    pub(crate) subscriptions: Cells,
    pub(crate) cursors: Cells,
    pub(crate) counts: Cells,
    pub(crate) texts: Texts,
    /// Not derived where an earlier version has mixed the events of all names.
    pub(crate) work: Option<Work>,
    pub(crate) skipped: Option<Texts>,
}

impl Files {
    /// Open the files, or make them. Under the lock. Answers also whether one that was there before is missing or damaged.
    pub(crate) fn open(disk: &Arc<dyn Disk>, store_id: &[u8; 16]) -> Result<(Self, bool)> {
        let (mut made, mut damaged) = (0, false);
        let mut open = |name: &str, area| -> Result<Grown> {
            let name = format!("{FOLDER}/{name}");
            match Grown::open_or_clear(disk, name.clone(), area, store_id, 1) {
                Ok((file, cleared)) => {
                    damaged |= cleared;
                    Ok(file)
                }
                Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                    made += 1;
                    Grown::create(disk, name, area, store_id, 1, 0)
                }
                Err(error) => Err(error),
            }
        };
        let skipped = match Grown::open_or_clear(disk, format!("{FOLDER}/skipped"), SKIPPED, store_id, 1) {
            Ok((file, _)) => file,
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Grown::create(disk, format!("{FOLDER}/skipped"), SKIPPED, store_id, 1, 0)?
            }
            Err(error) => return Err(error),
        };
        let files = Self {
            targets: Cells::new(open("targets", TARGETS)?),
            subscriptions: Cells::new(open("subscriptions", SUBSCRIPTIONS)?),
            cursors: Cells::new(open("cursors", CURSORS)?),
            counts: Cells::new(open("counts", COUNTS)?),
            texts: Texts::new(open("texts", TEXTS)?),
            work: Work::new(open("work", WORK)?),
            changes: open("changes", CHANGES)?,
            skipped: Texts::new(skipped),
        };
        files.changes.reserve(RING_LINE + RING / 8)?;
        files.counts.reserve(1)?;
        // A flush of the files is worth nothing while a power cut can take their names. Also when they were there before:
        // the process that made them may have died before that.
        disk.sync_folder(FOLDER).and_then(|()| disk.sync_folder("")).doing(|| format!("syncing {FOLDER}"))?;
        let fresh = made == 7;
        Ok((files, damaged || (made > 0 && !fresh)))
    }

    /// Have the blocks of all that is there: a copy may have come without some, or share them with its original.
    pub(crate) fn fill(disk: &dyn Disk) -> Result<()> {
        let names = disk.list(FOLDER).doing(|| format!("listing {FOLDER}"))?;
        for (name, _) in ALL.iter().filter(|(name, _)| names.iter().any(|known| known == name)) {
            let name = format!("{FOLDER}/{name}");
            let file = disk.open(&name, Access::Write).doing(|| format!("opening {name}"))?;
            fill(&*file, &name, false)?;
        }
        Ok(())
    }

    /// Open what is not derived, to read it while others go on; None where there is nothing.
    pub(crate) fn open_to_read(disk: &Arc<dyn Disk>, store_id: &[u8; 16]) -> Result<Option<Kept>> {
        let open = |name: &str, area| Grown::open(disk, format!("{FOLDER}/{name}"), area, store_id, 1, false);
        let counts = match open("counts", COUNTS) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            counts => Cells::new(counts?),
        };
        Ok(Some(Kept {
            counts,
            targets: Cells::new(open("targets", TARGETS)?),
            subscriptions: Cells::new(open("subscriptions", SUBSCRIPTIONS)?),
            cursors: Cells::new(open("cursors", CURSORS)?),
            texts: Texts::new(open("texts", TEXTS)?),
            work: if_there(open("work", WORK)).or_else(unless_io)?.map(Work::new),
            skipped: if_there(open("skipped", SKIPPED))?.map(Texts::new),
        }))
    }

    /// Whether any of the files belongs to another store: they ran on the log that was here before this one.
    pub(crate) fn any_foreign(disk: &Arc<dyn Disk>, store_id: &[u8; 16]) -> Result<bool> {
        let names = disk.list(FOLDER).doing(|| format!("listing {FOLDER}"))?;
        for (name, area) in ALL.iter().filter(|(name, _)| names.iter().any(|known| known == name)) {
            if Grown::foreign(disk, format!("{FOLDER}/{name}"), *area, store_id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many changes there have ever been.
    pub(crate) fn ring_head(&self) -> Result<&AtomicU64> {
        Ok(&self.changes.shared(RING_HEAD_LINE)?[0])
    }

    /// How often cursors have been changed: what a process remembers of them holds until this number is another one.
    pub(crate) fn cursor_changes(&self) -> Result<&AtomicU64> {
        Ok(&self.changes.shared(RING_HEAD_LINE)?[1])
    }

    /// The target that a change was of.
    pub(crate) fn change(&self, number: u64) -> Result<u32> {
        let (line, at) = self.slot(number)?;
        Ok(line[at].load(Ordering::SeqCst) as u32)
    }

    pub(crate) fn put_change(&self, number: u64, target: u32) -> Result<()> {
        let (line, at) = self.slot(number)?;
        line[at].store(u64::from(target), Ordering::SeqCst);
        Ok(())
    }

    fn slot(&self, number: u64) -> Result<(&SharedLine, usize)> {
        let slot = number % RING;
        Ok((self.changes.shared(RING_LINE + slot / 8)?, (slot % 8) as usize))
    }

    /// The file of an area, but for what each process keeps for itself.
    pub(crate) fn grown(&self, area: u8) -> Option<&Grown> {
        Some(match area {
            TARGETS => self.targets.file(),
            SUBSCRIPTIONS => self.subscriptions.file(),
            CURSORS => self.cursors.file(),
            COUNTS => self.counts.file(),
            TEXTS => self.texts.file(),
            WORK => self.work.file(),
            SKIPPED => self.skipped.file(),
            _ => return None,
        })
    }

    /// Forget all lines.
    pub(crate) fn clear(&self) -> Result<()> {
        ALL.iter().filter_map(|(_, area)| self.grown(*area)).try_for_each(Grown::clear)
    }

    pub(crate) fn flush(&self) -> Result<()> {
        self.texts.flush()?;
        self.skipped.flush()?;
        self.targets.flush()?;
        self.subscriptions.flush()?;
        self.cursors.flush()?;
        self.counts.flush()
    }
}

/// Nothing where a file is damaged: what is derived can be derived again.
fn unless_io(error: Error) -> Result<Option<Grown>> {
    if matches!(error, Error::Io { .. }) { Err(error) } else { Ok(None) }
}

/// What was opened, or nothing where there is no such file.
fn if_there(opened: Result<Grown>) -> Result<Option<Grown>> {
    match opened {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}
