//! A cursor over a payload, which was found to be JSON when it was stored: it looks only at what a caller asks for, and
//! is sure of what it says.
//!
//! Whatever reads a value begins at its first byte, which [`JsonReader::peek`] goes to; punctuation is found behind spaces.

use std::borrow::Cow;

use super::check::DEPTH_MAX;

/// What is not as the reader expects it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong(pub &'static str);

/// What was read, or what is wrong with it.
pub type Sure<T = ()> = Result<T, Wrong>;

/// Kinds of values, by their first byte; a set of them is their sum.
pub mod kind {
    /// `null`
    pub const NULL: u8 = 1;
    /// `true` or `false`
    pub const BOOL: u8 = 2;
    /// A number.
    pub const NUMBER: u8 = 4;
    /// A text.
    pub const STRING: u8 = 8;
    /// A list.
    pub const ARRAY: u8 = 16;
    /// An object.
    pub const OBJECT: u8 = 32;
}

/// What is not even JSON.
pub const NOT_JSON: Wrong = Wrong("it is not JSON");
const NOT_UNICODE: Wrong = Wrong("text that is not Unicode");
const TOO_DEEP: Wrong = Wrong("its lists and objects are nested too deeply");
const NOT_WHOLE: Wrong = Wrong("it is not a whole number");

/// A whole number of up to so many digits fits.
pub const SAFE_DIGITS: usize = 18;

/// What stands between two quotes.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a> {
    /// With the quotes.
    whole: &'a [u8],
    escaped: bool,
}

impl<'a> Quoted<'a> {
    #[inline]
    fn raw(self) -> &'a [u8] {
        &self.whole[1..self.whole.len() - 1]
    }

    /// The text that it stands for.
    #[inline]
    pub fn text(self) -> Sure<Cow<'a, str>> {
        if self.escaped {
            return unescaped(self.whole).map(Cow::Owned);
        }
        std::str::from_utf8(self.raw()).map(Cow::Borrowed).map_err(|_| NOT_UNICODE)
    }

    /// Make sure that it stands for a text. Logs that were written before payloads were checked for it may hold others.
    #[inline]
    fn check(self) -> Sure {
        if self.escaped { unescaped(self.whole).map(drop) } else { Ok(()) }
    }

    /// The same for who goes through its bytes anyway, and takes none that is not ASCII.
    #[inline]
    pub fn bytes(self) -> Sure<Cow<'a, [u8]>> {
        if self.escaped {
            return unescaped(self.whole).map(|text| Cow::Owned(text.into_bytes()));
        }
        Ok(Cow::Borrowed(self.raw()))
    }
}

#[inline(never)]
fn unescaped(whole: &[u8]) -> Sure<String> {
    serde_json::from_slice(whole).map_err(|_| NOT_UNICODE)
}

