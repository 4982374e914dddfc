//! The feed as the hub fills it and readers read it.
//!
//! Invariants: the lock is held for a push or a copy of bounded size, never across an await;
//! readers are woken after the ring has what they wake for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};

use super::{
    event::{DynoEvent, Event, MAX_CHANGES},
    ring::{Position, Read, Ring, Standing},
};
use crate::{
    control::store::{Archive, Filter, Point, StoreError},
    route::{Revision, Table},
};

/// The most transactions of the past that a start reads, so that it stays short: who followed to
/// the end before is seldom further behind.
const RESUMABLE: usize = 1024;
/// The most bytes of events that a start makes of them.
const RESUMABLE_BYTES: usize = 4 << 20;

/// How many events of dynos a reader may be behind.
const NEWS: usize = 1024;

/// The last transactions, for everybody who follows.
#[derive(Debug)]
pub struct Feed {
    ring: Mutex<Ring>,
    newest: watch::Sender<Revision>,
    dynos: broadcast::Sender<Arc<DynoEvent>>,
}

impl Feed {
    /// A feed that goes on behind a table, and knows what led to it as far as the archive tells.
    pub fn resume(archive: &Archive, table: &Table) -> Feed {
        let ring = past(archive, table).unwrap_or_else(|error| {
            archive.note(&error);
            tracing::warn!(%error, "the feed begins without a past: readers get the whole table");
            Ring::new(table.into())
        });
        let (newest, dynos) = (watch::Sender::new(table.revision()), broadcast::Sender::new(NEWS));
        Feed { ring: Mutex::new(ring), newest, dynos }
    }

    /// Tells of transactions that are durable and published.
    pub fn tell(&self, events: Vec<Event>) {
        let newest = {
            let mut ring = self.ring();
            events.into_iter().for_each(|event| ring.push(event));
            ring.newest().revision
        };
        self.newest.send_replace(newest);
    }

    /// Tells of a dyno whoever reads now; who is [`NEWS`] behind is not told of the oldest.
    pub fn announce(&self, event: DynoEvent) {
        // Nobody may be there.
        let _ = self.dynos.send(Arc::new(event));
    }

    /// Hears what becomes of dynos.
    pub fn announcements(&self) -> broadcast::Receiver<Arc<DynoEvent>> {
        self.dynos.subscribe()
    }

    /// Hears of every newer revision.
    pub fn subscribe(&self) -> watch::Receiver<Revision> {
        self.newest.subscribe()
    }

    /// Copies what comes next for a reader; see [`Ring::read`].
    pub fn read(&self, at: &mut Position, into: &mut Vec<u8>, most: usize) -> Read {
        self.ring().read(at, into, most)
    }

    /// Can a reader go on from behind a revision?
    pub fn reaches(&self, revision: Revision) -> bool {
        self.ring().reaches(revision)
    }

    /// Where the table stands.
    pub fn newest(&self) -> Standing {
        self.ring().newest()
    }

    /// Where the table stood at a revision that is not long ago.
    pub fn standing(&self, revision: Revision) -> Option<Standing> {
        self.ring().standing(revision)
    }

    /// Since when whoever serves a revision lacks a newer one, at the least, in milliseconds since
    /// the Unix epoch; none if that is the newest.
    pub fn behind_since_ms(&self, revision: Revision) -> Option<u64> {
        let ring = self.ring();
        if revision >= ring.newest().revision {
            return None;
        }
        let next = ring.standing(revision.next());
        Some(next.unwrap_or_else(|| ring.oldest()).at_ms)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // A push and a read leave the ring whole wherever they end.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ring as it was, or would have been, when the table came about. It is read backwards from the
/// table: from where something is missing on, nothing is told.
fn past(archive: &Archive, table: &Table) -> Result<Ring, StoreError> {
    let view = archive.open()?;
    let newest = Filter { limit: RESUMABLE, ..Filter::default() };
    let (mut events, mut bytes) = (Vec::new(), 0);
    let mut start = Standing::from(table);
    for entry in view.history(&newest)? {
        if start.revision.0 != entry.revision {
            break;
        }
        start.at_ms = entry.at_ms;
        let is_large = entry.changes > MAX_CHANGES as u64;
        let Some(past) = (if is_large { None } else { view.transaction(entry)? }) else { break };
        let event = Event::of_past(&past, start);
        bytes += event.text().len();
        // Where what is kept begins there is nothing before it.
        let before = start.revision.0.checked_sub(1).map(Revision);
        let before =
            before.map(|before| view.point(before).inspect_err(|error| archive.note(error)));
        let Some(Ok(before)) = before.filter(|_| bytes <= RESUMABLE_BYTES && !event.is_gap())
        else {
            break;
        };
        events.push(event);
        let Point { revision, digest, at_ms, .. } = before;
        start = Standing { revision, digest, at_ms };
    }
    let mut ring = Ring::new(start);
    events.into_iter().rev().for_each(|event| ring.push(event));
    Ok(ring)
}
