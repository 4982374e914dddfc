//! What is made from the command line: completion, asked by a real shell, and manual pages, read by
//! a real formatter.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use crate::harness::router::command;

fn printed(arguments: &[&str]) -> String {
    let output = command(arguments).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What bash offers behind these words.
fn offered(words: &[&str]) -> Vec<String> {
    const ASK: &str = r#"
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _hostler hostler "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let script = printed(&["completion", "bash"]) + ASK;
    let mut bash = Command::new("bash");
    bash.arg("-s").arg("--").args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = bash.spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(String::from).collect()
}

#[test]
fn a_shell_completes_commands_and_flags() {
    assert_eq!(offered(&["hostler", "rev"]), ["revert"]);
    assert_eq!(offered(&["hostler", "tokens", "cr"]), ["create"]);
    assert_eq!(offered(&["hostler", "dem"]), ["demo"], "another is hidden");
    assert_eq!(offered(&["hostler", "serve", "--http-li"]), ["--http-listen"]);
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(printed(&["completion", shell]).contains("maintenance"), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page_that_formatters_take() {
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("man1");
    assert!(printed(&["man", pages.to_str().unwrap()]).contains("man1"));
    let mut names: Vec<_> =
        fs::read_dir(&pages).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert!(names.contains(&pages.join("hostler.1")), "{names:?}");
    assert!(names.contains(&pages.join("hostler-tokens-create.1")), "{names:?}");
    assert!(!names.contains(&pages.join("hostler-demo-app.1")), "it is hidden");
    let output = Command::new("mandoc").args(["-T", "lint", "-W", "error"]).args(&names).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    let first = fs::read_to_string(pages.join("hostler.1")).unwrap();
    assert_eq!(printed(&["man"]), first);
    assert!(first.contains("Exit codes"), "{first}");
}

#[test]
fn a_directory_that_takes_no_pages_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let output = command(&["man", file.join("man1").to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("file/man1") && said.contains("cannot write"), "{said}");
}
