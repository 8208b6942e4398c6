//! Folding the whole log: every stream's state in one pass, a group of streams at a time.
//!
//! A *group* is a run of streams in the order in which they came to be. One walk over the log in position order folds
//! them all, so memory is bounded by the size of a group, and results come out by stream.
//!
//! Declared states are folded here, on all cores, from a [`StateSpec`]: payloads are scanned for the values that it asks for, and what
//! the scan is not sure of is handed to whoever asked, to be read there. For all others the group hands out its events.

mod accumulators;
mod check;
mod expr;
mod extract;
mod group;
mod pages;
mod run;
mod spec;
mod value;

pub use group::{Group, Replay, Span, Standing};
pub use pages::Piece;
pub use run::{Between, Doubtful, Outcome, States};
pub use spec::StateSpec;
