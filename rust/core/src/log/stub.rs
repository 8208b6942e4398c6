//! Making the stub of a log file that is to be archived.

use xxhash_rust::xxh3::xxh3_128;
use zstd::zstd_safe::{CCtx, compress_bound};

use crate::error::{Error, Result};
use crate::log::absent::Stub;
use crate::log::contents::{Contents, block_crc};
use crate::log::header::HEADER_BYTES;
use crate::log::packing::{narrow, walk};
use crate::log::record::{Kind, Preamble, Seed, SnapshotRecord};
use crate::log::segments::Segments;

/// How many bytes of hollow log are compressed at once, and how hard.
const HOLLOW_BYTES: u32 = 1 << 20;
const LEVEL: i32 = 9;

/// Make the stub for a log file that will be archived in this packed form: what it says, and all of its bytes. The commits
/// of the stream `kept` stay whole in it.
pub(crate) fn stub(
    segments: &Segments,
    number: u64,
    packed: &[u8],
    kept: Option<u32>,
) -> Result<(Contents, Stub, Vec<u8>)> {
    let start = number * segments.segment_bytes;
    let plain = hollow(segments, number, kept)?;
    let hollow_bytes = HOLLOW_BYTES;
    let mut table = Vec::new();
    let mut frames = Vec::new();
    let mut context = CCtx::create();
    let mut frame = Vec::with_capacity(compress_bound(hollow_bytes as usize));
    for (index, piece) in plain.chunks(hollow_bytes as usize).enumerate() {
        frame.clear();
        context.compress(&mut frame, piece, LEVEL).map_err(|code| {
            let why = zstd::zstd_safe::get_error_name(code);
            Error::Invalid(format!("the log file could not be compressed: {why}"))
        })?;
        frames.extend_from_slice(&frame);
        table.extend_from_slice(&narrow(frames.len())?.to_le_bytes());
        let crc = block_crc(&segments.store_id, start + (index * hollow_bytes as usize) as u64, piece, &frame);
        table.extend_from_slice(&crc.to_le_bytes());
    }
    let stub = Stub {
        digest: xxh3_128(packed),
        object_bytes: packed.len() as u64,
        hollow_bytes,
        hollows: narrow(plain.len().div_ceil(hollow_bytes as usize))?,
        packed_bytes: frames.len() as u64,
        table_crc: crc32c::crc32c(&table),
    };
    let contents = Contents::decode(&packed[HEADER_BYTES as usize..])
        .ok_or_else(|| Error::Invalid("the log file could not be compressed".to_owned()))?;
    let mut bytes = segments.header(number).encode_packed(true).to_vec();
    bytes.extend_from_slice(&packed[bytes.len()..contents.blocks_at()]);
    bytes.extend_from_slice(&stub.encode());
    bytes.extend_from_slice(&table);
    bytes.extend_from_slice(&frames);
    Ok((contents, stub, bytes))
}

/// A log file in its hollow form.
fn hollow(segments: &Segments, number: u64, kept: Option<u32>) -> Result<Vec<u8>> {
    let seed = Seed::new(&segments.store_id);
    let start = number * segments.segment_bytes;
    let first = segments.first_place(number);
    let mut plain = segments.header(number).encode().to_vec();
    let walked = walk(segments, number, &mut |head, bytes, place| {
        let at = plain.len();
        plain.extend_from_slice(bytes);
        let record = &mut plain[at..];
        // The chain holds from file to file: the first record tells the one before, the last one its own.
        if place > first {
            record[12..16].fill(0);
        }
        if head.kind != Kind::End {
            record[8..12].fill(0);
        }
        let commit = Preamble::read(bytes, place, seed, false)
            .filter(|commit| !commit.events().any(|event| Some(event.stream) == kept))
            .map(|commit| commit.contents());
        let snapshot = SnapshotRecord::read(bytes).map(|snapshot| vec![snapshot.contents()]);
        for range in commit.or(snapshot).into_iter().flatten() {
            record[range].fill(0);
        }
    })?;
    debug_assert_eq!(start + walked.plain_bytes as u64, start + plain.len() as u64);
    Ok(plain)
}
