//! Reads the sources of the settings: the command line, the environment, the file.
//!
//! The shell around `resolve`. Invariants: a file is read only when `--config` or `HOSTLER_CONFIG`
//! names it; nothing outside of this folder reads a setting from the environment.

use std::{env, fs, io::Read, thread};

use clap::{Arg, ArgMatches, builder::NonEmptyStringValueParser};

use super::{
    keys::{ENV_PREFIX, KEYS, Key, Read as Kind},
    memory,
    mistake::{Mistake, Mistakes, Source},
    resolve::{Machine, Sources, resolve},
    settings::Settings,
};

/// The flag that names the file.
const CONFIG: &str = "config";
/// The variable that names the file.
const CONFIG_ENV: &str = "HOSTLER_CONFIG";
/// The largest file that is read, in bytes; the generated one has about 6,000.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The flags of all settings, and `--config`.
pub fn flags() -> Vec<Arg> {
    let config = Arg::new(CONFIG)
        .long(CONFIG)
        .value_name("PATH")
        .value_parser(NonEmptyStringValueParser::new())
        .help(format!("Settings file, TOML [env: {CONFIG_ENV}] [default: none]"));
    std::iter::once(config).chain(KEYS.iter().filter_map(flag)).collect()
}

/// The flags of some settings, and `--config`: what [`load`] needs of a command that is told where
/// things are as `serve` is.
pub fn flags_of(names: &[&str]) -> Vec<Arg> {
    let is_named = |flag: &Arg| names.contains(&flag.get_id().as_str()) || flag.get_id() == CONFIG;
    flags().into_iter().filter(is_named).collect()
}

fn flag(key: &Key) -> Option<Arg> {
    let default = if key.default.is_empty() { "none" } else { key.default };
    let help = format!("{} [env: {}] [default: {default}]", key.doc.trim(), key.env());
    let arg = Arg::new(key.name).long(key.flag()?).help(help).help_heading("Settings");
    Some(match key.read {
        // `--control-metrics-without-token` alone means true.
        Kind::Switch(_) => arg
            .value_name("true|false")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        Kind::Duration(..) => arg.value_name("DURATION"),
        Kind::Size(..) | Kind::AutoSize(..) => arg.value_name("BYTES"),
        Kind::Count(..) | Kind::Count32(..) | Kind::Auto(..) => arg.value_name("N"),
        Kind::List(_) => arg.value_name("LIST"),
        Kind::Text(_) | Kind::Secret(_) => arg.value_name("VALUE"),
    })
}

/// Reads command line, environment and file into settings.
///
/// # Errors
/// Every mistake in them.
pub fn load(matches: &ArgMatches) -> Result<Settings, Mistakes> {
    let mut mistakes = Vec::new();
    let env = environment(&mut mistakes);
    load_with(matches, &env, machine(), mistakes)
}

/// The same in a given environment, on a given machine, with the mistakes that were found so far.
pub(super) fn load_with(
    matches: &ArgMatches,
    env: &[(String, String)],
    machine: Machine,
    mut mistakes: Vec<Mistake>,
) -> Result<Settings, Mistakes> {
    let flags: Vec<(String, String)> = KEYS
        .iter()
        .filter_map(|key| Some((key.name.to_owned(), flag_value(matches, key.name)?)))
        .collect();
    let named = flag_value(matches, CONFIG).map(|path| (path, Source::Flag(CONFIG.into())));
    let named = named.or_else(|| {
        let (_, path) = env.iter().find(|(name, _)| name == CONFIG_ENV)?;
        Some((path.clone(), Source::Env(CONFIG_ENV.into())))
    });
    let file = named.and_then(|(path, source)| match read_file(&path) {
        Ok(text) => Some((path, text)),
        Err(what) => {
            let remedy = "name a TOML file that can be read, or none".to_owned();
            mistakes.push(Mistake { source, key: String::new(), what, remedy });
            None
        }
    });
    let file = file.as_ref().map(|(path, text)| (path.as_str(), text.as_str()));
    let resolved = resolve(Sources { file, env, flags: &flags, machine });
    match resolved {
        Ok(settings) if mistakes.is_empty() => Ok(settings),
        Ok(_) => Err(Mistakes(mistakes)),
        Err(Mistakes(more)) => Err(Mistakes([mistakes, more].concat())),
    }
}

/// The value of a flag. A command may take only some of them: what it does not have was not given.
fn flag_value(matches: &ArgMatches, id: &str) -> Option<String> {
    matches.try_get_one::<String>(id).ok().flatten().cloned()
}

fn environment(mistakes: &mut Vec<Mistake>) -> Vec<(String, String)> {
    let mut read = Vec::new();
    for (name, value) in env::vars_os() {
        // A name that is not text cannot be one of ours.
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => read.push((name, value)),
            Err(_) if name.starts_with(ENV_PREFIX) || name == "PORT" => mistakes.push(Mistake {
                source: Source::Env(name),
                key: String::new(),
                what: "the value is not UTF-8".into(),
                remedy: "write it as text".into(),
            }),
            Err(_) => {}
        }
    }
    read
}

fn read_file(path: &str) -> Result<String, String> {
    let file = fs::File::open(path).map_err(|error| format!("{path} cannot be read: {error}"))?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("{path} cannot be read: {error}"))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("{path} has more than {MAX_FILE_BYTES} bytes"));
    }
    Ok(text)
}

fn machine() -> Machine {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    Machine {
        // It knows the affinity and the quota of the cgroup; where it cannot tell, one is safe.
        cores: thread::available_parallelism().map_or(1, |cores| cores.get()),
        open_files: files.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX),
        memory: memory::allowed(|path| fs::read_to_string(path).ok()),
    }
}
