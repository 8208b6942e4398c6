//! Times as text: ISO 8601, in UTC where no offset is given.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::error::{Error, Result};

/// µs since 1970, rounded down.
pub(super) fn parse(text: &str) -> Option<i64> {
    let moment = match text.parse::<Timestamp>() {
        Ok(moment) => moment,
        // The name of a zone must not be passed over.
        Err(_) if text.contains('[') => return None,
        Err(_) => Offset::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?,
    };
    i64::try_from(moment.as_nanosecond().div_euclid(1000)).ok()
}

/// The time that was read last: all events of a commit have the same.
#[derive(Default)]
pub(super) struct LastCreated<'a> {
    last: Option<(&'a str, i64)>,
}

impl<'a> LastCreated<'a> {
    /// Read a time, unless it is that of the event before.
    pub(super) fn parse(&mut self, text: &'a str) -> Result<i64> {
        match self.last {
            Some((last, moment)) if last == text => Ok(moment),
            _ => {
                let moment = parse(text).ok_or_else(|| {
                    Error::Invalid("`created` is not a time such as 2026-01-31T12:00:00.000001Z".to_owned())
                })?;
                self.last = Some((text, moment));
                Ok(moment)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_databases_and_people_write_them() {
        let expected = Some(1_767_323_045_123_456);
        for text in [
            "2026-01-02T03:04:05.123456Z",
            "2026-01-02 03:04:05.123456+00",
            "2026-01-02 03:04:05.123456",
            "2026-01-02T04:04:05.1234569+01:00",
            "2026-01-01T22:34:05.123456-04:30",
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!(parse("1969-12-31T23:59:59.999999Z"), Some(-1));
        assert_eq!(parse("2026-01-02"), Some(1_767_312_000_000_000));
        for wrong in [
            "",
            "yesterday",
            "2026-13-01T00:00:00Z",
            "2026-01-02T03:04:05 UTC",
            "2026-01-02T03:04:05[Europe/Berlin]",
            "1767323045",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
