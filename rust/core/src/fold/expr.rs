//! Expressions over the values of one event. Both sides of everything are looked at, as in Python.

use super::spec::{Comparison, Expr, Feed};
use super::value::{TooLarge, Value};

/// What an event gives to an accumulator.
#[derive(Clone, Debug)]
pub(super) enum Given<'a> {
    Nothing,
    Value(Value<'a>),
    TooLarge,
}

/// Put what an event gives behind what others have given. A whole number goes there by itself: a value that is handed back
/// first waits for its parts to be written.
#[inline(always)]
pub(super) fn give<'a>(feed: &'a Feed, leaves: &[Value<'a>], out: &mut Vec<Given<'a>>) {
    if let (None, Some(Expr::Leaf(at))) = (&feed.condition, &feed.value)
        && let Value::Int(value) = leaves[*at]
    {
        out.push(Given::Value(Value::Int(value)));
    } else {
        out.push(given(feed, leaves));
    }
}

#[inline]
pub(super) fn given<'a>(feed: &'a Feed, leaves: &[Value<'a>]) -> Given<'a> {
    if let Some(condition) = &feed.condition {
        match holds(condition, leaves) {
            Ok(true) => {}
            Ok(false) => return Given::Nothing,
            Err(TooLarge) => return Given::TooLarge,
        }
    }
    match &feed.value {
        None => Given::Value(Value::Int(1)),
        Some(Expr::Leaf(at)) => Given::Value(leaves[*at].clone()),
        Some(value) => match evaluate(value, leaves) {
            Ok(value) => Given::Value(value),
            Err(TooLarge) => Given::TooLarge,
        },
    }
}

fn evaluate<'a>(expr: &'a Expr, leaves: &[Value<'a>]) -> Result<Value<'a>, TooLarge> {
    match expr {
        Expr::Leaf(at) => Ok(leaves[*at].clone()),
        Expr::Constant(constant) => Ok(Value::constant(constant)),
        Expr::Negative(of) => evaluate(of, leaves)?.negative(),
        Expr::Arithmetic(how, left, right) => {
            let (left, right) = (evaluate(left, leaves)?, evaluate(right, leaves)?);
            left.arithmetic(*how, &right)
        }
        _ => holds(expr, leaves).map(Value::Bool),
    }
}

fn holds<'a>(expr: &'a Expr, leaves: &[Value<'a>]) -> Result<bool, TooLarge> {
    match expr {
        Expr::Not(of) => Ok(!holds(of, leaves)?),
        Expr::And(left, right) => {
            let (left, right) = (holds(left, leaves)?, holds(right, leaves)?);
            Ok(left && right)
        }
        Expr::Or(left, right) => {
            let (left, right) = (holds(left, leaves)?, holds(right, leaves)?);
            Ok(left || right)
        }
        Expr::Compare(how, left, right) => match (&**left, &**right) {
            (Expr::Leaf(at), Expr::Constant(constant)) => Ok(leaves[*at].compare(*how, &Value::constant(constant))),
            (left, right) => {
                let (left, right) = (evaluate(left, leaves)?, evaluate(right, leaves)?);
                Ok(left.compare(*how, &right))
            }
        },
        Expr::OneOf(of, options) => {
            let value = evaluate(of, leaves)?;
            Ok(options.iter().any(|option| value.compare(Comparison::Equal, &Value::constant(option))))
        }
        // A missing condition does not hold.
        Expr::Leaf(at) => Ok(leaves[*at] == Value::Bool(true)),
        Expr::Constant(constant) => Ok(Value::constant(constant) == Value::Bool(true)),
        Expr::Negative(_) | Expr::Arithmetic(..) => Ok(false),
    }
}
