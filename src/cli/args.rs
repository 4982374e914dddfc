//! The shape of the command line.
//!
//! Invariants: every command's help ends with an example; settings are flags of `serve` and `check`
//! alone, and come from [`crate::config::flags`], one for each.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use super::{
    apps::Apps, demo, domains::Domains, dynos::Dynos, failure::Failure, maintenance::Maintenance,
    pages::Pages, tokens::Tokens, travel,
};
use crate::{
    api::{
        Client,
        access::{Access, Given},
    },
    config,
};

const ABOUT: &str = "Hostler, the front router of an application platform: a request names a host, \
                     the host belongs to an app, the app runs on dynos, and one of them answers.";

const EXAMPLES: &str = "\
Examples:
  hostler serve                                   run the router on this machine
  hostler apps create blog                        make an app,
  hostler domains add blog www.blog.test          give it a host,
  hostler dynos add blog web.1 127.0.0.1:5000     and say where it runs

The client commands call the push API at --url (HOSTLER_URL, else http://127.0.0.1:9080) with the
token of --token, HOSTLER_TOKEN, HOSTLER_ADMIN_TOKEN, or admin.token in the data directory.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the push API cannot be reached.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "hostler", version, about = ABOUT, after_help = EXAMPLES)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the router: take traffic, and pushes on the control listener
    #[command(after_help = "Example:\n  hostler serve --http-listen 127.0.0.1:8080")]
    Serve {
        /// End, as on SIGTERM, once standard input closes: for whoever starts this as a child
        #[arg(long, hide = true)]
        end_with_stdin: bool,
    },
    /// Print the settings that `serve` would run with, or every mistake in them
    #[command(after_help = "Example:\n  HOSTLER_HTTP_LISTEN=127.0.0.1:8080 hostler check")]
    Check,
    /// Run the whole product on this machine, with two small apps, for a first look
    #[command(after_help = "Example:\n  hostler demo")]
    Demo(demo::Demo),
    /// Run one dyno of the demo
    #[command(hide = true)]
    #[command(after_help = "Example:\n  hostler demo-app hello --name web.1")]
    DemoApp(demo::DemoApp),
    /// List, make, show, set and remove apps
    Apps(Apps),
    /// List, add and remove the hosts of an app
    Domains(Domains),
    /// List, add, change and remove the dynos of an app
    Dynos(Dynos),
    /// Show and switch an app's maintenance mode
    Maintenance(Maintenance),
    /// List, show, set and remove an app's own pages for faults and maintenance
    Pages(Pages),
    /// List, make and revoke the tokens that open the push API
    Tokens(Tokens),
    /// Tell who changed the table, when and why
    History(travel::History),
    /// Show what two revisions have different
    Diff(travel::Diff),
    /// Make the table, or one app, what it was
    Revert(travel::Revert),
    /// Print the whole table, as it is or as it was
    Table(travel::Table),
}

/// How to reach the push API and how to print what it says.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Push API")]
pub(super) struct Api {
    /// Where the push API is [env: HOSTLER_URL] [default: http://127.0.0.1:9080]
    #[arg(long, global = true, value_name = "URL")]
    pub(super) url: Option<String>,
    /// The token; better HOSTLER_TOKEN, which other users of the machine cannot see
    #[arg(long, global = true, value_name = "TOKEN")]
    pub(super) token: Option<String>,
    /// The router's data directory, for its admin.token [env: HOSTLER_DATA_DIR] [default: ./data]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// Why, for the history
    #[arg(long, global = true, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    /// Do this write once, however often it is sent under this key
    #[arg(long, global = true, value_name = "KEY")]
    pub(super) idempotency_key: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl Api {
    /// A client as these flags and the environment say.
    pub(super) fn client(&self, env: impl Fn(&str) -> Option<String>) -> Result<Client, Failure> {
        let (url, token, data_dir) = (self.url.clone(), self.token.clone(), self.data_dir.clone());
        let client = Client::new(Access::find(Given { url, token, data_dir }, env)?);
        let client = match &self.reason {
            Some(reason) => client.with_reason(reason),
            None => client,
        };
        Ok(match &self.idempotency_key {
            Some(key) => client.with_idempotency_key(key),
            None => client,
        })
    }
}

/// The whole command line, with a flag for every setting on `serve` and `check`.
pub fn command() -> clap::Command {
    let with_flags = |command: clap::Command| command.args(config::flags());
    Cli::command().mut_subcommand("serve", with_flags).mut_subcommand("check", with_flags)
}
