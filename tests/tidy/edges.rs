//! Who may import whom, and the one home of each dependency.
//!
//! The tables are the design. An edge is a path `crate::part::…` in the code, tests included; a
//! part that is not in the table may import nothing. What `serve` and `control` have in common goes
//! through `live`; the pure parts know neither sockets nor clock.

use crate::{
    assert_finds, assert_none,
    source::{self, Source, each},
};

/// Each part, and what it may import; a part may always import itself. `serve` stands for all of
/// its folders, `control/*` for each folder of `control`.
const EDGES: &[(&str, &[&str])] = &[
    ("route", &[]),
    ("wire", &[]),
    ("balance", &[]),
    ("api", &["tls"]),
    ("error", &[]),
    ("shutdown", &[]),
    ("units", &["route::Host", "route::HostError"]),
    ("near", &[]),
    ("telemetry", &["error"]),
    ("tls", &["route", "error"]),
    ("live", &["route", "balance", "tls", "error"]),
    ("serve", &["route", "wire", "balance", "live", "tls", "error", "telemetry", "shutdown"]),
    (
        "control/*",
        &[
            "control",
            "route",
            "balance",
            "api",
            "live",
            "tls",
            "error",
            "telemetry",
            "shutdown",
            "units",
            "near",
        ],
    ),
    ("grid", &["api", "error", "telemetry", "shutdown"]),
    ("bench", &["api", "error", "telemetry", "shutdown"]),
    (
        "cli",
        &["api", "error", "telemetry", "shutdown", "config", "control::store", "grid", "bench"],
    ),
    (
        "config",
        &[
            "serve::Settings",
            "serve::settings",
            "control::Settings",
            "control::health::Settings",
            "control::hub::Settings",
            "control::api::Settings",
            "control::store::StoreKey",
            "telemetry::Level",
            "telemetry::LogFormat",
            "telemetry::diagnostics",
            "units",
            "near",
        ],
    ),
    ("wiring", &["*"]),
    ("main", &["*"]),
    ("lib", &["*"]),
];

/// Dependencies with one home, and the paths below src/ that are it.
const HOMES: &[(&str, &[&str])] = &[
    ("arc_swap", &["live/swap.rs"]),
    ("dashmap", &["live/"]),
    ("httparse", &["wire/head.rs"]),
    ("hyper", HYPER),
    ("hyper_util", HYPER),
    ("h2", &["serve/edge/h2", "serve/dyno/channels", "control/health/grpc.rs"]),
    ("axum", &["control/api/"]),
    ("rustls", &["tls/"]),
    ("tokio_rustls", &["tls/"]),
    ("aws_lc_rs", &["tls/", "control/store/seal.rs", "balance/affinity.rs"]),
    ("prometheus", &["telemetry/"]),
    ("tracing_subscriber", &["telemetry/"]),
    ("rusqlite", &["control/store/"]),
    ("etcd_client", &["control/store/"]),
    ("idna", &["route/host.rs"]),
    ("sha2", &["route/digest.rs", "control/api/tokens.rs"]),
    ("toml", &["config/"]),
    ("clap", &["config/", "cli/", "main.rs"]),
];

/// HTTP/2, the push API on both sides, probes, and the dynos of the demo.
const HYPER: &[&str] =
    &["api/", "control/health/", "control/wake/", "control/api/", "cli/demo/dyno.rs"];

/// The parts without sockets, clock, log and locks, and what they therefore never name.
const PURE: [&str; 5] = ["route", "wire", "balance", "units", "near"];
const IMPURE: [&str; 12] = [
    "tokio",
    "tracing",
    "Instant",
    "SystemTime",
    "Mutex",
    "RwLock",
    "Condvar",
    "TcpStream",
    "TcpListener",
    "UnixStream",
    "getrandom",
    "fs",
];

#[test]
fn parts_import_only_what_the_design_lets_them() {
    assert_none(each(&source::of_crate(), edges));
    for (path, text) in [
        ("src/route/x.rs", "use crate::error::Fault;"),
        ("src/serve/worker.rs", "use crate::{error, control::hub};"),
        ("src/control/hub/x.rs", "fn f() { crate::serve::run() }"),
        ("src/live/x.rs", "use super::super::control;"),
        ("src/config/x.rs", "use crate::{\n    serve::worker,\n};"),
        ("src/config/x.rs", "use crate::serve;\nfn f(s: serve::Settings) { serve::run(s) }"),
        ("src/novel/x.rs", "use crate::error::Fault;"),
    ] {
        assert_finds(path, text, edges);
    }
    let allowed = "use crate::{error::Fault, live::{Cell, cell::AppCell}, route::*};";
    assert!(edges(&Source { path: "src/serve/x.rs".into(), text: allowed.into() }).is_empty());
}

