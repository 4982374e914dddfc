//! The rules of the code that no compiler holds: layout, sizes, words, and who may import whom.
//!
//! Every rule reads the sources as text and tells all that it finds at once: file, line, what is
//! wrong and what to do. A new import edge, or a new home for a dependency, is a change of the
//! design: it is made in the tables here, and reviewed as such.

#[path = "tidy/edges.rs"]
mod edges;
#[path = "tidy/layout.rs"]
mod layout;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

use source::Source;

/// Fails with every finding of a rule.
#[track_caller]
fn assert_none(findings: Vec<String>) {
    assert!(findings.is_empty(), "{} found:\n{}\n", findings.len(), findings.join("\n"));
}

/// Fails unless a rule finds something in a text that breaks it: no rule can rot unseen.
#[track_caller]
fn assert_finds(path: &str, text: &str, rule: impl Fn(&Source) -> Vec<String>) {
    let source = Source { path: path.into(), text: text.into() };
    assert!(!rule(&source).is_empty(), "the rule finds nothing in {path}:\n{text}");
}
