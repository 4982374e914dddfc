//! Dynos and clients that are real programs, in a language of their own.
//!
//! Invariants: a dyno says its port on its first line; a program is ended by its own handle when
//! the test is over; one that is missing on the machine is named, with what to install.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use super::lines::Lines;

/// A dyno that is a program.
pub struct Program {
    child: Child,
    /// Its address as it is pushed.
    pub addr: String,
    _stdout: Lines,
}

impl Program {
    /// Starts `tests/it/dynos/{script}` and waits for its port.
    pub fn start(script: &str) -> Program {
        let mut command = interpreter(script);
        let path = folder().join("dynos").join(script);
        let spawned = command
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn();
        let mut child = spawned.unwrap_or_else(|error| missing(&command, &error));
        let stdout = Lines::of(child.stdout.take().unwrap());
        let line = stdout.find(|line| line.starts_with("port ")).expect("the port of the dyno");
        let addr = format!("127.0.0.1:{}", &line["port ".len()..]);
        Program { child, addr, _stdout: stdout }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `tests/it/clients/{script}` to its end; answers what it printed.
pub fn run(script: &str, arguments: &[&str]) -> String {
    let mut command = interpreter(script);
    command.arg(folder().join("clients").join(script)).args(arguments);
    output(command)
}

/// Runs curl; answers what it printed.
pub fn curl(arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "30"]);
    command.args(arguments);
    output(command)
}

fn output(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|error| missing(&command, &error));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{err}\n{out}", output.status);
    out
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it")
}

fn interpreter(script: &str) -> Command {
    Command::new(if script.ends_with(".py") { "python3" } else { "node" })
}

fn missing<T>(command: &Command, error: &std::io::Error) -> T {
    let program = command.get_program();
    panic!("{program:?} cannot be started ({error}): apt-get install python3 nodejs curl")
}
