//! Verifying: every byte of the log is read, every checksum and every number checked, and the index compared with what
//! it was made from. Works on stores that are open elsewhere, and on those too damaged to be opened.

use std::sync::Arc;

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::log::record::{KeyKind, Kind, Preamble, Seed, SnapshotRecord};
use crate::log::scan::{Found, Scan, Step};
use crate::log::segments::{self, Segments};
use crate::recovery::{archived, recover};
use crate::shared::control::Control;
use crate::shared::handles::lock_if_allowed;

/// How many problems are listed before the rest is only counted.
const PROBLEMS_MAX: usize = 1000;

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, relative to the store's directory.
    pub file: String,
    /// Where in it, in bytes.
    pub offset: u64,
    /// The first position that it concerns, where that is known.
    pub position: Option<u64>,
    /// What was found.
    pub what: String,
}

/// What verifying found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many events were read.
    pub events: u64,
    /// How many commits were read.
    pub commits: u64,
    /// How many snapshots were read.
    pub snapshots: u64,
    /// How many streams there are.
    pub streams: u64,
    /// How many bytes of log were read.
    pub bytes: u64,
    /// Whether the index could be compared with the log. If not, it is rebuilt when the store is opened.
    pub index_checked: bool,
    /// All that is wrong, up to a bound.
    pub problems: Vec<Problem>,
}

/// What the log says of one key.
#[derive(Clone, Debug)]
struct KeySummary {
    kind: KeyKind,
    text: String,
    count: u64,
    /// Over its positions in order.
    digest: u64,
    /// After which gap its count was taken.
    gap: u32,
}

fn digest(before: u64, position: u64) -> u64 {
    (before ^ position).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31)
}

struct Verifier<'a> {
    segments: &'a Arc<Segments>,
    seed: Seed,
    report: Report,
    keys: Vec<Option<KeySummary>>,
    /// How many damaged stretches have been passed over. What was lost in one is told once, not again for every event that
    /// came after it.
    gap: u32,
    /// Over all places in order.
    places_digest: u64,
}

/// Verify the store on `disk`, with what of it is archived, also for other programs. `progress` hears of bytes done and bytes in all; its error ends
/// the work.
pub fn verify(disk: &Arc<dyn Disk>, progress: &mut dyn FnMut(u64, u64) -> Result<()>) -> Result<Report> {
    verify_files(disk, false, progress)
}

/// Verify what of a store is on `disk`: of archived log files, what their stubs say.
pub(crate) fn verify_here(disk: &Arc<dyn Disk>, progress: &mut dyn FnMut(u64, u64) -> Result<()>) -> Result<Report> {
    verify_files(disk, true, progress)
}

