//! `hostler dynos`: list, add, change and remove the dynos of an app.
//!
//! Invariants: `add` writes a dyno whole, with the push API's defaults for what is not named; `set`
//! sends a merge patch of what is named alone; `drain` removes nothing
//! that has something in flight.

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use serde_json::{Map, Value, json};

use super::{
    args::{Api, filtered},
    failure::Failure,
    output,
};
use crate::api::{Client, DynoBody, DynoView};

/// What a platform may say of a dyno.
const STATES: [&str; 4] = ["starting", "up", "draining", "crashed"];

/// `hostler dynos`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  hostler dynos blog\n  hostler dynos add blog web.1 127.0.0.1:5000"
)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub(super) struct Dynos {
    /// The app whose dynos are listed
    #[arg(required = true)]
    app: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    pub(super) api: Api,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List an app's dynos
    #[command(after_help = "Example:\n  hostler dynos list blog --state up --release v12")]
    List {
        /// The app
        app: String,
        #[command(flatten)]
        filters: Filters,
    },
    /// Add a dyno, or replace the one of that name
    #[command(after_help = "Example:\n  hostler dynos add blog web.1 10.0.0.1:5000 --release v12")]
    Add {
        /// The app
        app: String,
        /// The dyno's name: web.1
        name: String,
        /// Where it listens: IP:port, or unix:/path
        addr: String,
        #[command(flatten)]
        traits: Traits,
    },
    /// Change a dyno; what is not named stays
    #[command(after_help = "Example:\n  hostler dynos set blog web.1 --state draining")]
    #[command(arg_required_else_help = true)]
    Set {
        /// The app
        app: String,
        /// The dyno's name
        name: String,
        /// Where it listens: IP:port, or unix:/path
        #[arg(long, value_name = "ADDR")]
        #[arg(required_unless_present_any = ["release", "weight", "state", "ttl"])]
        addr: Option<String>,
        #[command(flatten)]
        traits: Traits,
    },
    /// Give a dyno nothing new, and wait until it has nothing in flight
    #[command(after_help = "Example:\n  hostler dynos drain blog web.1 --within 5m --remove")]
    Drain {
        /// The app
        app: String,
        /// The dyno's name
        name: String,
        /// For how long to wait, 1ms to 10m
        #[arg(long, value_name = "TIME", default_value = "30s")]
        within: String,
        /// Remove it then
        #[arg(long)]
        remove: bool,
    },
    /// Remove a dyno
    #[command(after_help = "Example:\n  hostler dynos remove blog web.1")]
    Remove {
        /// The app
        app: String,
        /// The dyno's name
        name: String,
    },
}

#[derive(Debug, Default, Args)]
struct Filters {
    /// Only those that run this release
    #[arg(long)]
    release: Option<String>,
    /// Only those of which the platform says this
    #[arg(long, value_parser = PossibleValuesParser::new(STATES))]
    state: Option<String>,
}

#[derive(Debug, Args)]
struct Traits {
    /// The release that it runs
    #[arg(long)]
    release: Option<String>,
    /// Its share beside the app's other dynos, 1 to 1000; a new dyno has 100
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    weight: Option<u16>,
    /// What the platform says of it; a new dyno is up
    #[arg(long, value_parser = PossibleValuesParser::new(STATES))]
    state: Option<String>,
    /// Seconds until it leaves the table unless it is added or set again, up to 30 days; 0: never
    #[arg(long, value_name = "SECONDS")]
    #[arg(value_parser = clap::value_parser!(u32).range(..=2_592_000))]
    ttl: Option<u32>,
}

