//! `hostler apps`: list, make, show, set and remove apps.
//!
//! Invariants: making an app never touches one that is there already; setting is a merge patch of
//! what is named alone.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::{Args, Subcommand};

use super::{
    args::{Api, filtered},
    failure::Failure,
    output,
    settings::{self, Assignment},
};
use crate::api::{AppBody, AppView, Client};

const SET_EXAMPLES: &str = "\
Examples:
  hostler apps set blog timeouts.first_byte=60s
  hostler apps set blog limits.set_cookie=16KiB dynos.keep_alive=false
  hostler apps set edge router=true                the app's dynos are routers themselves
  hostler apps set blog protected=true             not to be removed or emptied by mistake

docs/push-api.md lists the settings that an app may have; so does the refusal of an unknown one.";

/// `hostler apps`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hostler apps\n  hostler apps create blog\n  \
                        hostler apps set blog timeouts.first_byte=60s dynos.keep_alive=false")]
#[command(disable_help_subcommand = true)]
pub(super) struct Apps {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    pub(super) api: Api,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List all apps, as `hostler apps` alone does
    #[command(after_help = "Example:\n  hostler apps list --prefix shop- --maintenance true")]
    List(Filters),
    /// Make an app
    #[command(after_help = "Example:\n  hostler apps create blog")]
    Create {
        /// Its name: a-z, 0-9 and -, as a host's label
        name: String,
    },
    /// Show an app, its settings and its pages
    #[command(visible_alias = "show", after_help = "Example:\n  hostler apps show blog")]
    Info {
        /// Its name
        name: String,
    },
    /// Give an app settings of its own; what is not named stays
    #[command(after_help = SET_EXAMPLES)]
    Set {
        /// Its name
        name: String,
        /// Settings, named as the router's, or maintenance, blank, router or protected
        #[arg(required = true, value_name = "NAME=VALUE")]
        values: Vec<Assignment>,
    },
    /// Give settings of an app back to the router
    #[command(after_help = "Example:\n  hostler apps unset blog timeouts.first_byte router")]
    Unset {
        /// Its name
        name: String,
        /// Settings, or maintenance, blank, router or protected
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Remove an app with all its hosts and dynos
    #[command(after_help = "Example:\n  hostler apps destroy blog --confirm blog")]
    Destroy {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Default, Args)]
struct Filters {
    /// Only those whose names begin so
    #[arg(long)]
    prefix: Option<String>,
    /// Only those in maintenance mode, or not in it
    #[arg(long, value_name = "true|false")]
    maintenance: Option<bool>,
}

impl Apps {
    /// Does the command and answers what to print.
    pub(super) async fn run(&self, client: &Client) -> Result<String, Failure> {
        match &self.command {
            None => self.list(client, &Filters::default()).await,
            Some(Command::List(filters)) => self.list(client, filters).await,
            Some(Command::Create { name }) => self.create(client, name).await,
            Some(Command::Info { name }) => self.info(client, name).await,
            Some(Command::Set { name, values }) => self.set(client, name, values).await,
            Some(Command::Unset { name, names }) => self.unset(client, name, names).await,
            Some(Command::Destroy { name }) => {
                confirmed(name, &self.api.confirm)?;
                let receipt = client.delete_app(name).await?;
                let done = format!("Removed app {name} with its hosts and dynos");
                Ok(output::receipt(self.api.json, &receipt, &done, &done))
            }
        }
    }

    async fn list(&self, client: &Client, filters: &Filters) -> Result<String, Failure> {
        let Filters { prefix, maintenance } = filters;
        let maintenance = maintenance.map(|is_on| is_on.to_string());
        let named = [("prefix", prefix.as_deref()), ("maintenance", maintenance.as_deref())];
        let apps = filtered(client, named).apps().await?;
        if self.api.json {
            return Ok(output::json(&apps));
        }
        if apps.is_empty() && named.iter().all(|(_, value)| value.is_none()) {
            return Ok("No apps yet. Make one: hostler apps create NAME\n".into());
        }
        let row = |app: &AppView| {
            let (routes, dynos) = (app.routes.to_string(), app.dynos.to_string());
            [app.name.clone(), routes, dynos, on_off(app).into()]
        };
        let rows: Vec<_> = apps.iter().map(row).collect();
        Ok(output::table(["NAME", "ROUTES", "DYNOS", "MAINTENANCE"], &rows))
    }

