//! JSON into columns, by its shape. Fields are expected in the order in which they are declared, and found in any other.

use std::collections::HashSet;

use act_fast_core::payload::json::{JsonReader, NOT_JSON};
use arrow_array::ArrayRef;
use arrow_schema::FieldRef;

use crate::Error;
use crate::class_decoder::ByClass;
use crate::column::Column;
use crate::scalar::{self, put};
use crate::shape::{Keys, Kind, Member, Members, Shape};
use crate::unfit::{Fit, Unfit};

/// Up to so many elements are compared each with each.
const FEW: usize = 16;

/// Decodes objects of one shape, each into a row of those of its fields that are wanted.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    shape: &'a Shape,
    /// By the number of the field. What is not wanted is looked at all the same: a row decodes or does not, whatever
    /// one asks of it.
    columns: Vec<Option<Column>>,
    rows: usize,
}

impl<'a> Decoder<'a> {
    /// `wanted`: for each field of the shape, the column it goes into.
    pub(crate) fn new(shape: &'a Shape, wanted: &[Option<FieldRef>]) -> Self {
        let columns = wanted.iter().map(|field| field.as_ref().map(Column::new)).collect();
        Self { shape, columns, rows: 0 }
    }

    /// Decode one row; when it does not fit, nothing is left of it.
    #[inline]
    pub(crate) fn row(&mut self, data: &[u8]) -> Fit {
        let fit = self.try_row(data);
        match fit {
            Ok(()) => self.rows += 1,
            Err(_) => self.columns.iter_mut().flatten().for_each(|column| column.truncate(self.rows)),
        }
        fit
    }

    #[inline]
    fn try_row(&mut self, data: &[u8]) -> Fit {
        let Kind::Struct(members) = &self.shape.kind else {
            return Err(Unfit::new("it is not an object"));
        };
        let mut json = JsonReader::new(data);
        take_object(members, &mut json, &mut self.columns, Option::as_mut)?;
        if json.ended() { Ok(()) } else { Err(NOT_JSON.into()) }
    }

    /// A row without values.
    pub(crate) fn row_of_nothing(&mut self) {
        self.columns.iter_mut().flatten().for_each(Column::push_null);
        self.rows += 1;
    }

    /// A row of what somebody else has read; without values when there is none, or it does not fit: the reason.
    pub(crate) fn decoded(&mut self, row: &ByClass) -> Result<(), String> {
        let fit = match row {
            ByClass::Fits(json) => self.row(json).map_err(|unfit| {
                let member = unfit.field.and_then(|field| self.shape.members().get(field));
                member
                    .map_or_else(|| unfit.what.to_owned(), |member| format!("field {:?}: {}", member.name, unfit.what))
            }),
            ByClass::Fails(reason) => Err(reason.clone()),
        };
        if fit.is_err() {
            self.row_of_nothing();
        }
        fit
    }

    /// The columns wanted, by the number of the field, and none of their rows to go on with.
    pub(crate) fn finish(&mut self) -> Result<Vec<Option<ArrayRef>>, Error> {
        self.rows = 0;
        self.columns.iter_mut().map(|column| column.as_mut().map(Column::finish).transpose()).collect()
    }
}

/// Which fields were there.
struct Seen {
    first: u64,
    rest: Vec<bool>,
}

impl Seen {
    fn new(len: usize) -> Self {
        Self { first: 0, rest: if len > 64 { vec![false; len - 64] } else { Vec::new() } }
    }

    /// Whether it was there already.
    #[inline]
    fn set(&mut self, index: usize) -> bool {
        if index < 64 {
            let before = self.first & (1 << index) != 0;
            self.first |= 1 << index;
            before
        } else {
            std::mem::replace(&mut self.rest[index - 64], true)
        }
    }

    #[inline]
    fn get(&self, index: usize) -> bool {
        if index < 64 { self.first & (1 << index) != 0 } else { self.rest[index - 64] }
    }
}

