//! From a payload to the values that are asked for. Fields are expected in the order in which they are declared, and found in
//! any other; the last of several with one name counts. What is not asked for must be as its class takes it all the same.

use crate::payload::json::{JsonReader, NOT_JSON, SAFE_DIGITS, Sure, Wrong, kind};
use crate::payload::times;

use super::spec::{Event, Leaf, Member, Object, Sort};
use super::value::Value;

/// The value is not as the declaration expects it; Python knows what it means.
pub(super) const DOUBT: Wrong = Wrong("it is not what is declared");

/// Take the values of an event from its payload. `checked`: whether its class has taken it already, so that what is not asked for
/// need not be looked at.
#[inline]
pub(super) fn scan<'a>(event: &'a Event, data: &'a [u8], leaves: &mut Vec<Value<'a>>, checked: bool) -> Sure {
    // Each of them is put, whether it is there, null or missing; what is left of the event before does not matter.
    if leaves.len() < event.leaves {
        leaves.resize(event.leaves, Value::None);
    }
    let mut cursor = JsonReader::new(data);
    object(&event.object, &mut cursor, leaves, !checked)?;
    if cursor.ended() { Ok(()) } else { Err(NOT_JSON) }
}

/// `strict`: whether what is not asked for is looked at.
#[inline]
pub(super) fn object<'a>(
    spec: &'a Object,
    cursor: &mut JsonReader<'a>,
    leaves: &mut [Value<'a>],
    strict: bool,
) -> Sure {
    let members = &spec.members;
    let mut seen = 0_u64;
    let mut next = 0;
    cursor.expect(b'{', "it is not an object")?;
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
                    value(&members[index], cursor, leaves, strict)?;
                }
            }
            if cursor.eat(b',')? {
                continue;
            }
            cursor.expect(b'}', NOT_JSON.0)?;
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
fn named(members: &[Member], cursor: &mut JsonReader<'_>) -> Sure<Option<usize>> {
    let name = cursor.text()?;
    cursor.expect(b':', NOT_JSON.0)?;
    Ok(members.iter().position(|member| member.key == name))
}

#[inline(never)]
fn missing<'a>(members: &'a [Member], seen: u64, leaves: &mut [Value<'a>]) -> Sure {
    for (index, member) in members.iter().enumerate() {
        if seen & (1 << index) == 0 {
            for (at, constant) in member.missing.as_ref().ok_or(DOUBT)? {
                leaves[*at] = Value::constant(constant);
            }
        }
    }
    Ok(())
}

