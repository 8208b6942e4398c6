//! Repairing: what is kept of reactions is taken for what can still be believed of it. What was derived is derived again; at
//! worst something is delivered again.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::disk::Disk;
use crate::error::{Doing, Result};

use super::FOLDER;
use super::files::Files;
use super::records::{Counts, Cursor, FORGOTTEN, Subscription, Target};
use super::texts::Texts;

/// After the machine stopped, or a copy was made: the log has `head` events, so no watermark may stand above.
pub(crate) fn after_recovery(disk: &Arc<dyn Disk>, store_id: &[u8; 16], head: u64) -> Result<()> {
    if disk.list(FOLDER).doing(|| format!("listing {FOLDER}"))?.is_empty() {
        return Ok(());
    }
    // The process that put another log here may have died before all that had run on the one before was removed.
    if Files::any_foreign(disk, store_id)? {
        return disk.remove_folder(FOLDER).doing(|| format!("removing {FOLDER}"));
    }
    Files::fill(&**disk)?;
    let (files, _) = Files::open(disk, store_id)?;
    repair(&files, head, true)
}

/// Write a name for what has lost its own; nothing that has one like it by itself does harm.
fn name_lost(texts: &Texts, number: u32, counts: &mut Counts) -> Result<u64> {
    let (name, used) = texts.write(&format!("lost-{number}"), counts.text_lines)?;
    counts.text_lines = used;
    Ok(name)
}

/// Whether a cursor was kept by an earlier version, for all names at once: its work could not be found again.
fn is_whole(files: &Files, cursor: u32, cursors: u32) -> Result<bool> {
    Ok(cursor < cursors && files.cursors.read(cursor)?.is_some_and(|line| Cursor::decode(&line).whole()))
}

/// How many lines of work stay in use.
fn kept_work_lines(files: &Files, before: Option<Counts>) -> Result<u64> {
    let cursors = files.cursors.count()?;
    for number in 0..cursors {
        if is_whole(files, number, cursors)? {
            return Ok(before.map_or(0, |before| before.work_lines).max(files.work.lines()?));
        }
    }
    Ok(0)
}

/// Take what is kept for what can still be believed of it. Under the lock; others learn of it, and begin again too.
pub(crate) fn repair(files: &Files, head: u64, machine_stopped: bool) -> Result<()> {
    let texts = &files.texts;
    let readable = |at: u64| at != 0 && texts.read(at).is_ok();
    let torn = files.counts.is_torn(0)?;
    let before = files.counts.read(0)?.map(|line| Counts::decode(&line)).filter(|_| !torn);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut counts = Counts {
        targets: files.targets.count()?,
        subscriptions: files.subscriptions.count()?,
        cursors: files.cursors.count()?,
        text_lines: match before {
            Some(before) => before.text_lines,
            None => texts.lines()?,
        },
        work_lines: kept_work_lines(files, before)?,
        generation: (now.as_nanos() as u32).max(1),
        boot: before.map_or(0, |before| before.boot),
    };
    for number in 0..counts.targets {
        let kept = files.targets.read(number)?.map(|line| Target::decode(&line).within(head));
        let target = match kept.filter(|target| readable(target.name) && readable(target.lane)) {
            Some(target) => Target {
                leased_until_ms: if machine_stopped { target.ended() } else { target.leased_until_ms },
                error: if readable(target.error) { target.error } else { 0 },
                failed: target.failed && readable(target.error),
                ..target
            },
            // The lost target is found again, under a new number. No process has a lease on it with this token.
            None => {
                let name = name_lost(texts, number, &mut counts)?;
                Target { name, lane: name, token: counts.generation, ..Target::default() }
            }
        };
        files.targets.write(number, target.encode())?;
    }
    for number in 0..counts.subscriptions {
        let kept = files.subscriptions.read(number)?.map(|line| Subscription::decode(&line));
        let kept = match kept {
            Some(kept) if is_whole(files, kept.reaction, counts.cursors)? && files.work.is_sound(&kept) => Some(kept),
            kept => kept.map(|kept| kept.without_work()),
        };
        let kept = kept.filter(|kept| kept.target < counts.targets && kept.reaction < counts.cursors);
        let again = match kept {
            Some(kept) if kept.done == FORGOTTEN => kept,
            Some(kept) => kept.within(head),
            None => Subscription { reaction: u32::MAX, target: u32::MAX, done: FORGOTTEN, ..Subscription::default() },
        };
        files.subscriptions.write(number, again.encode())?;
    }
    for number in 0..counts.cursors {
        let kept = files.cursors.read(number)?.map(|line| Cursor::decode(&line));
        let cursor = match kept.filter(|cursor| readable(cursor.name) && (cursor.whole() || readable(cursor.key))) {
            Some(cursor) if cursor.forgotten() => cursor,
            Some(cursor) => {
                let start = cursor.start.min(head);
                let cursor = if cursor.failing > head { cursor.freed() } else { cursor };
                let to = if readable(cursor.to) { cursor.to } else { 0 };
                let error = if readable(cursor.error) { cursor.error } else { 0 };
                Cursor { start, read: start, joined: false, to, error, ..cursor }
            }
            None => Cursor { name: name_lost(texts, number, &mut counts)?, read: FORGOTTEN, ..Cursor::default() },
        };
        let lane = if readable(cursor.lane) { cursor.lane } else { 0 };
        files.cursors.write(number, Cursor { lane, ..cursor }.encode())?;
    }
    files.counts.write(0, counts.encode())
}
