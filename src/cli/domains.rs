//! `hostler domains`: list, add and remove the hosts of an app.
//!
//! Invariant: hosts and prefixes are passed on as typed; the push API alone judges and normalises.

use clap::{Args, Subcommand};

use super::{
    args::{Api, filtered},
    failure::Failure,
    output,
};
use crate::api::{Client, RouteBody, RouteView};

/// `hostler domains`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  hostler domains blog\n  hostler domains add blog www.blog.test"
)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub(super) struct Domains {
    /// The app whose hosts are listed
    #[arg(required = true)]
    app: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    pub(super) api: Api,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List an app's hosts
    #[command(after_help = "Example:\n  hostler domains list blog --host 'www.*'")]
    List {
        /// The app
        app: String,
        /// Only this host, or those that begin so: www.*
        #[arg(long)]
        host: Option<String>,
    },
    /// Give a host, or a path prefix of it, to an app
    #[command(after_help = "Example:\n  hostler domains add blog www.blog.test --path /api")]
    Add {
        #[command(flatten)]
        route: Route,
        /// Only --confirm with its name removes it, or gives it to another app
        #[arg(long)]
        protected: bool,
    },
    /// Take a host, or a path prefix of it, from an app
    #[command(after_help = "Example:\n  hostler domains remove blog www.blog.test --path /api")]
    Remove(Route),
}

#[derive(Debug, Args)]
struct Route {
    /// The app
    app: String,
    /// The host: www.blog.test, or *.blog.test for every host below blog.test
    host: String,
    /// Only paths that begin so, at a slash
    #[arg(long, value_name = "/PREFIX")]
    path: Option<String>,
}

impl Route {
    fn shown(&self) -> String {
        format!("{}{}", self.host, self.path.as_deref().unwrap_or_default())
    }
}

impl Domains {
    /// Does the command and answers what to print.
    pub(super) async fn run(&self, client: &Client) -> Result<String, Failure> {
        match &self.command {
            Some(Command::Add { route, protected }) => {
                let (path, body) = (route.path.as_deref(), RouteBody { protected: *protected });
                let receipt = client.set_route(&route.app, &route.host, path, &body).await?;
                let done = format!("Added {} to app {}", route.shown(), route.app);
                let already = format!("App {} has {} already", route.app, route.shown());
                Ok(output::receipt(self.api.json, &receipt, &done, &already))
            }
            Some(Command::Remove(route)) => {
                let path = route.path.as_deref();
                let receipt = client.delete_route(&route.app, &route.host, path).await?;
                let done = format!("Removed {} from app {}", route.shown(), route.app);
                Ok(output::receipt(self.api.json, &receipt, &done, &done))
            }
            Some(Command::List { app, host }) => self.list(client, app, host.as_deref()).await,
            None => self.list(client, self.app.as_deref().unwrap_or_default(), None).await,
        }
    }

    async fn list(
        &self,
        client: &Client,
        app: &str,
        host: Option<&str>,
    ) -> Result<String, Failure> {
        let routes = filtered(client, [("host", host)]).routes(app).await?;
        if self.api.json {
            return Ok(output::json(&routes));
        }
        if routes.is_empty() && host.is_none() {
            return Ok(format!(
                "App {app} has no hosts. Add one: hostler domains add {app} HOST\n"
            ));
        }
        let row = |route: &RouteView| {
            let protected = if route.settings.protected { "protected" } else { "" };
            [route.host.clone(), route.path.clone(), protected.into()]
        };
        let rows: Vec<_> = routes.iter().map(row).collect();
        Ok(output::table(["HOST", "PATH", ""], &rows))
    }
}
