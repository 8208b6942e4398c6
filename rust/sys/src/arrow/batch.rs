//! A batch whose values can be read: lengths, offsets and texts have been checked.

use std::ffi::c_void;
use std::fmt;

use super::{Array, ArrowFault, Kind, children, fault};

/// More rows than this are taken for a mistake.
const ROWS_MAX: usize = 1 << 40;

/// Some rows.
pub struct ArrowBatch {
    /// Borrows from `array`, which lives as long.
    columns: Vec<Column>,
    rows: usize,
    _array: Array,
}

struct Column {
    /// Bit n of them: whether value n is there.
    valid: Option<&'static [u8]>,
    /// Where the first row is.
    first: usize,
    values: Values,
}

enum Values {
    Natural(&'static [u64]),
    Whole(&'static [i64]),
    /// All texts, and where each of them begins and ends, from `base` on.
    Text {
        text: &'static str,
        ends: Ends,
        base: usize,
    },
}

#[derive(Clone, Copy)]
enum Ends {
    Narrow(&'static [i32]),
    Wide(&'static [i64]),
}

impl Ends {
    /// None when it is below 0.
    #[inline]
    fn get(self, at: usize) -> Option<usize> {
        match self {
            Self::Narrow(ends) => usize::try_from(ends[at]).ok(),
            Self::Wide(ends) => usize::try_from(ends[at]).ok(),
        }
    }
}

impl fmt::Debug for ArrowBatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ArrowBatch").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl ArrowBatch {
    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// A value of a column of natural numbers.
    #[inline]
    #[must_use]
    pub fn natural(&self, column: usize, row: usize) -> Option<u64> {
        let (column, at) = self.at(column, row)?;
        if let Values::Natural(values) = column.values { Some(values[at]) } else { None }
    }

    /// A value of a column of whole numbers.
    #[inline]
    #[must_use]
    pub fn whole(&self, column: usize, row: usize) -> Option<i64> {
        let (column, at) = self.at(column, row)?;
        if let Values::Whole(values) = column.values { Some(values[at]) } else { None }
    }

    /// A value of a column of texts.
    #[inline]
    #[must_use]
    pub fn text(&self, column: usize, row: usize) -> Option<&str> {
        let (column, at) = self.at(column, row)?;
        let Values::Text { text, ends, base } = &column.values else { return None };
        text.get(ends.get(at)? - base..ends.get(at + 1)? - base)
    }

    /// A column, and where in it the value of a row is, if there is one.
    #[inline]
    fn at(&self, column: usize, row: usize) -> Option<(&Column, usize)> {
        assert!(row < self.rows, "there is no such row");
        let column = &self.columns[column];
        let at = column.first + row;
        let there = column.valid.is_none_or(|valid| valid[at / 8] >> (at % 8) & 1 == 1);
        there.then_some((column, at))
    }

    /// Check all of it.
    pub(super) fn check(array: Array, kinds: &[Kind], wide: &[bool]) -> Result<Self, ArrowFault> {
        let (first, rows) = extent(&array)?;
        if array.null_count > 0 {
            return fault("whole rows are missing");
        }
        // SAFETY: the array is kept beside what borrows from its columns (A2).
        let found = unsafe { children(array.children, array.n_children) }?;
        if found.len() != kinds.len() {
            return fault("a batch has not as many columns as its stream");
        }
        let columns = found
            .into_iter()
            .zip(kinds)
            .zip(wide)
            .map(|((found, kind), wide)| column(found, first, rows, *kind, *wide));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { columns, rows, _array: array })
    }
}

/// Where the first value of an array is, and how many there are.
fn extent(array: &Array) -> Result<(usize, usize), ArrowFault> {
    let (first, len) = (usize::try_from(array.offset), usize::try_from(array.length));
    match (first, len) {
        (Ok(first), Ok(len)) if first <= ROWS_MAX && len <= ROWS_MAX => Ok((first, len)),
        _ => fault("the length of a batch or of a column is impossible"),
    }
}

fn column(array: &Array, skipped: usize, rows: usize, kind: Kind, wide: bool) -> Result<Column, ArrowFault> {
    let (first, len) = extent(array)?;
    if skipped + rows > len {
        return fault("a column is shorter than its batch");
    }
    if !array.dictionary.is_null() {
        return fault("a column has a dictionary that its type does not have");
    }
    let first = first + skipped;
    let end = first + rows;
    let buffers = if kind == Kind::Text { 3 } else { 2 };
    if array.n_buffers != buffers || array.buffers.is_null() || !array.buffers.is_aligned() {
        return fault("a column has not the buffers that its type has");
    }
    // SAFETY: there are so many pointers (A1).
    let buffer = |number: usize| unsafe { *array.buffers.add(number) };
    let valid = match buffer(0) {
        // Without them, all are there.
        valid if valid.is_null() && array.null_count <= 0 => None,
        // SAFETY: a bit for each value (A1), for as long as the batch lives (A2).
        valid => Some(unsafe { slice(valid, end.div_ceil(8)) }?),
    };
    let values = match kind {
        // SAFETY: a number for each value (A1), for as long as the batch lives (A2).
        Kind::Natural => Values::Natural(unsafe { slice(buffer(1), end) }?),
        // SAFETY: as above.
        Kind::Whole => Values::Whole(unsafe { slice(buffer(1), end) }?),
        Kind::Text if rows == 0 => Values::Text { text: "", ends: Ends::Narrow(&[]), base: 0 },
        Kind::Text => {
            let ends = if wide {
                // SAFETY: a number for each value and one more (A1), for as long as the batch lives (A2).
                Ends::Wide(unsafe { slice(buffer(1), end + 1) }?)
            } else {
                // SAFETY: as above.
                Ends::Narrow(unsafe { slice(buffer(1), end + 1) }?)
            };
            texts(ends, first, end, buffer(2))?
        }
    };
    Ok(Column { valid, first, values })
}

/// The texts from `first` to `end`, each whole.
fn texts(ends: Ends, first: usize, end: usize, bytes: *const c_void) -> Result<Values, ArrowFault> {
    let (Some(base), Some(last)) = (ends.get(first), ends.get(end)) else {
        return fault("the offsets of a column are below 0");
    };
    if base > last || isize::try_from(last).is_err() {
        return fault("the offsets of a column do not grow");
    }
    let bytes: &'static [u8] = if base == last {
        &[]
    } else {
        // SAFETY: there are bytes up to the last offset (A1), for as long as the batch lives (A2).
        &(unsafe { slice::<u8>(bytes, last) }?)[base..]
    };
    let Ok(text) = std::str::from_utf8(bytes) else { return fault("a text is not UTF-8") };
    let mut before = base;
    for at in first + 1..=end {
        let Some(next) = ends.get(at) else { return fault("the offsets of a column are below 0") };
        if next < before || next > last {
            return fault("the offsets of a column do not grow");
        }
        if !text.is_char_boundary(next - base) {
            return fault("a text is not UTF-8");
        }
        before = next;
    }
    Ok(Values::Text { text, ends, base })
}

/// `len` values.
///
/// # Safety
///
/// Where there is something, there are so many, which stay as they are for as long as the slice is used.
unsafe fn slice<T>(pointer: *const c_void, len: usize) -> Result<&'static [T], ArrowFault> {
    let pointer = pointer.cast::<T>();
    if len == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() || !pointer.is_aligned() {
        return fault("a buffer of a column is missing, or not aligned");
    }
    if len.checked_mul(size_of::<T>()).is_none_or(|bytes| isize::try_from(bytes).is_err()) {
        return fault("a buffer of a column is impossibly large");
    }
    // SAFETY: see above.
    Ok(unsafe { std::slice::from_raw_parts(pointer, len) })
}
