//! A line of three: one thread gets pieces of work, several do them, and whoever asks takes what comes of them, in order.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::error::{Doing, Result};

/// How many threads do the work, at most, and how many pieces wait for each of them.
const THREADS_MAX: usize = 4;
const WAITING_MAX: usize = 2;

/// Get pieces until there are none, do the work of each, and take the outcomes in the order of the pieces. An error, of getting
/// a piece or of taking an outcome, ends it.
pub(super) fn in_order<P: Send, O: Send>(
    get: &mut (dyn FnMut() -> Result<Option<P>> + Send),
    work: &(dyn Fn(P) -> O + Sync),
    take: &mut dyn FnMut(O) -> Result<()>,
) -> Result<()> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    thread::scope(|scope| {
        let mut given = Vec::new();
        let mut done = Vec::new();
        for _ in 0..threads {
            let (give, pieces) = sync_channel::<Result<P>>(WAITING_MAX);
            let (send, outcomes) = sync_channel(WAITING_MAX);
            let body = move || {
                for piece in pieces {
                    if send.send(piece.map(work)).is_err() {
                        return;
                    }
                }
            };
            thread::Builder::new().name("act-fast-restore".to_owned()).spawn_scoped(scope, body).doing(starting)?;
            given.push(give);
            done.push(outcomes);
        }
        let body = move || hand_out(get, &given);
        thread::Builder::new().name("act-fast-restore".to_owned()).spawn_scoped(scope, body).doing(starting)?;
        take_in_order(&done, take)
    })
}

fn starting() -> String {
    "starting a thread that reads".to_owned()
}

/// Give each thread a piece in turn; an error is the last of them.
fn hand_out<P>(get: &mut dyn FnMut() -> Result<Option<P>>, to: &[SyncSender<Result<P>>]) {
    for thread in to.iter().cycle() {
        let Some(piece) = get().transpose() else { return };
        let last = piece.is_err();
        if thread.send(piece).is_err() || last {
            return;
        }
    }
}

/// A thread whose pieces are at their end is the one that the next piece would have gone to.
fn take_in_order<O>(from: &[Receiver<Result<O>>], take: &mut dyn FnMut(O) -> Result<()>) -> Result<()> {
    for thread in from.iter().cycle() {
        match thread.recv() {
            Ok(outcome) => take(outcome?)?,
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}
