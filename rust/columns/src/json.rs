//! A cursor over JSON that was found to be JSON when it was stored: it need not tell what is wrong, only that it is.

use std::borrow::Cow;

/// Why something does not become a column's value, and in which field, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) what: &'static str,
    pub(crate) field: Option<usize>,
}

impl Unfit {
    pub(crate) const fn new(what: &'static str) -> Self {
        Self { what, field: None }
    }
}

pub(crate) type Fit<T = ()> = Result<T, Unfit>;

const NOT_JSON: Unfit = Unfit::new("it is not JSON");

/// What stands between two quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quoted<'a> {
    raw: &'a str,
    escaped: bool,
}

impl<'a> Quoted<'a> {
    #[inline]
    pub(crate) fn text(self) -> Fit<Cow<'a, str>> {
        if !self.escaped {
            return Ok(Cow::Borrowed(self.raw));
        }
        let quoted = format!("\"{}\"", self.raw);
        serde_json::from_str::<String>(&quoted).map(Cow::Owned).map_err(|_| Unfit::new("text that is not Unicode"))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Json<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Json<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// The next byte that is no space, without passing it.
    #[inline]
    pub(crate) fn peek(&mut self) -> Fit<u8> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(NOT_JSON)
    }

    #[inline]
    pub(crate) fn eat(&mut self, wanted: u8) -> Fit<bool> {
        let found = self.peek()? == wanted;
        self.at += usize::from(found);
        Ok(found)
    }

    #[inline]
    pub(crate) fn expect(&mut self, wanted: u8, otherwise: &'static str) -> Fit {
        if self.eat(wanted)? { Ok(()) } else { Err(Unfit::new(otherwise)) }
    }

    /// Pass these very bytes.
    #[inline]
    pub(crate) fn eat_exactly(&mut self, wanted: &[u8]) -> bool {
        let found = self.rest().starts_with(wanted);
        self.at += if found { wanted.len() } else { 0 };
        found
    }

    /// Pass `null`.
    #[inline]
    pub(crate) fn eat_null(&mut self) -> Fit<bool> {
        Ok(self.peek()? == b'n' && self.eat_exactly(b"null"))
    }

    /// Whether nothing follows.
    pub(crate) fn ended(&mut self) -> bool {
        self.peek().is_err()
    }

    #[inline]
    pub(crate) fn boolean(&mut self) -> Fit<bool> {
        match self.peek()? {
            b't' if self.eat_exactly(b"true") => Ok(true),
            b'f' if self.eat_exactly(b"false") => Ok(false),
            _ => Err(Unfit::new("it is no boolean")),
        }
    }

    /// A whole number of 64 bits, written as one.
    #[inline]
    pub(crate) fn int(&mut self) -> Fit<i64> {
        const NONE: Unfit = Unfit::new("it is no whole number");
        const LARGE: Unfit = Unfit::new("it is a whole number of more than 64 bits");
        let negative = self.peek()? == b'-';
        let rest = &self.rest()[usize::from(negative)..];
        let mut value: i64 = 0;
        let mut len = 0;
        for &byte in rest {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                if matches!(byte, b'.' | b'e' | b'E') {
                    return Err(NONE);
                }
                break;
            }
            // Counted downwards, since there is one more negative number.
            value = value.checked_mul(10).and_then(|value| value.checked_sub(i64::from(digit))).ok_or(LARGE)?;
            len += 1;
        }
        if len == 0 {
            return Err(NONE);
        }
        self.at += len + usize::from(negative);
        if negative { Ok(value) } else { value.checked_neg().ok_or(LARGE) }
    }

    /// The text of a number.
    #[inline]
    pub(crate) fn number(&mut self) -> Fit<&'a str> {
        if !matches!(self.peek()?, b'-' | b'0'..=b'9') {
            return Err(Unfit::new("it is no number"));
        }
        let len = self.rest().iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        let start = self.at;
        self.at = len.map_or(self.text.len(), |len| start + len);
        Ok(&self.text[start..self.at])
    }

    #[inline]
    pub(crate) fn quoted(&mut self) -> Fit<Quoted<'a>> {
        self.expect(b'"', "it is no text")?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(_) => self.at += 1,
                None => return Err(NOT_JSON),
            }
        }
        let raw = self.text.get(start..self.at).ok_or(NOT_JSON)?;
        self.at += 1;
        Ok(Quoted { raw, escaped })
    }

    /// Pass a value of any kind; its text.
    pub(crate) fn skip(&mut self) -> Fit<&'a str> {
        self.peek()?;
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.quoted()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1).ok_or(NOT_JSON)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                b'-' | b'0'..=b'9' => {
                    self.number()?;
                }
                b't' | b'f' | b'n'
                    if self.eat_exactly(b"true") || self.eat_exactly(b"false") || self.eat_exactly(b"null") => {}
                _ => return Err(NOT_JSON),
            }
            if depth == 0 {
                return self.text.get(start..self.at).ok_or(NOT_JSON);
            }
        }
    }

    /// What was passed since `earlier`, without the spaces before it.
    pub(crate) fn since(&self, earlier: &Self) -> &'a str {
        self.text[earlier.at..self.at].trim_ascii()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_numbers_are_read_to_their_last_one() {
        let read = |text: &str| Json::new(text).int().ok();
        assert_eq!(read("9223372036854775807"), Some(i64::MAX));
        assert_eq!(read("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(read("9223372036854775808"), None);
        assert_eq!(read("-9223372036854775809"), None);
        assert_eq!(read("1.0"), None);
        assert_eq!(read("1e3"), None);
        assert_eq!(read("-"), None);
        assert_eq!(read(" -0,"), Some(0));
    }

    proptest! {
        #[test]
        fn any_text_is_passed_without_a_panic(text: String) {
            let _ = Json::new(&text).skip();
            let _ = Json::new(&text).int();
            let _ = Json::new(&text).number();
            let _ = Json::new(&text).quoted().and_then(|quoted| quoted.text().map(|text| text.len()));
        }

        #[test]
        fn all_of_a_value_is_passed(value in any_json(), spaces in "[ \n]{0,2}") {
            let text = format!("{spaces}{value}");
            let mut json = Json::new(&text);
            prop_assert_eq!(json.skip(), Ok(&text[spaces.len()..]));
            prop_assert!(json.ended());
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                proptest::collection::hash_map(any::<String>(), inner, 0..5)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }
}
