//! Which targets can be claimed: sorted by how much they matter, and those that wait sorted by time. Kept by each process for
//! its own reactions; what it says is looked up again in the cells before anything is leased.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

const SINGLES_TO_A_FAIR_ONE: u32 = 4;

/// Where a target stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing to do, or blocked.
    #[default]
    Idle,
    /// Can be claimed.
    Ready { lane: u32, priority: i32, watermark: u64, suspect: Option<bool> },
    /// Ready, but another program's; not to be claimed here before this uptime.
    Others { until_ms: u64, token: u32 },
    /// Ready, and another program's, which has not leased it in time.
    Late { lane: u32, watermark: u64, token: u32 },
    /// Leased, until this uptime.
    Leased { until_ms: u64 },
    /// Deferred, or to be retried, at this time of day.
    Due { at_ms: u64 },
}

#[derive(Debug, Default)]
struct Lane {
    by_priority: BTreeSet<(Reverse<i32>, u64, u32)>,
    by_watermark: BTreeSet<(u64, u32)>,
    /// Those whose last lease has run out: the process that had it may have died of them. First those that no process
    /// lived with.
    suspects: BTreeSet<(bool, u32)>,
    /// Those of other programs that have not leased them in time.
    late: BTreeSet<(u64, u32)>,
}

/// The targets of one process, sorted.
#[derive(Debug, Default)]
pub(super) struct Frontier {
    lanes: HashMap<u32, Lane>,
    leased: BTreeSet<(u64, u32)>,
    due: BTreeSet<(u64, u32)>,
    /// Those that are ready, but other programs'.
    others: BTreeSet<(u64, u32)>,
    /// How many targets were claimed one at a time, by the lanes that were asked for.
    singles: HashMap<Option<Vec<u32>>, u32>,
}

impl Frontier {
    /// Forget all targets.
    pub(super) fn clear(&mut self) {
        *self = Self { singles: std::mem::take(&mut self.singles), ..Self::default() };
    }

    /// Move a target from where it stood to where it stands.
    pub(super) fn place(&mut self, target: u32, from: Standing, to: Standing) {
        match from {
            Standing::Idle => {}
            Standing::Ready { lane, priority, watermark, suspect } => {
                if let Some(lane) = self.lanes.get_mut(&lane) {
                    lane.by_priority.remove(&(Reverse(priority), watermark, target));
                    lane.by_watermark.remove(&(watermark, target));
                    if let Some(lived) = suspect {
                        lane.suspects.remove(&(lived, target));
                    }
                }
            }
            Standing::Others { until_ms, .. } => drop(self.others.remove(&(until_ms, target))),
            Standing::Late { lane, watermark, .. } => {
                if let Some(lane) = self.lanes.get_mut(&lane) {
                    lane.late.remove(&(watermark, target));
                }
            }
            Standing::Leased { until_ms } => drop(self.leased.remove(&(until_ms, target))),
            Standing::Due { at_ms } => drop(self.due.remove(&(at_ms, target))),
        }
        match to {
            Standing::Idle => {}
            Standing::Ready { lane, priority, watermark, suspect } => {
                let lane = self.lanes.entry(lane).or_default();
                lane.by_priority.insert((Reverse(priority), watermark, target));
                lane.by_watermark.insert((watermark, target));
                if let Some(lived) = suspect {
                    lane.suspects.insert((lived, target));
                }
            }
            Standing::Others { until_ms, .. } => drop(self.others.insert((until_ms, target))),
            Standing::Late { lane, watermark, .. } => {
                self.lanes.entry(lane).or_default().late.insert((watermark, target));
            }
            Standing::Leased { until_ms } => drop(self.leased.insert((until_ms, target))),
            Standing::Due { at_ms } => drop(self.due.insert((at_ms, target))),
        }
    }

    /// The targets whose time has come.
    pub(super) fn expired(&self, uptime_ms: u64, now_ms: u64) -> Vec<u32> {
        let leased = self.leased.iter().take_while(|(until, _)| *until <= uptime_ms);
        let due = self.due.iter().take_while(|(at, _)| *at <= now_ms);
        let others = self.others.iter().take_while(|(until, _)| *until <= uptime_ms);
        leased.chain(due).chain(others).map(|(_, target)| *target).collect()
    }

