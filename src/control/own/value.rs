//! The value of one setting: from JSON into its place, and back.
//!
//! Invariants: as of all of [`super`]; a value that was read shows in the form that reads back.

use std::time::Duration;

use serde_json::Value;

use super::{MAX_TEXT, Read, Setting};
use crate::{
    route::OwnSettings,
    units::{self, MAX_LIST, Wrong, wrong},
};

impl Setting {
    pub(super) fn set(&self, own: &mut OwnSettings, value: &Value) -> Result<(), Wrong> {
        let text = text_of(value, &self.read)?;
        match &self.read {
            Read::Switch(place) => (place.set)(own, units::boolean(&text)?),
            Read::Count(range, place) => (place.set)(own, units::count(&text, range)?),
            Read::Count32(range, place) => (place.set)(own, units::count(&text, range)?),
            Read::Size(range, place) => (place.set)(own, units::size(&text, range)?),
            Read::Duration(range, place) => (place.set)(own, units::duration(&text, range)?),
            Read::Word(words, place) => match words.iter().find(|word| **word == text) {
                Some(word) => (place.set)(own, word),
                None => {
                    let remedy = format!("write one of {}", words.join(", "));
                    return wrong(format!("{text:?} is not known"), remedy);
                }
            },
            // A number or a switch could be read as a name.
            Read::Text(..) if !value.is_string() => {
                return wrong(format!("{text} is no text"), "write one, in quotes");
            }
            Read::Text(kind, place) => (place.set)(own, (kind.read)(&text)?.into()),
            Read::Networks(place) => (place.set)(own, units::networks(&text)?.into()),
        }
        Ok(())
    }

    /// The same, whatever the bounds of times and texts are now.
    pub(super) fn set_kept(&self, own: &mut OwnSettings, value: &Value) -> Result<(), Wrong> {
        match (&self.read, value) {
            (Read::Duration(_, place), Value::String(text)) => {
                (place.set)(own, units::duration(text, &(Duration::ZERO..=Duration::MAX))?);
            }
            (Read::Text(_, place), Value::String(text)) => (place.set)(own, text.as_str().into()),
            _ => return self.set(own, value),
        }
        Ok(())
    }

    pub(super) fn show(&self, own: &OwnSettings) -> Option<Value> {
        match &self.read {
            Read::Switch(place) => (place.get)(own).map(Value::from),
            Read::Count(_, place) | Read::Size(_, place) => (place.get)(own).map(Value::from),
            Read::Count32(_, place) => (place.get)(own).map(Value::from),
            Read::Duration(_, place) => {
                (place.get)(own).map(|value| units::in_seconds(value).into())
            }
            Read::Word(_, place) => (place.get)(own).map(Value::from),
            Read::Text(_, place) => (place.get)(own).map(|text| Value::from(&*text)),
            Read::Networks(place) => (place.get)(own).map(|networks| {
                networks.iter().map(|network| units::show_network(*network)).collect()
            }),
        }
    }
}

/// What is to be written where something of another kind stands.
fn form(read: &Read) -> String {
    match read {
        Read::Switch(_) => "write true or false".into(),
        Read::Count(..) | Read::Count32(..) => "write a whole number".into(),
        Read::Size(..) => "write a number of bytes, or a text as in \"8KiB\"".into(),
        Read::Duration(..) => "write a text, as in \"5s\"".into(),
        Read::Word(words, _) => format!("write one of {}", words.join(", ")),
        Read::Text(kind, _) => format!("write a text, as in {:?}", kind.example),
        Read::Networks(_) => "write [\"10.0.0.0/8\", \"fd00::/8\"]".into(),
    }
}

/// The text that the settings file would hold.
fn text_of(value: &Value, read: &Read) -> Result<String, Wrong> {
    let is_list = matches!(read, Read::Networks(_));
    let most = match read {
        Read::Networks(_) => MAX_TEXT * MAX_LIST,
        Read::Text(kind, _) => kind.most.max(MAX_TEXT),
        _ => MAX_TEXT,
    };
    match value {
        Value::Array(entries) if is_list => {
            let texts: Option<Vec<&str>> = entries.iter().map(Value::as_str).collect();
            match texts {
                Some(texts) if entries.len() <= MAX_LIST => Ok(texts.join(",")),
                Some(_) => {
                    wrong(format!("more than {MAX_LIST} entries"), "write fewer, larger networks")
                }
                None => wrong("it holds what is no text", form(read)),
            }
        }
        Value::String(text) if text.len() > most => {
            let remedy = match read {
                Read::Text(..) | Read::Networks(_) => format!("write at most {most} characters"),
                _ => form(read),
            };
            wrong("its text is too long", remedy)
        }
        Value::String(text) => Ok(text.trim().to_owned()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Null => wrong("null is no value", format!("leave it out, or {}", form(read))),
        Value::Array(_) => wrong("a list is no value", form(read)),
        Value::Object(_) => wrong("an object is no value", form(read)),
    }
}
