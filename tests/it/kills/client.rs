//! A client that pushes until its router is gone, and knows what it was answered.
//!
//! Invariants: every write changes something; a write that was not answered may be done or not, and
//! which of the two it is must be the same wherever it is looked up.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

use fastrand::Rng;
use serde_json::{Value, json};

use super::table::Lines;
use crate::harness::{DEADLINE, push::ops_of, router::TOKEN};

/// How many dynos, and how many routes, a client's app has at most.
const OBJECTS: u64 = 40;

/// What an app has, by path below the app.
type Objects = BTreeMap<String, String>;

/// The transactions since the last look, by revision.
pub struct History {
    pub known: BTreeMap<u64, Outcome>,
    /// None of them was forgotten before anybody looked.
    pub is_whole: bool,
}

impl History {
    fn of_reason(&self, reason: &str) -> impl Iterator<Item = (&u64, &Outcome)> {
        self.known.iter().filter(move |(_, outcome)| outcome.reason == reason)
    }
}

/// What is known of a transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    reason: String,
    digest: String,
}

impl Outcome {
    /// What the history tells.
    pub fn of(entry: &Value) -> Outcome {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Outcome { reason: text(&entry["reason"]), digest: text(&entry["digest"]) }
    }
}

/// One client.
pub struct Client {
    app: String,
    rng: Rng,
    count: u64,
    /// What its app has by all that was answered.
    objects: Objects,
    /// What was answered since the last look.
    answered: BTreeMap<u64, Outcome>,
    pending: Option<Planned>,
}

/// A write that is on its way.
struct Planned {
    reason: String,
    request: String,
    has_key: bool,
    /// What the app has once it is done.
    after: Objects,
    /// It is, as the app shows.
    is_done: bool,
}

struct Answered {
    revision: u64,
    digest: String,
    changed: bool,
    is_replay: bool,
}

impl Client {
    pub fn new(number: usize, rng: Rng) -> Client {
        let (objects, answered) = Default::default();
        Client { app: format!("c{number}"), rng, count: 0, objects, answered, pending: None }
    }

    /// Pushes until no answer comes.
    pub fn push(&mut self, mut stream: TcpStream) {
        loop {
            let planned = self.plan();
            let answer = send(&mut stream, &planned.request);
            self.pending = Some(planned);
            let Some(answer) = answer else { return };
            assert!(answer.changed && !answer.is_replay);
            self.take(answer);
        }
    }

    /// The pending write is done.
    fn take(&mut self, answer: Answered) {
        let planned = self.pending.take().unwrap();
        let outcome = Outcome { reason: planned.reason, digest: answer.digest };
        self.objects = planned.after;
        assert_eq!(self.answered.insert(answer.revision, outcome), None, "one answer a revision");
    }

