//! What a packed log file says that it holds, and where.

use std::ops::Range;

use crate::bytes::{put_narrow, u32_at, u64_at};
use crate::log::header::HEADER_BYTES;

/// Where the contents are told.
pub(crate) const CONTENTS_AT: usize = HEADER_BYTES as usize;
pub(crate) const CONTENTS_BYTES: usize = 64;
pub(super) const SECTIONS_AT: usize = CONTENTS_AT + CONTENTS_BYTES;
/// What each block has in the table: where it ends, and the checksum of its bytes, unpacked.
pub(super) const BLOCK_ENTRY_BYTES: usize = 8;
/// What each text has in its table: its offset in the segment, and where it begins among the texts.
pub(super) const TEXT_ENTRY_BYTES: usize = 8;
/// How many bytes a block may have, unpacked.
const BLOCK_MAX_BYTES: usize = 1 << 20;

/// What a packed file holds, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    /// How many bytes it is, unpacked: up to the end of its last record.
    pub(crate) plain_bytes: u64,
    /// How many bytes a block has, unpacked: a power of two.
    pub(crate) block_bytes: u32,
    pub(crate) blocks: u32,
    pub(crate) dictionary_bytes: u32,
    pub(crate) texts: u32,
    pub(crate) text_bytes: u64,
    /// How many bytes all blocks have, packed.
    pub(crate) packed_bytes: u64,
    /// The positions of the first and the last event; equal to the one before where there is none.
    pub(crate) first_position: u64,
    pub(crate) last_position: u64,
    /// The checksum of the last record, which the next file's first one repeats.
    pub(crate) last_crc: u32,
    /// The checksum of all between the contents and the blocks.
    pub(crate) sections_crc: u32,
}

impl Contents {
    pub(crate) fn encode(&self) -> [u8; CONTENTS_BYTES] {
        let mut bytes = [0; CONTENTS_BYTES];
        put_narrow::<6>(&mut bytes, 0, self.plain_bytes);
        put_narrow::<4>(&mut bytes, 6, u64::from(self.block_bytes));
        put_narrow::<4>(&mut bytes, 10, u64::from(self.blocks));
        put_narrow::<4>(&mut bytes, 14, u64::from(self.dictionary_bytes));
        put_narrow::<4>(&mut bytes, 18, u64::from(self.texts));
        put_narrow::<6>(&mut bytes, 22, self.text_bytes);
        put_narrow::<6>(&mut bytes, 28, self.packed_bytes);
        put_narrow::<5>(&mut bytes, 34, self.first_position);
        put_narrow::<5>(&mut bytes, 39, self.last_position);
        put_narrow::<4>(&mut bytes, 44, u64::from(self.last_crc));
        put_narrow::<4>(&mut bytes, 48, u64::from(self.sections_crc));
        let crc = crc32c::crc32c(&bytes[..60]);
        put_narrow::<4>(&mut bytes, 60, u64::from(crc));
        bytes
    }

    /// None when they are damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < CONTENTS_BYTES || crc32c::crc32c(&bytes[..60]) != u32_at(bytes, 60) {
            return None;
        }
        let six = |at: usize| u64_at(bytes, at) & ((1 << 48) - 1);
        let five = |at: usize| u64_at(bytes, at) & ((1 << 40) - 1);
        let found = Self {
            plain_bytes: six(0),
            block_bytes: u32_at(bytes, 6),
            blocks: u32_at(bytes, 10),
            dictionary_bytes: u32_at(bytes, 14),
            texts: u32_at(bytes, 18),
            text_bytes: six(22),
            packed_bytes: six(28),
            first_position: five(34),
            last_position: five(39),
            last_crc: u32_at(bytes, 44),
            sections_crc: u32_at(bytes, 48),
        };
        let size = found.block_bytes as usize;
        let sane = size.is_power_of_two()
            && size <= BLOCK_MAX_BYTES
            && found.plain_bytes.div_ceil(size as u64) == u64::from(found.blocks);
        sane.then_some(found)
    }

    /// Where the table of blocks begins.
    pub(super) fn table_at(&self) -> usize {
        SECTIONS_AT + self.dictionary_bytes as usize
    }

    /// Where the table of texts begins.
    pub(super) fn texts_at(&self) -> usize {
        self.table_at() + self.blocks as usize * BLOCK_ENTRY_BYTES
    }

    /// Where the first block begins.
    pub(crate) fn blocks_at(&self) -> usize {
        self.texts_at() + self.texts as usize * TEXT_ENTRY_BYTES + self.text_bytes as usize
    }
}

/// Where a piece is among packed ones, and the checksum of its bytes, as their table says: where each ends, one after the
/// other. None where that cannot be.
pub(super) fn piece(table: &[u8], number: usize, packed_bytes: u64) -> Option<(Range<usize>, u32)> {
    let end_of = |number: usize| u32_at(table, number * BLOCK_ENTRY_BYTES) as usize;
    let range = number.checked_sub(1).map_or(0, end_of)..end_of(number);
    let sane = range.start <= range.end && range.end as u64 <= packed_bytes;
    sane.then(|| (range, u32_at(table, number * BLOCK_ENTRY_BYTES + 4)))
}

/// The checksum of a block's bytes, unpacked and packed. Tied to the store and to its place.
pub(crate) fn block_crc(store_id: &[u8; 16], place: u64, plain: &[u8], packed: &[u8]) -> u32 {
    let start = crc32c::crc32c_append(crc32c::crc32c(store_id), &place.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(start, plain), packed)
}
