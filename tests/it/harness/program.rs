//! Dynos and clients that are real programs, in a language of their own.
//!
//! Invariants: a dyno says its address somewhere in what it prints first; a program is ended with
//! all that it started when its handle goes; one that is missing is named, with what to install.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::lines::Lines;

/// What every dyno's address begins with where it is said.
const ADDRESS: &str = "http://127.0.0.1:";

/// A dyno that is a program.
pub struct Program {
    child: Child,
    /// Its address as it is pushed.
    pub addr: String,
    said: Lines,
}

impl Program {
    /// Starts a dyno and waits for its address.
    pub fn start(mut command: Command) -> Program {
        let (reader, writer) = std::io::pipe().unwrap();
        command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer);
        // Servers have workers; a group of its own lets them be ended together.
        command.process_group(0);
        let child = command.spawn().unwrap_or_else(|error| missing(&command, &error));
        // It holds the writing end too, and so the stream would never end.
        drop(command);
        let said = Lines::of(reader);
        let line = said.find(|line| line.contains(ADDRESS));
        let line = line.unwrap_or_else(|| panic!("a dyno said no address but {:#?}", said.all()));
        let (_, rest) = line.split_once(ADDRESS).unwrap();
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Program { child, addr: format!("127.0.0.1:{port}"), said }
    }

    /// Tells it to end, and waits until it has.
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        self.said.wait_for_end();
        self.child.wait().unwrap();
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // They may have ended by themselves.
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the dyno said {:#?}", self.said.last());
        }
    }
}

/// A client that is a program: it does what it is told line by line, and says what comes of it.
pub struct Talker {
    child: Child,
    /// What it says.
    pub says: Lines,
    told: Option<ChildStdin>,
}

impl Talker {
    /// Starts one.
    pub fn start(mut command: Command) -> Talker {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| missing(&command, &error));
        let says = Lines::of(child.stdout.take().unwrap());
        let told = child.stdin.take();
        Talker { child, says, told }
    }

    /// Tells it a line.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.told.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Has it say something, and waits for the echo.
    pub fn echoes(&mut self, text: &str) {
        self.tell(text);
        self.says.wait_for(&format!("heard {text}"));
    }

    /// Tells it to end, and waits for what it says of that.
    pub fn ends(mut self, says: &str) {
        self.told = None;
        self.has_ended(says);
    }

    /// Waits for what it says of its end, and until what it has sent is gone with it.
    pub fn has_ended(self, says: &str) {
        self.says.wait_for(says);
        self.says.wait_for_end();
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `tests/software`, where the scripts are.
pub fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/software")
}

/// Where `tests/setup.sh` installed what they need.
pub fn installed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/software")
}

/// Python, with what is installed for it.
pub fn python() -> Command {
    let mut command = Command::new(installed().join("python/bin/python"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Node, told where its packages are.
pub fn node() -> Command {
    let mut command = Command::new("node");
    command.env("NODE_FOLDER", installed().join("node"));
    command
}

/// curl, which asks no proxy.
pub fn curl(arguments: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "60"]);
    command.args(arguments);
    command
}

/// Runs a program to its end; answers what it printed.
pub fn run(mut command: Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| missing(&command, &error));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{err}\n{out}", output.status);
    output.stdout
}

fn missing<T>(command: &Command, error: &std::io::Error) -> T {
    panic!("{:?} cannot be started ({error}): tests/setup.sh test", command.get_program())
}
