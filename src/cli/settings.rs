//! `hostler apps set` and `unset`: an app's own settings and switches as a merge patch, and how
//! they are shown.
//!
//! Invariant: names and values are passed on as typed; the push API alone knows which there are
//! and judges them.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::output::printable;
use crate::{
    api::{AppBody, AppView, PageBody},
    config::keys::show_number,
};

/// What stands in an app's object itself; every other name is that of a setting.
const SWITCHES: [&str; 4] = ["maintenance", "blank", "router", "protected"];

/// `NAME=VALUE`.
#[derive(Debug, Clone)]
pub(super) struct Assignment {
    pub(super) name: String,
    value: Value,
}

impl FromStr for Assignment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Assignment, Self::Err> {
        let parts = text.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
        match parts {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => {
                // What is no JSON literal is a text: 60s, 8KiB.
                let literal = || value.parse().map(Value::Bool).ok();
                let number = || value.parse::<u64>().map(Value::from).ok();
                let value = literal().or_else(number).unwrap_or_else(|| value.into());
                Ok(Assignment { name: name.into(), value })
            }
            _ => Err("write NAME=VALUE, as in timeouts.first_byte=60s"),
        }
    }
}

/// The merge patch that sets these.
pub(super) fn set(assignments: &[Assignment]) -> Value {
    patch(assignments.iter().map(|a| (a.name.clone(), a.value.clone())))
}

/// The merge patch that gives these back to the router.
pub(super) fn unset(names: &[String]) -> Value {
    patch(names.iter().map(|name| (name.clone(), Value::Null)))
}

fn patch(values: impl Iterator<Item = (String, Value)>) -> Value {
    let is_switch = |(name, _): &(String, Value)| SWITCHES.contains(&name.as_str());
    let (mut fields, settings): (Map<_, _>, Map<_, _>) = values.partition(is_switch);
    if !settings.is_empty() {
        fields.insert("settings".into(), Value::Object(settings));
    }
    Value::Object(fields)
}

/// Which of these names of settings the app has none of its own for.
pub(super) fn missing<'n>(names: &'n [String], app: &AppView) -> Vec<&'n str> {
    let settings = &app.settings.settings;
    let has = |name: &str| SWITCHES.contains(&name) || settings.contains_key(name);
    names.iter().map(String::as_str).filter(|name| !has(name)).collect()
}

/// The rows of an app's settings and pages, for people.
pub(super) fn rows(app: &AppBody) -> Vec<[String; 2]> {
    let on_off = |on| if on { "on" } else { "off" };
    let mut rows = vec![
        ["Maintenance:".into(), on_off(app.maintenance).into()],
        ["Blank:".into(), on_off(app.blank).into()],
        ["Router:".into(), on_off(app.router).into()],
        ["Protected:".into(), on_off(app.protected).into()],
    ];
    let setting = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("{name}={text}"),
        other => match other.as_u64() {
            Some(number) => format!("{name}={}", show_number(name, number)),
            None => format!("{name}={other}"),
        },
    };
    group(&mut rows, "Settings:", app.settings.iter().map(setting).collect());
    let page =
        |(page, form, text): (&str, &str, &str)| format!("{page}, {form}: {} bytes", text.len());
    group(&mut rows, "Pages:", forms(app).into_iter().map(page).collect());
    rows
}

/// A title beside the first of some lines, or beside the word for none.
fn group(rows: &mut Vec<[String; 2]>, title: &str, mut lines: Vec<String>) {
    if lines.is_empty() {
        lines.push("the router's own".into());
    }
    let mut title = title.to_owned();
    for line in lines {
        rows.push([std::mem::take(&mut title), printable(&line)]);
    }
}

/// Every form of every page that an app has: page, form, text.
pub(super) fn forms(app: &AppBody) -> Vec<(&'static str, &'static str, &str)> {
    let pages = app.pages.as_ref();
    let error = pages.and_then(|pages| pages.error.as_ref());
    let maintenance = pages.and_then(|pages| pages.maintenance.as_ref());
    let mut forms = Vec::new();
    for (name, page) in [("error", error), ("maintenance", maintenance)] {
        let Some(PageBody { html, json, text }) = page else { continue };
        for (form, text) in [("html", html), ("json", json), ("text", text)] {
            forms.extend(text.as_deref().map(|text| (name, form, text)));
        }
    }
    forms
}
