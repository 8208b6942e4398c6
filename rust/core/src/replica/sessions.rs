//! Who has proposed what: the last number of each session, so that a record that is there twice counts once.

use std::collections::{BTreeMap, HashMap};

use crate::bytes::{ByteReader, put_varint, u32_at};
use crate::error::{Error, Result};

/// How many sessions are kept; of more, the one that was silent for longest is forgotten.
const SESSIONS_MAX: usize = 1 << 16;
const MAGIC: &[u8; 4] = b"ACTA";
const LAYOUT: u8 = 1;

pub(super) type Session = [u8; 16];

/// The sessions as of a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sessions {
    /// The last number of each, and the place of that record.
    known: HashMap<Session, (u64, u64)>,
    /// Each by that place.
    by_place: BTreeMap<u64, Session>,
}

impl Sessions {
    /// Whether a record of this number has been applied already.
    pub(super) fn has(&self, session: &Session, number: u64) -> bool {
        self.known.get(session).is_some_and(|(last, _)| number <= *last)
    }

    /// A record has been applied.
    pub(super) fn add(&mut self, session: Session, number: u64, place: u64) {
        if let Some((_, before)) = self.known.insert(session, (number, place)) {
            self.by_place.remove(&before);
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
            out.extend_from_slice(session);
            put_varint(&mut out, self.sessions.known[session].0);
            put_varint(&mut out, *place);
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
            let number = reader.varint()?;
            sessions.add(session, number, reader.varint()?);
        }
        reader.ends().then_some(Self { store_id, place, position, time_ms, sessions })
    }
}
