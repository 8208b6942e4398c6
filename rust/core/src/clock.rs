//! What time it is.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use act_fast_sys::uptime_ms;

/// µs since 1970.
pub(crate) fn now_us() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
    }
}

/// What time it is; tests have clocks of their own.
pub trait Clock: Send + Sync + Debug {
    /// The machine's uptime, in ms.
    fn uptime_ms(&self) -> u64;
    /// The time of day, in ms since 1970.
    fn now_ms(&self) -> u64;
}

/// The machine's clocks.
#[derive(Debug)]
pub struct MachineClock;

impl Clock for MachineClock {
    fn uptime_ms(&self) -> u64 {
        uptime_ms()
    }

    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// The machine's clocks, moved forward by as much as a test has said.
#[derive(Debug, Default)]
pub struct MovedClock {
    forward_ms: AtomicU64,
}

impl MovedClock {
    /// Move on by so many ms.
    pub(crate) fn advance(&self, by_ms: u64) {
        let _ = self.forward_ms.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| Some(now.saturating_add(by_ms)));
    }

    /// µs since 1970.
    #[inline]
    pub(crate) fn now_us(&self) -> i64 {
        now_us().saturating_add_unsigned(self.forward_ms().saturating_mul(1000))
    }

    fn forward_ms(&self) -> u64 {
        self.forward_ms.load(Ordering::Relaxed)
    }
}

impl Clock for Arc<MovedClock> {
    fn uptime_ms(&self) -> u64 {
        MachineClock.uptime_ms().saturating_add(self.forward_ms())
    }

    fn now_ms(&self) -> u64 {
        MachineClock.now_ms().saturating_add(self.forward_ms())
    }
}
