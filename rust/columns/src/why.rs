//! What a commit's meta says of why: correlation, causation, actor.

use crate::json::{Fit, Json, Unfit};

/// The value at a path of keys, as it stands; None where there is none, or null.
pub(crate) fn value_at<'a>(meta: &'a [u8], path: &[&str]) -> Option<&'a str> {
    let text = std::str::from_utf8(meta).ok()?;
    let mut json = Json::new(text);
    for key in path {
        go_to(&mut json, key).ok()?;
    }
    json.skip().ok().filter(|found| *found != "null")
}

/// The text at a path of keys.
pub(crate) fn text_at(meta: &[u8], path: &[&str]) -> Option<String> {
    let found = value_at(meta, path)?;
    Json::new(found).quoted().and_then(|quoted| quoted.text().map(std::borrow::Cow::into_owned)).ok()
}

/// Stand before the value of a key of the object that follows.
fn go_to(json: &mut Json<'_>, wanted: &str) -> Fit {
    json.expect(b'{', "it is no object")?;
    if json.eat(b'}')? {
        return Err(Unfit::new("it is not there"));
    }
    loop {
        let found = json.quoted()?.text()? == wanted;
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
        assert_eq!(value_at(b"", &["correlation"]), None);
        assert_eq!(value_at(b"[1]", &["correlation"]), None);
    }
}
