//! What payloads are written in, read without building it.

pub mod json;
pub mod times;
