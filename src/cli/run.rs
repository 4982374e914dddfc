//! Reads the command line and does what it says.
//!
//! Invariant: what a command prints goes to standard output, why it failed to standard error.

use std::process::ExitCode;

use clap::{ArgMatches, FromArgMatches};

use super::{
    args::{self, Api, Cli, Command},
    failure::Failure,
    output, parent,
    store::Store,
};
use crate::{api::ClientError, config};

/// Reads the command line, does what it says, and answers with the exit code. `serve` is what runs
/// the router: it is handed in, since the command line names none of the router's parts.
pub fn main<E: std::error::Error>(serve: fn(config::Settings) -> Result<(), E>) -> ExitCode {
    let matches = match args::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return explain(&error),
    };
    let command = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli.command,
        Err(error) => return explain(&error),
    };
    match command {
        Command::Serve { end_with_stdin } => {
            run_router(settings_of(&matches), serve, end_with_stdin)
        }
        Command::Check => check(settings_of(&matches)),
        Command::Store(store) => keep(&store, settings_of(&matches)),
        Command::Demo(demo) => report(demo.run()),
        Command::DemoApp(app) => report(app.run()),
        Command::Completion(completion) => finish(&completion.run()),
        Command::Man(man) => match man.run() {
            Ok(text) => finish(&text),
            Err(failure) => fail(&failure, failure.code()),
        },
        client => call(&client, is_json(&matches)),
    }
}

/// Prints what clap has to say: help and version are no mistakes.
fn explain(error: &clap::Error) -> ExitCode {
    let code = if error.use_stderr() { 2 } else { 0 };
    match error.print() {
        Ok(()) => ExitCode::from(code),
        Err(_) => ExitCode::from(code.max(1)),
    }
}

fn settings_of(matches: &ArgMatches) -> &ArgMatches {
    let (_, of_command) = matches.subcommand().expect("serve, check and store are subcommands");
    of_command
}

fn run_router<E: std::error::Error>(
    matches: &ArgMatches,
    serve: fn(config::Settings) -> Result<(), E>,
    end_with_stdin: bool,
) -> ExitCode {
    if end_with_stdin && let Err(error) = parent::end_with_stdin() {
        return fail(&format!("cannot watch standard input: {error}"), 1);
    }
    match config::load(matches) {
        Ok(settings) => match serve(settings) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, 1),
        },
        Err(mistakes) => fail(&mistakes, 2),
    }
}

fn check(matches: &ArgMatches) -> ExitCode {
    match config::load(matches) {
        Ok(settings) => {
            let lines = settings.stated.iter().map(|stated| format!("{stated}\n"));
            finish(&lines.collect::<String>())
        }
        Err(mistakes) => fail(&mistakes, 1),
    }
}

/// A command on the data directory: what it found is printed, whether it failed or not.
fn keep(store: &Store, matches: &ArgMatches) -> ExitCode {
    let (text, done) = store.run(matches);
    let printed = finish(&text);
    done.map_or_else(|failure| fail(&failure, failure.code()), |()| printed)
}

/// Is JSON asked for?
fn is_json(matches: &ArgMatches) -> bool {
    let within = matches.subcommand().is_some_and(|(_, within)| is_json(within));
    within || matches.try_get_one("json").ok().flatten().is_some_and(|as_json| *as_json)
}

/// A command that calls the push API.
fn call(command: &Command, as_json: bool) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}"), 1),
    };
    match runtime.block_on(do_call(command, |name| std::env::var(name).ok())) {
        Ok(text) => finish(&text),
        Err(failure) => {
            // What is done has a receipt, in time or not.
            let printed = match &failure {
                Failure::Call(ClientError::Behind(receipt, _)) if as_json => {
                    output::print(&output::json(receipt))
                }
                _ => Ok(()),
            };
            if let Err(error) = printed {
                eprintln!("hostler: cannot write to standard output: {error}");
            }
            fail(&failure, failure.code())
        }
    }
}

/// Does a command that calls the push API, and answers what to print.
pub(super) async fn do_call(
    command: &Command,
    env: impl Fn(&str) -> Option<String>,
) -> Result<String, Failure> {
    let client = |api: &Api| api.client(env);
    match command {
        Command::Apps(apps) => apps.run(&client(&apps.api)?).await,
        Command::Certs(certs) => certs.run(&client(&certs.api)?).await,
        Command::Domains(domains) => domains.run(&client(&domains.api)?).await,
        Command::Dynos(dynos) => dynos.run(&client(&dynos.api)?).await,
        Command::Maintenance(maintenance) => maintenance.run(&client(&maintenance.api)?).await,
        Command::Pages(pages) => pages.run(&client(&pages.api)?).await,
        Command::Tokens(tokens) => tokens.run(&client(&tokens.api)?).await,
        Command::Explain(explain) => explain.run(&client(&explain.api)?).await,
        Command::Stats(stats) => stats.run(&client(&stats.api)?).await,
        Command::History(history) => history.run(&client(&history.api)?).await,
        Command::Diff(diff) => diff.run(&client(&diff.api)?).await,
        Command::Revert(revert) => revert.run(&client(&revert.api)?).await,
        Command::Table(table) => table.run(&client(&table.api)?).await,
        Command::Routers(routers) => routers.run(&client(&routers.api)?).await,
        Command::Feed(feed) => feed.run(&client(&feed.api)?).await,
        Command::Serve { .. }
        | Command::Check
        | Command::Store(_)
        | Command::Demo(_)
        | Command::DemoApp(_)
        | Command::Completion(_)
        | Command::Man(_) => {
            unreachable!("these do not call the push API")
        }
    }
}

fn report(done: Result<(), Failure>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure, failure.code()),
    }
}

fn finish(text: &str) -> ExitCode {
    match output::print(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("cannot write to standard output: {error}"), 1),
    }
}

fn fail(why: &dyn std::fmt::Display, code: u8) -> ExitCode {
    let text = why.to_string();
    let lines: Vec<String> = text.lines().map(output::printable).collect();
    eprintln!("hostler: {}", lines.join("\n"));
    ExitCode::from(code)
}
