//! `hostler history`, `diff` and `revert`: what was, and the way back to it.
//!
//! Invariants: revisions and times are passed on as typed, the push API alone reads them; a change
//! is told on one line, whatever the objects hold.

use clap::Args;
use serde_json::{Value, json};

use super::{args::Api, failure::Failure, output};
use crate::api::{Client, DiffLine, HistoryEntry, HistoryQuery, RevertBody, Standing};

/// `hostler history`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hostler history --app blog --limit 50\n  \
                        hostler history --since 2026-11-23T08:00:00Z --author admin")]
pub(super) struct History {
    /// Only what changed this app, its hosts or its dynos
    #[arg(long, value_name = "APP")]
    app: Option<String>,
    /// Only what this author did: a token's name
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Only from this revision or time on
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only up to this revision or time
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Only before this revision: to page on
    #[arg(long, value_name = "REVISION")]
    before: Option<u64>,
    /// At most so many, 1 to 1000
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    pub(super) api: Api,
}

impl History {
    /// Does the command and answers what to print.
    pub(super) async fn run(&self, client: &Client) -> Result<String, Failure> {
        let History { app, author, since, until, before, limit, api } = self;
        let (app, author, since) = (app.clone(), author.clone(), since.clone());
        let (until, before, limit) = (until.clone(), *before, Some(*limit));
        let asked = HistoryQuery { app, author, since, until, before, limit };
        let history = client.history(&asked).await?;
        if api.json {
            return Ok(output::json(&history));
        }
        if history.items.is_empty() {
            return Ok("No such transactions\n".into());
        }
        let row = |entry: &HistoryEntry| {
            let reason = entry.reason.clone().unwrap_or_default();
            let (revision, changes) = (entry.revision.to_string(), entry.changes.to_string());
            let address = entry.address.as_ref().map(|address| format!("@{address}"));
            let author = format!("{}{}", entry.author, address.unwrap_or_default());
            let reason = if entry.forced { format!("[forced] {reason}") } else { reason };
            [revision, output::time(entry.at_ms), author, changes, reason]
        };
        let rows: Vec<_> = history.items.iter().map(row).collect();
        let mut text = output::table(["REVISION", "WHEN", "AUTHOR", "CHANGES", "REASON"], &rows);
        if history.items.last().is_some_and(|last| last.begins) {
            text += "What was before is no longer kept\n";
        }
        if let Some(next) = &history.next {
            text += &format!("There is more: --before {}\n", output::printable(next));
        }
        Ok(text)
    }
}

/// `hostler diff`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hostler diff 41 42\n  \
                        hostler diff 2026-11-23T08:00:00Z --app blog")]
pub(super) struct Diff {
    /// The side before: a revision, or a time
    from: String,
    /// The side after: a revision, or a time [default: now]
    to: Option<String>,
    /// Only this app, its hosts and its dynos
    #[arg(long, value_name = "APP")]
    app: Option<String>,
    #[command(flatten)]
    pub(super) api: Api,
}

impl Diff {
    /// Does the command and answers what to print.
    pub(super) async fn run(&self, client: &Client) -> Result<String, Failure> {
        let diff = client.diff(&self.from, self.to.as_deref(), self.app.as_deref()).await?;
        let (from, to) = (&diff.header.from, &diff.header.to);
        if self.api.json {
            let whole = json!({ "from": from, "to": to, "changes": diff.changes });
            return Ok(output::json(&whole));
        }
        let side = |side: &Standing| match side.revision {
            0 => "revision 0 (nothing)".into(),
            revision => format!("revision {revision} ({})", output::time(side.at_ms)),
        };
        let mut text = format!("From {} to {}:\n", side(from), side(to));
        if diff.changes.is_empty() {
            text += "no difference\n";
        }
        for change in &diff.changes {
            text += &output::printable(&told(change));
            text.push('\n');
        }
        Ok(text)
    }
}

/// One difference as a line: `+` added, `-` removed, `~` changed.
fn told(change: &DiffLine) -> String {
    match (&change.before, &change.after) {
        (None, Some(after)) => format!("+ {}{}", named(after), fields(after)),
        (Some(before), None) => format!("- {}{}", named(before), fields(before)),
        (Some(before), Some(after)) => {
            let names = own_fields(before).chain(own_fields(after)).map(|(name, _)| name);
            let mut names: Vec<_> = names.collect();
            names.sort_unstable();
            names.dedup();
            let differ = names.into_iter().filter(|name| before.get(name) != after.get(name));
            let shown = |value: Option<&Value>| value.map_or("default".into(), Value::to_string);
            let show = |name: &String| {
                format!(" {name}: {} -> {}", shown(before.get(name)), shown(after.get(name)))
            };
            let differ: Vec<_> = differ.map(show).collect();
            format!("~ {}{}", named(before), differ.join(","))
        }
        (None, None) => String::new(),
    }
}

fn named(object: &Value) -> String {
    let text = |name: &str| object[name].as_str().unwrap_or_default();
    match text("kind") {
        "app" => format!("app {}", text("name")),
        "cert" => format!("certificate {}", text("name")),
        "dyno" => format!("dyno {} of app {}", text("name"), text("app")),
        // The app of a route may be what changed: it is told with the fields.
        "route" => format!("route {}{}", text("host"), text("path")),
        other => format!("{other} {object}"),
    }
}

/// The fields that do not name the object.
fn own_fields(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let is_route = object["kind"] == "route";
    let names: &[&str] = match is_route {
        true => &["v", "kind", "host", "path"],
        false => &["v", "kind", "app", "name"],
    };
    let fields = object.as_object().into_iter().flatten();
    fields.filter(move |(name, _)| !names.contains(&name.as_str()))
}

fn fields(object: &Value) -> String {
    let fields = own_fields(object).map(|(name, value)| format!(" {name}: {value}"));
    fields.collect::<Vec<_>>().join(",")
}

/// `hostler revert`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hostler revert 41\n  hostler revert 41 --app blog --dynos")]
pub(super) struct Revert {
    /// The revision, or the time, to go back to
    to: String,
    /// Only this app, its hosts and its settings
    #[arg(long, value_name = "APP")]
    app: Option<String>,
    /// Bring dynos back too, as starting: an old address may be another's by now
    #[arg(long)]
    dynos: bool,
    #[command(flatten)]
    pub(super) api: Api,
}

impl Revert {
    /// Does the command and answers what to print.
    pub(super) async fn run(&self, client: &Client) -> Result<String, Failure> {
        let to = self.to.parse::<u64>().map_or_else(|_| json!(self.to), |number| json!(number));
        let (app, dynos, reason) = (self.app.clone(), self.dynos, self.api.reason.clone());
        let receipt =
            client.revert(&RevertBody { to, app, dynos, reason, ..RevertBody::default() }).await?;
        let what = match &self.app {
            Some(app) => format!("app {app}"),
            None => "the table".into(),
        };
        let done = format!("Reverted {what} to {}", self.to);
        let looked_at = if self.dynos { "Nothing" } else { "No route or setting" };
        let already = format!("{looked_at} of {what} differs from {}", self.to);
        Ok(output::receipt(self.api.json, &receipt, &done, &already))
    }
}