    /// How many ms until the next target's time comes; None when none waits.
    pub(super) fn next_ms(&self, uptime_ms: u64, now_ms: u64) -> Option<u64> {
        let leased = self.leased.first().map(|(until, _)| until.saturating_sub(uptime_ms));
        let due = self.due.first().map(|(at, _)| at.saturating_sub(now_ms));
        let others = self.others.first().map(|(until, _)| until.saturating_sub(uptime_ms));
        leased.into_iter().chain(due).chain(others).min()
    }

    /// Whether the next target that is claimed alone is to be the one with the lowest watermark: every fourth is.
    pub(super) fn single_is_fair(&mut self, lanes: Option<&Vec<u32>>) -> bool {
        let singles = self.singles.entry(lanes.cloned()).or_default();
        *singles = singles.wrapping_add(1);
        singles.is_multiple_of(SINGLES_TO_A_FAIR_ONE)
    }

    /// A target whose last lease has run out, in one of these lanes.
    pub(super) fn suspect(&self, lanes: &dyn Fn(u32) -> bool) -> Option<u32> {
        let chosen = self.lanes.iter().filter(|(lane, _)| lanes(**lane)).map(|(_, lane)| lane);
        chosen.filter_map(|lane| lane.suspects.first()).min().map(|(_, target)| *target)
    }

    /// Up to `count` lagging targets: by priority, then lowest watermark, but a quarter by lowest watermark alone. A single
    /// one is by watermark alone if it is said to be `fair`.
    pub(super) fn lagging(&self, lanes: &dyn Fn(u32) -> bool, count: usize, fair: bool) -> Vec<u32> {
        let fair = if count >= 2 { (count / 4).max(1) } else { usize::from(fair).min(count) };
        let chosen = self.lanes.iter().filter(|(lane, _)| lanes(**lane)).map(|(_, lane)| lane);
        let mut ranked: Vec<_> = chosen.clone().flat_map(|lane| lane.by_priority.iter().take(count)).collect();
        ranked.sort_unstable();
        let mut found: Vec<u32> = ranked.iter().take(count - fair).map(|(_, _, target)| *target).collect();
        let mut taken: HashSet<u32> = found.iter().copied().collect();
        let mut lowest: Vec<_> = chosen.flat_map(|lane| lane.by_watermark.iter().take(count)).collect();
        lowest.sort_unstable();
        for (_, target) in lowest {
            if found.len() < count && taken.insert(*target) {
                found.push(*target);
            }
        }
        found
    }

    /// Up to `count` leading targets that are not among `others`: highest watermark first.
    pub(super) fn leading(&self, lanes: &dyn Fn(u32) -> bool, count: usize, others: &[u32]) -> Vec<u32> {
        let chosen = self.lanes.iter().filter(|(lane, _)| lanes(**lane)).map(|(_, lane)| lane);
        let others: HashSet<u32> = others.iter().copied().collect();
        let wanted = if count == 0 { 0 } else { count + others.len() };
        let mut highest: Vec<_> = chosen.flat_map(|lane| lane.by_watermark.iter().rev().take(wanted)).collect();
        highest.sort_unstable_by(|a, b| b.cmp(a));
        highest.into_iter().map(|(_, target)| *target).filter(|target| !others.contains(target)).take(count).collect()
    }

    /// Whether some target of these lanes can be claimed.
    pub(super) fn any_ready(&self, lanes: &dyn Fn(u32) -> bool) -> bool {
        let ready = |found: &Lane| !found.by_watermark.is_empty() || !found.late.is_empty();
        self.lanes.iter().any(|(lane, found)| lanes(*lane) && ready(found))
    }

    /// Up to `count` targets of other programs, which have not leased them in time; no more than half of them. They begin so
    /// many of 256 parts into their watermarks: their owner takes them from both ends.
    pub(super) fn late(&self, lanes: &dyn Fn(u32) -> bool, count: usize, part: u64) -> Vec<u32> {
        let mut found = Vec::new();
        for (_, lane) in self.lanes.iter().filter(|(lane, _)| lanes(**lane)) {
            let (Some((low, _)), Some((high, _))) = (lane.late.first(), lane.late.last()) else { continue };
            let from = (low + (high - low) / 256 * part + (high - low) % 256 * part / 256, 0);
            let half = lane.late.len().div_ceil(2).min(count - found.len());
            let round = lane.late.range(from..).chain(lane.late.range(..from));
            found.extend(round.take(half).map(|(_, target)| *target));
        }
        found
    }
}
