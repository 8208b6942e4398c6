//! What a payload may be, checked when it is appended: [I-JSON](https://www.rfc-editor.org/rfc/rfc7493), with whole numbers of
//! 64 bits and a limit to how deep it is, so that every reader of the log takes it for the same.

mod plain;

use std::borrow::Cow;
use std::collections::HashSet;

use smallvec::SmallVec;

use crate::payload::flaw::{Flaw, What};
pub use plain::Shapes;

/// Lists and objects inside each other, at most. Readers that go down into each of them have room for that.
pub const DEPTH_MAX: usize = 100;
/// The same for the meta of a commit, which only Python and this crate read.
const META_DEPTH_MAX: usize = 1000;
/// Keys of one object that are compared each with each; more are sorted.
const FEW_KEYS: usize = 24;
/// So many digits of a whole number fit 64 bits.
const SAFE_DIGITS: usize = 18;
/// So many digits, times ten to a power of two digits, are no more than a double holds.
const FINITE_DIGITS: usize = 200;
const ARRAY: usize = usize::MAX;

type Checked<T = ()> = Result<T, Flaw>;

/// Whether every reader takes these bytes for the same JSON.
#[inline]
pub fn check(data: &[u8]) -> Checked {
    if plain::is_plain(data) { Ok(()) } else { check_thoroughly(data) }
}

/// The same for an event's payload, and sooner for one with the shape of one before it.
#[inline]
pub(crate) fn check_shaped(shapes: &mut Shapes, name: &str, data: &[u8]) -> Checked {
    if shapes.is_plain(name, data) { Ok(()) } else { check_thoroughly(data) }
}

#[inline(never)]
fn check_thoroughly(data: &[u8]) -> Checked {
    Checker::new(data, DEPTH_MAX, true).all()
}

/// The same for the meta of a commit: numbers of any width, since no column is made of them.
pub(crate) fn check_meta(meta: &[u8]) -> Checked {
    if plain::is_plain(meta) { Ok(()) } else { Checker::new(meta, META_DEPTH_MAX, false).all() }
}

/// A key of an object that is still open.
#[derive(Clone, Copy, Debug)]
struct Key {
    start: usize,
    len: usize,
    /// Its first bytes and its length: keys with different ones are different.
    print: u64,
}

struct Checker<'a> {
    bytes: &'a [u8],
    at: usize,
    depth_max: usize,
    narrow: bool,
    /// For each open object, where its keys begin; [`ARRAY`] for a list.
    open: SmallVec<[usize; 8]>,
    /// The keys of the objects that are open.
    keys: SmallVec<[Key; 24]>,
    key_escaped: bool,
    /// All that stands in texts, laid over each other: whether a byte of them is not ASCII.
    seen: u64,
}

impl<'a> Checker<'a> {
    #[inline]
    fn new(bytes: &'a [u8], depth_max: usize, narrow: bool) -> Self {
        let (open, keys) = (SmallVec::new(), SmallVec::new());
        Self { bytes, at: 0, depth_max, narrow, open, keys, key_escaped: false, seen: 0 }
    }

    fn all(mut self) -> Checked {
        loop {
            if self.value()? {
                continue;
            }
            if self.behind()? {
                break;
            }
        }
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
        if self.at < self.bytes.len() {
            return Err(self.not_json());
        }
        if self.seen & HIGHS == 0 {
            return Ok(());
        }
        std::str::from_utf8(self.bytes).map(drop).map_err(|error| Flaw { what: What::NotUtf8, at: error.valid_up_to() })
    }

