//! The events as a stream of Arrow batches: stretches of the log decoded by several threads, handed out in order.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use arrow_array::builder::StringBuilder;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchReader};
use arrow_schema::SchemaRef;
use arrow_select::interleave::interleave;

use crate::ask::{Ask, What};
use crate::chunk::{BATCH_ROWS, Chunk, OpenLog, Piece};
use crate::class_decoder::{ClassDecoder, Unfitting};
use crate::decode::Decoder;
use crate::head::Head;
use crate::texts::Texts;
use crate::{Error, broken};

/// More threads than this would only wait for each other.
const THREADS_MAX: usize = 8;
/// How many batches of one stretch wait to be read.
const WAITING_MAX: usize = 2;

/// Opens the log, which somebody else may close at any time.
pub type Opener = Arc<OpenLog>;

/// A question, ready to be asked any number of times.
pub struct LogColumns {
    open: Opener,
    ask: Arc<Ask>,
    schema: SchemaRef,
}

impl std::fmt::Debug for LogColumns {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LogColumns").field("ask", &self.ask).finish_non_exhaustive()
    }
}

impl LogColumns {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(open: Opener, ask: Ask) -> Self {
        let schema = ask.schema();
        Self { open, ask: Arc::new(ask), schema }
    }

    /// The columns that come out.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// How many events have to be looked at, at most.
    pub fn width(&self) -> act_fast_core::Result<u64> {
        Ok((self.open)()?.query(&self.ask.filter)?.width())
    }

    /// Begin to read the log, as it is published now. `threads`: as many as there are cores, when None.
    pub fn stream(
        &self,
        decoder: Option<Box<dyn ClassDecoder>>,
        threads: Option<usize>,
    ) -> act_fast_core::Result<Stream> {
        let log = (self.open)()?;
        let query = log.query(&self.ask.filter)?;
        let (low, high) = query.span();
        let span = (high + 1).saturating_sub(low);
        // Where few events of a stretch are meant, stretches are longer.
        let thin = span.checked_div(query.width()).unwrap_or(1).max(1);
        let step = thin.saturating_mul(BATCH_ROWS as u64);
        let threads = threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get));
        let chunks = span.div_ceil(step);
        Ok(Stream {
            schema: self.schema(),
            ask: Arc::clone(&self.ask),
            open: Arc::clone(&self.open),
            decoder,
            failed: 0,
            next: low,
            high,
            step,
            threads: threads.clamp(1, THREADS_MAX).min(usize::try_from(chunks).unwrap_or(usize::MAX)),
            alone: (chunks <= 1).then(|| (Head::new(&self.ask), Texts::default())),
            jobs: None,
            pieces: VecDeque::new(),
            over: query.width() == 0,
        })
    }
}

struct Job {
    low: u64,
    high: u64,
    /// The last one is None, or an error.
    out: SyncSender<Result<Option<Piece>, Error>>,
}

/// A stream of batches in the order of positions.
pub struct Stream {
    schema: SchemaRef,
    ask: Arc<Ask>,
    open: Opener,
    decoder: Option<Box<dyn ClassDecoder>>,
    failed: u64,
    /// Where the next stretch begins.
    next: u64,
    high: u64,
    step: u64,
    threads: usize,
    /// A stretch that is the only one is read by the thread that wants its batches: starting another takes longer than
    /// most of them. This is what knows of its columns then.
    alone: Option<(Head, Texts)>,
    jobs: Option<Sender<Job>>,
    /// What comes from each stretch begun, in order.
    pieces: VecDeque<Receiver<Result<Option<Piece>, Error>>>,
    over: bool,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Stream").field("ask", &self.ask).field("next", &self.next).finish_non_exhaustive()
    }
}

impl Stream {
    /// The next batch; None at the end.
    fn advance(&mut self) -> Result<Option<RecordBatch>, Error> {
        if let Some((head, texts)) = &mut self.alone {
            if self.next > self.high {
                return Ok(None);
            }
            let mut chunk = Chunk::new(&self.ask, &self.schema, &*self.open, (head, texts), self.next, self.high);
            let piece = chunk.next()?;
            self.next = chunk.last() + 1;
            return piece.map(|piece| self.decoded(piece)).transpose();
        }
        loop {
            self.begin_stretches()?;
            let Some(first) = self.pieces.front() else { return Ok(None) };
            match first.recv() {
                Ok(piece) => match piece? {
                    Some(piece) => return self.decoded(piece).map(Some),
                    // This stretch is at its end.
                    None => drop(self.pieces.pop_front()),
                },
                Err(_) => return Err(died()),
            }
        }
    }

