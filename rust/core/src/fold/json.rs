//! A cursor over a payload, which was found to be JSON when it was stored: it tells what it is sure of, and doubts the rest.

use std::borrow::Cow;

/// The value is not as the declaration expects it; Python knows what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Doubt;

pub(super) type Sure<T = ()> = Result<T, Doubt>;

/// Kinds of values, by their first byte.
pub(super) mod kind {
    pub(crate) const NULL: u8 = 1;
    pub(crate) const BOOL: u8 = 2;
    pub(crate) const NUMBER: u8 = 4;
    pub(crate) const STRING: u8 = 8;
    pub(crate) const ARRAY: u8 = 16;
    pub(crate) const OBJECT: u8 = 32;
}

/// A whole number of up to so many digits fits.
const SAFE_DIGITS: usize = 18;

#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next byte that is no space, without passing it.
    #[inline]
    pub(super) fn peek(&mut self) -> Sure<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(Doubt),
            }
        }
    }

    #[inline]
    pub(super) fn eat(&mut self, wanted: u8) -> Sure<bool> {
        let found = self.peek()? == wanted;
        self.at += usize::from(found);
        Ok(found)
    }

    #[inline]
    pub(super) fn expect(&mut self, wanted: u8) -> Sure {
        if self.eat(wanted)? { Ok(()) } else { Err(Doubt) }
    }

    /// Pass these very bytes.
    #[inline]
    pub(super) fn eat_exactly(&mut self, wanted: &[u8]) -> bool {
        let found = self.rest().starts_with(wanted);
        self.at += if found { wanted.len() } else { 0 };
        found
    }

    /// Whether nothing follows.
    #[inline]
    pub(super) fn ended(&mut self) -> bool {
        self.peek().is_err()
    }

    /// The kind of the next value.
    #[inline]
    pub(super) fn kind(&mut self) -> Sure<u8> {
        match self.peek()? {
            b'"' => Ok(kind::STRING),
            b'-' | b'0'..=b'9' => Ok(kind::NUMBER),
            b'{' => Ok(kind::OBJECT),
            b'[' => Ok(kind::ARRAY),
            b't' | b'f' => Ok(kind::BOOL),
            b'n' => Ok(kind::NULL),
            _ => Err(Doubt),
        }
    }

    /// A whole number that is written as one.
    #[inline]
    pub(super) fn int(&mut self) -> Sure<i64> {
        let start = self.at;
        let negative = self.rest().first() == Some(&b'-');
        let from = start + usize::from(negative);
        let mut value: u64 = 0;
        let mut at = from;
        while let Some(digit) = self.bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            at += 1;
        }
        if at == from || matches!(self.bytes.get(at), Some(b'.' | b'e' | b'E')) {
            return Err(Doubt);
        }
        self.at = at;
        if at - from <= SAFE_DIGITS {
            let value = value.cast_signed();
            return Ok(if negative { -value } else { value });
        }
        std::str::from_utf8(&self.bytes[start..at]).ok().and_then(|text| text.parse().ok()).ok_or(Doubt)
    }

    /// A number as a float.
    #[inline]
    pub(super) fn float(&mut self) -> Sure<f64> {
        let text = self.number()?;
        let whole = !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
        if whole && text.len() > SAFE_DIGITS {
            return Err(Doubt);
        }
        text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or(Doubt)
    }

    #[inline]
    fn number(&mut self) -> Sure<&'a str> {
        let start = self.at;
        self.pass_number()?;
        std::str::from_utf8(&self.bytes[start..self.at]).map_err(|_| Doubt)
    }

    #[inline]
    fn pass_number(&mut self) -> Sure {
        let start = self.at;
        while let Some(b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Doubt) }
    }

    #[inline]
    pub(super) fn boolean(&mut self) -> Sure<bool> {
        if self.eat_exactly(b"true") {
            Ok(true)
        } else if self.eat_exactly(b"false") {
            Ok(false)
        } else {
            Err(Doubt)
        }
    }

    #[inline]
    pub(super) fn null(&mut self) -> Sure {
        if self.eat_exactly(b"null") { Ok(()) } else { Err(Doubt) }
    }

    /// What stands between two quotes, and whether there are escapes in it.
    #[inline]
    pub(super) fn quoted(&mut self) -> Sure<(&'a [u8], bool)> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(Doubt);
        }
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            at = quote_or_backslash(self.bytes, at).ok_or(Doubt)?;
            if self.bytes[at] == b'"' {
                break;
            }
            escaped = true;
            at += 2;
        }
        self.at = at + 1;
        Ok((&self.bytes[start..at], escaped))
    }

    #[inline]
    pub(super) fn text(&mut self) -> Sure<Cow<'a, str>> {
        let start = self.at;
        let (raw, escaped) = self.quoted()?;
        if escaped {
            return serde_json::from_slice::<String>(&self.bytes[start..self.at]).map(Cow::Owned).map_err(|_| Doubt);
        }
        std::str::from_utf8(raw).map(Cow::Borrowed).map_err(|_| Doubt)
    }

    /// Pass a value of this kind.
    #[inline]
    pub(super) fn pass(&mut self, found: u8) -> Sure {
        match found {
            kind::STRING => self.quoted().map(drop),
            kind::NUMBER => self.pass_number(),
            _ => self.skip(),
        }
    }

    /// Pass a value of any kind.
    pub(super) fn skip(&mut self) -> Sure {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.quoted()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1).ok_or(Doubt)?;
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
                _ => return Err(Doubt),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

