//! What the control plane is told of dynos: notes that say where to look, and counts.
//!
//! Invariant: a note may be lost, what is counted is not: it is counted where it happens, and read
//! whenever there is mail, which a loss is too.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::past::Happened;
use crate::{
    live::{Inbox, Mailbox, mailbox},
    route::{AppName, DynoName},
};

/// What the control plane is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A dyno was ejected.
    Ejected(AppName, DynoName, Happened),
    /// An app went into panic, or came out of it.
    Panic(AppName),
    /// A dyno that drains, or left, may have nothing in flight any more.
    Emptied(AppName, DynoName),
}

/// Where it is told.
#[derive(Debug, Default)]
pub struct Notes {
    mailbox: Mailbox<Note>,
    ejections: AtomicU64,
}

impl Notes {
    /// Where notes are posted, and where they are read.
    pub fn new() -> (Arc<Notes>, Inbox<Note>) {
        let (mailbox, inbox) = mailbox();
        (Arc::new(Notes { mailbox, ejections: AtomicU64::new(0) }), inbox)
    }

    /// Tells it, if there is room.
    pub fn post(&self, note: Note) {
        if matches!(note, Note::Ejected(..)) {
            self.ejections.fetch_add(1, Relaxed);
        }
        self.mailbox.post(note);
    }

    /// How often a dyno was ejected, ever.
    pub fn ejections(&self) -> u64 {
        self.ejections.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{Mail, health::What, mailbox::ROOM};

    #[tokio::test]
    async fn an_ejection_whose_note_is_lost_is_counted_all_the_same() {
        let (notes, mut inbox) = Notes::new();
        let why = "".into();
        let happened = Happened { at_ms: 1, until_ms: 2, what: What::Ejected, why };
        let (app, dyno) = (AppName::parse("one").unwrap(), DynoName::parse("web.1").unwrap());
        for _ in 0..ROOM + 7 {
            notes.post(Note::Panic(app.clone()));
            notes.post(Note::Ejected(app.clone(), dyno.clone(), happened.clone()));
        }
        assert_eq!(inbox.next().await, Some(Mail::Lost(ROOM as u64 + 14)));
        assert_eq!(notes.ejections(), ROOM as u64 + 7);
    }
}
