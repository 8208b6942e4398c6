use std::ffi::CString;

use proptest::prelude::*;

use super::*;

/// A column as a producer has it; it may be wrong in any way that the interface lets a reader see.
#[derive(Clone, Debug)]
struct Given {
    format: &'static str,
    offset: i64,
    length: i64,
    null_count: i64,
    buffers: Vec<Option<Vec<u64>>>,
    /// How far a buffer is moved, in bytes.
    shift: usize,
}

/// Bytes in memory that is aligned for any number.
fn aligned(bytes: &[u8]) -> Option<Vec<u64>> {
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_ne_bytes(word)
    });
    Some(words.chain([0]).collect())
}

fn narrow(offsets: &[i32]) -> Option<Vec<u64>> {
    aligned(&offsets.iter().flat_map(|offset| offset.to_ne_bytes()).collect::<Vec<_>>())
}

fn texts(offsets: &[i32], bytes: &[u8]) -> Given {
    let length = offsets.len() as i64 - 1;
    let buffers = vec![None, narrow(offsets), aligned(bytes)];
    Given { format: "u", offset: 0, length, null_count: 0, buffers, shift: 0 }
}

fn numbers(format: &'static str, values: &[u64]) -> Given {
    let buffers = vec![None, Some(values.to_vec())];
    Given { format, offset: 0, length: values.len() as i64, null_count: 0, buffers, shift: 0 }
}

type Next = unsafe extern "C" fn(*mut Stream, *mut Array) -> c_int;

/// What the callbacks of a producer own.
struct Producer {
    formats: Vec<CString>,
    columns: Vec<Given>,
    rows: i64,
    lists: Vec<Vec<*const c_void>>,
    arrays: Vec<Array>,
    array_list: Vec<*mut Array>,
    schemas: Vec<Schema>,
    schema_list: Vec<*mut Schema>,
    batches: usize,
}

unsafe extern "C" fn release_schema(schema: *mut Schema) {
    // SAFETY: the reader releases what it was given.
    unsafe { (*schema).release = None }
}

unsafe extern "C" fn release_array(array: *mut Array) {
    // SAFETY: as above.
    unsafe { (*array).release = None }
}

unsafe extern "C" fn release_stream(stream: *mut Stream) {
    // SAFETY: as above; the producer was boxed.
    unsafe {
        drop(Box::from_raw((*stream).private_data.cast::<Producer>()));
        (*stream).release = None;
    }
}

unsafe extern "C" fn get_schema(stream: *mut Stream, out: *mut Schema) -> c_int {
    // SAFETY: the reader calls this with its stream.
    let producer = unsafe { &mut *(*stream).private_data.cast::<Producer>() };
    producer.schemas =
        producer.formats.iter().map(|format| Schema { format: format.as_ptr(), ..Schema::none() }).collect();
    producer.schema_list = producer.schemas.iter_mut().map(|schema| &raw mut *schema).collect();
    // SAFETY: as above.
    unsafe {
        out.write(Schema {
            format: c"+s".as_ptr(),
            n_children: producer.schema_list.len() as i64,
            children: producer.schema_list.as_mut_ptr(),
            release: Some(release_schema),
            ..Schema::none()
        });
    }
    0
}

unsafe extern "C" fn get_next(stream: *mut Stream, out: *mut Array) -> c_int {
    // SAFETY: the reader calls this with its stream.
    let producer = unsafe { &mut *(*stream).private_data.cast::<Producer>() };
    if producer.batches == 0 {
        return 0;
    }
    producer.batches -= 1;
    producer.lists = producer
        .columns
        .iter()
        .map(|column| {
            let pointer = |buffer: &Option<Vec<u64>>| {
                buffer
                    .as_ref()
                    .map_or(ptr::null(), |buffer| buffer.as_ptr().cast::<u8>().wrapping_add(column.shift).cast())
            };
            column.buffers.iter().map(pointer).collect()
        })
        .collect();
    producer.arrays = producer
        .columns
        .iter()
        .zip(&mut producer.lists)
        .map(|(column, list)| Array {
            length: column.length,
            null_count: column.null_count,
            offset: column.offset,
            n_buffers: list.len() as i64,
            buffers: list.as_mut_ptr(),
            ..Array::none()
        })
        .collect();
    producer.array_list = producer.arrays.iter_mut().map(|array| &raw mut *array).collect();
    // SAFETY: as above.
    unsafe {
        out.write(Array {
            length: producer.rows,
            n_children: producer.array_list.len() as i64,
            children: producer.array_list.as_mut_ptr(),
            release: Some(release_array),
            ..Array::none()
        });
    }
    0
}

