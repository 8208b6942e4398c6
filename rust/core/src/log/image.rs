//! What is unpacked of a packed log file.
//!
//! Each block has its *place*: where it is in the plain file. Blocks that are read one after another go there, so that bytes
//! of several are one slice. A block that is read by itself goes into the *heap* instead, behind the last that went there:
//! it takes no page of memory for itself alone, and pages for many are had at once. Should it be wanted together with the
//! one beside it, it is copied to its place.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, ops::Range};

use act_fast_sys::Map;

/// Memory for so many bytes is taken at once when all of so many before them was unpacked: then a reader goes on from block to
/// block, and taking it page by page would be a good part of the work.
pub(super) const AHEAD_BYTES: usize = 2 << 20;
pub(super) const GOING_ON_BYTES: usize = 64 << 10;
const PAGE_BYTES: usize = 4 << 10;
/// For so many bytes at least, memory of the heap is taken at once; for as many as it has, up to `AHEAD_BYTES`.
const HEAP_MIN_BYTES: usize = 32 << 10;
/// How many threads unpack blocks at once, at most.
const FILLING: usize = 8;

/// What is known of a block that is nowhere, and of one that is in its place. Others are in the heap.
const NOWHERE: u32 = 0;
const IN_PLACE: u32 = 1;
const IN_HEAP: u32 = 2;

/// Where a block is unpacked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    Place,
    Heap,
}

#[derive(Debug)]
pub(super) struct Image {
    places: Map,
    heap: Map,
    /// Where each block is.
    blocks: Box<[AtomicU32]>,
    /// How many blocks the heap has, or was to have.
    heaped: AtomicUsize,
    /// Held by the thread that unpacks a block: that of the block's number.
    filling: [Mutex<()>; FILLING],
    plain_bytes: usize,
    shift: u32,
    /// How many bytes were unpacked, of all images that share this.
    filled_bytes: Arc<AtomicU64>,
}

impl Image {
    pub(super) fn new(plain_bytes: usize, block_bytes: usize, filled_bytes: Arc<AtomicU64>) -> io::Result<Self> {
        let count = plain_bytes.div_ceil(block_bytes);
        Ok(Self {
            places: Map::anonymous(plain_bytes.max(1))?,
            heap: Map::anonymous((count * block_bytes).max(1))?,
            blocks: (0..count).map(|_| AtomicU32::new(NOWHERE)).collect(),
            heaped: AtomicUsize::new(0),
            filling: [const { Mutex::new(()) }; FILLING],
            plain_bytes,
            shift: block_bytes.trailing_zeros(),
            filled_bytes,
        })
    }

    pub(super) fn count(&self) -> usize {
        self.blocks.len()
    }

    /// Which bytes of the plain file a block has.
    pub(super) fn range(&self, number: usize) -> Range<usize> {
        let start = number << self.shift;
        start..(start + (1 << self.shift)).min(self.plain_bytes)
    }

    /// Whether a block is unpacked.
    pub(super) fn has(&self, number: usize) -> bool {
        self.blocks[number].load(Ordering::Acquire) != NOWHERE
    }

    /// Some bytes, which the file must have; or a block that is missing for it, and where it belongs.
    #[inline]
    pub(super) fn bytes(&self, at: usize, len: usize) -> Result<&[u8], (usize, To)> {
        let (first, last) = (at >> self.shift, (at + len.max(1) - 1) >> self.shift);
        if first == last && len > 0 {
            return match self.blocks[first].load(Ordering::Acquire) {
                NOWHERE => Err((first, self.by_itself(first))),
                IN_PLACE => Ok(self.places.bytes(at, len)),
                heaped => {
                    let start = ((heaped - IN_HEAP) as usize) << self.shift;
                    Ok(self.heap.bytes(start + at - (first << self.shift), len))
                }
            };
        }
        if len > 0 {
            for block in first..=last {
                if self.blocks[block].load(Ordering::Acquire) != IN_PLACE {
                    return Err((block, To::Place));
                }
            }
        }
        Ok(self.places.bytes(at, len))
    }

    /// Where a block goes that is read by itself: to its place if the one before it is in its own.
    #[cold]
    fn by_itself(&self, number: usize) -> To {
        let goes_on = number > 0 && self.blocks[number - 1].load(Ordering::Relaxed) == IN_PLACE;
        if goes_on { To::Place } else { To::Heap }
    }

    /// How many blocks just before one are in their places, up to `most`.
    pub(super) fn run_before(&self, number: usize, most: usize) -> usize {
        let before = self.blocks[number - most.min(number)..number].iter().rev();
        before.take_while(|block| block.load(Ordering::Relaxed) == IN_PLACE).count()
    }

    /// Have memory at hand for a run of blocks.
    pub(super) fn have_memory(&self, blocks: &Range<usize>) {
        let start = blocks.start << self.shift;
        let end = (blocks.end << self.shift).min(self.plain_bytes);
        self.places.populate_large(start, end - start);
    }

