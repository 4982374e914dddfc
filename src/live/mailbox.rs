//! What the data plane tells the control plane: few kinds of letters, in a bounded box.
//!
//! A letter says where to look, not how things stand: whoever reads it asks the table and the cells
//! again. Invariants: posting never waits; a letter for which there is no room is lost, its sender
//! knows it, and may post it again.

use tokio::sync::mpsc;

use crate::route::AppName;

/// The most letters that are in the box.
const MAX_LETTERS: usize = 1024;

/// What the control plane is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Letter {
    /// Requests wait for an app that has no dynos.
    Wake(AppName),
}

/// Where letters are posted.
#[derive(Debug, Clone)]
pub struct Mailbox(mpsc::Sender<Letter>);

/// Where they come out.
pub type Letters = mpsc::Receiver<Letter>;

/// Makes an empty box.
pub fn mailbox() -> (Mailbox, Letters) {
    let (sender, letters) = mpsc::channel(MAX_LETTERS);
    (Mailbox(sender), letters)
}

impl Mailbox {
    /// Posts a letter; answers whether there was room.
    pub fn post(&self, letter: Letter) -> bool {
        self.0.try_send(letter).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_box_loses_letters_and_says_so() {
        let (mailbox, mut letters) = mailbox();
        let letter = || Letter::Wake(AppName::parse("blog").unwrap());
        assert!((0..MAX_LETTERS).all(|_| mailbox.post(letter())));
        assert!(!mailbox.post(letter()));
        assert_eq!(letters.try_recv(), Ok(letter()));
        assert!(mailbox.post(letter()));
    }
}
