//! Making a store ready: trusting the control file where that is safe, and making it and the index again from the log
//! where it is not. Told in `docs/design.md`; runs only while no other handle has the store open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::{Clock, MachineClock};
use crate::disk::{Access, Disk};
use crate::error::{Doing, Error, Result};
use crate::index::{self, Index};
use crate::log::record::{ALIGN_BYTES, Kind, LogState, Preamble, Seed, SnapshotRecord};
use crate::log::scan::{Found, Scan, Step};
use crate::log::segments::{self, Header, Segments};
use crate::options::{Durability, Options};
use crate::reaction_files::repair;
use crate::shared::control::{self, Control, IndexState};
use crate::shared::handles;

/// What opening had to put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// How many events were found.
    pub events: u64,
    /// How many bytes of commits that were never acknowledged were cut off.
    pub cut_bytes: u64,
    /// How long it took.
    pub took: Duration,
}

/// After how many bytes `progress` is called.
const TOLD_BYTES: u64 = 8 << 20;

type Ready = (Arc<Control>, Index, Option<Recovered>);

/// Open the control file and the index, or make them.
pub(crate) fn ready(disk: &Arc<dyn Disk>, segments: &Arc<Segments>, options: &Options) -> Result<Ready> {
    let known = Control::open(&**disk, true)?.filter(|control| belongs(control, segments));
    if let Some(control) = known {
        if trusted(&control)? && !control.flag(control::FAILED)? {
            return attach(disk, segments, Arc::new(control));
        }
        return recover(disk, segments, options, Some(control), &mut |_| Ok(()));
    }
    recover(disk, segments, options, None, &mut |_| Ok(()))
}

/// What a log holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) events: u64,
    pub(crate) commits: u64,
    /// Where its last record ends.
    pub(crate) bytes: u64,
}

/// Read a log that was made where no one looks for it yet, as opening it after a crash would: every record is checked,
/// and control file and index are made. Until the machine starts again, opening it need not do so. `progress` hears of
/// bytes read; its error ends the work.
pub(crate) fn prepare(disk: &Arc<dyn Disk>, progress: &mut dyn FnMut(u64) -> Result<()>) -> Result<Contents> {
    let header = segments::read_header(&**disk, 0)?;
    let segments = Arc::new(Segments::new(Arc::clone(disk), &header, true));
    let (mut commits, mut told) = (0, 0);
    let mut read = |found: &Found<'_>| {
        commits += u64::from(found.head.kind == Kind::Commit);
        if found.place - told > TOLD_BYTES {
            told = found.place;
            progress(told)?;
        }
        Ok(())
    };
    let (control, _, _) = recover(disk, &segments, &Options::default(), None, &mut read)?;
    let LogState { tail, position, .. } = control.log_state()?;
    Ok(Contents { events: position, commits, bytes: tail })
}

/// The control file for a reader, if it can be used as it is.
pub(crate) fn readable(disk: &Arc<dyn Disk>, header: &Header) -> Result<Option<Control>> {
    let control = match Control::open(&**disk, true) {
        Err(Error::Io { .. }) => Control::open(&**disk, false)?,
        outcome => outcome?,
    };
    let Some(control) = control else {
        return Ok(None);
    };
    let same = (control.store_id, control.segment_bytes, control.replica)
        == (header.store_id, header.segment_bytes, header.replica);
    let claimed = control.identity() == Some(control.here_and_now()?);
    // Where a process that has it open is alive, the machine was not started since.
    let alive = || handles::any_alive(&**disk);
    if !same || !(trusted(&control)? || (claimed && control.readable() && alive()?)) {
        return Ok(None);
    }
    let idle = control.writer_lock().load(std::sync::atomic::Ordering::SeqCst) == 0;
    let whole =
        control.indexed()? == control.log_state()?.tail && control.published()? == control.log_state()?.position;
    // A writer may be at work just now; if so, it is alive.
    let usable = !claimed || (idle && whole) || alive()?;
    Ok(usable.then_some(control))
}

