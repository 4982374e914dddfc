//! The last transactions as events, in one ring that every reader reads by itself.
//!
//! A transaction too large for the ring is a gap: it empties the ring, and whoever has not passed
//! it needs the whole table.
//! Invariants: the events' revisions follow each other without a gap, the first follows `start`;
//! there are at most [`MAX_EVENTS`] of them with at most [`MAX_BYTES`]; a read copies to a bound,
//! so that no reader keeps an event alive that the ring has let go of.

use std::collections::VecDeque;

use super::event::Event;
use crate::route::{Digest, Revision};

/// The most events that are kept.
pub const MAX_EVENTS: usize = 32_768;
/// The most bytes of events that are kept.
pub const MAX_BYTES: usize = 16 << 20;

/// Where the table stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// The revision.
    pub revision: Revision,
    /// The digest of its table.
    pub digest: Digest,
    /// When it was made, in milliseconds since the Unix epoch; 0 if that is not known.
    pub at_ms: u64,
}

/// How far a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The last revision that it was given whole.
    pub revision: Revision,
    /// How many bytes of the next event it was given.
    pub offset: usize,
}

impl From<Revision> for Position {
    fn from(revision: Revision) -> Position {
        Position { revision, offset: 0 }
    }
}

/// What a read came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// There is nothing behind what was read: the table stands there.
    Newest(Standing),
    /// There is more.
    More,
    /// What comes next is not in the ring any more.
    Lost,
}

/// The last transactions as events.
#[derive(Debug)]
pub struct Ring {
    start: Standing,
    events: VecDeque<Event>,
    bytes: usize,
    max_bytes: usize,
}

impl Ring {
    /// A ring without events on a table that stands there.
    pub fn new(start: Standing) -> Ring {
        Ring::bounded(start, MAX_BYTES)
    }

    fn bounded(start: Standing, max_bytes: usize) -> Ring {
        Ring { start, events: VecDeque::new(), bytes: 0, max_bytes }
    }

    /// Where the table stands behind the last event.
    pub fn newest(&self) -> Standing {
        self.events.back().map_or(self.start, Event::standing)
    }

    /// Where the table stood behind an event that is kept, or before the first.
    pub fn standing(&self, revision: Revision) -> Option<Standing> {
        match revision.0.checked_sub(self.start.revision.0)? {
            0 => Some(self.start),
            at => self.events.get(at as usize - 1).map(Event::standing),
        }
    }

    /// Where the table stood behind the first event that is kept; if there is none, the newest.
    pub fn oldest(&self) -> Standing {
        self.events.front().map_or(self.start, Event::standing)
    }

    /// Adds the event of the next transaction.
    ///
    /// # Panics
    /// If it is not the next one.
    pub fn push(&mut self, event: Event) {
        let standing = event.standing();
        assert_eq!(standing.revision, self.newest().revision.next(), "events follow each other");
        if event.is_gap() || event.text().len() > self.max_bytes {
            *self = Ring::bounded(standing, self.max_bytes);
            return;
        }
        self.bytes += event.text().len();
        self.events.push_back(event);
        while self.bytes > self.max_bytes || self.events.len() > MAX_EVENTS {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.text().len();
            self.start = oldest.standing();
        }
    }

    /// Can a reader go on from behind a revision?
    pub fn reaches(&self, revision: Revision) -> bool {
        (self.start.revision..=self.newest().revision).contains(&revision)
    }

