//! A dyno that a test makes ill, and well again, while it runs.
//!
//! Invariants: checks are told from requests by their path; a request that hangs does so until its
//! connection or the mood ends.

use std::{
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use super::{Conn, Head};

/// The path of checks.
pub const CHECK: &str = "/healthz";

/// What a dyno does with what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It answers 200 with its name.
    Well,
    /// It answers this status.
    Says(u16),
    /// It closes the connection without an answer.
    Leaves,
    /// It answers nothing.
    Hangs,
}

/// The dyno.
pub struct Moody {
    /// Its address as it is pushed.
    pub addr: String,
    shared: Arc<Shared>,
}

struct Shared {
    name: &'static str,
    to_requests: Mutex<Mood>,
    to_checks: Mutex<Mood>,
    requests: AtomicUsize,
    checks: AtomicUsize,
    last_check: Mutex<Option<Head>>,
    /// A header line of its answers, with its end.
    line: Mutex<String>,
}

impl Moody {
    /// One that is well.
    pub fn start(name: &'static str) -> Moody {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            name,
            to_requests: Mutex::new(Mood::Well),
            to_checks: Mutex::new(Mood::Well),
            requests: AtomicUsize::new(0),
            checks: AtomicUsize::new(0),
            last_check: Mutex::default(),
            line: Mutex::default(),
        });
        let of = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let of = of.clone();
                thread::spawn(move || of.serve(stream));
            }
        });
        Moody { addr, shared }
    }

    /// What it does with requests from now on.
    pub fn set(&self, mood: Mood) {
        *self.shared.to_requests.lock().unwrap() = mood;
    }

    /// What it does with checks from now on.
    pub fn set_checks(&self, mood: Mood) {
        *self.shared.to_checks.lock().unwrap() = mood;
    }

    /// What it says with every answer from now on, as a header line.
    pub fn say(&self, line: &str) {
        *self.shared.line.lock().unwrap() = format!("{line}\r\n");
    }

    /// How many requests it has had, without checks.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(SeqCst)
    }

    /// How many checks it has had.
    pub fn checks(&self) -> usize {
        self.shared.checks.load(SeqCst)
    }

    /// The head of the last check.
    pub fn last_check(&self) -> Head {
        self.shared.last_check.lock().unwrap().clone().expect("it was checked")
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let probe = stream.try_clone().unwrap();
        let mut conn = Conn::from(stream);
        loop {
            conn.socket().set_read_timeout(None).unwrap();
            if !matches!(probe.peek(&mut [0]), Ok(1)) {
                return;
            }
            let head = conn.take_request().head;
            let is_check = head.line.contains(CHECK);
            let mood =
                || *(if is_check { &self.to_checks } else { &self.to_requests }).lock().unwrap();
            if is_check {
                *self.last_check.lock().unwrap() = Some(head);
            }
            let count = if is_check { &self.checks } else { &self.requests };
            count.fetch_add(1, SeqCst);
            let status = match mood() {
                Mood::Well => 200,
                Mood::Says(status) => status,
                Mood::Leaves => return,
                Mood::Hangs => {
                    while mood() == Mood::Hangs {
                        thread::park_timeout(Duration::from_millis(5));
                    }
                    return;
                }
            };
            let (name, line) = (self.name, self.line.lock().unwrap().clone());
            let body = format!("{name}\n");
            let length = body.len();
            let lines = format!("X-Dyno: {name}\r\n{line}Content-Length: {length}\r\n");
            let answer = format!("HTTP/1.1 {status} S\r\n{lines}\r\n{body}");
            if conn.try_send(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}
