//! `hostler certs`: list, show, add and remove certificates.
//!
//! Invariants: a key is read from a file and goes into the request alone; what is wrong with a
//! chain or a key is the push API's to say.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use super::{args::Api, failure::Failure, output};
use crate::api::{CertBody, CertView, Client};

const EXAMPLES: &str = "\
Example:
  hostler certs add www.blog.test --chain fullchain.pem --key privkey.pem
  hostler certs";

const ADD_EXAMPLE: &str = "\
Example:
  hostler certs add www.blog.test --chain fullchain.pem --key privkey.pem";

/// The largest file that is read, in bytes: more than the push API takes.
const MAX_FILE: u64 = 1 << 20;

/// `hostler certs`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(super) struct Certs {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    pub(super) api: Api,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the certificates
    #[command(after_help = "Example:\n  hostler certs list")]
    List,
    /// Show a certificate and its chain; the key is never shown
    #[command(after_help = "Example:\n  hostler certs show www.blog.test")]
    Show {
        /// Its name
        name: String,
    },
    /// Add a certificate, or replace it, for the hosts that it names
    #[command(after_help = ADD_EXAMPLE)]
    Add {
        /// Its name: any, the host that it is for say
        name: String,
        /// The PEM file of the certificate, and behind it those that issued it
        #[arg(long, value_name = "FILE")]
        chain: PathBuf,
        /// The PEM file of its private key, without a password
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Remove a certificate
    #[command(after_help = "Example:\n  hostler certs remove www.blog.test")]
    Remove {
        /// Its name
        name: String,
    },
}

impl Certs {
    /// Does the command and answers what to print.
    pub(super) async fn run(&self, client: &Client) -> Result<String, Failure> {
        match &self.command {
            Some(Command::Add { name, chain, key }) => {
                let body = CertBody { chain: read(chain)?, key: read(key)? };
                let receipt = client.put_cert(name, &body).await?;
                let done = format!("Added certificate {name}");
                let already = format!("Certificate {name} stands so already");
                Ok(output::receipt(self.api.json, &receipt, &done, &already))
            }
            Some(Command::Remove { name }) => {
                let receipt = client.delete_cert(name).await?;
                let done = format!("Removed certificate {name}");
                Ok(output::receipt(self.api.json, &receipt, &done, &done))
            }
            Some(Command::Show { name }) => {
                let cert = client.cert(name).await?;
                Ok(if self.api.json { output::json(&cert) } else { shown(&cert) })
            }
            None | Some(Command::List) => self.list(client).await,
        }
    }

    async fn list(&self, client: &Client) -> Result<String, Failure> {
        let certs = client.certs().await?;
        if self.api.json {
            return Ok(output::json(&certs));
        }
        if certs.is_empty() {
            let add = "hostler certs add NAME --chain FILE --key FILE";
            return Ok(format!("There are no certificates. Add one: {add}\n"));
        }
        let row = |cert: &CertView| {
            let closed = if cert.key_closed { "key closed" } else { "" };
            let ends = output::time(cert.not_after_s.saturating_mul(1000));
            let hosts = cert.hosts.join(" ");
            [cert.name.clone(), cert.key_kind.clone(), ends, closed.into(), hosts]
        };
        let rows: Vec<_> = certs.iter().map(row).collect();
        Ok(output::table(["NAME", "KEY", "ENDS", "", "HOSTS"], &rows))
    }
}

fn shown(cert: &CertView) -> String {
    let time = |seconds: u64| output::time(seconds.saturating_mul(1000));
    let mut rows = vec![
        ["Hosts:".into(), cert.hosts.join(" ")],
        ["Begins:".into(), time(cert.not_before_s)],
        ["Ends:".into(), time(cert.not_after_s)],
        ["Key:".into(), cert.key_kind.clone()],
        ["SHA-256:".into(), cert.fingerprint.clone()],
    ];
    if cert.key_closed {
        rows.push(["Not served:".into(), "its key needs HOSTLER_STORE_KEY".into()]);
    }
    let chain = cert.chain.as_deref().unwrap_or_default();
    let chain: String = chain.lines().map(|line| output::printable(line) + "\n").collect();
    output::table(["Certificate:", &output::printable(&cert.name)], &rows) + &chain
}

/// Reads a file of text, to a bound.
fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text));
    let told =
        |error: io::Error| Failure::Usage(format!("{} cannot be read: {error}", path.display()));
    read.map(|_| text).map_err(told)
}