/// Where the next quote or backslash is: eight bytes at a time, since texts are short and this is most of the work.
#[inline]
fn quote_or_backslash(bytes: &[u8], from: usize) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
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

/// µs since 1970 of a time that is written as `2026-01-31T12:00:00Z` or `2026-01-31T12:00:00.000001Z`.
pub(super) fn moment(text: &[u8]) -> Sure<i64> {
    const DAY_S: i64 = 86_400;
    if !(text.len() == 20 || text.len() == 27) || text.last() != Some(&b'Z') {
        return Err(Doubt);
    }
    let number = |from: usize, to: usize| -> Sure<i64> {
        text[from..to].iter().try_fold(0, |value, byte| {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 { Ok(value * 10 + i64::from(digit)) } else { Err(Doubt) }
        })
    };
    let at = |index: usize, wanted: u8| if text[index] == wanted { Ok(()) } else { Err(Doubt) };
    for (index, wanted) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
        at(index, wanted)?;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let fraction = if text.len() == 27 {
        at(19, b'.')?;
        number(20, 26)?
    } else {
        0
    };
    let known = (1..=9999).contains(&year) && (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !known || hour > 23 || minute > 59 || second > 59 {
        return Err(Doubt);
    }
    let seconds = days_since_1970(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
    Ok(seconds * 1_000_000 + fraction)
}

/// The text of a time: what `moment` reads.
pub(super) fn moment_text(moment_us: i64) -> String {
    let (seconds, fraction) = (moment_us.div_euclid(1_000_000), moment_us.rem_euclid(1_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // The algorithm of Howard Hinnant's "chrono-compatible low-level date algorithms".
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let whole = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if fraction == 0 { format!("{whole}Z") } else { format!("{whole}.{fraction:06}Z") }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_numbers_are_read_to_their_last_one() {
        let read = |text: &str| Cursor::new(text.as_bytes()).int().ok();
        assert_eq!(read("9223372036854775807"), Some(i64::MAX));
        assert_eq!(read("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(read("9223372036854775808"), None);
        assert_eq!(read("1.0"), None);
        assert_eq!(read("1e3"), None);
        assert_eq!(read("-"), None);
        assert_eq!(read("-0,"), Some(0));
        assert_eq!(read("\"5\""), None);
    }

    #[test]
    fn a_time_is_read_only_as_it_is_written() {
        assert_eq!(moment(b"1970-01-01T00:00:00Z"), Ok(0));
        assert_eq!(moment(b"2000-02-29T23:59:59.000001Z"), Ok(951_868_799_000_001));
        for text in
            ["1970-01-01T00:00:00+01:00", "1970-01-01 00:00:00Z", "1970-02-30T00:00:00Z", "1970-01-01T24:00:00Z"]
        {
            assert_eq!(moment(text.as_bytes()), Err(Doubt), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_quote_is_found_wherever_it_is(bytes in proptest::collection::vec(0x20_u8..0x60, 0..40), from in 0..8_usize) {
            let found = bytes.iter().enumerate().skip(from).find(|(_, byte)| matches!(byte, b'"' | b'\\'));
            prop_assert_eq!(quote_or_backslash(&bytes, from), found.map(|(at, _)| at));
        }

        #[test]
        fn a_times_text_is_read_as_that_time(moment_us in -62_135_596_800_000_000_i64..=253_402_300_799_999_999) {
            prop_assert_eq!(moment(moment_text(moment_us).as_bytes()), Ok(moment_us));
        }

        #[test]
        fn any_bytes_are_passed_without_a_panic(bytes: Vec<u8>) {
            let _ = Cursor::new(&bytes).skip();
            let _ = Cursor::new(&bytes).int();
            let _ = Cursor::new(&bytes).float();
            let _ = Cursor::new(&bytes).text().map(|text| text.len());
            let _ = moment(&bytes);
        }

        #[test]
        fn a_float_is_the_one_that_serde_reads(value: f64) {
            let text = serde_json::Value::from(value).to_string();
            if value.is_finite() {
                prop_assert_eq!(Cursor::new(text.as_bytes()).float().map(f64::to_bits), Ok(value.to_bits()));
            }
        }

        #[test]
        fn a_text_is_the_one_that_serde_reads(value: String) {
            let text = serde_json::Value::from(value.as_str()).to_string();
            prop_assert_eq!(Cursor::new(text.as_bytes()).text().map(Cow::into_owned), Ok(value));
        }
    }
}
