//! What the cells hold.

use crate::bytes::{narrow_at, put_narrow, u32_at};
use crate::index::postings::POSITION_MAX;
use crate::shared::line::Line;

use super::cell::{BODY_AT, blank};

const BLOCKED: u8 = 1;
const FAILED: u8 = 2;
const SUSPECT: u8 = 4;
const LIVED: u8 = 8;
const JOINED: u8 = 1;
const HOLD_BLOCKED: u8 = 2;
const CURRENT: u8 = 4;

/// What is kept of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) name: u64,
    pub(crate) lane: u64,
    pub(crate) priority: i32,
    pub(crate) blocked: bool,
    /// How often the event at `failing` has been begun and has failed, or was lost with its process.
    pub(crate) attempts: u16,
    pub(crate) failing: u64,
    /// Not before this time of day, in ms since 1970; 0: at any time.
    pub(crate) due_ms: u64,
    /// Until this uptime of the machine, in ms; 0: not leased.
    pub(crate) leased_until_ms: u64,
    pub(crate) holder: u64,
    pub(crate) token: u32,
    /// Where its error messages are written, one over the other; 0: it has had none.
    pub(crate) error: u64,
    /// Whether what is written there is of today.
    pub(crate) failed: bool,
    pub(crate) watermark: u64,
    /// Should the lease run out, its first event is to blame: nothing else was leased by that process.
    pub(crate) suspect: bool,
    /// Whether it was once leased after such an end, alone for as long as others wait, and its process lived.
    pub(crate) lived: bool,
    /// For which reactions it is leased: a number made of theirs; 0: not known.
    pub(crate) leased_for: u16,
}

/// Until when a target is leased whose lease has ended with the machine, or in a copy: the clock of leases had begun by
/// then. It is not forgotten that it had one, as its first event may have been begun.
const ENDED_MS: u64 = 1;

impl Target {
    /// Until when it is leased when the machine has restarted.
    pub(crate) fn ended(&self) -> u64 {
        self.leased_until_ms.min(ENDED_MS)
    }

    /// What is left in a log of `head` events: what it failed at may be lost, and others take the positions above.
    pub(crate) fn within(&self, head: u64) -> Self {
        let kept = if self.failing > head { self.freed() } else { *self };
        Self { watermark: kept.watermark.min(head), ..kept }
    }

    /// The same, without lease, retries, error and block. A holder's outcome is dropped from now on.
    pub(crate) fn freed(&self) -> Self {
        Self {
            blocked: false,
            attempts: 0,
            failing: 0,
            due_ms: 0,
            leased_until_ms: 0,
            failed: false,
            suspect: false,
            lived: false,
            token: self.token.wrapping_add(1),
            ..*self
        }
    }

    pub(crate) fn encode(&self) -> Line {
        let mut line = blank();
        put_narrow::<5>(&mut line, BODY_AT, self.name);
        put_narrow::<5>(&mut line, 9, self.lane);
        put_narrow::<4>(&mut line, 14, u64::from(self.priority.cast_unsigned()));
        line[18] = (u8::from(self.blocked) * BLOCKED)
            | (u8::from(self.failed) * FAILED)
            | (u8::from(self.suspect) * SUSPECT)
            | (u8::from(self.lived) * LIVED);
        put_narrow::<2>(&mut line, 19, u64::from(self.attempts));
        put_narrow::<5>(&mut line, 21, self.failing);
        put_narrow::<6>(&mut line, 26, self.due_ms);
        put_narrow::<6>(&mut line, 32, self.leased_until_ms);
        put_narrow::<6>(&mut line, 38, self.holder);
        put_narrow::<4>(&mut line, 44, u64::from(self.token));
        put_narrow::<5>(&mut line, 48, self.error);
        put_narrow::<5>(&mut line, 53, self.watermark);
        put_narrow::<2>(&mut line, 58, u64::from(self.leased_for));
        line
    }

    pub(crate) fn decode(line: &Line) -> Self {
        Self {
            name: narrow_at::<5>(line, BODY_AT),
            lane: narrow_at::<5>(line, 9),
            priority: u32_at(line, 14).cast_signed(),
            blocked: line[18] & BLOCKED != 0,
            attempts: narrow_at::<2>(line, 19) as u16,
            failing: narrow_at::<5>(line, 21),
            due_ms: narrow_at::<6>(line, 26),
            leased_until_ms: narrow_at::<6>(line, 32),
            holder: narrow_at::<6>(line, 38),
            token: u32_at(line, 44),
            error: narrow_at::<5>(line, 48),
            failed: line[18] & FAILED != 0,
            watermark: narrow_at::<5>(line, 53),
            suspect: line[18] & SUSPECT != 0,
            lived: line[18] & LIVED != 0,
            leased_for: narrow_at::<2>(line, 58) as u16,
        }
    }
}

