//! Where the push API is and what token opens it, as given, from the environment, or from the files
//! of a router on this machine.
//!
//! Invariants: whatever is given wins over the environment, which wins over the defaults; a token
//! is never part of an error or of `Debug`.

use std::{fmt, io::Read, path::PathBuf};

use super::error::ClientError;
use crate::tls::{ConnectFiles, Connector};

/// Where a router's control listener is unless it is told otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:9080";
/// Where a router keeps its files unless it is told otherwise.
pub const DEFAULT_DATA_DIR: &str = "./data";
/// The file of the data directory that holds the admin token.
pub const ADMIN_TOKEN_FILE: &str = "admin.token";
/// The longest token that is sent, in bytes.
const MAX_TOKEN: usize = 4096;

/// The push API's address and token.
#[derive(Clone)]
pub struct Access {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) token: String,
    /// There is one if the URL says `https`.
    pub(super) tls: Option<Connector>,
}

/// What a caller says of the push API; what is absent comes from the environment, then the
/// defaults.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// `http://HOST:PORT` or `https://HOST:PORT`.
    pub url: Option<String>,
    /// The token itself.
    pub token: Option<String>,
    /// The data directory of a router on this machine, for its `admin.token`.
    pub data_dir: Option<PathBuf>,
    /// The PEM file of the authorities that are trusted with `https`, instead of the system's.
    pub ca: Option<PathBuf>,
    /// The PEM file of the client's certificate.
    pub client_cert: Option<PathBuf>,
    /// The PEM file of the key of that certificate.
    pub client_key: Option<PathBuf>,
}

impl Access {
    /// A known address and token; with `https` the system's authorities are trusted.
    ///
    /// # Errors
    /// If the URL is not `http://HOST:PORT` or `https://HOST:PORT`, the token holds what no header
    /// may hold, or the system has no authorities.
    pub fn new(url: &str, token: &str) -> Result<Access, ClientError> {
        let given = Given { url: Some(url.into()), token: Some(token.into()), ..Given::default() };
        Access::find(given, |_| None)
    }

    /// Finds address, token and files: what is given, then what `env` answers (`HOSTLER_URL`;
    /// `HOSTLER_TOKEN`, `HOSTLER_ADMIN_TOKEN`; `HOSTLER_DATA_DIR`; with `https` `HOSTLER_CA`,
    /// `HOSTLER_CLIENT_CERT` and `HOSTLER_CLIENT_KEY`), then the defaults.
    ///
    /// # Errors
    /// If there is no token, address or token are malformed, or the files cannot be used.
    pub fn find(given: Given, env: impl Fn(&str) -> Option<String>) -> Result<Access, ClientError> {
        let env = |name: &str| env(name).filter(|value| !value.is_empty());
        let url = given.url.clone().or_else(|| env("HOSTLER_URL"));
        let url = url.as_deref().unwrap_or(DEFAULT_URL);
        let Address { host, port, is_secure } = parse_url(url)?;
        let has_files = given.ca.is_some() || given.client_cert.is_some();
        if !is_secure && (has_files || given.client_key.is_some()) {
            let reason = "--ca, --client-cert and --client-key are for https://";
            return Err(ClientError::Url { url: url.into(), reason });
        }
        let files = is_secure.then(|| files(&given, url, env)).transpose()?;
        let tls = files.map(|files| Connector::open(&host, &files)).transpose()?;
        let token = if let Some(token) = given.token {
            checked(&token, "--token")?
        } else if let Some(token) = env("HOSTLER_TOKEN") {
            checked(&token, "HOSTLER_TOKEN")?
        } else if let Some(token) = env("HOSTLER_ADMIN_TOKEN") {
            checked(&token, "HOSTLER_ADMIN_TOKEN")?
        } else {
            let data_dir = given
                .data_dir
                .or_else(|| env("HOSTLER_DATA_DIR").map(PathBuf::from))
                .unwrap_or_else(|| DEFAULT_DATA_DIR.into());
            token_from(data_dir.join(ADMIN_TOKEN_FILE))?
        };
        Ok(Access { host, port, token, tls })
    }

    /// The address as a URL.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// Host and port as a URL has them.
    pub(super) fn authority(&self) -> String {
        let Access { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("url", &self.url()).finish_non_exhaustive()
    }
}

/// The files of a client: those that are given, else those of the environment.
fn files(
    given: &Given,
    url: &str,
    env: impl Fn(&str) -> Option<String>,
) -> Result<ConnectFiles, ClientError> {
    let or_env = |given: &Option<PathBuf>, name: &str| {
        given.clone().or_else(|| env(name).map(PathBuf::from))
    };
    let cert = or_env(&given.client_cert, "HOSTLER_CLIENT_CERT");
    let key = or_env(&given.client_key, "HOSTLER_CLIENT_KEY");
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => {
            let reason = "a client certificate needs both --client-cert and --client-key";
            return Err(ClientError::Url { url: url.into(), reason });
        }
    };
    Ok(ConnectFiles { authorities: or_env(&given.ca, "HOSTLER_CA"), identity })
}