    /// Pass a value, or the beginning of one; true when another one begins inside of it.
    #[inline(always)]
    fn value(&mut self) -> Checked<bool> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.text()?;
            }
            b'-' | b'0'..=b'9' => self.number()?,
            b'{' => {
                self.enter(self.keys.len())?;
                if self.peek()? != b'}' {
                    self.key()?;
                    return Ok(true);
                }
                self.leave();
            }
            b'[' => {
                self.enter(ARRAY)?;
                if self.peek()? != b']' {
                    return Ok(true);
                }
                self.leave();
            }
            b't' => self.word(b"true")?,
            b'f' => self.word(b"false")?,
            b'n' => self.word(b"null")?,
            _ => return Err(self.not_json()),
        }
        Ok(false)
    }

    /// Pass what stands behind a value; false when another one follows, true at the end.
    #[inline(always)]
    fn behind(&mut self) -> Checked<bool> {
        while let Some(&first) = self.open.last() {
            match self.peek()? {
                b',' => {
                    self.at += 1;
                    if first != ARRAY {
                        self.key()?;
                    }
                    return Ok(false);
                }
                b'}' if first != ARRAY => {
                    if self.key_escaped || self.keys.len() - first > FEW_KEYS {
                        self.check_many(first)?;
                    }
                    self.keys.truncate(first);
                    self.leave();
                }
                b']' if first == ARRAY => self.leave(),
                _ => return Err(self.not_json()),
            }
        }
        Ok(true)
    }

    #[inline]
    fn enter(&mut self, first: usize) -> Checked {
        if self.open.len() == self.depth_max {
            return Err(Flaw { what: What::TooDeep(self.depth_max), at: self.at });
        }
        self.open.push(first);
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn leave(&mut self) {
        self.open.pop();
        self.at += 1;
    }

    /// The next byte that is no space.
    #[inline(always)]
    fn peek(&mut self) -> Checked<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(self.cut()),
            }
        }
    }

    /// Pass a key and its colon.
    #[inline(always)]
    fn key(&mut self) -> Checked {
        if self.peek()? != b'"' {
            return Err(self.not_json());
        }
        let start = self.at + 1;
        self.at = start;
        self.key_escaped |= self.text()?;
        let len = self.at - 1 - start;
        let key = Key { start, len, print: self.print(start, len) };
        let first = *self.open.last().unwrap_or(&0);
        let others = &self.keys[first..];
        if others.len() < FEW_KEYS {
            for other in others {
                if other.print == key.print && self.same(other, &key) {
                    return Err(Flaw { what: What::RepeatedKey, at: start - 1 });
                }
            }
        }
        self.keys.push(key);
        if self.peek()? != b':' {
            return Err(self.not_json());
        }
        self.at += 1;
        Ok(())
    }

    /// Text behind its first quote, and the last one; whether there are escapes in it.
    #[inline(always)]
    fn text(&mut self) -> Checked<bool> {
        let mut escaped = false;
        loop {
            let stop = self.stop()?;
            match self.bytes[stop] {
                b'"' => {
                    self.at = stop + 1;
                    return Ok(escaped);
                }
                b'\\' => {
                    escaped = true;
                    self.at = stop;
                    self.escape()?;
                }
                _ => return Err(Flaw { what: What::NotJson, at: stop }),
            }
        }
    }

    /// Where the next byte is that does not stand for itself: eight at a time, since this is most of the work.
    #[inline(always)]
    fn stop(&mut self) -> Checked<usize> {
        let mut at = self.at;
        while let Some(chunk) = self.bytes.get(at..).and_then(<[u8]>::first_chunk) {
            let word = u64::from_le_bytes(*chunk);
            self.seen |= word;
            let quote = word ^ (ONES * b'"' as u64);
            let backslash = word ^ (ONES * b'\\' as u64);
            // Of each the lowest byte that is found is one; those above it may seem so.
            let found = (quote.wrapping_sub(ONES) & !quote)
                | (backslash.wrapping_sub(ONES) & !backslash)
                | (word.wrapping_sub(ONES * 0x20) & !word);
            if found & HIGHS != 0 {
                return Ok(at + (found & HIGHS).trailing_zeros() as usize / 8);
            }
            at += 8;
        }
        while let Some(&byte) = self.bytes.get(at) {
            if matches!(byte, b'"' | b'\\' | ..0x20) {
                return Ok(at);
            }
            self.seen |= u64::from(byte);
            at += 1;
        }
        self.at = at;
        Err(self.cut())
    }

    #[inline(never)]
    fn escape(&mut self) -> Checked {
        let start = self.at;
        match self.bytes.get(start + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at = start + 2,
            Some(b'u') => {
                let unit = self.unit(start)?;
                self.at = start + 6;
                let lone = Flaw { what: What::LoneSurrogate, at: start };
                if (0xdc00..0xe000).contains(&unit) {
                    return Err(lone);
                }
                if (0xd800..0xdc00).contains(&unit) {
                    if self.bytes.get(start + 6..start + 8) != Some(b"\\u") {
                        return Err(lone);
                    }
                    if !(0xdc00..0xe000).contains(&self.unit(start + 6)?) {
                        return Err(lone);
                    }
                    self.at = start + 12;
                }
            }
            Some(_) => return Err(self.not_json()),
            None => return Err(self.cut()),
        }
        Ok(())
    }

    /// The number in the escape that begins at `start`.
    fn unit(&self, start: usize) -> Checked<u32> {
        (start + 2..start + 6).try_fold(0, |unit, at| match self.bytes.get(at) {
            None => Err(Flaw { what: What::Cut, at: self.bytes.len() }),
            Some(byte) => match char::from(*byte).to_digit(16) {
                Some(digit) => Ok(unit * 16 + digit),
                None => Err(Flaw { what: What::NotJson, at: start }),
            },
        })
    }

    #[inline(always)]
    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        self.at - start
    }

    #[inline(always)]
    fn number(&mut self) -> Checked {
        let start = self.at;
        self.at += usize::from(self.bytes[start] == b'-');
        let leading = self.at;
        let whole = self.digits();
        if whole == 0 || (whole > 1 && self.bytes[leading] == b'0') {
            return Err(self.not_json_or_cut(start));
        }
        match self.bytes.get(self.at) {
            Some(b'.' | b'e' | b'E') => self.fraction(start, whole),
            _ if whole <= SAFE_DIGITS => Ok(()),
            _ => self.wide(start, whole),
        }
    }

    #[inline(never)]
    fn fraction(&mut self, start: usize, whole: usize) -> Checked {
        let mut exponent = 0;
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.not_json_or_cut(start));
            }
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            exponent = self.digits();
            if exponent == 0 {
                return Err(self.not_json_or_cut(start));
            }
        }
        if whole <= FINITE_DIGITS && exponent <= 2 { Ok(()) } else { self.finite(start) }
    }

    #[inline(never)]
    fn wide(&mut self, start: usize, whole: usize) -> Checked {
        if !self.narrow {
            return if whole <= FINITE_DIGITS { Ok(()) } else { self.finite(start) };
        }
        match self.ascii(start).parse::<i64>() {
            Ok(_) => Ok(()),
            Err(_) => Err(Flaw { what: What::WideNumber, at: start }),
        }
    }

    fn finite(&self, start: usize) -> Checked {
        match self.ascii(start).parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(()),
            _ => Err(Flaw { what: What::VastNumber, at: start }),
        }
    }

    /// What was passed since `start`, which is a number.
    fn ascii(&self, start: usize) -> &'a str {
        std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default()
    }

    #[inline(always)]
    fn word(&mut self, word: &[u8]) -> Checked {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.not_json());
        }
        self.at += word.len();
        Ok(())
    }

    /// The first eight bytes of a key, mixed with its length.
    #[inline(always)]
    fn print(&self, start: usize, len: usize) -> u64 {
        let word = match self.bytes.get(start..).and_then(<[u8]>::first_chunk) {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => {
                let mut chunk = [0; 8];
                let rest = &self.bytes[start..];
                chunk[..rest.len()].copy_from_slice(rest);
                u64::from_le_bytes(chunk)
            }
        };
        let kept = if len < 8 { word & ((1 << (8 * len)) - 1) } else { word };
        kept ^ (len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[inline(never)]
    fn same(&self, one: &Key, other: &Key) -> bool {
        self.raw(one) == self.raw(other)
    }

    fn raw(&self, key: &Key) -> &'a [u8] {
        &self.bytes[key.start..key.start + key.len]
    }

    /// Refuse keys that come twice among many, or among some with escapes.
    #[cold]
    fn check_many(&mut self, first: usize) -> Checked {
        if self.key_escaped {
            let mut seen = HashSet::new();
            for key in &self.keys[first..] {
                if !seen.insert(self.meant(key)) {
                    return Err(Flaw { what: What::RepeatedKey, at: key.start - 1 });
                }
            }
            return Ok(());
        }
        let bytes = self.bytes;
        let raw = |key: &Key| &bytes[key.start..key.start + key.len];
        self.keys[first..].sort_unstable_by(|one, other| {
            one.print.cmp(&other.print).then_with(|| raw(one).cmp(raw(other))).then(one.start.cmp(&other.start))
        });
        let pairs = self.keys[first..].windows(2).filter(|pair| raw(&pair[0]) == raw(&pair[1]));
        match pairs.map(|pair| pair[1].start - 1).min() {
            Some(at) => Err(Flaw { what: What::RepeatedKey, at }),
            None => Ok(()),
        }
    }

    /// The text that a key stands for.
    fn meant(&self, key: &Key) -> Cow<'a, [u8]> {
        let raw = self.raw(key);
        if !raw.contains(&b'\\') {
            return Cow::Borrowed(raw);
        }
        let quoted = &self.bytes[key.start - 1..=key.start + key.len];
        serde_json::from_slice::<String>(quoted).map_or(Cow::Borrowed(raw), |text| Cow::Owned(text.into_bytes()))
    }

    #[cold]
    fn not_json(&self) -> Flaw {
        Flaw { what: What::NotJson, at: self.at }
    }

    #[cold]
    fn cut(&self) -> Flaw {
        Flaw { what: What::Cut, at: self.bytes.len() }
    }

    #[cold]
    fn not_json_or_cut(&self, start: usize) -> Flaw {
        if self.at == self.bytes.len() { self.cut() } else { Flaw { what: What::NotJson, at: start } }
    }
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = ONES << 7;

#[cfg(test)]
mod tests;