    /// Copies what comes next for a reader, until `into` has `most` bytes, and moves its position.
    pub fn read(&self, at: &mut Position, into: &mut Vec<u8>, most: usize) -> Read {
        loop {
            let newest = self.newest();
            if at.revision >= newest.revision {
                return Read::Newest(newest);
            }
            let next = at.revision.0.checked_sub(self.start.revision.0);
            let Some(event) = next.and_then(|next| self.events.get(next as usize)) else {
                return Read::Lost;
            };
            let rest = &event.text()[at.offset..];
            let room = most.saturating_sub(into.len());
            if rest.len() > room {
                into.extend_from_slice(&rest[..room]);
                at.offset += room;
                return Read::More;
            }
            into.extend_from_slice(rest);
            *at = event.standing().revision.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(revision: u64, text: &str) -> Event {
        let standing = Standing { revision: Revision(revision), ..Standing::default() };
        Event::new(standing, Some(text.as_bytes().to_vec()))
    }

    fn gap(revision: u64) -> Event {
        Event::new(Standing { revision: Revision(revision), ..Standing::default() }, None)
    }

    fn filled(max_bytes: usize, texts: &[&str]) -> Ring {
        let mut ring = Ring::bounded(Standing::default(), max_bytes);
        for (i, text) in texts.iter().enumerate() {
            ring.push(event(i as u64 + 1, text));
        }
        ring
    }

    fn rest(ring: &Ring, from: u64, most: usize) -> Option<String> {
        let (mut at, mut all) = (Position::from(Revision(from)), Vec::new());
        loop {
            let mut piece = Vec::new();
            let read = ring.read(&mut at, &mut piece, most);
            assert!(piece.len() <= most);
            all.extend(piece);
            match read {
                Read::Lost => return None,
                Read::More => {}
                Read::Newest(standing) => {
                    assert_eq!(at, standing.revision.into());
                    return Some(String::from_utf8(all).unwrap());
                }
            }
        }
    }

    #[test]
    fn a_reader_gets_what_follows_whatever_the_size_of_its_pieces() {
        let ring = filled(100, &["one", "two", "three"]);
        for most in [1, 2, 5, 100] {
            assert_eq!(rest(&ring, 0, most).unwrap(), "onetwothree");
            assert_eq!(rest(&ring, 2, most).unwrap(), "three");
            assert_eq!(rest(&ring, 3, most).unwrap(), "");
        }
        // Who got a newer table than is told of yet waits.
        let mut ahead = Position::from(Revision(4));
        assert!(matches!(ring.read(&mut ahead, &mut Vec::new(), 9), Read::Newest(_)));
        assert!(!ring.reaches(Revision(4)));
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_bytes() {
        let ring = filled(8, &["one", "two", "three"]);
        assert_eq!((rest(&ring, 0, 9), rest(&ring, 1, 9)), (None, Some("twothree".into())));
        assert!(!ring.reaches(Revision(0)) && ring.reaches(Revision(1)));
        assert_eq!(ring.standing(Revision(0)), None);
        assert_eq!(ring.standing(Revision(2)).unwrap().revision, Revision(2));
    }

    #[test]
    fn a_gap_empties_the_ring_and_it_goes_on_behind_it() {
        for large in [gap(3), event(3, "longer than all")] {
            let mut ring = filled(10, &["one", "two"]);
            ring.push(large);
            assert_eq!((rest(&ring, 2, 9), rest(&ring, 3, 9)), (None, Some(String::new())));
            ring.push(event(4, "four"));
            assert_eq!(rest(&ring, 3, 9), Some("four".into()));
        }
    }

    #[test]
    fn who_is_overtaken_in_the_middle_of_an_event_is_lost() {
        let mut ring = filled(6, &["one", "two"]);
        let mut at = Position::default();
        assert_eq!(ring.read(&mut at, &mut Vec::new(), 2), Read::More);
        assert_eq!(at.offset, 2);
        ring.push(event(3, "three"));
        assert_eq!(ring.read(&mut at, &mut Vec::new(), 2), Read::Lost);
    }

    #[test]
    fn no_more_than_so_many_events_are_kept() {
        let mut ring = Ring::new(Standing::default());
        for revision in 1..=MAX_EVENTS as u64 + 5 {
            ring.push(event(revision, ""));
        }
        assert!(!ring.reaches(Revision(4)) && ring.reaches(Revision(5)));
    }
}