fn verify_files(
    disk: &Arc<dyn Disk>,
    hollow: bool,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Report> {
    let mut numbers = segments::list(&**disk)?;
    if numbers.is_empty() {
        return Err(Error::Format(format!("there is no act-fast store at {}", disk.describe())));
    }
    let Some(header) = first_readable_header(disk, &numbers)? else {
        let file = segments::name(numbers[0]);
        return Err(Error::corrupt(file, 0, None, "no log file has a readable header; restore them from a backup"));
    };
    let segments = Segments::new(Arc::clone(disk), &header, false);
    let segments = Arc::new(if hollow { segments.hollowed() } else { segments });
    let control = {
        // Looking who is alive holds their slots for a moment, which must not be taken for life by one who opens just now.
        let _opening = lock_if_allowed(&**disk)?;
        recover::readable(disk, &header).ok().flatten().map(Arc::new)
    };
    // The mark is read before the log, so that all below it is whole, and in the index, however busy the store is.
    let limit = control.as_ref().map(|control| control.indexed()).transpose()?.filter(|indexed| *indexed > 0);
    numbers.extend(segments::list(&**disk)?.into_iter().filter(|number| !numbers.contains(number)).collect::<Vec<_>>());
    let count = numbers.last().map_or(0, |last| last + 1);
    let mut verifier = Verifier::new(&segments);
    for missing in (0..count).filter(|number| !numbers.contains(number)) {
        verifier.problem(segments::name(missing), 0, None, "this log file is missing");
    }
    // True even where the rest of the control file is not to be trusted.
    let flushed = || {
        let known = Control::open(&**disk, false).ok()??;
        known.synced().ok().filter(|_| known.store_id == header.store_id)
    };
    verifier.walk(count, limit, flushed().unwrap_or(0), progress)?;
    if let (Some(control), Some(_)) = (&control, limit) {
        verifier.compare(disk, control);
    }
    if !hollow {
        let bytes = verifier.report.bytes;
        for (object, what) in archived::check(disk, &segments, count, &mut || progress(bytes, bytes))? {
            verifier.problem(object, 0, None, &what);
        }
    }
    Ok(verifier.report)
}

fn first_readable_header(disk: &Arc<dyn Disk>, numbers: &[u64]) -> Result<Option<segments::Header>> {
    for number in numbers {
        match segments::read_header(&**disk, *number) {
            Ok(header) => return Ok(Some(header)),
            Err(Error::Format(message)) => return Err(Error::Format(message)),
            Err(_) => {}
        }
    }
    Ok(None)
}

impl<'a> Verifier<'a> {
    fn new(segments: &'a Arc<Segments>) -> Self {
        Self {
            segments,
            seed: Seed::new(&segments.store_id),
            report: Report::default(),
            keys: Vec::new(),
            gap: 0,
            places_digest: 0,
        }
    }

    fn problem(&mut self, file: String, offset: u64, position: Option<u64>, what: &str) {
        if self.report.problems.len() < PROBLEMS_MAX {
            self.report.problems.push(Problem { file, offset, position, what: what.to_owned() });
        }
    }

    fn damage(&mut self, place: u64, position: Option<u64>, what: &str) {
        let (file, offset) = self.segments.file_and_offset(place);
        self.problem(file, offset, position, what);
    }

    /// Walk through `count` log files, up to `limit` if that is known; below `flushed`, what is not there was there.
    fn walk(
        &mut self,
        count: u64,
        limit: Option<u64>,
        flushed: u64,
        progress: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<()> {
        let total = limit.unwrap_or(count * self.segments.segment_bytes);
        let mut scan = Scan::new(self.segments, count);
        let mut told = 0;
        loop {
            if limit.is_some_and(|limit| scan.place >= limit) {
                break;
            }
            if scan.place - told > 8 << 20 {
                told = scan.place;
                progress(told.min(total), total)?;
            }
            let place = scan.place;
            let position = scan.position + 1;
            let mut damaged = limit.is_some() || place < flushed;
            let ((file, offset), reason) = match scan.step() {
                Ok(Step::Record(found)) => {
                    self.record(&found);
                    continue;
                }
                Ok(Step::Stop(reason)) => (self.segments.file_and_offset(place), reason.to_owned()),
                Err(Error::Corrupt { file, offset, message, .. }) => {
                    // Files come into being with a whole head.
                    damaged = true;
                    ((file, offset), message)
                }
                // That is no damage.
                Err(error @ Error::Unavailable { .. }) => return Err(error),
                Err(error) => (self.segments.file_and_offset(place), error.to_string()),
            };
            let next = scan.next_sound(place)?.map(|found| (found.place, found.head));
            let next = next.filter(|(place, _)| limit.is_none_or(|limit| *place < limit));
            let acknowledged = damaged || scan.was_flushed(place)?;
            if acknowledged {
                self.problem(file, offset, Some(position), &reason);
            }
            match next {
                Some((place, head)) if acknowledged => {
                    scan.resume(place, &head);
                    self.gap += 1;
                }
                _ => break,
            }
        }
        self.report.bytes = scan.place;
        self.report.streams = self.keys.iter().flatten().filter(|key| key.kind == KeyKind::Stream).count() as u64;
        progress(total, total)
    }

    fn record(&mut self, found: &Found<'_>) {
        match found.head.kind {
            Kind::End => {}
            Kind::Snapshot => {
                self.report.snapshots += 1;
                let sane = SnapshotRecord::read(found.bytes).is_some_and(|snapshot| {
                    self.known(snapshot.stream).is_some_and(|key| key.count >= snapshot.version)
                });
                if !sane && self.gap == 0 {
                    self.damage(found.place, None, "a snapshot belongs to a stream or version that does not exist");
                }
            }
            Kind::Commit => {
                if let Some(commit) = Preamble::read(found.bytes, found.place, self.seed, false) {
                    self.commit(&commit);
                }
            }
        }
    }

    fn known(&mut self, key: u32) -> Option<&mut KeySummary> {
        self.keys.get_mut(key as usize)?.as_mut()
    }

    /// What is known of the key of an event. Its definition may have been lost in a gap.
    fn key_of(&mut self, key: u32, kind: KeyKind) -> Option<&mut KeySummary> {
        let number = key as usize;
        if self.gap > 0 && self.known(key).is_none() {
            if number >= self.keys.len() {
                self.keys.resize(number + 1, None);
            }
            self.keys[number] = Some(KeySummary { kind, text: String::new(), count: 0, digest: 0, gap: 0 });
        }
        self.known(key).filter(|known| known.kind == kind)
    }

    fn commit(&mut self, commit: &Preamble<'_>) {
        self.report.commits += 1;
        for definition in commit.definitions() {
            let number = definition.key as usize;
            if number >= self.keys.len() {
                self.keys.resize(number + 1, None);
            }
            let text = definition.text.to_owned();
            self.keys[number] = Some(KeySummary { kind: definition.kind, text, count: 0, digest: 0, gap: self.gap });
        }
        for event in commit.events() {
            self.report.events += 1;
            self.places_digest = digest(self.places_digest, event.place);
            let gap = self.gap;
            let follows = self.key_of(event.stream, KeyKind::Stream).is_some_and(|key| {
                // What was lost in a gap may have been this stream's.
                let expected = if key.gap < gap { event.version.max(key.count + 1) } else { key.count + 1 };
                key.count = expected;
                key.gap = gap;
                key.digest = digest(key.digest, event.position);
                event.version == expected
            });
            if !follows {
                self.damage(event.place, Some(event.position), "the event's version is out of order in its stream");
            }
            match self.key_of(event.name, KeyKind::Name) {
                Some(key) => {
                    key.count += 1;
                    key.digest = digest(key.digest, event.position);
                }
                None => self.damage(event.place, Some(event.position), "the event's name is not known"),
            }
            for tag in event.tags.keys() {
                match self.key_of(tag, KeyKind::Tag) {
                    Some(key) => {
                        key.count += 1;
                        key.digest = digest(key.digest, event.position);
                    }
                    None => self.damage(event.place, Some(event.position), "a tag of the event is not known"),
                }
            }
        }
    }

    /// Compare the index with what the log said.
    fn compare(&mut self, disk: &Arc<dyn Disk>, control: &Arc<Control>) {
        if !self.report.problems.is_empty() {
            return;
        }
        let position = self.report.events;
        self.report.index_checked = true;
        let segments = Arc::new(Segments::new(Arc::clone(disk), &self.segments.header(0), false));
        let outcome = Index::open(disk, control, &segments, false).and_then(|index| {
            self.compare_places(&index, position)?;
            for number in 0..self.keys.len() {
                self.compare_key(&index, number, position)?;
            }
            Ok(())
        });
        if let Err(error) = outcome {
            let (file, offset) = match &error {
                Error::Corrupt { file, offset, .. } => (file.clone(), *offset),
                _ => (crate::index::FOLDER.to_owned(), 0),
            };
            self.problem(file, offset, None, &error.to_string());
        }
    }

    fn compare_places(&mut self, index: &Index, position: u64) -> Result<()> {
        let mut found = 0;
        let mut next = 1;
        while next <= position {
            let last = position.min(next + 9999);
            let run: Vec<u64> = (next..=last).collect();
            index.each_place(&run, |_, place| {
                found = digest(found, place);
                Ok(())
            })?;
            next = last + 1;
        }
        if found != self.places_digest {
            self.problem(
                crate::index::FOLDER.to_owned(),
                0,
                None,
                "the index has events in the wrong place; rebuild it",
            );
        }
        Ok(())
    }

    fn compare_key(&mut self, index: &Index, number: usize, position: u64) -> Result<()> {
        let Some(known) = self.keys[number].clone() else {
            return Ok(());
        };
        if known.kind == KeyKind::Tag && !index.has_tags() {
            return Ok(());
        }
        let found = index.find(known.kind, &known.text)?;
        let mut same = false;
        if let Some((at, key)) = found.filter(|(at, _)| *at as usize == number) {
            let count = index.count_up_to(&key, position)?;
            let mut sum = 0;
            let mut next = 1;
            while next <= count {
                let last = count.min(next + 9999);
                let mut run = Vec::new();
                index.postings(&key, next, last, &mut run)?;
                sum = run.into_iter().fold(sum, digest);
                next = last + 1;
            }
            same = count == known.count && sum == known.digest && at as usize == number;
        }
        if !same {
            let what = format!("the index is wrong about {:?}; rebuild it", known.text);
            self.problem(crate::index::FOLDER.to_owned(), 0, None, &what);
        }
        Ok(())
    }
}
