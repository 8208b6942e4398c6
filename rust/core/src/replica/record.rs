//! Records of the ordered log: a head of 64 bytes and a body. Every field is in `docs/replication.md`.

use std::borrow::Cow;

use crate::bytes::{ByteReader, put_varint, u32_at, u64_at};
use crate::error::{Error, Result};
use crate::options::Options;
use crate::replica::body::{self, Proposal};
use crate::replica::zstd;
use crate::store::replica::Genesis;

const MAGIC: &[u8; 4] = b"ACTR";
const LAYOUT: u8 = 1;
/// The rules of applying that this version knows.
const RULES: u8 = body::KEYED;
const HEAD_BYTES: usize = 64;
const CRC_AT: usize = 60;
const COMPRESSED: u8 = 1;
/// What a body may come to, at most.
const BODY_BYTES_MAX: usize = 1 << 30;
/// A time beyond this many ms is none: some two thousand years.
pub(super) const TIME_MAX_MS: u64 = 1 << 46;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The beginning of a store.
    Genesis,
    /// Proposals of commits.
    Commits,
    /// A change of what is kept of reactions.
    Reactions,
    /// News of a node.
    Member,
    /// A part of a change of reactions that is too large for one record.
    Part,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Genesis, Self::Commits, Self::Reactions, Self::Member, Self::Part];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Genesis => "genesis",
            Self::Commits => "commits",
            Self::Reactions => "reactions",
            Self::Member => "member",
            Self::Part => "part",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            Error::Invalid(format!("there is no record of kind {name:?}; choose \"reactions\", \"member\" or \"part\""))
        })
    }
}

/// What a record says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What it is about.
    pub kind: Kind,
    /// Which store it belongs to.
    pub store_id: [u8; 16],
    /// Who proposed it.
    pub session: [u8; 16],
    /// Which of the session's records it is, from 1; 0 for a genesis.
    pub number: u64,
    /// The log's time when it was proposed, in ms since 1970.
    pub time_ms: u64,
}

impl Head {
    /// Read a record's head, and check the whole record.
    pub fn read(record: &[u8]) -> Result<Self> {
        read(record).map(|read| read.head)
    }
}

/// A record that was read.
pub(super) struct Read<'a> {
    pub(super) head: Head,
    /// The rules that applying it needs.
    pub(super) rules: u8,
    /// Its body, as it was before it was compressed.
    pub(super) body: Cow<'a, [u8]>,
}

/// Read a record.
pub(super) fn read(record: &[u8]) -> Result<Read<'_>> {
    let damaged = |what: &str| Error::Record(format!("a record of the ordered log is damaged: {what}"));
    if record.len() < HEAD_BYTES || &record[..4] != MAGIC {
        return Err(damaged("it does not begin as a record does; is this the log of another program?"));
    }
    let [layout, rules, kind, flags] = [record[4], record[5], record[6], record[7]];
    if layout != LAYOUT {
        return Err(Error::Format(format!(
            "a record has layout {layout}; this version of act-fast reads layout {LAYOUT}: use a newer one"
        )));
    }
    let crc = crc32c::crc32c_append(crc32c::crc32c(&record[..CRC_AT]), &record[HEAD_BYTES..]);
    if crc != u32_at(record, CRC_AT) {
        return Err(damaged("its checksum is wrong"));
    }
    if rules > RULES || flags & !COMPRESSED != 0 || usize::from(kind) >= Kind::ALL.len() {
        return Err(Error::Format(format!(
            "a record needs rules {rules} (kind {kind}, flags {flags}) to be applied; this version of act-fast knows rules up \
             to {RULES}: use a newer one"
        )));
    }
    let (mut store_id, mut session) = ([0; 16], [0; 16]);
    store_id.copy_from_slice(&record[8..24]);
    session.copy_from_slice(&record[24..40]);
    let head = Head {
        kind: Kind::ALL[usize::from(kind)],
        store_id,
        session,
        number: u64_at(record, 40),
        time_ms: u64_at(record, 48),
    };
    if head.time_ms > TIME_MAX_MS {
        return Err(damaged("its time is none"));
    }
    let len = u32_at(record, 56) as usize;
    let stored = &record[HEAD_BYTES..];
    let body = if flags & COMPRESSED == 0 {
        Cow::Borrowed(stored)
    } else if len <= BODY_BYTES_MAX {
        Cow::Owned(zstd::unpack(stored, len).ok_or_else(|| damaged("its body cannot be decompressed"))?)
    } else {
        return Err(damaged("its body is too long"));
    };
    if body.len() != len {
        return Err(damaged("its body does not have the length that it says"));
    }
    Ok(Read { head, rules, body })
}

