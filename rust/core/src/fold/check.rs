//! Values that nobody asks for: they are passed, but an event that its class would not take is doubted all the same, so that a
//! state folds here if it folds in Python.

use crate::payload::json::{JsonReader, Sure, kind};
use crate::payload::times;

use super::extract::{DOUBT, object};
use super::spec::{Check, Each, NumberCheck, TextCheck};

/// More digits than this are left to Python.
const DECIMAL_BYTES_MAX: usize = 40;

impl Check {
    /// Pass a value of this kind.
    #[inline]
    pub(super) fn pass<'a>(&'a self, found: u8, cursor: &mut JsonReader<'a>) -> Sure {
        if found & self.doubt != 0 {
            return Err(DOUBT);
        }
        match found {
            kind::NUMBER => match &self.number {
                None => cursor.pass(found),
                Some(check) => check.pass(cursor),
            },
            kind::STRING => match &self.text {
                None => cursor.pass(found),
                Some(check) => check.pass(cursor),
            },
            kind::ARRAY => match &self.elements {
                None => cursor.skip(),
                Some(each) => each.elements(cursor),
            },
            kind::OBJECT => match (&self.object, &self.values) {
                (Some(members), _) => object(members, cursor, &mut [], true),
                (None, Some(each)) => each.values(cursor),
                (None, None) => cursor.skip(),
            },
            _ => cursor.skip(),
        }
    }
}

impl Each {
    fn pass<'a>(&'a self, cursor: &mut JsonReader<'a>) -> Sure {
        let found = cursor.kind()?;
        if found & self.kinds == 0 { Err(DOUBT) } else { self.check.pass(found, cursor) }
    }

    fn elements<'a>(&'a self, cursor: &mut JsonReader<'a>) -> Sure {
        cursor.expect(b'[', DOUBT.0)?;
        if cursor.eat(b']')? {
            return Ok(());
        }
        loop {
            self.pass(cursor)?;
            if !cursor.eat(b',')? {
                return cursor.expect(b']', DOUBT.0);
            }
        }
    }

    fn values<'a>(&'a self, cursor: &mut JsonReader<'a>) -> Sure {
        cursor.expect(b'{', DOUBT.0)?;
        if cursor.eat(b'}')? {
            return Ok(());
        }
        loop {
            cursor.peek()?;
            cursor.pass(kind::STRING)?;
            cursor.expect(b':', DOUBT.0)?;
            self.pass(cursor)?;
            if !cursor.eat(b',')? {
                return cursor.expect(b'}', DOUBT.0);
            }
        }
    }
}

impl NumberCheck {
    #[inline]
    fn pass(&self, cursor: &mut JsonReader<'_>) -> Sure {
        let fits = match self {
            Self::Int { low, high } => {
                let value = cursor.int()?;
                low.is_none_or(|low| value >= low) && high.is_none_or(|high| value <= high)
            }
            Self::Float => cursor.float()?.is_finite(),
        };
        if fits { Ok(()) } else { Err(DOUBT) }
    }
}

impl TextCheck {
    #[inline]
    fn pass(&self, cursor: &mut JsonReader<'_>) -> Sure {
        let text = cursor.quoted()?.bytes()?;
        let fits = match self {
            Self::OneOf(options) => options.iter().any(|option| option.as_bytes() == &*text),
            Self::Instant { zone } => {
                times::instant(&text).is_some_and(|(_, zoned)| zone.is_none_or(|wanted| wanted == zoned))
            }
            Self::Date => times::date(&text).is_some(),
            Self::Time => times::time(&text).is_some(),
            Self::Duration => times::duration(&text).is_some(),
            Self::Uuid => is_uuid(&text),
            Self::Decimal => is_decimal(&text),
        };
        if fits { Ok(()) } else { Err(DOUBT) }
    }
}

fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Whether it is a decimal number as it is usually written.
fn is_decimal(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, fraction) = match digits.iter().position(|byte| *byte == b'.') {
        Some(at) => (&digits[..at], Some(&digits[at + 1..])),
        None => (digits, None),
    };
    let plain = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    text.len() <= DECIMAL_BYTES_MAX && plain(whole) && fraction.is_none_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(check: &str, value: &str) -> bool {
        let check: Check = serde_json::from_str(check).unwrap();
        let mut cursor = JsonReader::new(value.as_bytes());
        let found = cursor.kind().unwrap();
        check.pass(found, &mut cursor).is_ok() && cursor.ended()
    }

    #[test]
    fn values_are_held_against_what_their_class_takes() {
        for (check, good, bad) in [
            (r#"{"number": {"int": {"low": 0, "high": 9}}}"#, ["0", "9"], ["10", "1.5"]),
            (r#"{"number": "float"}"#, ["-1.5", "7"], ["1e400", "-1e400"]),
            (r#"{"text": {"one_of": ["a", "b"]}}"#, [r#""a""#, r#""\u0062""#], [r#""c""#, r#""""#]),
            (
                r#"{"text": {"instant": {"zone": true}}}"#,
                [r#""2026-01-31T12:00:00Z""#, r#""2026-01-31T12:00:00.5+02:00""#],
                [r#""2026-01-31T12:00:00""#, r#""yesterday""#],
            ),
            (r#"{"text": "date"}"#, [r#""2024-02-29""#, r#""0001-01-01""#], [r#""2025-02-29""#, r#""2025-2-9""#]),
            (r#"{"text": "decimal"}"#, [r#""-1.50""#, r#""7""#], [r#""NaN""#, r#""1.""#]),
            (
                r#"{"text": "uuid"}"#,
                [r#""00000000-0000-0000-0000-00000000000a""#, r#""00000000-0000-0000-0000-00000000000F""#],
                [r#""00000000-0000-0000-0000-00000000000g""#, r#""0""#],
            ),
            (
                r#"{"elements": {"kinds": 5, "check": {"number": {"int": {"low": null, "high": null}}}}}"#,
                ["[]", "[1, null ]"],
                ["[1.5]", r#"[1,"a"]"#],
            ),
            (r#"{"values": {"kinds": 2, "check": {}}}"#, ["{}", r#"{"a":true , "b":false}"#], [r#"{"a":1}"#, "{1}"]),
            (r#"{"doubt": 8}"#, ["1", "[]"], [r#""a""#, r#""""#]),
            ("{}", [r#""a""#, r#"{"a":[1,"b"]}"#], [r#""\ud800""#, r#"{"a":"\ud800"}"#]),
        ] {
            assert!(good.iter().all(|value| passes(check, value)), "{check}: {good:?}");
            assert!(!bad.iter().any(|value| passes(check, value)), "{check}: {bad:?}");
        }
    }
}