/// What a URL says.
struct Address {
    host: String,
    port: u16,
    is_secure: bool,
}

fn parse_url(url: &str) -> Result<Address, ClientError> {
    let wrong = |reason| ClientError::Url { url: url.into(), reason };
    let (rest, is_secure) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => (rest, false),
        (_, Some(rest)) => (rest, true),
        _ => return Err(wrong("a URL begins with http:// or https://")),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#', '@']) {
        return Err(wrong(
            "only http://HOST:PORT or https://HOST:PORT, nothing before or behind them",
        ));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            let port = port.parse().ok().filter(|port| *port != 0);
            (host, port.ok_or_else(|| wrong("the port is a number from 1 to 65535"))?)
        }
        _ => (authority, if is_secure { 443 } else { 80 }),
    };
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let well_formed = match literal {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
            !host.is_empty() && host.bytes().all(letter)
        }
    };
    if !well_formed {
        return Err(wrong("the host is a name, an IPv4 address, or an IPv6 address in [ ]"));
    }
    Ok(Address { host: literal.unwrap_or(host).to_owned(), port, is_secure })
}

fn checked(token: &str, from: &str) -> Result<String, ClientError> {
    let token = token.trim();
    let well_formed = !token.is_empty()
        && token.len() <= MAX_TOKEN
        && token.bytes().all(|b| b.is_ascii_graphic());
    if well_formed { Ok(token.into()) } else { Err(ClientError::BadToken { from: from.into() }) }
}

fn token_from(path: PathBuf) -> Result<String, ClientError> {
    let mut text = Vec::new();
    let read = std::fs::File::open(&path)
        // One byte more than a token may have, so that a file that is too long is seen as such.
        .and_then(|file| file.take(MAX_TOKEN as u64 + 2).read_to_end(&mut text));
    match read {
        Err(source) => Err(ClientError::NoToken { path, source }),
        Ok(_) => {
            let from = path.display().to_string();
            checked(std::str::from_utf8(&text).unwrap_or_default(), &from)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(url: &str) -> Given {
        Given { url: Some(url.into()), token: Some("t0ken".into()), ..Given::default() }
    }

    #[test]
    fn a_url_is_a_host_and_a_port() {
        for (url, shown) in [
            ("http://127.0.0.1:9080", "http://127.0.0.1:9080"),
            ("http://[::1]:9080/", "http://[::1]:9080"),
            ("http://router.test", "http://router.test:80"),
        ] {
            assert_eq!(Access::find(given(url), |_| None).unwrap().url(), shown);
        }
        for url in ["127.0.0.1:9080", "ftp://a.test", "http://a.test/x", "http://u@a.test"]
            .into_iter()
            .chain(["http://", "http://a:0", "http://a:70000", "http://[::1", "http://a b"])
        {
            let error = Access::find(given(url), |_| None).unwrap_err();
            assert!(
                error.is_usage() && error.to_string().contains("HOSTLER_URL"),
                "{url}: {error}"
            );
        }
    }

    #[test]
    fn a_given_token_wins_over_the_environment_and_that_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(ADMIN_TOKEN_FILE), "from-file\n").unwrap();
        let data_dir = Some(dir.path().to_path_buf());
        let admin = |name: &str| (name == "HOSTLER_ADMIN_TOKEN").then(|| "from-env".into());
        let find = |token: Option<&str>, env: &dyn Fn(&str) -> Option<String>| {
            let given = Given {
                token: token.map(Into::into),
                data_dir: data_dir.clone(),
                ..Given::default()
            };
            Access::find(given, env).unwrap().token
        };
        assert_eq!(find(Some("given"), &admin), "given");
        assert_eq!(find(None, &admin), "from-env");
        assert_eq!(find(None, &|_| None), "from-file");
    }

    #[test]
    fn a_missing_token_names_every_way_to_give_one() {
        let dir = tempfile::tempdir().unwrap();
        let given = Given { data_dir: Some(dir.path().into()), ..Given::default() };
        let error = Access::find(given, |_| None).unwrap_err();
        let text = error.to_string();
        for way in ["--token", "HOSTLER_TOKEN", "HOSTLER_ADMIN_TOKEN", "--data-dir", "admin.token"]
        {
            assert!(text.contains(way), "{text}");
        }
        assert!(error.is_usage());
    }

    #[test]
    fn a_token_never_shows_in_debug_and_never_breaks_a_header() {
        let access = Access::new("http://a.test:1", "sesame").unwrap();
        assert!(!format!("{access:?}").contains("sesame"));
        assert!(Access::new("http://a.test:1", "a\r\nb").is_err());
        assert!(Access::new("http://a.test:1", "").is_err());
    }
}
