//! `hostler demo` as a person meets it: what it prints is pasted into a shell, and signals end it.
//!
//! Invariants: every demo here takes free ports and a data directory of its own; what the demo
//! started is known by the process numbers that it prints, and must be gone when it is.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

const HOSTLER: &str = env!("CARGO_BIN_EXE_hostler");
/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long between two looks at what is waited for.
const STEP: Duration = Duration::from_millis(10);
/// The most lines of output that wait to be read.
const LINES: usize = 10_000;
/// The end of what the demo says at its start.
const BEGUN: &str = "Ctrl-C ends all of it";

struct Demo {
    process: Child,
    said: Vec<String>,
    lines: Receiver<String>,
    temp: TempDir,
}

fn command(temp: &TempDir, http: &str) -> Command {
    let mut command = Command::new(HOSTLER);
    command
        .args(["demo", "--control-listen", "127.0.0.1:0", "--http-listen", http])
        .env("TMPDIR", temp.path())
        .stdin(Stdio::null())
        .process_group(0);
    command
}

impl Demo {
    fn start() -> Demo {
        let temp = tempfile::tempdir().unwrap();
        let mut process =
            command(&temp, "127.0.0.1:0").stdout(Stdio::piped()).spawn().expect("the demo starts");
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = sync_channel(LINES);
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut demo = Demo { process, said: Vec::new(), lines, temp };
        demo.wait_for_line(BEGUN);
        demo
    }

    fn wait_for_line(&mut self, part: &str) {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no {part:?} in {:#?}", self.said));
            let found = line.contains(part);
            self.said.push(line);
            if found {
                return;
            }
        }
    }

    /// The lines that are to be pasted.
    fn commands(&self) -> Vec<String> {
        let below = self.said.iter().skip_while(|line| !line.starts_with("Lines to try"));
        below.filter_map(|line| line.strip_prefix("    ")).map(String::from).collect()
    }

    /// The processes whose line holds this.
    fn pids(&self, part: &str) -> Vec<u32> {
        let lines = self.said.iter().filter(|line| line.contains(part));
        lines.filter_map(|line| line.split_once("process ")?.1.parse().ok()).collect()
    }

    fn children(&self) -> Vec<u32> {
        let children = [self.pids("router "), self.pids("dyno web.")].concat();
        assert_eq!(children.len(), 6, "a router and five dynos: {:#?}", self.said);
        assert!(children.iter().all(|child| is_running(*child)));
        children
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    fn wait(&mut self) -> ExitStatus {
        eventually("the demo ends", || self.process.try_wait().unwrap())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // A test that fails leaves nothing behind; the children end with the demo.
        if self.process.try_wait().is_ok_and(|status| status.is_none()) {
            self.process.kill().expect("the demo can be killed");
            self.process.wait().expect("a killed demo ends");
        }
    }
}

fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut look = look;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(STEP);
    }
}

/// Is there such a process, other than one that has ended and was not yet waited for?
fn is_running(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
    !state.starts_with(['Z', 'X'])
}

/// What a line prints when it is pasted into a shell.
fn paste(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).env_remove("http_proxy").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}\n{text}\n{errors}");
    text
}

/// What the answer to each printed line holds, by a part of the line; the first that fits.
const ANSWERS: [(&str, &str); 13] = [
    ("-X PUT", "\"changed\":true"),
    ("Host: greetings.test", "Hello from hello web."),
    ("Host: hello.test", "Hello from hello web."),
    ("/slow?ms=500", "answers after 500 ms"),
    ("/echo", "ping"),
    ("/events?count=3", "event: tick"),
    ("/v1/apps/hello/dynos", "\"web.3\""),
    ("/v1/history", "\"reason\":\"hostler demo\""),
    (" apps --url", "clock"),
    ("maintenance on hello", "is on"),
    ("curl -i", "HTTP/1.1 503"),
    ("maintenance off hello", "is off"),
    ("/metrics", "# TYPE hostler_"),
];

#[test]
fn every_printed_line_works_when_pasted_and_an_interrupt_ends_all() {
    let mut demo = Demo::start();
    let commands = demo.commands();
    assert!(commands.len() > ANSWERS.len(), "{commands:#?}");
    for (part, _) in ANSWERS {
        assert!(commands.iter().any(|line| line.contains(part)), "no {part} in {commands:#?}");
    }
    for line in &commands {
        let expected = ANSWERS.iter().find(|(part, _)| line.contains(part));
        let expected = expected.map_or("X-Request-Id", |(_, expected)| expected);
        let text = paste(line);
        assert!(text.contains(expected), "{line}\n{text}");
    }
    demo.wait_for_line("host=greetings.test");
    let children = demo.children();
    kill_process_group(demo.pid(), Signal::INT).unwrap();
    assert_eq!(demo.wait().code(), Some(0));
    assert!(!children.into_iter().any(is_running));
    assert_eq!(fs::read_dir(demo.temp.path()).unwrap().count(), 0, "the data directory is gone");
}

#[test]
fn a_dyno_that_dies_is_told_and_the_others_answer_until_a_polite_kill_ends_all() {
    let mut demo = Demo::start();
    let children = demo.children();
    let line = demo.commands().into_iter().find(|line| line.contains("Host: hello.test"));
    let line = line.unwrap();
    let mut seen = std::collections::BTreeSet::new();
    eventually("every dyno answers", || {
        let text = paste(&line);
        seen.insert(text.split_once(" (").unwrap().0.to_owned());
        (seen.len() == 3).then_some(())
    });
    let dyno = Pid::from_raw(demo.pids("dyno web.")[0].cast_signed()).unwrap();
    kill_process(dyno, Signal::KILL).unwrap();
    demo.wait_for_line("demo: dyno hello web.1 ended");
    for _ in 0..20 {
        let text = paste(&line);
        assert!(text.contains("Hello from hello web.") && !text.contains("web.1 "), "{text}");
    }
    kill_process(demo.pid(), Signal::TERM).unwrap();
    assert_eq!(demo.wait().code(), Some(0));
    assert!(!children.into_iter().any(is_running));
}

#[test]
fn a_killed_demo_leaves_no_child() {
    let mut demo = Demo::start();
    let children = demo.children();
    kill_process(demo.pid(), Signal::KILL).unwrap();
    demo.wait();
    eventually("all children end", || (!children.iter().any(|c| is_running(*c))).then_some(()));
}

#[test]
fn a_router_that_dies_ends_the_demo_with_an_error() {
    let mut demo = Demo::start();
    let children = demo.children();
    let router = Pid::from_raw(demo.pids("router ")[0].cast_signed()).unwrap();
    kill_process(router, Signal::KILL).unwrap();
    assert_eq!(demo.wait().code(), Some(1));
    assert!(!children.into_iter().any(is_running));
}

#[test]
fn a_taken_port_is_told_with_its_setting_and_leaves_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let temp = tempfile::tempdir().unwrap();
    let output = command(&temp, &addr).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.lines().count(), 1, "one line, no trace: {text}");
    for part in ["hostler: http.listen", &addr, "taken"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(output.stdout.is_empty());
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
}