/// `slot`: where the values of a field go, if anywhere.
#[inline]
fn take_object<T>(
    members: &Members,
    json: &mut JsonReader<'_>,
    slots: &mut [T],
    slot: impl Fn(&mut T) -> Option<&mut Column>,
) -> Fit {
    let fields = &members.fields;
    let mut seen = Seen::new(fields.len());
    let mut tagged = members.tag.is_none();
    let mut found = 0;
    let mut next = 0;
    json.expect(b'{', "it is not an object")?;
    if !json.eat(b'}')? {
        loop {
            json.peek()?;
            let index = match fields.get(next) {
                Some(field) if json.eat_exactly(&field.quoted) => Some(next),
                _ => {
                    let key = json.text()?;
                    json.expect(b':', "it is not JSON")?;
                    if let Some((tag, value)) = members.tag.as_ref().filter(|(tag, _)| *tag == key) {
                        let _ = tag;
                        json.peek()?;
                        if json.text()? != value.as_str() {
                            return Err(Unfit::new("it is an object of another kind"));
                        }
                        tagged = true;
                        if json.eat(b',')? {
                            continue;
                        }
                        json.expect(b'}', "it is not JSON")?;
                        break;
                    }
                    fields.iter().position(|field| field.key == key)
                }
            };
            match index {
                Some(index) => {
                    let in_field = |unfit: Unfit| Unfit { field: Some(index), ..unfit };
                    if seen.set(index) {
                        return Err(in_field(Unfit::new("it is there twice")));
                    }
                    let out = slots.get_mut(index).and_then(&slot);
                    take(&fields[index].of, json, out).map_err(in_field)?;
                    found += 1;
                    next = index + 1;
                }
                None if members.closed => return Err(Unfit::new("it has a field that the class does not have")),
                None => json.skip()?,
            }
            if json.eat(b',')? {
                continue;
            }
            json.expect(b'}', "it is not JSON")?;
            break;
        }
    }
    if !tagged {
        return Err(Unfit::new("it does not say which kind it is"));
    }
    if found < fields.len() {
        for (index, field) in fields.iter().enumerate().filter(|(index, _)| !seen.get(*index)) {
            let out = slots.get_mut(index).and_then(&slot);
            take_missing(field, out).map_err(|unfit| Unfit { field: Some(index), ..unfit })?;
        }
    }
    Ok(())
}

fn take_missing(field: &Member, out: Option<&mut Column>) -> Fit {
    match &field.default {
        Some(default) => take(&field.of, &mut JsonReader::new(default.as_bytes()), out),
        None if field.optional => {
            put(out, Column::push_null);
            Ok(())
        }
        None => Err(Unfit::new("it is missing")),
    }
}

/// Take one value of a shape; into a column, if it is wanted.
fn take(shape: &Shape, json: &mut JsonReader<'_>, out: Option<&mut Column>) -> Fit {
    json.peek()?;
    if shape.nullable && json.eat_exactly(b"null") {
        put(out, Column::push_null);
        return Ok(());
    }
    match &shape.kind {
        Kind::List { of, unique } => take_list(of, *unique, json, out)?,
        Kind::Map { keys, of } => take_map(*keys, of, json, out)?,
        Kind::Struct(members) => match out {
            Some(out) => {
                take_object(members, json, out.children(), |child| Some(child)).map_err(inner)?;
                out.close()?;
            }
            None => take_object::<Column>(members, json, &mut [], |child| Some(child)).map_err(inner)?,
        },
        Kind::Json { of } => {
            let before = json.clone();
            if of.is_empty() {
                json.skip()?;
            } else {
                take_any(of, json)?;
            }
            let text = std::str::from_utf8(json.since(&before)).map_err(|_| Unfit::new("it is not UTF-8"))?;
            if let Some(out) = out {
                out.push_bytes(text.as_bytes())?;
            }
        }
        Kind::Null => {
            json.null()?;
            put(out, Column::push_null);
        }
        scalar => scalar::take(scalar, json, out)?,
    }
    Ok(())
}

/// What is wrong inside of a value is said of the field that it is the value of.
fn inner(unfit: Unfit) -> Unfit {
    Unfit { field: None, ..unfit }
}

fn take_list(of: &Shape, unique: bool, json: &mut JsonReader<'_>, mut out: Option<&mut Column>) -> Fit {
    let mut texts = Vec::new();
    json.expect(b'[', "it is not a list")?;
    if !json.eat(b']')? {
        loop {
            let before = json.clone();
            take(of, json, out.as_mut().and_then(|out| out.elements()))?;
            if unique {
                texts.push(json.since(&before));
            }
            if json.eat(b',')? {
                continue;
            }
            json.expect(b']', "it is not JSON")?;
            break;
        }
    }
    if repeats(&texts) {
        return Err(Unfit::new("it has an element twice"));
    }
    out.map_or(Ok(()), Column::close)
}

