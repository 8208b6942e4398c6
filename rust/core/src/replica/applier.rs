//! Applying: record after record of the ordered log, everywhere alike.

use crate::error::{Error, Result};
use crate::fault;
use crate::log::record::Proposed;
use crate::options::Durability;
use crate::replica::body::{Proposal, Proposals};
use crate::replica::decide::acceptable;
use crate::replica::record::{self, Kind, Read, genesis_of};
use crate::replica::sessions::State;
use crate::store::log::Log;
use crate::store::replica::Genesis;
use crate::store::writer::Writer;
use crate::write::commit::{Patience, Stamp};
use crate::write::condition::Looked;

/// Places are kept in words of this size.
const PLACE_MAX: u64 = (1 << 48) - 1;

/// A record that is not the core's to apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Its place in the ordered log.
    pub place: u64,
    /// What it is about.
    pub kind: Kind,
    /// Who proposed it.
    pub session: [u8; 16],
    /// Which of the session's records it is.
    pub number: u64,
    /// The log's time when it was proposed, in ms since 1970.
    pub time_ms: u64,
    /// What it holds.
    pub body: Vec<u8>,
}

/// A record that has been applied already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// Its place in the ordered log.
    pub place: u64,
    /// Where it was seen first; 0 where that is no longer known.
    pub first: u64,
}

/// Applies records to a replica. There must be only one at a time, which is its owner's to see to.
#[derive(Debug)]
pub struct Applier {
    state: State,
    /// The place up to which all that was applied is published, and is durable where that is promised.
    ready: u64,
    /// The record that could not be applied; nothing behind it is.
    stuck: Option<u64>,
    duplicates: Vec<Duplicate>,
}

impl Applier {
    /// Go on from a state that was kept, or from the beginning.
    pub fn new(log: &Log, state: Option<&[u8]>) -> Result<Self> {
        log.check_replica()?;
        log.check_writable()?;
        let fresh = State { store_id: log.store_id(), ..State::default() };
        let state = state.map_or(Ok(fresh), State::decode)?;
        if state.store_id != log.store_id() {
            return Err(Error::Record("what was kept of a replica's sessions is of another store".to_owned()));
        }
        drop(log.lock_writer()?);
        check_reaches(log, &state)?;
        log.raise_log_time(state.time_ms);
        log.control.set_applied(state.place);
        Ok(Self { ready: state.place, state, stuck: None, duplicates: Vec::new() })
    }

    /// The place of the last record that was applied.
    #[must_use]
    pub fn place(&self) -> u64 {
        self.state.place
    }

    /// What is to be kept of it, once the log has been flushed.
    #[must_use]
    pub fn state(&self) -> Vec<u8> {
        self.state.encode()
    }

    /// The duplicates that were found since they were last asked for.
    pub fn duplicates(&mut self) -> Vec<Duplicate> {
        std::mem::take(&mut self.duplicates)
    }

    /// Apply records as `take_in` does, and say at once how far it is.
    pub fn apply(&mut self, log: &Log, records: &[(u64, &[u8])]) -> Result<Vec<Other>> {
        let outcome = self.take_in(log, records);
        self.publish(log);
        outcome
    }

    /// Say how far it is, once what `take_in` has answered was kept: threads that wait for a place are woken, and find
    /// it.
    pub fn publish(&self, log: &Log) {
        log.raise_log_time(self.state.time_ms);
        log.control.set_applied(self.ready);
        log.announce();
    }

    /// Apply records, each with its place, in the order of the ordered log; those that have been applied are passed over. Answers
    /// those that are not the core's. At a record that cannot be applied it stops, and fails when that is the first one to be
    /// applied: so when it is called again with the rest.
    pub fn take_in(&mut self, log: &Log, records: &[(u64, &[u8])]) -> Result<Vec<Other>> {
        log.check_replica()?;
        let before = self.state.place;
        let fresh = records.iter().position(|(place, _)| *place > self.state.place).unwrap_or(records.len());
        let records = &records[fresh..];
        self.check_order(records)?;
        let mut others = Vec::new();
        match self.apply_all(log, records, &mut others) {
            Err(error) if self.state.place == before => Err(error),
            _ => Ok(others),
        }
    }

    fn check_order(&self, records: &[(u64, &[u8])]) -> Result<()> {
        let mut last = self.state.place;
        for (place, _) in records {
            if *place <= last || *place > PLACE_MAX {
                return Err(Error::Invalid(format!(
                    "a record at place {place} cannot follow one at place {last}: places grow, up to {PLACE_MAX}"
                )));
            }
            last = *place;
        }
        match (self.stuck, records.first()) {
            (Some(stuck), Some((place, _))) if *place > stuck => Err(Error::Invalid(format!(
                "the record at place {stuck} has not been applied yet, so that at place {place} cannot be"
            ))),
            _ => Ok(()),
        }
    }

