//! The command line: `hostler serve`, and commands that call the push API like any other client.
//!
//! Invariants: a command computes what it prints and one place prints it; `--json` prints what the
//! push API said and nothing else; exit codes are 0 done, 1 refused or failed, 2 wrong usage, 3 the
//! push API cannot be reached.

mod apps;
mod args;
mod demo;
mod domains;
mod dynos;
mod failure;
mod maintenance;
mod output;
mod pages;
mod parent;
mod run;
mod settings;
mod tokens;
mod travel;

#[cfg(test)]
mod tests;

pub use args::command;
pub use run::main;
