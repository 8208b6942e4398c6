//! Suspects: targets whose lease has run out, so that the process that had it may have died of handling them.
//!
//! A suspect is leased alone, by a process that holds nothing else: if the process dies again, it is known of what. Those
//! that were leased along with it get their turn one by one, and go on as if nothing had happened. A handler that does not
//! end must not hold up all others, so nothing waits for longer than `APART_MS`.

use crate::error::Result;

use super::state::Shared;

/// For how long a process claims nothing else, before and while it handles a suspect.
const APART_MS: u64 = 5_000;

/// What a claim may take.
pub(super) enum Turn {
    /// This target, and nothing else.
    Alone(u32),
    /// Nothing yet.
    Wait,
    /// As many as it likes.
    Any,
}

impl Shared {
    /// What a claim from some lanes may take now.
    pub(super) fn turn(&mut self, lanes: &dyn Fn(u32) -> bool, uptime_ms: u64) -> Result<Turn> {
        if let Some((number, token, since)) = self.leases.apart {
            if uptime_ms < since + APART_MS && self.has_lease(number, token, uptime_ms)? {
                return Ok(Turn::Wait);
            }
            self.leases.apart = None;
        }
        let Some(suspect) = self.frontier.suspect(lanes) else {
            if self.frontier.suspect(&|_| true).is_none() {
                self.leases.gathering = None;
            }
            return Ok(Turn::Any);
        };
        if !self.holds_any(uptime_ms)? {
            self.leases.gathering = None;
            return Ok(Turn::Alone(suspect));
        }
        let since = *self.leases.gathering.get_or_insert(uptime_ms);
        Ok(if uptime_ms < since + APART_MS { Turn::Wait } else { Turn::Any })
    }

    /// Whether this process has a lease that has not run out.
    pub(super) fn holds_any(&mut self, uptime_ms: u64) -> Result<bool> {
        let mut taken_over = Vec::new();
        let mut any = false;
        for (number, held) in &self.leases.held {
            let target = self.target_of(*number)?;
            if target.token != held.token {
                taken_over.push(*number);
            } else if target.leased_until_ms > uptime_ms {
                any = true;
                break;
            }
        }
        for number in taken_over {
            self.leases.held.remove(&number);
        }
        Ok(any)
    }

    /// Others are leased beside the one that was leased alone, so it is no longer known what the process would die of.
    ///
    /// If it had been given a turn of its own, it is the last to have another: whatever kills at once is found before. Then
    /// its mark stays, so that what kills after a while is found as well.
    pub(super) fn joined(&mut self) -> Result<()> {
        let Some((number, token, in_turn)) = self.leases.sole.take() else { return Ok(()) };
        if !self.leases.held.contains_key(&number) {
            return Ok(());
        }
        let mut target = self.target_of(number)?;
        if target.token == token && target.leased_until_ms != 0 && !target.lived {
            target.suspect = false;
            target.lived = in_turn;
            self.put_target(number, &target)?;
        }
        Ok(())
    }

    fn has_lease(&self, number: u32, token: u32, uptime_ms: u64) -> Result<bool> {
        let target = self.target_of(number)?;
        Ok(target.token == token && target.leased_until_ms > uptime_ms)
    }

    /// How many ms until nothing waits any longer for a suspect; None when nothing does.
    pub(super) fn apart_ends_ms(&self, uptime_ms: u64) -> Option<u64> {
        let since = self.leases.apart.map(|(_, _, since)| since).into_iter().chain(self.leases.gathering);
        since.filter_map(|since| (since + APART_MS).checked_sub(uptime_ms)).filter(|left| *left > 0).min()
    }
}
