//! The command line: `hostler serve`, and commands that call the push API like any other client.
//!
//! Invariants: a command computes what it prints and one place prints it; `--json` prints what the
//! push API said and nothing else; an exit code follows from the kind of failure
//! ([`failure`] has them).

mod apps;
mod args;
mod certs;
mod demo;
mod domains;
mod dynos;
mod explain;
mod failure;
mod fleet;
mod generate;
mod maintenance;
mod output;
mod pages;
mod parent;
mod run;
mod settings;
mod stats;
mod store;
mod table;
mod tokens;
mod travel;

#[cfg(test)]
mod tests;

pub use args::command;
pub use run::main;
