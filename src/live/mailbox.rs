//! What the data plane tells the control plane: a bounded mailbox that loses what does not fit.
//!
//! Invariants: whoever posts never waits; at most [`ROOM`] notes lie in a mailbox; a reader learns
//! that notes were lost before it gets a later one, and then reads the state that matters again
//! from the cells.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use tokio::sync::mpsc;

/// The most notes that wait to be read.
pub const ROOM: usize = 4096;

/// The end that is written to.
#[derive(Debug)]
pub struct Mailbox<T> {
    sender: mpsc::Sender<T>,
    lost: Arc<AtomicU64>,
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Mailbox { sender: self.sender.clone(), lost: self.lost.clone() }
    }
}

/// The end that is read.
#[derive(Debug)]
pub struct Inbox<T> {
    receiver: mpsc::Receiver<T>,
    lost: Arc<AtomicU64>,
}

/// What a reader gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mail<T> {
    /// A note.
    Note(T),
    /// So many notes were lost.
    Lost(u64),
}

/// A mailbox, and the end of it that is read.
pub fn mailbox<T>() -> (Mailbox<T>, Inbox<T>) {
    let (sender, receiver) = mpsc::channel(ROOM);
    let lost = Arc::<AtomicU64>::default();
    (Mailbox { sender, lost: lost.clone() }, Inbox { receiver, lost })
}

impl<T> Default for Mailbox<T> {
    /// One that nobody reads.
    fn default() -> Self {
        mailbox().0
    }
}

impl<T> Mailbox<T> {
    /// Puts a note in, if there is room; answers whether there was.
    pub fn post(&self, note: T) -> bool {
        let fits = self.sender.try_send(note).is_ok();
        if !fits {
            self.lost.fetch_add(1, Relaxed);
        }
        fits
    }
}

impl<T> Inbox<T> {
    /// Waits for mail; none once nobody can post any more.
    pub async fn next(&mut self) -> Option<Mail<T>> {
        let lost = self.lost.swap(0, Relaxed);
        if lost > 0 {
            return Some(Mail::Lost(lost));
        }
        self.receiver.recv().await.map(Mail::Note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_is_lost_and_told_before_what_comes_later() {
        let (mailbox, mut inbox) = mailbox();
        assert_eq!((0..ROOM + 2).filter(|note| mailbox.post(*note)).count(), ROOM);
        assert_eq!(inbox.next().await, Some(Mail::Lost(2)));
        for note in 0..ROOM {
            assert_eq!(inbox.next().await, Some(Mail::Note(note)));
        }
        mailbox.post(7);
        assert_eq!(inbox.next().await, Some(Mail::Note(7)));
        drop(mailbox);
        assert_eq!(inbox.next().await, None);
    }

    #[test]
    fn who_posts_where_nobody_reads_does_not_wait() {
        assert!(!Mailbox::default().post(1));
    }
}
