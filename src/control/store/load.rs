//! A table made of all its objects, read one by one: on two threads, since a start waits for it.
//!
//! Who reads also decodes and digests; a second thread puts the objects in their places.
//! Invariants: what the table is refused for is told as what it is, whichever of the two finds it;
//! between them stand at most [`WAITING`] pieces of [`PIECE`] objects.

use std::{
    panic,
    sync::mpsc::{SyncSender, sync_channel},
    thread,
};

use super::object::{self, Kind};
use crate::route::{Builder, Piece, Table};

/// Objects that go to the other thread at once.
const PIECE: usize = 1024;
/// Pieces that may wait for it.
const WAITING: usize = 8;

/// Takes the objects of a table: apps before what belongs to them, each once.
pub struct Objects {
    piece: Piece,
    pieces: SyncSender<Piece>,
}

impl Objects {
    /// Takes one; the error says what is wrong with it, or only that another one is.
    pub fn take(&mut self, kind: Kind, key: &str, body: &str) -> Result<(), String> {
        self.piece.push(object::decode(None, kind, key, body)?);
        if self.piece.len() < PIECE { Ok(()) } else { self.send() }
    }

    fn send(&mut self) -> Result<(), String> {
        let piece = std::mem::take(&mut self.piece);
        self.pieces.send(piece).map_err(|_| "an object before has no place in its table".into())
    }
}

/// The table of all objects that `read` hands over, its hashes keyed with `seed`.
pub fn load<E>(
    seed: u64,
    read: impl FnOnce(&mut Objects) -> Result<(), E>,
    refused: impl Fn(String) -> E,
) -> Result<Table, E> {
    thread::scope(|scope| {
        let (pieces, waiting) = sync_channel::<Piece>(WAITING);
        let building = scope.spawn(move || {
            let mut builder = Builder::new(seed);
            waiting.into_iter().try_for_each(|piece| builder.put(piece))?;
            builder.finish()
        });
        let mut objects = Objects { piece: Piece::default(), pieces };
        let read = read(&mut objects);
        let read = read.and_then(|()| objects.send().map_err(&refused));
        drop(objects);
        let built = building.join().unwrap_or_else(|cause| panic::resume_unwind(cause));
        // Who reads is told of a refusal in other words.
        let table = built.map_err(|conflict| refused(conflict.to_string()))?;
        read.map(|()| table)
    })
}
