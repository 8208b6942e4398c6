//! One JSON value that is neither a list nor an object, into a column of its kind.

use act_fast_core::payload::json::JsonReader;
use act_fast_core::payload::times;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::column::Column;
use crate::decimal;
use crate::shape::Kind;
use crate::unfit::{Fit, Unfit};

const OUT_OF_BOUNDS: Unfit = Unfit::new("it is out of bounds");
const NONE_OF_THEM: Unfit = Unfit::new("it is not one of the allowed values");

/// Push into a column, if it is wanted.
pub(crate) fn put(out: Option<&mut Column>, push: impl FnOnce(&mut Column)) {
    if let Some(out) = out {
        push(out);
    }
}

/// Take a value; into a column, if it is wanted.
pub(crate) fn take(kind: &Kind, json: &mut JsonReader<'_>, out: Option<&mut Column>) -> Fit {
    match kind {
        Kind::Int { low, high } => take_int(json, *low, *high, out)?,
        Kind::Float { at_least, above, at_most, below } => {
            let value = json.float()?;
            let within = value.is_finite()
                && at_least.is_none_or(|bound| value >= bound)
                && above.is_none_or(|bound| value > bound)
                && at_most.is_none_or(|bound| value <= bound)
                && below.is_none_or(|bound| value < bound);
            if !within {
                return Err(OUT_OF_BOUNDS);
            }
            put(out, |out| out.push_double(value));
        }
        Kind::Bool => {
            let value = json.boolean()?;
            put(out, |out| out.push_bool(value));
        }
        Kind::Text => take_text(json, None, out)?,
        Kind::Word { of } => take_text(json, Some(of), out)?,
        Kind::Number { of } => {
            let value = json.int()?;
            if !of.contains(&value) {
                return Err(NONE_OF_THEM);
            }
            put(out, |out| out.push_long(value));
        }
        Kind::Instant { zone } => {
            let value = instant(&json.quoted()?.bytes()?, *zone)?;
            put(out, |out| out.push_long(value));
        }
        Kind::Date => {
            let value = times::date(&json.quoted()?.bytes()?).ok_or(Unfit::new("it is not a date"))?;
            put(out, |out| out.push_days(value));
        }
        Kind::Time => {
            let value = times::time(&json.quoted()?.bytes()?)
                .ok_or(Unfit::new("it is not a time of day, or has a time zone, which a column cannot hold"))?;
            put(out, |out| out.push_long(value));
        }
        Kind::Duration => {
            let value = times::duration(&json.quoted()?.bytes()?)
                .ok_or(Unfit::new("it is not a duration, or is longer than a column can hold"))?;
            put(out, |out| out.push_long(value));
        }
        Kind::Decimal { scale } => {
            let value = decimal::scaled(&json.text()?, *scale)
                .ok_or(Unfit::new("it is not a decimal number, or has more digits than its column"))?;
            put(out, |out| out.push_decimal(value));
        }
        Kind::Uuid => {
            let value = uuid(&json.quoted()?.bytes()?).ok_or(Unfit::new("it is not a UUID"))?;
            put(out, |out| out.push_sixteen(&value));
        }
        Kind::Bytes => {
            let value = STANDARD.decode(json.quoted()?.bytes()?).map_err(|_| Unfit::new("it is not base64"))?;
            push_bytes(&value, out)?;
        }
        Kind::List { .. } | Kind::Map { .. } | Kind::Struct(_) | Kind::Json { .. } | Kind::Null => {
            unreachable!("taken where values are taken apart")
        }
    }
    Ok(())
}

fn take_int(json: &mut JsonReader<'_>, low: Option<i64>, high: Option<i64>, out: Option<&mut Column>) -> Fit {
    let value = json.int()?;
    if low.is_some_and(|low| value < low) || high.is_some_and(|high| value > high) {
        return Err(OUT_OF_BOUNDS);
    }
    put(out, |out| out.push_long(value));
    Ok(())
}

fn take_text(json: &mut JsonReader<'_>, of: Option<&Vec<String>>, out: Option<&mut Column>) -> Fit {
    let text = json.text()?;
    if of.is_some_and(|of| !of.iter().any(|word| *word == text)) {
        return Err(NONE_OF_THEM);
    }
    push_bytes(text.as_bytes(), out)
}

fn push_bytes(value: &[u8], out: Option<&mut Column>) -> Fit {
    match out {
        Some(out) => out.push_bytes(value),
        None => Ok(()),
    }
}

/// Microseconds since 1970; `zone` says whether the text must have one, or must not.
fn instant(text: &[u8], zone: Option<bool>) -> Result<i64, Unfit> {
    let (value, zoned) = times::instant(text).ok_or(Unfit::new("it is not a date and time"))?;
    match zone {
        Some(true) if !zoned => Err(Unfit::new("it has no offset from UTC")),
        Some(false) if zoned => Err(Unfit::new("it has an offset from UTC, and must not")),
        _ => Ok(value),
    }
}

fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != 36 || [8, 13, 18, 23].iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let mut digits = text.iter().filter(|byte| **byte != b'-').map(|byte| char::from(*byte).to_digit(16));
    let mut bytes = [0; 16];
    for byte in &mut bytes {
        *byte = (digits.next()?? << 4 | digits.next()??) as u8;
    }
    digits.next().is_none().then_some(bytes)
}
