//! Under which target a reaction runs: always the same one, one made from the event by a template, or what a function finds.

use regex::Regex;

use crate::error::{Error, Result};
use crate::names;
use crate::read::event::EventView;

use super::source::Source;

/// How a reaction finds its target.
#[derive(Clone, Debug)]
pub enum Resolver {
    /// Always this one.
    Fixed(String),
    /// The event's own stream.
    Own,
    /// Made from the event.
    Template(Vec<Piece>),
    /// By a function of the program's: the caller resolves.
    Function,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// This text.
    Text(String),
    /// The event's stream.
    Stream,
    /// The event's name.
    Name,
    /// A field of the event's data, by path.
    Data(Vec<String>),
}

impl Resolver {
    /// Read a template: text with `{stream}`, `{name}` and `{data.field}` in it; `{{` and `}}` are braces.
    pub fn from_template(template: &str) -> Result<Self> {
        let wrong = |what: &str| {
            Error::Invalid(format!(
                "the target template {template:?} {what}; it may contain {{stream}}, {{name}} and {{data.field}}"
            ))
        };
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = template.chars().peekable();
        while let Some(letter) = rest.next() {
            match letter {
                '{' | '}' if rest.peek() == Some(&letter) => {
                    rest.next();
                    text.push(letter);
                }
                '}' => return Err(wrong("has a } without its {")),
                '{' => {
                    let closed = rest.clone().any(|next| next == '}');
                    let field: String = rest.by_ref().take_while(|next| *next != '}').collect();
                    if !closed {
                        return Err(wrong("has a { without its }"));
                    }
                    if !text.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut text)));
                    }
                    pieces.push(match field.split('.').collect::<Vec<_>>().as_slice() {
                        ["stream"] => Piece::Stream,
                        ["name"] => Piece::Name,
                        ["data", path @ ..] if !path.is_empty() && path.iter().all(|part| !part.is_empty()) => {
                            Piece::Data(path.iter().map(|part| (*part).to_owned()).collect())
                        }
                        _ => return Err(wrong(&format!("names {{{field}}}"))),
                    });
                }
                other => text.push(other),
            }
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Ok(match pieces.as_slice() {
            [Piece::Stream] => Self::Own,
            [Piece::Text(name)] => {
                names::check("target", name)?;
                Self::Fixed(name.clone())
            }
            [] => return Err(wrong("is empty")),
            _ => Self::Template(pieces),
        })
    }
}

impl Resolver {
    /// The template that it was read from; None for a function.
    pub(super) fn text(&self) -> Option<String> {
        let escaped = |text: &str| text.replace('{', "{{").replace('}', "}}");
        match self {
            Self::Fixed(name) => Some(escaped(name)),
            Self::Own => Some("{stream}".to_owned()),
            Self::Template(pieces) => Some(
                pieces
                    .iter()
                    .map(|piece| match piece {
                        Piece::Text(text) => escaped(text),
                        Piece::Stream => "{stream}".to_owned(),
                        Piece::Name => "{name}".to_owned(),
                        Piece::Data(path) => format!("{{data.{}}}", path.join(".")),
                    })
                    .collect(),
            ),
            Self::Function => None,
        }
    }

    /// Whether it looks at payloads.
    pub(super) fn reads_data(&self) -> bool {
        match self {
            Self::Fixed(_) | Self::Own => false,
            Self::Template(pieces) => pieces.iter().any(|piece| matches!(piece, Piece::Data(_))),
            Self::Function => true,
        }
    }

    /// Whether an event with one of these names, from a source, may come to a target.
    pub(super) fn may_name(&self, target: &str, source: &Source, events: &[&str]) -> bool {
        match self {
            Self::Fixed(name) => name == target,
            Self::Own => source.has(target),
            Self::Function => true,
            Self::Template(pieces) => {
                let pattern: String = pieces.iter().map(|piece| alternatives(piece, source, events)).collect();
                Regex::new(&format!("^(?s:{pattern})$")).is_ok_and(|pattern| pattern.is_match(target))
            }
        }
    }
}

/// What may stand in the place of a piece of a template, as a regular expression.
fn alternatives(piece: &Piece, source: &Source, events: &[&str]) -> String {
    match (piece, source) {
        (Piece::Text(text), _) | (Piece::Stream, Source::Stream(text)) => regex::escape(text),
        (Piece::Stream, _) => ".+".to_owned(),
        (Piece::Name, _) => {
            let names: Vec<String> = events.iter().map(|name| regex::escape(name)).collect();
            format!("(?:{})", names.join("|"))
        }
        (Piece::Data(_), _) => ".*".to_owned(),
    }
}

/// Fill in a template; the error is for people.
pub(super) fn fill(
    pieces: &[Piece],
    event: &EventView<'_>,
    stream: &str,
    name: &str,
) -> std::result::Result<String, String> {
    let mut target = String::new();
    let mut data = None;
    for piece in pieces {
        match piece {
            Piece::Text(text) => target.push_str(text),
            Piece::Stream => target.push_str(stream),
            Piece::Name => target.push_str(name),
            Piece::Data(path) => {
                let parsed: &serde_json::Value =
                    data.get_or_insert_with(|| serde_json::from_slice(event.data).unwrap_or_default());
                let field = path.iter().try_fold(parsed, |value, part| value.get(part));
                match field {
                    Some(serde_json::Value::String(text)) => target.push_str(text),
                    Some(value @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_))) => {
                        target.push_str(&value.to_string());
                    }
                    _ => {
                        return Err(format!(
                            "{name} at position {} has no {} to build the target's name from",
                            event.position,
                            path.join(".")
                        ));
                    }
                }
            }
        }
    }
    names::check("target", &target).map_err(|error| error.to_string())?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_read_into_pieces() {
        let Ok(Resolver::Template(pieces)) = Resolver::from_template("audit-{stream}/{{{data.a.b}}}") else { panic!() };
        let data = Piece::Data(vec!["a".to_owned(), "b".to_owned()]);
        let texts = [Piece::Text("audit-".to_owned()), Piece::Stream, Piece::Text("/{".to_owned()), data];
        assert_eq!(pieces[..4], texts);
        assert!(matches!(Resolver::from_template("{stream}"), Ok(Resolver::Own)));
        assert!(matches!(Resolver::from_template("audit"), Ok(Resolver::Fixed(name)) if name == "audit"));
    }

    #[test]
    fn a_template_that_makes_no_sense_is_refused() {
        for template in ["", "{", "{stream", "}", "{version}", "{data}", "{data.}", "a\n"] {
            let outcome = Resolver::from_template(template);
            assert!(matches!(outcome, Err(Error::Invalid(_))), "{template:?} gave {outcome:?}");
        }
    }
}
