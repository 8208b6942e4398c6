//! Who has proposed what: the last numbers of each session, so that a record that is there twice counts once.

use std::collections::{BTreeMap, HashMap};

use crate::bytes::{ByteReader, put_varint, u32_at};
use crate::error::{Error, Result};

/// Of how many numbers of a session it is known whether they have been seen: several records are under way at once, and one
/// may overtake another. What is further back counts as seen.
const NUMBERS_MAX: u64 = 64;
/// How many sessions are kept; of more, the one that was silent for longest is forgotten.
const SESSIONS_MAX: usize = 1 << 16;
const MAGIC: &[u8; 4] = b"ACTA";
const LAYOUT: u8 = 1;

pub(super) type Session = [u8; 16];

/// The sessions as of a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sessions {
    known: HashMap<Session, Seen>,
    /// Each by the place of its last record.
    by_place: BTreeMap<u64, Session>,
}

/// What has been seen of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Where each number was seen first; none that is `NUMBERS_MAX` or more below the highest.
    places: BTreeMap<u64, u64>,
    /// The place of the last record.
    last: u64,
}

impl Seen {
    fn highest(&self) -> u64 {
        self.places.last_key_value().map_or(0, |(number, _)| *number)
    }
}

impl Sessions {
    /// Where a record of this number was seen first; 0 where that is no longer known. None: it has not been seen.
    pub(super) fn first_place(&self, session: &Session, number: u64) -> Option<u64> {
        let seen = self.known.get(session)?;
        let found = seen.places.get(&number).copied();
        found.or_else(|| (number + NUMBERS_MAX <= seen.highest()).then_some(0))
    }

    /// A record has been applied.
    pub(super) fn add(&mut self, session: Session, number: u64, place: u64) {
        let seen = self.known.entry(session).or_default();
        self.by_place.remove(&seen.last);
        seen.last = place;
        seen.places.insert(number, place);
        let lowest = (seen.highest() + 1).saturating_sub(NUMBERS_MAX);
        while let Some(oldest) = seen.places.first_entry().filter(|oldest| *oldest.key() < lowest) {
            oldest.remove();
        }
        self.by_place.insert(place, session);
        if self.known.len() > SESSIONS_MAX
            && let Some((_, silent)) = self.by_place.pop_first()
        {
            self.known.remove(&silent);
        }
    }
}

/// How far an applier has come, to be kept beside the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) store_id: [u8; 16],
    /// The place of the last record.
    pub(super) place: u64,
    /// The last position of the log then.
    pub(super) position: u64,
    /// The largest time of any record so far, in ms since 1970.
    pub(super) time_ms: u64,
    pub(super) sessions: Sessions,
}

impl State {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.sessions.known.len() * 36);
        out.extend_from_slice(MAGIC);
        out.push(LAYOUT);
        out.extend_from_slice(&self.store_id);
        put_varint(&mut out, self.place);
        put_varint(&mut out, self.position);
        put_varint(&mut out, self.time_ms);
        put_varint(&mut out, self.sessions.by_place.len() as u64);
        for (place, session) in &self.sessions.by_place {
            let seen = &self.sessions.known[session];
            out.extend_from_slice(session);
            put_varint(&mut out, *place);
            put_varint(&mut out, seen.places.len() as u64);
            for (number, place) in &seen.places {
                put_varint(&mut out, *number);
                put_varint(&mut out, *place);
            }
        }
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let damaged = || Error::Record("what was kept of a replica's sessions is damaged; begin without it".to_owned());
        let (held, crc) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
        if !held.starts_with(MAGIC) || crc32c::crc32c(held) != u32_at(crc, 0) {
            return Err(damaged());
        }
        let layout = held.get(4).copied().unwrap_or(0);
        if layout != LAYOUT {
            return Err(Error::Format(format!(
                "what was kept of a replica's sessions has layout {layout}; this version of act-fast reads layout {LAYOUT}: \
                 use a newer one"
            )));
        }
        Self::read(&mut ByteReader::new(held, 5)).ok_or_else(damaged)
    }

    fn read(reader: &mut ByteReader<'_>) -> Option<Self> {
        let store_id = *reader.take(16)?.first_chunk()?;
        let (place, position, time_ms) = (reader.varint()?, reader.varint()?, reader.varint()?);
        let mut sessions = Sessions::default();
        for _ in 0..reader.varint()? {
            let session = *reader.take(16)?.first_chunk()?;
            let mut seen = Seen { last: reader.varint()?, ..Seen::default() };
            for _ in 0..reader.varint()? {
                let number = reader.varint()?;
                seen.places.insert(number, reader.varint()?);
            }
            sessions.by_place.insert(seen.last, session);
            sessions.known.insert(session, seen);
        }
        reader.ends().then_some(Self { store_id, place, position, time_ms, sessions })
    }
}
