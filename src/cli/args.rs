//! The shape of the command line.
//!
//! Invariants: every command's help ends with an example; settings are flags of `serve` and `check`
//! alone, and come from [`crate::config::flags`], one for each.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use super::{
    apps::Apps, certs::Certs, demo, domains::Domains, dynos::Dynos, explain::Explain,
    failure::Failure, fleet, generate, maintenance::Maintenance, pages::Pages, stats::Stats, store,
    store::Store, table::Table, tokens::Tokens, travel,
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

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the push API cannot be reached, 4 done but not
served by every router in time (--wait), 5 not there, 6 not allowed, 7 in conflict with what the
table holds or with a guard, 8 too busy: try again.";

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
    /// List, show, add and remove certificates
    Certs(Certs),
    /// Show and switch an app's maintenance mode
    Maintenance(Maintenance),
    /// List, show, set and remove an app's own pages for faults and maintenance
    Pages(Pages),
    /// List, make and revoke the tokens that open the push API
    Tokens(Tokens),
    /// Tell why a request would go where: rules, app, dynos, outcome
    Explain(Explain),
    /// Tell what an app and its dynos are doing, and how long it takes
    Stats(Stats),
    /// Tell who changed the table, when and why
    History(travel::History),
    /// Show what two revisions have different
    Diff(travel::Diff),
    /// Make the table, or one app, what it was
    Revert(travel::Revert),
    /// Print the whole table, as it is or as it was, or replace it
    Table(Table),
    /// List the routers, and how far each is
    Routers(fleet::Routers),
    /// Print every transaction as it happens
    Feed(fleet::Feed),
    /// Back up, restore, verify and compact the store in the data directory
    Store(Store),
    /// Print a shell's completion of these commands
    Completion(generate::Completion),
    /// Print the manual page, or write one for each command
    Man(generate::Man),
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
    /// Authorities that are trusted with https, in PEM [env: HOSTLER_CA] [default: the system's]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// A certificate to prove ourselves with, in PEM [env: HOSTLER_CLIENT_CERT]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) client_cert: Option<PathBuf>,
    /// The key of that certificate, in PEM [env: HOSTLER_CLIENT_KEY]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) client_key: Option<PathBuf>,
    /// Why, for the history
    #[arg(long, global = true, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    /// Do this write once, however often it is sent under this key
    #[arg(long, global = true, value_name = "KEY")]
    pub(super) idempotency_key: Option<String>,
    /// Do this write though it loses more of the table than push.shrink_share allows
    #[arg(long, global = true)]
    pub(super) force: bool,
    /// Let this write remove or empty a protected app or route: an app's name, or a host with its
    /// path; once for each
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) confirm: Vec<String>,
    /// Wait until every live router serves this write
    #[arg(long, global = true)]
    pub(super) wait: bool,
    /// For how long, 1ms to 60s
    #[arg(long, global = true, value_name = "TIME", default_value = "5s", requires = "wait")]
    pub(super) timeout: String,
    /// Print JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl Api {
    /// A client as these flags and the environment say.
    pub(super) fn client(&self, env: impl Fn(&str) -> Option<String>) -> Result<Client, Failure> {
        let (client_cert, client_key) = (self.client_cert.clone(), self.client_key.clone());
        let (url, token, data_dir) = (self.url.clone(), self.token.clone(), self.data_dir.clone());
        let given = Given { url, token, data_dir, ca: self.ca.clone(), client_cert, client_key };
        let client = Client::new(Access::find(given, env)?);
        let client = match &self.reason {
            Some(reason) => client.with_reason(reason),
            None => client,
        };
        let client = if self.force { client.with_force() } else { client };
        let client = client.with_confirmed(&self.confirm);
        let client = if self.wait { client.with_wait(&self.timeout) } else { client };
        Ok(match &self.idempotency_key {
            Some(key) => client.with_idempotency_key(key),
            None => client,
        })
    }
}

/// The client, whose lists have only what those filters let through that are given.
pub(super) fn filtered<const N: usize>(
    client: &Client,
    filters: [(&str, Option<&str>); N],
) -> Client {
    let given = filters.into_iter().filter_map(|(name, value)| Some((name, value?)));
    given.fold(client.clone(), |client, (name, value)| client.with_filter(name, value))
}

/// The whole command line, with a flag for every setting on `serve` and `check`.
pub fn command() -> clap::Command {
    let with_flags = |command: clap::Command| command.args(config::flags());
    Cli::command()
        .mut_subcommand("serve", with_flags)
        .mut_subcommand("check", with_flags)
        .mut_subcommand("store", store::with_settings)
}
