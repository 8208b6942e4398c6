//! Trusting nothing but the log: recovering a store, and verifying one.

mod archived;
pub(crate) mod recover;
pub(crate) mod verify;
