//! Folding the whole log: every stream's state in one pass, a group of streams at a time.
//!
//! A *group* is a run of streams in the order in which they came to be. One walk over the log in position order folds
//! them all, so memory is bounded by the size of a group, and results come out by stream.

mod group;
mod walk;

pub use group::{Group, Replay, Span, Standing};
pub use walk::Piece;
