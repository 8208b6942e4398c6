//! The log as Arrow batches: what its records hold, and payloads decoded into typed columns by a shape.
//!
//! Knows nothing of Python: what a shape does not take as it stands is handed to whoever asks, see [`ClassDecoder`].

#![forbid(unsafe_code)]

mod ask;
mod chunk;
mod class_decoder;
mod column;
mod decimal;
mod decode;
mod groups;
mod guarded;
mod head;
mod rows;
mod scalar;
mod shape;
mod stream;
mod streams;
mod texts;
mod unfit;
mod why;

pub use ask::{Ask, Output, What};
pub use class_decoder::{ByClass, ClassDecoder, Unfitting};
pub use groups::{Groups, Question};
pub use guarded::Guarded;
pub use rows::{Rows, StateRow};
pub use shape::Shape;
pub use stream::{LogColumns, Opener, Stream};
pub use streams::{Glance, Streams};

/// An error, as Arrow's readers raise it.
pub type Error = arrow_schema::ArrowError;

pub(crate) fn broken(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::ExternalError(Box::new(error))
}
