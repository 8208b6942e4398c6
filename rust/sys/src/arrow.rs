//! Arrow's C stream interface, from the reader's side: batches of texts and whole numbers, checked before a value is read.

mod batch;
#[cfg(test)]
mod tests;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt;
use std::ptr;

pub use batch::ArrowBatch;

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers from 0 of 64 bits.
    Natural,
    /// Whole numbers of 64 bits.
    Whole,
    /// UTF-8.
    Text,
}

/// Why a stream cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrowFault(pub String);

impl fmt::Display for ArrowFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for ArrowFault {}

fn fault<T>(what: impl Into<String>) -> Result<T, ArrowFault> {
    Err(ArrowFault(what.into()))
}

/// `struct ArrowSchema`.
#[repr(C)]
struct Schema {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    n_children: i64,
    children: *mut *mut Schema,
    dictionary: *mut Schema,
    release: Option<unsafe extern "C" fn(*mut Schema)>,
    private_data: *mut c_void,
}

/// `struct ArrowArray`.
#[repr(C)]
struct Array {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *mut *const c_void,
    children: *mut *mut Array,
    dictionary: *mut Array,
    release: Option<unsafe extern "C" fn(*mut Array)>,
    private_data: *mut c_void,
}

/// `struct ArrowArrayStream`.
#[repr(C)]
struct Stream {
    get_schema: Option<unsafe extern "C" fn(*mut Stream, *mut Schema) -> c_int>,
    get_next: Option<unsafe extern "C" fn(*mut Stream, *mut Array) -> c_int>,
    get_last_error: Option<unsafe extern "C" fn(*mut Stream) -> *const c_char>,
    release: Option<unsafe extern "C" fn(*mut Stream)>,
    private_data: *mut c_void,
}

// SAFETY: the interface lets a structure be used and released by any thread, one at a time (A2).
unsafe impl Send for Stream {}

// SAFETY: as above; and what is borrowed from an array does not change (A2).
unsafe impl Send for Array {}
// SAFETY: shared, it is only read (A2).
unsafe impl Sync for Array {}

macro_rules! released_on_drop {
    ($($type:ty),*) => {$(
        impl Drop for $type {
            fn drop(&mut self) {
                if let Some(release) = self.release {
                    // SAFETY: it was not released yet, or there would be no callback (A1, A2).
                    unsafe { release(self) }
                }
            }
        }
    )*};
}
released_on_drop!(Schema, Array, Stream);

impl Schema {
    const fn none() -> Self {
        Self {
            format: ptr::null(),
            name: ptr::null(),
            metadata: ptr::null(),
            flags: 0,
            n_children: 0,
            children: ptr::null_mut(),
            dictionary: ptr::null_mut(),
            release: None,
            private_data: ptr::null_mut(),
        }
    }

    fn format(&self) -> Result<&str, ArrowFault> {
        if self.format.is_null() {
            return fault("a column has no type");
        }
        // SAFETY: a format that is there is a C string, which lives as long as the schema (A1).
        unsafe { CStr::from_ptr(self.format) }.to_str().or_else(|_| fault("a column's type is not text"))
    }
}

impl Array {
    const fn none() -> Self {
        Self {
            length: 0,
            null_count: 0,
            offset: 0,
            n_buffers: 0,
            n_children: 0,
            buffers: ptr::null_mut(),
            children: ptr::null_mut(),
            dictionary: ptr::null_mut(),
            release: None,
            private_data: ptr::null_mut(),
        }
    }
}

/// The `len` structures that a structure points to.
///
/// # Safety
///
/// `children` comes from a structure that holds them (A1) and is not released while they are borrowed.
unsafe fn children<'a, T>(children: *mut *mut T, len: i64) -> Result<Vec<&'a T>, ArrowFault> {
    let len = usize::try_from(len).or_else(|_| fault("the number of columns is below 0"))?;
    if children.is_null() {
        return if len == 0 { Ok(Vec::new()) } else { fault("there are no columns where some were promised") };
    }
    if !children.is_aligned() {
        return fault("the list of columns is not aligned");
    }
    let child = |number| {
        // SAFETY: the list has `len` pointers, each null or to a structure (A1).
        let child = unsafe { (*children.add(number)).as_ref() };
        child.map_or_else(|| fault("a column is missing"), Ok)
    };
    (0..len).map(child).collect()
}

/// Batches, one after another.
pub struct ArrowStream {
    stream: Stream,
    wide: Vec<bool>,
    kinds: Vec<Kind>,
}

