//! What payloads are written in: checked when they are appended, and read without building it.

pub mod check;
pub mod flaw;
pub mod gone;
pub mod json;
pub mod times;
