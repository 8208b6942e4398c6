//! Payloads of one class have one shape: the same keys and punctuation, and other values between them. Of a payload with the
//! shape of one that was checked, only the values need a look.

use super::{BLOCK_BYTES, Scan, WORD_BYTES, is_plain, scanned};

/// A shape of more pieces is not kept.
const PIECES_MAX: usize = 96;
/// How many shapes are kept.
const SLOTS: usize = 32;
/// So many times a shape may not fit, after it did, before another one is kept.
const WORTH_MAX: u32 = 16;
/// How many payloads are not compared after a shape that never fitted, at first and at most.
const REST_MIN: u32 = 8;
const REST_MAX: u32 = 1024;

/// Up to eight bytes that every payload of a shape has.
#[derive(Clone, Copy, Debug)]
struct Piece {
    word: u64,
    mask: u64,
    len: usize,
    /// Whether a value follows.
    value: bool,
}

/// What stands around the values of a payload that is JSON. With any other values, no list or object among them, it is JSON too.
#[derive(Debug)]
struct Shape {
    pieces: Vec<Piece>,
    /// What stands behind the last value, in the highest bytes.
    last: u64,
    last_len: usize,
}

impl Shape {
    /// That of a payload which is plain; None where it would not pay.
    fn of(data: &[u8]) -> Option<Self> {
        let mut pieces = Vec::new();
        let (mut from, mut at) = (0, 0);
        while let Some(first) = data.get(at) {
            let end = match first {
                b'"' => at + text_len(&data[at..])?,
                b'{' | b'}' | b'[' | b']' | b',' | b':' | b' ' => {
                    at += 1;
                    continue;
                }
                _ => at + data[at..].iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b' '))?,
            };
            if *first != b'"' || data.get(end) != Some(&b':') {
                add(&mut pieces, &data[from..at]);
                from = end;
            }
            at = end;
            if pieces.len() > PIECES_MAX {
                return None;
            }
        }
        let rest = &data[from..];
        if from == 0 || rest.is_empty() || rest.len() > WORD_BYTES {
            return None;
        }
        let last = rest.iter().fold(0, |word, byte| word >> 8 | u64::from(*byte) << 56);
        Some(Self { pieces, last, last_len: rest.len() })
    }
}

/// How long the text is that begins here, with its quotes.
fn text_len(data: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match data.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Add what stands before a value.
fn add(pieces: &mut Vec<Piece>, text: &[u8]) {
    let count = text.len().div_ceil(WORD_BYTES);
    for (number, bytes) in text.chunks(WORD_BYTES).enumerate() {
        let word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        let mask = !0 >> (8 * (WORD_BYTES - bytes.len()));
        pieces.push(Piece { word, mask, len: bytes.len(), value: number + 1 == count });
    }
}

impl Scan<'_> {
    /// Whether a payload has a shape, and values that every reader takes for the same. Bytes that are not ASCII are looked at
    /// by whoever asks.
    #[inline(always)]
    fn follows(&mut self, shape: &Shape) -> Option<()> {
        let mut at = 0;
        for piece in &shape.pieces {
            if (self.eight(at) ^ piece.word) & piece.mask != 0 {
                return None;
            }
            at += piece.len;
            if piece.value {
                at = self.single(at)?;
            }
        }
        let start = self.end.checked_sub(WORD_BYTES)?;
        let last = self.eight(start) >> (8 * (WORD_BYTES - shape.last_len)) << (8 * (WORD_BYTES - shape.last_len));
        (at + shape.last_len == self.end && last == shape.last).then_some(())
    }

    /// Behind the value here, which is no list and no object.
    #[inline(always)]
    fn single(&mut self, at: usize) -> Option<usize> {
        let first = self.byte(at);
        if first == b'"' {
            self.leave_out(at + 1)?;
            self.text()
        } else if first.is_ascii_digit() {
            self.number(at, first)
        } else {
            self.rarer(at + 1, first)
        }
    }

    /// Take none of the stops before a place.
    #[inline(always)]
    fn leave_out(&mut self, at: usize) -> Option<()> {
        while at >= self.stops.from + BLOCK_BYTES {
            self.look_on()?;
        }
        self.stops.bits &= !0 << (at - self.stops.from);
        Some(())
    }
}

#[derive(Debug, Default)]
struct Slot {
    shape: Option<Shape>,
    /// How often it may still not fit.
    worth: u32,
    /// How many payloads are not to be compared now, and how many after the next shape that never fits.
    rest: u32,
    rest_next: u32,
}

/// The shapes of payloads that were checked, by the names of their events.
#[derive(Debug)]
pub struct Shapes(Box<[Slot]>);

impl Default for Shapes {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| Slot::default()).collect())
    }
}

impl Shapes {
    /// Whether these bytes, the payload of an event of that name, are surely one that every reader takes for the same. False
    /// means nothing.
    #[inline]
    pub(in super::super) fn is_plain(&mut self, name: &str, data: &[u8]) -> bool {
        let slot = &mut self.0[slot_of(name)];
        if slot.rest > 0 {
            slot.rest -= 1;
            return is_plain(data);
        }
        if let Some(shape) = &slot.shape
            && scanned(data, |scan| scan.follows(shape))
        {
            slot.worth = (slot.worth + 1).min(WORTH_MAX);
            slot.rest_next = REST_MIN;
            return true;
        }
        is_plain(data) && {
            slot.missed(data);
            true
        }
    }
}

