//! Sizes and shapes: file headers, lengths, what a folder's `mod.rs` holds.
//!
//! Functions are found by their indentation, which rustfmt guarantees: a function ends at the first
//! closing brace that stands as far in as its `fn`.

use std::collections::BTreeSet;

use crate::{
    assert_finds, assert_none,
    source::{self, Source, each},
};

const MAX_FILE_LINES: usize = 500;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_LINE_CHARS: usize = 100;
const HEADER_LINES: std::ops::RangeInclusive<usize> = 3..=15;
/// The map of the crate: words, reading order and invariants need their space.
const LONG_HEADERS: [&str; 1] = ["src/lib.rs"];

#[test]
fn every_file_opens_with_what_it_holds() {
    assert_none(each(&source::all(), header));
    assert_finds("src/live/x.rs", "use std::fmt;\n", header);
    assert_finds("src/live/x.rs", "//! Brief.\n\nuse std::fmt;\n", header);
}

fn header(source: &Source) -> Vec<String> {
    let lines = source.text.lines().take_while(|line| line.starts_with("//!")).count();
    // What a folder holds stands in its files, what tests show in their names: one line will do.
    let is_brief = ["/mod.rs", "/tests.rs"].iter().any(|end| source.path.ends_with(end))
        || source.path.starts_with("tests/it/");
    let least = if is_brief { 1 } else { *HEADER_LINES.start() };
    // A bench keeps its figures in its header.
    let long = LONG_HEADERS.contains(&source.path.as_str()) || source.path.starts_with("benches/");
    if lines >= least && (long || lines <= *HEADER_LINES.end()) {
        return Vec::new();
    }
    let what = format!(
        "the header has {lines} lines: open with `//!`, what the file holds and then its \
         invariants, {least} to {} lines",
        HEADER_LINES.end()
    );
    vec![source.at(0, &what)]
}

#[test]
fn no_file_no_function_and_no_line_is_too_long() {
    assert_none(each(&source::all(), lengths));
    let body = "    let x = 1;\n".repeat(MAX_FUNCTION_LINES);
    assert_finds("src/x.rs", &format!("pub async fn f(\n    a: u8,\n) {{\n{body}}}\n"), lengths);
    assert_finds("src/x.rs", &"// x\n".repeat(MAX_FILE_LINES + 1), lengths);
    assert_finds("src/x.rs", &"x".repeat(MAX_LINE_CHARS + 1), lengths);
}

fn lengths(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let count = source.text.lines().count();
    if count > MAX_FILE_LINES {
        let what =
            format!("{count} lines, at most {MAX_FILE_LINES}: it holds two ideas, part them");
        found.push(source.at(0, &what));
    }
    for (at, line) in source.text.lines().enumerate() {
        let chars = line.chars().count();
        if chars > MAX_LINE_CHARS {
            found.push(source.at(at, &format!("{chars} characters: break the line at 100")));
        }
    }
    let code = source.code();
    let lines: Vec<&str> = code.lines().collect();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| begins_function(line)) {
        let length = function_length(&lines[at..], line);
        if length > MAX_FUNCTION_LINES {
            let what = format!(
                "the function has {length} lines, at most {MAX_FUNCTION_LINES}: name its steps"
            );
            found.push(source.at(at, &what));
        }
    }
    found
}

fn begins_function(line: &str) -> bool {
    let known = ["pub", "const", "async", "unsafe", "extern", "default"];
    let mut words = line.split_whitespace();
    let is_before = |word: &str| {
        known.contains(&word) || word.starts_with("pub(") || word.ends_with(')') || word == "\" \""
    };
    words.find(|word| !is_before(word)) == Some("fn")
}

fn function_length(lines: &[&str], first: &str) -> usize {
    let indent = first.len() - first.trim_start().len();
    let end = format!("{}}}", " ".repeat(indent));
    for (at, line) in lines.iter().enumerate() {
        let line = line.trim_end();
        // `fn f() {}` and a signature in a trait end where they are.
        let is_short = at == 0 && (line.ends_with('}') || line.ends_with(';'));
        let ends_signature = line == format!("{});", " ".repeat(indent));
        let is_end = line.strip_prefix(&end).is_some_and(|rest| matches!(rest, "" | ";" | ","));
        if is_short || ends_signature || (at > 0 && is_end) {
            return at + 1;
        }
    }
    lines.len()
}

#[test]
fn a_folders_mod_rs_holds_its_doc_and_its_names_alone() {
    assert_none(each(&source::of_crate(), mod_rs));
    assert_finds("src/live/mod.rs", "//! Doc.\npub mod cell;\npub fn f() {}\n", mod_rs);
    assert!(
        mod_rs(&Source {
            path: "src/live/mod.rs".into(),
            text: "//! D.\n#[cfg(test)]\nmod tests;\npub mod a;\npub use a::{\n    B, C,\n};\n"
                .into(),
        })
        .is_empty()
    );
}

fn mod_rs(source: &Source) -> Vec<String> {
    if !source.path.ends_with("/mod.rs") || source.path.ends_with("/tests/mod.rs") {
        return Vec::new();
    }
    let code = source.code();
    let mut statements = code.split(';').map(str::trim).filter(|statement| !statement.is_empty());
    let is_name = |statement: &str| {
        let after = |s: &str| s.split_once(']').map_or("", |(_, rest)| rest.trim()).to_owned();
        let bare =
            if statement.starts_with("#[") { after(statement) } else { statement.to_owned() };
        let declared =
            bare.starts_with("pub ") || bare.starts_with("pub(") || bare.starts_with("mod ");
        declared && (bare.contains("mod ") || bare.contains("use ")) && !bare.contains("fn ")
    };
    statements
        .find(|statement| !is_name(statement))
        .map(|statement| {
            let first = statement.lines().next().unwrap_or_default();
            let what = format!("`{first}` is neither a module nor a public name: give it a file");
            source.at(0, &what)
        })
        .into_iter()
        .collect()
}

#[test]
fn every_module_file_is_part_of_the_crate() {
    let sources = source::of_crate();
    let declared: BTreeSet<String> = sources.iter().flat_map(declares).collect();
    let is_root = |path: &str| matches!(path, "src/lib.rs" | "src/main.rs");
    assert_none(
        sources
            .iter()
            .filter(|s| !is_root(&s.path) && !declared.contains(&module_of(&s.path)))
            .map(|s| s.at(0, "no `mod` names this file: declare it or remove it"))
            .collect(),
    );
}

/// `src/live/cell.rs` and `src/live/cell/mod.rs` are `src/live/cell`.
fn module_of(path: &str) -> String {
    path.trim_end_matches(".rs").trim_end_matches("/mod").to_owned()
}

fn declares(source: &Source) -> Vec<String> {
    let own = module_of(&source.path);
    let base = match own.as_str() {
        "src/lib" | "src/main" => "src",
        own => own,
    };
    let code = source.code();
    let name = |line: &str| {
        let (_, rest) = line.split_once("mod ")?;
        Some(format!("{base}/{}", rest.strip_suffix(';')?))
    };
    code.lines().filter_map(|line| name(line.trim())).collect()
}
