//! Where a new log is made, and how it comes to its place: by one rename, or by one exchange of two folders.

use std::io;
use std::sync::Arc;

use crate::disk::{Disk, LockGuard};
use crate::error::{Doing, Error, Result};
use crate::index;
use crate::log::segments;
use crate::reaction_files;
use crate::shared::control::CONTROL;
use crate::shared::handles::{self, OPENING};
use crate::store::directory::{self, DERIVED};
use crate::store::staging::{self, Making};
use crate::transfer::backup::check_absent;

/// What a new log is to the one whose place it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kin {
    /// Another log, with an id of its own.
    Another,
    /// The same, with the same events at the same positions, but other bytes.
    Same,
}

/// Where a new log is to be.
#[derive(Debug)]
pub(super) enum Destination {
    /// Where there is no store.
    New { outer: Arc<dyn Disk>, name: String, making: Making },
    /// In the place of the log of a store that nobody has open, and that nobody opens meanwhile.
    Successor { disk: Arc<dyn Disk>, making: Making, _opening: LockGuard },
}

impl Destination {
    pub(super) fn new_store(outer: &Arc<dyn Disk>, name: &str) -> Result<Self> {
        check_absent(outer, name)?;
        let making = Making::begin(outer, &format!("{name}.making"))?;
        Ok(Self::New { outer: Arc::clone(outer), name: name.to_owned(), making })
    }

    /// Also answers how large the log files of the store are that is there.
    /// `purpose`: what for, for people.
    pub(super) fn successor(disk: &Arc<dyn Disk>, purpose: &str) -> Result<(Self, Option<u64>)> {
        let present = directory::look(&**disk)?;
        disk.create_folder(handles::FOLDER).doing(|| format!("making {}", disk.describe()))?;
        let opening = disk.lock(OPENING).doing(|| format!("closing {} to all", disk.describe()))?;
        if handles::any_alive(&**disk)? {
            return Err(Error::Locked(format!(
                "the store at {} is open elsewhere; close it in every program that uses it, then {purpose}",
                disk.describe()
            )));
        }
        let known = if present { segments::read_header(&**disk, 0).ok() } else { None };
        if known.is_some_and(|header| header.replica) {
            let place = disk.describe();
            return Err(Error::Invalid(format!(
                "{place} is the replica of a replicated store, whose log is not this machine's to {purpose}"
            )));
        }
        let making = Making::begin(disk, staging::FOLDER)?;
        let target = Self::Successor { disk: Arc::clone(disk), making, _opening: opening };
        Ok((target, known.map(|header| header.segment_bytes)))
    }

    /// Where the log is made.
    pub(super) fn disk(&self) -> Arc<dyn Disk> {
        match self {
            Self::New { making, .. } | Self::Successor { making, .. } => making.disk(),
        }
    }

    /// Put it in its place. All of it must have been flushed.
    pub(super) fn put_in_place(self, kin: Kin) -> Result<()> {
        match self {
            Self::New { outer, name, making } => {
                check_absent(&outer, &name)?;
                making.place(&name)
            }
            Self::Successor { disk, making, _opening } => {
                let done = replace(&disk, kin);
                // With what was the log before.
                drop(making);
                done
            }
        }
    }
}

fn replace(disk: &Arc<dyn Disk>, kin: Kin) -> Result<()> {
    if kin == Kin::Same {
        drop_derived(disk)?;
    }
    let made = format!("{}/{}", staging::FOLDER, segments::FOLDER);
    let what = || format!("putting the new log of {} in its place", disk.describe());
    if disk.list(segments::FOLDER).doing(what)?.is_empty() {
        disk.rename(&made, segments::FOLDER).doing(what)?;
    } else {
        disk.exchange(&made, segments::FOLDER).map_err(|error| not_exchanged(error, what))?;
    }
    // From here on the new log is there, so no error may say that nothing was changed.
    let synced = disk.sync_folder(staging::FOLDER).and_then(|()| disk.sync_folder(""));
    if kin == Kin::Another {
        // All else tells by the store's id that it belongs to another log, and is rebuilt when it is needed. These would
        // take up room until then.
        for folder in [reaction_files::FOLDER, DERIVED] {
            let _ = disk.remove_folder(folder);
        }
        if synced.is_ok() {
            let _ = adopt(disk);
        }
    }
    synced.map_err(|error| Error::unsynced(&format!("the new log of {}", disk.describe()), &error))
}

/// Put control file and index, which were made with the new log, in the place of the old ones. Where they do not get there, they
/// are made again when the store is opened.
fn adopt(disk: &Arc<dyn Disk>) -> io::Result<()> {
    let made = |name| format!("{}/{name}", staging::FOLDER);
    if !disk.list(index::FOLDER)?.is_empty() {
        disk.remove_folder(index::FOLDER)?;
    }
    disk.rename(&made(index::FOLDER), index::FOLDER)?;
    disk.rename(&made(CONTROL), CONTROL)
}

/// Remove, and for good, what would be taken for that of the new log, since the store's id is the same. The old log, as
/// long as it is there, is as good without it.
fn drop_derived(disk: &Arc<dyn Disk>) -> Result<()> {
    let what = || format!("removing what was derived from the old log of {}", disk.describe());
    let present = disk.list("").doing(what)?;
    for folder in [index::FOLDER, DERIVED].into_iter().filter(|folder| present.iter().any(|name| name == folder)) {
        disk.remove_folder(folder).doing(what)?;
    }
    if present.iter().any(|name| name == CONTROL) {
        disk.remove(CONTROL).doing(what)?;
    }
    disk.sync_folder("").doing(what)
}

fn not_exchanged(error: io::Error, what: impl FnOnce() -> String) -> Error {
    if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput) {
        return Error::Invalid(format!(
            "{}: this file system cannot exchange two folders in one step; restore to a new path instead",
            what()
        ));
    }
    Error::Io { what: what(), source: error }
}
