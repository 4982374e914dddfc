//! Processes of the comparison: started through this same binary, which readies itself (core, open
//! files, death with the bench) and then either plays a role or becomes the rival's program.
//!
//! Invariants: a child is ended by its process id when its handle is dropped, its own children with
//! it; if the bench itself is killed, the kernel ends the child; nothing waits longer than
//! [`END`] for a child to go.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::failure::{During, Failure};
use crate::{dyno, measure, relay, uneven};

/// First argument of a process that is one of ours.
const ROLE: &str = "--versus-role";

/// How long a child may take to end after SIGTERM before it is killed.
const END: Duration = Duration::from_secs(5);

/// Between two looks at a child that is to start or to end.
pub const LOOK: Duration = Duration::from_millis(5);

/// The most of a child's standard error that a failure quotes, in lines.
const TAIL: usize = 8;

/// A process that lives no longer than this value.
pub struct Child {
    process: std::process::Child,
    /// What it is called in messages.
    pub name: String,
    stderr: PathBuf,
}

/// Where a child runs and what it leaves behind.
pub struct Place<'a> {
    /// The core it is bound to; `None` on a machine with a single core.
    pub core: Option<usize>,
    /// The directory of its standard error, `NAME.stderr`, and of its files.
    pub dir: &'a Path,
}

impl Child {
    /// Starts `program`, its standard output appended to `stdout`.
    pub fn program(
        name: &str,
        place: &Place<'_>,
        stdout: &Path,
        mut set_up: impl FnMut(&mut Command),
        program: &Path,
        arguments: &[String],
    ) -> Result<Child, Failure> {
        let mut command = command("exec", place)?;
        command.arg(program).args(arguments);
        command.stdout(append_to(stdout)?);
        set_up(&mut command);
        Child::start(name, place, command)
    }

    /// Starts one of our own roles; the addresses are what it says that it listens on.
    pub fn role(
        role: &str,
        place: &Place<'_>,
        dynos: &[SocketAddr],
    ) -> Result<(Child, Vec<SocketAddr>), Failure> {
        let mut command = command(role, place)?;
        command.args(dynos.iter().map(ToString::to_string)).stdout(Stdio::piped());
        let mut child = Child::start(role, place, command)?;
        let mut line = String::new();
        if let Some(stdout) = child.process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).during("reading a role's ports")?;
        }
        let ports: Result<Vec<u16>, _> = line.split_whitespace().map(str::parse).collect();
        match ports {
            Ok(ports) if !ports.is_empty() => {
                let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                Ok((child, ports.into_iter().map(address).collect()))
            }
            _ => Err(child.failure("it did not say where it listens")),
        }
    }

    fn start(name: &str, place: &Place<'_>, mut command: Command) -> Result<Child, Failure> {
        let stderr = place.dir.join(format!("{name}.stderr"));
        let process = command
            .stdin(Stdio::null())
            .stderr(append_to(&stderr)?)
            .spawn()
            .during(&format!("starting {name}"))?;
        Ok(Child { process, name: name.to_owned(), stderr })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Looks until `ready` says so; fails when the child ends first or `limit` is over.
    pub fn wait_until(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), Failure> {
        let start = Instant::now();
        while !ready() {
            if let Some(status) = self.process.try_wait().during("waiting for a child")? {
                return Err(self.failure(&format!("it ended before it was ready ({status})")));
            }
            if start.elapsed() > limit {
                return Err(self.failure(&format!("it is not ready after {limit:?}")));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// A failure of this child, with the end of what it wrote to its standard error.
    pub fn failure(&self, what: &str) -> Failure {
        let text = std::fs::read_to_string(&self.stderr).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..]
            .iter()
            .map(|line| format!("\n  | {line}"))
            .collect();
        Failure::Process { name: self.name.clone(), what: what.to_owned(), tail }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let family = measure::family(self.pid());
        signal(self.pid(), Signal::TERM);
        let start = Instant::now();
        while start.elapsed() < END {
            match self.process.try_wait() {
                Ok(None) => std::thread::sleep(LOOK),
                Ok(Some(_)) => return,
                Err(error) => {
                    eprintln!("{}: {error}", self.name);
                    break;
                }
            }
        }
        eprintln!("{} did not end within {END:?} of SIGTERM and is killed", self.name);
        family.into_iter().for_each(|pid| signal(pid, Signal::KILL));
        if let Err(error) = self.process.wait() {
            eprintln!("{}: {error}", self.name);
        }
    }
}

fn signal(pid: u32, signal: Signal) {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    match rustix::process::kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => eprintln!("signal to process {}: {error}", pid.as_raw_nonzero()),
    }
}

fn append_to(path: &Path) -> Result<File, Failure> {
    // Appending, so that the bench may cut the file short while the child goes on writing.
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.during(&path.display().to_string())
}

fn command(role: &str, place: &Place<'_>) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe().during("finding this binary")?);
    let core = place.core.map_or("any".to_owned(), |core| core.to_string());
    command.args([ROLE, role, &std::process::id().to_string(), &core]);
    Ok(command)
}

/// Plays the role that the arguments name, if they name one; returns only on an error.
pub fn play_role() -> Option<Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [flag, role, parent, core, rest @ ..] = arguments.as_slice() else { return None };
    if flag != ROLE {
        return None;
    }
    Some(play(role, parent, core.parse().ok(), rest).err().unwrap_or(Failure::Interrupted))
}

fn play(role: &str, parent: &str, core: Option<usize>, rest: &[String]) -> Result<(), Failure> {
    // SIGTERM, not SIGKILL: nginx ends its workers on the former.
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))
        .during("dying with the bench")?;
    let now = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
    if now.as_deref() != Some(parent) {
        return Err(Failure::Interrupted);
    }
    measure::raise_open_files()?;
    if let Some(core) = core {
        measure::bind_to(core)?;
    }
    match (role, rest) {
        ("exec", [program, arguments @ ..]) => {
            Err(Command::new(program).args(arguments).exec()).during(program)
        }
        ("dyno", []) => dyno::run().during("the dyno"),
        ("uneven", []) => uneven::run().during("the uneven dynos"),
        ("relay", dynos) => {
            let dynos: Result<Vec<SocketAddr>, _> = dynos.iter().map(|dyno| dyno.parse()).collect();
            relay::run(&dynos.expect("the bench writes addresses")).during("the relay")
        }
        _ => unreachable!("the bench starts no role {role} with {} arguments", rest.len()),
    }
}
