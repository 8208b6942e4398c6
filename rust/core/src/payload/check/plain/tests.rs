use super::is_plain;
use crate::payload::check::check_thoroughly;
use proptest::prelude::*;
use proptest::sample::{Index, select};

#[test]
fn what_most_programs_write_is_recognised() {
    for text in [
        r#"{"amount":4711,"currency":"EUR","reference":"0123456789abcdef0123456789abcdef","booked":"2013-07-01"}"#,
        r#"{"amount": 4711, "lines": [{"sku": "a", "n": 1}, {"sku": "b", "n": -2.50}], "open": true, "by": null, "x": false}"#,
        r#"{"name":"Åsa Öberg","note":"one \"two\"\n\\ three"}"#,
        "{}",
        "[]",
        "0",
        r#"[[],{},"",{"":{"":[0.1]}}]"#,
    ] {
        assert!(is_plain(text.as_bytes()), "{text}");
    }
    let wide: Vec<String> = (0..32).map(|number| format!("\"a rather long key {number}\":{number}")).collect();
    assert!(is_plain(format!("{{{}}}", wide.join(",")).as_bytes()));
}

#[test]
fn what_is_no_payload_is_not_recognised_wherever_a_block_ends() {
    for wrong in [
        r#"{"a":1,"a":2}"#,
        r#"{"a":{"b":{},"b":1}}"#,
        r#"{"a":{},"b":1,"a":1}"#,
        r#"{"long enough 1":1,"long enough 2":1,"long enough 1":1}"#,
        "[01]",
        "[-]",
        "[1.]",
        "[1,]",
        "[1e400]",
        "[9223372036854775808]",
        "{\"a\":1]",
        "[1}",
        "{\"a\":1,}",
        "{\"a\"1}",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"a\tb\"",
        "\"a",
        "[\"a\"",
        "[tru]",
        "[nul",
        "[] []",
        "\"",
        "",
    ] {
        assert!(!is_plain(wrong.as_bytes()), "{wrong}");
        for before in 0..150 {
            let moved = format!("[\"{}\",{wrong}]", "x".repeat(before));
            assert!(!is_plain(moved.as_bytes()), "{moved}");
            let followed = format!("[{wrong},\"{}\"]", "x".repeat(before));
            assert!(!is_plain(followed.as_bytes()), "{followed}");
        }
    }
    for before in 0..150 {
        let mut bytes = format!("[\"{}é\"]", "x".repeat(before)).into_bytes();
        assert!(is_plain(&bytes));
        let last = bytes.len() - 3;
        bytes[last] = b'x';
        assert!(!is_plain(&bytes));
    }
}

/// JSON as programs write it, with keys that often come twice, and with or without spaces.
pub(super) fn any_document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        "[0-9]{1,20}(\\.[0-9]{0,3})?([eE][+-]?[0-9]{0,3})?",
        "\"[a-zé\\\\\"\u{1}😀 ]{0,5}\"",
        "[a-z]{0,70}".prop_map(|text| format!("\"{text}\"")),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        select(vec!["null", "true", "false", "{}", "[]", "nul", "-", ""]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(10, 60, 6, |inner| {
        let key = prop_oneof!["[abc]{0,2}", "prefixed [ab]{1,3} suffix", "[a-zé\\\\]{0,20}"];
        let space = || select(vec!["", "", "", " ", "  ", "\n"]);
        prop_oneof![
            (proptest::collection::vec(inner.clone(), 0..5), space())
                .prop_map(|(values, space)| format!("[{}]", values.join(&format!(",{space}")))),
            (proptest::collection::vec((key, inner), 0..8), space()).prop_map(|(members, space)| {
                let members: Vec<String> =
                    members.iter().map(|(key, value)| format!("\"{key}\":{space}{value}")).collect();
                format!("{{{}}}", members.join(&format!(",{space}")))
            }),
        ]
    })
}

/// A byte that becomes another one.
#[derive(Debug)]
pub(super) struct Change {
    at: Index,
    byte: u8,
    structural: bool,
}

impl Change {
    pub(super) fn make(&self, bytes: &mut [u8]) {
        if bytes.is_empty() {
            return;
        }
        let at = self.at.index(bytes.len());
        bytes[at] = if self.structural { b"\"\\{}[],:0 -.1t"[usize::from(self.byte) % 14] } else { self.byte };
    }
}

pub(super) fn any_change() -> impl Strategy<Value = Change> {
    any::<(Index, u8, bool)>().prop_map(|(at, byte, structural)| Change { at, byte, structural })
}

fn agrees(bytes: &[u8]) -> Result<(), TestCaseError> {
    prop_assert!(!is_plain(bytes) || check_thoroughly(bytes).is_ok(), "{:?}", bytes);
    Ok(())
}

proptest! {
    #[test]
    fn what_is_recognised_passes_the_thorough_check(text in any_document()) {
        agrees(text.as_bytes())?;
    }

    #[test]
    fn so_does_what_a_document_becomes_when_bytes_of_it_change(
        text in any_document(),
        changes in proptest::collection::vec(any_change(), 1..4),
        cut in any::<Index>(),
    ) {
        let mut bytes = text.into_bytes();
        agrees(&bytes[..cut.index(bytes.len() + 1)])?;
        changes.iter().for_each(|change| change.make(&mut bytes));
        agrees(&bytes)?;
    }

    #[test]
    fn so_do_any_bytes(bytes: Vec<u8>, before in "[\\[{]{0,2}\"?") {
        agrees(&[before.as_bytes(), &bytes].concat())?;
    }
}
