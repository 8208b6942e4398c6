//! Looking at sixty-four bytes of JSON at a time.

/// How many bytes are looked at together.
pub const BLOCK_BYTES: usize = 64;

/// What 64 bytes of JSON are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Bit n: byte n does not stand for itself in a text (a quote, a backslash, a control character).
    pub stops: u64,
    /// Whether any of the bytes is not ASCII.
    pub high: bool,
}

/// Every processor of this kind has SSE2.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[must_use]
pub fn marks(block: &[u8; BLOCK_BYTES]) -> Marks {
    // SAFETY: SSE2 is part of the architecture (B1).
    unsafe { sse2(block) }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn sse2(block: &[u8; BLOCK_BYTES]) -> Marks {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };
    let (chunks, _) = block.as_chunks::<16>();
    let (quote, backslash) = (_mm_set1_epi8(b'"'.cast_signed()), _mm_set1_epi8(b'\\'.cast_signed()));
    let control = _mm_set1_epi8(0x1f);
    let (mut stops, mut all) = (0, _mm_set1_epi8(0));
    for (number, chunk) in chunks.iter().enumerate() {
        // SAFETY: sixteen bytes are read, at any alignment, from a chunk of sixteen (B1).
        let bytes = unsafe { _mm_loadu_si128(chunk.as_ptr().cast::<__m128i>()) };
        let special = _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash));
        let found = _mm_or_si128(special, _mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes));
        stops |= u64::from(_mm_movemask_epi8(found).cast_unsigned()) << (number * 16);
        all = _mm_or_si128(all, bytes);
    }
    Marks { stops, high: _mm_movemask_epi8(all) != 0 }
}

/// Elsewhere eight bytes at a time.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
#[must_use]
pub fn marks(block: &[u8; BLOCK_BYTES]) -> Marks {
    portable(block)
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn portable(block: &[u8; BLOCK_BYTES]) -> Marks {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    // The highest bit of each byte: whether it is below the limit, which is at most 128.
    let below = |word: u64, limit: u64| !((word & !HIGHS) + ONES * (128 - limit)) & !word & HIGHS;
    let mut marks = Marks { stops: 0, high: false };
    let (chunks, _) = block.as_chunks::<8>();
    for (number, chunk) in chunks.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        let found = equal(b'"') | equal(b'\\') | below(word, 0x20);
        // The eight bits are brought side by side.
        marks.stops |= ((found >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (number * 8);
        marks.high |= word & HIGHS != 0;
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_marked_as_what_it_is_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for at in 0..BLOCK_BYTES {
                let mut block = [b'x'; BLOCK_BYTES];
                block[at] = byte;
                let stop = matches!(byte, b'"' | b'\\' | ..0x20);
                let wanted = Marks { stops: u64::from(stop) << at, high: byte >= 0x80 };
                assert_eq!((marks(&block), portable(&block)), (wanted, wanted), "byte {byte} at {at}");
            }
        }
    }

    #[test]
    fn neighbours_do_not_change_what_a_byte_is() {
        let mut state = 1_u64;
        for _ in 0..10_000 {
            let block: [u8; BLOCK_BYTES] = std::array::from_fn(|_| {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                // Half of them what is looked for, or next to it.
                [b'"', b'\\', 0x1f, 0x20, 0x80, 0xff, b'!', (state >> 40) as u8][(state >> 61) as usize]
            });
            let stops = (0..BLOCK_BYTES).filter(|at| matches!(block[*at], b'"' | b'\\' | ..0x20));
            let wanted = Marks { stops: stops.map(|at| 1 << at).sum(), high: !block.is_ascii() };
            assert_eq!((marks(&block), portable(&block)), (wanted, wanted), "{block:?}");
        }
    }
}