    /// Keep every thread busy, and one stretch ready for the one that is done first.
    fn begin_stretches(&mut self) -> Result<(), Error> {
        while self.pieces.len() <= self.threads && self.next <= self.high {
            let high = self.high.min(self.next.saturating_add(self.step - 1));
            let (out, pieces) = sync_channel(WAITING_MAX);
            let job = Job { low: self.next, high, out };
            if self.jobs.is_none() {
                self.jobs = Some(self.start_threads()?);
            }
            if let Some(jobs) = &self.jobs {
                jobs.send(job).map_err(|_| died())?;
            }
            self.pieces.push_back(pieces);
            self.next = high + 1;
        }
        Ok(())
    }

    /// The threads end when there are no more jobs to come.
    fn start_threads(&self) -> Result<Sender<Job>, Error> {
        let (jobs, waiting) = channel::<Job>();
        let waiting = Arc::new(Mutex::new(waiting));
        for started in 0..self.threads {
            let (waiting, ask, schema) = (Arc::clone(&waiting), Arc::clone(&self.ask), self.schema());
            let open = Arc::clone(&self.open);
            let work = move || {
                let (mut head, mut texts) = (Head::new(&ask), Texts::default());
                loop {
                    let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = job else { return };
                    read_stretch(&ask, &schema, &*open, &mut head, &mut texts, &job);
                }
            };
            if let Err(error) = thread::Builder::new().name("act-fast-columns".to_owned()).spawn(work) {
                if started == 0 {
                    return Err(broken(act_fast_core::Error::of_system("starting a thread that reads the log", error)));
                }
                break;
            }
        }
        Ok(jobs)
    }

    /// The batch with what did not fit put right, as far as it can be.
    fn decoded(&mut self, piece: Piece) -> Result<RecordBatch, Error> {
        let Piece { batch, unfitting } = piece;
        let (Some(decoder), Some(shape)) = (&mut self.decoder, &self.ask.shape) else { return Ok(batch) };
        if unfitting.is_empty() {
            return Ok(batch);
        }
        let answers = decoder.decode(&unfitting)?;
        let mut decoder = Decoder::new(shape, &self.ask.wanted());
        let mut reasons = StringBuilder::new();
        for answer in answers {
            let reason = decoder.decoded(&answer).err();
            self.failed += u64::from(reason.is_some());
            reasons.append_option(reason);
        }
        let reasons: ArrayRef = Arc::new(reasons.finish());
        patched(&self.ask, &batch, &unfitting, &decoder.finish()?, &reasons)
    }
}

/// The batch with other rows in the place of those that did not fit.
fn patched(
    ask: &Ask,
    batch: &RecordBatch,
    unfitting: &[Unfitting],
    fields: &[Option<ArrayRef>],
    reasons: &ArrayRef,
) -> Result<RecordBatch, Error> {
    if reasons.len() != unfitting.len() {
        return Err(Error::ComputeError("not as many rows came back as were given to be decoded".to_owned()));
    }
    let mut from: Vec<(usize, usize)> = (0..batch.num_rows()).map(|row| (0, row)).collect();
    for (at, event) in unfitting.iter().enumerate() {
        from[event.row] = (1, at);
    }
    let columns = ask.outputs.iter().zip(batch.columns()).map(|(output, column)| {
        let other = match output.what {
            What::Field(number) => fields.get(number).and_then(Option::as_ref),
            What::Error => Some(reasons),
            _ => None,
        };
        other.map_or_else(|| Ok(Arc::clone(column)), |other| interleave(&[column.as_ref(), other.as_ref()], &from))
    });
    RecordBatch::try_new(batch.schema(), columns.collect::<Result<Vec<_>, _>>()?)
}

fn died() -> Error {
    Error::ComputeError("a thread that reads the log has died; this is a bug in act-fast".to_owned())
}

