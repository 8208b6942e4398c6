//! Room for records: blocks in this segment or the next, made when they are needed, or ahead.

use std::time::Duration;

use crate::error::{Doing, Error, Result};
use crate::fault;
use crate::log::builder::Builder;
use crate::log::record::{ALIGN_BYTES, HEAD_BYTES, LogState};
use crate::log::segments::{self, HEADER_BYTES, growth_mark, growth_step};
use crate::options::Durability;
use crate::shared::control;
use crate::store::housekeeper::Chores;
use crate::store::log::Log;

impl Log {
    /// Write a record above the tail. Whatever goes wrong, the log is as it was.
    pub(crate) fn write_record(&self, place: u64, record: &[u8]) -> Result<()> {
        let to = self.segments.opened(place, self.writes_mapped())?;
        fault::point();
        let outcome = self.segments.write(&to, place, record);
        if let Err(Error::Io { .. }) = &outcome {
            self.control.set_flag(control::FAILED, true)?;
        }
        fault::point();
        outcome
    }

    /// Measured: a stored record costs a tenth of a written one, but a flush then costs twice as much.
    pub(crate) fn writes_mapped(&self) -> bool {
        self.options.durability != Durability::Fsync && self.disk.mapped_writes()
    }

    /// Whether there are blocks for `bytes_max` more bytes of record in this segment already. Where few more are left, more are
    /// made meanwhile.
    #[inline]
    pub(crate) fn has_room(&self, state: &LogState, bytes_max: u64) -> Result<bool> {
        let wanted = state.tail + bytes_max.next_multiple_of(ALIGN_BYTES as u64) + HEAD_BYTES as u64;
        let allocated = self.control.allocated()?;
        let segment_bytes = self.segments.segment_bytes;
        if wanted > allocated || state.tail % segment_bytes + (wanted - state.tail) > segment_bytes {
            return Ok(false);
        }
        if allocated - wanted < growth_mark(segment_bytes, allocated) {
            self.handle.housekeeper.want_growth();
        }
        Ok(true)
    }

    /// Have blocks for `bytes_max` more bytes of record, in this segment or in the next.
    pub(crate) fn make_room(&self, builder: &mut Builder, state: &mut LogState, bytes_max: u64) -> Result<()> {
        let segment_bytes = self.segments.segment_bytes;
        let end_bytes = HEAD_BYTES as u64;
        let bytes_max = bytes_max.next_multiple_of(ALIGN_BYTES as u64);
        if bytes_max + end_bytes > segment_bytes - HEADER_BYTES {
            return Err(Error::Invalid(format!(
                "this commit takes up to {bytes_max} bytes; a commit must fit into one log file of {segment_bytes} bytes \
             (segment_bytes): append it in several commits"
            )));
        }
        let segment_end = (self.segments.number_of(state.tail) + 1) * segment_bytes;
        if state.tail + bytes_max + end_bytes > segment_end {
            self.roll(builder, state)?;
        }
        self.have(state.tail + bytes_max + end_bytes)?;
        self.has_room(state, bytes_max).map(drop)
    }

    /// End this segment and go on in the next.
    pub(super) fn roll(&self, builder: &mut Builder, state: &mut LogState) -> Result<()> {
        let number = self.segments.number_of(state.tail) + 1;
        let len = self.make_segment(number)?;
        // Whoever made it may have died before its name was safe.
        self.disk.sync_folder(segments::FOLDER).doing(|| "syncing the log's folder".to_owned())?;
        // A log that was written in one go has no blocks beyond its tail, and a mapping takes nothing beyond its file.
        self.have(state.tail + HEAD_BYTES as u64)?;
        builder.end(state);
        let (record, crc) = builder.finish(self.seed);
        self.write_record(state.tail, record)?;
        state.tail = self.segments.first_place(number);
        state.crc = crc;
        let growing = self.growth_lock().take();
        self.control.set_allocated(number * self.segments.segment_bytes + len);
        drop(growing);
        self.control.put_log_state(*state);
        self.control.set_indexed(state.tail, state.position);
        fault::point();
        self.handle.keeper.look();
        Ok(())
    }

    /// Have segment `number`; answers how many of its bytes have blocks.
    pub(crate) fn make_segment(&self, number: u64) -> Result<u64> {
        let segment_bytes = self.segments.segment_bytes;
        self.make_segment_of(number, growth_step(segment_bytes, number * segment_bytes))
    }

    /// The same, with blocks for `len` bytes, if it is not there yet.
    pub(super) fn make_segment_of(&self, number: u64, len: u64) -> Result<u64> {
        self.check_in_place()?;
        let _growing = self.growth_lock().take();
        let known = self.disk.list(segments::FOLDER).doing(|| "listing the log".to_owned())?;
        if !known.iter().any(|file| segments::name(number).ends_with(file.as_str())) {
            let len = len.min(self.segments.segment_bytes);
            segments::create(&*self.disk, &self.segments.header(number), len, self.zeroes())?;
        }
        self.segments.measure(number)
    }

    /// Whether new blocks are written with zeros, so that flushing what is written into them later is cheap.
    fn zeroes(&self) -> bool {
        self.options.durability == Durability::Fsync
    }

    /// Give the newest segment blocks up to `wanted`, unless it has them.
    fn have(&self, wanted: u64) -> Result<()> {
        if self.control.allocated()? < wanted { self.grow(wanted) } else { Ok(()) }
    }

    /// Give the newest segment blocks up to `wanted`, and some more.
    pub(crate) fn grow(&self, wanted: u64) -> Result<()> {
        let _growing = self.growth_lock().take();
        let allocated = self.control.allocated()?;
        if allocated >= wanted {
            return Ok(());
        }
        let segment_bytes = self.segments.segment_bytes;
        let number = self.segments.number_of(allocated - 1);
        let start = number * segment_bytes;
        let target = wanted.max(allocated + growth_step(segment_bytes, allocated)).next_multiple_of(4096);
        let target = target.min(start + segment_bytes);
        let what = || format!("growing {}", segments::name(number));
        if self.zeroes() {
            let file = self.segments.file_apart(number)?;
            file.write_zeros(allocated - start, target - allocated).doing(what)?;
            if let Err(error) = file.flush().doing(what) {
                // What could not be flushed may be somebody's commit in this file as well.
                self.control.set_flag(control::FAILED, true)?;
                return Err(error);
            }
        } else {
            let file = self.segments.file_apart(number)?;
            file.reserve(allocated - start, target - allocated).doing(what)?;
            file.warm(allocated - start, target - allocated).doing(what)?;
        }
        self.control.set_allocated(target);
        Ok(())
    }
}

impl Chores for Log {
    /// Have blocks ahead of the tail: more in this segment, and the next segment when this one comes to its end.
    fn grow_ahead(&self) -> Result<()> {
        let allocated = self.control.allocated()?;
        let tail = self.control.log_state()?.tail;
        let segment_bytes = self.segments.segment_bytes;
        let step = growth_step(segment_bytes, allocated);
        let number = self.segments.number_of(tail);
        let segment_end = (number + 1) * segment_bytes;
        if allocated < segment_end && allocated.saturating_sub(tail) < step {
            self.grow((allocated + step).min(segment_end))?;
            if self.writes_mapped() {
                self.segments.populate(allocated, self.control.allocated()?.min(segment_end))?;
            }
        }
        if segment_end - tail < 2 * step {
            self.make_segment(number + 1)?;
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Self::flush(self)
    }

    fn can_flush(&self) -> bool {
        self.check_flushable().is_ok()
    }

    fn flush_interval(&self) -> Duration {
        self.options.flush_interval
    }
}
