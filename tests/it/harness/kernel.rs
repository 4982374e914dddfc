//! What the kernel says of a connection that no end of it can be asked.
//!
//! Invariant: both ends are on this machine, with IPv4 addresses.

use std::{fs, net::SocketAddr};

use super::{Conn, until};

/// State of a connection that no side has ended (`TCP_ESTABLISHED`).
const ESTABLISHED: &str = "01";

/// How many bytes the other end of this connection has received and not read.
pub fn unread_by_the_other(conn: &Conn) -> usize {
    let other = Other::of(conn);
    let (_, queues) = other.row().unwrap_or_else(|| panic!("there is no {other:?}"));
    usize::from_str_radix(queues.split(':').nth(1).unwrap(), 16).unwrap()
}

/// Ends a connection and waits until the other end's kernel has heard of it: on a busy machine that
/// may be after something that was sent later on another connection.
pub fn end_and_arrive(conn: Conn, end: impl FnOnce(Conn)) {
    let other = Other::of(&conn);
    end(conn);
    until("the end has arrived", || other.row().is_none_or(|(state, _)| state != ESTABLISHED));
}

/// The other end of a connection.
#[derive(Debug)]
struct Other {
    local: String,
    remote: String,
}

impl Other {
    fn of(conn: &Conn) -> Other {
        let socket = conn.socket();
        let ours = socket.local_addr().unwrap().as_socket().unwrap();
        let theirs = socket.peer_addr().unwrap().as_socket().unwrap();
        Other { local: shown(theirs), remote: shown(ours) }
    }

    /// State and queues, if it is there.
    fn row(&self) -> Option<(String, String)> {
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        // sl, local address, remote address, state, tx_queue:rx_queue (proc(5)).
        table.lines().find_map(|line| {
            let words: Vec<&str> = line.split_whitespace().take(5).collect();
            let is_it = words.get(1..3)? == [&self.local, &self.remote];
            is_it.then(|| (words[3].to_owned(), words[4].to_owned()))
        })
    }
}

/// As the kernel's table shows an address: both parts in hex, the first in the machine's order.
fn shown(addr: SocketAddr) -> String {
    let SocketAddr::V4(addr) = addr else { panic!("{addr} is not IPv4") };
    format!("{:08X}:{:04X}", u32::from_ne_bytes(addr.ip().octets()), addr.port())
}