/// What is kept of one reaction on one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) reaction: u32,
    pub(crate) target: u32,
    /// All work up to this position is done.
    pub(crate) done: u64,
    /// How many positions its work has, the first and the last of them, and the youngest chunk.
    pub(crate) count: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) chunk: u64,
    pub(crate) chunk_start: u64,
    /// How many positions of its work are done.
    pub(crate) done_count: u64,
    /// How often the reaction has begun the event at `failing` without success.
    pub(crate) failing: u64,
    pub(crate) attempts: u16,
    /// Up to here its work was done once before: what it does there now, it does again.
    pub(crate) replay_to: u64,
}

impl Subscription {
    pub(crate) fn pending(&self) -> bool {
        self.last > self.done
    }

    /// What is left in a log of `head` events: others than before take the positions above.
    pub(crate) fn within(&self, head: u64) -> Self {
        let (failing, attempts) = if self.failing > head { (0, 0) } else { (self.failing, self.attempts) };
        let (done, replay_to) = (self.done.min(head), self.replay_to.min(head));
        Self { done, failing, attempts, replay_to, ..*self }
    }

    /// What is left when the work has to be correlated again.
    pub(crate) fn without_work(&self) -> Self {
        Self {
            reaction: self.reaction,
            target: self.target,
            done: self.done,
            failing: self.failing,
            attempts: self.attempts,
            replay_to: self.replay_to,
            ..Self::default()
        }
    }

    pub(crate) fn encode(&self) -> Line {
        let mut line = blank();
        put_narrow::<4>(&mut line, BODY_AT, u64::from(self.reaction));
        put_narrow::<4>(&mut line, 8, u64::from(self.target));
        put_narrow::<5>(&mut line, 12, self.done);
        put_narrow::<5>(&mut line, 17, self.count);
        put_narrow::<5>(&mut line, 22, self.first);
        put_narrow::<5>(&mut line, 27, self.last);
        put_narrow::<6>(&mut line, 32, self.chunk);
        put_narrow::<5>(&mut line, 38, self.chunk_start);
        put_narrow::<5>(&mut line, 43, self.done_count);
        put_narrow::<5>(&mut line, 48, self.failing);
        put_narrow::<2>(&mut line, 53, u64::from(self.attempts));
        put_narrow::<5>(&mut line, 55, self.replay_to);
        line
    }

    pub(crate) fn decode(line: &Line) -> Self {
        Self {
            reaction: u32_at(line, BODY_AT),
            target: u32_at(line, 8),
            done: narrow_at::<5>(line, 12),
            count: narrow_at::<5>(line, 17),
            first: narrow_at::<5>(line, 22),
            last: narrow_at::<5>(line, 27),
            chunk: narrow_at::<6>(line, 32),
            chunk_start: narrow_at::<5>(line, 38),
            done_count: narrow_at::<5>(line, 43),
            failing: narrow_at::<5>(line, 48),
            attempts: narrow_at::<2>(line, 53) as u16,
            replay_to: narrow_at::<5>(line, 55),
        }
    }
}

/// How far a reaction has been correlated that was forgotten: there is nothing that it has still to read.
pub(crate) const FORGOTTEN: u64 = POSITION_MAX;

/// How far a reaction has been correlated in the events of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The reaction's.
    pub(crate) name: u64,
    pub(crate) read: u64,
    /// Where it began: 0, or the head at the time for one that starts now.
    pub(crate) start: u64,
    /// It has once come to where the others are. Until then no other reaction waits for it.
    pub(crate) joined: bool,
    /// What the code said when it was last registered.
    pub(crate) priority: i32,
    pub(crate) lane: u64,
    /// The event's name and the source; 0: kept by an earlier version, for all names at once.
    pub(crate) key: u64,
    /// The template of the targets, as last registered; 0: a function finds them.
    pub(crate) to: u64,
    /// Whether the program that registered the reaction last takes these events.
    pub(crate) current: bool,
    /// The event whose targets could not be found; 0: none. The cursor holds before it.
    pub(crate) failing: u64,
    /// How often that was tried.
    pub(crate) attempts: u16,
    /// When it is tried again, in ms since 1970.
    pub(crate) due_ms: u64,
    /// It is not, until it is unblocked.
    pub(crate) blocked: bool,
    /// Where the error message is written.
    pub(crate) error: u64,
}

impl Cursor {
    pub(crate) fn forgotten(&self) -> bool {
        self.read == FORGOTTEN
    }

    /// Whether an earlier version has kept it, for all names at once.
    pub(crate) fn whole(&self) -> bool {
        self.key == 0
    }

    /// Whether it holds before an event whose targets could not be found.
    pub(crate) fn holds(&self) -> bool {
        self.failing != 0 && self.read + 1 == self.failing
    }

