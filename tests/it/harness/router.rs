//! The router under test: the built binary in a process of its own.
//!
//! Invariants: its ports are the system's choice and read from what it says; it sees no setting of
//! the machine that the test runs on; it is ended by its own handle with the test, and what it said
//! is shown if the test failed.

use std::{
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use super::{Conn, DEADLINE, lines::Lines};

/// The admin token of every router under test.
pub const TOKEN: &str = "the-admin-token-of-the-tests";

/// A command of the binary that sees none of the settings around it.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hostler"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HOSTLER_") || name == "PORT" {
            command.env_remove(name);
        }
    }
    command
}

/// `hostler serve` with a data directory and settings, not started yet.
pub fn serve(data_dir: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = command(&["serve"]);
    command
        .env("HOSTLER_HTTP_LISTEN", "127.0.0.1:0")
        .env("HOSTLER_CONTROL_LISTEN", "127.0.0.1:0")
        .env("HOSTLER_WORKERS", "2")
        .env("HOSTLER_ADMIN_TOKEN", TOKEN)
        .env("HOSTLER_DATA_DIR", data_dir)
        .envs(settings.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// `outer` with a command behind its arguments, to start it in its own place.
pub fn through(mut outer: Command, command: &Command) -> Command {
    outer.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    outer
}

/// A running router.
pub struct Router {
    child: Child,
    /// Where it takes traffic.
    pub http: SocketAddr,
    /// Where it takes pushes.
    pub control: SocketAddr,
    /// Its access log.
    pub log: Lines,
    /// Its diagnostics.
    pub said: Lines,
    data_dir: Option<TempDir>,
}

impl Router {
    /// Starts one with an empty data directory.
    pub fn start() -> Router {
        Router::with(&[])
    }

    /// Starts one with settings, as variables of the environment.
    pub fn with(settings: &[(&str, &str)]) -> Router {
        let data_dir = tempfile::tempdir().unwrap();
        let mut router = Router::on(data_dir.path(), settings);
        router.data_dir = Some(data_dir);
        router
    }

    /// Starts one on a data directory that outlives it.
    pub fn on(data_dir: &Path, settings: &[(&str, &str)]) -> Router {
        Router::by(serve(data_dir, settings))
    }

    /// Starts one by a command of [`serve`].
    pub fn by(mut serve: Command) -> Router {
        let mut child = serve.spawn().unwrap();
        let log = Lines::of(child.stdout.take().unwrap());
        let said = Lines::of(child.stderr.take().unwrap());
        let listens = |what: &str| {
            let line = said.wait_for(what);
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        let (http, control) = (listens("http listens on "), listens("control listens on "));
        Router { child, http, control, log, said, data_dir: None }
    }

    /// Where it takes TLS.
    pub fn https(&self) -> SocketAddr {
        let line = self.said.wait_for("https listens on ");
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// A client's connection.
    pub fn connect(&self) -> Conn {
        TcpStream::connect(self.http).unwrap().into()
    }

    /// A connection of a client at this address of the machine's own.
    pub fn connect_from(&self, address: &str) -> Conn {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let address = SocketAddr::new(address.parse().unwrap(), 0);
        socket.bind(&address.into()).unwrap();
        socket.connect(&self.http.into()).unwrap();
        TcpStream::from(socket).into()
    }

    /// A connection of a client whose kernel takes next to nothing that it does not read.
    pub fn connect_small(&self) -> Conn {
        small(self.http)
    }

    /// The same to the push API.
    pub fn connect_control_small(&self) -> Conn {
        small(self.control)
    }

    /// What it says of itself once it is ready: its workers may still be starting.
    pub fn ready(&self) -> super::push::Reply {
        let ask = || self.call("GET", "/readyz", None);
        until("it is ready", || ask().status() == 200);
        ask()
    }

    /// A connection to the push API.
    pub fn connect_control(&self) -> Conn {
        TcpStream::connect(self.control).unwrap().into()
    }

    /// A GET on a connection of its own.
    pub fn get(&self, host: &str, path: &str) -> super::Answer {
        self.connect().get(host, path)
    }

    /// Its data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.data_dir.as_ref().expect("it has one of its own").path().to_owned()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Kills it without a warning.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.said.wait_for_end();
        self.child.wait().unwrap()
    }

    /// Its resident memory in bytes.
    pub fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }
}

/// A connection of which the kernel takes next to nothing that is not read.
pub fn small(addr: SocketAddr) -> Conn {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).unwrap();
    Conn::make_small(&socket);
    socket.connect(&addr.into()).unwrap();
    TcpStream::from(socket).into()
}

impl Drop for Router {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the router said {:#?}", self.said.last());
            eprintln!("and logged {:#?}", self.log.last());
        }
    }
}

/// How long lies between two looks at a condition that nothing announces.
const LOOK: Duration = Duration::from_millis(5);

/// Looks until `is_so`, to the deadline.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < DEADLINE, "waited {DEADLINE:?} until {what}");
        std::thread::park_timeout(LOOK);
    }
}
