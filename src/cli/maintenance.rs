//! `hostler maintenance`: show and switch an app's maintenance mode.
//!
//! Invariant: switching is a merge patch of that one setting; the app's others stay as they are.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{apps::on_off, args::Api, failure::Failure, output};
use crate::api::Client;

/// `hostler maintenance`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hostler maintenance blog\n  hostler maintenance on blog")]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub(super) struct Maintenance {
    /// The app whose mode is shown
    #[arg(required = true)]
    app: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    pub(super) api: Api,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer every request of an app with the maintenance page; its dynos keep running
    #[command(after_help = "Example:\n  hostler maintenance on blog --reason \"new database\"")]
    On {
        /// The app
        app: String,
    },
    /// Send an app's requests to its dynos again
    #[command(after_help = "Example:\n  hostler maintenance off blog")]
    Off {
        /// The app
        app: String,
    },
}

impl Maintenance {
    /// Does the command and answers what to print.
    pub(super) async fn run(&self, client: &Client) -> Result<String, Failure> {
        let (app, on) = match &self.command {
            Some(Command::On { app }) => (app, true),
            Some(Command::Off { app }) => (app, false),
            None => return self.show(client, self.app.as_deref().unwrap_or_default()).await,
        };
        let receipt = client.patch_app(app, &json!({ "maintenance": on })).await?;
        let word = if on { "on" } else { "off" };
        let done = format!("Maintenance of app {app} is {word}");
        Ok(output::receipt(self.api.json, &receipt, &done, &format!("{done} already")))
    }

    async fn show(&self, client: &Client, app: &str) -> Result<String, Failure> {
        let app = client.app(app).await?;
        if self.api.json {
            let maintenance = app.settings.maintenance;
            return Ok(output::json(&json!({ "app": app.name, "maintenance": maintenance })));
        }
        Ok(format!("{}\n", on_off(&app)))
    }
}
