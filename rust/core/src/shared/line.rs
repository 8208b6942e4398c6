//! A line: 64 bytes that check themselves. All that processes share and change is made of lines, so that a reader
//! without a lock can tell a line that is being changed, and anybody can tell one that is damaged.
//!
//! The last four bytes are a checksum over the first sixty and over the line's address.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::bytes::u64_at;

pub(crate) const LINE_BYTES: usize = 64;
/// The bytes of a line that are free for use.
pub(crate) const BODY_BYTES: usize = 60;

pub(crate) type Line = [u8; LINE_BYTES];
pub(crate) type SharedLine = [AtomicU64; 8];

/// A number of `N` bytes in a line. Lines are read and written by whole words: a word that was just put together from parts
/// cannot be read before they all have left the processor's store buffer.
#[inline(always)]
pub(crate) fn number_at<const N: usize>(line: &Line, at: usize) -> u64 {
    let (word, shift) = (at / 8 * 8, at % 8 * 8);
    let mut value = u64_at(line, word) >> shift;
    if shift + 8 * N > 64 {
        value |= u64_at(line, word + 8) << (64 - shift);
    }
    value & (!0 >> (64 - 8 * N))
}

/// Put a number of `N` bytes into a line.
#[inline(always)]
pub(crate) fn put_number<const N: usize>(line: &mut Line, at: usize, value: u64) {
    let mask = !0 >> (64 - 8 * N);
    assert!(value <= mask, "{value} does not fit into {N} bytes");
    let (word, shift) = (at / 8 * 8, at % 8 * 8);
    put_word(line, word, u64_at(line, word) & !(mask << shift) | value << shift);
    if shift + 8 * N > 64 {
        put_word(line, word + 8, u64_at(line, word + 8) & !(mask >> (64 - shift)) | value >> (64 - shift));
    }
}

#[inline(always)]
fn put_word(line: &mut Line, at: usize, word: u64) {
    line[at..at + 8].copy_from_slice(&word.to_le_bytes());
}

/// Where a line is: a file (`area`) and a number within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address(u64);

impl Address {
    #[inline]
    pub(crate) fn new(area: u8, number: u64) -> Self {
        assert!(number >> 48 == 0, "line {number} is out of range");
        Self(u64::from(area) << 48 | number)
    }

    pub(crate) fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    pub(crate) fn raw(self) -> u64 {
        self.0
    }

    pub(crate) fn area(self) -> u8 {
        (self.0 >> 48) as u8
    }

    pub(crate) fn number(self) -> u64 {
        self.0 & ((1 << 48) - 1)
    }
}

const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// One odd constant for each word, so that words that change places are noticed.
const SALTS: [u64; 8] = [
    0x9e37_79b9_7f4a_7c15,
    0xbf58_476d_1ce4_e5b9,
    0x94d0_49bb_1331_11eb,
    0xd6e8_feb8_6659_fd93,
    0xa076_1d64_78bd_642f,
    0xe703_7ed1_a0b4_28db,
    0x8ebc_6af0_9c88_c6e3,
    0x5899_65cc_7537_4cc3,
];

/// The words are multiplied in pairs to 128 bits, the halves folded, the four results mixed: independent steps, so that
/// they run side by side. Not a cryptographic hash, and need not be one.
#[inline]
fn checksum(line: &Line, address: Address) -> u32 {
    let word = |index: usize| u64_at(line, index * 8) ^ SALTS[index];
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        (product as u64) ^ ((product >> 64) as u64)
    };
    let last = (u64_at(line, 56) & 0xffff_ffff) ^ SALTS[7];
    let first = fold(word(0), word(1)).rotate_left(11) ^ fold(word(2), word(3)).rotate_left(23);
    let second = fold(word(4), word(5)).rotate_left(37) ^ fold(word(6), last);
    let all = fold(first ^ address.0.wrapping_mul(MIX), second ^ SALTS[3]);
    (all ^ (all >> 32)) as u32
}

/// Write the checksum.
#[inline]
pub(crate) fn seal(line: &mut Line, address: Address) {
    let sum = checksum(line, address);
    put_number::<4>(line, BODY_BYTES, u64::from(sum));
}

/// Whether the checksum is right.
#[inline]
pub(crate) fn sound(line: &Line, address: Address) -> bool {
    u64::from(checksum(line, address)) == number_at::<4>(line, BODY_BYTES)
}

