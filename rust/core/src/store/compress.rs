//! Keeping sealed log files packed, and having them plain again. What a file holds does not change by it: positions,
//! places, checksums and the index stay as they are.
//!
//! The new form is written beside the old one, flushed, read back and compared with it byte by byte; only then does it
//! take the old one's name, in one step. Whoever has the old one open goes on with it until `Log::current` leads on.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};
use std::{process, thread};

use crate::disk::{Access, Disk, LockGuard, write_file};
use crate::error::{Doing, Error, Result};
use crate::fault;
use crate::log::packed::{Packed, Shared};
use crate::log::packing;
use crate::log::segments::{self, Form, HEADER_BYTES, form_of};
use crate::store::keeper::GoOn;
use crate::store::log::Log;

/// Where a log file's new form is made.
const MAKING: &str = "log/changing.tmp";
/// Held by whatever changes the form of log files; in the background, for one file at a time.
const LOCK: &str = "locks/keeping";
/// Held, before that, by a call that a program made: so its holder waits for the background alone.
const CALL_LOCK: &str = "locks/keeping-call";
/// How long a call waits for the background to give way.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What became of the log files that a call was to pack or to unpack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// How many files were changed, or would be.
    pub segments: u64,
    /// How many bytes they took before.
    pub bytes_before: u64,
    /// How many they take now, or would take.
    pub bytes_after: u64,
    /// Of archiving: how many files were written for other programs, or would be.
    pub readable: u64,
}

/// Says whether a packed file holds what the log file holds that it is to replace.
type Compare<'a> = dyn Fn(Arc<Packed>) -> Result<bool> + 'a;

/// A lock of one thread in one process at a time.
pub(super) struct Held<'a> {
    _file: LockGuard,
    _thread: MutexGuard<'a, ()>,
}

/// The right of a call to change the form of log files.
pub(super) struct Keeping<'a> {
    _keeping: Held<'a>,
    _call: Held<'a>,
}

/// Remove what is left of a form that was not finished.
pub(super) fn remove_leftovers(disk: &dyn Disk) -> Result<()> {
    let what = || format!("removing {MAKING}");
    let left = disk.list(segments::FOLDER).doing(what)?.iter().any(|name| MAKING.ends_with(name.as_str()));
    if left { disk.remove(MAKING).doing(what) } else { Ok(()) }
}

