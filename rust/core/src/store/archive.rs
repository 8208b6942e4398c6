//! Archiving: sealed log files are put into a folder or an object storage, and a stub takes their place. Told in
//! `docs/keeping.md`.
//!
//! The object is there, was read back and compared, before the stub takes the file's name; and the file is there again
//! before an object is removed. So at any moment each file is whole in one place at least.

use std::io;

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use crate::disk::{self, Shelf, archive_of, put_archive};
use crate::error::{Error, Result};
use crate::fault;
use crate::log::absent::{Stub, object};
use crate::log::contents::Contents;
use crate::log::record::{HEAD_BYTES, Head, KeyKind, Kind};
use crate::log::segments::{self, Header, Segments};
use crate::log::{packing, stub};
use crate::names::REWRITINGS;
use crate::store::compress::Kept;
use crate::store::log::Log;

const MANIFEST: &str = "manifest.json";
const MANIFEST_FORMAT: u32 = 1;
const PIECE_BYTES: usize = 8 << 20;

/// A log file that is archived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArchivedFile {
    /// Its number in the log.
    pub number: u64,
    /// The object that has its contents: its name below the archive's address.
    pub object: String,
    /// How many bytes the object has.
    pub bytes: u64,
    /// XXH3-128 of the object, in hexadecimal digits.
    pub digest: String,
    /// How many bytes the log file has, unpacked.
    pub plain_bytes: u64,
    /// The position of its first event.
    pub first_position: u64,
    /// The position of its last event; one less than the first where there is none.
    pub last_position: u64,
    /// How many events it has.
    pub events: u64,
    /// The checksum of its last record, which the first one of the next file repeats.
    pub last_record_crc: u32,
}

#[derive(Serialize)]
struct Manifest {
    format: u32,
    store: String,
    segment_bytes: u64,
    files: Vec<ArchivedFile>,
}

impl ArchivedFile {
    fn new(header: &Header, contents: &Contents, stub: &Stub) -> Self {
        Self {
            number: header.number,
            object: object(header, stub.digest),
            bytes: stub.object_bytes,
            digest: format!("{:032x}", stub.digest),
            plain_bytes: contents.plain_bytes,
            first_position: contents.first_position,
            last_position: contents.last_position,
            events: contents.last_position + 1 - contents.first_position,
            last_record_crc: contents.last_crc,
        }
    }
}

