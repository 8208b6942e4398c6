//! What a payload may be, checked when it is appended: [I-JSON](https://www.rfc-editor.org/rfc/rfc7493), with whole numbers of
//! 64 bits and a limit to how deep it is, so that every reader of the log takes it for the same.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use smallvec::SmallVec;

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

/// What is wrong with a payload, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// What it is.
    pub what: What,
    /// The byte it begins at, from 0.
    pub at: usize,
}

/// What may be wrong with a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It is not JSON.
    NotJson,
    /// It is JSON that ends too early.
    Cut,
    /// It is not UTF-8.
    NotUtf8,
    /// An escape for half of a surrogate pair, which is no character.
    LoneSurrogate,
    /// A key that its object has already.
    RepeatedKey,
    /// A whole number of more than 64 bits.
    WideNumber,
    /// A number beyond what a double holds.
    VastNumber,
    /// Too many lists and objects inside each other.
    TooDeep(usize),
}

impl fmt::Display for Flaw {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at;
        match self.what {
            What::NotJson => write!(out, "not JSON in UTF-8 (see byte {at}); encode it first"),
            What::Cut => write!(out, "not JSON in UTF-8 (it ends too early, at byte {at}); encode it first"),
            What::NotUtf8 => write!(out, "not JSON in UTF-8 (byte {at} is not UTF-8); encode it first"),
            What::LoneSurrogate => {
                write!(
                    out,
                    "JSON that readers refuse: byte {at} begins half of a surrogate pair, which is no character; replace it"
                )
            }
            What::RepeatedKey => {
                write!(
                    out,
                    "JSON that readers do not agree on: byte {at} begins a key that its object has already; keep one of them"
                )
            }
            What::WideNumber => write!(
                out,
                "JSON that readers do not agree on: byte {at} begins a whole number of more than 64 bits; write it as text"
            ),
            What::VastNumber => write!(
                out,
                "JSON that readers refuse: byte {at} begins a number that is larger than a float of 64 bits; write it as text"
            ),
            What::TooDeep(most) => write!(
                out,
                "JSON that readers refuse: at byte {at} more than {most} lists and objects are inside each other; \
                 make it flatter, or write the inner part as text"
            ),
        }
    }
}

type Checked<T = ()> = Result<T, Flaw>;

/// Whether every reader takes these bytes for the same JSON.
#[inline]
pub fn check(data: &[u8]) -> Checked {
    Checker::new(data, DEPTH_MAX, true).all()
}

