//! Who takes part, in what, and where each one's program is found.
//!
//! Invariants: a rival is left out of a scenario only because it has no such thing; a program that
//! is missing is named with what installs it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ValueEnum;
use serde::Serialize;

use crate::failure::{During, Failure};
use crate::scenario::{Scenario, Way, Work};

/// Where `tests/setup.sh bench` puts what it installs.
const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/rivals");

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rival {
    /// The floor: carries bytes, parses nothing, logs nothing.
    Relay,
    /// The binary that cargo built beside this bench, or `--hostler`.
    Hostler,
    /// From the machine's packages.
    Nginx,
    /// From the machine's packages.
    Haproxy,
    /// The same, moving bodies from socket to socket inside the kernel: for large bodies alone.
    HaproxySplice,
    /// The same with the better of two random dynos, not the best of all: for uneven dynos alone.
    HaproxyRandom,
    /// From PyPI.
    Envoy,
    /// From PyPI.
    Traefik,
    /// From PyPI.
    Caddy,
}

impl Rival {
    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Rival::Relay => "relay",
            Rival::Hostler => "hostler",
            Rival::Nginx => "nginx",
            Rival::Haproxy => "haproxy",
            Rival::HaproxySplice => "haproxy-splice",
            Rival::HaproxyRandom => "haproxy-random",
            Rival::Envoy => "envoy",
            Rival::Traefik => "traefik",
            Rival::Caddy => "caddy",
        }
    }

    /// Does it take clients that speak like this?
    pub fn takes(self, way: Way) -> bool {
        // A relay that knows no TLS is a floor for nothing there.
        way == Way::Plain
            || !matches!(self, Rival::Relay | Rival::HaproxySplice | Rival::HaproxyRandom)
    }

    /// Is it of interest there?
    pub fn takes_part(self, scenario: Scenario) -> bool {
        let work = scenario.work();
        let is_of_interest = match self {
            Rival::Hostler | Rival::Nginx | Rival::Haproxy => true,
            Rival::HaproxySplice => matches!(work, Work::Big | Work::Upload),
            Rival::HaproxyRandom => work == Work::Uneven,
            Rival::Relay | Rival::Envoy | Rival::Traefik | Rival::Caddy => work != Work::Uneven,
        };
        is_of_interest && self.takes(scenario.way())
    }

    /// Its program, or what to install.
    pub fn find(self, hostler: &Path) -> Result<PathBuf, String> {
        match self {
            Rival::Relay => Ok(PathBuf::new()),
            Rival::Hostler => Ok(hostler.to_owned()),
            Rival::Nginx => packaged("nginx"),
            Rival::Haproxy | Rival::HaproxySplice | Rival::HaproxyRandom => packaged("haproxy"),
            Rival::Envoy | Rival::Traefik | Rival::Caddy => {
                let program = Path::new(INSTALLED).join(self.name());
                match program.is_file() {
                    true => Ok(program),
                    false => Err("not installed (tests/setup.sh bench)".to_owned()),
                }
            }
        }
    }

    /// What a program says about its version.
    pub fn version(self, program: &Path) -> Result<String, Failure> {
        let argument = match self {
            Rival::Relay => return Ok("built in".to_owned()),
            Rival::Hostler | Rival::Envoy => "--version",
            Rival::Traefik | Rival::Caddy => "version",
            Rival::Nginx | Rival::Haproxy | Rival::HaproxySplice | Rival::HaproxyRandom => "-v",
        };
        let output = Command::new(program).arg(argument).stdin(Stdio::null()).output();
        let output = output.during(&format!("{} {argument}", program.display()))?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        // Envoy begins with an empty line.
        let line = text.lines().find(|line| !line.trim().is_empty());
        let line = line.unwrap_or("unknown").trim();
        // ... and with its own path.
        Ok(line.trim_start_matches(&*program.to_string_lossy()).trim_start().to_owned())
    }
}

impl fmt::Display for Rival {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.name())
    }
}

fn packaged(name: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps both in sbin, which is not in the path of ordinary users.
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|program| program.is_file())
        .ok_or_else(|| format!("not installed (Debian: apt-get install {name})"))
}