fn edges(source: &Source) -> Vec<String> {
    let part = source.part();
    let whole = part.split('/').next().unwrap_or_default();
    let row = EDGES.iter().find(|(name, _)| {
        *name == whole || name.strip_suffix("/*").is_some_and(|folder| folder == whole)
    });
    let allowed = row.map_or(&[] as &[&str], |(_, allowed)| *allowed);
    let code = source.code();
    let mut found = Vec::new();
    for (line, path) in crate_paths(&code) {
        let is_own = begins_with(&path, whole);
        let is_allowed = allowed.iter().any(|a| *a == "*" || begins_with(&path, a));
        // `use crate::serve;` and then `serve::Settings`: what follows in the code decides.
        let is_prefix = continuations(&code, &path).is_some_and(|mut deeper| {
            deeper.all(|deeper| allowed.iter().any(|a| begins_with(&deeper, a)))
        });
        if !(is_own || is_allowed || is_prefix) {
            let may = if allowed.is_empty() { "nothing".into() } else { allowed.join(", ") };
            let what = format!(
                "{part} names crate::{path}: it may import {may}. Pass the value in from wiring, \
                 or change the design and the table in tests/tidy/edges.rs"
            );
            found.push(source.at(line, &what));
        }
    }
    for (at, line) in code.lines().enumerate().filter(|(_, l)| l.contains("super::super")) {
        let what = format!("`{}` hides an edge: write crate::…", line.trim());
        found.push(source.at(at, &what));
    }
    found
}

/// The paths that code makes of an imported one; none if it makes none.
fn continuations(code: &str, path: &str) -> Option<impl Iterator<Item = String>> {
    let name = path.rsplit("::").next().unwrap_or_default();
    let mut paths = Vec::new();
    for (at, _) in code.match_indices(&format!("{name}::")) {
        let before = code[..at].chars().next_back();
        if before.is_none_or(|c| !c.is_alphanumeric() && !"_:".contains(c)) {
            expand(path, &code[at + name.len() + 2..], &mut paths);
        }
    }
    (!paths.is_empty()).then(|| paths.into_iter())
}

fn begins_with(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Every `crate::…` path in the code, groups taken apart, with its line.
fn crate_paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        // `$crate::` in a macro names this crate too; `hostler_crate::` does not.
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let line = code[..at].matches('\n').count();
        let mut paths = Vec::new();
        expand("", &code[at + "crate::".len()..], &mut paths);
        found.extend(paths.into_iter().map(|path| (line, path)));
    }
    found
}

/// Reads one path, or a group of them, and answers with what follows it.
fn expand<'a>(prefix: &str, code: &'a str, paths: &mut Vec<String>) -> &'a str {
    let code = code.trim_start();
    if let Some(mut rest) = code.strip_prefix('{') {
        loop {
            rest = rest.trim_start_matches([',', ' ', '\n']);
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
            let before = rest.len();
            rest = expand(prefix, rest, paths);
            if rest.len() == before {
                return rest;
            }
        }
    }
    let length = code.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len());
    let (name, rest) = code.split_at(length);
    let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}::{name}") };
    match rest.strip_prefix("::") {
        Some(deeper) => expand(&path, deeper, paths),
        None => {
            // `as name` belongs to the path before it.
            let rest = rest.strip_prefix(" as ").map_or(rest, |renamed| {
                renamed.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_')
            });
            // `route::*` has no name of its own.
            let star = rest.strip_prefix('*');
            paths.push(path.trim_end_matches(':').to_owned());
            star.unwrap_or(rest)
        }
    }
}

#[test]
fn every_dependency_has_one_home() {
    assert_none(each(&source::of_crate(), homes));
    assert_finds("src/serve/x.rs", "use hyper::body::Body;", homes);
    assert_finds("src/live/cell.rs", "static A: arc_swap::ArcSwap<u8>;", homes);
}

fn homes(source: &Source) -> Vec<String> {
    let code = source.code();
    let mut found = Vec::new();
    for (name, homes) in HOMES {
        if homes.iter().any(|home| source.path.starts_with(&format!("src/{home}"))) {
            continue;
        }
        for (at, line) in code.lines().enumerate().filter(|(_, line)| names_crate(line, name)) {
            let what = format!(
                "`{}` names {name}, whose home is {}: call what stands there",
                line.trim(),
                homes.join(", ")
            );
            found.push(source.at(at, &what));
        }
    }
    found
}

fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = &line[at + name.len()..];
        let begins =
            before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':' && c != '.');
        let is_use = line.trim() == format!("use {name};");
        begins && (after.starts_with("::") || is_use)
    })
}

#[test]
fn pure_parts_know_no_sockets_no_clock_and_no_locks() {
    assert_none(each(&source::of_crate(), pure));
    assert_finds("src/route/x.rs", "let now = std::time::Instant::now();", pure);
    assert_finds("src/wire/x.rs", "use tokio::io;", pure);
}

fn pure(source: &Source) -> Vec<String> {
    if !PURE.contains(&source.part().as_str()) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (at, line) in source.code().lines().enumerate() {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        if let Some(word) = words.find(|word| IMPURE.contains(word)) {
            let what = format!(
                "{word} has no place in a pure part: take the value as an argument, from the shell"
            );
            found.push(source.at(at, &what));
        }
    }
    found
}
