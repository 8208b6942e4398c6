use super::*;
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

fn flaw(text: &str) -> Option<(What, usize)> {
    check(text.as_bytes()).err().map(|flaw| (flaw.what, flaw.at))
}

#[test]
fn what_readers_differ_on_is_refused_with_its_place() {
    use What::{LoneSurrogate, RepeatedKey, VastNumber, WideNumber};
    for (text, what, at) in [
        (r#""\ud800""#, LoneSurrogate, 1),
        (r#"["a\n\udc00"]"#, LoneSurrogate, 5),
        (r#""\ud800\ud800""#, LoneSurrogate, 1),
        (r#""\ud800\n""#, LoneSurrogate, 1),
        (r#""\ud800x\udc00""#, LoneSurrogate, 1),
        (r#"{"\uDEAD":1}"#, LoneSurrogate, 2),
        (r#"{"a":1,"a":2}"#, RepeatedKey, 7),
        (r#"{"a":1,"\u0061":2}"#, RepeatedKey, 7),
        (r#"{"\u0061":1, "a" :2}"#, RepeatedKey, 13),
        (r#"{"a\/":1,"a/":2}"#, RepeatedKey, 9),
        (r#"{"a":{"b":{},"b":1}}"#, RepeatedKey, 13),
        (r#"[{"":1},{"":1,"":2}]"#, RepeatedKey, 14),
        (r#"{"a":{"a":1},"a":2}"#, RepeatedKey, 13),
        (r#"{"long enough 1":1,"long enough 2":1,"long enough 1":1}"#, RepeatedKey, 37),
        ("9223372036854775808", WideNumber, 0),
        ("[-9223372036854775809]", WideNumber, 1),
        ("1e400", VastNumber, 0),
        ("[1,-1E+309]", VastNumber, 3),
        ("1.8e308", VastNumber, 0),
    ] {
        assert_eq!(flaw(text), Some((what, at)), "{text}");
    }
    assert_eq!(flaw(&format!("{}.5", "1".repeat(310))), Some((VastNumber, 0)));
    let many: Vec<String> = (0..100).map(|number| format!("\"key {}\":0", number % 99)).collect();
    let object = format!("{{{}}}", many.join(","));
    assert_eq!(flaw(&object), Some((RepeatedKey, object.rfind("\"key 0").unwrap())));
}

#[test]
fn what_every_reader_takes_is_taken() {
    for text in [
        "-0",
        "-0.0",
        "0e99999999999",
        "1e-400",
        "1.7976931348623157e308",
        "9223372036854775807",
        "-9223372036854775808",
        "123456789012345678901234567890.5",
        r#""\ud83d\ude00\u0000\uffff\/""#,
        r#"{"a":{"a":{"a":1}},"b":{"a":1}}"#,
        r#"[{"a":1},{"a":1}]"#,
        r#"{"ab":1,"a":2,"abc":3,"":4,"A":5}"#,
        " {\t\"a\" :\n[ ] , \"b\"\r:{ } } ",
    ] {
        assert_eq!(flaw(text), None, "{text}");
    }
    assert_eq!(flaw(&format!("0.{}1e401", "0".repeat(400))), None);
    let many: Vec<String> = (0..1000).map(|number| format!("\"key {number}\":0")).collect();
    assert_eq!(flaw(&format!("{{{}}}", many.join(","))), None);
}

#[test]
fn a_payload_is_as_deep_as_it_may_be_and_no_deeper() {
    let nested = |open: &str, close: &str, depth: usize| open.repeat(depth) + "1" + &close.repeat(depth);
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        assert_eq!(flaw(&nested(open, close, DEPTH_MAX)), None);
        let at = DEPTH_MAX * open.len();
        assert_eq!(flaw(&nested(open, close, DEPTH_MAX + 1)), Some((What::TooDeep(DEPTH_MAX), at)));
    }
    assert_eq!(flaw(&"[]".repeat(2)), Some((What::NotJson, 2)));
    assert_eq!(flaw(&format!("[{}[]]", "[],".repeat(1000))), None);
}

#[test]
fn a_meta_may_hold_numbers_of_any_width_and_nothing_else_that_readers_differ_on() {
    assert_eq!(check_meta(b"{\"a\":123456789012345678901234567890}"), Ok(()));
    assert!(check_meta(b"{\"a\":1e400}").is_err());
    assert!(check_meta(b"{\"a\":1,\"a\":2}").is_err());
}

/// A value written out, its objects with keys that may come twice; whether one does.
fn any_written() -> impl Strategy<Value = (String, bool)> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        proptest::num::f64::NORMAL.prop_map(|number| Value::from(number).to_string()),
        any::<String>().prop_map(|text| Value::from(text).to_string()),
        Just("null".to_owned()),
        Just("true".to_owned()),
    ];
    leaf.prop_map(|text| (text, false)).prop_recursive(4, 60, 6, |inner| {
        let key = prop_oneof!["[abc]{1,2}", "prefixed [ab]{1,3}", any::<String>()];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(|values| {
                let (texts, repeats): (Vec<_>, Vec<_>) = values.into_iter().unzip();
                (format!("[{}]", texts.join(",")), repeats.contains(&true))
            }),
            proptest::collection::vec((key, inner, any::<bool>()), 0..40).prop_map(|members| {
                let distinct: HashSet<&String> = members.iter().map(|(key, _, _)| key).collect();
                let repeats = distinct.len() < members.len() || members.iter().any(|(_, (_, found), _)| *found);
                let written: Vec<String> = members.iter().map(member).collect();
                (format!("{{{}}}", written.join(" ,\n")), repeats)
            }),
        ]
    })
}

fn member((key, (value, _), escaped): &(String, (String, bool), bool)) -> String {
    let units = || key.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
    let key = if *escaped { format!("\"{}\"", units()) } else { Value::from(key.as_str()).to_string() };
    format!("{key}:{value}")
}

proptest! {
    #[test]
    fn keys_that_come_twice_are_found_wherever_they_are((text, repeats) in any_written()) {
        let found = check(text.as_bytes());
        prop_assert_eq!(matches!(found, Err(Flaw { what: What::RepeatedKey, .. })), repeats, "{}", text);
        prop_assert_eq!(found.is_ok(), !repeats, "{}", text);
    }

    #[test]
    fn what_is_json_is_what_serde_takes_for_it(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\"b\":", "\\", "\\u00e9", "\\ud83d\\ude00", "\\ud83d", "é",
                "1", "-", "0", ".", "e", "E5", "+", "true", "fals", "null", " ", "\n", "\u{1}", "aaaaaaaa", "\u{7f}", "\u{feff}",
            ]),
            0..12,
        ),
        cut in any::<proptest::sample::Index>(),
    ) {
        let whole = parts.concat();
        for bytes in [whole.as_bytes(), &whole.as_bytes()[..cut.index(whole.len() + 1)]] {
            let json = std::str::from_utf8(bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
            match check(bytes) {
                Ok(()) => prop_assert!(json, "{:?}", bytes),
                Err(Flaw { what: What::NotJson | What::Cut | What::NotUtf8, .. }) => prop_assert!(!json, "{:?}", bytes),
                Err(_) => {}
            }
        }
    }

    #[test]
    fn any_bytes_are_looked_at_without_a_panic(bytes: Vec<u8>, before in "[\\[{]{0,2}\"?") {
        let bytes = [before.as_bytes(), &bytes].concat();
        let json = std::str::from_utf8(&bytes).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
        prop_assert!(check(&bytes).is_err() || json);
    }
}
