//! The router of the run: the built binary in a process of its own, called by hand.
//!
//! Invariants: nothing of the caller's environment that Hostler reads reaches it; every call is a
//! connection of its own, its time taken from before the connect; it is killed with its handle.

use std::{
    error::Error,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

pub type Failure = Box<dyn Error>;

/// Known to this run only.
pub const TOKEN: &str = "bench-admin-token-0123456789";

/// A running router.
pub struct Hub {
    child: Child,
    /// Where it takes pushes.
    pub control: String,
    /// From its start until it had said what it serves.
    pub took: Duration,
}

/// An answer, with the time to its first byte and to its end.
pub struct Answer {
    pub first: Duration,
    pub whole: Duration,
    pub text: String,
}

/// A command of the binary.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hostler"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HOSTLER_") || name == "PORT" {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

impl Hub {
    /// Starts one and waits until it serves.
    pub fn start(data_dir: &Path) -> Result<Hub, Failure> {
        let began = Instant::now();
        let mut child = command(&["serve"])
            .env("HOSTLER_HTTP_LISTEN", "127.0.0.1:0")
            .env("HOSTLER_CONTROL_LISTEN", "127.0.0.1:0")
            .env("HOSTLER_ACCESS_LOG", "off")
            .env("HOSTLER_DATA_DIR", data_dir)
            .env("HOSTLER_ADMIN_TOKEN", TOKEN)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut said = BufReader::new(child.stderr.take().ok_or("standard error is piped")?);
        let (mut control, mut line) = (String::new(), String::new());
        while !line.contains("table at revision") {
            line.clear();
            if said.read_line(&mut line)? == 0 {
                return Err("the router ended before it served".into());
            }
            if let Some((_, addr)) = line.split_once("control listens on ") {
                control = addr.trim().to_owned();
            }
        }
        let took = began.elapsed();
        thread::spawn(move || said.lines().map_while(Result::ok).for_each(|_| {}));
        Ok(Hub { child, control, took })
    }

    /// The least and the most resident memory that it is known to have had, in MB: now, and peak.
    pub fn memory(&self) -> Result<(f64, f64), Failure> {
        memory_of(self.child.id())
    }

    /// Ends it in order.
    pub fn stop(mut self) -> Result<(), Failure> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        if !self.child.wait()?.success() {
            return Err("the router did not end in order".into());
        }
        Ok(())
    }

    /// A call that must be answered with 200.
    pub fn call(&self, method: &str, path: &str, body: &str) -> Result<Answer, Failure> {
        let began = Instant::now();
        let mut stream = TcpStream::connect(&self.control)?;
        stream.set_nodelay(true)?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: hub.test\r\nConnection: close\r\n\
             Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut bytes = vec![0; 64 << 10];
        let mut length = 0;
        let first = loop {
            let count = stream.read(&mut bytes[length..])?;
            length += count;
            let head = bytes[..length].windows(4).position(|end| end == b"\r\n\r\n");
            if head.is_some_and(|end| end + 4 < length) {
                break began.elapsed();
            }
            if count == 0 {
                return Err(format!("{method} {path}: no body came").into());
            }
        };
        let mut text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        if !text.starts_with("HTTP/1.1 200 ") {
            return Err(format!("{method} {path}: {text}").into());
        }
        loop {
            match stream.read(&mut bytes)? {
                0 => break,
                // What is long is of no interest here, only when it ends.
                count if text.len() < 1 << 20 => {
                    text += &String::from_utf8_lossy(&bytes[..count]);
                }
                _ => {}
            }
        }
        Ok(Answer { first, whole: began.elapsed(), text })
    }

    /// How long it takes to the first byte; the rest is not waited for.
    pub fn first_byte(&self, path: &str) -> Result<Duration, Failure> {
        let began = Instant::now();
        let mut stream = TcpStream::connect(&self.control)?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: hub.test\r\nConnection: close\r\n\
             Authorization: Bearer {TOKEN}\r\n\r\n"
        )?;
        let (mut bytes, mut length) = ([0; 4096], 0);
        loop {
            let count = stream.read(&mut bytes[length..])?;
            length += count;
            // The header of the table; the objects follow behind it.
            if bytes[..length].windows(14).any(|part| part == b"\"kind\":\"table\"") {
                return Ok(began.elapsed());
            }
            if count == 0 || length == bytes.len() {
                let text = String::from_utf8_lossy(&bytes[..length]);
                return Err(format!("{path}: {text}").into());
            }
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Resident memory of a process, now and at its peak, in MB (proc(5), status).
pub fn memory_of(pid: u32) -> Result<(f64, f64), Failure> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Option<f64> {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib * 1024.0 / 1e6)
    };
    Ok((field("VmRSS:").unwrap_or(0.0), field("VmHWM:").unwrap_or(0.0)))
}
