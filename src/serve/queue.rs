//! How many bytes a socket holds that the other side has not acknowledged (SIOCOUTQ, tcp(7)).
//!
//! A socket tells that it takes bytes again only once a good part of its send buffer, which grows
//! to megabytes, is free. A client that reads slowly but steadily would look silent for minutes;
//! what shows that it reads is this number, which falls with every acknowledgement.
//!
//! Invariants: asked only when a write was held up, so that an exchange that need not wait pays
//! nothing. `unsafe`, because no library offers this call without: it writes one `int` and nothing
//! else.
#![allow(unsafe_code)]

use std::{ffi::c_int, os::fd::AsFd};

use rustix::ioctl::{Getter, Opcode, ioctl};

/// `TIOCOUTQ`, which sockets take as SIOCOUTQ (asm-generic/ioctls.h).
const SIOCOUTQ: Opcode = 0x5411;

/// Bytes that were written to the socket and not acknowledged; 0 where the kernel does not say.
pub fn unacknowledged(socket: impl AsFd) -> usize {
    // SAFETY: SIOCOUTQ takes a pointer to an int, which Getter provides, and fills it.
    let queued = unsafe { ioctl(socket, Getter::<SIOCOUTQ, c_int>::new()) };
    usize::try_from(queued.unwrap_or(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[test]
    fn what_the_other_side_does_not_take_is_counted_until_it_does() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut from = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut to = listener.accept().unwrap().0;
        assert_eq!(unacknowledged(&from), 0);
        from.set_nonblocking(true).unwrap();
        while from.write(&[0; 65536]).is_ok() {}
        let full = unacknowledged(&from);
        assert!(full > 0);
        let mut left = full;
        while left >= full {
            // Whatever the kernel held back arrives in the meantime.
            assert!(to.read(&mut [0; 65536]).unwrap() > 0);
            left = unacknowledged(&from);
        }
    }
}
