//! Verifying what an archive has for other programs, and act-fast never reads: the manifest, and the Parquet files.

use std::io;
use std::sync::Arc;

use crate::disk::{Disk, Shelf, archive_of, shelf};
use crate::error::{Error, Result};
use crate::log::manifest::{ArchivedFile, Manifest, archived_file};
use crate::log::segments::{self, Segments};

/// An object that is not as it should be, and what is wrong.
type Flaw = (String, String);

/// Compare the manifest with the stubs of `count` log files, and the Parquet files with the manifest. `go_on` is asked before
/// each file.
pub(super) fn check(
    disk: &Arc<dyn Disk>,
    segments: &Segments,
    count: u64,
    go_on: &mut dyn FnMut() -> Result<()>,
) -> Result<Vec<Flaw>> {
    // What is wrong with a stub is told where it is read.
    let archived = |number| archived_file(&segments.afresh(), number).ok().flatten();
    let files: Vec<_> = (0..count).filter_map(archived).collect();
    let Some(address) = archive_of(&**disk)?.filter(|_| !files.is_empty()) else { return Ok(Vec::new()) };
    let away = |error: io::Error| unreachable(&address, &error);
    let shelf = shelf(&address).map_err(away)?;
    let manifest = || Manifest::read(&*shelf, &segments.store_id).map_err(away);
    let mut known = manifest()?;
    let mut found = Vec::new();
    for file in files {
        go_on()?;
        let flaw = |known: &Option<Manifest>| flaw(&address, &*shelf, known.as_ref(), segments, &file).map_err(away);
        if flaw(&known)?.is_some() {
            // Another program may have brought the file back meanwhile, or have archived it again.
            known = manifest()?;
            found.extend(flaw(&known)?.filter(|_| archived(file.number).as_ref() == Some(&file)));
        }
        if known.is_none() {
            break;
        }
    }
    Ok(found)
}

/// The first thing that is wrong with what other programs find of an archived log file.
fn flaw(
    address: &str,
    shelf: &dyn Shelf,
    manifest: Option<&Manifest>,
    segments: &Segments,
    file: &ArchivedFile,
) -> io::Result<Option<Flaw>> {
    let told = |what: String| {
        let what = format!(
            "the manifest of the archive at {address} {what}, so other programs cannot rely on it; this store does not need \
             it. Archive the store again, to the same place, to write it"
        );
        Ok(Some((Manifest::name(&segments.store_id), what)))
    };
    let Some(manifest) = manifest else { return told("is missing, or is no manifest".to_owned()) };
    let name = segments::name(file.number);
    let Some(entry) = manifest.files.iter().find(|entry| entry.file.object == file.object) else {
        return told(format!("does not list {name}"));
    };
    if entry.file != *file {
        return told(format!("says of {name} what is not so"));
    }
    let Some(parquet) = &entry.parquet else { return Ok(None) };
    Ok(parquet.flaw(shelf)?.map(|flaw| {
        let what = format!(
            "the Parquet file of the events from position {} to {} in the archive at {address} {flaw}, so other programs \
             cannot rely on it; this store does not need it. Remove what is there of it, and archive the store again, to \
             the same place, with parquet=True, to write it",
            file.first_position, file.last_position
        );
        (parquet.object.clone(), what)
    }))
}

fn unreachable(address: &str, error: &io::Error) -> Error {
    let message = format!("the archive at {address} could not be read ({error}); verify again when it can be reached");
    Error::Unavailable { file: segments::FOLDER.to_owned(), address: address.to_owned(), message }
}
