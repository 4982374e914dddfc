//! `hostler tokens`: list, make and revoke the tokens that open the push API.
//!
//! Invariants: the text of a token is printed once, by the command that made it, and alone on its
//! line, so that a program can take it; names and scopes are passed on as typed.

use std::{
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{Args, Subcommand};

use super::{args::Api, failure::Failure, output};
use crate::api::{Client, TokenBody, TokenView};

const EXAMPLES: &str = "\
Example:
  hostler tokens create ci --scope push:blog --expires 90d
  hostler tokens
  hostler tokens revoke ci

A scope is read (everything but the tokens), push:APP (one app), push (every app) or admin.";

/// `hostler tokens`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(super) struct Tokens {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    pub(super) api: Api,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the tokens
    #[command(after_help = "Example:\n  hostler tokens list")]
    List,
    /// Make a token and print its text, this once
    #[command(after_help = "Example:\n  hostler tokens create ci --scope push:blog --scope read")]
    Create {
        /// Its name, which the history shows
        name: String,
        /// What it allows: read, push:APP, push or admin; may be given more than once
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<String>,
        /// When it ends by itself: 12h, 90d; otherwise never
        #[arg(long, value_name = "TIME")]
        expires: Option<Span>,
    },
    /// Tell who made and revoked tokens, when, from where and why
    #[command(after_help = "Example:\n  hostler tokens history")]
    History {
        /// At most so many
        #[arg(long, value_name = "COUNT", default_value_t = 20)]
        limit: usize,
    },
    /// Revoke a token: it opens nothing from then on
    #[command(after_help = "Example:\n  hostler tokens revoke ci")]
    Revoke {
        /// Its name
        name: String,
    },
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// Units of time, the longest first, in seconds.
const UNITS: [(&str, u64); 4] = [("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", 1)];

/// Some time, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span(u64);

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Span, Self::Err> {
        let unit = UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)));
        let read = unit.and_then(|(number, unit)| number.parse::<u64>().ok()?.checked_mul(*unit));
        read.map(Span).ok_or("write a whole number and s, m, h or d, as in 90d")
    }
}

impl Tokens {
    /// Does the command and answers what to print.
    pub(super) async fn run(&self, client: &Client) -> Result<String, Failure> {
        match &self.command {
            Some(Command::Create { name, scopes, expires }) => {
                let expires_in_s = expires.map(|Span(seconds)| seconds);
                let body = TokenBody { name: name.clone(), scopes: scopes.clone(), expires_in_s };
                let made = client.make_token(&body).await?;
                if self.api.json {
                    return Ok(output::json(&made));
                }
                let scopes = made.view.scopes.join(", ");
                Ok(format!(
                    "Made token {name} for {scopes}. Its text is shown this once:\n{}\n",
                    output::printable(&made.token)
                ))
            }
            Some(Command::Revoke { name }) => {
                let revoked = client.revoke_token(name).await?;
                if self.api.json {
                    return Ok(output::json(&revoked));
                }
                Ok(format!("Revoked token {}\n", output::printable(name)))
            }
            Some(Command::History { limit }) => self.history(client, *limit).await,
            None | Some(Command::List) => self.list(client).await,
        }
    }

    async fn history(&self, client: &Client, limit: usize) -> Result<String, Failure> {
        let entries = client.audit(limit).await?;
        if self.api.json {
            return Ok(output::json(&entries));
        }
        let rows = entries.items.iter().map(|entry| {
            let at = entry.address.as_ref().map(|address| format!("@{address}"));
            let author = format!("{}{}", entry.author, at.unwrap_or_default());
            let reason = entry.reason.clone().unwrap_or_default();
            let done = format!("{} {}", entry.action, entry.token);
            [output::time(entry.at_ms), author, done, entry.scopes.join(", "), reason]
        });
        Ok(output::table(["WHEN", "AUTHOR", "WHAT", "SCOPES", "REASON"], &rows.collect::<Vec<_>>()))
    }

    async fn list(&self, client: &Client) -> Result<String, Failure> {
        let tokens = client.tokens().await?;
        if self.api.json {
            return Ok(output::json(&tokens));
        }
        if tokens.is_empty() {
            let make = "hostler tokens create ci --scope push:APP";
            return Ok(format!("There are no tokens but the admin's. Make one: {make}\n"));
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let rows: Vec<_> = tokens.iter().map(|token| row(token, now_ms)).collect();
        Ok(output::table(["NAME", "SCOPES", "MADE", "BY", "ENDS", "LAST USED"], &rows))
    }
}

fn row(token: &TokenView, now_ms: u64) -> [String; 6] {
    let ago = |at_ms: u64| format!("{} ago", span(now_ms.saturating_sub(at_ms)));
    let ends = match token.expires_at_ms {
        None => "never".into(),
        Some(at_ms) if at_ms <= now_ms => "has ended".into(),
        Some(at_ms) => format!("in {}", span(at_ms - now_ms)),
    };
    [
        token.name.clone(),
        token.scopes.join(" "),
        ago(token.made_at_ms),
        token.made_by.clone(),
        ends,
        token.last_used_at_ms.map_or_else(|| "not since the start".into(), ago),
    ]
}

/// Milliseconds in the longest unit that they fill once: 90d, 5m.
fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let (name, unit) = UNITS.iter().find(|(_, unit)| seconds >= *unit).unwrap_or(&("s", 1));
    format!("{}{name}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_a_number_and_a_unit() {
        let read = |text: &str| text.parse::<Span>().map(|Span(seconds)| seconds);
        assert_eq!(read("90d"), Ok(90 * DAY));
        assert_eq!((read("12h"), read("5m"), read("30s")), (Ok(12 * HOUR), Ok(300), Ok(30)));
        for text in ["", "d", "90", "-1d", "1w", "1.5h", "999999999999999999d"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!([0, 59_999, 60_000, 86_400_000 * 90].map(span), ["0s", "59s", "1m", "90d"]);
    }

    #[test]
    fn a_row_says_when_a_token_ends_and_when_it_was_used() {
        let token = TokenView {
            name: "ci".into(),
            id: "x".into(),
            scopes: vec!["push:blog".into(), "read".into()],
            made_at_ms: 0,
            made_by: "admin".into(),
            expires_at_ms: Some(7_200_000),
            last_used_at_ms: None,
        };
        let ends = |now_ms| row(&token, now_ms)[4].clone();
        assert_eq!((ends(0), ends(7_200_000)), ("in 2h".into(), "has ended".into()));
        assert_eq!(row(&token, 60_000)[1..3], ["push:blog read", "1m ago"]);
        let used = TokenView { last_used_at_ms: Some(30_000), expires_at_ms: None, ..token };
        assert_eq!(row(&used, 60_000)[4..], ["never", "30s ago"]);
    }
}