fn belongs(control: &Control, segments: &Segments) -> bool {
    (control.store_id, control.segment_bytes, control.replica)
        == (segments.store_id, segments.segment_bytes, segments.replica)
}

/// Whether what the control file and the index say can be relied on: they were kept true since this start of the machine
/// in this very place, or closed and flushed in it.
fn trusted(control: &Control) -> Result<bool> {
    if !control.readable() {
        return Ok(false);
    }
    let here = control.here_and_now()?;
    Ok(match control.identity() {
        Some(identity) if identity.same_file(&here) => identity.same_boot(&here) || control.flag(control::CLEAN)?,
        _ => false,
    })
}

fn attach(disk: &Arc<dyn Disk>, segments: &Arc<Segments>, control: Arc<Control>) -> Result<Ready> {
    if control.replica
        && !control.identity().is_some_and(|known| control.here_and_now().is_ok_and(|here| known.same_boot(&here)))
    {
        control.reset_replica(control.applied()?, lead_ms(control.log_state()?.created));
    }
    control.claim()?;
    control.open_up()?;
    let tail = control.log_state()?.tail;
    segments.fill(tail, true)?;
    let rebuilt = |control: &Arc<Control>| -> Result<Index> {
        control.free_locks();
        let index = build(disk, control, segments, tail)?;
        Ok(index)
    };
    // An index that cannot be used is rebuilt; a log that cannot is another matter.
    let index = if control.indexed()? == 0 {
        rebuilt(&control)?
    } else {
        match Index::open(disk, &control, segments, true) {
            Ok(index) => index,
            Err(Error::Format(message)) => return Err(Error::Format(message)),
            Err(_) => rebuilt(&control)?,
        }
    };
    Ok((control, index, None))
}

