//! The settings file: TOML, flattened to `group.key` and the text of each value.
//!
//! Invariants: pure; what is no setting is refused, with its line; numbers, booleans and arrays
//! become the text that the environment would hold, so that all sources are read alike.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    keys::{KEYS, find},
    mistake::{Mistake, Source},
};
use crate::{near::did_you_mean, units::MAX_LIST};

/// A value that the file gives.
pub(super) struct Given {
    pub key: String,
    pub text: String,
    pub source: Source,
}

struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    given: Vec<Given>,
    mistakes: Vec<Mistake>,
}

/// Reads a file. What is right in it is given even where something else is wrong, so that all
/// mistakes are found at once.
pub(super) fn read(name: &str, text: &str) -> (Vec<Given>, Vec<Mistake>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { name, text, given: Vec::new(), mistakes: Vec::new() };
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        let remedy = "write key = value, texts in quotes (TOML)";
        reader.mistake(at, "", error.message().replace('\n', " "), remedy);
    }
    // After a mistake of the syntax, what follows may be read as what it is not.
    if reader.mistakes.is_empty() {
        reader.table("", table.get_ref(), table.span().start);
    }
    (reader.given, reader.mistakes)
}

impl Reader<'_> {
    fn source(&self, at: usize) -> Source {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Source::File(self.name.to_owned(), line)
    }

    fn mistake(&mut self, at: usize, key: &str, what: String, remedy: &str) {
        let source = self.source(at);
        self.mistakes.push(Mistake {
            source,
            key: key.to_owned(),
            what,
            remedy: remedy.to_owned(),
        });
    }

    fn table(&mut self, group: &str, table: &DeTable<'_>, at: usize) {
        let known = |name: &str| KEYS.iter().any(|key| is_below(key.name, name));
        if table.is_empty() && !group.is_empty() && !known(group) {
            self.unknown(at, group);
        }
        for (key, value) in table {
            let name = match group {
                "" => key.get_ref().to_string(),
                group => format!("{group}.{}", key.get_ref()),
            };
            let at = key.span().start;
            if let Some(table) = value.get_ref().as_table() {
                self.table(&name, table, at);
            } else if key.get_ref().contains('.') || find(&name).is_none() {
                self.unknown(at, &name);
            } else if let Some(text) = self.value(at, &name, value) {
                let source = self.source(at);
                self.given.push(Given { key: name, text, source });
            }
        }
    }

    fn unknown(&mut self, at: usize, name: &str) {
        let near = did_you_mean(name, KEYS.iter().map(|key| key.name));
        let remedy = near.unwrap_or_else(|| "take it out; `hostler check` lists all".into());
        self.mistake(at, name, "there is no such setting".into(), &remedy);
    }

    fn value(&mut self, at: usize, name: &str, value: &Spanned<DeValue<'_>>) -> Option<String> {
        match value.get_ref() {
            DeValue::Array(entries) if entries.len() <= MAX_LIST => {
                let texts = entries.iter().map(|entry| scalar(entry.get_ref()));
                if let Some(texts) = texts.collect::<Option<Vec<String>>>() {
                    return Some(texts.join(","));
                }
            }
            value => {
                if let Some(text) = scalar(value) {
                    return Some(text);
                }
            }
        }
        let kind = value.get_ref().type_str();
        let what = format!("a value of this kind ({kind}) is not taken");
        self.mistake(at, name, what, "write a text, a number, true or false, or a list of texts");
        None
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(value) => Some(value.to_string()),
        _ => None,
    }
}

fn is_below(key: &str, group: &str) -> bool {
    key.strip_prefix(group).is_some_and(|rest| rest.starts_with('.'))
}
