//! A copy of what reactions have come to, made while they go on.
//!
//! Each cell is copied as it is at some moment, without its lease. That is enough: opening a copy correlates again, and a
//! watermark is right whenever it was. What is derived is not copied: work is, only where an earlier version has mixed the events
//! of all names in it.

use std::sync::Arc;

use crate::disk::Disk;
use crate::error::{Doing, Result};
use crate::shared::line::Line;

use super::FOLDER;
use super::cell::Cells;
use super::files::Files;
use super::records::{Counts, Cursor, Target};

/// How often a cell of which neither line is sound is looked at, before it is left out: it is repaired by opening then.
const LOOKS_MAX: u32 = 1000;

/// Where files of reactions are, and the id of the store that they belong to.
pub(crate) type Place<'a> = (&'a Arc<dyn Disk>, &'a [u8; 16]);

/// Copy what is kept of the reactions of a store to another place; false when there is nothing. With `all_work` what is
/// derived is copied, too: no process may be at work then.
pub(crate) fn copy((from, from_id): Place<'_>, (to, to_id): Place<'_>, all_work: bool) -> Result<bool> {
    let Some(kept) = Files::open_to_read(from, from_id)? else {
        return Ok(false);
    };
    to.create_folder(FOLDER).doing(|| format!("making {}/{FOLDER}", to.describe()))?;
    let (copied, _) = Files::open(to, to_id)?;
    let counts = read(&kept.counts, 0)?.map(|line| Counts::decode(&line)).unwrap_or_default();
    copy_cells(&kept.targets, &copied.targets, counts.targets)?;
    for number in 0..counts.targets {
        // Nothing has died in a copy: what was leased meanwhile is no suspect there.
        if let Some(target) = copied.targets.read(number)?.map(|line| Target::decode(&line)) {
            copied.targets.write(number, Target { leased_until_ms: 0, ..target }.encode())?;
        }
    }
    copy_cells(&kept.subscriptions, &copied.subscriptions, counts.subscriptions)?;
    copy_cells(&kept.cursors, &copied.cursors, counts.cursors)?;
    // The texts last: what a cell refers to was written before the cell was.
    let later = read(&kept.counts, 0)?.map(|line| Counts::decode(&line)).unwrap_or_default();
    let text_lines = later.text_lines.max(counts.text_lines);
    kept.texts.copy_to(&copied.texts, text_lines)?;
    if let Some(work) = &kept.work
        && (all_work || is_any_whole(&copied, counts.cursors)?)
    {
        work.copy_to(&copied.work, later.work_lines.max(counts.work_lines))?;
        copied.work.flush()?;
    }
    if let Some(skipped) = &kept.skipped {
        let (_, used) = skipped.all()?;
        skipped.copy_to(&copied.skipped, used)?;
    }
    copied.counts.write(0, Counts { text_lines, ..counts }.encode())?;
    copied.flush()?;
    to.sync_folder(FOLDER).doing(|| format!("syncing {}/{FOLDER}", to.describe()))?;
    Ok(true)
}

fn is_any_whole(files: &Files, cursors: u32) -> Result<bool> {
    for number in 0..cursors {
        if files.cursors.read(number)?.is_some_and(|line| Cursor::decode(&line).whole()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read(cells: &Cells, number: u32) -> Result<Option<Line>> {
    for _ in 0..LOOKS_MAX {
        if let Some(found) = cells.read(number)? {
            return Ok(Some(found));
        }
        std::thread::yield_now();
    }
    Ok(None)
}

fn copy_cells(from: &Cells, to: &Cells, count: u32) -> Result<()> {
    to.reserve(count)?;
    for number in 0..count {
        if let Some(found) = read(from, number)? {
            to.write(number, found)?;
        }
    }
    Ok(())
}
