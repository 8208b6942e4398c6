//! Times as JSON has them: dates, times, moments and durations in ISO 8601, in the one form that they are stored in.
//! Other forms that mean the same are left to Python, which knows them all.

use jiff::SignedDuration;
use jiff::civil::{DateTime, datetime};
use jiff::fmt::temporal::DateTimePrinter;

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;
const EPOCH: DateTime = datetime(1970, 1, 1, 0, 0, 0, 0);
static WHOLE: DateTimePrinter = DateTimePrinter::new().precision(Some(0));
static FRACTIONAL: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

/// Days since 1970 of a day in the proleptic Gregorian calendar, which `text` must be and nothing more.
#[must_use]
pub fn date(text: &[u8]) -> Option<i32> {
    if text.len() != 10 || text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let (year, month, day) = (digits(&text[..4])?, digits(&text[5..7])?, digits(&text[8..])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year == 0 || !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March, so that the leap day is the last of its year.
    let shifted = if month > 2 { year } else { year - 1 };
    let era = shifted / 400;
    let of_era = shifted - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    i32::try_from(days).ok()
}

/// µs since midnight, and whatever follows.
fn clock(text: &[u8]) -> Option<(i64, &[u8])> {
    if text.len() < 8 || text[2] != b':' || text[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (digits(&text[..2])?, digits(&text[3..5])?, digits(&text[6..8])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let whole = ((hour * 60 + minute) * 60 + second) * SECOND_US;
    let rest = &text[8..];
    let Some(fraction) = rest.strip_prefix(b".") else {
        return Some((whole, rest));
    };
    let len = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=6).contains(&len) {
        return None;
    }
    Some((whole + digits(&fraction[..len])? * 10_i64.pow(6 - len as u32), &fraction[len..]))
}

/// µs since midnight.
#[must_use]
pub fn time(text: &[u8]) -> Option<i64> {
    clock(text).and_then(|(time, rest)| rest.is_empty().then_some(time))
}

/// µs since 1970 and whether the text says how far it is from UTC; if not, it is taken for UTC.
#[must_use]
pub fn instant(text: &[u8]) -> Option<(i64, bool)> {
    let days = date(text.get(..10)?)?;
    if !matches!(text.get(10)?, b'T' | b't' | b' ') {
        return None;
    }
    let (time, rest) = clock(&text[11..])?;
    let (offset, zoned) = match rest {
        [] => (0, false),
        [b'Z' | b'z'] => (0, true),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = (hours * 60 + minutes) * 60 * SECOND_US;
            (if *sign == b'-' { -offset } else { offset }, true)
        }
        _ => return None,
    };
    Some((i64::from(days) * DAY_US + time - offset, zoned))
}

/// µs since 1970 of a moment in the form that [`utc_text`] writes: `2026-01-31T12:00:00Z` or `2026-01-31T12:00:00.000001Z`.
#[inline]
#[must_use]
pub fn utc(text: &[u8]) -> Option<i64> {
    let written = matches!(text.len(), 20 | 27) && text[10] == b'T' && text[text.len() - 1] == b'Z';
    if written { instant(text).map(|(moment_us, _)| moment_us) } else { None }
}

/// The text of a moment in UTC, in the years 1 to 9999, as payloads have it.
#[must_use]
pub fn utc_text(moment_us: i64) -> String {
    let moment = EPOCH.saturating_add(SignedDuration::from_micros(moment_us));
    let printer = if moment_us % SECOND_US == 0 { &WHOLE } else { &FRACTIONAL };
    format!("{}Z", printer.datetime_to_string(&moment))
}

/// µs of a duration in days and seconds, such as `P1DT2.5S`.
#[must_use]
pub fn duration(text: &[u8]) -> Option<i64> {
    let (sign, text) = text.strip_prefix(b"-").map_or((1, text), |rest| (-1, rest));
    let mut rest = text.strip_prefix(b"P")?;
    let mut total: i64 = 0;
    let mut parts = 0;
    if let Some(at) = rest.iter().position(|byte| *byte == b'D') {
        total = amount(&rest[..at])?.checked_mul(DAY_US)?;
        rest = &rest[at + 1..];
        parts += 1;
    }
    if let Some(time) = rest.strip_prefix(b"T") {
        let (seconds, rest) = (time.strip_suffix(b"S")?, &[][..]);
        let point = seconds.iter().position(|byte| *byte == b'.').unwrap_or(seconds.len());
        total = total.checked_add(amount(&seconds[..point])?.checked_mul(SECOND_US)?)?;
        let fraction = seconds.get(point + 1..).unwrap_or(rest);
        if !fraction.is_empty() {
            if fraction.len() > 6 {
                return None;
            }
            total = total.checked_add(digits(fraction)? * 10_i64.pow(6 - fraction.len() as u32))?;
        }
        parts += 1;
    } else if !rest.is_empty() {
        return None;
    }
    (parts > 0).then_some(total * sign)
}

fn amount(text: &[u8]) -> Option<i64> {
    (text.len() <= 15).then(|| digits(text)).flatten()
}

/// The number that is written in digits, few enough for it to fit.
fn digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(b"1970-01-01"), Some(0));
        assert_eq!(date(b"2000-02-29"), Some(11_016));
        assert_eq!(date(b"0001-01-01"), Some(-719_162));
        assert_eq!(date(b"9999-12-31"), Some(2_932_896));
        for wrong in ["1900-02-29", "2001-02-29", "2001-13-01", "2001-00-01", "2001-04-31", "0000-01-01", "2001-1-01"] {
            assert_eq!(date(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn moments_are_in_utc() {
        assert_eq!(instant(b"1970-01-01T00:00:00Z"), Some((0, true)));
        assert_eq!(instant(b"1970-01-01T01:00:00.5+01:00"), Some((500_000, true)));
        assert_eq!(instant(b"1969-12-31T23:59:59.999999"), Some((-1, false)));
        for wrong in ["1970-01-01", "1970-01-01T24:00:00Z", "1970-01-01T00:00:60Z", "1970-01-01T00:00:00.1234567Z"] {
            assert_eq!(instant(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn durations_are_days_and_seconds() {
        assert_eq!(duration(b"P1DT2.5S"), Some(86_402_500_000));
        assert_eq!(duration(b"-P1D"), Some(-86_400_000_000));
        assert_eq!(duration(b"PT0S"), Some(0));
        for wrong in ["P", "PT", "P1W", "PT1H", "PT1M", "1D", "PT1.1234567S", "P999999999999999D"] {
            assert_eq!(duration(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn utc_is_read_only_as_it_is_written() {
        assert_eq!(utc(b"1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(utc(b"2000-02-29T23:59:59.000001Z"), Some(951_868_799_000_001));
        for wrong in [
            "1970-01-01T00:00:00+01:00",
            "1970-01-01 00:00:00Z",
            "1970-01-01t00:00:00Z",
            "1970-01-01T00:00:00z",
            "1970-01-01T00:00:00.5Z",
            "1970-01-01T00:00:00.50+01:Z",
            "1970-02-30T00:00:00Z",
            "1970-01-01T24:00:00Z",
        ] {
            assert_eq!(utc(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn utc_is_written_with_a_fraction_of_six_digits_or_none() {
        assert_eq!(utc_text(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc_text(-500_000), "1969-12-31T23:59:59.500000Z");
        assert_eq!(utc_text(-62_135_596_800_000_000), "0001-01-01T00:00:00Z");
        assert_eq!(utc_text(253_402_300_799_999_999), "9999-12-31T23:59:59.999999Z");
    }

    proptest! {
        #[test]
        fn what_is_written_of_a_moment_is_read_as_it(
            moment_us in -62_135_596_800_000_000_i64..=253_402_300_799_999_999, whole: bool,
        ) {
            let moment_us = if whole { moment_us.div_euclid(SECOND_US) * SECOND_US } else { moment_us };
            let text = utc_text(moment_us);
            prop_assert_eq!(text.len(), if moment_us % SECOND_US == 0 { 20 } else { 27 });
            prop_assert_eq!(utc(text.as_bytes()), Some(moment_us));
            prop_assert_eq!(instant(text.as_bytes()), Some((moment_us, true)));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>, date_first: bool) {
            let bytes = if date_first { [b"2026-01-31T12:00:00".as_slice(), &bytes].concat() } else { bytes };
            let _ = (date(&bytes), time(&bytes), instant(&bytes), utc(&bytes), duration(&bytes));
        }
    }
}
