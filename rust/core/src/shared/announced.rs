//! Lines of the control file that take more than one store to write: each is announced first, so that one whose writer died is
//! finished by the next.

use std::sync::atomic::{Ordering, fence};

use crate::bytes::{narrow_at, put_narrow, u32_at, u64_at};
use crate::error::Result;
use crate::fault;
use crate::log::record::LogState;
use crate::shared::control::{
    AREA, CHANGING_LOOKS_MAX, Control, INDEX_STATE, INTENT, INTENT_ADDRESS, IndexState, LOG_STATE, damaged,
};
use crate::shared::line::{self, Address, LINE_BYTES, Line, SharedLine};

impl Control {
    /// Change a line so that, whatever happens to this process, it is found whole: say what is to be written where, then
    /// write it. Only for the holder of the writer's lock.
    #[inline]
    pub(crate) fn put(&self, target: &SharedLine, address: Address, content: &mut Line) {
        line::seal(content, address);
        line::store(self.line(INTENT), content);
        self.raw_word(INTENT_ADDRESS).store(address.raw(), Ordering::Release);
        // Nothing of the target before all of the intent.
        fence(Ordering::Release);
        fault::point();
        line::store(target, content);
        fault::point();
    }

    /// What a writer who died was about to write, if it had come to say so.
    pub(crate) fn intent(&self) -> Option<(Address, Line)> {
        let address = Address::from_raw(self.raw_word(INTENT_ADDRESS).load(Ordering::Acquire));
        let content = line::load(self.line(INTENT));
        line::sound(&content, address).then_some((address, content))
    }

    /// Finish the change of a line of this file that a dead writer had announced.
    pub(crate) fn redo(&self) {
        if let Some((address, content)) = self.intent().filter(|(address, _)| address.area() == AREA)
            && let Some(target) = self.shared(address.number())
        {
            line::store(target, &content);
        }
    }

    fn read(&self, number: u64) -> Result<Line> {
        let address = Address::new(AREA, number);
        for _ in 0..CHANGING_LOOKS_MAX {
            if let Some(content) = line::glance(self.line(number), address) {
                return Ok(content);
            }
            // A writer that is slow or dead is changing it: its complete new content is in the intent.
            if let Some((_, content)) = self.intent().filter(|(announced, _)| *announced == address) {
                return Ok(content);
            }
            std::thread::yield_now();
        }
        Err(damaged(number))
    }

    #[inline]
    pub(crate) fn log_state(&self) -> Result<LogState> {
        let content = self.read(LOG_STATE)?;
        Ok(LogState {
            tail: u64_at(&content, 0),
            position: u64_at(&content, 8),
            created: u64_at(&content, 16).cast_signed(),
            crc: u32_at(&content, 24),
        })
    }

    #[inline]
    pub(crate) fn put_log_state(&self, state: LogState) {
        let mut content = [0; LINE_BYTES];
        put_narrow::<8>(&mut content, 0, state.tail);
        put_narrow::<8>(&mut content, 8, state.position);
        put_narrow::<8>(&mut content, 16, state.created.cast_unsigned());
        put_narrow::<4>(&mut content, 24, u64::from(state.crc));
        self.put(self.line(LOG_STATE), Address::new(AREA, LOG_STATE), &mut content);
    }

    pub(crate) fn index_state(&self) -> Result<IndexState> {
        let content = self.read(INDEX_STATE)?;
        Ok(IndexState {
            keys: u32_at(&content, 0),
            streams: u32_at(&content, 4),
            last_name: u32_at(&content, 8),
            postings_next: narrow_at::<6>(&content, 16),
        })
    }

    pub(crate) fn put_index_state(&self, state: IndexState) {
        let mut content = [0; LINE_BYTES];
        put_narrow::<4>(&mut content, 0, u64::from(state.keys));
        put_narrow::<4>(&mut content, 4, u64::from(state.streams));
        put_narrow::<4>(&mut content, 8, u64::from(state.last_name));
        put_narrow::<6>(&mut content, 16, state.postings_next);
        self.put(self.line(INDEX_STATE), Address::new(AREA, INDEX_STATE), &mut content);
    }
}
