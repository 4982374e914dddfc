//! A table that is followed by the feed, and a reader of it that is as simple as can be.
//!
//! Invariants: each revision comes once and in order, or a snapshot covers those skipped; the
//! digest is computed here from the lines that came, and must be what each event says; anything
//! else fails the test.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use hostler::{
    api::{
        FeedChange, FeedEvent, FeedPoint, FeedTransaction, ObjectName, SnapshotHead,
        events::{Events, RawEvent},
    },
    route::Digest,
};
use serde_json::Value;

use super::{DEADLINE, Router, router::TOKEN};

/// A table that is followed.
#[derive(Debug, Clone, Default)]
pub struct Followed {
    objects: BTreeMap<String, String>,
    digest: Digest,
    /// The last revision; none before the first snapshot.
    pub revision: Option<u64>,
    /// The revisions of the snapshots that came whole.
    pub snapshots: Vec<u64>,
    /// The revisions that came by themselves.
    pub transactions: Vec<u64>,
    /// Snapshots that were begun.
    pub begun: usize,
    /// Heartbeats.
    pub heartbeats: usize,
    coming: Option<(SnapshotHead, BTreeMap<String, String>)>,
}

impl Followed {
    /// Takes an event as it came over the wire.
    pub fn take_raw(&mut self, event: &RawEvent) {
        let RawEvent { name, data, id } = event;
        let point = || serde_json::from_str::<FeedPoint>(data).unwrap();
        let event = match name.as_str() {
            "snapshot" => FeedEvent::Snapshot(serde_json::from_str(data).unwrap()),
            "objects" => FeedEvent::Objects(data.split('\n').map(Into::into).collect()),
            "snapshot-end" => FeedEvent::SnapshotEnd(point()),
            "transaction" => FeedEvent::Transaction(serde_json::from_str(data).unwrap()),
            "heartbeat" => FeedEvent::Heartbeat(point()),
            other => panic!("{other}: {data}"),
        };
        let wanted = match &event {
            FeedEvent::SnapshotEnd(point) => Some(point.revision),
            FeedEvent::Transaction(made) => Some(made.revision),
            _ => None,
        };
        assert_eq!(*id, wanted.map(|id| id.to_string()), "{name} {data}");
        self.take(event);
    }

    /// Takes an event.
    pub fn take(&mut self, event: FeedEvent) {
        match event {
            FeedEvent::Snapshot(head) => {
                self.begun += 1;
                self.coming = Some((head, BTreeMap::new()));
            }
            FeedEvent::Objects(lines) => {
                let (_, objects) = self.coming.as_mut().expect("objects are a snapshot's");
                for line in lines {
                    assert_eq!(objects.insert(key_of(&line), line), None, "it came twice");
                }
            }
            FeedEvent::SnapshotEnd(point) => self.replace(&point),
            FeedEvent::Transaction(made) => self.apply(made),
            FeedEvent::Dyno(_) => {}
            FeedEvent::Heartbeat(FeedPoint { revision, digest }) => {
                self.heartbeats += 1;
                let stands = (self.revision, self.digest.to_string());
                assert_eq!((Some(revision), digest), stands, "what it states came before it");
            }
        }
    }

    fn replace(&mut self, point: &FeedPoint) {
        let (head, objects) = self.coming.take().expect("what ends began");
        let of = |kind: &str| objects.keys().filter(|key| key.starts_with(kind)).count();
        assert_eq!((of("app"), of("route"), of("dyno")), (head.apps, head.routes, head.dynos));
        assert_eq!((&head.digest, head.revision), (&point.digest, point.revision));
        self.objects = objects;
        self.digest = Digest::default();
        self.objects.values().for_each(|line| self.digest.add(Digest::of(line.as_bytes())));
        assert_eq!(point.digest, self.digest.to_string());
        self.revision = Some(point.revision);
        self.snapshots.push(point.revision);
    }

    fn apply(&mut self, made: FeedTransaction) {
        // A snapshot that was cut is none.
        self.coming = None;
        assert_eq!(Some(made.revision), self.revision.map(|revision| revision + 1), "in order");
        assert!(!made.changes.is_empty());
        for change in made.changes {
            let (key, line) = match change {
                FeedChange::Put(object) => (key_of(object.get()), Some(object.get().to_owned())),
                FeedChange::Remove(name) => (key_of_name(name), None),
            };
            let before = match line {
                Some(line) => {
                    self.digest.add(Digest::of(line.as_bytes()));
                    self.objects.insert(key, line)
                }
                None => Some(self.objects.remove(&key).expect("what goes was there")),
            };
            if let Some(before) = before {
                self.digest.subtract(Digest::of(before.as_bytes()));
            }
        }
        assert_eq!(made.digest, self.digest.to_string(), "behind revision {}", made.revision);
        self.revision = Some(made.revision);
        self.transactions.push(made.revision);
    }

