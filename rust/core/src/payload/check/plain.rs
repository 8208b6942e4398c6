//! The payloads that most programs write, recognised quickly: JSON without spaces that matter, escapes in keys, exponents or
//! deep nesting. Whatever this is not sure of is left to the thorough check, which also says what is wrong.

mod cast;
mod shape;

use act_fast_sys::{BLOCK_BYTES, marks};

pub use shape::Shapes;

/// Keys of all objects that are open: more are left to the thorough check.
const KEYS_MAX: usize = 32;
/// What is open is a byte of a word, so there are eight at most: a list, or an object with the number of keys before its own.
const LIST: u64 = 0x40;
const OBJECT: u64 = 0x80;
const KEYS_BEFORE: u64 = 0x3f;
/// So many digits of a whole number fit 64 bits, and in front of a point they make no number too large.
const DIGITS_MAX: usize = 18;
const WORD_BYTES: usize = 8;
const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = ONES << 7;

/// Whether these bytes are surely a payload that every reader takes for the same. False means nothing.
#[inline]
pub(super) fn is_plain(data: &[u8]) -> bool {
    scanned(data, |scan| scan.pass())
}

/// Whether a payload is UTF-8 and passes.
#[inline(always)]
fn scanned(data: &[u8], pass: impl Fn(&mut Scan<'_>) -> Option<()>) -> bool {
    let passes = |bytes: &[u8]| {
        let mut scan = Scan { bytes, end: data.len(), stops: Stops::default() };
        scan.look(0);
        pass(&mut scan).is_some() && (!scan.stops.high || std::str::from_utf8(data).is_ok())
    };
    if data.len() >= BLOCK_BYTES {
        return passes(data);
    }
    // So that blocks and words of it can be read anywhere.
    let mut padded = [b' '; BLOCK_BYTES + WORD_BYTES];
    padded[..data.len()].copy_from_slice(data);
    passes(&padded)
}

/// Bytes that do not stand for themselves in a text, block by block. All of them are taken in order, the quotes that a text
/// begins with too, so that where the next one is does not hang on what is found between them.
#[derive(Clone, Copy, Default)]
struct Stops {
    /// Where the block begins.
    from: usize,
    /// A bit for each one in the block that was not taken yet.
    bits: u64,
    /// Whether a byte of the blocks so far is not ASCII.
    high: bool,
}

/// The keys of all objects that are open.
struct Keys {
    /// What they are told apart by: equal keys have equal prints.
    prints: [u32; KEYS_MAX],
    count: usize,
    /// For each key of the innermost object a bit, so that most need not be compared with the others.
    seen: u64,
}

struct Scan<'a> {
    bytes: &'a [u8],
    /// Where the payload ends.
    end: usize,
    stops: Stops,
}