/// Goes through JSON from front to back.
#[derive(Clone, Debug)]
pub struct JsonReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> JsonReader<'a> {
    /// At the beginning.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Eight bytes, the first one lowest; zeros behind the end.
    #[inline(always)]
    fn eight(&self, at: usize) -> u64 {
        let rest = self.bytes.get(at..).unwrap_or_default();
        match (rest.first_chunk(), self.bytes.last_chunk()) {
            (Some(chunk), _) => u64::from_le_bytes(*chunk),
            (None, Some(last)) if !rest.is_empty() => u64::from_le_bytes(*last) >> (8 * (WORD_BYTES - rest.len())),
            _ => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        }
    }

    /// The next byte that is no space, without passing it.
    #[inline(always)]
    pub fn peek(&mut self) -> Sure<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(NOT_JSON),
            }
        }
    }

    /// Pass this byte, if it is the next that is no space.
    #[inline(always)]
    pub fn eat(&mut self, wanted: u8) -> Sure<bool> {
        let found = self.peek()? == wanted;
        self.at += usize::from(found);
        Ok(found)
    }

    /// Pass this byte, or say what is wrong otherwise.
    #[inline(always)]
    pub fn expect(&mut self, wanted: u8, otherwise: &'static str) -> Sure {
        if self.eat(wanted)? { Ok(()) } else { Err(Wrong(otherwise)) }
    }

    /// Pass these very bytes, if they are the next.
    #[inline]
    pub fn eat_exactly(&mut self, wanted: &[u8]) -> bool {
        let found = begins(self.rest(), wanted);
        self.at += if found { wanted.len() } else { 0 };
        found
    }

    /// Whether nothing follows.
    #[inline]
    pub fn ended(&mut self) -> bool {
        self.peek().is_err()
    }

    /// The kind of the next value.
    #[inline]
    pub fn kind(&mut self) -> Sure<u8> {
        match self.peek()? {
            b'"' => Ok(kind::STRING),
            b'-' | b'0'..=b'9' => Ok(kind::NUMBER),
            b'{' => Ok(kind::OBJECT),
            b'[' => Ok(kind::ARRAY),
            b't' | b'f' => Ok(kind::BOOL),
            b'n' => Ok(kind::NULL),
            _ => Err(NOT_JSON),
        }
    }

    /// A whole number of 64 bits that is written as one.
    #[inline(always)]
    pub fn int(&mut self) -> Sure<i64> {
        let start = self.at;
        let from = start + usize::from(self.bytes.get(start) == Some(&b'-'));
        let negative = from > start;
        let (mut value, mut at) = (0_u64, from);
        loop {
            let word = self.eight(at);
            let digits = digits_in(word);
            value = value.wrapping_mul(POWERS[digits]).wrapping_add(number_of(word, digits));
            at += digits;
            if digits < WORD_BYTES {
                break;
            }
        }
        if at == from || matches!(self.bytes.get(at), Some(b'.' | b'e' | b'E')) {
            return Err(NOT_WHOLE);
        }
        self.at = at;
        if at - from <= SAFE_DIGITS {
            let value = value.cast_signed();
            return Ok(if negative { -value } else { value });
        }
        long(&self.bytes[start..at])
    }

    /// The text of a number.
    #[inline]
    pub fn number(&mut self) -> Sure<&'a str> {
        let start = self.at;
        self.pass_number()?;
        std::str::from_utf8(&self.bytes[start..self.at]).map_err(|_| NOT_JSON)
    }

    /// A number as a float, infinite if it is too large.
    #[inline]
    pub fn float(&mut self) -> Sure<f64> {
        match self.number()? {
            // A whole number, and of these there is one zero.
            "-0" => Ok(0.0),
            text => text.parse().map_err(|_| Wrong("it is not a number")),
        }
    }

    #[inline]
    fn pass_number(&mut self) -> Sure {
        let start = self.at;
        while let Some(b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Wrong("it is not a number")) }
    }

    /// `true` or `false`.
    #[inline]
    pub fn boolean(&mut self) -> Sure<bool> {
        if self.eat_exactly(b"true") {
            Ok(true)
        } else if self.eat_exactly(b"false") {
            Ok(false)
        } else {
            Err(Wrong("it is not a boolean"))
        }
    }

    /// `null`.
    #[inline]
    pub fn null(&mut self) -> Sure {
        if self.eat_exactly(b"null") { Ok(()) } else { Err(Wrong("it is not null")) }
    }

    /// A text, as it is written.
    #[inline]
    pub fn quoted(&mut self) -> Sure<Quoted<'a>> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(Wrong("it is not text"));
        }
        let start = self.at;
        let mut at = start + 1;
        let mut escaped = false;
        loop {
            at = quote_or_backslash(self.bytes, at).ok_or(NOT_JSON)?;
            if self.bytes[at] == b'"' {
                break;
            }
            escaped = true;
            at += 2;
        }
        self.at = at + 1;
        Ok(Quoted { whole: &self.bytes[start..self.at], escaped })
    }

    /// A text.
    #[inline]
    pub fn text(&mut self) -> Sure<Cow<'a, str>> {
        self.quoted()?.text()
    }

    /// Pass a value of this kind.
    #[inline]
    pub fn pass(&mut self, found: u8) -> Sure {
        match found {
            kind::STRING => self.quoted()?.check(),
            kind::NUMBER => self.pass_number(),
            _ => self.skip(),
        }
    }

    /// Pass a value of any kind.
    pub fn skip(&mut self) -> Sure {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => self.quoted()?.check()?,
                b'{' | b'[' => {
                    if depth == DEPTH_MAX {
                        return Err(TOO_DEEP);
                    }
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1).ok_or(NOT_JSON)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                b'-' | b'0'..=b'9' => self.pass_number()?,
                b't' | b'f' => {
                    self.boolean()?;
                }
                b'n' => self.null()?,
                _ => return Err(NOT_JSON),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// What was passed since `earlier`, without the spaces around it; it need not be UTF-8.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> &'a [u8] {
        self.bytes[earlier.at..self.at].trim_ascii()
    }
}

