//! A reader whose bugs do not end the program: those who call it through the C interface cannot take a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::SchemaRef;

use crate::Error;

/// A reader that answers a panic with an error, and then ends.
pub struct Guarded {
    reader: Box<dyn RecordBatchReader + Send>,
    over: bool,
}

impl std::fmt::Debug for Guarded {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Guarded").field("over", &self.over).finish_non_exhaustive()
    }
}

impl Guarded {
    /// The reader, with a guard around it.
    #[must_use]
    pub fn new(reader: Box<dyn RecordBatchReader + Send>) -> Self {
        Self { reader, over: false }
    }
}

impl Iterator for Guarded {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let reader = AssertUnwindSafe(&mut self.reader);
        catch_unwind(|| { reader }.next()).unwrap_or_else(|_| {
            self.over = true;
            Some(Err(Error::ComputeError("reading has panicked; this is a bug in act-fast".to_owned())))
        })
    }
}

impl RecordBatchReader for Guarded {
    fn schema(&self) -> SchemaRef {
        self.reader.schema()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::RecordBatchIterator;
    use arrow_schema::Schema;

    use super::*;

    #[test]
    fn a_panic_is_an_error_and_the_end() {
        let batch = RecordBatch::new_empty(Arc::new(Schema::empty()));
        let batches = (0..3).map(move |number| {
            assert_ne!(number, 1, "a bug");
            Ok(batch.clone())
        });
        let mut guarded = Guarded::new(Box::new(RecordBatchIterator::new(batches, Arc::new(Schema::empty()))));
        assert!(matches!(guarded.next(), Some(Ok(_))));
        assert!(matches!(guarded.next(), Some(Err(_))));
        assert!(guarded.next().is_none());
    }
}
