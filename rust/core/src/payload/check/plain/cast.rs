//! Payloads of one class often have values of the same lengths, too. One that has the lengths of a payload that was checked, the
//! same bytes around its values, and in each value only bytes of the kind that stood there, is JSON like that one.

const CHUNK_BYTES: usize = 16;
/// What is longer is not kept.
const LEN_MAX: usize = 512;

/// What may stand in sixteen bytes.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    /// The lowest and the highest that each byte may be.
    low: [u8; CHUNK_BYTES],
    high: [u8; CHUNK_BYTES],
    /// 1 where a quote stands; there may be no others.
    quotes: [u8; CHUNK_BYTES],
}

impl Chunk {
    const ANY: Self = Self { low: [0; CHUNK_BYTES], high: [!0; CHUNK_BYTES], quotes: [0; CHUNK_BYTES] };

    /// 0 where a byte is what it may be. All of them are looked at, side by side.
    #[inline(always)]
    fn misfits(&self, bytes: &[u8; CHUNK_BYTES]) -> [u8; CHUNK_BYTES] {
        std::array::from_fn(|at| {
            let byte = bytes[at];
            let outside = u8::from(byte < self.low[at]) | u8::from(byte > self.high[at]);
            outside | u8::from(byte == b'\\') | (u8::from(byte == b'"') ^ self.quotes[at])
        })
    }
}

/// What may stand in each byte of a payload. All of it is ASCII, and there are no escapes.
#[derive(Debug)]
pub(super) struct Cast {
    len: usize,
    chunks: Vec<Chunk>,
    /// The last sixteen bytes, some of which the last of `chunks` may have.
    last: Chunk,
}

impl Cast {
    /// That of a payload which is plain; None where it would not pay.
    pub(super) fn of(data: &[u8]) -> Option<Self> {
        if !(CHUNK_BYTES..=LEN_MAX).contains(&data.len()) {
            return None;
        }
        let allowed = allowed(data)?;
        let chunk_at = |start: usize| {
            let mut chunk = Chunk::ANY;
            for (at, (low, high)) in allowed[start..start + CHUNK_BYTES].iter().enumerate() {
                (chunk.low[at], chunk.high[at]) = (*low, *high);
                chunk.quotes[at] = u8::from((*low, *high) == (b'"', b'"'));
            }
            chunk
        };
        let chunks = (0..data.len() / CHUNK_BYTES).map(|number| chunk_at(number * CHUNK_BYTES)).collect();
        Some(Self { len: data.len(), chunks, last: chunk_at(data.len() - CHUNK_BYTES) })
    }

    /// Whether a payload is surely one that every reader takes for the same.
    #[inline(always)]
    pub(super) fn fits(&self, data: &[u8]) -> bool {
        let Some(last) = data.last_chunk().filter(|_| data.len() == self.len) else { return false };
        let mut all = self.last.misfits(last);
        for (chunk, bytes) in self.chunks.iter().zip(data.as_chunks().0) {
            let found = chunk.misfits(bytes);
            all = std::array::from_fn(|at| all[at] | found[at]);
        }
        all == [0; CHUNK_BYTES]
    }
}

/// For each byte of a payload that is plain, the lowest and the highest that may stand there.
fn allowed(data: &[u8]) -> Option<Vec<(u8, u8)>> {
    // What is not said otherwise must stay as it is.
    let mut allowed: Vec<(u8, u8)> = data.iter().map(|byte| (*byte, *byte)).collect();
    let mut at = 0;
    while let Some(first) = data.get(at) {
        match first {
            b'"' => {
                let end = at + text_len(&data[at..])?;
                if data.get(end) != Some(&b':') {
                    allowed[at + 1..end - 1].fill((b' ', 0x7f));
                }
                at = end;
            }
            b'0'..=b'9' => {
                let whole = digits_from(data, at);
                allowed[at..at + whole].fill((b'0', b'9'));
                if whole > 1 {
                    // No number begins with a zero.
                    allowed[at].0 = b'1';
                }
                at += whole;
                if data.get(at) == Some(&b'.') {
                    let more = digits_from(data, at + 1);
                    allowed[at + 1..at + 1 + more].fill((b'0', b'9'));
                    at += 1 + more;
                }
            }
            _ => at += 1,
        }
    }
    Some(allowed)
}

/// How long the text is that begins here, with its quotes.
pub(super) fn text_len(data: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match data.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// How many digits stand there.
fn digits_from(data: &[u8], at: usize) -> usize {
    data[at..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::check::check_thoroughly;
    use crate::payload::check::plain::is_plain;
    use crate::payload::check::plain::tests::{any_change, any_document};
    use proptest::prelude::*;

    fn cast_of(text: &str) -> Cast {
        assert!(is_plain(text.as_bytes()), "{text}");
        Cast::of(text.as_bytes()).expect("a cast")
    }

    #[test]
    fn other_values_of_the_same_lengths_fit() {
        let cast =
            cast_of(r#"{"amount":4711,"currency":"EUR","lines":[{"n":1},{"n":-2.5}],"by": null,"a longer key":true}"#);
        for text in [
            r#"{"amount":1000,"currency":"{:}","lines":[{"n":0},{"n":-0.0}],"by": null,"a longer key":true}"#,
            r#"{"amount":9999,"currency":" ~'","lines":[{"n":9},{"n":-9.9}],"by": null,"a longer key":true}"#,
        ] {
            assert!(cast.fits(text.as_bytes()), "{text}");
            assert!(check_thoroughly(text.as_bytes()).is_ok());
        }
    }

    #[test]
    fn every_byte_that_may_not_stand_where_it_stands_is_found() {
        for text in [
            r#"{"amount":4711,"by":"a friend","sum":-2.50,"of":[true,null,7]}"#,
            r#"{"n":10,"note":"a","é":0.5}"#,
            r#"["twelve bytes"]"#,
            "[1234567890,12.5]",
        ] {
            let cast = cast_of(text);
            for at in 0..text.len() {
                for byte in 0..=u8::MAX {
                    let mut bytes = text.as_bytes().to_vec();
                    bytes[at] = byte;
                    let sound = check_thoroughly(&bytes).is_ok();
                    assert!(!cast.fits(&bytes) || sound, "{byte} at {at} of {text}");
                }
            }
            assert!(!cast.fits(&text.as_bytes()[..text.len() - 1]));
            assert!(!cast.fits(format!("{text} ").as_bytes()));
        }
    }

    proptest! {
        #[test]
        fn what_fits_a_cast_passes_the_thorough_check(
            text in any_document(),
            changes in proptest::collection::vec(any_change(), 0..4),
        ) {
            let cast = Some(text.as_bytes()).filter(|bytes| is_plain(bytes)).and_then(Cast::of);
            if let Some(cast) = cast {
                prop_assert!(cast.fits(text.as_bytes()) || text.contains('\\') || !text.is_ascii(), "{}", text);
                let mut bytes = text.into_bytes();
                changes.iter().for_each(|change| change.make(&mut bytes));
                prop_assert!(!cast.fits(&bytes) || check_thoroughly(&bytes).is_ok(), "{:?}", bytes);
            }
        }
    }
}
