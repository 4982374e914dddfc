//! Writes `config/default.toml` from the declarations.
//!
//! Invariant: a file with every line in force means the same as no file.

use super::keys::{KEYS, Key, Read};

const HEADER: &str = "\
# Every setting of Hostler with its default. Generated from its declarations: `make config`.
#
# Name this file with --config PATH or HOSTLER_CONFIG. A variable of the environment wins over the
# file, a flag over both. Unknown names are refused. Take the # away from what you change.
";

/// The file with every setting commented out: what it is for, its other names, its default.
pub fn default_toml() -> String {
    let mut out = HEADER.to_owned();
    let mut group = "";
    for key in KEYS {
        let (in_group, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if in_group != group {
            group = in_group;
            out += &format!("\n[{group}]\n");
        }
        let flag = key.flag().map(|flag| format!(", --{flag}")).unwrap_or_default();
        out += &format!("\n{}# {}{flag}\n#{name} = {}\n", comment(key.doc), key.env(), value(key));
    }
    out
}

fn comment(doc: &str) -> String {
    const WIDTH: usize = 96;
    let mut out = String::new();
    let mut line = String::from("#");
    for word in doc.split_whitespace() {
        if line.len() + word.len() >= WIDTH {
            out += &line;
            out.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line += word;
    }
    out + &line + "\n"
}

fn value(key: &Key) -> String {
    let quoted = |text: &str| format!("\"{text}\"");
    match key.read {
        Read::Switch(_) | Read::Count(..) | Read::Count32(..) => key.default.into(),
        Read::List(_) => {
            let entries = key.default.split(", ").filter(|entry| !entry.is_empty());
            format!("[{}]", entries.map(quoted).collect::<Vec<_>>().join(", "))
        }
        _ if key.default.bytes().all(|b| b.is_ascii_digit()) && !key.default.is_empty() => {
            key.default.into()
        }
        _ => quoted(key.default),
    }
}