    async fn create(&self, client: &Client, name: &str) -> Result<String, Failure> {
        // A PUT would replace the settings of an app of that name.
        let made = client.clone().if_absent().put_app(name, &AppBody::default()).await;
        let receipt = made.map_err(|error| match error.status() {
            Some(412) => Failure::Conflict(format!("there is an app {name} already")),
            _ => Failure::from(error),
        })?;
        let done = format!("Made app {name}");
        Ok(output::receipt(self.api.json, &receipt, &done, &done))
    }

    async fn info(&self, client: &Client, name: &str) -> Result<String, Failure> {
        let app = client.app(name).await?;
        if self.api.json {
            return Ok(output::json(&app));
        }
        let mut rows = vec![
            ["Routes:".into(), app.routes.to_string()],
            ["Dynos:".into(), app.dynos.to_string()],
        ];
        rows.extend(settings::rows(&app.settings));
        Ok(output::table(["App:", &output::printable(&app.name)], &rows))
    }

    async fn set(
        &self,
        client: &Client,
        app: &str,
        values: &[Assignment],
    ) -> Result<String, Failure> {
        let names: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
        if let Some(twice) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            return Err(Failure::Usage(format!("{} is given twice", twice.1)));
        }
        let receipt = client.patch_app(app, &settings::set(values)).await?;
        let done = format!("Set {} of app {app}", names.join(", "));
        let already = format!("App {app} has {} so already", names.join(", "));
        Ok(output::receipt(self.api.json, &receipt, &done, &already))
    }

    async fn unset(&self, client: &Client, app: &str, names: &[String]) -> Result<String, Failure> {
        let view = client.app(app).await?;
        let receipt = client.patch_app(app, &settings::unset(names)).await?;
        let missing = settings::missing(names, &view);
        let gone = names.iter().map(String::as_str).filter(|name| !missing.contains(name));
        let gone: Vec<&str> = gone.collect();
        let mut done = format!("Unset {} of app {app}", gone.join(", "));
        let had_not = format!("had no {} of its own", missing.join(", no "));
        if !missing.is_empty() {
            done += &format!(", which {had_not}");
        }
        let already = match missing.is_empty() {
            true => format!("App {app} has {} unset already", names.join(", ")),
            false => format!("App {app} {had_not}"),
        };
        Ok(output::receipt(self.api.json, &receipt, &done, &already))
    }
}

/// The word for an app's maintenance mode.
pub(super) fn on_off(app: &AppView) -> &'static str {
    if app.settings.maintenance { "on" } else { "off" }
}

/// Asks for the name again where a person may have mistyped it; a script says what it means.
fn confirmed(name: &str, confirm: &[String]) -> Result<(), Failure> {
    let asked;
    let given = match confirm {
        [] if io::stdin().is_terminal() => {
            asked = [ask(name)?];
            &asked
        }
        [] => return Ok(()),
        given => given,
    };
    if given.iter().any(|given| given == name) {
        return Ok(());
    }
    let given = given.join(", ");
    Err(Failure::Usage(format!("{given:?} is not {name:?}: nothing was removed")))
}

fn ask(name: &str) -> Result<String, Failure> {
    let failed = |error: io::Error| Failure::Usage(format!("cannot ask: {error}; use --confirm"));
    let mut line = String::new();
    let mut err = io::stderr().lock();
    write!(err, "This removes app {name} with all its hosts and dynos. Type its name: ")
        .and_then(|()| err.flush())
        .and_then(|()| io::stdin().lock().read_line(&mut line))
        .map_err(failed)?;
    Ok(line.trim().to_owned())
}
