//! Putting right what a writer left who died, and making the index again.

use crate::error::Result;
use crate::log::record::Kind;
use crate::options::Durability;
use crate::recovery::recover::{apply, build};
use crate::shared::lock::Guard;
use crate::store::log::Log;

impl Log {
    /// Finish what a writer left who died with the lock. Only for the lock's holder.
    pub(crate) fn repair(&self, _guard: &Guard<'_>) -> Result<()> {
        if self.control.indexed()? == 0 {
            return self.remake_index(self.control.log_state()?.tail);
        }
        let index = self.index()?;
        if let Some((address, content)) = self.control.intent() {
            index.redo(address, &content)?;
        }
        let state = self.control.log_state()?;
        self.measure_blocks(state.tail)?;
        let mut place = self.control.indexed()?;
        let mut index_state = self.control.index_state()?;
        while place < state.tail {
            let (bytes, kind) = self.sound_record(place, state.position)?;
            apply(&index, &self.segments, &mut index_state, place, kind, bytes)?;
            place = match kind {
                Kind::End => self.segments.first_place(self.segments.number_of(place) + 1),
                _ => place + bytes.len() as u64,
            };
        }
        self.control.set_indexed(state.tail, state.position);
        if self.options.durability != Durability::Fsync && self.control.published()? < state.position {
            self.control.publish(state.position);
            self.announce();
        }
        // The dead writer's own flush, if it had asked for one, died with it.
        if self.options.durability == Durability::Interval && self.control.synced()? < state.tail {
            let _ = self.handle.housekeeper.want_flush();
        }
        Ok(())
    }

    /// Say again up to where the newest log file has its blocks: whoever died may have been about to, or it was cut short.
    fn measure_blocks(&self, tail: u64) -> Result<()> {
        let _growing = self.growth_lock().take();
        let number = self.segments.number_of(tail);
        let end = number * self.segments.segment_bytes + self.segments.measure(number)?;
        if end < tail {
            return Err(self.segments.damaged(end, None, "this log file is shorter than what was written to it"));
        }
        self.control.set_allocated(end);
        Ok(())
    }

    /// Rebuild the index from the log up to `tail`. Only for the holder of the writer's lock.
    pub(crate) fn remake_index(&self, tail: u64) -> Result<()> {
        build(&self.disk, &self.control, &self.segments, tail).map(drop)
    }

    /// Rebuild the index from the log, while reading goes on.
    pub fn rebuild_index(&self) -> Result<()> {
        let writer = self.writer();
        self.check_writable()?;
        // Not `lock_writer`: what it would repair may be what is broken. All but a line of the control file itself, which
        // building would leave half written.
        let guard = self.writer_lock().take();
        self.check_unshut()?;
        self.control.redo();
        let outcome = self.control.log_state().and_then(|state| self.remake_index(state.tail));
        drop(guard);
        drop(writer);
        outcome
    }
}
