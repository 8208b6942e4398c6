//! Trusting nothing but the log: recovering a store, and verifying one.

pub(crate) mod recover;
pub(crate) mod verify;
