//! The words of the project, what is left open, and what must be documented.
//!
//! Names are taken apart at underscores and capitals. A word that others chose (an RFC, a library's
//! trait, a field of Heroku's log line) is allowed by the whole name, here.

use std::{collections::BTreeSet, fs, path::Path};

use hostler::error::Fault;

use crate::{
    assert_finds, assert_none,
    source::{self, Source, each},
};

/// Words that are not ours, and the ones that are.
const NOT_USED: [(&str, &str); 9] = [
    ("service", "app"),
    ("cluster", "fleet"),
    ("target", "dyno, path or uri"),
    ("endpoint", "dyno, or path of the push API"),
    ("origin", "dyno"),
    ("peer", "client or dyno"),
    ("backend", "dyno"),
    ("upstream", "dyno"),
    ("downstream", "client"),
];

/// Names that others chose.
const OTHERS_NAMES: [&str; 30] = [
    // Heroku's log line, and the metric that follows it.
    "service_ms",
    "service_seconds",
    "SERVICE_SECONDS",
    // Libraries' modules, traits and functions.
    "Service",
    "service",
    "service_fn",
    "IntoService",
    "into_service",
    "into_make_service",
    "TowerToHyperService",
    "Target",
    "Targets",
    "with_targets",
    "PeerClosed",
    "PeerMisbehaved",
    "peer_addr",
    "peer_cred",
    "peer_certificates",
    "PeerIncompatible",
    "target_os",
    "target_arch",
    "target_family",
    "target_pointer_width",
    // Statuses and headers of RFC 9110, and terms of RFC 9112.
    "SERVICE_UNAVAILABLE",
    "ORIGIN",
    "request_target",
    "RequestTarget",
    "origin_form",
    "OriginForm",
    "target",
];

/// Marks of what is not done. In two parts, so that this file has none.
const OPEN: [(&str, &str); 6] = [
    ("TO", "DO"),
    ("FIX", "ME"),
    ("XX", "X:"),
    ("todo", "!("),
    ("unimplemented", "!("),
    ("#[ig", "nore"),
];

#[test]
fn names_use_the_words_of_the_project() {
    assert_none(each(&source::of_crate(), words));
    assert_finds("src/x.rs", "struct UpstreamPool;", words);
    assert_finds("src/x.rs", "let backends = 1;", words);
    let prose = "// the peer of a backend\nlet log = \"service=\";";
    assert!(words(&Source { path: "src/x.rs".into(), text: prose.into() }).is_empty());
}

fn words(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (at, line) in source.code().lines().enumerate() {
        for name in line.split(|c: char| !c.is_alphanumeric() && c != '_') {
            if OTHERS_NAMES.contains(&name) {
                continue;
            }
            let parts = parts_of(name);
            let bad = NOT_USED.iter().find(|(word, _)| {
                parts.iter().any(|part| part == word || part.strip_suffix('s') == Some(word))
            });
            if let Some((word, ours)) = bad {
                let what = format!(
                    "`{name}`: {word} is not a word of the project, write {ours}; a name that \
                     others chose goes into OTHERS_NAMES of tests/tidy/words.rs"
                );
                found.push(source.at(at, &what));
            }
        }
    }
    found
}

/// `UpstreamPool` and `upstream_pool` are `upstream`, `pool`.
fn parts_of(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && was_lower) {
            parts.push(String::new());
        }
        was_lower = c.is_lowercase() || c.is_numeric();
        if c != '_' {
            parts.last_mut().unwrap().extend(c.to_lowercase());
        }
    }
    parts
}

#[test]
fn nothing_is_left_open() {
    assert_none(each(&source::all(), open));
    let [one, rest @ ..] = OPEN.map(|(a, b)| [a, b].concat());
    assert_finds("src/x.rs", &format!("// {one}: later"), open);
    assert_finds("src/x.rs", &format!("{}x)", rest[2]), open);
}

fn open(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (at, line) in source.text.lines().enumerate() {
        for mark in OPEN.map(|(a, b)| [a, b].concat()) {
            if line.contains(&mark) {
                found.push(source.at(at, &format!("`{mark}`: finish it")));
            }
        }
    }
    found
}

/// Calls that have no place in the crate, though a bench may pace itself with one.
const NO_CALLS: [(&str, &str); 2] = [
    ("thread::sleep", "wait on a channel with a time-out, or on a timer of the runtime"),
    ("println!", "standard output is the log of exchanges: write to what the shell hands down"),
];
/// The commands' output is what their users read.
const PRINTERS: [&str; 3] = ["src/cli/", "src/main.rs", "src/bench/"];

#[test]
fn nothing_sleeps_or_prints_in_the_crate() {
    assert_none(each(&source::of_crate(), calls));
    assert_finds("src/live/x.rs", "std::thread::sleep(step);", calls);
    assert_finds("src/serve/x.rs", "println!(\"{x}\");", calls);
}

fn calls(source: &Source) -> Vec<String> {
    let prints = PRINTERS.iter().any(|path| source.path.starts_with(path));
    let mut found = Vec::new();
    for (at, line) in source.code().lines().enumerate() {
        for (call, remedy) in NO_CALLS {
            let is_free = prints && call == "println!";
            if line.contains(call) && !line.contains("eprintln!") && !is_free {
                found.push(source.at(at, &format!("`{call}`: {remedy}")));
            }
        }
    }
    found
}

#[test]
fn unsafe_code_has_no_home_but_the_listed() {
    // Each with its reason in its header.
    const HOMES: [&str; 3] =
        ["src/control/watch/huge.rs", "src/serve/edge/h2/spare.rs", "src/serve/queue.rs"];
    let rule = |source: &Source| {
        let allowed = HOMES.contains(&source.path.as_str());
        let code = source.code();
        let is_bad = |line: &str| line.contains("(unsafe_code)") && !line.contains("deny(");
        let lines = code.lines().enumerate().filter(|(_, line)| !allowed && is_bad(line));
        lines
            .map(|(at, _)| source.at(at, "unsafe code: find a safe way, or list the file"))
            .collect()
    };
    assert_none(each(&source::all(), rule));
    assert_finds("src/x.rs", "#![allow(unsafe_code)]", rule);
    let root = fs::read_to_string(root("src/lib.rs")).unwrap();
    assert!(root.contains("deny(unsafe_code"), "src/lib.rs denies unsafe code");
}

#[test]
fn every_fault_is_documented() {
    let path = "docs/faults.md";
    let text = fs::read_to_string(root(path)).unwrap_or_default();
    let rows: BTreeSet<String> = Fault::ALL
        .iter()
        .map(|f| {
            let cause = f.cause().map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("| `{}` | {} | {}{cause} | ", f.code(), f.status(), f.desc())
        })
        .collect();
    let is_missing = |row: &&String| !text.lines().any(|line| line.starts_with(row.as_str()));
    assert_none(
        rows.iter()
            .filter(is_missing)
            .map(|row| format!("{path}: no row `{row}…`: say there what it means and what to do"))
            .collect(),
    );
    let stale = text.lines().filter(|line| line.starts_with("| `"));
    assert_none(
        stale
            .filter(|line| !rows.iter().any(|row| line.starts_with(row.as_str())))
            .map(|line| format!("{path}: no fault is like `{line}`: mend or remove the row"))
            .collect(),
    );
}

fn root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
