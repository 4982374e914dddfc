//! One setting: what it is called in each source, and how its value is read into its place.
//!
//! The name in the environment (`HOSTLER_HTTP_LISTEN`) and the flag (`--http-listen`) follow from
//! the name in the file (`http.listen`). Invariant: a secret has no flag, because everybody on a
//! machine can read the flags of its processes.

use std::{ops::RangeInclusive, time::Duration};

use super::{resolve::Machine, settings::Settings};
use crate::units::{self, Wrong};

/// The prefix of all variables of the environment.
pub const ENV_PREFIX: &str = "HOSTLER_";

/// How a value is read, and where it goes.
pub enum Read {
    /// `5s`
    Duration(RangeInclusive<Duration>, fn(&mut Settings) -> &mut Duration),
    /// `8KiB`
    Size(RangeInclusive<usize>, fn(&mut Settings) -> &mut usize),
    /// A whole number.
    Count(RangeInclusive<usize>, fn(&mut Settings) -> &mut usize),
    /// A whole number, kept in half the space.
    Count32(RangeInclusive<u32>, fn(&mut Settings) -> &mut u32),
    /// A whole number, or `auto`: what the machine suggests.
    Auto(RangeInclusive<usize>, fn(&Machine) -> usize, fn(&mut Settings) -> &mut usize),
    /// `8KiB`, or `auto`: what the machine suggests.
    AutoSize(RangeInclusive<usize>, fn(&Machine) -> usize, fn(&mut Settings) -> &mut usize),
    /// `true` or `false`
    Switch(fn(&mut Settings) -> &mut bool),
    /// Some text of its own kind.
    Text(fn(&mut Settings, &str) -> Result<(), Wrong>),
    /// Entries between commas, or an array.
    List(fn(&mut Settings, &str) -> Result<(), Wrong>),
    /// A text that is never shown.
    Secret(fn(&mut Settings, &str) -> Result<(), Wrong>),
}

/// One setting.
pub struct Key {
    /// Its name in the file, group and all.
    pub name: &'static str,
    /// The value that it has when nobody gives one.
    pub default: &'static str,
    /// What it is for, in one line.
    pub doc: &'static str,
    /// How it is read.
    pub read: Read,
}

impl Key {
    /// Its name in the environment.
    pub fn env(&self) -> String {
        format!("{ENV_PREFIX}{}", self.name.replace('.', "_").to_uppercase())
    }

    /// Its flag, without the dashes; none for a secret.
    pub fn flag(&self) -> Option<String> {
        let secret = matches!(self.read, Read::Secret(_));
        (!secret).then(|| self.name.replace(['.', '_'], "-"))
    }

    /// Reads a value into its place. Answers what a listing shows.
    pub fn set(&self, to: &mut Settings, text: &str, machine: &Machine) -> Result<String, Wrong> {
        let shown = text.to_owned();
        match &self.read {
            Read::Duration(range, place) => *place(to) = units::duration(text, range)?,
            Read::Size(range, place) => *place(to) = units::size(text, range)?,
            Read::Count(range, place) => *place(to) = units::count(text, range)?,
            Read::Count32(range, place) => *place(to) = units::count(text, range)?,
            Read::Auto(range, suggested, place) => {
                let value =
                    if text == "auto" { suggested(machine) } else { units::count(text, range)? };
                *place(to) = value;
                return Ok(value.to_string());
            }
            Read::AutoSize(range, suggested, place) => {
                let value =
                    if text == "auto" { suggested(machine) } else { units::size(text, range)? };
                *place(to) = value;
                return Ok(units::show_size(value as u64));
            }
            Read::Switch(place) => *place(to) = units::boolean(text)?,
            Read::Text(put) | Read::List(put) => put(to, text)?,
            Read::Secret(put) => {
                put(to, text)?;
                return Ok(if text.is_empty() { "" } else { "(not shown)" }.to_owned());
            }
        }
        Ok(shown)
    }
}