/// Read a stretch, for as long as somebody takes what comes of it.
fn read_stretch(ask: &Ask, schema: &SchemaRef, open: &OpenLog, head: &mut Head, texts: &mut Texts, job: &Job) {
    let mut chunk = Chunk::new(ask, schema, open, (&mut *head, texts), job.low, job.high);
    loop {
        let piece = chunk.next();
        let (failed, last) = (piece.is_err(), matches!(piece, Ok(None)));
        if job.out.send(piece).is_err() || failed {
            *head = Head::new(ask);
            return;
        }
        if last {
            return;
        }
    }
}

impl Iterator for Stream {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let batch = self.advance().transpose();
        if !matches!(batch, Some(Ok(_))) {
            self.over = true;
            self.jobs = None;
            self.pieces.clear();
            if let Some(decoder) = &mut self.decoder {
                decoder.ended(self.failed);
            }
        }
        batch
    }
}

impl RecordBatchReader for Stream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::atomic::{AtomicU64, Ordering};

    use act_fast_core::disk::MemoryDisk;
    use act_fast_core::{Filter, Log, NewEvent, Options, Part, Patience};
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;

    use super::*;
    use crate::ask::Output;

    fn position(number: usize) -> Ask {
        let outputs = vec![Output { name: "position".to_owned(), what: What::Position }];
        let filter = Filter { before: Some(number as u64 + 1), ..Filter::default() };
        Ask { filter, outputs, shape: None, direct: HashSet::new() }
    }

    fn filled(count: usize) -> Arc<Log> {
        let log = Log::open(Arc::new(MemoryDisk::default()), Options::default()).expect("opening");
        let events: Vec<_> = (0..10_000).map(|_| NewEvent { name: "N", data: b"1", tags: &[] }).collect();
        for _ in 0..count.div_ceil(events.len()) {
            log.append(&[Part { stream: "s", events: &events, expected: None }], b"", Patience::Wait)
                .expect("appending");
        }
        log
    }

    #[test]
    fn a_stretch_whose_thread_has_died_is_no_stretch_that_was_read() {
        let filled = filled(2 * BATCH_ROWS);
        for calls in 1..4 {
            let (log, seen) = (Arc::clone(&filled), AtomicU64::new(0));
            let open = move || {
                assert!(seen.fetch_add(1, Ordering::SeqCst) < calls, "a bug");
                Ok(Arc::clone(&log))
            };
            let stream =
                LogColumns::new(Arc::new(open), position(2 * BATCH_ROWS)).stream(None, None).expect("a stream");
            assert!(stream.alone.is_none());
            let read: Result<Vec<_>, _> = stream.collect();
            assert!(read.is_err(), "{calls}: {read:?}");
        }
    }

    #[test]
    fn the_only_stretch_is_read_by_the_thread_that_wants_it() {
        let log = filled(BATCH_ROWS);
        let here = thread::current().id();
        let open = move || {
            assert_eq!(thread::current().id(), here);
            Ok(Arc::clone(&log))
        };
        for count in [1, 300, BATCH_ROWS] {
            let stream = LogColumns::new(Arc::new(open.clone()), position(count)).stream(None, None).expect("a stream");
            let read: Vec<_> = stream.map(|batch| batch.expect("a batch").num_rows()).collect();
            assert_eq!(read, [count]);
        }
    }

    #[test]
    fn the_only_stretch_goes_on_where_a_batch_was_full() {
        let log = Log::open(Arc::new(MemoryDisk::default()), Options::default()).expect("opening");
        let data = format!("\"{}\"", "x".repeat(1 << 20));
        let event = NewEvent { name: "N", data: data.as_bytes(), tags: &[] };
        for number in 0..20 {
            let stream = if number % 2 == 0 { "even" } else { "odd" };
            log.append(&[Part { stream, events: &[event], expected: None }], b"", Patience::Wait).expect("appending");
        }
        for (stream, first) in [(None, 1), (Some("odd"), 2)] {
            let step = first as usize;
            let mut ask = position(20);
            ask.filter.stream = stream.map(str::to_owned);
            let log = Arc::clone(&log);
            let stream =
                LogColumns::new(Arc::new(move || Ok(Arc::clone(&log))), ask).stream(None, None).expect("a stream");
            let batches: Vec<_> = stream.map(|batch| batch.expect("a batch")).collect();
            assert!(batches.len() > 1);
            let positions =
                batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec());
            assert!(positions.eq((first..=20).step_by(step)));
        }
    }
}