#[inline]
fn value<'a>(member: &'a Member, cursor: &mut JsonReader<'a>, leaves: &mut [Value<'a>], strict: bool) -> Sure {
    let found = cursor.kind()?;
    if found & member.kinds == 0 {
        return Err(DOUBT);
    }
    match (&member.leaf, &member.inside) {
        (Some(leaf), _) => take_leaf(leaf, found, cursor, &mut leaves[leaf.at]),
        (None, Some(inside)) if found == kind::NULL => {
            forget(inside, leaves);
            cursor.null()
        }
        (None, Some(inside)) => object(inside, cursor, leaves, strict),
        (None, None) if strict => member.check.pass(found, cursor),
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

/// Values are put where they are to be: one that is handed back first waits for its parts to be written.
#[inline(always)]
fn take_leaf<'a>(leaf: &Leaf, found: u8, cursor: &mut JsonReader<'a>, out: &mut Value<'a>) -> Sure {
    if found == kind::NULL {
        cursor.null()?;
        *out = Value::None;
        return Ok(());
    }
    match leaf.sort {
        Sort::Int => {
            let value = cursor.int()?;
            if leaf.low.is_some_and(|low| value < low) || leaf.high.is_some_and(|high| value > high) {
                return Err(DOUBT);
            }
            *out = Value::Int(value);
        }
        Sort::Float => *out = Value::Float(float(cursor)?),
        Sort::Bool => *out = Value::Bool(cursor.boolean()?),
        Sort::Str => {
            let text = cursor.text()?;
            if leaf.options.as_ref().is_some_and(|options| !options.iter().any(|option| *option == text)) {
                return Err(DOUBT);
            }
            *out = Value::Str(text);
        }
        Sort::Moment => {
            let text = cursor.quoted()?.bytes()?;
            *out = Value::Moment(times::utc(&text).ok_or(DOUBT)?);
        }
    }
    Ok(())
}

/// A number as a float; one that is written as a whole number, and may not be one exactly, is left to Python.
#[inline]
fn float(cursor: &mut JsonReader<'_>) -> Sure<f64> {
    let text = cursor.clone().number()?;
    let whole = !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    if whole && text.len() > SAFE_DIGITS {
        return Err(DOUBT);
    }
    cursor.float().and_then(|value| if value.is_finite() { Ok(value) } else { Err(DOUBT) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::fold::spec::StateSpec;

    /// An event with a number, a text and a nested number, of which each may be null but the first.
    fn spec() -> StateSpec {
        let leaf = |at: usize, sort: &str| json!({"at": at, "sort": sort, "options": null, "low": null, "high": null});
        let member = |key: &str, kinds: u8, leaf: Json, inside: Json, missing: Json| json!({"key": key, "kinds": kinds, "leaf": leaf, "inside": inside, "missing": missing});
        let inside = json!({"members": [
            member("size", 4, leaf(2, "int"), Json::Null, Json::Null),
            member("other", 63, Json::Null, Json::Null, json!([])),
        ]});
        let object = json!({"members": [
            member("amount", 4, leaf(0, "int"), Json::Null, Json::Null),
            member("name", 9, leaf(1, "str"), Json::Null, json!([[1, {"str": "nobody"}]])),
            member("part", 33, Json::Null, inside, json!([[2, "none"]])),
            member("rest", 63, Json::Null, Json::Null, json!([])),
        ]});
        let event = json!({"object": object, "leaves": 3, "by_class": false, "feeds": [], "computed": []});
        let spec = json!({"events": [event], "kept": [], "computed": [], "fields": []});
        StateSpec::read(spec.to_string().as_bytes()).unwrap()
    }

    /// The same by way of `serde_json`.
    fn expected(object: &Json) -> Option<Vec<Value<'static>>> {
        let int = |value: &Json| value.as_i64().filter(|_| value.is_i64() || value.is_u64()).map(Value::Int);
        let name = match object.get("name") {
            None => Value::Str("nobody".into()),
            Some(Json::Null) => Value::None,
            Some(name) => Value::Str(name.as_str()?.to_owned().into()),
        };
        let size = match object.get("part") {
            None | Some(Json::Null) => Value::None,
            Some(part) => int(part.as_object()?.get("size")?)?,
        };
        Some(vec![int(object.get("amount")?)?, name, size])
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<u64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            any::<String>().prop_map(Json::from),
            "[\"\\\\a]{0,20}".prop_map(Json::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                members(inner).prop_map(|members| Json::Object(members.into_iter().collect())),
            ]
        })
    }

    fn members(value: impl Strategy<Value = Json>) -> impl Strategy<Value = Vec<(String, Json)>> {
        let key = prop_oneof![
            4 => proptest::sample::select(vec!["amount", "name", "part", "rest", "size", "other"]).prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        proptest::collection::vec((key, value), 0..7)
    }

    /// An object as it may be written: its members in their order, also those that come twice, with spaces between.
    fn written(members: &[(String, Json)], space: &str) -> String {
        let member = |(key, value): &(String, Json)| format!("{space}{}{space}:{space}{value}{space}", json!(key));
        format!("{space}{{{space}{}}}{space}", members.iter().map(member).collect::<Vec<_>>().join(","))
    }

    #[test]
    fn what_is_not_as_declared_is_doubted_though_another_value_takes_its_place() {
        let (spec, mut leaves) = (spec(), Vec::new());
        assert_eq!(scan(&spec.events[0], br#"{"amount":1,"amount":2}"#, &mut leaves, false), Ok(()));
        assert_eq!(leaves[0], Value::Int(2));
        assert_eq!(scan(&spec.events[0], br#"{"amount":null,"amount":2}"#, &mut leaves, false), Err(DOUBT));
    }

    proptest! {
        #[test]
        fn what_is_taken_is_what_serde_finds(members in members(any_json()), space in "[ \n\t]{0,2}") {
            let (spec, text) = (spec(), written(&members, &space));
            let mut leaves = Vec::new();
            let found = scan(&spec.events[0], text.as_bytes(), &mut leaves, false).ok().map(|()| leaves);
            let object: Json = serde_json::from_str(&text).unwrap();
            // Of several values with one name all must be as declared, though the last of them counts.
            let repeats = object.as_object().unwrap().len() < members.len();
            if found.is_some() || !repeats {
                prop_assert_eq!(found, expected(&object), "{}", text);
            }
        }

        #[test]
        fn a_good_object_is_never_doubted(
            amount: i64, name in any::<Option<String>>(), size in any::<Option<i64>>(), rest in any_json(), turn in 0..4_usize,
        ) {
            let part = size.map_or(Json::Null, |size| json!({"other": rest, "size": size}));
            let mut members = vec![
                ("amount".to_owned(), json!(amount)),
                ("name".to_owned(), json!(name)),
                ("part".to_owned(), part),
                ("rest".to_owned(), rest),
            ];
            members.rotate_left(turn);
            let (spec, text) = (spec(), written(&members, ""));
            let mut leaves = Vec::new();
            prop_assert_eq!(scan(&spec.events[0], text.as_bytes(), &mut leaves, false), Ok(()));
            let name = name.map_or(Value::None, |name| Value::Str(name.into()));
            prop_assert_eq!(leaves, vec![Value::Int(amount), name, size.map_or(Value::None, Value::Int)]);
        }

        #[test]
        fn a_float_is_the_one_that_serde_reads(value: f64) {
            let text = Json::from(value).to_string();
            if value.is_finite() {
                prop_assert_eq!(float(&mut JsonReader::new(text.as_bytes())).map(f64::to_bits), Ok(value.to_bits()));
            }
        }

        #[test]
        fn whatever_is_there_does_not_panic(bytes: Vec<u8>) {
            let _ = scan(&spec().events[0], &bytes, &mut Vec::new(), false);
        }
    }
}