impl Log {
    /// Archive the log files whose events are all at or below a position, to an address: the path of a folder, or one with
    /// a scheme. `dry_run`: change nothing, and say what would be. `progress` hears of bytes done and bytes in all; its error
    /// ends the work, which any later call goes on with.
    pub fn archive(
        &self,
        address: &str,
        upto: u64,
        dry_run: bool,
        progress: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<Kept> {
        self.check_not_replica()?;
        let _keeping = self.keeping()?;
        let shelf = disk::shelf(address).map_err(|error| unreachable(address, &error))?;
        self.adopt(address, &*shelf, dry_run)?;
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
        let total = numbers.len() as u64 * self.segments.segment_bytes;
        let told = self.reading(|index| index.find(KeyKind::Stream, REWRITINGS))?.map(|(number, _)| number);
        let mut kept = Kept::default();
        // From the first on: earlier versions look at that one, and then refuse the store.
        for (number, done) in numbers.iter().zip(0..) {
            progress(done * self.segments.segment_bytes, total)?;
            let segments = self.fresh_segments();
            let object = match segments.packed(*number)? {
                Some(packed) => packed.raw().to_vec(),
                None => packing::pack(&segments, *number)?,
            };
            let (contents, stub, made) = stub::stub(&segments, *number, &object, told)?;
            kept.segments += 1;
            kept.bytes_before += segments.measure(*number)?;
            kept.bytes_after += made.len() as u64;
            if !dry_run {
                let file = ArchivedFile::new(&segments.header(*number), &contents, &stub);
                self.put_object(address, &*shelf, file, &object)?;
                self.replace(&segments, *number, &made)?;
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
        let _keeping = self.keeping()?;
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
        let segments = self.fresh_segments();
        let mut files = Vec::new();
        for number in 0..self.segments.number_of(self.control.log_state()?.tail) {
            if let Some(packed) = segments.packed(number)?
                && let Some(absent) = &packed.absent
            {
                files.push(ArchivedFile::new(&segments.header(number), &packed.contents, &absent.stub));
            }
        }
        Ok(files)
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

    /// Put a log file's object where it is to be, and see that it is there.
    fn put_object(&self, address: &str, shelf: &dyn Shelf, file: ArchivedFile, object: &[u8]) -> Result<()> {
        let away = |error: io::Error| unreachable(address, &error);
        if !is_there(shelf, &file.object, object).unwrap_or(false) {
            shelf.put(&file.object, object).map_err(away)?;
            fault::point();
            if !is_there(shelf, &file.object, object).map_err(away)? {
                let what = format!(
                    "what was put at {address} was read back and is not what was written, so {} was left as it is: the \
                     storage is at fault",
                    segments::name(file.number)
                );
                return Err(Error::corrupt(file.object, 0, None, &what));
            }
        }
        fault::point();
        self.tell(shelf, |files| files.push(file)).map_err(away)?;
        fault::point();
        Ok(())
    }

    /// Write the manifest, for people and other programs: all that is archived, changed as `change` says.
    fn tell(&self, shelf: &dyn Shelf, change: impl FnOnce(&mut Vec<ArchivedFile>)) -> io::Result<()> {
        let mut files = self.archived().map_err(io::Error::other)?;
        change(&mut files);
        let store: String = self.segments.store_id.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{store}/{MANIFEST}");
        let manifest = Manifest { format: MANIFEST_FORMAT, store, segment_bytes: self.segments.segment_bytes, files };
        let mut bytes = serde_json::to_vec_pretty(&manifest).map_err(io::Error::other)?;
        bytes.push(b'\n');
        shelf.put(&name, &bytes)
    }

    /// Put a log file that is archived in the place of its stub.
    fn bring_back(&self, segments: &Segments, file: &ArchivedFile) -> Result<()> {
        let packed = segments.packed(file.number)?;
        let absent = packed.and_then(|packed| packed.absent.as_ref());
        let Some(absent) = absent else { return Ok(()) };
        let located = absent.shelf(&*self.disk)?;
        let mut object = Vec::with_capacity(file.bytes as usize);
        while object.len() < file.bytes as usize {
            let len = PIECE_BYTES.min(file.bytes as usize - object.len());
            object.extend_from_slice(&absent.read(&located, object.len(), len)?);
        }
        if xxh3_128(&object) != absent.stub.digest {
            let what = format!("what {} holds is not what was put there; the stub was left as it is", located.address);
            return Err(Error::corrupt(&*file.object, 0, None, &what));
        }
        fault::point();
        self.replace(segments, file.number, &object)
    }

    /// Remove the objects of log files that are here again, also those that an earlier call was about to.
    fn remove_objects(&self) -> Result<()> {
        let Some(address) = archive_of(&*self.disk)? else { return Ok(()) };
        let away = |error: io::Error| unreachable(&address, &error);
        let shelf = disk::shelf(&address).map_err(away)?;
        self.tell(&*shelf, |_| ()).map_err(away)?;
        for number in 0..self.sealed()? {
            let segments = self.fresh_segments();
            if let Some(packed) = segments.packed(number)?.filter(|packed| packed.absent.is_none()) {
                fault::point();
                let name = object(&segments.header(number), xxh3_128(packed.raw()));
                shelf.remove(&name).map_err(away)?;
                shelf.remove(&parquet(&name)).map_err(away)?;
            }
        }
        Ok(())
    }
}

/// The object beside that of a log file which has its events for other programs.
fn parquet(object: &str) -> String {
    object.replace(".seg", ".parquet")
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
