//! Correlation ids: sixteen letters and digits, unique, and in the order of time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// How long an id is, in bytes of ASCII.
pub const CORRELATION_BYTES: usize = 16;

const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// A microsecond has room for so many ids; further ones borrow from the next microsecond.
const PER_MICROSECOND: u64 = 256;

static LAST: AtomicU64 = AtomicU64::new(0);

/// A new id: twelve letters of time, never the same twice in a process, and four that tell processes apart.
///
/// Those of one process sort in the order they were made in, also when the clock is set back.
#[must_use]
pub fn correlation(process: u32) -> [u8; CORRELATION_BYTES] {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(passed.as_micros()).unwrap_or(u64::MAX).saturating_mul(PER_MICROSECOND);
    let before = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(after(last, now)));
    let mut time = after(before.unwrap_or_else(|last| last), now);
    let mut id = [0; CORRELATION_BYTES];
    let mut place = process;
    for letter in id[12..].iter_mut().rev() {
        *letter = DIGITS[(place % 32) as usize];
        place /= 32;
    }
    for letter in id[..12].iter_mut().rev() {
        *letter = DIGITS[(time % 32) as usize];
        time /= 32;
    }
    id
}

fn after(last: u64, now: u64) -> u64 {
    now.max(last.wrapping_add(1))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::{after, correlation};

    #[test]
    fn ids_of_one_thread_are_in_order() {
        let ids: Vec<_> = (0..10_000).map(|_| correlation(7)).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn ids_of_many_threads_differ() {
        let threads: Vec<_> =
            (0..8).map(|_| thread::spawn(|| (0..1000).map(|_| correlation(7)).collect::<Vec<_>>())).collect();
        let ids: HashSet<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(ids.len(), 8000);
    }

    #[test]
    fn the_last_four_letters_are_the_process() {
        assert_eq!(&correlation(0)[12..], b"0000");
        assert_eq!(&correlation(33)[12..], b"0011");
        assert_eq!(&correlation(u32::MAX)[12..], b"zzzz");
    }

    #[test]
    fn a_clock_that_is_set_back_is_held() {
        assert_eq!(after(1000, 900), 1001);
        assert_eq!(after(1000, 1000), 1001);
        assert_eq!(after(1000, 5000), 5000);
    }
}
