//! Why JSON does not become a column's value.

use act_fast_core::payload::json::Wrong;

/// Why something does not become a column's value, and in which field, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    pub(crate) what: &'static str,
    pub(crate) field: Option<usize>,
}

pub(crate) type Fit<T = ()> = Result<T, Unfit>;

impl Unfit {
    pub(crate) const fn new(what: &'static str) -> Self {
        Self { what, field: None }
    }
}

impl From<Wrong> for Unfit {
    #[inline]
    fn from(wrong: Wrong) -> Self {
        Self::new(wrong.0)
    }
}
