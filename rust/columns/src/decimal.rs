//! Decimal numbers as JSON has them: text of digits, a point, perhaps an exponent.

use crate::shape::DECIMAL_DIGITS;

/// How far an exponent is followed.
const EXPONENT_MAX: i64 = 1000;

/// The number times ten to the power of `scale`; None when that is no whole number of 38 digits, or it is no number.
pub(crate) fn scaled(text: &str, scale: i8) -> Option<i128> {
    let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let rest = if negative { rest } else { rest.strip_prefix('+').unwrap_or(rest) };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], rest[at + 1..].parse::<i64>().ok().filter(|found| found.abs() <= EXPONENT_MAX)?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value: i128 = 0;
    let mut shift = exponent - i64::try_from(fraction.len()).ok()? + i64::from(scale);
    let digits = [whole, fraction].concat();
    // Zeros at the end carry no value, and must not make it overflow.
    let kept = digits.trim_end_matches('0');
    shift += (digits.len() - kept.len()) as i64;
    for byte in kept.bytes() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
    }
    if value != 0 {
        if shift < 0 {
            return None;
        }
        value = value.checked_mul(10_i128.checked_pow(u32::try_from(shift).ok()?)?)?;
    }
    let limit = 10_i128.pow(u32::from(DECIMAL_DIGITS));
    (value < limit).then_some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::scaled;

    #[test]
    fn what_fits_is_exact_and_the_rest_is_refused() {
        assert_eq!(scaled("1.25", 9), Some(1_250_000_000));
        assert_eq!(scaled("-0.000000001", 9), Some(-1));
        assert_eq!(scaled("1E+2", 2), Some(10_000));
        assert_eq!(scaled("1.5e-1", 2), Some(15));
        assert_eq!(scaled("0E-1000", 2), Some(0));
        assert_eq!(scaled("1.250000000000000", 2), Some(125));
        assert_eq!(scaled("0.0000000001", 9), None);
        assert_eq!(scaled("1E+29", 9), None);
        for wrong in ["NaN", "Infinity", "", "-", ".", "1e", "1.2.3", "1e9999999"] {
            assert_eq!(scaled(wrong, 9), None, "{wrong}");
        }
    }
}
