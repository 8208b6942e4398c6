//! Bodies are compressed where that makes records smaller.
//!
//! Measured with payloads of 100 bytes: a body of 11 KB becomes one of 2.8 KB, which takes some 25 µs once and 12 µs on each node that
//! reads it; one of 600 bytes becomes one of 260, for 5 µs and 2 µs. The same bytes take longer on a network of 1 Gbit/s, where each
//! node and each server of the engine gets them, and are kept for good by all of these.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

/// A body up to this size stays as it is.
const PLAIN_BYTES_MAX: usize = 512;
const LEVEL: i32 = 1;

thread_local! {
    // Each takes some hundred KiB, and time to be made.
    static PACKING: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static UNPACKING: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The body, compressed; None where that does not pay.
pub(super) fn pack(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() <= PLAIN_BYTES_MAX {
        return None;
    }
    PACKING.with_borrow_mut(|packing| {
        if packing.is_none() {
            *packing = Compressor::new(LEVEL).ok();
        }
        packing.as_mut()?.compress(body).ok().filter(|packed| packed.len() < body.len() - body.len() / 8)
    })
}

/// The body of `len` bytes that was compressed.
pub(super) fn unpack(packed: &[u8], len: usize) -> Option<Vec<u8>> {
    UNPACKING.with_borrow_mut(|unpacking| {
        if unpacking.is_none() {
            *unpacking = Decompressor::new().ok();
        }
        unpacking.as_mut()?.decompress(packed, len).ok()
    })
}