impl Scan<'_> {
    #[inline(always)]
    fn pass(&mut self) -> Option<()> {
        let mut keys = Keys { prints: [0; KEYS_MAX], count: 0, seen: 0 };
        let mut open = 0_u64;
        let mut at = 0;
        loop {
            let first = self.byte(at);
            at += 1;
            if first == b'"' {
                self.take()?;
                at = self.text()?;
            } else if first.is_ascii_digit() {
                at = self.number(at - 1, first)?;
            } else if matches!(first, b'{' | b'[') {
                // The closing bracket stands two behind the opening one in ASCII.
                if self.byte(at) == first + 2 {
                    at += 1;
                } else {
                    if open >> 56 != 0 {
                        return None;
                    }
                    if first == b'[' {
                        open = open << 8 | LIST;
                        continue;
                    }
                    open = open << 8 | OBJECT | keys.count as u64;
                    keys.seen = 0;
                    at = self.key(at, open, &mut keys)?;
                    continue;
                }
            } else {
                at = self.rarer(at, first)?;
            }
            loop {
                if open == 0 {
                    return (at == self.end).then_some(());
                }
                let byte = self.byte(at);
                at += 1;
                if byte == b',' {
                    at = self.behind_space(at);
                    if open & OBJECT != 0 {
                        at = self.key(at, open, &mut keys)?;
                    }
                    break;
                }
                if open & OBJECT != 0 {
                    keys.count = (open & KEYS_BEFORE) as usize;
                    // Which bits were set for those of the object around is not kept.
                    keys.seen = !0;
                }
                if byte != if open & OBJECT != 0 { b'}' } else { b']' } {
                    return None;
                }
                open >>= 8;
            }
        }
    }

    /// A value that begins with what is rarer.
    #[inline(always)]
    fn rarer(&self, at: usize, first: u8) -> Option<usize> {
        match first {
            b'-' if self.byte(at).is_ascii_digit() => self.number(at, self.byte(at)),
            b't' => self.word(at - 1, *b"true"),
            b'f' => self.word(at, *b"alse"),
            b'n' => self.word(at - 1, *b"null"),
            _ => None,
        }
    }

    /// The byte there; a space behind the end.
    #[inline(always)]
    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(b' ')
    }

    /// Behind the space that some writers put behind a comma or a colon.
    #[inline(always)]
    fn behind_space(&self, at: usize) -> usize {
        if self.byte(at) == b' ' { next(at) } else { at }
    }

    /// Pass a key that its object does not have yet, and its colon.
    #[inline(always)]
    fn key(&mut self, at: usize, open: u64, keys: &mut Keys) -> Option<usize> {
        if self.byte(at) != b'"' {
            return None;
        }
        self.take()?;
        let stop = self.take()?;
        let print = self.print(at + 1, stop - at - 1);
        let bit = 1 << (print & 63);
        if keys.seen & bit != 0 && keys.prints.get((open & KEYS_BEFORE) as usize..keys.count)?.contains(&print) {
            return None;
        }
        keys.seen |= bit;
        *keys.prints.get_mut(keys.count)? = print;
        keys.count += 1;
        let found = self.bytes.get(stop..)?.first_chunk()? == b"\":";
        found.then(|| self.behind_space(stop + 2))
    }

    /// What a key is told apart by: its length, its first bytes and its last.
    #[inline(always)]
    fn print(&self, start: usize, len: usize) -> u32 {
        let first = self.eight(start);
        let (first, last) = match len.checked_sub(WORD_BYTES) {
            Some(more) => (first, self.eight(start + more)),
            None => (first & ((1 << (8 * len)) - 1), 0),
        };
        let mixed = (first ^ last.rotate_left(29)).wrapping_add(len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as u32
    }

    /// Eight bytes, the first one lowest; zeros behind the end.
    #[inline(always)]
    fn eight(&self, at: usize) -> u64 {
        match self.bytes.get(at..).and_then(<[u8]>::first_chunk) {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => self.fewer_than_eight(at),
        }
    }

    #[cold]
    fn fewer_than_eight(&self, at: usize) -> u64 {
        let rest = self.bytes.get(at..).unwrap_or_default();
        rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
    }

    /// Behind the text that the last quote that was taken began.
    #[inline(always)]
    fn text(&mut self) -> Option<usize> {
        loop {
            let stop = self.take()?;
            match self.byte(stop) {
                b'"' => return Some(stop + 1),
                b'\\' => match self.byte(stop + 1) {
                    // They are among those that are taken.
                    b'"' | b'\\' => drop(self.take()?),
                    b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    _ => return None,
                },
                _ => return None,
            }
        }
    }

    /// Take the next of the stops.
    #[inline(always)]
    fn take(&mut self) -> Option<usize> {
        while self.stops.bits == 0 {
            self.look_on()?;
        }
        let at = self.stops.from + self.stops.bits.trailing_zeros() as usize;
        self.stops.bits &= self.stops.bits - 1;
        Some(at)
    }

    /// Look at the next block.
    #[inline(always)]
    fn look_on(&mut self) -> Option<()> {
        let next = self.stops.from + BLOCK_BYTES;
        if next >= self.end {
            return None;
        }
        let from = next.min(self.bytes.len() - BLOCK_BYTES);
        self.look(from);
        self.stops.bits &= !0 << (next - from);
        Some(())
    }

    /// Look at the block that begins here.
    #[inline(always)]
    fn look(&mut self, from: usize) {
        if let Some(block) = self.bytes.get(from..).and_then(<[u8]>::first_chunk) {
            let marks = marks(block);
            self.stops = Stops { from, bits: marks.stops, high: self.stops.high | marks.high };
        }
    }

    /// Behind the digits that begin here.
    #[inline(always)]
    fn behind_digits(&self, mut at: usize) -> usize {
        loop {
            let word = self.eight(at);
            // The lowest byte that is found to be no digit is none; those above it may seem so.
            let others = ((word ^ (ONES * b'0' as u64)).wrapping_add(ONES * 0x76) | word) & HIGHS;
            if others != 0 {
                return at + others.trailing_zeros() as usize / 8;
            }
            at += WORD_BYTES;
        }
    }

    /// Behind the number whose first digit is here, but for an exponent.
    #[inline(always)]
    fn number(&self, at: usize, first: u8) -> Option<usize> {
        let behind = self.behind_digits(at);
        let whole = behind - at;
        if whole > DIGITS_MAX || (first == b'0' && whole > 1) {
            return None;
        }
        if self.byte(behind) != b'.' {
            return Some(behind);
        }
        let end = self.behind_digits(behind + 1);
        (end > behind + 1).then_some(end)
    }

    #[inline(always)]
    fn word(&self, at: usize, word: [u8; 4]) -> Option<usize> {
        let found = self.bytes.get(at..)?.first_chunk() == Some(&word);
        found.then_some(at + 4)
    }
}

/// One further, by a way that is foretold rather than calculated: what follows need not wait for it.
#[cold]
#[inline(never)]
fn next(at: usize) -> usize {
    at + 1
}

#[cfg(test)]
mod tests;