/// The same for the meta of a commit: numbers of any width, since no column is made of them.
pub(crate) fn check_meta(meta: &[u8]) -> Checked {
    Checker::new(meta, META_DEPTH_MAX, false).all()
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::de::IgnoredAny;
    use serde_json::Value;

    fn flaw(text: &str) -> Option<(What, usize)> {
        check(text.as_bytes()).err().map(|flaw| (flaw.what, flaw.at))
    }

    #[test]
    fn what_readers_differ_on_is_refused_with_its_place() {
        use What::{LoneSurrogate, RepeatedKey, VastNumber, WideNumber};
        for (text, what, at) in [
            (r#""\ud800""#, LoneSurrogate, 1),
            (r#"["a\n\udc00"]"#, LoneSurrogate, 5),
            (r#""\ud800\ud800""#, LoneSurrogate, 1),
            (r#""\ud800\n""#, LoneSurrogate, 1),
            (r#""\ud800x\udc00""#, LoneSurrogate, 1),
            (r#"{"\uDEAD":1}"#, LoneSurrogate, 2),
            (r#"{"a":1,"a":2}"#, RepeatedKey, 7),
            (r#"{"a":1,"\u0061":2}"#, RepeatedKey, 7),
            (r#"{"\u0061":1, "a" :2}"#, RepeatedKey, 13),
            (r#"{"a\/":1,"a/":2}"#, RepeatedKey, 9),
            (r#"{"a":{"b":{},"b":1}}"#, RepeatedKey, 13),
            (r#"[{"":1},{"":1,"":2}]"#, RepeatedKey, 14),
            (r#"{"a":{"a":1},"a":2}"#, RepeatedKey, 13),
            (r#"{"long enough 1":1,"long enough 2":1,"long enough 1":1}"#, RepeatedKey, 37),
            ("9223372036854775808", WideNumber, 0),
            ("[-9223372036854775809]", WideNumber, 1),
            ("1e400", VastNumber, 0),
            ("[1,-1E+309]", VastNumber, 3),
            ("1.8e308", VastNumber, 0),
        ] {
            assert_eq!(flaw(text), Some((what, at)), "{text}");
        }
        assert_eq!(flaw(&format!("{}.5", "1".repeat(310))), Some((VastNumber, 0)));
        let many: Vec<String> = (0..100).map(|number| format!("\"key {}\":0", number % 99)).collect();
        let object = format!("{{{}}}", many.join(","));
        assert_eq!(flaw(&object), Some((RepeatedKey, object.rfind("\"key 0").unwrap())));
    }

    #[test]
    fn what_every_reader_takes_is_taken() {
        for text in [
            "-0",
            "-0.0",
            "0e99999999999",
            "1e-400",
            "1.7976931348623157e308",
            "9223372036854775807",
            "-9223372036854775808",
            "123456789012345678901234567890.5",
            r#""\ud83d\ude00\u0000\uffff\/""#,
            r#"{"a":{"a":{"a":1}},"b":{"a":1}}"#,
            r#"[{"a":1},{"a":1}]"#,
            r#"{"ab":1,"a":2,"abc":3,"":4,"A":5}"#,
            " {\t\"a\" :\n[ ] , \"b\"\r:{ } } ",
        ] {
            assert_eq!(flaw(text), None, "{text}");
        }
        assert_eq!(flaw(&format!("0.{}1e401", "0".repeat(400))), None);
        let many: Vec<String> = (0..1000).map(|number| format!("\"key {number}\":0")).collect();
        assert_eq!(flaw(&format!("{{{}}}", many.join(","))), None);
    }

    #[test]
    fn a_payload_is_as_deep_as_it_may_be_and_no_deeper() {
        let nested = |open: &str, close: &str, depth: usize| open.repeat(depth) + "1" + &close.repeat(depth);
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            assert_eq!(flaw(&nested(open, close, DEPTH_MAX)), None);
            let at = DEPTH_MAX * open.len();
            assert_eq!(flaw(&nested(open, close, DEPTH_MAX + 1)), Some((What::TooDeep(DEPTH_MAX), at)));
        }
        assert_eq!(flaw(&"[]".repeat(2)), Some((What::NotJson, 2)));
        assert_eq!(flaw(&format!("[{}[]]", "[],".repeat(1000))), None);
    }

    #[test]
    fn a_meta_may_hold_numbers_of_any_width_and_nothing_else_that_readers_differ_on() {
        assert_eq!(check_meta(b"{\"a\":123456789012345678901234567890}"), Ok(()));
        assert!(check_meta(b"{\"a\":1e400}").is_err());
        assert!(check_meta(b"{\"a\":1,\"a\":2}").is_err());
    }

    /// A value written out, its objects with keys that may come twice; whether one does.
    fn any_written() -> impl Strategy<Value = (String, bool)> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(|number| number.to_string()),
            proptest::num::f64::NORMAL.prop_map(|number| Value::from(number).to_string()),
            any::<String>().prop_map(|text| Value::from(text).to_string()),
            Just("null".to_owned()),
            Just("true".to_owned()),
        ];
        leaf.prop_map(|text| (text, false)).prop_recursive(4, 60, 6, |inner| {
            let key = prop_oneof!["[abc]{1,2}", "prefixed [ab]{1,3}", any::<String>()];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(|values| {
                    let (texts, repeats): (Vec<_>, Vec<_>) = values.into_iter().unzip();
                    (format!("[{}]", texts.join(",")), repeats.contains(&true))
                }),
                proptest::collection::vec((key, inner, any::<bool>()), 0..40).prop_map(|members| {
                    let distinct: HashSet<&String> = members.iter().map(|(key, _, _)| key).collect();
                    let repeats = distinct.len() < members.len() || members.iter().any(|(_, (_, found), _)| *found);
                    let written: Vec<String> = members.iter().map(member).collect();
                    (format!("{{{}}}", written.join(" ,\n")), repeats)
                }),
            ]
        })
    }

    fn member((key, (value, _), escaped): &(String, (String, bool), bool)) -> String {
        let units = || key.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
        let key = if *escaped { format!("\"{}\"", units()) } else { Value::from(key.as_str()).to_string() };
        format!("{key}:{value}")
    }

    proptest! {
        #[test]
        fn keys_that_come_twice_are_found_wherever_they_are((text, repeats) in any_written()) {
            let found = check(text.as_bytes());
            prop_assert_eq!(matches!(found, Err(Flaw { what: What::RepeatedKey, .. })), repeats, "{}", text);
            prop_assert_eq!(found.is_ok(), !repeats, "{}", text);
        }

        #[test]
        fn what_is_json_is_what_serde_takes_for_it(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![
                    "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\"b\":", "\\", "\\u00e9", "\\ud83d\\ude00", "\\ud83d", "é",
                    "1", "-", "0", ".", "e", "E5", "+", "true", "fals", "null", " ", "\n", "\u{1}", "aaaaaaaa", "\u{7f}", "\u{feff}",
                ]),
                0..12,
            ),
            cut in any::<proptest::sample::Index>(),
        ) {
            let whole = parts.concat();
            for bytes in [whole.as_bytes(), &whole.as_bytes()[..cut.index(whole.len() + 1)]] {
                let json = std::str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
                match check(bytes) {
                    Ok(()) => prop_assert!(json, "{:?}", bytes),
                    Err(Flaw { what: What::NotJson | What::Cut | What::NotUtf8, .. }) => prop_assert!(!json, "{:?}", bytes),
                    Err(_) => {}
                }
            }
        }

        #[test]
        fn any_bytes_are_looked_at_without_a_panic(bytes: Vec<u8>, before in "[\\[{]{0,2}\"?") {
            let bytes = [before.as_bytes(), &bytes].concat();
            let json = std::str::from_utf8(&bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
            prop_assert!(check(&bytes).is_err() || json);
        }
    }
}
