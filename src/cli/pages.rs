//! `hostler pages`: list, show, set and remove the pages of an app's own.
//!
//! Invariants: a page comes from a file, or from standard input, and is passed on byte for byte;
//! the push API alone judges it; what is shown on a terminal cannot drive it.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use serde_json::{Map, Value, json};

use super::{args::Api, failure::Failure, output, settings::forms};
use crate::api::Client;

/// For what an app may have a page.
const PAGES: [&str; 2] = ["error", "maintenance"];
/// In what forms it may have it.
const FORMS: [&str; 3] = ["html", "json", "text"];
/// The endings of files, and the form that each means.
const ENDINGS: [(&str, &str); 4] =
    [("html", "html"), ("htm", "html"), ("json", "json"), ("txt", "text")];
/// The largest file that is read, in bytes: far more than the push API takes, which says what it
/// takes.
const MAX_FILE: u64 = 1 << 20;

/// `hostler pages`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hostler pages blog\n  \
                        hostler pages set blog error sorry.html sorry.json")]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub(super) struct Pages {
    /// The app whose pages are listed
    #[arg(required = true)]
    app: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    pub(super) api: Api,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the pages of an app, as `hostler pages APP` does
    #[command(after_help = "Example:\n  hostler pages list blog")]
    List {
        /// The app
        app: String,
    },
    /// Set a page from files, one for each form; forms that are not named stay
    #[command(after_help = "Examples:\n  hostler pages set blog error sorry.html sorry.json\n  \
                            hostler pages set blog maintenance --form text -")]
    Set {
        /// The app
        app: String,
        /// error: faults of the app or the router; maintenance: the maintenance mode
        #[arg(value_parser = PossibleValuesParser::new(PAGES))]
        page: String,
        /// Files whose ending says the form: .html, .json or .txt; - is standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The form, for a file without such an ending
        #[arg(long, value_parser = PossibleValuesParser::new(FORMS))]
        form: Option<String>,
    },
    /// Print a page
    #[command(after_help = "Example:\n  hostler pages show blog error html")]
    Show {
        /// The app
        app: String,
        /// The page
        #[arg(value_parser = PossibleValuesParser::new(PAGES))]
        page: String,
        /// The form
        #[arg(value_parser = PossibleValuesParser::new(FORMS))]
        form: String,
    },
    /// Remove a page, or one form of it: the router's own takes its place
    #[command(after_help = "Examples:\n  hostler pages remove blog error\n  \
                            hostler pages remove blog error json")]
    Remove {
        /// The app
        app: String,
        /// The page
        #[arg(value_parser = PossibleValuesParser::new(PAGES))]
        page: String,
        /// The form; every form where none is named
        #[arg(value_parser = PossibleValuesParser::new(FORMS))]
        form: Option<String>,
    },
}

impl Pages {
    /// Does the command and answers what to print.
    pub(super) async fn run(&self, client: &Client) -> Result<String, Failure> {
        match &self.command {
            Some(Command::Set { app, page, files, form }) => {
                let forms = read_all(files, form.as_deref())?;
                let named = forms.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                let patch = json!({ "pages": { page: forms } });
                let receipt = client.patch_app(app, &patch).await?;
                let done = format!("App {app} has its own {page} page ({named})");
                Ok(output::receipt(self.api.json, &receipt, &done, &format!("{done} already")))
            }
            Some(Command::Show { app, page, form }) => self.show(client, app, page, form).await,
            Some(Command::Remove { app, page, form }) => {
                let gone = match form {
                    Some(form) => json!({ form: null }),
                    None => Value::Null,
                };
                let patch = json!({ "pages": { page: gone } });
                let receipt = client.patch_app(app, &patch).await?;
                let form = form.as_deref().map(|form| format!(" ({form})")).unwrap_or_default();
                let done = format!("App {app} has the router's own {page} page{form}");
                Ok(output::receipt(self.api.json, &receipt, &done, &format!("{done} already")))
            }
            Some(Command::List { app }) => self.list(client, app).await,
            None => self.list(client, self.app.as_deref().unwrap_or_default()).await,
        }
    }

    async fn list(&self, client: &Client, app: &str) -> Result<String, Failure> {
        let view = client.app(app).await?;
        if self.api.json {
            return Ok(output::json(&view.settings.pages.unwrap_or_default()));
        }
        let row = |(page, form, text): (&str, &str, &str)| {
            [page.to_owned(), form.to_owned(), text.len().to_string()]
        };
        let rows: Vec<_> = forms(&view.settings).into_iter().map(row).collect();
        if rows.is_empty() {
            return Ok(format!(
                "App {app} has the router's own pages. Set one: hostler pages set {app} error \
                 FILE.html\n"
            ));
        }
        Ok(output::table(["PAGE", "FORM", "BYTES"], &rows))
    }

    async fn show(
        &self,
        client: &Client,
        app: &str,
        page: &str,
        form: &str,
    ) -> Result<String, Failure> {
        let view = client.app(app).await?;
        let found = forms(&view.settings).into_iter().find(|(p, f, _)| (*p, *f) == (page, form));
        let Some((_, _, text)) = found else {
            let none = format!("app {app} has no {page} page of its own in this form ({form})");
            return Err(Failure::NotThere(none));
        };
        if self.api.json {
            return Ok(output::json(&text));
        }
        if io::stdout().is_terminal() {
            let lines: Vec<String> = text.lines().map(output::printable).collect();
            return Ok(lines.join("\n") + "\n");
        }
        Ok(text.to_owned())
    }
}

/// Reads the files: form and text.
fn read_all(files: &[PathBuf], form: Option<&str>) -> Result<Map<String, Value>, Failure> {
    let mut forms = Map::new();
    for file in files {
        let form = form.or_else(|| form_of(file)).ok_or_else(|| {
            let name = file.display();
            Failure::Usage(format!(
                "{name}: its ending is not .html, .json or .txt: say with --form which it is"
            ))
        })?;
        let text = read(file).map_err(|error| {
            Failure::Usage(format!("{} cannot be read: {error}", file.display()))
        })?;
        if forms.insert(form.into(), text.into()).is_some() {
            return Err(Failure::Usage(format!("two files are the {form} of one page")));
        }
    }
    Ok(forms)
}

fn form_of(file: &Path) -> Option<&'static str> {
    let ending = file.extension()?.to_str()?.to_ascii_lowercase();
    ENDINGS.iter().find(|(known, _)| *known == ending).map(|(_, form)| *form)
}

fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    if file == Path::new("-") {
        io::stdin().lock().take(MAX_FILE + 1).read_to_string(&mut text)?;
    } else {
        File::open(file)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    }
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!("it has more than {MAX_FILE} bytes")));
    }
    Ok(text)
}
