//! Payloads of one class have one shape: the same keys and punctuation, and other values between them. Of a payload with the
//! shape of one that was checked, only the values need a look.

use super::cast::{Cast, text_len};
use super::{BLOCK_BYTES, Scan, WORD_BYTES, is_plain, scanned};

/// A shape of more pieces is not kept.
const PIECES_MAX: usize = 96;
/// How many names have shapes that are kept.
const SLOTS: usize = 32;
/// How many casts of a name are kept: one for each remainder that lengths leave.
const CASTS: usize = 4;
/// So many times a shape or a cast may not fit, after it did, before another one is kept.
const WORTH_MAX: u32 = 16;
/// How many payloads are not compared after one that never fitted, at first and at most.
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

/// What payloads are compared with.
#[derive(Debug)]
struct Kept<T> {
    it: Option<T>,
    /// How often it may still not fit.
    worth: u32,
    /// How many payloads are not to be compared now, and how many after the next that never fits.
    rest: u32,
    rest_next: u32,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { it: None, worth: 0, rest: 0, rest_next: 0 }
    }
}

impl<T> Kept<T> {
    /// Whether a payload fits; None when it was not compared.
    #[inline(always)]
    fn fits(&mut self, fits: impl FnOnce(&T) -> bool) -> Option<bool> {
        if self.rest > 0 {
            self.rest -= 1;
            return None;
        }
        let found = self.it.as_ref().is_some_and(fits);
        if found {
            self.worth = (self.worth + 1).min(WORTH_MAX);
            self.rest_next = REST_MIN;
        }
        Some(found)
    }

    /// A plain payload was compared, and did not fit.
    #[cold]
    fn missed(&mut self, make: impl FnOnce() -> Option<T>) {
        if self.worth > 0 {
            self.worth -= 1;
            return;
        }
        if self.it.is_some() {
            self.rest = self.rest_next;
            self.rest_next = (self.rest_next * 2).clamp(REST_MIN, REST_MAX);
        }
        self.it = make();
    }
}

#[derive(Debug, Default)]
struct Slot {
    casts: [Kept<Cast>; CASTS],
    shape: Kept<Shape>,
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
        let cast = &mut slot.casts[data.len() % CASTS];
        let cast_fits = cast.fits(|cast| cast.fits(data));
        if cast_fits == Some(true) {
            return true;
        }
        let shape_fits = slot.shape.fits(|shape| scanned(data, |scan| scan.follows(shape)));
        let plain = shape_fits == Some(true) || is_plain(data);
        if plain && shape_fits == Some(false) {
            slot.shape.missed(|| Shape::of(data));
        }
        if plain && cast_fits == Some(false) {
            cast.missed(|| Cast::of(data));
        }
        plain
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
        assert_eq!((slot("Counted").shape.worth, slot("Counted").shape.rest), (WORTH_MAX, 0));
        assert_eq!(slot("Varied").shape.rest_next, REST_MAX);
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