const WORD_BYTES: usize = 8;
const ONES: u64 = u64::from_le_bytes([1; WORD_BYTES]);
const HIGHS: u64 = ONES << 7;
/// What a number is multiplied by for so many digits more.
const POWERS: [u64; WORD_BYTES + 1] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// A whole number that may not fit.
#[cold]
fn long(text: &[u8]) -> Sure<i64> {
    let text = std::str::from_utf8(text).map_err(|_| NOT_JSON)?;
    text.parse().map_err(|_| Wrong("it is a whole number of more than 64 bits"))
}

/// How many digits a word begins with.
#[inline(always)]
fn digits_in(word: u64) -> usize {
    // The lowest byte that is found to be no digit is none; those above it may seem so.
    let others = ((word ^ (ONES * b'0' as u64)).wrapping_add(ONES * 0x76) | word) & HIGHS;
    others.trailing_zeros() as usize / 8
}

/// The number that the first digits of a word make: two, four and then all eight are added up at once.
#[inline(always)]
fn number_of(word: u64, digits: usize) -> u64 {
    if digits == 0 {
        return 0;
    }
    let word = (word & (ONES * 0x0f)) << (8 * (WORD_BYTES - digits));
    let word = word.wrapping_mul(10 << 8 | 1) >> 8 & (u64::MAX / 0xffff * 0xff);
    let word = word.wrapping_mul(100 << 16 | 1) >> 16 & (u64::MAX / 0xffff_ffff * 0xffff);
    word.wrapping_mul(10_000 << 32 | 1) >> 32
}

/// Whether bytes begin with others, which are few: a call that compares them would take longer than a look at their words.
#[inline(always)]
fn begins(bytes: &[u8], wanted: &[u8]) -> bool {
    let Some(bytes) = bytes.get(..wanted.len()) else { return false };
    match (bytes.first_chunk::<WORD_BYTES>(), bytes.last_chunk::<WORD_BYTES>()) {
        (Some(first), Some(last)) if bytes.len() <= 2 * WORD_BYTES => {
            Some(first) == wanted.first_chunk() && Some(last) == wanted.last_chunk()
        }
        (None, _) => bytes.iter().zip(wanted).all(|(byte, wanted)| byte == wanted),
        _ => bytes == wanted,
    }
}

