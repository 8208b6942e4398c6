//! The reading verbs: one event, queries, streams, and whole records one after another.

pub(crate) mod event;
pub(crate) mod here;
pub(crate) mod query;
pub(crate) mod streams;
pub(crate) mod walk;