/// Make control file and index from the log, and cut off what was never acknowledged. `read` hears of each record, and its error
/// ends the work.
fn recover(
    disk: &Arc<dyn Disk>,
    segments: &Arc<Segments>,
    options: &Options,
    old: Option<Control>,
    read: &mut dyn FnMut(&Found<'_>) -> Result<()>,
) -> Result<Ready> {
    let started = Instant::now();
    let synced = old.as_ref().and_then(|control| control.synced().ok()).unwrap_or(0);
    // After a failed flush, what was never published may only seem to be on disk; unless the machine was started since.
    let failed =
        old.as_ref().is_some_and(|control| control.flag(control::FAILED).unwrap_or(false)) && !rebooted(old.as_ref())?;
    let keep_up_to = old.as_ref().filter(|_| failed).and_then(|control| control.published().ok());
    let generation = next_generation(&**disk)?;
    // One that is there is kept, even if it is damaged: readers may have it open.
    let control = Arc::new(match old {
        Some(control) => control,
        None => Control::create(&**disk, segments.store_id, segments.segment_bytes, segments.replica)?,
    });
    control.disclaim();
    control.free_locks();
    // Files that are opened here may lose their names before the end, so the handle that is to use the log opens its own.
    let lasting = segments;
    let segments = &Arc::new(lasting.hollowed());

    let numbers = segments::list(&**disk)?;
    let count = numbers.len() as u64;
    if let Some(gap) = numbers.iter().zip(0..).find(|(number, expected)| *number != expected) {
        let name = segments::name(gap.1);
        return Err(Error::corrupt(
            name,
            0,
            None,
            "this log file is missing, but later ones are there; restore it from a backup",
        ));
    }
    let mut building = Building::begin(disk, &control, segments, generation)?;
    let mut scan = Scan::new(segments, count);
    let stopped = loop {
        let before = (scan.place, scan.position, scan.created, scan.crc, scan.proposed);
        match scan.step()? {
            Step::Record(found) => {
                let last =
                    found.head.kind == Kind::Commit && keep_up_to.is_some_and(|limit| found.head.position > limit);
                if last && found.place >= synced {
                    (scan.place, scan.position, scan.created, scan.crc, scan.proposed) = before;
                    break "never published";
                }
                read(&found)?;
                building.add(found.place, found.head.kind, found.bytes)?;
            }
            Step::Stop(reason) => break reason,
        }
    };
    let tail = scan.place;
    if tail < synced || scan.was_flushed(tail)? {
        let position = Some(scan.position + 1);
        let what = format!(
            "{stopped}, and this part of the log had been flushed: it is damaged. Nothing was changed; \
                            `act-fast verify` lists what is damaged; restore the file from a backup"
        );
        return Err(segments.damaged(tail, position, &what));
    }
    let state = LogState { tail, position: scan.position, created: scan.created.max(0), crc: scan.crc };
    let cut_bytes = cut(disk, segments, tail, count, options)?;
    let number = segments.number_of(tail);
    if failed {
        segments.rewrite(synced, tail)?;
    }
    segments.flush(0, tail)?;
    // This may be a copy, which can lack what was reserved.
    segments.fill(tail, false)?;
    control.fill()?;
    let len = segments.measure(number)?;
    control.put_log_state(state);
    control.set_allocated(number * segments.segment_bytes + len);
    control.publish_outright(state.position);
    control.set_synced(tail);
    control.reset();
    if control.replica {
        // Of the last commit's record, a part may be missing.
        let applied = scan.proposed.place.saturating_sub(1);
        control.reset_replica(applied, lead_ms(state.created));
    }
    repair::after_recovery(disk, &segments.store_id, state.position)?;
    building.index.install(building.state, tail, state.position)?;
    // Sectors may come to the disk in any order: all the rest before the claim.
    control.flush()?;
    control.claim()?;
    control.open_up()?;
    let index = Index::open(disk, &control, lasting, true)?;
    index.remove_others()?;
    let fresh = state.position == 0 && cut_bytes == 0;
    let recovered = Recovered { events: state.position, cut_bytes, took: started.elapsed() };
    Ok((control, index, (!fresh).then_some(recovered)))
}

/// By how much the time of a replica's log is ahead of the uptime, when nothing is known of it but the last commit's time:
/// the time of day counts as a record would.
fn lead_ms(created_us: i64) -> i64 {
    let time_ms = MachineClock.now_ms().cast_signed().max(created_us / 1000);
    time_ms.saturating_sub(MachineClock.uptime_ms().cast_signed())
}

/// Whether the machine was started since a control file was claimed. One that is not claimed is being recovered right
/// now.
fn rebooted(control: Option<&Control>) -> Result<bool> {
    let Some((control, identity)) = control.and_then(|control| Some((control, control.identity()?))) else {
        return Ok(false);
    };
    Ok(identity.another_boot(&control.here_and_now()?))
}

/// Take away what lies above the tail; answers how many bytes of something that was.
fn cut(disk: &Arc<dyn Disk>, segments: &Arc<Segments>, tail: u64, count: u64, options: &Options) -> Result<u64> {
    let number = segments.number_of(tail);
    let mut cut = 0;
    if number >= count {
        let len = crate::log::segments::growth_step(segments.segment_bytes, tail);
        segments::create(&**disk, &segments.header(number), len, options.durability == Durability::Fsync)?;
    }
    for later in (number + 1..count).rev() {
        let first = segments.first_place(later);
        let used = segments.bytes_from(first).is_ok_and(|bytes| bytes.iter().any(|byte| *byte != 0));
        let name = segments::name(later);
        if used {
            // Never acknowledged, but not ours to destroy.
            let aside = format!("{name}.cut");
            cut += segments.bytes_from(first)?.len() as u64;
            disk.rename(&name, &aside).doing(|| format!("setting {name} aside"))?;
        } else {
            disk.remove(&name).doing(|| format!("removing {name}"))?;
        }
        // One by one: a gap between the files would look like a loss.
        disk.sync_folder(segments::FOLDER).doing(|| "syncing the log's folder".to_owned())?;
    }
    let rest = segments.bytes_from(tail)?;
    if let Some(last) = rest.iter().rposition(|byte| *byte != 0) {
        let what = || format!("clearing the end of {}", segments::name(number));
        let file = segments.file(number)?;
        if Scan::new(segments, number + 1).next_sound(tail - ALIGN_BYTES as u64)?.is_some() {
            // Whole commits behind a hole: not to be shown, but not ours to destroy.
            let aside = format!("{}.cut-{tail}", segments::name(number));
            let copy = disk.open(&aside, Access::Create).doing(what)?;
            copy.write_all_at(&rest[..=last], 0).doing(what)?;
            copy.flush().doing(what)?;
            disk.sync_folder(segments::FOLDER).doing(what)?;
        }
        file.write_zeros(tail % segments.segment_bytes, last as u64 + 1).doing(what)?;
        cut += last as u64 + 1;
    }
    Ok(cut)
}

fn next_generation(disk: &dyn Disk) -> Result<u32> {
    let names = disk.list(index::FOLDER).doing(|| "listing the index".to_owned())?;
    Ok(names.iter().filter_map(|name| name.parse::<u32>().ok()).max().unwrap_or(0) + 1)
}

/// An index that is being made from the log.
struct Building<'a> {
    segments: &'a Segments,
    index: Index,
    state: IndexState,
}