impl Dynos {
    /// Does the command and answers what to print.
    pub(super) async fn run(&self, client: &Client) -> Result<String, Failure> {
        match &self.command {
            Some(Command::Add { app, name, addr, traits }) => {
                let body = DynoBody {
                    addr: addr.clone(),
                    release: traits.release.clone().unwrap_or_default(),
                    weight: traits.weight.unwrap_or(100),
                    state: traits.state.clone().unwrap_or_else(|| "up".into()),
                    ttl_s: traits.ttl.filter(|ttl_s| *ttl_s > 0),
                };
                let receipt = client.put_dyno(app, name, &body).await?;
                let done = format!("Added dyno {name} at {addr} to app {app}");
                let already = format!("App {app} has this dyno already");
                Ok(output::receipt(self.api.json, &receipt, &done, &already))
            }
            Some(Command::Set { app, name, addr, traits }) => {
                let receipt = client.patch_dyno(app, name, &traits.patch(addr.as_deref())).await?;
                let done = format!("Changed dyno {name} of app {app}");
                let already = format!("Dyno {name} of app {app} is so already");
                Ok(output::receipt(self.api.json, &receipt, &done, &already))
            }
            Some(Command::Drain { app, name, within, remove }) => {
                self.drain(client, (app, name), within, *remove).await
            }
            Some(Command::Remove { app, name }) => {
                let receipt = client.delete_dyno(app, name).await?;
                let done = format!("Removed dyno {name} of app {app}");
                Ok(output::receipt(self.api.json, &receipt, &done, &done))
            }
            Some(Command::List { app, filters }) => self.list(client, app, filters).await,
            None => {
                let app = self.app.as_deref().unwrap_or_default();
                self.list(client, app, &Filters::default()).await
            }
        }
    }

    async fn drain(
        &self,
        client: &Client,
        (app, name): (&str, &str),
        within: &str,
        remove: bool,
    ) -> Result<String, Failure> {
        let drained = client.patch_dyno(app, name, &json!({"state": "draining"})).await?;
        let left = client.drained(app, name, within).await?.in_flight.unwrap_or(0);
        if left > 0 {
            return Err(Failure::Conflict(format!(
                "dyno {name} of app {app} drains, and has {left} in flight after {within}"
            )));
        }
        let is_empty = format!("Dyno {name} of app {app} drains, and has nothing in flight");
        if !remove {
            return Ok(output::receipt(self.api.json, &drained, &is_empty, &is_empty));
        }
        let removed = client.delete_dyno(app, name).await?;
        let done = format!("Removed dyno {name} of app {app}, which had nothing in flight");
        Ok(output::receipt(self.api.json, &removed, &done, &done))
    }

    async fn list(&self, client: &Client, app: &str, filters: &Filters) -> Result<String, Failure> {
        let Filters { release, state } = filters;
        let named = [("release", release.as_deref()), ("state", state.as_deref())];
        let dynos = filtered(client, named).dynos(app).await?;
        if self.api.json {
            return Ok(output::json(&dynos));
        }
        if dynos.is_empty() && named.iter().all(|(_, value)| value.is_none()) {
            return Ok(format!(
                "App {app} has no dynos. Add one: hostler dynos add {app} web.1 IP:PORT\n"
            ));
        }
        let row = |view: &DynoView| {
            let dyno = view.dyno.clone();
            let ttl = dyno.ttl_s.map(|ttl_s| format!("{ttl_s}s")).unwrap_or_default();
            let weight = dyno.weight.to_string();
            [view.name.clone(), dyno.state, dyno.addr, weight, dyno.release, ttl]
        };
        let rows: Vec<_> = dynos.iter().map(row).collect();
        Ok(output::table(["NAME", "STATE", "ADDRESS", "WEIGHT", "RELEASE", "TTL"], &rows))
    }
}

impl Traits {
    fn patch(&self, addr: Option<&str>) -> Value {
        let fields = [
            ("addr", addr.map(Value::from)),
            ("release", self.release.as_deref().map(Value::from)),
            ("weight", self.weight.map(Value::from)),
            ("state", self.state.as_deref().map(Value::from)),
            ("ttl_s", self.ttl.map(|ttl_s| Some(ttl_s).filter(|ttl_s| *ttl_s > 0).into())),
        ];
        let named = fields.into_iter().filter_map(|(name, value)| Some((name.into(), value?)));
        Value::Object(named.collect::<Map<_, _>>())
    }
}
