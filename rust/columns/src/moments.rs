//! Times as JSON has them: dates, times, moments and durations in ISO 8601, in the one form that they are stored in.
//!
//! Other forms that mean the same are left to whoever knows them all.

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;

/// Days since 1970 of a day in the proleptic Gregorian calendar, which `text` must be and nothing more.
pub(crate) fn date(text: &[u8]) -> Option<i32> {
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
pub(crate) fn time(text: &[u8]) -> Option<i64> {
    clock(text).and_then(|(time, rest)| rest.is_empty().then_some(time))
}

/// µs since 1970 and whether the text says how far it is from UTC; if not, it is taken for UTC.
pub(crate) fn instant(text: &[u8]) -> Option<(i64, bool)> {
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

/// µs of a duration in days and seconds, such as `P1DT2.5S`.
pub(crate) fn duration(text: &[u8]) -> Option<i64> {
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
}
