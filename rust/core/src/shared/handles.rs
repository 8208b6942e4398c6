//! Who is alive: every handle that may write holds the file lock of one slot, and the operating system lets go of it
//! when the process ends, however that happens. A lock word in the control file names its owner's slot.

use crate::disk::{Disk, LockGuard};
use crate::error::{Doing, Error, Result};

/// Locked by a process that opens or closes the store.
pub(crate) const OPENING: &str = "locks/opening";

pub(crate) const FOLDER: &str = "locks";
const SLOTS_MAX: u32 = 1024;

/// This handle's slot.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) number: u32,
    _held: LockGuard,
}

fn name(number: u32) -> String {
    format!("{FOLDER}/slot-{number:04}")
}

/// Take a free slot. Also answers whether any other slot is taken.
pub(crate) fn take(disk: &dyn Disk) -> Result<(Slot, bool)> {
    let what = || "taking a slot among the store's open handles".to_owned();
    let mut mine = None;
    let mut others = false;
    let names = disk.list(FOLDER).doing(what)?;
    let last = names.iter().filter_map(|name| name.strip_prefix("slot-")?.parse::<u32>().ok()).max();
    let known = last.map_or(0, |last| last + 1);
    for number in 0..SLOTS_MAX {
        if mine.is_some() && number >= known {
            break;
        }
        match disk.try_lock(&name(number)).doing(what)? {
            Some(held) if mine.is_none() => mine = Some(Slot { number, _held: held }),
            Some(_) => {}
            None => others = true,
        }
    }
    let slot = mine.ok_or_else(|| {
        Error::Locked(format!(
            "{SLOTS_MAX} handles have this store open for writing, which is the most it allows; close some"
        ))
    })?;
    Ok((slot, others))
}

/// Whether a process holds the slot.
pub(crate) fn alive(disk: &dyn Disk, number: u32) -> bool {
    keep_free(disk, number).is_none()
}

/// Whether anybody has the store open for writing.
pub(crate) fn any_alive(disk: &dyn Disk) -> Result<bool> {
    let names = disk.list(FOLDER).doing(|| "listing the open handles".to_owned())?;
    let numbers = names.iter().filter_map(|name| name.strip_prefix("slot-")?.parse().ok());
    Ok(numbers.into_iter().any(|number| alive(disk, number)))
}

/// Hold a slot that no live process has, so that none can take it.
pub(crate) fn keep_free(disk: &dyn Disk, number: u32) -> Option<LockGuard> {
    // A refusal says nothing about the holder, so it counts as alive.
    disk.try_lock(&name(number)).ok().flatten()
}

/// Keep every process from opening or closing the store meanwhile, if this process may do so.
pub(crate) fn lock_if_allowed(disk: &dyn Disk) -> Result<Option<LockGuard>> {
    match disk.lock(OPENING) {
        Ok(held) => Ok(Some(held)),
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::PermissionDenied
                    | std::io::ErrorKind::ReadOnlyFilesystem
                    | std::io::ErrorKind::NotFound
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error).doing(|| format!("opening {}", disk.describe())),
    }
}
