//! From a payload to the values that are asked for. Fields are expected in the order in which they are declared, and found in
//! any other; the last of several with one name counts.

use std::borrow::Cow;

use super::json::{Cursor, Doubt, Sure, kind, moment};
use super::spec::{Event, Leaf, Member, Object, Sort};
use super::value::Value;

/// Take the values of an event from its payload.
#[inline]
pub(super) fn scan<'a>(event: &'a Event, data: &'a [u8], leaves: &mut Vec<Value<'a>>) -> Sure {
    // Each of them is put, be it there, null or missing; what is left of the event before does not matter.
    if leaves.len() < event.leaves {
        leaves.resize(event.leaves, Value::None);
    }
    let mut cursor = Cursor::new(data);
    object(&event.object, &mut cursor, leaves)?;
    if cursor.ended() { Ok(()) } else { Err(Doubt) }
}

#[inline]
fn object<'a>(spec: &'a Object, cursor: &mut Cursor<'a>, leaves: &mut [Value<'a>]) -> Sure {
    let members = &spec.members;
    let mut seen = 0_u64;
    let mut next = 0;
    cursor.expect(b'{')?;
    if !cursor.eat(b'}')? {
        loop {
            cursor.peek()?;
            let found = match members.get(next) {
                Some(member) if cursor.eat_exactly(&member.quoted) => Some(next),
                _ => named(members, cursor)?,
            };
            match found {
                None => cursor.skip()?,
                Some(index) => {
                    seen |= 1 << index;
                    next = index + 1;
                    value(&members[index], cursor, leaves)?;
                }
            }
            if cursor.eat(b',')? {
                continue;
            }
            cursor.expect(b'}')?;
            break;
        }
    }
    if seen.count_ones() as usize != members.len() {
        missing(members, seen, leaves)?;
    }
    Ok(())
}

/// The number of the member whose name comes next, if it is one.
#[inline(never)]
fn named(members: &[Member], cursor: &mut Cursor<'_>) -> Sure<Option<usize>> {
    let name: Cow<'_, str> = cursor.text()?;
    cursor.expect(b':')?;
    Ok(members.iter().position(|member| member.key == name))
}

#[inline(never)]
fn missing<'a>(members: &'a [Member], seen: u64, leaves: &mut [Value<'a>]) -> Sure {
    for (index, member) in members.iter().enumerate() {
        if seen & (1 << index) == 0 {
            for (at, constant) in member.missing.as_ref().ok_or(Doubt)? {
                leaves[*at] = Value::constant(constant);
            }
        }
    }
    Ok(())
}

#[inline]
fn value<'a>(member: &'a Member, cursor: &mut Cursor<'a>, leaves: &mut [Value<'a>]) -> Sure {
    let found = cursor.kind()?;
    if found & member.kinds == 0 {
        return Err(Doubt);
    }
    match (&member.leaf, &member.inside) {
        (Some(leaf), _) => {
            leaves[leaf.at] = leaf_value(leaf, found, cursor)?;
            Ok(())
        }
        (None, Some(inside)) if found == kind::NULL => {
            forget(inside, leaves);
            cursor.null()
        }
        (None, Some(inside)) => object(inside, cursor, leaves),
        (None, None) => cursor.pass(found),
    }
}

fn forget(spec: &Object, leaves: &mut [Value<'_>]) {
    for member in &spec.members {
        if let Some(leaf) = &member.leaf {
            leaves[leaf.at] = Value::None;
        }
        if let Some(inside) = &member.inside {
            forget(inside, leaves);
        }
    }
}

#[inline]
fn leaf_value<'a>(leaf: &Leaf, found: u8, cursor: &mut Cursor<'a>) -> Sure<Value<'a>> {
    if found == kind::NULL {
        cursor.null()?;
        return Ok(Value::None);
    }
    match leaf.sort {
        Sort::Int => {
            let value = cursor.int()?;
            let fits = leaf.low.is_none_or(|low| value >= low) && leaf.high.is_none_or(|high| value <= high);
            if fits { Ok(Value::Int(value)) } else { Err(Doubt) }
        }
        Sort::Float => cursor.float().map(Value::Float),
        Sort::Bool => cursor.boolean().map(Value::Bool),
        Sort::Str => {
            let text = cursor.text()?;
            if leaf.options.as_ref().is_some_and(|options| !options.iter().any(|option| *option == text)) {
                return Err(Doubt);
            }
            Ok(Value::Str(text))
        }
        Sort::Moment => {
            let (raw, _) = cursor.quoted()?;
            moment(raw).map(Value::Moment)
        }
    }
}
