//! What stays of a log file whose blocks are archived: where they are, and all that the index is made from.
//!
//! The *hollow* form of a log file is the plain one with zeros in the place of payloads, meta, and checksums over them. It is
//! kept compressed, and takes little room. With it, opening and rebuilding the index fetch nothing. Layout in
//! `docs/format.md`.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use act_fast_sys::Map;
use xxhash_rust::xxh3::xxh3_128;
use zstd::zstd_safe::DCtx;

use crate::bytes::{narrow_at, put_narrow, u32_at, u64_at};
use crate::disk::{Disk, Shelf, archive_of, shelf};
use crate::error::{Error, Result};
use crate::log::contents::{BLOCK_ENTRY_BYTES, Contents, block_crc, piece};
use crate::log::header::Header;

const STUB_BYTES: usize = 64;
/// How many bytes of log are fetched at once, as they are unpacked, at most.
const WINDOW_MAX_BYTES: usize = 8 << 20;
/// How many bytes of a whole object are read at once.
const PIECE_BYTES: usize = 8 << 20;

/// What a stub says of what is archived, and of its own hollow form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stub {
    /// Of the object: XXH3-128 of all its bytes.
    pub(crate) digest: u128,
    pub(crate) object_bytes: u64,
    /// How many bytes of hollow log are compressed at once: a power of two.
    pub(super) hollow_bytes: u32,
    pub(super) hollows: u32,
    /// How many bytes all of them have, packed.
    pub(super) packed_bytes: u64,
    /// The checksum of their table.
    pub(super) table_crc: u32,
}

impl Stub {
    pub(super) fn encode(&self) -> [u8; STUB_BYTES] {
        let mut bytes = [0; STUB_BYTES];
        bytes[..16].copy_from_slice(&self.digest.to_le_bytes());
        put_narrow::<6>(&mut bytes, 16, self.object_bytes);
        put_narrow::<4>(&mut bytes, 22, u64::from(self.hollow_bytes));
        put_narrow::<4>(&mut bytes, 26, u64::from(self.hollows));
        put_narrow::<6>(&mut bytes, 30, self.packed_bytes);
        put_narrow::<4>(&mut bytes, 36, u64::from(self.table_crc));
        let crc = crc32c::crc32c(&bytes[..60]);
        put_narrow::<4>(&mut bytes, 60, u64::from(crc));
        bytes
    }

    /// None when it is damaged.
    fn decode(bytes: &[u8], contents: &Contents) -> Option<Self> {
        if bytes.len() < STUB_BYTES || crc32c::crc32c(&bytes[..60]) != u32_at(bytes, 60) {
            return None;
        }
        let found = Self {
            digest: u128::from(u64_at(bytes, 0)) | u128::from(u64_at(bytes, 8)) << 64,
            object_bytes: narrow_at::<6>(bytes, 16),
            hollow_bytes: u32_at(bytes, 22),
            hollows: u32_at(bytes, 26),
            packed_bytes: narrow_at::<6>(bytes, 30),
            table_crc: u32_at(bytes, 36),
        };
        let size = found.hollow_bytes;
        let sane = size.is_power_of_two()
            && size >= contents.block_bytes
            && contents.plain_bytes.div_ceil(u64::from(size)) == u64::from(found.hollows);
        sane.then_some(found)
    }
}

/// The name of the object that holds a log file.
pub(crate) fn object(header: &Header, digest: u128) -> String {
    let id: String = header.store_id.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{id}/{:08}-{digest:032x}.seg", header.number)
}

/// The blocks of an open log file that are archived.
#[derive(Debug)]
pub(crate) struct Absent {
    file: String,
    /// The name of the object that has them.
    pub(crate) object: String,
    store_id: [u8; 16],
    /// The place of the file's first byte.
    start: u64,
    plain_bytes: u64,
    block_bytes: usize,
    pub(crate) stub: Stub,
    /// How often blocks were fetched.
    fetches: AtomicU32,
}

impl Absent {
    /// Read what a stub says behind the texts.
    pub(crate) fn open(file: &str, header: &Header, contents: &Contents, bytes: &[u8]) -> Result<Self> {
        let damaged = |what: &str| Error::corrupt(file, contents.blocks_at() as u64, None, what);
        let stub = Stub::decode(bytes, contents)
            .ok_or_else(|| damaged("what this log file says of where it is archived is damaged"))?;
        let frames_at = STUB_BYTES + stub.hollows as usize * BLOCK_ENTRY_BYTES;
        if bytes.len() < frames_at.saturating_add(stub.packed_bytes as usize) {
            return Err(damaged("the stub of this archived log file is shorter than it says"));
        }
        if crc32c::crc32c(&bytes[STUB_BYTES..frames_at]) != stub.table_crc {
            return Err(damaged("the table in the stub of this archived log file is damaged"));
        }
        Ok(Self {
            file: file.to_owned(),
            object: object(header, stub.digest),
            store_id: header.store_id,
            start: header.number * header.segment_bytes,
            plain_bytes: contents.plain_bytes,
            block_bytes: contents.block_bytes as usize,
            stub,
            fetches: AtomicU32::new(0),
        })
    }