    fn apply_all(&mut self, log: &Log, records: &[(u64, &[u8])], others: &mut Vec<Other>) -> Result<()> {
        if records.is_empty() && self.ready == self.state.place {
            return Ok(());
        }
        log.check_writable()?;
        let mut writer = log.writer();
        let guard = log.lock_writer()?;
        log.check_sane()?;
        log.check_in_place()?;
        check_reaches(log, &self.state)?;
        let mut work = Work { log, writer: &mut writer, done: last_proposed(log)? };
        let mut outcome = Ok(());
        for (place, record) in records {
            outcome = self.take(&mut work, *place, record, others);
            if outcome.is_err() {
                self.stuck = Some(*place);
                break;
            }
            self.stuck = None;
            self.state.place = *place;
        }
        let position = log.control.indexed_position()?;
        self.state.position = position;
        let flushes = log.options.durability == Durability::Fsync;
        if !flushes {
            log.control.publish(position);
        }
        drop(guard);
        drop(writer);
        if flushes {
            log.flush_up_to(position)?;
        }
        self.ready = self.state.place;
        fault::point();
        log.announce();
        if log.options.durability == Durability::Interval {
            log.flush_soon()?;
        }
        outcome
    }

    fn take(&mut self, work: &mut Work<'_>, place: u64, record: &[u8], others: &mut Vec<Other>) -> Result<()> {
        let Read { head, rules, body } = record::read(record)?;
        if head.kind == Kind::Genesis && self.state.place > 0 {
            // Another node had one, too; the first counts.
            return Ok(());
        }
        if head.store_id != self.state.store_id {
            return Err(Error::Record(format!("the record at place {place} of the ordered log is of another store")));
        }
        if head.kind == Kind::Genesis {
            return check_genesis(work.log, genesis_of(&head, &body)?);
        }
        if self.state.place == 0 {
            return Err(Error::Record(format!(
                "the ordered log begins at place {place} with a record that is not its genesis, so its beginning is missing"
            )));
        }
        if let Some(first) = self.state.sessions.first_place(&head.session, head.number) {
            self.duplicates.push(Duplicate { place, first });
            return Ok(());
        }
        match head.kind {
            Kind::Genesis => {}
            Kind::Commits => work.commits(place, &body, rules)?,
            Kind::Reactions | Kind::Member | Kind::Part => others.push(Other {
                place,
                kind: head.kind,
                session: head.session,
                number: head.number,
                time_ms: head.time_ms,
                body: body.into_owned(),
            }),
        }
        self.state.sessions.add(head.session, head.number, place);
        self.state.time_ms = self.state.time_ms.max(head.time_ms);
        Ok(())
    }
}

/// Records being applied, with the writer's lock in hand.
struct Work<'a> {
    log: &'a Log,
    writer: &'a mut Writer,
    /// The last proposal that is in the log; what comes up to it has been decided.
    done: Proposed,
}

impl Work<'_> {
    fn commits(&mut self, place: u64, body: &[u8], rules: u8) -> Result<()> {
        Proposals::read(body, rules)?.each(|index, proposal| {
            let proposed = Proposed { place, index };
            if proposed <= self.done { Ok(()) } else { self.decide(proposed, proposal) }
        })
    }

    /// Append a proposal, or refuse it.
    fn decide(&mut self, proposed: Proposed, proposal: &Proposal<'_>) -> Result<()> {
        if !acceptable(proposal, self.log.segments.segment_bytes) {
            return Ok(());
        }
        let stamp = Stamp { created: proposal.created, proposed: Some(proposed) };
        let Proposal { parts, guards, meta, .. } = proposal;
        let (log, looked) = (self.log, Looked::not_yet(guards));
        let (index, state) = (log.index()?, log.control.log_state()?);
        match log.write_commit(self.writer, index, state, parts, looked, meta, Patience::Wait, stamp) {
            Ok(_) | Err(Error::Conflict { .. } | Error::Condition { .. } | Error::Repeated { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Which proposal the last commit was that is written. Only for the holder of the writer's lock.
fn last_proposed(log: &Log) -> Result<Proposed> {
    let state = log.control.log_state()?;
    if state.position == 0 {
        return Ok(Proposed::default());
    }
    let found = log.index()?;
    match log.commit_of(&found, state.position) {
        Err(Error::Corrupt { .. }) => {
            log.remake_index(state.tail)?;
            let index = log.index()?;
            log.commit_of(&index, state.position).map(|commit| commit.proposed)
        }
        commit => commit.map(|commit| commit.proposed),
    }
}

/// Refuse to go on where the log is behind what is known to be in it: something would be skipped.
fn check_reaches(log: &Log, state: &State) -> Result<()> {
    let position = log.control.log_state()?.position;
    if position < state.position {
        return Err(Error::Record(format!(
            "the replica's log ends at position {position}, but was at {} when its sessions were kept: begin without them",
            state.position
        )));
    }
    Ok(())
}

fn check_genesis(log: &Log, genesis: Genesis) -> Result<()> {
    if genesis.segment_bytes != log.segments.segment_bytes {
        return Err(Error::Record(format!(
            "the store's log files have {} bytes, but those of this replica have {}",
            genesis.segment_bytes, log.segments.segment_bytes
        )));
    }
    Ok(())
}
