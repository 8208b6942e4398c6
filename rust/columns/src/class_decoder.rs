//! What a shape does not take as it stands, and who can read it all the same.

use crate::Error;

/// An event whose payload does not have the shape that is asked for.
#[derive(Clone, Debug)]
pub struct Unfitting {
    /// Its name.
    pub name: String,
    /// Its payload.
    pub data: Vec<u8>,
    /// In which row of its batch it is.
    pub(crate) row: usize,
}

/// What became of one.
#[derive(Clone, Debug)]
pub enum ByClass {
    /// JSON that has the shape.
    Fits(Vec<u8>),
    /// Why it cannot be read.
    Fails(String),
}

/// Reads what the shape does not take as it stands. Called by whoever reads the stream, in that thread.
pub trait ClassDecoder: Send {
    /// One answer for each.
    fn decode(&mut self, events: &[Unfitting]) -> Result<Vec<ByClass>, Error>;

    /// The stream has come to its end; so many could not be read.
    fn ended(&mut self, failed: u64);
}