fn write(head: &Head, rules: u8, body: &[u8]) -> Result<Vec<u8>> {
    if head.time_ms > TIME_MAX_MS {
        return Err(Error::Invalid(format!("a time of {} ms after 1970 is none", head.time_ms)));
    }
    let len = u32::try_from(body.len()).ok().filter(|len| *len as usize <= BODY_BYTES_MAX).ok_or_else(|| {
        Error::Invalid(format!("a record of {} bytes is more than the {BODY_BYTES_MAX} that it may have", body.len()))
    })?;
    let packed = zstd::pack(body);
    let stored = packed.as_deref().unwrap_or(body);
    let mut record = Vec::with_capacity(HEAD_BYTES + stored.len());
    record.extend_from_slice(MAGIC);
    record.extend_from_slice(&[LAYOUT, rules, head.kind as u8, if packed.is_some() { COMPRESSED } else { 0 }]);
    record.extend_from_slice(&head.store_id);
    record.extend_from_slice(&head.session);
    record.extend_from_slice(&head.number.to_le_bytes());
    record.extend_from_slice(&head.time_ms.to_le_bytes());
    record.extend_from_slice(&len.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&record), stored);
    record.extend_from_slice(&crc.to_le_bytes());
    record.extend_from_slice(stored);
    Ok(record)
}

/// The record that brings a store into being.
pub fn genesis_record(genesis: Genesis) -> Result<Vec<u8>> {
    let Genesis { store_id, segment_bytes } = genesis;
    Options { segment_bytes, ..Options::default() }.check()?;
    let mut body = Vec::new();
    put_varint(&mut body, segment_bytes);
    write(&Head { kind: Kind::Genesis, store_id, session: [0; 16], number: 0, time_ms: 0 }, body::PLAIN, &body)
}

/// What a record brings into being; None if it is of another kind.
pub fn read_genesis(record: &[u8]) -> Result<Option<Genesis>> {
    let Read { head, body, .. } = read(record)?;
    if head.kind == Kind::Genesis { genesis_of(&head, &body).map(Some) } else { Ok(None) }
}

pub(super) fn genesis_of(head: &Head, body: &[u8]) -> Result<Genesis> {
    let mut reader = ByteReader::new(body, 0);
    let segment_bytes = reader
        .varint()
        .filter(|_| reader.ends())
        .ok_or_else(|| Error::Record("a record of the ordered log is damaged: it is no genesis".to_owned()))?;
    Ok(Genesis { store_id: head.store_id, segment_bytes })
}

/// A record of proposals.
pub fn commits_record(
    store_id: [u8; 16],
    session: [u8; 16],
    number: u64,
    time_ms: u64,
    proposals: &[Proposal<'_>],
) -> Result<Vec<u8>> {
    let (rules, body) = body::write(proposals);
    write(&numbered(Kind::Commits, store_id, session, number, time_ms)?, rules, &body)
}

/// A record of reactions, a part of one, or a record of a member.
pub fn body_record(
    store_id: [u8; 16],
    session: [u8; 16],
    number: u64,
    time_ms: u64,
    kind: Kind,
    body: &[u8],
) -> Result<Vec<u8>> {
    if !matches!(kind, Kind::Reactions | Kind::Member | Kind::Part) {
        return Err(Error::Invalid(format!("a record of kind {:?} is not made of a body", kind.name())));
    }
    write(&numbered(kind, store_id, session, number, time_ms)?, body::PLAIN, body)
}

fn numbered(kind: Kind, store_id: [u8; 16], session: [u8; 16], number: u64, time_ms: u64) -> Result<Head> {
    if number == 0 {
        return Err(Error::Invalid("the records of a session are numbered from 1".to_owned()));
    }
    Ok(Head { kind, store_id, session, number, time_ms })
}