impl Log {
    /// Compress all sealed log files that are not yet: those before the one that is written to. `seal`: end that one first,
    /// if it holds anything, and go on in the next. `dry_run`: change nothing, and say what would be. `progress` hears of
    /// bytes done and bytes in all; its error ends the work, which any later call goes on with.
    pub fn compress(
        &self,
        seal: bool,
        dry_run: bool,
        progress: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<Kept> {
        let _keeping = self.keeping(progress)?;
        if seal && !dry_run {
            self.seal()?;
        }
        let mut numbers = Vec::new();
        for number in 0..self.sealed()? {
            if self.fresh_segments().packed(number)?.is_none() {
                numbers.push(number);
            }
        }
        // From the first on: earlier versions look at that one, and then refuse the store.
        self.change(&numbers, dry_run, progress, packing::pack)
    }

    /// Compress log files once nothing is written to them any more, on the thread of this handle's keeper.
    pub(super) fn compress_in_background(&self) {
        let handle = Arc::downgrade(&self.handle);
        let mut done = 0;
        self.handle.keeper.start(move |go_on| {
            let handle = handle.upgrade()?;
            let log = handle.newest().map(|log| log.apart());
            drop(handle);
            Some(log.map_or(Ok(()), |log| log.compress_from(&mut done, go_on)))
        });
    }

    /// Compress log files that nothing is written to any more, for as long as `go_on` agrees. `done`: how many there are that
    /// need not be looked at.
    fn compress_from(&self, done: &mut u64, go_on: &GoOn) -> Result<()> {
        while *done < self.segments.number_of(self.control.log_state()?.tail) {
            let called = self.control.called().load(Ordering::Acquire);
            self.check_changeable()?;
            let _keeping = self.hold(&self.handle.keeping, LOCK)?.ok_or_else(gives_way)?;
            let sealed = self.sealed()?;
            *done = self.first_plain(sealed)?;
            if *done == sealed {
                break;
            }
            let control = Arc::clone(&self.control);
            let uncalled =
                move || if control.called().load(Ordering::Acquire) == called { Ok(()) } else { Err(gives_way()) };
            self.compress_giving_way(*done, &go_on.while_also(uncalled))?;
        }
        Ok(())
    }

    /// The number of the first log file that is plain. Files are packed and archived from the first on.
    fn first_plain(&self, sealed: u64) -> Result<u64> {
        let (mut low, mut high) = (0, sealed);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.fresh_segments().packed(middle)?.is_some() { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// Have all log files plain again.
    pub fn decompress(&self, dry_run: bool, progress: &mut dyn FnMut(u64, u64) -> Result<()>) -> Result<Kept> {
        let _keeping = self.keeping(progress)?;
        let mut numbers = Vec::new();
        for number in (0..self.sealed()?).rev() {
            // Archived files stay archived.
            if self.fresh_segments().packed(number)?.is_some_and(|packed| packed.absent.is_none()) {
                numbers.push(number);
            }
        }
        self.change(&numbers, dry_run, progress, |segments, number| {
            let len = segments.plain_bytes(number)? as usize;
            let mut bytes = segments.header(number).encode().to_vec();
            let rest = segments.bytes(segments.first_place(number), len - bytes.len())?;
            bytes.extend_from_slice(rest);
            Ok(bytes)
        })
    }

    /// The right to change the form of log files, for a call that a program made: what goes on in the background gives way
    /// to it. `progress` is called while it waits for that.
    pub(super) fn keeping(&self, progress: &mut dyn FnMut(u64, u64) -> Result<()>) -> Result<Keeping<'_>> {
        self.keeping_within(PATIENCE, progress)
    }

    fn keeping_within(
        &self,
        patience: Duration,
        progress: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<Keeping<'_>> {
        self.check_changeable()?;
        let call = self.hold(&self.handle.keeping_call, CALL_LOCK)?.ok_or_else(|| {
            Error::Locked(format!(
                "log files of {} are being compressed, decompressed or archived already, by {}; wait until that is done",
                self.disk.describe(),
                self.holder(CALL_LOCK)
            ))
        })?;
        let until = Instant::now() + patience;
        loop {
            if let Some(keeping) = self.hold(&self.handle.keeping, LOCK)? {
                return Ok(Keeping { _keeping: keeping, _call: call });
            }
            if Instant::now() >= until {
                return Err(Error::Locked(format!(
                    "log files of {} are being compressed in the background by {}, opened with compress=True, which has not \
                     given way within {} seconds: it may be stopped, or its disk slow; try again, or end it",
                    self.disk.describe(),
                    self.holder(LOCK),
                    patience.as_secs()
                )));
            }
            // Each time: it may have begun with another file.
            self.control.called().fetch_add(1, Ordering::AcqRel);
            progress(0, 0)?;
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Refuse where no log file may get another form through this handle.
    fn check_changeable(&self) -> Result<()> {
        self.check_writable()?;
        self.check_sane()?;
        self.check_in_place()
    }

    /// Take a lock, unless it is taken.
    fn hold<'a>(&'a self, thread: &'a Mutex<()>, name: &str) -> Result<Option<Held<'a>>> {
        let thread = match thread.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(held)) => PoisonError::into_inner(held),
            Err(TryLockError::WouldBlock) => return Ok(None),
        };
        let Some(file) = self.disk.try_lock(name).doing(|| format!("locking {}", self.disk.describe()))? else {
            return Ok(None);
        };
        // For the messages of others, so nothing depends on it.
        let own = format!("{:010}\n", process::id());
        let _ = self.disk.open(name, Access::Write).and_then(|file| file.write_all_at(own.as_bytes(), 0));
        Ok(Some(Held { _file: file, _thread: thread }))
    }

    /// The program that holds a lock, for people.
    fn holder(&self, name: &str) -> String {
        let told = self.disk.open(name, Access::Read).and_then(|file| file.read_at(0, 10)).ok();
        match told.and_then(|bytes| String::from_utf8(bytes).ok()?.parse::<u32>().ok()) {
            Some(own) if own == process::id() => "this program".to_owned(),
            Some(other) => format!("process {other}"),
            None => "another program".to_owned(),
        }
    }

    /// How many log files are sealed: nothing is written to them any more, and the disk has all of them.
    pub(super) fn sealed(&self) -> Result<u64> {
        self.flush()?;
        Ok(self.segments.number_of(self.control.synced()?))
    }

    /// End the log file that is written to, unless it is empty.
    fn seal(&self) -> Result<()> {
        let mut writer = self.writer();
        let guard = self.lock_writer()?;
        self.check_sane()?;
        self.check_in_place()?;
        let mut state = self.control.log_state()?;
        let outcome = if state.tail % self.segments.segment_bytes > HEADER_BYTES {
            // As small as can be: it may be long until anything is written to it.
            self.make_segment_of(self.segments.number_of(state.tail) + 1, segments::FIRST_BYTES)?;
            self.roll(writer.builder(), &mut state)
        } else {
            Ok(())
        };
        drop(guard);
        outcome
    }

    /// The log's files as they are now, opened for one look.
    pub(super) fn fresh_segments(&self) -> segments::Segments {
        segments::Segments::new(Arc::clone(&self.disk), &self.segments.header(0), false)
    }

    /// Give log files another form, one after the other.
    fn change(
        &self,
        numbers: &[u64],
        dry_run: bool,
        progress: &mut dyn FnMut(u64, u64) -> Result<()>,
        make: impl Fn(&segments::Segments, u64) -> Result<Vec<u8>>,
    ) -> Result<Kept> {
        let total = numbers.len() as u64 * self.segments.segment_bytes;
        let mut kept = Kept::default();
        for (number, done) in numbers.iter().zip(0..) {
            progress(done * self.segments.segment_bytes, total)?;
            // One after the other, so that no more than one is unpacked at a time.
            let segments = self.fresh_segments();
            let made = make(&segments, *number)?;
            kept.segments += 1;
            kept.bytes_before += segments.measure(*number)?;
            kept.bytes_after += made.len() as u64;
            if !dry_run {
                self.replace(&segments, *number, &made)?;
            }
        }
        progress(total, total)?;
        Ok(kept)
    }

    /// Put `made` in the place of a log file that holds the same.
    pub(super) fn replace(&self, before: &segments::Segments, number: u64, made: &[u8]) -> Result<()> {
        self.write_and_place(before, number, made, &|packed| same(before, number, &packed, &|| Ok(())))
    }

    /// Compress a log file on a thread that gives way to all others. It holds no lock that anybody waits for.
    fn compress_giving_way(&self, number: u64, go_on: &GoOn) -> Result<()> {
        let segments = Arc::new(self.fresh_segments());
        let before = Arc::clone(&segments);
        let made = go_on.giving_way(move |go_on| packing::pack_while(&before, number, &|| go_on.check()))?;
        self.write_and_place(&segments, number, &made, &|packed| {
            let before = Arc::clone(&segments);
            go_on.giving_way(move |go_on| same(&before, number, &packed, &|| go_on.check()))
        })
    }

    fn write_and_place(
        &self,
        before: &segments::Segments,
        number: u64,
        made: &[u8],
        compare: &Compare<'_>,
    ) -> Result<()> {
        let outcome = self.write_beside(before, number, made, compare).and_then(|()| self.take_place(number));
        if outcome.is_err() {
            // What cannot be removed now is written over when the next is made.
            let _ = self.disk.remove(MAKING);
        }
        outcome
    }

    /// Let the form that was made take a log file's place.
    fn take_place(&self, number: u64) -> Result<()> {
        let name = segments::name(number);
        fault::point();
        let writer = self.writer();
        let guard = self.lock_writer()?;
        // With the lock in hand: a handle that was shut down, or a store that was replaced, is left alone.
        let placed = self.check_unshut().and_then(|()| self.check_in_place()).and_then(|()| {
            let what = || format!("putting the new form of {name} in its place");
            self.disk.rename(MAKING, &name).doing(what)?;
            fault::point();
            self.disk.sync_folder(segments::FOLDER).doing(what)
        });
        self.control.replaced().fetch_add(1, Ordering::Release);
        drop(guard);
        drop(writer);
        fault::point();
        placed
    }

    /// Write a log file's new form beside it, and see that the disk has it, and that it holds the same.
    fn write_beside(&self, before: &segments::Segments, number: u64, made: &[u8], compare: &Compare<'_>) -> Result<()> {
        let what = || format!("writing the new form of {}", segments::name(number));
        write_file(&*self.disk, MAKING, made).doing(what)?;
        fault::point();
        let file = self.disk.open(MAKING, Access::Read).doing(what)?;
        let len = file.len().doing(what)?;
        let same = if len == made.len() as u64 {
            let read = file.map(0, made.len(), false).doing(what)?;
            let plain_before = before.packed(number)?.is_none();
            if form_of(made) == Form::Packed && plain_before {
                let shared = Shared::new(Arc::clone(&self.disk));
                let unpacked = Packed::open(&*file, MAKING, &before.header(number), Form::Packed, &shared)?;
                compare(unpacked)?
            } else {
                read.bytes(0, made.len()) == made
            }
        } else {
            false
        };
        if same {
            return Ok(());
        }
        Err(Error::corrupt(
            MAKING,
            0,
            None,
            &format!(
                "the new form of {} was read back and is not what was written, so it was not kept: the disk is at fault",
                segments::name(number)
            ),
        ))
    }
}

/// What ends the work in the background where a call goes first.
fn gives_way() -> Error {
    Error::Locked("log files are being changed by a call, which goes first".to_owned())
}

/// Whether a packed file holds what the log file holds that it is to replace.
fn same(
    before: &segments::Segments,
    number: u64,
    packed: &Arc<Packed>,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<bool> {
    let len = packed.contents.plain_bytes as usize;
    let mut at = HEADER_BYTES as usize;
    while at < len {
        go_on()?;
        let end = packed.block_end(at);
        let place = number * before.segment_bytes + at as u64;
        if packed.within(at, end - at)? != Some(before.bytes(place, end - at)?) {
            return Ok(false);
        }
        at = end;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;
    use crate::options::Options;

    #[test]
    fn what_does_not_give_way_is_waited_for_no_longer_than_that_and_named() {
        let log = Log::open(Arc::new(MemoryDisk::default()), Options::default()).expect("a log");
        let in_background = log.hold(&log.handle.keeping, LOCK).expect("a disk");
        let mut told = 0;
        let patience = Duration::from_millis(1);
        let outcome = log.keeping_within(patience, &mut |_, _| {
            told += 1;
            Ok(())
        });
        let Some(Error::Locked(message)) = outcome.err() else { panic!("it did not wait") };
        assert!(message.contains("in the background by") && message.contains("end it"), "{message}");
        assert!(told > 0, "nothing could have interrupted it");
        drop(in_background);
        drop(log.keeping_within(Duration::ZERO, &mut |_, _| Ok(())).expect("the lock"));
    }
}
