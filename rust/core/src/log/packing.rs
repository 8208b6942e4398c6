//! Packing a sealed log file: its records walked and checked, a dictionary trained on them, its bytes compressed.

use zstd::zstd_safe::{CCtx, CParameter, ParamSwitch, Strategy, compress_bound};

use crate::error::{Error, Result};
use crate::log::contents::{CONTENTS_BYTES, Contents, block_crc};
use crate::log::record::{self, Head, Kind, Preamble, Seed};
use crate::log::segments::{HEADER_BYTES, Segments};

/// How many bytes a block has, and how hard it is compressed. A block is unpacked whole for the one event in it that is
/// wanted, so streams whose events are scattered want small ones, which the dictionary makes up for: `docs/keeping.md` has
/// the figures.
const BLOCK_BYTES: usize = 2 << 10;
const BLOCK_MIN_BYTES: usize = 1 << 10;
const LEVEL: i32 = 12;
/// Shorter matches would save little, and take longer to unpack. What repeats nothing is left as it is: Huffman's code for it
/// would save a sixteenth of the space where payloads are words and numbers, and a quarter where they are mostly random
/// letters; but reading that code takes a third to a half of the time that unpacking takes.
const MATCH_MIN_BYTES: u32 = 6;
const DICTIONARY_MAX_BYTES: usize = 64 << 10;
/// Of a commit of so many bytes or more, the preamble is among the texts, unless it is long: reading one of its events does
/// not unpack a block for it.
const LARGE_BYTES: usize = 8 << 10;
const PREAMBLE_MAX_BYTES: usize = 1 << 10;
/// What the dictionary is trained on.
const SAMPLE_BYTES: usize = 2 << 10;
const SAMPLES_MAX: usize = 2048;
const SAMPLES_MIN: usize = 16;

/// What the records of a sealed segment say, each checked.
pub(super) struct Walked {
    pub(super) plain_bytes: usize,
    first_position: u64,
    last_position: u64,
    last_crc: u32,
    /// The names that are defined here, and the preambles of large commits: offset and text.
    texts: Vec<(u32, Vec<u8>)>,
}

/// Pack a sealed segment: all bytes of the packed file. Anything that is not sound is an error: what is damaged is not to be sealed once more.
pub(crate) fn pack(segments: &Segments, number: u64) -> Result<Vec<u8>> {
    pack_while(segments, number, &|| Ok(()))
}

/// The same, but asking after each step whether to go on.
pub(crate) fn pack_while(segments: &Segments, number: u64, go_on: &dyn Fn() -> Result<()>) -> Result<Vec<u8>> {
    let walked = walk(segments, number, &mut |_, _, _| ())?;
    let start = number * segments.segment_bytes;
    let plain = segments.bytes(start, walked.plain_bytes)?;
    let block_bytes = block_bytes(segments.segment_bytes);
    go_on()?;
    let dictionary = train(plain);
    let mut table = Vec::with_capacity(walked.plain_bytes.div_ceil(block_bytes) * 8);
    let mut blocks = Vec::with_capacity(walked.plain_bytes / 6);
    let mut packer = Packer::new(&dictionary, block_bytes)?;
    for (index, block) in plain.chunks(block_bytes).enumerate() {
        go_on()?;
        let packed = packer.pack(block)?;
        blocks.extend_from_slice(packed);
        table.extend_from_slice(&narrow(blocks.len())?.to_le_bytes());
        let crc = block_crc(&segments.store_id, start + (index * block_bytes) as u64, block, packed);
        table.extend_from_slice(&crc.to_le_bytes());
    }
    let mut texts = Vec::new();
    let mut sections = dictionary.clone();
    sections.extend_from_slice(&table);
    for (at, text) in &walked.texts {
        sections.extend_from_slice(&at.to_le_bytes());
        sections.extend_from_slice(&narrow(texts.len())?.to_le_bytes());
        texts.extend_from_slice(text);
    }
    sections.extend_from_slice(&texts);
    let contents = Contents {
        plain_bytes: walked.plain_bytes as u64,
        block_bytes: narrow(block_bytes)?,
        blocks: narrow(walked.plain_bytes.div_ceil(block_bytes))?,
        dictionary_bytes: narrow(dictionary.len())?,
        texts: narrow(walked.texts.len())?,
        text_bytes: texts.len() as u64,
        packed_bytes: blocks.len() as u64,
        first_position: walked.first_position,
        last_position: walked.last_position,
        last_crc: walked.last_crc,
        sections_crc: crc32c::crc32c(&sections),
    };
    let mut bytes = Vec::with_capacity(HEADER_BYTES as usize + CONTENTS_BYTES + sections.len() + blocks.len());
    bytes.extend_from_slice(&segments.header(number).encode_packed(false));
    bytes.extend_from_slice(&contents.encode());
    bytes.extend_from_slice(&sections);
    bytes.extend_from_slice(&blocks);
    Ok(bytes)
}

