//! A long array whose elements come to be when they are first asked for, without a lock.

use std::sync::OnceLock;

const CHUNK: usize = 256;
const CHUNKS: usize = 256;

/// The most elements.
pub(crate) const SPARSE_MAX: usize = CHUNK * CHUNKS;

type Chunk<T> = Box<[OnceLock<T>]>;

#[derive(Debug)]
pub(crate) struct Sparse<T>(Box<[OnceLock<Chunk<T>>]>);

impl<T> Sparse<T> {
    pub(crate) fn new() -> Self {
        Self((0..CHUNKS).map(|_| OnceLock::new()).collect())
    }

    /// The element, if it is there.
    #[inline(always)]
    pub(crate) fn peek(&self, number: usize) -> Option<&T> {
        self.0.get(number / CHUNK)?.get()?[number % CHUNK].get()
    }

    /// The element, made by `make` when it is not there yet. None beyond the array's end.
    #[inline(always)]
    pub(crate) fn get<E>(&self, number: usize, make: impl FnOnce() -> Result<T, E>) -> Option<Result<&T, E>> {
        match self.peek(number) {
            Some(element) => Some(Ok(element)),
            None => self.made(number, make),
        }
    }

    #[cold]
    fn made<E>(&self, number: usize, make: impl FnOnce() -> Result<T, E>) -> Option<Result<&T, E>> {
        let chunk = self.0.get(number / CHUNK)?;
        let chunk = chunk.get_or_init(|| (0..CHUNK).map(|_| OnceLock::new()).collect());
        let cell = &chunk[number % CHUNK];
        if let Some(element) = cell.get() {
            return Some(Ok(element));
        }
        Some(make().map(|element| cell.get_or_init(|| element)))
    }
}