    /// Where the hollow bytes around an offset begin.
    pub(crate) fn hollow_start(&self, at: usize) -> usize {
        let size = self.stub.hollow_bytes as usize;
        at / size * size
    }

    /// The hollow bytes that begin at an offset. `stub_at`: where in the file the stub is.
    pub(crate) fn hollow(&self, file: &Map, stub_at: usize, at: usize) -> Result<Vec<u8>> {
        let size = self.stub.hollow_bytes as usize;
        let number = at / size;
        let table_at = stub_at + STUB_BYTES;
        let table = file.bytes(table_at, self.stub.hollows as usize * BLOCK_ENTRY_BYTES);
        let frames_at = table_at + table.len();
        let damaged = |start: usize| {
            let what = format!(
                "what the stub of this archived log file says of its events is damaged; copy {} from the archive over this \
                 file, and archive the store again, which writes a new stub",
                self.object
            );
            Error::corrupt(&*self.file, (frames_at + start) as u64, None, &what)
        };
        let (range, crc) = piece(table, number, self.stub.packed_bytes).ok_or_else(|| damaged(0))?;
        let frame = file.bytes(frames_at + range.start, range.len());
        let len = size.min(self.plain_bytes as usize - at);
        let mut plain = Vec::with_capacity(len);
        let unpacked = DCtx::create().decompress(&mut plain, frame);
        if unpacked != Ok(len) || block_crc(&self.store_id, self.start + at as u64, &plain, frame) != crc {
            return Err(damaged(range.start));
        }
        Ok(plain)
    }

    /// The shelf that has the blocks.
    pub(crate) fn shelf(&self, disk: &dyn Disk) -> Result<Located> {
        let Some(address) = archive_of(disk)? else {
            let what = format!(
                "{} is archived, but this store does not say where: archive.json is missing; archive the store again, to \
                 the same place, to write it",
                self.file
            );
            return Err(Error::Unavailable { file: self.file.clone(), address: String::new(), message: what });
        };
        match shelf(&address) {
            Ok(shelf) => Ok(Located { shelf, address }),
            Err(error) => Err(self.away(&address, &error.to_string())),
        }
    }

    /// Which blocks to fetch when one is missing: the more often, the more.
    pub(crate) fn wanted(&self, number: usize, shelf: &dyn Shelf) -> Range<usize> {
        let fetches = self.fetches.fetch_add(1, Ordering::Relaxed);
        let doubled = if shelf.far() { fetches } else { fetches / 8 };
        let window = (WINDOW_MAX_BYTES / self.block_bytes).max(1).min(1 << doubled.min(16));
        let start = number / window * window;
        start..start + window
    }

    /// Read bytes of the object.
    pub(crate) fn read(&self, shelf: &Located, at: usize, len: usize) -> Result<Vec<u8>> {
        let bytes = shelf.read(&self.object, at as u64, len).map_err(|error| self.failed(&shelf.address, &error))?;
        if bytes.len() == len {
            return Ok(bytes);
        }
        let what = format!("this archived log file at {} is shorter than what was put there", shelf.address);
        Err(Error::corrupt(&*self.object, (at + bytes.len()) as u64, None, &what))
    }

    /// All of the object, which is the packed log file.
    pub(crate) fn whole(&self, disk: &dyn Disk) -> Result<Vec<u8>> {
        let located = self.shelf(disk)?;
        let bytes = self.stub.object_bytes as usize;
        let mut object = Vec::with_capacity(bytes);
        while object.len() < bytes {
            let len = PIECE_BYTES.min(bytes - object.len());
            object.extend_from_slice(&self.read(&located, object.len(), len)?);
        }
        if xxh3_128(&object) != self.stub.digest {
            let what = format!("what {} holds is not what was put there; the stub was left as it is", located.address);
            return Err(Error::corrupt(&*self.object, 0, None, &what));
        }
        Ok(object)
    }

    fn failed(&self, address: &str, error: &std::io::Error) -> Error {
        if error.kind() != std::io::ErrorKind::NotFound {
            return self.away(address, &error.to_string());
        }
        self.away(address, &format!("{} is not there", self.object))
    }

    /// The error for an archive that cannot be read.
    pub(crate) fn away(&self, address: &str, why: &str) -> Error {
        let message = format!(
            "{} is archived at {address}, which could not be read ({why}); nothing is lost: try again when it can be \
             reached. If the archive has moved, archive the store to its new address",
            self.file
        );
        Error::Unavailable { file: self.file.clone(), address: address.to_owned(), message }
    }
}

/// A shelf, and where it is.
#[derive(Debug)]
pub(crate) struct Located {
    pub(crate) shelf: Arc<dyn Shelf>,
    pub(crate) address: String,
}

impl std::ops::Deref for Located {
    type Target = dyn Shelf;

    fn deref(&self) -> &Self::Target {
        &*self.shelf
    }
}
