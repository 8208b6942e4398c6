//! Archiving: sealed log files are put into a folder or an object storage, and a stub takes their place. Told in
//! `docs/keeping.md`.
//!
//! The object is there, was read back and compared, before the stub takes the file's name; and the file is there again
//! before an object is removed. So at any moment each file is whole in one place at least.

use std::io;

use xxhash_rust::xxh3::xxh3_128;

use crate::disk::{self, Shelf, archive_of, put_archive};
use crate::error::{Error, Result};
use crate::fault;
use crate::log::absent::object;
use crate::log::manifest::{ArchivedFile, Entry, Manifest, Parquet, archived};
use crate::log::record::{HEAD_BYTES, Head, KeyKind, Kind};
use crate::log::segments::{self, Segments};
use crate::log::{packing, stub};
use crate::names::REWRITINGS;
use crate::store::compress::Kept;
use crate::store::log::Log;

const PIECE_BYTES: usize = 8 << 20;

/// How the events of archived log files are put there for other programs.
pub struct Readable<'a> {
    /// Makes the Parquet file of a log file's events.
    pub make: &'a mut dyn FnMut(&ArchivedFile) -> Result<Vec<u8>>,
    /// Also make those of files that were archived without.
    pub also_before: bool,
}

impl Log {
    /// Archive the log files whose events are all at or below a position, to an address: the path of a folder, or one with
    /// a scheme. `readable`: also put their events there for other programs. `dry_run`: change nothing, and say what would
    /// be. `progress` hears of bytes done and bytes in all; its error ends the work, which any later call goes on with.
    pub fn archive(
        &self,
        address: &str,
        upto: u64,
        mut readable: Option<Readable<'_>>,
        dry_run: bool,
        progress: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<Kept> {
        self.check_not_replica()?;
        let _keeping = self.keeping(progress)?;
        let shelf = disk::shelf(address).map_err(|error| unreachable(address, &error))?;
        self.adopt(address, &*shelf, dry_run)?;
        if !dry_run {
            self.retell(address, &*shelf)?;
        }
        let without = match &readable {
            Some(Readable { also_before: true, .. }) => self.without_parquet(address, &*shelf)?,
            _ => Vec::new(),
        };
        let mut numbers = Vec::new();
        for number in 0..self.sealed()? {
            let segments = self.fresh_segments();
            if self.last_position_in(&segments, number)? > upto {
                break;
            }
            if segments.packed(number)?.is_none_or(|packed| packed.absent.is_none()) {
                numbers.push(number);
            }
        }
        let total = (numbers.len() + without.len()) as u64 * self.segments.segment_bytes;
        let mut done = (0..).map(|count| count * self.segments.segment_bytes);
        let told = self.reading(|index| index.find(KeyKind::Stream, REWRITINGS))?.map(|(number, _)| number);
        let mut kept = Kept::default();
        // From the first on: earlier versions look at that one, and then refuse the store.
        for number in numbers {
            progress(done.next().unwrap_or(total), total)?;
            let segments = self.fresh_segments();
            let object = match segments.packed(number)? {
                Some(packed) => packed.raw().to_vec(),
                None => packing::pack(&segments, number)?,
            };
            let (contents, stub, made) = stub::stub(&segments, number, &object, told)?;
            kept.segments += 1;
            kept.bytes_before += segments.measure(number)?;
            kept.bytes_after += made.len() as u64;
            kept.readable += u64::from(readable.is_some());
            if !dry_run {
                let file = ArchivedFile::new(&segments.header(number), &contents, &stub);
                put_whole(address, &*shelf, number, &file.object, &object)?;
                let parquet =
                    readable.as_mut().map(|readable| put_parquet(address, &*shelf, &file, readable)).transpose()?;
                self.tell(address, &*shelf, |entries| note(entries, file, parquet))?;
                self.replace(&segments, number, &made)?;
            }
        }
        if let Some(readable) = &mut readable {
            for file in without {
                progress(done.next().unwrap_or(total), total)?;
                kept.readable += 1;
                if !dry_run {
                    let parquet = put_parquet(address, &*shelf, &file, readable)?;
                    self.tell(address, &*shelf, |entries| note(entries, file, Some(parquet)))?;
                }
            }
        }
        progress(total, total)?;
        Ok(kept)
    }

    /// Have all archived log files here again. `remove`: also remove the objects, which backups of this store may refer to.
    pub fn unarchive(
        &self,
        remove: bool,
        dry_run: bool,
        progress: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<Kept> {
        let _keeping = self.keeping(progress)?;
        let files = self.archived()?;
        let total = files.len() as u64 * self.segments.segment_bytes;
        let mut kept = Kept::default();
        for (file, done) in files.iter().rev().zip(0..) {
            progress(done * self.segments.segment_bytes, total)?;
            let segments = self.fresh_segments();
            kept.segments += 1;
            kept.bytes_before += segments.measure(file.number)?;
            kept.bytes_after += file.bytes;
            if !dry_run {
                self.bring_back(&segments, file)?;
            }
        }
        if remove && !dry_run {
            self.remove_objects()?;
        }
        progress(total, total)?;
        Ok(kept)
    }

    /// The log files that are archived.
    pub fn archived(&self) -> Result<Vec<ArchivedFile>> {
        self.check_open()?;
        archived(&self.fresh_segments(), self.segments.number_of(self.control.log_state()?.tail))
    }

    /// The position of the last event that is archived; 0 when none is. Files are archived from the first on.
    pub fn archived_upto(&self) -> Result<u64> {
        self.check_open()?;
        let (mut low, mut high) = (0, self.segments.number_of(self.control.log_state()?.tail));
        if high == 0 || !self.segments.is_archived(0)? {
            return Ok(0);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if self.segments.is_archived(middle)? { low = middle + 1 } else { high = middle }
        }
        Ok(self.segments.packed(low - 1)?.map_or(0, |packed| packed.contents.last_position))
    }

    /// Where the archive of this store is.
    pub fn archive_address(&self) -> Result<Option<String>> {
        self.check_open()?;
        archive_of(&*self.disk)
    }

    /// Have the store refer to an address, at which all is that was archived before.
    fn adopt(&self, address: &str, shelf: &dyn Shelf, dry_run: bool) -> Result<()> {
        let known = archive_of(&*self.disk);
        if matches!(&known, Ok(Some(known)) if known == address) {
            return Ok(());
        }
        if let Some(given) = self.disk.archive() {
            return Err(Error::Invalid(format!(
                "this store was opened with its archive at {given}; archive it there, or open it without saying where"
            )));
        }
        for file in self.archived()? {
            let size = shelf.size(&file.object).map_err(|error| unreachable(address, &error))?;
            if size != Some(file.bytes) {
                let before = known.ok().flatten().unwrap_or_default();
                return Err(Error::Invalid(format!(
                    "{} of this store was archived to {before}, and is not at {address}; archive to the same place, or copy \
                     what is there to {address} first",
                    segments::name(file.number)
                )));
            }
        }
        if dry_run { Ok(()) } else { put_archive(&*self.disk, address) }
    }

    /// The position of the last event in a sealed log file.
    fn last_position_in(&self, segments: &Segments, number: u64) -> Result<u64> {
        if let Some(packed) = segments.packed(number)? {
            return Ok(packed.contents.last_position);
        }
        let next = segments.bytes_up_to(segments.first_place(number + 1), HEAD_BYTES)?;
        Ok(match Head::read(next) {
            Some(head) if head.kind == Kind::Commit => head.position - 1,
            Some(head) => head.position,
            None => self.control.log_state()?.position,
        })
    }

    /// Write the manifest, for people and other programs: all that is at the address, changed as `change` says.
    fn tell(&self, address: &str, shelf: &dyn Shelf, change: impl FnOnce(&mut Vec<Entry>)) -> Result<()> {
        let mut files = self.entries(address, shelf)?;
        change(&mut files);
        files.sort_by_key(|entry| entry.file.number);
        let manifest = Manifest::new(&self.segments.store_id, self.segments.segment_bytes, files);
        manifest.put(shelf).map_err(|error| unreachable(address, &error))?;
        fault::point();
        Ok(())
    }

    /// Write the manifest anew where it was lost, or does not say what is archived.
    fn retell(&self, address: &str, shelf: &dyn Shelf) -> Result<()> {
        let known = self.manifest(shelf).map_err(|error| unreachable(address, &error))?;
        let entries = known.map_or_else(Vec::new, |manifest| manifest.files);
        let listed = |file: &ArchivedFile| entries.iter().any(|entry| entry.file == *file);
        if self.archived()?.iter().all(listed) { Ok(()) } else { self.tell(address, shelf, |_| ()) }
    }

    /// All that is at the address, as the manifest says; and what is archived, whatever it says.
    fn entries(&self, address: &str, shelf: &dyn Shelf) -> Result<Vec<Entry>> {
        let away = |error: io::Error| unreachable(address, &error);
        let mut entries = self.manifest(shelf).map_err(away)?.map_or_else(Vec::new, |manifest| manifest.files);
        for file in self.archived()? {
            if entries.iter().all(|entry| entry.file != file) {
                entries.retain(|entry| entry.file.object != file.object);
                let parquet = Parquet::found(shelf, &file).map_err(away)?;
                entries.push(Entry { file, parquet });
            }
        }
        Ok(entries)
    }

    fn manifest(&self, shelf: &dyn Shelf) -> io::Result<Option<Manifest>> {
        Manifest::read(shelf, &self.segments.store_id)
    }

    /// The archived log files whose events are not there for other programs.
    fn without_parquet(&self, address: &str, shelf: &dyn Shelf) -> Result<Vec<ArchivedFile>> {
        let archived = self.archived()?;
        let mut without = Vec::new();
        for entry in self.entries(address, shelf)?.into_iter().filter(|entry| archived.contains(&entry.file)) {
            let there = entry.parquet.map(|parquet| parquet.is_there(shelf)).transpose();
            if there.map_err(|error| unreachable(address, &error))? != Some(true) {
                without.push(entry.file);
            }
        }
        Ok(without)
    }

    /// Put a log file that is archived in the place of its stub.
    fn bring_back(&self, segments: &Segments, file: &ArchivedFile) -> Result<()> {
        let packed = segments.packed(file.number)?;
        let Some(absent) = packed.and_then(|packed| packed.absent.as_ref()) else { return Ok(()) };
        let object = absent.whole(&*self.disk)?;
        fault::point();
        self.replace(segments, file.number, &object)
    }

    /// Remove the objects of log files that are here again, also those that an earlier call was about to.
    fn remove_objects(&self) -> Result<()> {
        let Some(address) = archive_of(&*self.disk)? else { return Ok(()) };
        let away = |error: io::Error| unreachable(&address, &error);
        let shelf = disk::shelf(&address).map_err(away)?;
        let archived = self.archived()?;
        let told = self.manifest(&*shelf).map_err(away)?.map_or_else(Vec::new, |manifest| manifest.files);
        let mut names: Vec<String> =
            told.into_iter().filter(|entry| !archived.contains(&entry.file)).map(|entry| entry.file.object).collect();
        // Without the manifest, those are found that are still as they were there.
        for number in 0..self.sealed()? {
            let segments = self.fresh_segments();
            if let Some(packed) = segments.packed(number)?.filter(|packed| packed.absent.is_none()) {
                names.push(object(&segments.header(number), xxh3_128(packed.raw())));
            }
        }
        for name in names {
            fault::point();
            shelf.remove(&name).map_err(away)?;
            shelf.remove(&Parquet::name(&name)).map_err(away)?;
        }
        fault::point();
        if !archived.is_empty() {
            return self.tell(&address, &*shelf, |entries| entries.retain(|entry| archived.contains(&entry.file)));
        }
        shelf.remove(&Manifest::name(&self.segments.store_id)).map_err(away)?;
        fault::point();
        disk::forget_archive(&*self.disk)
    }

    /// The objects that have events for other programs: their names, as the manifest lists them.
    pub fn archived_parquet(&self) -> Result<Vec<String>> {
        let Some(address) = self.archive_address()? else { return Ok(Vec::new()) };
        let away = |error: io::Error| unreachable(&address, &error);
        let manifest = self.manifest(&*disk::shelf(&address).map_err(away)?).map_err(away)?;
        let entries = manifest.map_or_else(Vec::new, |manifest| manifest.files);
        Ok(entries.into_iter().filter_map(|entry| entry.parquet).map(|parquet| parquet.object).collect())
    }

    /// An object of the archive.
    pub fn archived_object(&self, name: &str) -> Result<Vec<u8>> {
        let address = self.archive_address()?.unwrap_or_default();
        let read = || {
            let shelf = disk::shelf(&address)?;
            let bytes = shelf.size(name)?.ok_or_else(|| io::Error::other(format!("{name} is not there")))?;
            shelf.read(name, 0, bytes as usize)
        };
        read().map_err(|error| unreachable(&address, &error))
    }
}

/// Have a log file among the entries of a manifest.
fn note(entries: &mut Vec<Entry>, file: ArchivedFile, parquet: Option<Parquet>) {
    match entries.iter_mut().find(|entry| entry.file == file) {
        None => entries.push(Entry { file, parquet }),
        Some(entry) => entry.parquet = parquet.or(entry.parquet.take()),
    }
}

/// Put bytes where they are to be, unless they are there, and see that they are.
fn put_whole(address: &str, shelf: &dyn Shelf, number: u64, name: &str, bytes: &[u8]) -> Result<()> {
    let away = |error: io::Error| unreachable(address, &error);
    if !is_there(shelf, name, bytes).unwrap_or(false) {
        shelf.put(name, bytes).map_err(away)?;
        fault::point();
        if !is_there(shelf, name, bytes).map_err(away)? {
            let what = format!(
                "what was put at {address} was read back and is not what was written, so {} was left as it is: the storage \
                 is at fault",
                segments::name(number)
            );
            return Err(Error::corrupt(name, 0, None, &what));
        }
    }
    fault::point();
    Ok(())
}

/// Put the events of a log file where they are to be for other programs.
fn put_parquet(address: &str, shelf: &dyn Shelf, file: &ArchivedFile, readable: &mut Readable<'_>) -> Result<Parquet> {
    let made = (readable.make)(file)?;
    let object = Parquet::name(&file.object);
    put_whole(address, shelf, file.number, &object, &made)?;
    Ok(Parquet::new(object, &made))
}

/// Whether an object is there and holds what it should.
fn is_there(shelf: &dyn Shelf, name: &str, bytes: &[u8]) -> io::Result<bool> {
    if shelf.size(name)? != Some(bytes.len() as u64) {
        return Ok(false);
    }
    for (piece, at) in bytes.chunks(PIECE_BYTES).zip((0..).step_by(PIECE_BYTES)) {
        if shelf.read(name, at, piece.len())? != piece {
            return Ok(false);
        }
    }
    Ok(true)
}

fn unreachable(address: &str, error: &io::Error) -> Error {
    let message = format!("the archive at {address} cannot be used ({error}); what is not archived yet stays as it is");
    Error::Unavailable { file: segments::FOLDER.to_owned(), address: address.to_owned(), message }
}
