//! `hostler completion` and `hostler man`: what other programs know of the command line.
//!
//! Invariants: both are made from the command line itself, and so know every command and flag of
//! this binary and no other, but for what is hidden.

use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;

use super::{args, failure::Failure};

const COMPLETION: &str = "\
Example:
  hostler completion bash > /etc/bash_completion.d/hostler
  hostler completion zsh > \"${fpath[1]}/_hostler\"
  hostler completion fish > ~/.config/fish/completions/hostler.fish";

const MAN: &str = "\
Example:
  hostler man /usr/local/share/man/man1
  hostler man | man -l -";

/// `hostler completion`.
#[derive(Debug, Args)]
#[command(after_help = COMPLETION)]
pub(super) struct Completion {
    /// Whose
    shell: Shell,
}

impl Completion {
    /// The script.
    pub(super) fn run(&self) -> String {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut shown(), "hostler", &mut script);
        String::from_utf8_lossy(&script).into_owned()
    }
}

/// The command line without the commands that are hidden, which a script would offer all the same.
fn shown() -> Command {
    let whole = args::command();
    let commands = whole.get_subcommands().filter(|command| !command.is_hide_set());
    Command::new("hostler")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .args(whole.get_arguments().cloned())
        .subcommands(commands.cloned())
}

/// `hostler man`.
#[derive(Debug, Args)]
#[command(after_help = MAN)]
pub(super) struct Man {
    /// Write a page for each command into this directory, instead of the first to standard output
    directory: Option<PathBuf>,
}

impl Man {
    /// The page, or where the pages are.
    pub(super) fn run(&self) -> Result<String, Failure> {
        let Some(directory) = &self.directory else {
            let mut page = Vec::new();
            let made = clap_mangen::Man::new(args::command()).render(&mut page);
            return match made {
                Ok(()) => Ok(String::from_utf8_lossy(&page).into_owned()),
                Err(error) => Err(Failure::Failed(format!("the page cannot be made: {error}"))),
            };
        };
        let failed = |error| {
            let place = directory.display();
            Failure::Failed(format!("cannot write the pages into {place}: {error}"))
        };
        let is_there = Path::is_dir(directory);
        let made = if is_there { Ok(()) } else { std::fs::create_dir_all(directory) };
        made.and_then(|()| clap_mangen::generate_to(args::command(), directory)).map_err(failed)?;
        Ok(format!("Wrote the pages into {}\n", directory.display()))
    }
}
