//! What an archive says of itself, for people and other programs: `manifest.json` beside the objects. Told in
//! `docs/keeping.md`.

use std::io;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::disk::Shelf;
use crate::error::Result;
use crate::log::absent::{Absent, Stub, object};
use crate::log::contents::Contents;
use crate::log::header::Header;
use crate::log::segments::Segments;

const NAME: &str = "manifest.json";
const FORMAT: u32 = 1;
const PIECE_BYTES: usize = 8 << 20;

/// A log file that is archived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

impl ArchivedFile {
    pub(crate) fn new(header: &Header, contents: &Contents, stub: &Stub) -> Self {
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

/// Those of `count` log files that are archived.
pub(crate) fn archived(segments: &Segments, count: u64) -> Result<Vec<ArchivedFile>> {
    (0..count).filter_map(|number| archived_file(segments, number).transpose()).collect()
}

/// A log file as it is archived; None where it is here.
pub(crate) fn archived_file(segments: &Segments, number: u64) -> Result<Option<ArchivedFile>> {
    let Some(packed) = segments.packed(number)? else { return Ok(None) };
    let file = |absent: &Absent| ArchivedFile::new(&segments.header(number), &packed.contents, &absent.stub);
    Ok(packed.absent.as_ref().map(file))
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    store: String,
    segment_bytes: u64,
    pub(crate) files: Vec<Entry>,
}

/// What the manifest says of a log file.
#[derive(Serialize, Deserialize)]
pub(crate) struct Entry {
    #[serde(flatten)]
    pub(crate) file: ArchivedFile,
    /// Where its events are for other programs.
    pub(crate) parquet: Option<Parquet>,
}

/// The Parquet file with the events of a log file.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Parquet {
    pub(crate) object: String,
    bytes: u64,
    /// XXH3-128 of the object, in hexadecimal digits.
    digest: String,
}

impl Manifest {
    pub(crate) fn new(store_id: &[u8; 16], segment_bytes: u64, files: Vec<Entry>) -> Self {
        Self { format: FORMAT, store: hex(store_id), segment_bytes, files }
    }

    /// The name of the object that holds it.
    pub(crate) fn name(store_id: &[u8; 16]) -> String {
        format!("{}/{NAME}", hex(store_id))
    }

    /// What is there; None where there is none that can be read.
    pub(crate) fn read(shelf: &dyn Shelf, store_id: &[u8; 16]) -> io::Result<Option<Self>> {
        let name = Self::name(store_id);
        let mut before = None;
        // While it is replaced, its size may be that of one, and its bytes those of the other.
        while let Some(len) = shelf.size(&name)?.filter(|len| before != Some(*len)) {
            if let Ok(found) = serde_json::from_slice(&shelf.read(&name, 0, len as usize)?) {
                return Ok(Some(found));
            }
            before = Some(len);
        }
        Ok(None)
    }

    pub(crate) fn put(&self, shelf: &dyn Shelf) -> io::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        shelf.put(&format!("{}/{NAME}", self.store), &bytes)
    }
}

impl Parquet {
    pub(crate) fn new(object: String, made: &[u8]) -> Self {
        Self { object, bytes: made.len() as u64, digest: format!("{:032x}", xxh3_128(made)) }
    }

    /// The name of the object that is beside that of a log file.
    pub(crate) fn name(object: &str) -> String {
        object.replace(".seg", ".parquet")
    }

    /// What is there of a log file.
    pub(crate) fn found(shelf: &dyn Shelf, file: &ArchivedFile) -> io::Result<Option<Self>> {
        let object = Self::name(&file.object);
        let Some(bytes) = shelf.size(&object)? else { return Ok(None) };
        let digest = digest_of(shelf, &object, bytes)?;
        Ok(Some(Self { object, bytes, digest }))
    }

    /// Whether there is an object of its size.
    pub(crate) fn is_there(&self, shelf: &dyn Shelf) -> io::Result<bool> {
        Ok(shelf.size(&self.object)? == Some(self.bytes))
    }

    /// What is wrong with the object, if anything. It is read.
    pub(crate) fn flaw(&self, shelf: &dyn Shelf) -> io::Result<Option<&'static str>> {
        Ok(match shelf.size(&self.object)? {
            None => Some("is missing"),
            Some(bytes) if bytes == self.bytes && digest_of(shelf, &self.object, bytes)? == self.digest => None,
            Some(_) => Some("is not what was put there"),
        })
    }
}

/// XXH3-128 of an object, in hexadecimal digits.
fn digest_of(shelf: &dyn Shelf, name: &str, bytes: u64) -> io::Result<String> {
    let mut digest = Xxh3::new();
    for at in (0..bytes).step_by(PIECE_BYTES) {
        digest.update(&shelf.read(name, at, PIECE_BYTES.min((bytes - at) as usize))?);
    }
    Ok(format!("{:032x}", digest.digest128()))
}

fn hex(store_id: &[u8; 16]) -> String {
    store_id.iter().map(|byte| format!("{byte:02x}")).collect()
}
