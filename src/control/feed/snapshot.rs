//! The whole table as events of the feed, made piece by piece.
//!
//! `snapshot` says what comes, each `objects` has some canonical lines, `snapshot-end` alone bears
//! an id: who is cut before it begins anew.
//! Invariants: a piece has about [`PIECE`] bytes, more only for one object that is longer; an app
//! comes before its dynos and routes; the caller may end it at each piece.

use super::ring::Standing;
use crate::route::{Counts, Object, Table};

/// About how many bytes of lines an event has.
pub const PIECE: usize = 64 << 10;

/// Renders a table; `emit` answers whether it is to go on. Answers whether it came to the end.
pub fn snapshot(table: &Table, mut emit: impl FnMut(Vec<u8>) -> bool) -> bool {
    let (revision, digest) = (table.revision(), table.digest());
    let Counts { apps, routes, dynos, certificates: certs } = table.counts();
    let v = crate::route::canonical::FORM;
    let head = format!(
        "event: snapshot\ndata: {{\"v\":{v},\"kind\":\"snapshot\",\"revision\":{revision},\
         \"digest\":\"{digest}\",\"apps\":{apps},\"routes\":{routes},\"dynos\":{dynos},\
         \"certs\":{certs}}}\n\n"
    );
    if !emit(head.into_bytes()) {
        return false;
    }
    let mut piece = Vec::new();
    let went_on = table.each(|object: Object<'_>| {
        if piece.is_empty() {
            piece.extend_from_slice(b"event: objects\n");
        }
        piece.extend_from_slice(b"data: ");
        piece.extend_from_slice(object.line().as_bytes());
        piece.push(b'\n');
        if piece.len() < PIECE {
            return true;
        }
        piece.push(b'\n');
        emit(std::mem::take(&mut piece))
    });
    if !went_on {
        return false;
    }
    if !piece.is_empty() {
        piece.push(b'\n');
    }
    let end = format!(
        "event: snapshot-end\ndata: {{\"revision\":{revision},\"digest\":\"{digest}\"}}\n\
         id: {revision}\n\n"
    );
    piece.extend_from_slice(end.as_bytes());
    emit(piece)
}

/// Where a table stands.
impl From<&Table> for Standing {
    fn from(table: &Table) -> Standing {
        Standing { revision: table.revision(), digest: table.digest(), at_ms: 0 }
    }
}
