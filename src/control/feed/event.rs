//! A transaction as an event of the feed: rendered once, for all readers.
//!
//! The fields of an event stream (WHATWG HTML, section 9.2): `event`, `data`, and last the `id`,
//! which is the revision. The data is one line of JSON, whose objects stand in their canonical
//! form.
//! Invariants: what goes is told before what comes, routes and dynos before their app goes, the app
//! before them when it comes; a transaction beyond [`MAX_CHANGES`] or [`MAX_EVENT`] has no event.

use std::io::Write;

use serde::Serialize;
use serde_json::json;

use super::ring::Standing;
use crate::{
    api::HistoryEntry,
    control::store::{Committed, ObjectKey, Past},
    route::{Object, PathPrefix, Revision, Table},
};

/// The most changes of one event.
pub const MAX_CHANGES: usize = 20_000;
/// The longest event, in bytes.
pub const MAX_EVENT: usize = 4 << 20;
/// About how many bytes a change takes.
const LIKELY: usize = 200;

/// One transaction, as readers are told of it.
#[derive(Debug)]
pub struct Event {
    standing: Standing,
    text: Option<Box<[u8]>>,
}

impl Event {
    pub(super) fn new(standing: Standing, text: Option<Vec<u8>>) -> Event {
        Event { standing, text: text.map(Vec::into_boxed_slice) }
    }

    /// The event of a transaction that made this table.
    pub fn of(made: &Committed, table: &Table) -> Event {
        let Committed { revision, digest, at_ms, .. } = *made;
        let standing = Standing { revision, digest, at_ms };
        if made.edits.len() > MAX_CHANGES {
            return Event::new(standing, None);
        }
        let mut text = begin(&Head {
            revision: revision.0,
            digest: digest.to_string(),
            at_ms,
            author: &made.author,
            address: made.address.as_deref(),
            reason: made.reason.as_deref(),
            forced: made.forced,
        });
        text.reserve(made.edits.len() * LIKELY);
        let mut changes = Changes { text, count: 0 };
        let keys = || made.edits.keys().iter();
        for key in keys().rev().filter(|key| key.object(table).is_none()) {
            changes.remove(key);
        }
        keys().filter_map(|key| key.object(table)).for_each(|object| changes.put(&object));
        Event::new(standing, changes.end(revision.0))
    }

    /// The event of a transaction of the past, behind which the table stood there.
    pub fn of_past(past: &Past, standing: Standing) -> Event {
        let HistoryEntry { revision, at_ms, author, address, reason, digest, forced, .. } =
            &past.entry;
        let mut changes = Changes {
            text: begin(&Head {
                revision: *revision,
                digest: digest.clone(),
                at_ms: *at_ms,
                author,
                address: address.as_deref(),
                reason: reason.as_deref(),
                forced: *forced,
            }),
            count: 0,
        };
        past.removed.iter().rev().for_each(|key| changes.remove(key));
        past.put.iter().filter_map(Object::put_by).for_each(|object| changes.put(&object));
        Event::new(standing, changes.end(*revision))
    }

    /// Where the table stands behind it.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Is it too large to be told?
    pub fn is_gap(&self) -> bool {
        self.text.is_none()
    }

    /// What readers are sent; empty for a gap.
    pub fn text(&self) -> &[u8] {
        self.text.as_deref().unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Head<'a> {
    revision: u64,
    digest: String,
    at_ms: u64,
    author: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    forced: bool,
}

/// The event up to its changes.
fn begin(head: &Head<'_>) -> Vec<u8> {
    let mut text = b"event: transaction\ndata: ".to_vec();
    serde_json::to_writer(&mut text, head).expect("plain fields have a JSON form");
    text.pop();
    text.extend_from_slice(b",\"changes\":[");
    text
}

struct Changes {
    text: Vec<u8>,
    count: usize,
}

impl Changes {
    fn put(&mut self, object: &Object<'_>) {
        // The line holds no line end: it is escaped.
        self.change("put", object.line().as_bytes());
    }

    fn remove(&mut self, key: &ObjectKey) {
        let named = match key {
            ObjectKey::App(app) => json!({"kind": "app", "name": app.as_str()}),
            ObjectKey::Certificate(name) => json!({"kind": "cert", "name": name.as_str()}),
            ObjectKey::Dyno(app, dyno) => {
                json!({"kind": "dyno", "app": app.as_str(), "name": dyno.as_str()})
            }
            ObjectKey::Route(route) if route.path == PathPrefix::ROOT => {
                json!({"kind": "route", "host": route.host.to_string()})
            }
            ObjectKey::Route(route) => json!({
                "kind": "route", "host": route.host.to_string(), "path": route.path.as_str()
            }),
        };
        self.change("remove", named.to_string().as_bytes());
    }

    fn change(&mut self, what: &str, object: &[u8]) {
        if self.text.len() > MAX_EVENT {
            return;
        }
        let comma = if self.count == 0 { "" } else { "," };
        write!(self.text, "{comma}{{\"{what}\":").expect("a Vec takes all");
        self.text.extend_from_slice(object);
        self.text.push(b'}');
        self.count += 1;
    }

    /// The whole event, unless it is too long.
    fn end(mut self, revision: u64) -> Option<Vec<u8>> {
        write!(self.text, "]}}\nid: {revision}\n\n").expect("a Vec takes all");
        (self.text.len() <= MAX_EVENT).then_some(self.text)
    }
}

/// What became of a dyno, which is in no table: told to who reads at that moment, without an `id`.
#[derive(Debug, Clone)]
pub struct DynoEvent {
    /// Nobody is told before it was told of this revision.
    pub revision: Revision,
    /// What readers are sent.
    pub text: String,
}

impl DynoEvent {
    /// The dyno drains and has nothing in flight any more.
    pub fn empty(revision: Revision, app: &str, dyno: &str, at_ms: u64) -> DynoEvent {
        let fields = json!({"app": app, "name": dyno, "what": "empty", "at_ms": at_ms});
        DynoEvent { revision, text: format!("event: dyno\ndata: {fields}\n\n") }
    }
}

/// Says where the table stands: all up to there was sent before.
pub fn heartbeat(standing: &Standing) -> String {
    let Standing { revision, digest, .. } = standing;
    format!("event: heartbeat\ndata: {{\"revision\":{revision},\"digest\":\"{digest}\"}}\n\n")
}
