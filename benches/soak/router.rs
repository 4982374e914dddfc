//! The router of the run: the built binary in a process of its own, and what the system and its
//! own metrics know of it.
//!
//! Invariants: nothing of the caller's environment that Hostler reads reaches it; it is killed with
//! its handle if it has not ended before; its log is read as fast as it comes.

use std::{
    fmt,
    io::{BufRead, BufReader, Error, Result},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use hostler::api::{Access, Client};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::{
    ledger::Ledger,
    wire::{Conn, Framing, Text},
};

/// Known to this run only.
const TOKEN: &str = "soak-admin-token-0123456789";
/// Workers of the data plane.
const WORKERS: usize = 2;
/// How long the router may take to end.
const END: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// The most descriptors of pipes that the router keeps, two a pipe: 16 pipes a worker.
const KEPT_PIPES: usize = 2 * 16 * WORKERS;

/// The router.
pub struct Router {
    child: Child,
    log: Option<JoinHandle<()>>,
    /// Where it takes traffic.
    pub http: SocketAddr,
    control: SocketAddr,
    // Removed with it.
    _data: TempDir,
}

impl Router {
    /// Starts it; its log goes into the ledger.
    pub fn start(ledger: Arc<Ledger>) -> Result<Router> {
        let data = tempfile::Builder::new().prefix("hostler-soak-").tempdir()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_hostler"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HOSTLER_") || name == "PORT" {
                command.env_remove(name);
            }
        }
        command
            .arg("serve")
            .env("HOSTLER_HTTP_LISTEN", "127.0.0.1:0")
            .env("HOSTLER_CONTROL_LISTEN", "127.0.0.1:0")
            .env("HOSTLER_DATA_DIR", data.path())
            .env("HOSTLER_WORKERS", WORKERS.to_string())
            .env("HOSTLER_ADMIN_TOKEN", TOKEN)
            // Dynos come back sooner than after the default of both.
            .env("HOSTLER_DYNOS_QUARANTINE", "100ms")
            .env("HOSTLER_TIMEOUTS_POOL_IDLE", "2s")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else { unreachable!("both are piped") };
        let log = thread::spawn(move || {
            BufReader::new(stdout)
                .lines()
                .map_while(Result::ok)
                .for_each(|line| ledger.line(&line));
        });
        let mut said = BufReader::new(stderr);
        let (http, control) = (listens(&mut said, "http")?, listens(&mut said, "control")?);
        // What it says from now on beyond its start and end is for whoever watches.
        thread::spawn(move || {
            let lines = said.lines().map_while(Result::ok).filter(|line| !line.contains(" INFO "));
            lines.for_each(|line| eprintln!("hostler: {line}"));
        });
        Ok(Router { child, log: Some(log), http, control, _data: data })
    }

    /// A client of its push API.
    pub fn api(&self) -> Client {
        let access = Access::new(&format!("http://{}", self.control), TOKEN);
        Client::new(access.expect("its own address is one"))
    }

    /// Its metrics.
    pub async fn metrics(&self) -> Result<Metrics> {
        let stream = tokio::net::TcpStream::connect(self.control).await?;
        let mut conn = Conn::new(stream)?;
        conn.send(format!(
            "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Authorization: Bearer {TOKEN}\r\n\r\n",
            self.control
        ))
        .await?;
        let head = conn.head().await?.ok_or_else(|| Error::other("no metrics came"))?;
        let mut text = Text::default();
        conn.body(head.framing(Framing::Close)?, &mut text).await?;
        Ok(Metrics(String::from_utf8_lossy(&text).into_owned()))
    }

    /// Its resident memory in bytes.
    pub fn resident(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kib.ok_or_else(|| Error::other("no VmRSS"))? * 1024)
    }

    /// Its open descriptors.
    pub fn descriptors(&self) -> Result<Descriptors> {
        let mut open = Descriptors::default();
        for entry in std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))? {
            // One that was closed since the folder was read is none.
            let Ok(what) = std::fs::read_link(entry?.path()) else { continue };
            match what.to_string_lossy() {
                what if what.starts_with("socket:") => open.sockets += 1,
                what if what.starts_with("pipe:") => open.pipes += 1,
                _ => open.others += 1,
            }
        }
        Ok(open)
    }

    /// Sends it SIGTERM and waits for its end and that of its log.
    pub fn end(&mut self) -> Result<ExitStatus> {
        rustix::process::kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                let log = self.log.take().map(JoinHandle::join);
                return match log {
                    Some(Err(_)) => Err(Error::other("the reader of the log panicked")),
                    _ => Ok(status),
                };
            }
            if began.elapsed() > END {
                return Err(Error::other(format!("the router did not end within {END:?}")));
            }
            thread::sleep(LOOK);
        }
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        // It has ended already, unless the run failed early.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Open descriptors by what they are.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    pub sockets: usize,
    pub pipes: usize,
    pub others: usize,
}

impl Descriptors {
    /// Is nothing open that was not `before`, but for pipes that are kept for the next transfer?
    pub fn are_back(&self, before: &Descriptors) -> bool {
        self.sockets <= before.sockets
            && self.pipes <= before.pipes + KEPT_PIPES
            && self.others <= before.others
    }
}

impl fmt::Display for Descriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Descriptors { sockets, pipes, others } = self;
        write!(f, "{sockets} sockets, {pipes} pipes, {others} others")
    }
}

fn listens(said: &mut impl BufRead, what: &str) -> Result<SocketAddr> {
    let begin = format!("{what} listens on ");
    let mut all = String::new();
    loop {
        let from = all.len();
        if said.read_line(&mut all)? == 0 {
            return Err(Error::other(format!("the router did not start: {all}")));
        }
        if let Some((_, addr)) = all[from..].trim_end().split_once(&begin) {
            return addr.parse().map_err(Error::other);
        }
    }
}

/// Metrics at one moment.
pub struct Metrics(String);

impl Metrics {
    /// The sum of the series whose name, labels included, begins so.
    pub fn sum(&self, begin: &str) -> f64 {
        let value = |line: &str| line.rsplit_once(' ')?.1.parse::<f64>().ok();
        self.0.lines().filter(|line| line.starts_with(begin)).filter_map(value).sum()
    }
}