impl fmt::Debug for ArrowStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ArrowStream").field("kinds", &self.kinds).finish_non_exhaustive()
    }
}

impl ArrowStream {
    /// Take the stream out of the capsule that `__arrow_c_stream__` returned, which is empty from then on. Its columns must be of
    /// these kinds.
    #[cfg(feature = "python")]
    pub fn of_capsule(
        capsule: &pyo3::Bound<'_, pyo3::types::PyCapsule>,
        kinds: &[Kind],
    ) -> pyo3::PyResult<Result<Self, ArrowFault>> {
        use pyo3::types::PyCapsuleMethods;
        let raw = capsule.pointer_checked(Some(c"arrow_array_stream"))?;
        // SAFETY: that is what a capsule of this name points to (A1), and no other thread runs while this one has the
        // interpreter.
        Ok(unsafe { Self::take(raw.as_ptr(), kinds) })
    }

    /// Take a stream, and leave a released one in its place.
    ///
    /// # Safety
    ///
    /// `raw` points to a stream, as the C interface defines it (A1), that no other code uses meanwhile.
    pub unsafe fn take(raw: *mut c_void, kinds: &[Kind]) -> Result<Self, ArrowFault> {
        let raw = raw.cast::<Stream>();
        if raw.is_null() || !raw.is_aligned() {
            return fault("there is no stream");
        }
        let none = Stream {
            get_schema: None,
            get_next: None,
            get_last_error: None,
            release: None,
            private_data: ptr::null_mut(),
        };
        // SAFETY: it is a stream, see above.
        let stream = unsafe { ptr::replace(raw, none) };
        if stream.release.is_none() {
            return fault("the stream was read before");
        }
        let mut made = Self { stream, wide: Vec::new(), kinds: kinds.to_vec() };
        made.check_schema()?;
        Ok(made)
    }

    /// Refuse columns of other kinds.
    fn check_schema(&mut self) -> Result<(), ArrowFault> {
        let Some(get_schema) = self.stream.get_schema else {
            return fault("the stream does not say what its columns are");
        };
        let mut schema = Schema::none();
        // SAFETY: the stream is not released, and the schema is ours to be filled (A1).
        let code = unsafe { get_schema(&raw mut self.stream, &raw mut schema) };
        if code != 0 {
            return Err(self.last_error(code));
        }
        if schema.format()? != "+s" {
            return fault("it is no stream of columns");
        }
        // SAFETY: the schema lives to the end of this function.
        let columns = unsafe { children(schema.children, schema.n_children) }?;
        if columns.len() != self.kinds.len() {
            return fault(format!("there are {} columns instead of {}", columns.len(), self.kinds.len()));
        }
        for (number, (column, kind)) in columns.iter().zip(&self.kinds).enumerate() {
            let format = column.format()?;
            let known = match kind {
                Kind::Natural => format == "L",
                Kind::Whole => format == "l",
                Kind::Text => matches!(format, "u" | "U"),
            };
            if !known || !column.dictionary.is_null() {
                return fault(format!(
                    "column {number} is of the Arrow type {format:?}, which is not one that is read here"
                ));
            }
            self.wide.push(format == "U");
        }
        Ok(())
    }

    /// The next batch; None at the end.
    pub fn next_batch(&mut self) -> Result<Option<ArrowBatch>, ArrowFault> {
        let Some(get_next) = self.stream.get_next else { return fault("the stream has no batches") };
        let mut array = Array::none();
        // SAFETY: the stream is not released, and the array is ours to be filled (A1).
        let code = unsafe { get_next(&raw mut self.stream, &raw mut array) };
        if code != 0 {
            return Err(self.last_error(code));
        }
        if array.release.is_none() {
            return Ok(None);
        }
        ArrowBatch::check(array, &self.kinds, &self.wide).map(Some)
    }

    fn last_error(&mut self, code: c_int) -> ArrowFault {
        let Some(get_last_error) = self.stream.get_last_error else { return ArrowFault(format!("error {code}")) };
        // SAFETY: the stream is not released, and its last call failed (A1).
        let said = unsafe { get_last_error(&raw mut self.stream) };
        if said.is_null() {
            return ArrowFault(format!("error {code}"));
        }
        // SAFETY: it is a C string that lives until the stream is used again (A1).
        ArrowFault(unsafe { CStr::from_ptr(said) }.to_string_lossy().into_owned())
    }
}
