//! What payloads are written in: checked when they are appended, and read without building it.

pub mod check;
pub mod json;
pub mod times;