    /// Checks that this is the table of the router.
    pub fn assert_is(&self, router: &Router) {
        let view = router.call("GET", "/v1/revision", None).json;
        assert_eq!(Some(view["revision"].as_u64().unwrap()), self.revision);
        assert_eq!(view["digest"], self.digest.to_string());
    }
}

fn key_of(line: &str) -> String {
    let object: Value = serde_json::from_str(line).unwrap();
    let name = serde_json::from_value::<ObjectName>(object);
    key_of_name(name.unwrap_or_else(|error| panic!("{error}: {line}")))
}

fn key_of_name(name: ObjectName) -> String {
    match name {
        ObjectName::App { name } => format!("app {name}"),
        ObjectName::Cert { name } => format!("cert {name}"),
        ObjectName::Dyno { app, name } => format!("dyno {app}/{name}"),
        ObjectName::Route { host, path } => {
            format!("route {host}{}", path.unwrap_or_else(|| "/".into()))
        }
    }
}

/// One connection to the feed.
pub struct Stream {
    conn: TcpStream,
    /// The head of the answer, once it is there.
    head: Option<String>,
    bytes: Vec<u8>,
    events: Events,
    /// How many bytes came, the head with them.
    pub received: usize,
}

impl Stream {
    /// Asks for the feed; `query` and header lines as the test wants them.
    pub fn open(addr: SocketAddr, query: &str, lines: &str) -> Stream {
        Stream::over(TcpStream::connect(addr).unwrap(), query, lines)
    }

    /// The same on a connection of the test's.
    pub fn over(conn: TcpStream, query: &str, lines: &str) -> Stream {
        conn.set_read_timeout(Some(DEADLINE)).unwrap();
        // In HTTP/1.0 the answer is not chunked, and ends with the connection.
        let ask = format!("GET /v1/feed{query} HTTP/1.0\r\nHost: hub.test\r\n{lines}\r\n");
        // It may be cut already.
        let _ = (&conn).write_all(ask.as_bytes());
        Stream { conn, head: None, bytes: Vec::new(), events: Events::default(), received: 0 }
    }

    /// With the admin's token, from behind a revision.
    pub fn from(addr: SocketAddr, last: Option<u64>) -> Stream {
        let last = last.map(|last| format!("Last-Event-ID: {last}\r\n")).unwrap_or_default();
        Stream::open(addr, "", &format!("Authorization: Bearer {TOKEN}\r\n{last}"))
    }

    /// The status of the answer.
    pub fn status(&mut self) -> u16 {
        while self.head.is_none() {
            assert!(self.read(), "the end came and no head");
        }
        self.head.as_ref().unwrap().split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The head of the answer.
    pub fn head(&mut self) -> &str {
        self.status();
        self.head.as_deref().unwrap()
    }

    /// The next event; none once the connection has ended, whatever way.
    pub fn next(&mut self) -> Option<RawEvent> {
        loop {
            if let Some(event) = self.events.read().unwrap() {
                return Some(event);
            }
            if !self.read() {
                return None;
            }
        }
    }

    /// Reads some more; false at the end.
    fn read(&mut self) -> bool {
        let mut bytes = [0; 16 << 10];
        let count = match self.conn.read(&mut bytes) {
            Ok(0) => return false,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("silence"),
            Err(_) => return false,
        };
        self.received += count;
        if self.head.is_some() {
            self.events.push(&bytes[..count]);
            return true;
        }
        self.bytes.extend_from_slice(&bytes[..count]);
        let end = self.bytes.windows(4).position(|w| w == b"\r\n\r\n");
        if let Some(end) = end {
            self.head = Some(String::from_utf8(self.bytes[..end + 4].to_vec()).unwrap());
            self.events.push(&self.bytes[end + 4..]);
        }
        true
    }
}

/// Follows on one connection until `is_enough`; false if the connection ended before.
pub fn follow_once(
    addr: SocketAddr,
    table: &mut Followed,
    is_enough: impl Fn(&Followed) -> bool,
) -> bool {
    let mut stream = Stream::from(addr, table.revision);
    while !is_enough(table) {
        let Some(event) = stream.next() else { return false };
        table.take_raw(&event);
    }
    true
}

/// Follows until a revision came, on as many connections as it takes.
pub fn follow_to(addr: SocketAddr, table: &mut Followed, revision: u64) {
    let came = |table: &Followed| table.revision >= Some(revision);
    super::until("the revision came", || follow_once(addr, table, came));
}
