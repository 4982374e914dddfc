//! `hostler store`: what an operator does with the data directory, without the push API.
//!
//! Invariants: settings are read as `serve` reads them, so that both mean one directory; backup and
//! verify run beside a router, all others refuse while one has the directory; what is wrong with a
//! store is told and ends with an exit code of 1.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{ArgMatches, Args, Subcommand};

use super::{failure::Failure, output};
use crate::{
    config,
    control::store::{self, Compacted, Replaced, StoreError, Verdict},
};

/// The settings that the commands read.
const SETTINGS: [&str; 2] = ["data_dir", "store.retention"];

/// `hostler store`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hostler store backup /backups/hostler.db")]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub(super) struct Store {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Copy the store into a file, beside a running router too, and look through the copy
    #[command(after_help = "Example:\n  hostler store backup /backups/hostler.db")]
    Backup {
        /// The file to make; its directory must be there
        file: PathBuf,
        /// Replace the file if it is there
        #[arg(long)]
        replace: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put a backup in the place of the store, which is kept beside it
    #[command(after_help = "Example:\n  hostler store restore /backups/hostler.db")]
    Restore {
        /// The backup
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Look through the store, or through a backup: every revision's digest is computed anew
    #[command(after_help = "Example:\n  hostler store verify /backups/hostler.db")]
    Verify {
        /// The backup [default: the store, which may be in use]
        file: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget what is older than store.retention, and give the disk back what is not used
    #[command(after_help = "Example:\n  hostler store compact --store-retention 24h")]
    Compact {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Begin a new history with the table of the snapshot, where the store is damaged
    #[command(after_help = "Example:\n  hostler store recover")]
    Recover {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// The commands with the flags of the settings that they read.
pub(super) fn with_settings(store: clap::Command) -> clap::Command {
    store.mut_subcommands(|command| command.args(config::flags_of(&SETTINGS)))
}

impl Store {
    /// Does the command and answers what to print, and why it failed.
    pub(super) fn run(&self, matches: &ArgMatches) -> (String, Result<(), Failure>) {
        let done = matches.subcommand().map(|(_, matches)| config::load(matches));
        let settings = match done.expect("store has subcommands") {
            Ok(settings) => settings,
            Err(mistakes) => return (String::new(), Err(Failure::Usage(mistakes.to_string()))),
        };
        let dir = settings.data_dir;
        let done = match &self.command {
            StoreCommand::Backup { file, replace, json } => backup(&dir, file, *replace, *json),
            StoreCommand::Restore { file, json } => {
                let done = store::restore(&dir, file);
                done.map(|replaced| told(&replaced, "The store is that of the backup", *json))
            }
            StoreCommand::Recover { json } => {
                let done = store::recover(&dir);
                let what = "A new history begins with the table of the snapshot; tokens have to be \
                            made anew";
                done.map(|replaced| told(&replaced, what, *json))
            }
            StoreCommand::Compact { json } => {
                let retention = settings.hub.retention;
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let since = now.saturating_sub(retention).as_millis();
                let since = if retention.is_zero() { 0 } else { since };
                let since = u64::try_from(since).unwrap_or(u64::MAX);
                store::compact(&dir, since).map(|compacted| compacted_text(&compacted, *json))
            }
            StoreCommand::Verify { file, json } => return verify(&dir, file.as_deref(), *json),
        };
        match done {
            Ok(text) => (text, Ok(())),
            Err(error) => (String::new(), Err(Failure::Failed(error.to_string()))),
        }
    }
}

fn backup(dir: &Path, file: &Path, replace: bool, json: bool) -> Result<String, StoreError> {
    let verdict = store::backup(dir, file, replace)?;
    if json {
        return Ok(output::json(&verdict));
    }
    let (newest, digest) = (verdict.newest, &verdict.digest);
    let file = output::printable(&verdict.database);
    Ok(format!("{file} has the store up to revision {newest}, digest {digest}\n"))
}

fn verify(dir: &Path, file: Option<&Path>, json: bool) -> (String, Result<(), Failure>) {
    let looked = match file {
        Some(file) => store::verify(file),
        None => store::verify_dir(dir),
    };
    let verdict = match looked {
        Ok(verdict) => verdict,
        Err(error) => return (String::new(), Err(Failure::Failed(error.to_string()))),
    };
    let outcome = match verdict.findings.len() {
        0 => Ok(()),
        _ => Err(Failure::Failed(format!("{} is damaged", verdict.database))),
    };
    (if json { output::json(&verdict) } else { verdict_text(&verdict) }, outcome)
}

fn verdict_text(verdict: &Verdict) -> String {
    let Verdict { database, oldest, newest, digest, revisions, versions, findings } = verdict;
    let mut text = String::new();
    let line = |text: &mut String, line: String| {
        writeln!(text, "{}", output::printable(&line)).expect("a String takes all");
    };
    for finding in findings {
        line(&mut text, format!("{database}: {finding}"));
    }
    let begins = if *oldest > 0 { format!(", from {oldest} on") } else { String::new() };
    if findings.is_empty() {
        let all = format!("{revisions} revisions{begins}, {versions} versions of objects");
        let newest = format!("the newest revision {newest} with digest {digest}");
        line(&mut text, format!("{database} is sound: {all}, {newest}"));
    }
    text
}

fn told(replaced: &Replaced, what: &str, json: bool) -> String {
    if json {
        return output::json(replaced);
    }
    let Replaced { revision, digest, kept_in } = replaced;
    let mut text = format!("{what}: revision {revision}, digest {digest}\n");
    if let Some(folder) = kept_in {
        let folder = output::printable(&folder.display().to_string());
        writeln!(text, "What was there is kept in {folder}").expect("a String takes all");
    }
    text
}

fn compacted_text(compacted: &Compacted, json: bool) -> String {
    if json {
        return output::json(compacted);
    }
    let Compacted { bytes_before, bytes_after, oldest } = compacted;
    let begins = match oldest {
        0 => "all revisions are kept".to_owned(),
        oldest => format!("the oldest revision that is kept is {oldest}"),
    };
    format!("The store had {bytes_before} bytes and has {bytes_after}; {begins}\n")
}
