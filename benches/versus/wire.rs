//! The bytes of one connection of the load: a socket, with TLS around it where the way says so.
//!
//! Invariants: works on blocking sockets and on others alike; a read is one system call whatever
//! its size, TLS or not; nothing is copied that need not be.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, HandshakeKind};

use crate::failure::{During, Failure};
use crate::secure;

/// What one read came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// The socket has nothing now.
    Nothing,
    /// Something, perhaps nothing yet that is not TLS's own.
    Bytes,
    /// The proxy has closed.
    End,
}

/// One connection.
pub struct Wire {
    /// What epoll watches.
    pub socket: TcpStream,
    address: SocketAddr,
    tls: Option<Box<ClientConnection>>,
}

impl Wire {
    /// Around a socket that may still be connecting.
    pub fn new(
        socket: TcpStream,
        address: SocketAddr,
        config: Option<&Arc<ClientConfig>>,
    ) -> Result<Wire, Failure> {
        let tls = config.map(|config| secure::connection(config, address)).transpose()?;
        Ok(Wire { socket, address, tls: tls.map(Box::new) })
    }

    /// Was the TLS session resumed? `None` in clear text, or before that is known.
    pub fn is_resumed(&self) -> Option<bool> {
        Some(self.tls.as_ref()?.handshake_kind()? == HandshakeKind::Resumed)
    }

    /// Must it be told when the socket takes bytes again?
    pub fn is_blocked(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Sends as many of the bytes as can be sent now; says how many.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        let Some(tls) = &mut self.tls else {
            return match self.socket.write(bytes) {
                Err(error) if not_yet(&error) => Ok(0),
                result => result.during("sending a request"),
            };
        };
        let mut taken = 0;
        loop {
            let count = tls.writer().write(&bytes[taken..]).during("sending a request")?;
            taken += count;
            let is_blocked = !flush(tls, &mut self.socket)?;
            if is_blocked || taken == bytes.len() || count == 0 {
                return Ok(taken);
            }
        }
    }

    /// Sends what TLS holds back.
    pub fn flush(&mut self) -> Result<(), Failure> {
        match &mut self.tls {
            Some(tls) => flush(tls, &mut self.socket).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Reads once, and hands over what came, in pieces.
    pub fn read(
        &mut self,
        buffer: &mut [u8],
        take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<Came, Failure> {
        let count = match self.socket.read(buffer) {
            Ok(0) => return Ok(Came::End),
            Ok(count) => count,
            Err(error) if not_yet(&error) => return Ok(Came::Nothing),
            Err(error) => return Err(error).during("reading an answer"),
        };
        let mut bytes = &buffer[..count];
        let Some(tls) = &mut self.tls else {
            take(bytes)?;
            return Ok(Came::Bytes);
        };
        while !bytes.is_empty() {
            // Nothing is taken after the proxy's close_notify.
            if tls.read_tls(&mut bytes).during("reading an answer")? == 0 {
                break;
            }
            tls.process_new_packets().map_err(|error| Failure::Tls(self.address, error))?;
            loop {
                let mut reader = tls.reader();
                let length = match io::BufRead::fill_buf(&mut reader) {
                    Ok([]) => break,
                    Ok(chunk) => {
                        take(chunk)?;
                        chunk.len()
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error).during("reading an answer"),
                };
                io::BufRead::consume(&mut reader, length);
            }
        }
        flush(tls, &mut self.socket)?;
        Ok(Came::Bytes)
    }
}

/// Writes what TLS has for the socket; false if the socket is full.
fn flush(tls: &mut ClientConnection, socket: &mut TcpStream) -> Result<bool, Failure> {
    while tls.wants_write() {
        match tls.write_tls(socket) {
            Ok(_) => {}
            Err(error) if not_yet(&error) => return Ok(false),
            Err(error) => return Err(error).during("sending a request"),
        }
    }
    Ok(true)
}

fn not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}