    /// The same, without anything that holds it.
    pub(crate) fn freed(self) -> Self {
        Self { failing: 0, attempts: 0, due_ms: 0, blocked: false, ..self }
    }

    pub(crate) fn encode(&self) -> Line {
        let mut line = blank();
        put_narrow::<5>(&mut line, BODY_AT, self.name);
        put_narrow::<5>(&mut line, 9, self.read);
        put_narrow::<5>(&mut line, 14, self.start);
        line[19] = (u8::from(self.joined) * JOINED)
            | (u8::from(self.blocked) * HOLD_BLOCKED)
            | (u8::from(self.current) * CURRENT);
        put_narrow::<4>(&mut line, 20, u64::from(self.priority.cast_unsigned()));
        put_narrow::<5>(&mut line, 24, self.lane);
        put_narrow::<5>(&mut line, 29, self.key);
        put_narrow::<5>(&mut line, 34, self.to);
        put_narrow::<5>(&mut line, 39, self.failing);
        put_narrow::<2>(&mut line, 44, u64::from(self.attempts));
        put_narrow::<6>(&mut line, 46, self.due_ms);
        put_narrow::<5>(&mut line, 52, self.error);
        line
    }

    pub(crate) fn decode(line: &Line) -> Self {
        Self {
            name: narrow_at::<5>(line, BODY_AT),
            read: narrow_at::<5>(line, 9),
            start: narrow_at::<5>(line, 14),
            joined: line[19] & JOINED != 0,
            priority: u32_at(line, 20).cast_signed(),
            lane: narrow_at::<5>(line, 24),
            key: narrow_at::<5>(line, 29),
            to: narrow_at::<5>(line, 34),
            current: line[19] & CURRENT != 0,
            failing: narrow_at::<5>(line, 39),
            attempts: narrow_at::<2>(line, 44) as u16,
            due_ms: narrow_at::<6>(line, 46),
            blocked: line[19] & HOLD_BLOCKED != 0,
            error: narrow_at::<5>(line, 52),
        }
    }
}

/// How many of each there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) targets: u32,
    pub(crate) subscriptions: u32,
    pub(crate) cursors: u32,
    pub(crate) text_lines: u64,
    pub(crate) work_lines: u64,
    /// Changes when everything that was derived is rebuilt.
    pub(crate) generation: u32,
    /// The start of the machine since which leases count.
    pub(crate) boot: u64,
}

impl Counts {
    pub(crate) fn encode(&self) -> Line {
        let mut line = blank();
        put_narrow::<4>(&mut line, BODY_AT, u64::from(self.targets));
        put_narrow::<4>(&mut line, 8, u64::from(self.subscriptions));
        put_narrow::<4>(&mut line, 12, u64::from(self.cursors));
        put_narrow::<6>(&mut line, 16, self.text_lines);
        put_narrow::<6>(&mut line, 22, self.work_lines);
        put_narrow::<4>(&mut line, 28, u64::from(self.generation));
        put_narrow::<6>(&mut line, 32, self.boot);
        line
    }

    pub(crate) fn decode(line: &Line) -> Self {
        Self {
            targets: u32_at(line, BODY_AT),
            subscriptions: u32_at(line, 8),
            cursors: u32_at(line, 12),
            text_lines: narrow_at::<6>(line, 16),
            work_lines: narrow_at::<6>(line, 22),
            generation: u32_at(line, 28),
            boot: narrow_at::<6>(line, 32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_into_a_cell_reads_back() {
        let target = Target {
            name: 1,
            lane: 2,
            priority: -3,
            blocked: true,
            attempts: 4,
            failing: 5,
            due_ms: 6,
            leased_until_ms: 7,
            holder: 8,
            token: 9,
            error: 10,
            failed: true,
            watermark: 11,
            suspect: true,
            lived: true,
            leased_for: 12,
        };
        assert_eq!(Target::decode(&target.encode()), target);
        let subscription = Subscription {
            reaction: 1,
            target: 2,
            done: 3,
            count: 4,
            first: 5,
            last: 6,
            chunk: 7,
            chunk_start: 8,
            done_count: 9,
            failing: 10,
            attempts: 11,
            replay_to: 12,
        };
        assert_eq!(Subscription::decode(&subscription.encode()), subscription);
        let cursor = Cursor {
            name: 1,
            read: 2,
            start: 3,
            joined: true,
            priority: -4,
            lane: 5,
            key: 6,
            to: 7,
            current: true,
            failing: 8,
            attempts: 9,
            due_ms: 10,
            blocked: true,
            error: 11,
        };
        assert_eq!(Cursor::decode(&cursor.encode()), cursor);
        let counts =
            Counts { targets: 1, subscriptions: 2, cursors: 3, text_lines: 4, work_lines: 5, generation: 6, boot: 7 };
        assert_eq!(Counts::decode(&counts.encode()), counts);
    }
}
