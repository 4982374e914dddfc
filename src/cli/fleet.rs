//! `hostler routers` and `hostler feed`: how far the routers are, and what happens as it happens.
//!
//! Invariants: `feed` prints by itself, a line a transaction, and goes on by itself after a cut; it
//! ends when it is told to, when its reader goes away, or when the push API refuses it for good.

use std::io;

use clap::Args;

use super::{args::Api, failure::Failure, output};
use crate::api::{
    Client, ClientError, FeedChange, FeedEvent, FeedTransaction, ObjectName, RouterView,
};

/// `hostler routers`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hostler routers")]
pub(super) struct Routers {
    #[command(flatten)]
    pub(super) api: Api,
}

impl Routers {
    /// Does the command and answers what to print.
    pub(super) async fn run(&self, client: &Client) -> Result<String, Failure> {
        let routers = client.routers().await?;
        if self.api.json {
            return Ok(output::json(&routers));
        }
        let rows: Vec<_> = routers.items.iter().map(row).collect();
        let names = ["ROUTER", "REVISION", "LAG", "BEHIND", "LAST SIGN", "WORKERS", "STATE"];
        Ok(output::table(names, &rows))
    }
}

fn row(router: &RouterView) -> [String; 7] {
    let number = |value: Option<u64>| value.map_or("-".into(), |value| value.to_string());
    let seconds = |ms: u64| format!("{}.{}s", ms / 1000, ms % 1000 / 100);
    let state = match (router.live, router.digest_ok) {
        (true, Some(false)) => "live, another table",
        (false, Some(false)) => "dead, another table",
        (true, _) => "live",
        (false, _) => "dead",
    };
    [
        router.id.clone(),
        number(router.revision),
        number(router.lag),
        router.behind_ms.map_or("-".into(), seconds),
        seconds(router.age_ms),
        number(router.workers),
        state.into(),
    ]
}

/// `hostler feed`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hostler feed\n  hostler feed --from 41 --json")]
pub(super) struct Feed {
    /// Begin behind this revision, if it is not too long ago [default: now]
    #[arg(long, value_name = "REVISION")]
    from: Option<u64>,
    #[command(flatten)]
    pub(super) api: Api,
}

impl Feed {
    /// Does the command, which prints by itself.
    pub(super) async fn run(&self, client: &Client) -> Result<String, Failure> {
        let from = match self.from {
            Some(from) => from,
            // The table itself is nothing to look at.
            None => client.revision().await?.revision,
        };
        let mut feed = client.feed(Some(from));
        loop {
            let text = match feed.next().await? {
                FeedEvent::Transaction(made) if self.api.json => line(&made),
                FeedEvent::Transaction(made) => told(&made),
                FeedEvent::SnapshotEnd(point) if !self.api.json => {
                    format!("What led to revision {} is not told any more\n", point.revision)
                }
                _ => continue,
            };
            match output::print_piece(text.as_bytes()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(String::new()),
                Err(source) => return Err(ClientError::Output { source }.into()),
            }
        }
    }
}

/// A transaction as a line of JSON.
fn line(made: &FeedTransaction) -> String {
    format!("{}\n", serde_json::to_string(made).expect("wire types are JSON"))
}

/// A transaction for people.
fn told(made: &FeedTransaction) -> String {
    let FeedTransaction { revision, at_ms, author, address, reason, .. } = made;
    let address = address.as_ref().map(|address| format!("@{address}")).unwrap_or_default();
    let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let head = format!("{revision} {} {author}{address}{reason}", output::time(*at_ms));
    let mut text = output::printable(&head) + "\n";
    for change in &made.changes {
        let change = match change {
            FeedChange::Put(object) => format!("  + {}", object.get()),
            FeedChange::Remove(ObjectName::App { name }) => format!("  - app {name}"),
            FeedChange::Remove(ObjectName::Cert { name }) => format!("  - certificate {name}"),
            FeedChange::Remove(ObjectName::Dyno { app, name }) => {
                format!("  - dyno {name} of app {app}")
            }
            FeedChange::Remove(ObjectName::Route { host, path }) => {
                format!("  - route {host}{}", path.as_deref().unwrap_or_default())
            }
        };
        text += &output::printable(&change);
        text.push('\n');
    }
    text
}
