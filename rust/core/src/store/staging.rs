//! A store that is being made: under a name of its own, where nobody takes it for a store, until it is whole.

use std::io;
use std::sync::Arc;

use crate::disk::{Disk, LockGuard, Within};
use crate::error::{Doing, Error, Result};
use crate::index;
use crate::log::segments;
use crate::reaction_files;
use crate::shared::control::CONTROL;
use crate::shared::handles;

/// The folder within a store where its successor is made.
pub(crate) const FOLDER: &str = "making";
const LOCK: &str = "locks/making";
/// How often a folder may be taken away under the hands of who begins in it.
const ATTEMPTS_MAX: u32 = 100;

/// A store that is being made. Unless it is put in its place, it is gone when this is.
#[derive(Debug)]
pub(crate) struct Making {
    outer: Arc<dyn Disk>,
    folder: String,
    /// Kept as long as somebody is at work here.
    _held: LockGuard,
    placed: bool,
}

impl Making {
    /// Begin in a folder of `outer`. What somebody left in it who did not come to the end is removed.
    pub(crate) fn begin(outer: &Arc<dyn Disk>, folder: &str) -> Result<Self> {
        let what = || format!("making {}/{folder}", outer.describe());
        let Some(held) = take(outer, folder).doing(what)? else {
            return Err(Error::Locked(format!(
                "{}/{folder} is being made by another process; wait until it is done",
                outer.describe()
            )));
        };
        let making = Self { outer: Arc::clone(outer), folder: folder.to_owned(), _held: held, placed: false };
        making.clear().doing(what)?;
        Ok(making)
    }

    /// Remove what is left of a store that was being made in a folder, unless somebody is still at it.
    pub(crate) fn remove_leftovers(outer: &Arc<dyn Disk>, folder: &str) -> Result<()> {
        let what = || format!("removing {}/{folder}", outer.describe());
        if outer.list(folder).doing(what)?.is_empty() {
            return Ok(());
        }
        drop(take(outer, folder).doing(what)?.map(|held| Self {
            outer: Arc::clone(outer),
            folder: folder.to_owned(),
            _held: held,
            placed: false,
        }));
        Ok(())
    }

    fn clear(&self) -> io::Result<()> {
        for folder in [segments::FOLDER, reaction_files::FOLDER, index::FOLDER] {
            let folder = format!("{}/{folder}", self.folder);
            if !self.outer.list(&folder)?.is_empty() {
                self.outer.remove_folder(&folder)?;
            }
        }
        let present = self.outer.list(&self.folder)?;
        for name in present.iter().filter(|name| name.starts_with(CONTROL)) {
            self.outer.remove(&format!("{}/{name}", self.folder))?;
        }
        Ok(())
    }

    /// Where it is being made.
    pub(crate) fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(Within::new(&self.outer, &self.folder))
    }

    /// Give it the name that nothing has had so far. All of it must have been flushed.
    pub(crate) fn place(mut self, name: &str) -> Result<()> {
        let what = || format!("giving {}/{} its name", self.outer.describe(), self.folder);
        self.outer.rename(&self.folder, name).doing(what)?;
        self.placed = true;
        let placed = format!("{}/{name}", self.outer.describe());
        self.outer.sync_folder("").map_err(|error| Error::unsynced(&placed, &error))?;
        // Not needed any more, and no harm where it stays.
        let _ = self.outer.remove(&format!("{name}/{LOCK}"));
        Ok(())
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if !self.placed {
            // What cannot be removed now is removed by whoever begins here next.
            let _ = self.outer.remove_folder(&self.folder);
        }
    }
}

/// Take the lock of a folder, making the folder; None where somebody holds it.
fn take(outer: &Arc<dyn Disk>, folder: &str) -> io::Result<Option<LockGuard>> {
    let lock = format!("{folder}/{LOCK}");
    for _ in 0..ATTEMPTS_MAX {
        outer.create_folder(&format!("{folder}/{}", handles::FOLDER))?;
        match outer.try_lock(&lock) {
            Ok(Some(held)) => {
                // The file may have lost its name before it was locked. Then it can be locked once more, or is not there.
                if held.0.is_none() {
                    return Ok(Some(held));
                }
                match outer.try_lock(&lock) {
                    Ok(None) => return Ok(Some(held)),
                    Ok(Some(_)) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("the folder is removed again and again"))
}
