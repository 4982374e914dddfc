//! The router of the run: the built binary in a process of its own.
//!
//! Invariants: nothing of the caller's environment that Hostler reads reaches it; it ends with this
//! process, however that ends, and is killed with its handle if it has not ended before; its log of
//! exchanges is on, and goes nowhere.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::{
    failure::{During, Failure},
    plan::Plan,
};

/// Known to this run only.
pub const TOKEN: &str = "push-admin-token-0123456789";
/// Workers of the data plane.
pub const WORKERS: usize = 2;
/// How often a durable write is tried.
const WRITES: usize = 51;

/// The router.
pub struct Router {
    child: Child,
    /// Where it takes traffic.
    pub http: SocketAddr,
    /// Where it takes pushes.
    pub control: SocketAddr,
    // Removed with it.
    data: TempDir,
}

impl Router {
    /// Starts it with an empty store.
    pub fn start(plan: &Plan) -> Result<Router, Failure> {
        let parent = plan.dir.clone().unwrap_or_else(std::env::temp_dir);
        let data = tempfile::Builder::new().prefix("hostler-push-").tempdir_in(parent);
        let data = data.during("a directory for the store")?;
        let mut command = Command::new(&plan.hostler);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HOSTLER_") || name == "PORT" {
                command.env_remove(name);
            }
        }
        command
            .args(["serve", "--end-with-stdin"])
            .env("HOSTLER_HTTP_LISTEN", "127.0.0.1:0")
            .env("HOSTLER_CONTROL_LISTEN", "127.0.0.1:0")
            .env("HOSTLER_DATA_DIR", data.path())
            .env("HOSTLER_WORKERS", WORKERS.to_string())
            .env("HOSTLER_ADMIN_TOKEN", TOKEN)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().during("starting hostler")?;
        let mut said = BufReader::new(child.stderr.take().expect("it is piped"));
        let http = listens(&mut said, "http")?;
        let control = listens(&mut said, "control")?;
        // What it says beyond its start and end is for whoever watches.
        thread::spawn(move || {
            let lines = said.lines().map_while(Result::ok).filter(|line| !line.contains(" INFO "));
            lines.for_each(|line| eprintln!("hostler: {line}"));
        });
        Ok(Router { child, http, control, data })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How long each of its workers has been on a core, in nanoseconds (proc(5), schedstat).
    pub fn workers(&self) -> Result<Vec<u64>, Failure> {
        let folder = PathBuf::from(format!("/proc/{}/task", self.child.id()));
        let mut times = vec![0; WORKERS];
        for task in fs::read_dir(&folder).during("the router's threads")? {
            let task = task.during("the router's threads")?.path();
            let name = fs::read_to_string(task.join("comm")).during("a thread's name")?;
            let number = name.trim().strip_prefix("worker-").and_then(|n| n.parse::<usize>().ok());
            let Some(number) = number else { continue };
            let stat = fs::read_to_string(task.join("schedstat")).during("a thread's time")?;
            times[number] = stat.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
        }
        Ok(times)
    }

    /// What its disk takes to make 4 KiB durable, at the median: no commit is faster.
    pub fn durable_write(&self) -> Result<Duration, Failure> {
        let path = self.data.path().join("durable");
        let mut file = fs::File::create(&path).during("a file beside the store")?;
        let mut times = Vec::new();
        for _ in 0..WRITES {
            let began = Instant::now();
            file.write_all(&[1; 4096]).during("a write")?;
            file.sync_data().during("making a write durable")?;
            times.push(began.elapsed());
        }
        times.sort();
        Ok(times[WRITES / 2])
    }

    /// Sends it SIGTERM and waits for its end.
    pub fn end(mut self) -> Result<(), Failure> {
        let told = rustix::process::kill_process(Pid::from_child(&self.child), Signal::TERM);
        told.during("telling the router to end")?;
        let status = self.child.wait().during("waiting for the router's end")?;
        match status.success() {
            true => Ok(()),
            false => Err(Failure::Answer(format!("the router ended with {status}"))),
        }
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        // It has ended already, unless the run failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listens(said: &mut impl BufRead, what: &str) -> Result<SocketAddr, Failure> {
    let begin = format!("{what} listens on ");
    let mut all = String::new();
    loop {
        let from = all.len();
        if said.read_line(&mut all).during("reading what the router says")? == 0 {
            return Err(Failure::Answer(format!("the router did not start: {all}")));
        }
        if let Some((_, addr)) = all[from..].trim_end().split_once(&begin) {
            return addr.parse().map_err(|_| Failure::Answer(all));
        }
    }
}
