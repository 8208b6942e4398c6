//! The head of a log file.

use crate::bytes::{put_narrow, u32_at, u64_at};
use crate::error::{Error, Result};
use crate::log::record::{ARCHIVED_FORMAT, FORMAT, PACKED_FORMAT, REPLICA_FORMAT};
use crate::options::{SEGMENT_MAX_BYTES, SEGMENT_MIN_BYTES};

const MAGIC: &[u8; 8] = b"ACTFLOG\0";
pub(crate) const HEADER_BYTES: u64 = 64;

/// What the head of every segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) store_id: [u8; 16],
    pub(crate) number: u64,
    pub(crate) segment_bytes: u64,
    /// Whether this is the log of a replica.
    pub(crate) replica: bool,
}

/// How a segment's file holds its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As they are.
    Plain,
    /// Compressed.
    Packed,
    /// Compressed, and elsewhere: this is the stub.
    Archived,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES as usize] {
        let mut bytes = [0; HEADER_BYTES as usize];
        bytes[..8].copy_from_slice(MAGIC);
        put_narrow::<4>(&mut bytes, 8, u64::from(self.format()));
        bytes[16..32].copy_from_slice(&self.store_id);
        put_narrow::<8>(&mut bytes, 32, self.number);
        put_narrow::<8>(&mut bytes, 40, self.segment_bytes);
        sealed(bytes)
    }

    /// The head of the same segment in another form than the plain one.
    pub(crate) fn encode_packed(&self, archived: bool) -> [u8; HEADER_BYTES as usize] {
        let mut bytes = self.encode();
        let format = if archived { ARCHIVED_FORMAT } else { PACKED_FORMAT };
        put_narrow::<4>(&mut bytes, 8, u64::from(format));
        put_narrow::<4>(&mut bytes, 12, u64::from(self.format()));
        sealed(bytes)
    }

    /// The format of its records.
    fn format(&self) -> u32 {
        if self.replica { REPLICA_FORMAT } else { FORMAT }
    }

    pub(crate) fn decode(bytes: &[u8], file: &str) -> Result<Self> {
        if bytes.len() < HEADER_BYTES as usize || &bytes[..8] != MAGIC {
            return Err(Error::corrupt(file, 0, None, "this is not a log file, or its first bytes are damaged"));
        }
        let format = u32_at(bytes, if form_of(bytes) == Form::Plain { 8 } else { 12 });
        if crc32c::crc32c(&bytes[..60]) != u32_at(bytes, 60) {
            return Err(Error::corrupt(file, 0, None, "the header of this log file is damaged"));
        }
        if !(FORMAT..=REPLICA_FORMAT).contains(&format) {
            return Err(Error::Format(format!(
                "this store has format {format}; this version of act-fast reads up to {ARCHIVED_FORMAT}: use a newer one"
            )));
        }
        let mut store_id = [0; 16];
        store_id.copy_from_slice(&bytes[16..32]);
        let replica = format == REPLICA_FORMAT;
        let header = Self { store_id, number: u64_at(bytes, 32), segment_bytes: u64_at(bytes, 40), replica };
        if !(SEGMENT_MIN_BYTES..=SEGMENT_MAX_BYTES).contains(&header.segment_bytes) {
            return Err(Error::corrupt(file, 40, None, "this log file states an impossible size"));
        }
        Ok(header)
    }
}

fn sealed(mut bytes: [u8; HEADER_BYTES as usize]) -> [u8; HEADER_BYTES as usize] {
    let crc = crc32c::crc32c(&bytes[..60]);
    put_narrow::<4>(&mut bytes, 60, u64::from(crc));
    bytes
}

/// The form of a segment, by its head.
pub(crate) fn form_of(head: &[u8]) -> Form {
    match u32_at(head, 8) {
        PACKED_FORMAT => Form::Packed,
        ARCHIVED_FORMAT => Form::Archived,
        _ => Form::Plain,
    }
}
