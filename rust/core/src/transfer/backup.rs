//! Backup: a copy of the log up to a cut, of what reactions have come to, and of nothing that can be rebuilt. Writers
//! go on meanwhile: what has been published never changes.

use std::sync::Arc;

use crate::disk::{Access, Disk, archive_of, put_archive, write_file};
use crate::error::{Doing, Error, Result};
use crate::log::record::Kind;
use crate::log::segments::{self, Segments};
use crate::reaction_files;
use crate::recovery::verify::{Report, verify_here};
use crate::store::log::Log;
use crate::store::staging::Making;

const PIECE_BYTES: u64 = 4 << 20;

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The last position in it: the store as it was when this was the last.
    pub position: u64,
    /// How many streams it holds.
    pub streams: u64,
    /// How many bytes of log it has.
    pub bytes: u64,
}

/// Where a copy of the log ends.
struct Cut {
    position: u64,
    place: u64,
}

impl Log {
    /// Copy the store, as it is now, to `name` on another disk, where nothing may be yet. It is there when it is whole, has
    /// been read again and been flushed, and not before. `whole`: with what is archived, so that it needs no archive.
    /// `progress` hears of bytes done and bytes in all; its error ends the work.
    pub fn backup(
        &self,
        to: &Arc<dyn Disk>,
        name: &str,
        whole: bool,
        progress: &mut dyn FnMut(u64, u64) -> Result<()>,
    ) -> Result<Backup> {
        self.check_open()?;
        check_absent(to, name)?;
        let making = Making::begin(to, &format!("{name}.making"))?;
        let copy = making.disk();
        // Before the cut is made: so no watermark stands above it.
        let id = &self.segments.store_id;
        reaction_files::copy::copy((&self.disk, id), (&copy, id), false)?;
        let cut = self.cut()?;
        let total = 2 * cut.place;
        self.copy_log(&copy, cut.place, whole, &mut |done| progress(done, total))?;
        let report = verify_here(&copy, &mut |done, _| progress(cut.place + done.min(cut.place), total))?;
        check_whole(&report, &cut)?;
        copy.sync_folder("").doing(|| format!("syncing {}", copy.describe()))?;
        check_absent(to, name)?;
        progress(total, total)?; // the last moment at which it can end the work
        making.place(name)?;
        Ok(Backup { position: cut.position, streams: report.streams, bytes: cut.place })
    }

    /// The published end of the log, with the snapshots that follow its last commit.
    fn cut(&self) -> Result<Cut> {
        let position = self.head()?;
        let mut place = self.segments.first_place(0);
        if position > 0 {
            let event = self.reading(|index| index.place(position))?;
            let commit = self.commit_place(event)?;
            place = commit + self.sound_record(commit, position)?.0.len() as u64;
        }
        let indexed = self.control.indexed()?;
        while position > 0 && place < indexed {
            let (bytes, kind) = self.sound_record(place, position)?;
            if kind != Kind::Snapshot {
                break;
            }
            place += bytes.len() as u64;
        }
        Ok(Cut { position, place })
    }

    fn copy_log(
        &self,
        to: &Arc<dyn Disk>,
        end: u64,
        whole: bool,
        progress: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<()> {
        to.create_folder(segments::FOLDER).doing(|| format!("making {}", to.describe()))?;
        let mut stubs = Vec::new();
        for number in 0..=self.segments.number_of(end) {
            if self.copy_segment(&self.segments, number, to, end, whole, progress)? {
                stubs.push(number);
            }
        }
        // What came back meanwhile may have been removed from the archive.
        let now = self.segments.afresh();
        let mut archived = false;
        for number in stubs {
            archived |= now.is_archived(number)? || self.copy_segment(&now, number, to, end, whole, progress)?;
        }
        if archived && let Some(address) = archive_of(&*self.disk)? {
            put_archive(&**to, &address)?;
        }
        to.sync_folder(segments::FOLDER).doing(|| format!("syncing {}", to.describe()))
    }

    /// Copy a log file in the form that it has in `segments`; whether that is a stub.
    fn copy_segment(
        &self,
        segments: &Segments,
        number: u64,
        to: &Arc<dyn Disk>,
        end: u64,
        whole: bool,
        progress: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<bool> {
        let name = segments::name(number);
        let what = || format!("copying {name} to {}", to.describe());
        let start = number * segments.segment_bytes;
        if let Some(packed) = segments.packed(number)? {
            progress(start)?;
            let absent = packed.absent.as_ref();
            let fetched = absent.filter(|_| whole).map(|absent| absent.whole(&*self.disk)).transpose()?;
            write_file(&**to, &name, fetched.as_deref().unwrap_or_else(|| packed.raw())).doing(what)?;
            return Ok(absent.is_some() && !whole);
        }
        let len = if number == segments.number_of(end) { end - start } else { segments.plain_bytes(number)? };
        let file = to.open(&name, Access::Create).doing(what)?;
        let mut at = 0;
        while at < len {
            progress(start + at)?;
            let piece = PIECE_BYTES.min(len - at);
            file.write_all_at(segments.bytes(start + at, piece as usize)?, at).doing(what)?;
            file.start_flush(at, piece);
            at += piece;
        }
        file.flush().doing(what)?;
        Ok(false)
    }
}

/// Refuse to replace anything.
pub(crate) fn check_absent(disk: &Arc<dyn Disk>, name: &str) -> Result<()> {
    let what = || format!("looking for {}/{name}", disk.describe());
    if disk.list("").doing(what)?.iter().any(|known| known == name) {
        return Err(Error::Invalid(format!(
            "{}/{name} exists already, and is never replaced; choose another path, or remove it",
            disk.describe()
        )));
    }
    Ok(())
}

fn check_whole(report: &Report, cut: &Cut) -> Result<()> {
    let what = "the copy is damaged, so it was not kept; run `act-fast verify` on the store: if it is healthy, the disk that was \
             copied to is at fault";
    if let Some(first) = report.problems.first() {
        return Err(Error::corrupt(&first.file, first.offset, first.position, &format!("{}; {what}", first.what)));
    }
    if report.events != cut.position {
        return Err(Error::corrupt(segments::FOLDER, 0, Some(report.events + 1), what));
    }
    Ok(())
}
