//! The lines that a process writes, as they come.
//!
//! Invariant: whoever waits for a line sees also those that came before it asked; a wait ends at
//! its deadline or with the stream, and then says what did come.

use std::{
    io::{BufRead, BufReader, Read},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
};

use super::DEADLINE;

/// How many lines are shown where a test failed.
const SHOWN: usize = 20;

/// A stream of lines that is read in the background.
#[derive(Clone)]
pub struct Lines(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    /// Reads `stream` to its end.
    pub fn of(stream: impl Read + Send + 'static) -> Lines {
        let lines = Lines(Arc::default());
        let ours = lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                ours.change(|state| state.lines.push(line));
            }
            ours.change(|state| state.ended = true);
        });
        lines
    }

    fn change(&self, how: impl FnOnce(&mut State)) {
        how(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.notify_all();
    }

    /// The lines so far.
    pub fn all(&self) -> Vec<String> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).lines.clone()
    }

    /// The last of them, for people.
    pub fn last(&self) -> Vec<String> {
        let all = self.all();
        all[all.len().saturating_sub(SHOWN)..].to_vec()
    }

    /// The first line that `is_it`, if it came or comes before the stream ends.
    pub fn find(&self, is_it: impl Fn(&str) -> bool) -> Option<String> {
        let found = |state: &State| state.lines.iter().find(|line| is_it(line)).cloned();
        self.wait(|state| found(state).is_some() || state.ended, |state| found(state))
    }

    /// As [`find`](Lines::find), for a line that must come.
    pub fn wait_for(&self, part: &str) -> String {
        let line = self.find(|line| line.contains(part));
        line.unwrap_or_else(|| panic!("no line with {part:?} among {:#?}", self.all()))
    }

    /// Waits for `count` lines with `part` in them.
    pub fn wait_for_many(&self, part: &str, count: usize) -> Vec<String> {
        let found = |state: &State| -> Vec<String> {
            state.lines.iter().filter(|line| line.contains(part)).cloned().collect()
        };
        let lines = self.wait(|state| found(state).len() >= count || state.ended, found);
        assert!(lines.len() >= count, "{count} lines with {part:?}, there are {lines:#?}");
        lines
    }

    /// Waits for the end of the stream.
    pub fn wait_for_end(&self) -> Vec<String> {
        self.wait(|state| state.ended, |state| state.lines.clone())
    }

    fn wait<T>(&self, is_over: impl Fn(&State) -> bool, answer: impl Fn(&State) -> T) -> T {
        let state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.1.wait_timeout_while(state, DEADLINE, |state| !is_over(state));
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "waited {DEADLINE:?}; there is {:#?}", state.lines);
        answer(&state)
    }
}

/// A line of the log without what differs from run to run: times and made request ids become `#`.
pub fn steady(line: &str) -> String {
    let mask = |word: &str| {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let is_time = matches!(key, "queue" | "connect" | "service") && value.ends_with("ms");
        let is_id = key == "request_id" && value.len() == 36;
        if is_time || is_id { format!("{key}=#") } else { word.to_owned() }
    };
    line.split(' ').map(mask).collect::<Vec<_>>().join(" ")
}

/// The milliseconds of `connect` or `service` in a line of the log, if it has any.
pub fn millis(line: &str, key: &str) -> Option<u64> {
    let value = line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no {key} in {line}")).strip_suffix("ms")?.parse().ok()
}
