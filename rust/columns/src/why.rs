//! What a commit's meta says of why: correlation, causation, actor.

use std::borrow::Cow;

use act_fast_core::payload::json::{JsonReader, Sure, Wrong};

/// The value at a path of keys, as it stands; None where there is none, or null.
pub(crate) fn value_at<'a>(meta: &'a [u8], path: &[&str]) -> Option<&'a str> {
    let mut json = JsonReader::new(meta);
    for key in path {
        go_to(&mut json, key).ok()?;
    }
    let before = json.clone();
    json.skip().ok()?;
    let found = std::str::from_utf8(json.since(&before)).ok()?;
    (found != "null").then_some(found)
}

/// The text at a path of keys.
pub(crate) fn text_at(meta: &[u8], path: &[&str]) -> Option<String> {
    let found = value_at(meta, path)?;
    JsonReader::new(found.as_bytes()).text().map(Cow::into_owned).ok()
}

/// Stand before the value of a key of the object that follows.
fn go_to(json: &mut JsonReader<'_>, wanted: &str) -> Sure {
    json.expect(b'{', "it is not an object")?;
    if json.eat(b'}')? {
        return Err(Wrong("it is not there"));
    }
    loop {
        json.peek()?;
        let found = json.text()? == wanted;
        json.expect(b':', "it is not JSON")?;
        if found {
            return Ok(());
        }
        json.skip()?;
        json.expect(b',', "it is not there")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_path() {
        let meta = br#"{"extra":{"correlation":1},"correlation":"a\"b","causation":{"action":{"actor":{"id":"ada"}}}}"#;
        assert_eq!(text_at(meta, &["correlation"]).as_deref(), Some("a\"b"));
        assert_eq!(text_at(meta, &["causation", "action", "actor", "id"]).as_deref(), Some("ada"));
        assert_eq!(value_at(meta, &["causation", "action"]), Some(r#"{"actor":{"id":"ada"}}"#));
        assert_eq!(value_at(meta, &["causation", "event", "name"]), None);
        let spaced = br#" { "a" : 1 , "causation" : { "action" : "b" } } "#;
        assert_eq!(value_at(spaced, &["causation"]), Some(r#"{ "action" : "b" }"#));
        assert_eq!(text_at(spaced, &["causation", "action"]).as_deref(), Some("b"));
        assert_eq!(value_at(b"{\"correlation\":\"\xff\"}", &["correlation"]), None);
        assert_eq!(value_at(b"", &["correlation"]), None);
        assert_eq!(value_at(b"[1]", &["correlation"]), None);
    }
}