    /// Compares what was answered with what is there; says what became of the last write.
    pub fn settle(&mut self, history: &History, lines: &Lines) -> &'static str {
        let oldest = history.known.keys().next().copied().unwrap_or_default();
        for (revision, outcome) in std::mem::take(&mut self.answered) {
            if revision >= oldest {
                assert_eq!(history.known.get(&revision), Some(&outcome), "revision {revision}");
            }
        }
        let found = lines.of_app(&self.app);
        if found == self.objects {
            return if self.pending.is_some() { "not done" } else { "answered" };
        }
        let pending = self.pending.as_mut().expect("what was answered is there, and nothing else");
        assert_eq!(found, pending.after, "{}: done whole or not at all", pending.reason);
        // What was made more than a retention ago may be forgotten: a start can take that long.
        let least = usize::from(history.is_whole);
        let times = history.of_reason(&pending.reason).count();
        assert!((least..=1).contains(&times), "{}: {times} times", pending.reason);
        pending.is_done = true;
        self.objects = found;
        "done"
    }

    /// Sends the last write again, if it has a key by which that is safe; says how it was taken.
    pub fn try_again(&mut self, addr: SocketAddr, history: &History) -> Option<&'static str> {
        let planned = self.pending.take().filter(|planned| planned.has_key)?;
        let answer = send(&mut connect(addr), &planned.request).expect("nobody kills it now");
        assert_eq!(answer.is_replay, planned.is_done, "{}", planned.reason);
        assert!(answer.changed);
        if planned.is_done {
            for (revision, outcome) in history.of_reason(&planned.reason) {
                assert_eq!((answer.revision, &answer.digest), (*revision, &outcome.digest));
            }
            return Some("told again");
        }
        self.pending = Some(planned);
        self.take(answer);
        Some("tried again")
    }

    fn plan(&mut self) -> Planned {
        self.count += 1;
        let (app, release) = (self.app.clone(), format!("s{}", self.count));
        let reason = format!("{app} {release}");
        let mut after = self.objects.clone();
        let below = |path: &str| format!("/apps/{app}/{path}");
        let dyno = json!({"addr": "10.0.0.1:1", "release": release});
        let name = |rng: &mut Rng| format!("dynos/web.{}", rng.u64(..OBJECTS));
        let mut lines = format!("Authorization: Bearer {TOKEN}\r\n");
        let has_key = self.rng.bool();
        if has_key {
            lines += &format!("Idempotency-Key: {app}-{release}\r\n");
        }
        let existing = after.keys().next().cloned().filter(|_| self.rng.u8(..4) == 0);
        let request = match existing {
            Some(path) => {
                after.remove(&path);
                let lines = format!("{lines}Hostler-Reason: {reason}\r\n");
                http("DELETE", &format!("/v1{}", below(&path)), &lines, "")
            }
            None if self.rng.bool() && !after.is_empty() => {
                let path = name(&mut self.rng);
                after.insert(path.clone(), release);
                let lines = format!("{lines}Hostler-Reason: {reason}\r\n");
                http("PUT", &format!("/v1{}", below(&path)), &lines, &dyno.to_string())
            }
            None => {
                let mut ops = vec![("PUT", format!("/apps/{app}"), json!({}))];
                for _ in 0..self.rng.u8(1..12) {
                    let path = name(&mut self.rng);
                    after.insert(path.clone(), release.clone());
                    ops.push(("PUT", below(&path), dyno.clone()));
                }
                let host = format!("routes/h{}.{app}.test", self.rng.u64(..OBJECTS));
                match after.remove(&host) {
                    Some(_) => ops.push(("DELETE", below(&host), Value::Null)),
                    None => {
                        after.insert(host.clone(), String::new());
                        ops.push(("PUT", below(&host), json!({})));
                    }
                }
                let ops: Vec<_> = ops.iter().map(|(m, p, b)| (*m, p.as_str(), b.clone())).collect();
                let body = json!({"reason": reason, "ops": ops_of(&ops)}).to_string();
                http("POST", "/v1/transactions", &lines, &body)
            }
        };
        Planned { reason, request, has_key, after, is_done: false }
    }
}

/// A connection to the push API.
pub fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

fn http(method: &str, path: &str, lines: &str, body: &str) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: hub.test\r\n{lines}{kind}Content-Length: {length}\r\n\
         \r\n{body}"
    )
}

/// Sends a request; none if no whole answer comes.
fn send(stream: &mut TcpStream, request: &str) -> Option<Answered> {
    stream.write_all(request.as_bytes()).ok()?;
    let mut input = BufReader::new(stream);
    let (mut head, mut line) = (Vec::new(), String::new());
    while line != "\r\n" {
        line.clear();
        if input.read_line(&mut line).ok()? == 0 {
            return None;
        }
        head.push(line.to_ascii_lowercase());
    }
    let value = |name: &str| head.iter().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let mut body = vec![0; value("content-length:")?.parse().unwrap()];
    input.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).unwrap();
    // A router that ends says so, and has not done it.
    if head[0].starts_with("http/1.1 503") {
        return None;
    }
    assert!(head[0].starts_with("http/1.1 200"), "{request}: {body}");
    Some(Answered {
        revision: body["revision"].as_u64().unwrap(),
        digest: body["digest"].as_str().unwrap().to_owned(),
        changed: body["changed"] == true,
        is_replay: value("idempotency-replayed:") == Some("true"),
    })
}