/// Where the next quote or backslash is: eight bytes at a time, since texts are short and this is most of the work.
#[inline]
fn quote_or_backslash(bytes: &[u8], from: usize) -> Option<usize> {
    // The lowest byte that is found to be zero is zero; those above it may seem so.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut at = from;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*chunk);
        let found = zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).map(|more| at + more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_numbers_are_read_to_their_last_one() {
        let read = |text: &str| JsonReader::new(text.as_bytes()).int();
        let too_large = Err(Wrong("it is a whole number of more than 64 bits"));
        assert_eq!(read("9223372036854775807"), Ok(i64::MAX));
        assert_eq!(read("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(read("9223372036854775808"), too_large);
        assert_eq!(read("-9223372036854775809"), too_large);
        assert_eq!(read("1.0"), Err(NOT_WHOLE));
        assert_eq!(read("1e3"), Err(NOT_WHOLE));
        assert_eq!(read("-"), Err(NOT_WHOLE));
        assert_eq!(read("-0,"), Ok(0));
        assert_eq!(read("\"5\""), Err(NOT_WHOLE));
    }

    #[test]
    fn a_text_is_unicode() {
        for wrong in [&b"\"\xff\""[..], b"\"\\ud800\"", b"\"\\n\xff\""] {
            assert_eq!(JsonReader::new(wrong).text(), Err(NOT_UNICODE), "{wrong:?}");
        }
    }

    #[test]
    fn what_other_readers_refuse_is_not_passed() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        for wrong in [r#""\ud800""#, r#"["\ud800"]"#, r#"{"\udc00":1}"#, &deep(DEPTH_MAX + 1)] {
            assert!(JsonReader::new(wrong.as_bytes()).skip().is_err(), "{wrong}");
        }
        assert_eq!(JsonReader::new(br#""\ud800""#).pass(kind::STRING), Err(NOT_UNICODE));
        assert_eq!(JsonReader::new(deep(DEPTH_MAX).as_bytes()).skip(), Ok(()));
    }

    #[test]
    fn a_whole_zero_has_no_sign() {
        let bits = |text: &str| JsonReader::new(text.as_bytes()).float().map(f64::to_bits);
        assert_eq!(bits("-0"), Ok(0.0_f64.to_bits()));
        for text in ["-0.0", "-0e0", "-0E5"] {
            assert_eq!(bits(text), Ok((-0.0_f64).to_bits()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_whole_number_is_the_one_that_the_library_reads(
            before in "[ \"]{0,9}", digits in "-?[0-9]{0,21}", after in "[,}\" x/:.eE\u{80}-\u{ff}]?.{0,9}",
        ) {
            let text = format!("{before}{digits}{after}");
            let behind = &text.as_bytes()[before.len()..];
            let len = usize::from(behind.first() == Some(&b'-'));
            let len = len + behind[len..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let whole = !matches!(behind.get(len), Some(b'.' | b'e' | b'E'));
            let mut cursor = JsonReader { bytes: text.as_bytes(), at: before.len() };
            let found = cursor.int();
            let expected = std::str::from_utf8(&behind[..len]).unwrap().parse::<i64>().ok().filter(|_| whole);
            prop_assert_eq!(found.ok(), expected, "{}", text);
            if found.is_ok() {
                prop_assert_eq!(cursor.at, before.len() + len);
            }
        }

        #[test]
        fn bytes_begin_with_others_or_do_not(
            wanted in "[ab]{0,40}", rest in "[ab]{0,9}", change in 0..60_usize, cut in 0..50_usize,
        ) {
            let mut bytes = [wanted.as_bytes(), rest.as_bytes()].concat();
            if let Some(byte) = bytes.get_mut(change) {
                *byte ^= 3;
            }
            bytes.truncate(cut);
            prop_assert_eq!(begins(&bytes, wanted.as_bytes()), bytes.starts_with(wanted.as_bytes()));
        }

        #[test]
        fn a_quote_is_found_wherever_it_is(bytes in proptest::collection::vec(0x20_u8..0x60, 0..40), from in 0..8_usize) {
            let found = bytes.iter().enumerate().skip(from).find(|(_, byte)| matches!(byte, b'"' | b'\\'));
            prop_assert_eq!(quote_or_backslash(&bytes, from), found.map(|(at, _)| at));
        }

        #[test]
        fn any_bytes_are_passed_without_a_panic(bytes: Vec<u8>, before in "[\\[{]?\"?") {
            let bytes = [before.as_bytes(), &bytes].concat();
            let _ = JsonReader::new(&bytes).skip();
            let _ = JsonReader::new(&bytes).int();
            let _ = JsonReader::new(&bytes).number();
            let _ = JsonReader::new(&bytes).text();
            let _ = JsonReader::new(&bytes).quoted().and_then(|quoted| quoted.bytes().map(|bytes| bytes.len()));
        }

        #[test]
        fn a_text_is_the_one_that_serde_reads(value: String) {
            let text = serde_json::Value::from(value.as_str()).to_string();
            let quoted = JsonReader::new(text.as_bytes()).quoted().unwrap();
            prop_assert_eq!(quoted.bytes().map(Cow::into_owned), Ok(value.as_bytes().to_vec()));
            prop_assert_eq!(quoted.text().map(Cow::into_owned), Ok(value));
        }

        #[test]
        fn all_of_a_value_is_passed(value in any_json(), spaces in "[ \n]{0,2}") {
            let text = format!("{spaces}{value}{spaces}");
            let mut cursor = JsonReader::new(text.as_bytes());
            let before = cursor.clone();
            prop_assert_eq!(cursor.skip(), Ok(()));
            prop_assert!(cursor.ended());
            prop_assert_eq!(cursor.since(&before), text.trim().as_bytes());
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                proptest::collection::hash_map(any::<String>(), inner, 0..5)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }
}