/// Packs blocks, one after the other.
struct Packer {
    context: CCtx<'static>,
    packed: Vec<u8>,
}

impl Packer {
    fn new(dictionary: &[u8], block_bytes: usize) -> Result<Self> {
        let mut context = CCtx::create();
        for parameter in [
            CParameter::CompressionLevel(LEVEL),
            CParameter::Strategy(Strategy::ZSTD_btlazy2),
            CParameter::MinMatch(MATCH_MIN_BYTES),
            CParameter::LiteralCompressionMode(ParamSwitch::Disable),
        ] {
            context.set_parameter(parameter).map_err(refused)?;
        }
        context.load_dictionary(dictionary).map_err(refused)?;
        Ok(Self { context, packed: Vec::with_capacity(compress_bound(block_bytes)) })
    }

    fn pack(&mut self, block: &[u8]) -> Result<&[u8]> {
        self.packed.clear();
        self.context.compress2(&mut self.packed, block).map_err(refused)?;
        Ok(&self.packed)
    }
}

fn refused(code: usize) -> Error {
    let why = zstd::zstd_safe::get_error_name(code);
    Error::Invalid(format!("the log file could not be compressed: {why}"))
}

/// Small log files have small blocks.
fn block_bytes(segment_bytes: u64) -> usize {
    BLOCK_BYTES.min((segment_bytes as usize / 8).next_power_of_two()).max(BLOCK_MIN_BYTES)
}

pub(super) fn narrow(value: usize) -> Result<u32> {
    u32::try_from(value).map_err(|_| Error::Invalid("this log file is too large to be packed".to_owned()))
}

pub(super) fn walk(segments: &Segments, number: u64, each: &mut dyn FnMut(&Head, &[u8], u64)) -> Result<Walked> {
    let seed = Seed::new(&segments.store_id);
    let first = segments.first_place(number);
    let start = number * segments.segment_bytes;
    let mut found = Walked { plain_bytes: 0, first_position: 0, last_position: 0, last_crc: 0, texts: Vec::new() };
    let mut place = first;
    loop {
        let damaged = |what: &str| segments.damaged(place, None, &format!("{what}; it was left as it is"));
        let bytes = segments.record(place)?;
        let head = record::sound(bytes, place, seed).ok_or_else(|| damaged("the record here is damaged"))?;
        if place > first && head.previous != found.last_crc {
            return Err(damaged("the record here does not follow the one before"));
        }
        let held = record::held(&head, bytes, place, seed, true)
            .ok_or_else(|| damaged("the record here does not hold what it says"))?;
        if place == first {
            found.first_position = if head.kind == Kind::Commit { head.position } else { head.position + 1 };
            found.last_position = found.first_position - 1;
        }
        found.last_position += held.events;
        found.last_crc = head.crc;
        if head.kind == Kind::Commit
            && let Some(commit) = Preamble::read(bytes, place, seed, false)
        {
            if commit.count > 1 && head.len >= LARGE_BYTES && commit.bytes().len() <= PREAMBLE_MAX_BYTES {
                found.texts.push(((place - start) as u32, commit.bytes().to_vec()));
            }
            let texts = commit.definitions().map(|one| ((one.place - start) as u32, one.text.into()));
            found.texts.extend(texts);
        }
        each(&head, bytes, place);
        place += head.len as u64;
        if head.kind == Kind::End {
            found.plain_bytes = (place - start) as usize;
            return Ok(found);
        }
    }
}

/// A dictionary for blocks like these; nothing where there is too little to learn from.
fn train(plain: &[u8]) -> Vec<u8> {
    let count = plain.len() / SAMPLE_BYTES;
    if count < SAMPLES_MIN {
        return Vec::new();
    }
    let step = (count / SAMPLES_MAX).max(1);
    let samples: Vec<&[u8]> = plain.chunks_exact(SAMPLE_BYTES).step_by(step).collect();
    let limit = DICTIONARY_MAX_BYTES.min(plain.len() / 64);
    zstd::dict::from_samples(&samples, limit).unwrap_or_default()
}
