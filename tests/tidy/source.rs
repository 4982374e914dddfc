//! The sources as the rules read them.
//!
//! Invariant: `code()` keeps the lines where they are: comments and literals become spaces, so that
//! a rule about names never trips over prose, and a finding's line is the file's.

use std::{fs, path::Path};

/// One file of the project.
pub struct Source {
    /// Its path below the root, with slashes.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Every Rust file of the project, sorted by path.
pub fn all() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches", "fuzz"] {
        collect(root, &root.join(folder), &mut found);
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.iter().any(|source| source.path == "src/lib.rs"), "the sources are found");
    found
}

/// Those of the crate itself.
pub fn of_crate() -> Vec<Source> {
    all().into_iter().filter(|source| source.path.starts_with("src/")).collect()
}

/// What a rule finds in some files.
pub fn each(sources: &[Source], rule: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    sources.iter().flat_map(rule).collect()
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && name != "node_modules" {
            collect(root, &path, found);
        } else if name.ends_with(".rs") {
            let below = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            found.push(Source { path: below, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

impl Source {
    /// A finding in a line, counted from 0.
    pub fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{}: {what}", self.path, line + 1)
    }

    /// The part of the crate that the file belongs to: `live`, `control/store`, `error`.
    pub fn part(&self) -> String {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let mut names = below.trim_end_matches(".rs").split('/');
        let first = names.next().unwrap_or_default().to_owned();
        match (first.as_str(), names.next()) {
            ("control", Some(second)) if second != "mod" => format!("control/{second}"),
            _ => first,
        }
    }

    /// The text with comments and the insides of literals blanked out.
    pub fn code(&self) -> String {
        blank(&self.text)
    }
}

fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let (from, to) = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => (at, find(bytes, at, b"\n")),
            b'/' if bytes[at..].starts_with(b"/*") => (at, find(bytes, at, b"*/") + 2),
            b'"' => (at + 1, end_of_string(bytes, at + 1)),
            b'r' if raw_hashes(bytes, at).is_some() => {
                let hashes = raw_hashes(bytes, at).unwrap();
                let end = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
                (at, find(bytes, at + hashes + 2, &end) + end.len())
            }
            b'\'' => match end_of_char(bytes, at) {
                Some(end) => (at + 1, end),
                None => (at, at),
            },
            _ => (at, at),
        };
        let to = to.min(bytes.len());
        out[from..to].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        // One past the closing quote, which stays.
        at = to.max(at) + usize::from(to < bytes.len() && bytes[to] != b'\n' || to == at);
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> usize {
    let from = from.min(bytes.len());
    let rest = &bytes[from..];
    rest.windows(what.len()).position(|w| w == what).map_or(bytes.len(), |at| from + at)
}

fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at
}

/// The hashes of a raw string that begins here; none if none does.
fn raw_hashes(bytes: &[u8], at: usize) -> Option<usize> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    // `br"…"` is one too; any other name that ends in r is not.
    let before = &bytes[..at];
    let before = before.strip_suffix(b"b").unwrap_or(before);
    if before.last().is_some_and(|byte| is_name(*byte)) {
        return None;
    }
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    (bytes.get(at + 1 + hashes) == Some(&b'"')).then_some(hashes)
}

/// The closing quote of a character literal; none for a lifetime.
fn end_of_char(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at + 1) == Some(&b'\\') {
        return Some(find(bytes, at + 3, b"'"));
    }
    // A character has at most four bytes.
    (at + 2..at + 6).find(|end| bytes.get(*end) == Some(&b'\'')).filter(|end| {
        std::str::from_utf8(&bytes[at + 1..*end]).is_ok_and(|c| c.chars().count() == 1)
    })
}

#[test]
fn comments_and_literals_are_blanked_in_place() {
    for (text, code) in [
        ("a // b\nc", "a     \nc"),
        ("a(\"x\\\"y\") + b", "a(\"    \") + b"),
        ("f('\"', b'x', '\\'') g<'a>", "f(' ', b' ', '  ') g<'a>"),
        ("x = r#\"a\"b\"#; y", "x =         ; y"),
        ("/* a */ b", "        b"),
        ("for_r(\"q\")", "for_r(\" \")"),
    ] {
        assert_eq!(blank(text), code, "{text}");
    }
}
