//! The demo's router: `hostler serve` in a process of its own.
//!
//! Invariants: where it listens is read from what it says of itself, so that port 0 works; why it
//! could not start is told in its own words; its access log goes where the demo's output goes.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStderr},
    time::{Instant, sleep, timeout},
};

use super::children::{self, Children, Role};
use crate::{api::Client, cli::failure::Failure};

/// How long the router may take to listen.
const START_TIME: Duration = Duration::from_secs(30);
/// How long it may then take to serve.
const READY_TIME: Duration = Duration::from_secs(10);
/// How long between two questions whether it does.
const READY_STEP: Duration = Duration::from_millis(20);
/// How long it may finish what runs at its end; less than the demo's patience.
const DRAIN: &str = "2s";
/// The most lines that it may say before it listens.
const MAX_LINES: usize = 1000;

/// A router that listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Router {
    /// Its process.
    pub(super) pid: u32,
    /// Where it takes traffic.
    pub(super) http: SocketAddr,
    /// Where its push API is.
    pub(super) control: SocketAddr,
}

impl Router {
    /// Where clients on this machine reach the push API.
    pub(super) fn control_for_clients(&self) -> SocketAddr {
        reachable(self.control)
    }

    /// Where clients on this machine send requests.
    pub(super) fn http_for_clients(&self) -> SocketAddr {
        reachable(self.http)
    }

    /// Do names below `localhost` lead to it?
    pub(super) fn is_localhost(&self) -> bool {
        let ip = self.http.ip();
        ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST
    }
}

/// An address that stands for all of the machine's is reached at its loopback.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        ip if !ip.is_unspecified() => ip,
        // The IPv6 one takes IPv4 too.
        _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    SocketAddr::new(ip, addr.port())
}

/// Starts the router and waits until it listens.
pub(super) async fn start(
    children: &mut Children,
    data_dir: &Path,
    listens: [(&str, Option<&str>); 2],
) -> Result<Router, Failure> {
    let fixed = ["serve", "--end-with-stdin", "--log-level", "info", "--drain-deadline", DRAIN];
    let cannot = |error| Failure::Failed(format!("cannot start hostler serve: {error}"));
    let mut command = children::command(&fixed).map_err(cannot)?;
    command.arg("--data-dir").arg(data_dir).stderr(Stdio::piped());
    for (flag, value) in listens {
        command.args(value.map(|value| format!("{flag}={value}")));
    }
    // The demo finds the token in the data directory, and is the same whatever is set up here.
    command.env_remove("HOSTLER_ADMIN_TOKEN").env_remove("HOSTLER_CONFIG");
    let mut child = command.spawn().map_err(cannot)?;
    let pid = child.id().unwrap_or_default();
    let said = child.stderr.take().expect("its standard error is a pipe");
    let mut said = BufReader::new(said);
    match timeout(START_TIME, listening(&mut said)).await {
        Ok(Said::Listening { http, control }) => {
            children.watch("hostler serve", Role::Router, child);
            tokio::spawn(pass_on(said));
            Ok(Router { pid, http, control })
        }
        Ok(Said::Ended(lines)) => Err(why_it_ended(child, &lines).await),
        Err(_) => Err(Failure::Failed(format!("hostler serve did not listen in {START_TIME:?}"))),
    }
}

/// Passes on what the router says, until it ends or nobody reads it any more.
async fn pass_on(said: BufReader<ChildStderr>) {
    let mut lines = said.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if writeln!(io::stderr(), "{line}").is_err() {
            break;
        }
    }
}

/// Waits until the router serves.
pub(super) async fn until_ready(client: &Client) -> Result<(), Failure> {
    let deadline = Instant::now() + READY_TIME;
    loop {
        let readiness = client.ready().await?;
        if readiness.ready {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let why = readiness.reasons.join("; ");
            return Err(Failure::Failed(format!("the router is not ready: {why}")));
        }
        sleep(READY_STEP).await;
    }
}

/// What the router said until it listened, or ended.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Listening { http: SocketAddr, control: SocketAddr },
    Ended(Vec<String>),
}

async fn listening(said: &mut BufReader<ChildStderr>) -> Said {
    let mut lines = Vec::new();
    let mut text = said.lines();
    while lines.len() < MAX_LINES {
        // Lines that cannot be read end as the process does: it has nothing more to say.
        let Ok(Some(line)) = text.next_line().await else { break };
        lines.push(line);
        if let Some((http, control)) = addresses(&lines) {
            return Said::Listening { http, control };
        }
    }
    Said::Ended(lines)
}

/// The first address of each listener, once all that it listens on is said.
fn addresses(lines: &[String]) -> Option<(SocketAddr, SocketAddr)> {
    let first = |name: &str| {
        let mut found = lines.iter().filter_map(|line| line.split_once(name));
        found.next().and_then(|(_, addr)| addr.trim().parse().ok())
    };
    lines.iter().any(|line| line.contains("table at revision")).then_some(())?;
    Some((first("http listens on ")?, first("control listens on ")?))
}

/// Its own words, without the name that the demo's message begins with as well.
async fn why_it_ended(mut child: Child, lines: &[String]) -> Failure {
    let at = lines.iter().position(|line| line.starts_with("hostler: ")).unwrap_or(0);
    let text = lines[at..].join("\n");
    let text = text.strip_prefix("hostler: ").unwrap_or(&text).to_owned();
    match timeout(START_TIME, child.wait()).await {
        Ok(Ok(status)) if text.is_empty() => {
            Failure::Failed(format!("hostler serve ended: {status}"))
        }
        Ok(Ok(status)) if status.code() == Some(2) => Failure::Usage(text),
        _ => Failure::Failed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(String::from).collect()
    }

    #[test]
    fn addresses_are_read_once_all_are_said() {
        let said = "INFO hostler: http listens on [::]:8080\n\
                    INFO hostler: http listens on 127.0.0.1:81\n\
                    INFO hostler: control listens on 127.0.0.1:9080\n\
                    INFO hostler: table at revision 0: 0 apps, 0 routes, 0 dynos";
        let all = lines(said);
        let expected = ("[::]:8080".parse().unwrap(), "127.0.0.1:9080".parse().unwrap());
        assert_eq!(addresses(&all), Some(expected));
        assert_eq!(addresses(&all[..3]), None);
    }

    #[test]
    fn a_listener_for_all_addresses_is_reached_at_the_loopback() {
        let router = |http: &str| Router {
            pid: 1,
            http: http.parse().unwrap(),
            control: "127.0.0.1:9080".parse().unwrap(),
        };
        let cases = [
            ("[::]:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("[::1]:80", "[::1]:80", true),
            ("10.0.0.1:80", "10.0.0.1:80", false),
        ];
        for (listens, reached, localhost) in cases {
            let router = router(listens);
            assert_eq!(router.http_for_clients().to_string(), reached);
            assert_eq!(router.is_localhost(), localhost, "{listens}");
        }
    }
}