    /// The same for one block, or for all that follow where it seems that they are wanted, too.
    fn have_memory_at(&self, number: usize, range: &Range<usize>) {
        let wanted = GOING_ON_BYTES >> self.shift;
        let goes_on = range.start.is_multiple_of(AHEAD_BYTES)
            && number > 0
            && self.run_before(number, wanted) == wanted.min(number);
        if goes_on {
            self.places.populate_large(range.start, AHEAD_BYTES.min(self.places.len() - range.start));
        } else if range.len() > PAGE_BYTES {
            self.places.populate(range.start, range.len());
        }
    }

    /// The same for a block in the heap that begins at an offset, and those after it.
    fn have_heap_at(&self, at: usize) {
        let begins = at.is_multiple_of(AHEAD_BYTES) || (at >= HEAP_MIN_BYTES && at.is_power_of_two());
        if begins {
            let len = at.clamp(HEAP_MIN_BYTES, AHEAD_BYTES).min(self.heap.len() - at);
            if len == AHEAD_BYTES { self.heap.populate_large(at, len) } else { self.heap.populate(at, len) }
        }
    }

    fn lock(&self, number: usize) -> MutexGuard<'_, ()> {
        self.filling[number % FILLING].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Have `unpack` write a block, unless it is there. If it fails, the block is not.
    pub(super) fn put<E>(
        &self,
        number: usize,
        to: To,
        unpack: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let _one = self.lock(number);
        let range = self.range(number);
        let found = self.blocks[number].load(Ordering::Relaxed);
        if found == IN_PLACE || (found != NOWHERE && to == To::Heap) {
            return Ok(());
        }
        let mut now = IN_PLACE;
        if found != NOWHERE {
            self.have_memory_at(number, &range);
            let from = ((found - IN_HEAP) as usize) << self.shift;
            self.places.write(range.start, self.heap.bytes(from, range.len()));
        } else if let Some(heaped) = self.next_in_heap(to) {
            let at = heaped << self.shift;
            self.have_heap_at(at);
            self.heap.fill(at, range.len(), unpack)?;
            now = heaped as u32 + IN_HEAP;
        } else {
            self.have_memory_at(number, &range);
            self.places.fill(range.start, range.len(), unpack)?;
        }
        self.blocks[number].store(now, Ordering::Release);
        if found == NOWHERE {
            self.filled_bytes.fetch_add(range.len() as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Where the next block in the heap goes. None where the heap is not wanted, or full: blocks that could not be unpacked
    /// have taken their room.
    fn next_in_heap(&self, to: To) -> Option<usize> {
        (to == To::Heap).then(|| self.heaped.fetch_add(1, Ordering::Relaxed)).filter(|next| *next < self.blocks.len())
    }

    /// Put bytes into their places that are whole blocks, unless the block `number` is there. All who put blocks into this
    /// image do it in this way.
    pub(super) fn put_all(&self, number: usize, start: usize, plain: &[u8]) {
        let _one = self.lock(0);
        if !self.has(number) {
            self.places.write(start, plain);
            for block in start >> self.shift..=(start + plain.len() - 1) >> self.shift {
                self.blocks[block].store(IN_PLACE, Ordering::Release);
            }
            self.filled_bytes.fetch_add(plain.len() as u64, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BLOCK_BYTES: usize = 1 << 10;
    const PLAIN_BYTES: usize = 20 * BLOCK_BYTES + 100;

    fn plain() -> Vec<u8> {
        (0..PLAIN_BYTES).map(|at| (at * 7 + at / 255) as u8).collect()
    }

    proptest! {
        #[test]
        fn whatever_is_read_first_and_whatever_fails_the_bytes_are_those_of_the_file(
            reads in prop::collection::vec((0..PLAIN_BYTES, 0..3 * BLOCK_BYTES, 0..5_u8), 1..80),
        ) {
            let plain = plain();
            let image = Image::new(PLAIN_BYTES, BLOCK_BYTES, Arc::default()).expect("memory");
            for (at, len, luck) in reads {
                let len = len.min(PLAIN_BYTES - at);
                let mut fails = luck == 0;
                let read = loop {
                    match image.bytes(at, len) {
                        Ok(bytes) => break Some(bytes),
                        Err((block, to)) => {
                            let put = image.put(block, to, |into| {
                                into.copy_from_slice(&plain[image.range(block)]);
                                if fails { into.fill(0); Err(()) } else { Ok(()) }
                            });
                            prop_assert_eq!(put.is_err() && !image.has(block), put.is_err());
                            if put.is_err() {
                                break None;
                            }
                            fails &= luck == 1;
                        }
                    }
                };
                prop_assert!(read.is_none_or(|bytes| bytes == &plain[at..at + len]), "{}, {}", at, len);
            }
        }
    }

    #[test]
    fn a_block_that_fails_again_and_again_takes_the_room_of_no_other() {
        let plain = plain();
        let image = Image::new(PLAIN_BYTES, BLOCK_BYTES, Arc::default()).expect("memory");
        for _ in 0..100 {
            assert_eq!(image.put(3, To::Heap, |_| Err(())), Err(()));
        }
        for block in 0..image.count() {
            let put: Result<(), ()> = image.put(block, To::Heap, |into| {
                into.copy_from_slice(&plain[image.range(block)]);
                Ok(())
            });
            assert_eq!(put, Ok(()));
        }
        assert_eq!(image.bytes(0, PLAIN_BYTES), Ok(&plain[..]));
    }
}