unsafe extern "C" fn fails(_: *mut Stream, _: *mut Array) -> c_int {
    5
}

unsafe extern "C" fn last_error(_: *mut Stream) -> *const c_char {
    c"the file is torn".as_ptr()
}

fn stream(columns: Vec<Given>, rows: i64) -> Stream {
    let producer = Box::new(Producer {
        formats: columns.iter().map(|column| CString::new(column.format).expect("no NUL")).collect(),
        columns,
        rows,
        lists: Vec::new(),
        arrays: Vec::new(),
        array_list: Vec::new(),
        schemas: Vec::new(),
        schema_list: Vec::new(),
        batches: 1,
    });
    Stream {
        get_schema: Some(get_schema),
        get_next: Some(get_next),
        get_last_error: Some(last_error),
        release: Some(release_stream),
        private_data: Box::into_raw(producer).cast(),
    }
}

fn opened(mut raw: Stream, kinds: &[Kind]) -> Result<ArrowStream, ArrowFault> {
    // SAFETY: it is a stream of this file.
    let taken = unsafe { ArrowStream::take((&raw mut raw).cast(), kinds) };
    assert!(raw.release.is_none(), "a stream that was taken is not taken again");
    taken
}

/// A batch, and the producer that its memory belongs to.
#[derive(Debug)]
struct First(ArrowBatch, #[expect(dead_code)] ArrowStream);

impl std::ops::Deref for First {
    type Target = ArrowBatch;

    fn deref(&self) -> &ArrowBatch {
        &self.0
    }
}

fn first(column: Given, rows: i64, kind: Kind) -> Result<First, ArrowFault> {
    let mut stream = opened(stream(vec![column], rows), &[kind])?;
    let batch = stream.next_batch()?.expect("a batch");
    assert!(stream.next_batch()?.is_none());
    Ok(First(batch, stream))
}

fn refused(column: Given, rows: i64, kind: Kind) -> String {
    first(column, rows, kind).expect_err("it is wrong").0
}

#[test]
fn values_are_read_as_they_were_given() {
    let texts = texts(&[0, 1, 3, 3], "aä".as_bytes());
    let batch = first(texts.clone(), 3, Kind::Text).expect("a batch");
    assert_eq!(
        (batch.rows(), batch.text(0, 0), batch.text(0, 1), batch.text(0, 2)),
        (3, Some("a"), Some("ä"), Some(""))
    );
    assert_eq!(batch.natural(0, 0), None, "it is of another kind");
    let part = Given { offset: 1, length: 2, ..texts.clone() };
    assert_eq!(first(part, 2, Kind::Text).expect("a batch").text(0, 0), Some("ä"));
    let there =
        Given { null_count: 1, buffers: [vec![aligned(&[0b101])], texts.buffers[1..].to_vec()].concat(), ..texts };
    let batch = first(there, 3, Kind::Text).expect("a batch");
    assert_eq!((batch.text(0, 0), batch.text(0, 1), batch.text(0, 2)), (Some("a"), None, Some("")));
    let batch = first(numbers("L", &[u64::MAX, 7]), 2, Kind::Natural).expect("a batch");
    assert_eq!((batch.natural(0, 0), batch.natural(0, 1)), (Some(u64::MAX), Some(7)));
    assert_eq!(first(numbers("l", &[u64::MAX]), 1, Kind::Whole).expect("a batch").whole(0, 0), Some(-1));
    let nothing = Given { buffers: vec![None, None, None], ..self::texts(&[0], b"") };
    assert_eq!(first(nothing, 0, Kind::Text).expect("a batch").rows(), 0);
}

#[test]
fn a_column_that_is_not_what_it_says_is_refused() {
    let good = texts(&[0, 1, 3], "aä".as_bytes());
    let with = |number: usize, buffer| {
        let mut wrong = good.clone();
        wrong.buffers[number] = buffer;
        wrong
    };
    for (wrong, rows, what) in [
        (with(1, narrow(&[0, -1, 3])), 2, "below 0"),
        (with(1, narrow(&[-1, 1, 3])), 2, "below 0"),
        (with(1, narrow(&[0, 1, i32::MIN])), 2, "below 0"),
        (with(1, narrow(&[0, 4, 3])), 2, "do not grow"),
        (with(1, narrow(&[3, 3, 1])), 2, "do not grow"),
        (with(1, narrow(&[0, 2, 3])), 2, "not UTF-8"),
        (with(2, aligned(b"a\xff\xff")), 2, "not UTF-8"),
        (with(1, None), 2, "missing"),
        (with(2, None), 2, "missing"),
        (Given { shift: 1, ..good.clone() }, 2, "not aligned"),
        (Given { null_count: 1, ..good.clone() }, 2, "missing"),
        (Given { length: -1, ..good.clone() }, 2, "impossible"),
        (Given { length: i64::MAX, ..good.clone() }, i64::MAX, "impossible"),
        (Given { offset: -1, ..good.clone() }, 2, "impossible"),
        (Given { offset: i64::MAX, ..good.clone() }, 2, "impossible"),
        (good.clone(), 3, "shorter"),
        (good.clone(), -1, "impossible"),
        (Given { buffers: good.buffers[..2].to_vec(), ..good.clone() }, 2, "buffers"),
    ] {
        let said = refused(wrong.clone(), rows, Kind::Text);
        assert!(said.contains(what), "{said}: {wrong:?}");
    }
    let wide = Given { format: "U", ..with(1, Some(vec![0, 1, u64::MAX, 0])) };
    assert!(refused(wide, 2, Kind::Text).contains("below 0"));
}

#[test]
fn columns_of_other_types_are_refused_before_a_batch_is_asked_for() {
    for format in ["vu", "z", "i", "n", "tsu:", "+l", ""] {
        let said = refused(Given { format, ..texts(&[0, 1], b"a") }, 1, Kind::Text);
        assert!(said.contains(&format!("{format:?}")), "{said}");
    }
    assert!(refused(numbers("l", &[1]), 1, Kind::Natural).contains("\"l\""));
    assert!(opened(stream(vec![], 0), &[Kind::Text]).expect_err("too few").0.contains("0 columns instead of 1"));
}

#[test]
fn what_a_producer_says_went_wrong_is_passed_on() {
    let mut raw = stream(vec![numbers("L", &[1])], 1);
    raw.get_next = Some(fails as Next);
    let mut taken = opened(raw, &[Kind::Natural]).expect("a stream");
    assert_eq!(taken.next_batch().expect_err("it fails").0, "the file is torn");
    let mut raw = stream(vec![numbers("L", &[1])], 1);
    (raw.get_next, raw.get_last_error) = (Some(fails as Next), None);
    let mut taken = opened(raw, &[Kind::Natural]).expect("a stream");
    assert_eq!(taken.next_batch().expect_err("it fails").0, "error 5");
}

#[test]
fn a_stream_is_taken_once() {
    let mut raw = stream(vec![numbers("L", &[1])], 1);
    // SAFETY: it is a stream of this file.
    let taken = unsafe { ArrowStream::take((&raw mut raw).cast(), &[Kind::Natural]) };
    assert!(taken.is_ok());
    // SAFETY: as above, released.
    let again = unsafe { ArrowStream::take((&raw mut raw).cast(), &[Kind::Natural]) };
    assert!(again.expect_err("it is empty").0.contains("read before"));
}

proptest! {
    /// Whatever offsets, bytes and lengths there are: a batch is refused, or holds what a slow reader finds.
    #[test]
    fn what_is_not_refused_is_what_was_given(
        offsets in proptest::collection::vec(-1..9_i32, 1..7),
        bytes in proptest::collection::vec(prop_oneof![Just(b'a'), Just(0xc3), Just(0xa4), any::<u8>()], 8),
        valid in proptest::option::of(any::<u8>()),
        offset in 0..3_i64,
        rows in 0..6_i64,
    ) {
        let length = offsets.len() as i64 - 1 - offset;
        let buffers = vec![valid.and_then(|bits| aligned(&[bits])), narrow(&offsets), aligned(&bytes)];
        let given = Given { format: "u", offset, length, null_count: -1, buffers, shift: 0 };
        let Ok(batch) = first(given, rows, Kind::Text) else { return Ok(()) };
        prop_assert!(rows <= length);
        for row in 0..rows as usize {
            let at = row + offset as usize;
            let text = std::str::from_utf8(&bytes[offsets[at] as usize..offsets[at + 1] as usize]).expect("it was checked");
            let there = valid.is_none_or(|bits| bits >> at & 1 == 1);
            prop_assert_eq!(batch.text(0, row), there.then_some(text));
        }
    }
}