fn take_map(keys: Keys, of: &Shape, json: &mut JsonReader<'_>, mut out: Option<&mut Column>) -> Fit {
    let mut texts = Vec::new();
    json.expect(b'{', "it is not an object")?;
    if !json.eat(b'}')? {
        loop {
            json.peek()?;
            let text = json.text()?;
            json.expect(b':', "it is not JSON")?;
            let (mut key_out, value_out) = match out.as_mut().and_then(|out| out.entries()) {
                Some((keys, values)) => (Some(keys), Some(values)),
                None => (None, None),
            };
            match keys {
                Keys::Text => {
                    if let Some(key_out) = &mut key_out {
                        key_out.push_bytes(text.as_bytes())?;
                    }
                }
                Keys::Int => {
                    let mut number = JsonReader::new(text.as_bytes());
                    let key = number.int()?;
                    // "007" is no key that was stored as a number.
                    if key.to_string() != text {
                        return Err(Unfit::new("it has a key that is not a whole number"));
                    }
                    if let Some(key_out) = &mut key_out {
                        key_out.push_long(key);
                    }
                }
            }
            texts.push(text);
            take(of, json, value_out)?;
            if json.eat(b',')? {
                continue;
            }
            json.expect(b'}', "it is not JSON")?;
            break;
        }
    }
    if repeats(&texts) {
        return Err(Unfit::new("it has a key twice"));
    }
    out.map_or(Ok(()), Column::close)
}

fn take_any(of: &[Shape], json: &mut JsonReader<'_>) -> Fit {
    let before = json.clone();
    let mut first = None;
    for shape in of {
        *json = before.clone();
        match take(shape, json, None) {
            Ok(()) => return Ok(()),
            Err(unfit) => first = first.or(Some(unfit)),
        }
    }
    Err(first.map_or(Unfit::new("it is of an unknown kind"), inner))
}

fn repeats<T: PartialEq + Eq + std::hash::Hash>(texts: &[T]) -> bool {
    if texts.len() <= FEW {
        return texts.iter().enumerate().any(|(at, text)| texts[..at].contains(text));
    }
    texts.iter().collect::<HashSet<_>>().len() < texts.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: &str = r#"{"kind": "struct", "tag": ["type", "whole"], "fields": [
        {"name": "number", "key": "number", "of": {"kind": "int", "nullable": true}},
        {"name": "rate", "key": "rate", "of": {"kind": "float"}},
        {"name": "good", "key": "good", "of": {"kind": "bool"}},
        {"name": "when", "key": "when", "of": {"kind": "instant", "zone": true}},
        {"name": "words", "key": "words", "of": {"kind": "list", "unique": true, "of": {"kind": "text"}}},
        {"name": "counts", "key": "counts", "of": {"kind": "map", "keys": "int", "of": {"kind": "int"}}},
        {"name": "part", "key": "part", "of": {"kind": "struct", "fields": [
            {"name": "of", "key": "of", "of": {"kind": "null"}}]}},
        {"name": "choice", "key": "choice", "of": {"kind": "json", "of": [{"kind": "int"}, {"kind": "text"}]}},
        {"name": "any", "key": "any", "of": {"kind": "json", "of": []}}]}"#;
    const SPACED: &str = r#"{ "type" : "whole" , "number" : null , "rate" : -1.5e3 , "good" : true ,
        "when" : "2026-01-31T12:00:00Z" , "words" : [ "a" , "\u00e9" ] , "counts" : { "1" : 2 , "3" : 4 } ,
        "part" : { "of" : null } , "choice" : "b" , "any" : [1] }"#;

    fn columns(shape: &Shape, json: &[u8]) -> Fit<Vec<ArrayRef>> {
        let wanted: Vec<_> = shape.members().iter().map(|member| Some(member.of.field(&member.name))).collect();
        let mut decoder = Decoder::new(shape, &wanted);
        decoder.row(json)?;
        Ok(decoder.finish().unwrap().into_iter().flatten().collect())
    }

    #[test]
    fn spaces_between_parts_change_nothing() {
        let shape = Shape::read(SHAPE).unwrap();
        let tokens: Vec<&str> = SPACED.split_whitespace().collect();
        let compact = columns(&shape, tokens.concat().as_bytes()).unwrap();
        assert_eq!(compact.len(), 9);
        for space in [" ", "\n", "\t\r\n "] {
            let spaced = format!("{space}{}{space}", tokens.join(space));
            assert_eq!(columns(&shape, spaced.as_bytes()).as_ref(), Ok(&compact), "{spaced:?}");
        }
    }

    #[test]
    fn no_text_becomes_a_value_that_is_not_unicode() {
        for kind in
            [r#""text""#, r#""word", "of": ["a"]"#, r#""json", "of": []"#, r#""json", "of": [{"kind": "text"}]"#]
        {
            let shape =
                format!(r#"{{"kind": "struct", "fields": [{{"name": "a", "key": "a", "of": {{"kind": {kind}}}}}]}}"#);
            let shape = Shape::read(&shape).unwrap();
            assert!(columns(&shape, b"{\"a\":\"a\"}").is_ok());
            assert_eq!(columns(&shape, b"{\"a\":\"\xff\"}").unwrap_err().field, Some(0), "{kind}");
        }
    }
}