impl<'a> Building<'a> {
    fn begin(
        disk: &Arc<dyn Disk>,
        control: &Arc<Control>,
        segments: &'a Arc<Segments>,
        generation: u32,
    ) -> Result<Self> {
        let index = Index::begin(disk, control, segments, generation)?;
        Ok(Self { segments, index, state: IndexState::default() })
    }

    fn add(&mut self, place: u64, kind: Kind, bytes: &[u8]) -> Result<()> {
        apply(&self.index, self.segments, &mut self.state, place, kind, bytes)
    }
}

/// Put a record into an index, making room for it first.
pub(crate) fn apply(
    index: &Index,
    segments: &Segments,
    state: &mut IndexState,
    place: u64,
    kind: Kind,
    bytes: &[u8],
) -> Result<()> {
    let damaged = || segments.damaged(place, None, "the record here does not hold what it says");
    match kind {
        Kind::End => Ok(()),
        Kind::Snapshot => index.apply_snapshot(place, &SnapshotRecord::read(bytes).ok_or_else(damaged)?),
        Kind::Commit => {
            let seed = Seed::new(&segments.store_id);
            let commit = Preamble::read(bytes, place, seed, false).ok_or_else(damaged)?;
            let last = commit.head.position + commit.count - 1;
            // Postings are made room for as they are added.
            index.reserve(state, last, commit.definition_count(), 0)?;
            index.apply_commit(&commit, state)
        }
    }
}

/// Make a new index for the log up to `tail`, and put it into use.
pub(crate) fn build(
    disk: &Arc<dyn Disk>,
    control: &Arc<Control>,
    segments: &Arc<Segments>,
    tail: u64,
) -> Result<Index> {
    let hollow = &Arc::new(segments.hollowed());
    let mut building = Building::begin(disk, control, hollow, next_generation(&**disk)?)?;
    let count = segments::list(&**disk)?.len() as u64;
    let mut scan = Scan::new(hollow, count);
    while scan.place < tail {
        match scan.step()? {
            Step::Record(found) => building.add(found.place, found.head.kind, found.bytes)?,
            Step::Stop(reason) => {
                return Err(segments.damaged(scan.place, Some(scan.position + 1), reason));
            }
        }
    }
    building.index.install(building.state, tail, scan.position)?;
    let index = Index::open(disk, control, segments, true)?;
    index.remove_others()?;
    Ok(index)
}
