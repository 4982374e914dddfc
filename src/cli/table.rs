//! `hostler table export` and `table import`: the whole table out of a hub, and into one.
//!
//! Invariants: neither holds the table: it is printed as it comes and read as it goes; an export
//! that breaks off ends with an exit code that says so, and a file that does changes nothing.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    thread,
};

use bytes::Bytes;
use clap::{Args, Subcommand};
use tokio::sync::mpsc;

use super::{args::Api, failure::Failure, output};
use crate::api::{Client, ClientError, Receipt, TableTerms};

/// How much is read at once, in bytes.
const PIECE: usize = 64 << 10;
/// How many pieces wait to be sent.
const AHEAD: usize = 4;

/// `hostler table`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hostler table export --at 41 > table.ndjson\n  \
                        hostler table import table.ndjson")]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub(super) struct Table {
    #[command(subcommand)]
    command: TableCommand,
    #[command(flatten)]
    pub(super) api: Api,
}

#[derive(Debug, Subcommand)]
enum TableCommand {
    /// Print the whole table as lines of JSON: a header, then every app, dyno and route
    #[command(after_help = "Example:\n  hostler table export --at 2026-11-23T08:00:00Z")]
    Export {
        /// As it was at this revision or time [default: now]
        #[arg(long, value_name = "WHEN")]
        at: Option<String>,
    },
    /// Replace the whole table by lines of JSON, as export prints them
    #[command(after_help = "Examples:\n  hostler table import table.ndjson\n  \
                            hostler table export --url http://one:9080 | hostler table import -")]
    Import {
        /// The file; - is standard input
        file: PathBuf,
        /// Only if the table still stands at this revision
        #[arg(long, value_name = "REVISION")]
        if_revision: Option<u64>,
    },
}

impl Table {
    /// Does the command and answers what to print; an export prints by itself.
    pub(super) async fn run(&self, client: &Client) -> Result<String, Failure> {
        match &self.command {
            TableCommand::Export { at } => export(client, at.as_deref()).await,
            TableCommand::Import { file, if_revision } => {
                let terms = TableTerms { if_revision: *if_revision };
                let receipt = client.put_table(&terms, pieces_of(file)?).await?;
                Ok(output::receipt(
                    self.api.json,
                    &receipt,
                    &told(&receipt),
                    "The table is the same",
                ))
            }
        }
    }
}

async fn export(client: &Client, at: Option<&str>) -> Result<String, Failure> {
    match client.table(at, output::print_piece).await {
        Err(ClientError::Output { source }) if source.kind() == io::ErrorKind::BrokenPipe => {}
        exported => exported?,
    }
    Ok(String::new())
}

fn told(receipt: &Receipt) -> String {
    let counts = receipt.counts.unwrap_or_default();
    let (added, changed, removed) = (counts.added, counts.changed, counts.removed);
    format!("Replaced the table: {added} objects added, {changed} changed, {removed} removed")
}

/// Reads a file, on a thread of its own, as fast as its pieces are taken.
fn pieces_of(file: &Path) -> Result<mpsc::Receiver<io::Result<Bytes>>, Failure> {
    let unreadable =
        |error: io::Error| Failure::Usage(format!("{} cannot be read: {error}", file.display()));
    let mut input: Box<dyn Read + Send> = match file == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(file).map_err(unreadable)?),
    };
    let (pieces, waiting) = mpsc::channel(AHEAD);
    let read = move || {
        let mut buffer = vec![0; PIECE];
        loop {
            let piece = match input.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => Ok(Bytes::copy_from_slice(&buffer[..count])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let is_last = piece.is_err();
            // Nobody takes the rest once the push API has answered.
            if pieces.blocking_send(piece).is_err() || is_last {
                return;
            }
        }
    };
    thread::Builder::new().name("import".into()).spawn(read).map_err(unreadable)?;
    Ok(waiting)
}
