//! Values of events, and what can be done with them. Python's meaning of everything here is that of
//! `python/act_fast/_declared/python_fold.py`.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::spec::{Arithmetic, Comparison, Constant};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    None,
    Int(i64),
    Float(f64),
    Bool(bool),
    Str(Cow<'a, str>),
    /// µs since 1970.
    Moment(i64),
}

/// A number does not fit 64 bits, or is not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

impl<'a> Value<'a> {
    pub(super) fn constant(constant: &'a Constant) -> Self {
        match constant {
            Constant::None => Self::None,
            Constant::Int(value) => Self::Int(*value),
            Constant::Float(value) => Self::Float(*value),
            Constant::Bool(value) => Self::Bool(*value),
            Constant::Str(value) => Self::Str(Cow::Borrowed(value)),
        }
    }

    pub(super) fn into_owned(self) -> Value<'static> {
        match self {
            Value::None => Value::None,
            Value::Int(value) => Value::Int(value),
            Value::Float(value) => Value::Float(value),
            Value::Bool(value) => Value::Bool(value),
            Value::Str(value) => Value::Str(Cow::Owned(value.into_owned())),
            Value::Moment(value) => Value::Moment(value),
        }
    }

    /// How two values compare; None when they do not, or one is missing.
    pub(super) fn order(&self, other: &Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Value::Int(left), Value::Int(right)) | (Value::Moment(left), Value::Moment(right)) => {
                Some(left.cmp(right))
            }
            (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
            (Value::Int(left), Value::Float(right)) => Some(int_to_float(*left, *right)),
            (Value::Float(left), Value::Int(right)) => Some(int_to_float(*right, *left).reverse()),
            (Value::Str(left), Value::Str(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
            (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }

    pub(super) fn compare(&self, how: Comparison, other: &Value<'_>) -> bool {
        let order = self.order(other);
        let equal = order == Some(Ordering::Equal) || matches!((self, other), (Value::None, Value::None));
        match how {
            Comparison::Equal => equal,
            Comparison::NotEqual => !equal,
            Comparison::Less => order == Some(Ordering::Less),
            Comparison::LessOrEqual => order.is_some_and(Ordering::is_le),
            Comparison::Greater => order == Some(Ordering::Greater),
            Comparison::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        }
    }

    pub(super) fn negative(&self) -> Result<Value<'static>, TooLarge> {
        match self {
            Value::Int(value) => value.checked_neg().map(Value::Int).ok_or(TooLarge),
            Value::Float(value) => Ok(Value::Float(-value)),
            _ => Ok(Value::None),
        }
    }

    pub(super) fn arithmetic(&self, how: Arithmetic, other: &Value<'_>) -> Result<Value<'static>, TooLarge> {
        match (self, other) {
            (Value::Int(left), Value::Int(right)) => ints(how, *left, *right),
            (Value::Int(left), Value::Float(right)) => floats(how, *left as f64, *right),
            (Value::Float(left), Value::Int(right)) => floats(how, *left, *right as f64),
            (Value::Float(left), Value::Float(right)) => floats(how, *left, *right),
            _ => Ok(Value::None),
        }
    }
}

/// A whole number against a finite one, exactly.
fn int_to_float(left: i64, right: f64) -> Ordering {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if right >= LIMIT {
        return Ordering::Less;
    }
    if right < -LIMIT {
        return Ordering::Greater;
    }
    let whole = right.trunc();
    left.cmp(&(whole as i64)).then_with(|| whole.partial_cmp(&right).unwrap_or(Ordering::Equal))
}

fn ints(how: Arithmetic, left: i64, right: i64) -> Result<Value<'static>, TooLarge> {
    let found = match how {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::Divide => return floats(how, left as f64, right as f64),
        Arithmetic::FloorDivide | Arithmetic::Remainder if right == 0 => return Ok(Value::None),
        Arithmetic::FloorDivide => left
            .checked_div(right)
            .map(|whole| if left.wrapping_rem(right) != 0 && (left < 0) != (right < 0) { whole - 1 } else { whole }),
        Arithmetic::Remainder => {
            let rest = left.wrapping_rem(right);
            Some(if rest != 0 && (rest < 0) != (right < 0) { rest + right } else { rest })
        }
    };
    found.map(Value::Int).ok_or(TooLarge)
}

fn floats(how: Arithmetic, left: f64, right: f64) -> Result<Value<'static>, TooLarge> {
    let found = match how {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        _ if right == 0.0 => return Ok(Value::None),
        Arithmetic::Divide => left / right,
        Arithmetic::FloorDivide => floored(left, right).0,
        Arithmetic::Remainder => floored(left, right).1,
    };
    if found.is_finite() { Ok(Value::Float(found)) } else { Err(TooLarge) }
}

/// Quotient and remainder as Python has them.
fn floored(left: f64, right: f64) -> (f64, f64) {
    let mut rest = left % right;
    let mut quotient = (left - rest) / right;
    if rest == 0.0 {
        rest = 0.0_f64.copysign(right);
    } else if (right < 0.0) != (rest < 0.0) {
        rest += right;
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return (0.0_f64.copysign(left / right), rest);
    }
    let whole = quotient.floor();
    (if quotient - whole > 0.5 { whole + 1.0 } else { whole }, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(how: Arithmetic, left: i64, right: i64) -> Option<Value<'static>> {
        Value::Int(left).arithmetic(how, &Value::Int(right)).ok()
    }

    #[test]
    fn whole_numbers_are_divided_downwards_and_do_not_wrap() {
        assert_eq!(int(Arithmetic::FloorDivide, -7, 2), Some(Value::Int(-4)));
        assert_eq!(int(Arithmetic::Remainder, -7, 2), Some(Value::Int(1)));
        assert_eq!(int(Arithmetic::Remainder, 7, -2), Some(Value::Int(-1)));
        assert_eq!(int(Arithmetic::FloorDivide, 7, 0), Some(Value::None));
        assert_eq!(int(Arithmetic::FloorDivide, i64::MIN, -1), None);
        assert_eq!(int(Arithmetic::Remainder, i64::MIN, -1), Some(Value::Int(0)));
        assert_eq!(int(Arithmetic::Add, i64::MAX, 1), None);
        assert_eq!(int(Arithmetic::Divide, 1, 2), Some(Value::Float(0.5)));
    }

    #[test]
    fn whole_numbers_and_floats_are_compared_exactly() {
        let large = 9_007_199_254_740_993;
        assert_eq!(int_to_float(large, 9_007_199_254_740_992.0), Ordering::Greater);
        assert_eq!(int_to_float(i64::MAX, 9_223_372_036_854_775_807.0), Ordering::Less);
        assert_eq!(int_to_float(i64::MIN, -9_223_372_036_854_775_808.0), Ordering::Equal);
        assert_eq!(int_to_float(-1, -1.5), Ordering::Greater);
        assert_eq!(int_to_float(1, 1.5), Ordering::Less);
        assert_eq!(int_to_float(0, -0.0), Ordering::Equal);
    }

    #[test]
    fn what_is_not_finite_is_too_large() {
        assert_eq!(Value::Float(1e308).arithmetic(Arithmetic::Multiply, &Value::Int(10)), Err(TooLarge));
        assert_eq!(Value::Float(1.0).arithmetic(Arithmetic::Divide, &Value::Float(-0.0)), Ok(Value::None));
    }
}
