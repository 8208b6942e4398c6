//! Little-endian numbers and variable-length integers (LEB128), in and out of bytes.

#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(raw)
}

#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(raw)
}

/// An unsigned number of `N` bytes.
#[inline]
pub(crate) fn narrow_at<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw[..N].copy_from_slice(&bytes[at..at + N]);
    u64::from_le_bytes(raw)
}

#[inline]
pub(crate) fn put_narrow<const N: usize>(bytes: &mut [u8], at: usize, value: u64) {
    assert!(N == 8 || value >> (8 * N) == 0, "{value} does not fit into {N} bytes");
    bytes[at..at + N].copy_from_slice(&value.to_le_bytes()[..N]);
}

#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The same into an array with room for it; where it ends.
#[inline(always)]
pub(crate) fn put_varint_at<const N: usize>(out: &mut [u8; N], mut at: usize, mut value: u64) -> usize {
    while value >= 0x80 {
        out[at] = (value as u8) | 0x80;
        value >>= 7;
        at += 1;
    }
    out[at] = value as u8;
    at + 1
}

/// How many bytes `value` takes.
#[inline]
pub(crate) fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// Reads forward through bytes; every step answers None beyond the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByteReader<'a> {
    bytes: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> ByteReader<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let first = *self.bytes.get(self.at)?;
        self.at += 1;
        if first < 0x80 { Some(u64::from(first)) } else { self.longer(first) }
    }

    /// A number of more bytes than its first.
    #[inline]
    fn longer(&mut self, first: u8) -> Option<u64> {
        let mut value = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            if shift == 63 && byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
            shift += 7;
            if shift > 63 {
                return None;
            }
        }
    }

    /// Whether all has been read.
    #[inline]
    pub(crate) fn ends(&self) -> bool {
        self.at == self.bytes.len()
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Option<u32> {
        let end = self.at.checked_add(4).filter(|end| *end <= self.bytes.len())?;
        let value = u32_at(self.bytes, self.at);
        self.at = end;
        Some(value)
    }

    #[inline]
    pub(crate) fn take(&mut self, len: u64) -> Option<&'a [u8]> {
        let end = self.at.checked_add(usize::try_from(len).ok()?)?;
        let piece = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_varint_reads_back_and_has_the_length_foretold(value: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(out.len(), varint_len(value));
            let mut array = [0; 11];
            prop_assert_eq!(put_varint_at(&mut array, 1, value), 1 + out.len());
            prop_assert_eq!(&array[1..=out.len()], &out[..]);
            let mut cursor = ByteReader::new(&out, 0);
            prop_assert_eq!(cursor.varint(), Some(value));
            prop_assert_eq!(cursor.at, out.len());
        }

        #[test]
        fn reading_any_bytes_ends_without_a_panic(bytes: Vec<u8>) {
            let mut cursor = ByteReader::new(&bytes, 0);
            while cursor.varint().is_some() {}
        }
    }
}