impl Slot {
    /// A plain payload did not have the shape.
    #[cold]
    fn missed(&mut self, data: &[u8]) {
        if self.worth > 0 {
            self.worth -= 1;
            return;
        }
        if self.shape.is_some() {
            self.rest = self.rest_next;
            self.rest_next = (self.rest_next * 2).clamp(REST_MIN, REST_MAX);
        }
        self.shape = Shape::of(data);
    }
}

/// Which slot an event's name has.
#[inline(always)]
fn slot_of(name: &str) -> usize {
    let bytes = name.as_bytes();
    let end = |byte: Option<&u8>| u32::from(byte.copied().unwrap_or_default());
    let mixed = end(bytes.first()) | end(bytes.last()) << 8 | (bytes.len() as u32) << 16;
    mixed.wrapping_mul(0x9e37_79b1) as usize >> 16 & (SLOTS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::check::check_thoroughly;
    use crate::payload::check::plain::tests::{any_change, any_document};
    use proptest::prelude::*;

    fn follows(shape: &Shape, data: &[u8]) -> bool {
        scanned(data, |scan| scan.follows(shape))
    }

    fn shape_of(text: &str) -> Shape {
        Shape::of(text.as_bytes()).expect("a shape")
    }

    #[test]
    fn other_values_have_the_same_shape() {
        let shape =
            shape_of(r#"{"amount":4711,"currency":"EUR","lines":[{"n":1},{"n":-2.5}],"by": null,"a longer key":true}"#);
        for text in [
            r#"{"amount":0,"currency":"","lines":[{"n":""},{"n":0.5}],"by": "x","a longer key":false}"#,
            r#"{"amount":-1,"currency":"é\n\"","lines":[{"n":123456789012345678},{"n":0}],"by": 7,"a longer key":null}"#,
            &format!(
                r#"{{"amount":1,"currency":"{}","lines":[{{"n":1}},{{"n":"{}"}}],"by": 7,"a longer key":"{}"}}"#,
                "x".repeat(200),
                "y".repeat(63),
                "z".repeat(64)
            ),
        ] {
            assert!(follows(&shape, text.as_bytes()), "{text}");
            assert!(check_thoroughly(text.as_bytes()).is_ok());
        }
    }

    #[test]
    fn what_is_no_value_does_not_pass_for_one() {
        let shape = shape_of(r#"{"first":1,"second":"two"}"#);
        for value in [
            "",
            "01",
            "-",
            "1.",
            "1e400",
            "9223372036854775808",
            "tru",
            "\"",
            "\"\t\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "{}",
            "[1]",
            "1,\"second\":2",
        ] {
            for before in 0..130 {
                let filled = "x".repeat(before);
                for text in [
                    format!(r#"{{"first":{value},"second":"{filled}"}}"#),
                    format!(r#"{{"first":"{filled}","second":{value}}}"#),
                ] {
                    assert!(!follows(&shape, text.as_bytes()), "{text}");
                }
            }
        }
        let whole = r#"{"first":1,"second":"two"}"#;
        for cut in 0..whole.len() {
            assert!(!follows(&shape, &whole.as_bytes()[..cut]));
        }
        assert!(!follows(&shape, format!("{whole}}}").as_bytes()));
        let mut bytes = r#"{"first":1,"second":"xé"}"#.as_bytes().to_vec();
        assert!(follows(&shape, &bytes));
        bytes.remove(22);
        assert!(!follows(&shape, &bytes), "what is not UTF-8");
    }

    #[test]
    fn a_name_keeps_the_shape_that_most_of_its_payloads_have() {
        let mut shapes = Shapes::default();
        let payload = |number: u64| format!("{{\"number\":{number}}}");
        for number in 0..100 {
            assert!(shapes.is_plain("Counted", payload(number).as_bytes()));
        }
        for number in 0..10_000_u32 {
            let once = format!("{{\"k{number}\":1}}");
            assert!(shapes.is_plain("Varied", once.as_bytes()));
            assert!(!shapes.is_plain("Varied", &once.as_bytes()[1..]));
        }
        let slot = |name: &str| &shapes.0[slot_of(name)];
        assert_eq!((slot("Counted").worth, slot("Counted").rest), (WORTH_MAX, 0));
        assert_eq!(slot("Varied").rest_next, REST_MAX);
    }

    proptest! {
        #[test]
        fn what_follows_a_shape_passes_the_thorough_check(
            text in any_document(),
            changes in proptest::collection::vec(any_change(), 0..4),
        ) {
            let shape = Some(text.as_bytes()).filter(|bytes| is_plain(bytes)).and_then(Shape::of);
            if let Some(shape) = shape {
                prop_assert!(text.len() < WORD_BYTES || follows(&shape, text.as_bytes()), "{}", text);
                let mut bytes = text.into_bytes();
                changes.iter().for_each(|change| change.make(&mut bytes));
                prop_assert!(!follows(&shape, &bytes) || check_thoroughly(&bytes).is_ok(), "{:?}", bytes);
            }
        }

        #[test]
        fn shapes_find_what_the_thorough_check_finds(texts in proptest::collection::vec(any_document(), 1..6)) {
            let mut shapes = Shapes::default();
            for text in texts.iter().chain(&texts).chain(&texts) {
                let bytes = text.as_bytes();
                prop_assert!(!shapes.is_plain("Name", bytes) || check_thoroughly(bytes).is_ok(), "{}", text);
            }
        }
    }
}
