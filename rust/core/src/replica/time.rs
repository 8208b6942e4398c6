//! The log's time: the largest time of any record so far, and how long that was ago by this machine's uptime.

use crate::clock::{Clock, MachineClock};
use crate::error::Result;
use crate::store::log::Log;

impl Log {
    /// The log's time now, in ms since 1970.
    pub fn log_time_ms(&self) -> Result<u64> {
        self.check_open()?;
        self.check_replica()?;
        let time = self.control.lead_ms()? + MachineClock.uptime_ms().cast_signed();
        Ok(u64::try_from(time).unwrap_or(0))
    }

    /// Have it be at least this much.
    pub(super) fn raise_log_time(&self, time_ms: u64) {
        self.control.raise_lead_ms(time_ms.cast_signed() - MachineClock.uptime_ms().cast_signed());
    }
}
