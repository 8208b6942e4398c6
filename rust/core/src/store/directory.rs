//! What lies in a directory: a store, nothing yet, or something else.

use crate::disk::Disk;
use crate::error::{Doing, Error, Result};
use crate::index;
use crate::log::segments;
use crate::reaction_files;
use crate::shared::{control, handles};
use crate::store::staging;

/// What others keep in the store's folder that they can rebuild from the log.
pub(crate) const DERIVED: &str = "analytics";
/// Where it is kept how far a replica has come.
const REPLICA: &str = "replica";
/// What may lie in the folder of a store that is not yet made.
const OWN_NAMES: [&str; 9] = [
    segments::FOLDER,
    index::FOLDER,
    handles::FOLDER,
    reaction_files::FOLDER,
    staging::FOLDER,
    control::CONTROL,
    "control.new",
    DERIVED,
    REPLICA,
];

/// A store id that no other store has.
pub(crate) fn new_store_id() -> [u8; 16] {
    use std::hash::{BuildHasher, RandomState};
    let mut id = [0; 16];
    for half in id.chunks_exact_mut(8) {
        half.copy_from_slice(&RandomState::new().hash_one(std::process::id()).to_le_bytes());
    }
    id
}

/// Whether there is a store; an error when there is something else.
pub(crate) fn look(disk: &dyn Disk) -> Result<bool> {
    let what = || format!("looking into {}", disk.describe());
    let names = match disk.list("") {
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            let place = disk.describe();
            return Err(Error::Format(format!("{place} is a file; a store is a directory: choose another path")));
        }
        names => names.doing(what)?,
    };
    if disk.list(segments::FOLDER).doing(what)?.iter().any(|name| name.ends_with(".seg")) {
        return Ok(true);
    }
    match names.iter().find(|name| !OWN_NAMES.contains(&name.as_str())) {
        Some(foreign) => Err(Error::Format(format!(
            "{} is not an act-fast store and not empty (it contains {foreign:?}); choose a new or empty directory",
            disk.describe()
        ))),
        None => Ok(false),
    }
}