#[inline]
pub(crate) fn load(shared: &SharedLine) -> Line {
    let mut line = [0; LINE_BYTES];
    for (word, bytes) in shared.iter().zip(line.chunks_exact_mut(8)) {
        bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
    }
    line
}

#[inline]
pub(crate) fn store(shared: &SharedLine, line: &Line) {
    for (index, word) in shared.iter().enumerate() {
        word.store(u64_at(line, index * 8), Ordering::Relaxed);
    }
    fence(Ordering::Release);
}

/// The line, if it is sound now.
#[inline(always)]
pub(crate) fn look(shared: &SharedLine, address: Address) -> Option<Line> {
    let line = load(shared);
    if !sound(&line, address) {
        return None;
    }
    fence(Ordering::Acquire);
    Some(line)
}

/// How often a reader looks again at a line that is being changed, before it looks for the new content.
const GLANCES_MAX: u32 = 100;

/// The line, or None when it stays unsound for longer than any change takes.
#[inline]
pub(crate) fn glance(shared: &SharedLine, address: Address) -> Option<Line> {
    for _ in 0..GLANCES_MAX {
        if let Some(line) = look(shared, address) {
            return Some(line);
        }
        std::hint::spin_loop();
        fence(Ordering::Acquire);
    }
    None
}

/// A number of 48 bits that checks itself, for words that are changed by one atomic store.
pub(crate) mod word {
    use super::MIX;

    const VALUE_BITS: u32 = 48;

    #[inline]
    fn check(value: u64, salt: u64) -> u64 {
        let mixed = (value ^ salt.rotate_left(48)).wrapping_add(salt).wrapping_mul(MIX);
        (mixed ^ (mixed >> 31)).wrapping_mul(MIX) >> VALUE_BITS
    }

    #[inline]
    pub(crate) fn encode(value: u64, salt: u64) -> u64 {
        assert!(value >> VALUE_BITS == 0, "{value} does not fit into 48 bits");
        value | check(value, salt) << VALUE_BITS
    }

    #[inline]
    pub(crate) fn decode(raw: u64, salt: u64) -> Option<u64> {
        let value = raw & ((1 << VALUE_BITS) - 1);
        (raw >> VALUE_BITS == check(value, salt)).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn put_and_read<const N: usize>(before: Line, at: usize, value: u64) -> Result<(), TestCaseError> {
        let at = at % (LINE_BYTES - N + 1);
        let value = value >> (64 - 8 * N);
        let mut line = before;
        put_number::<N>(&mut line, at, value);
        prop_assert_eq!(number_at::<N>(&line, at), value);
        let mut wanted = before;
        wanted[at..at + N].copy_from_slice(&value.to_le_bytes()[..N]);
        prop_assert_eq!(line, wanted);
        Ok(())
    }

    proptest! {
        #[test]
        fn a_number_is_put_where_it_is_read_and_nowhere_else(before: [u8; 32], at: u8, value: u64) {
            let mut line = [0xa5; LINE_BYTES];
            line[16..48].copy_from_slice(&before);
            let at = usize::from(at);
            put_and_read::<2>(line, at, value)?;
            put_and_read::<4>(line, at, value)?;
            put_and_read::<5>(line, at, value)?;
            put_and_read::<6>(line, at, value)?;
            put_and_read::<8>(line, at, value)?;
        }

        #[test]
        fn every_flipped_bit_of_a_line_is_noticed(body: [u8; 32], number in 0u64..1 << 40) {
            let address = Address::new(3, number);
            let mut line = [0; LINE_BYTES];
            line[7..39].copy_from_slice(&body);
            seal(&mut line, address);
            prop_assert!(sound(&line, address));
            for bit in 0..LINE_BYTES * 8 {
                line[bit / 8] ^= 1 << (bit % 8);
                prop_assert!(!sound(&line, address), "bit {bit}");
                line[bit / 8] ^= 1 << (bit % 8);
            }
            prop_assert!(!sound(&line, Address::new(3, number + 1)));
        }

        #[test]
        fn every_flipped_bit_of_a_word_is_noticed(value in 0u64..1 << 48, salt in 1u64..64) {
            let raw = word::encode(value, salt);
            prop_assert_eq!(word::decode(raw, salt), Some(value));
            for bit in 48..64 {
                prop_assert_eq!(word::decode(raw ^ (1 << bit), salt), None);
            }
        }
    }

    #[test]
    fn a_line_of_zeros_is_not_sound() {
        assert!(!sound(&[0; LINE_BYTES], Address::new(2, 1)));
    }
}
