//! One TLS connection as a machine without a socket: records in, what they say out.
//!
//! Whoever owns the socket hands in whole records, one at a time, and sends what is written to an
//! [`Output`]. Invariants: a record is decrypted where it lies and handed on at once, so that a
//! session that waits holds no buffer; nothing is read ahead of a record; after a failure the only
//! thing left to be sent is the alert that says why.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, Error as Tls, HandshakeKind, PeerMisbehaved, ProtocolVersion, ServerConfig,
    client::UnbufferedClientConnection,
    pki_types::{CertificateDer, ServerName},
    server::UnbufferedServerConnection,
    unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus},
};

use super::{failure::Failure, listen::HTTP_2};

/// The first bytes of a record: kind, version, length (RFC 8446, section 5.1).
pub const RECORD_HEAD: usize = 5;
/// The most bytes of data in a record.
pub const MAX_DATA: usize = 16 << 10;
/// The most bytes of a record, head and all, in either version (RFC 5246, section 6.2.3).
pub const MAX_RECORD: usize = MAX_DATA + 2048 + RECORD_HEAD;
/// The most bytes by which a record that we write is longer than its data.
const SEAL: usize = 64;
/// Room for what the session itself has to say beside the data: an alert, a change of keys.
const OWN_WORDS: usize = 4 << 10;
/// The kind of record that a handshake begins with.
pub const HANDSHAKE: u8 = 22;

/// Why a session cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct Broken(#[from] Tls);

impl Broken {
    /// The other side sends records and records, and no data.
    pub fn dataless() -> Broken {
        Broken(Tls::PeerMisbehaved(PeerMisbehaved::TooManyEmptyFragments))
    }

    /// What that means.
    pub fn failure(&self) -> Failure {
        Failure::of(&self.0)
    }
}

/// Where encrypted bytes are written.
#[derive(Debug)]
pub struct Output<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl<'a> Output<'a> {
    /// One in that memory.
    pub fn new(bytes: &'a mut [u8]) -> Output<'a> {
        Output { bytes, len: 0 }
    }

    /// What was written.
    pub fn written(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn put(&mut self, write: impl FnOnce(&mut [u8]) -> Result<usize, Tls>) -> Result<(), Tls> {
        self.len += write(&mut self.bytes[self.len..])?;
        Ok(())
    }

    /// How many bytes of data it has room for, encrypted and with what else may have to be said.
    pub fn data_room(&self) -> usize {
        let room = (self.bytes.len() - self.len).saturating_sub(OWN_WORDS);
        let records = room / (MAX_DATA + SEAL);
        let rest = (room % (MAX_DATA + SEAL)).saturating_sub(SEAL);
        records * MAX_DATA + rest
    }
}

/// What a record said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// How many bytes at the front are done with. Those of a message that is not whole yet are
    /// not: they are handed in again, with the record behind them.
    pub consumed: usize,
    /// The other side said that it sends no more.
    pub ended: bool,
}

/// A TLS connection.
pub struct Session(Side);

enum Side {
    Server(Box<UnbufferedServerConnection>),
    Client(Box<UnbufferedClientConnection>),
}

macro_rules! either {
    ($session:expr, $connection:ident => $what:expr) => {
        match &mut $session.0 {
            Side::Server($connection) => $what,
            Side::Client($connection) => $what,
        }
    };
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    /// The accepting side.
    pub(super) fn server(config: Arc<ServerConfig>) -> Result<Session, Broken> {
        Ok(Session(Side::Server(Box::new(UnbufferedServerConnection::new(config)?))))
    }

    /// The connecting side.
    pub(super) fn client(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Session, Broken> {
        Ok(Session(Side::Client(Box::new(UnbufferedClientConnection::new(config, name)?))))
    }

    /// Is the handshake still going on?
    pub fn is_handshaking(&self) -> bool {
        match &self.0 {
            Side::Server(connection) => connection.is_handshaking(),
            Side::Client(connection) => connection.is_handshaking(),
        }
    }

    /// The version of TLS, as the log line has it.
    pub fn version(&self) -> &'static str {
        let version = match &self.0 {
            Side::Server(connection) => connection.protocol_version(),
            Side::Client(connection) => connection.protocol_version(),
        };
        match version {
            Some(ProtocolVersion::TLSv1_3) => "tls1.3",
            _ => "tls1.2",
        }
    }

    /// Did the handshake go on from a session before?
    pub fn is_resumed(&self) -> bool {
        let kind = match &self.0 {
            Side::Server(connection) => connection.handshake_kind(),
            Side::Client(connection) => connection.handshake_kind(),
        };
        kind == Some(HandshakeKind::Resumed)
    }

    /// Did the two sides agree on HTTP/2?
    pub fn speaks_http2(&self) -> bool {
        let protocol = match &self.0 {
            Side::Server(connection) => connection.alpn_protocol(),
            Side::Client(connection) => connection.alpn_protocol(),
        };
        protocol == Some(HTTP_2)
    }

    /// The certificate by which the other side proved itself.
    pub(super) fn proof(&self) -> Option<&CertificateDer<'static>> {
        let chain = match &self.0 {
            Side::Server(connection) => connection.peer_certificates(),
            Side::Client(connection) => connection.peer_certificates(),
        };
        chain?.first()
    }

    /// Takes what was handed in before and not consumed, with one record behind it: its data goes
    /// behind `data`, and what has to be said in return to `output`.
    ///
    /// # Errors
    /// If the record breaks the protocol, or the other side cannot be trusted; what it is told of
    /// that is in the output.
    pub fn take(
        &mut self,
        records: &mut [u8],
        data: &mut Vec<u8>,
        output: &mut Output<'_>,
    ) -> Result<Taken, Broken> {
        let mut taken = Taken { consumed: 0, ended: false };
        loop {
            let rest = &mut records[taken.consumed..];
            let step = either!(self, connection => {
                let status = connection.process_tls_records(rest);
                taken.consumed += status.discard;
                hear(status, data, output)
            });
            match step {
                Ok(Heard::More) => {}
                Ok(Heard::End) => taken.ended = true,
                Ok(Heard::All) => return Ok(taken),
                Err(error) => {
                    let rest = &mut records[taken.consumed..];
                    // A record that cannot be one is still there, and looked at again by whoever
                    // asks for more than its alert.
                    let was_done_with = rest.is_empty();
                    // A greeting may go before it; an alert without room is the lesser loss.
                    while let Ok(true) = either!(self, connection => {
                        speak(connection.process_tls_records(rest), Word::Nothing, output)
                    }) && was_done_with
                    {}
                    return Err(error.into());
                }
            }
        }
    }

    /// Encrypts data, no more than the output has room for. `records` is what was handed in and
    /// not consumed.
    ///
    /// # Errors
    /// If the session is over.
    pub fn seal(
        &mut self,
        records: &mut [u8],
        data: &[u8],
        output: &mut Output<'_>,
    ) -> Result<(), Broken> {
        debug_assert!(data.len() <= output.data_room(), "the output has no room");
        self.say(records, Word::Data(data), output)
    }

    /// Says that nothing more follows.
    ///
    /// # Errors
    /// If the session is over.
    pub fn close(&mut self, records: &mut [u8], output: &mut Output<'_>) -> Result<(), Broken> {
        self.say(records, Word::Close, output)
    }

    fn say(
        &mut self,
        records: &mut [u8],
        word: Word<'_>,
        output: &mut Output<'_>,
    ) -> Result<(), Broken> {
        while either!(self, connection => {
            speak(connection.process_tls_records(records), word, output)?
        }) {}
        Ok(())
    }
}

/// What a step of reading found.
enum Heard {
    /// There is more to be done.
    More,
    /// The other side's end; there is more to be done.
    End,
    /// The next record is needed.
    All,
}

fn hear<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    data: &mut Vec<u8>,
    output: &mut Output<'_>,
) -> Result<Heard, Tls> {
    match status.state? {
        ConnectionState::ReadTraffic(mut traffic) => {
            while let Some(record) = traffic.next_record() {
                data.extend_from_slice(record?.payload);
            }
        }
        ConnectionState::EncodeTlsData(mut own) => output.put(|out| encoded(own.encode(out)))?,
        ConnectionState::TransmitTlsData(written) => written.done(),
        ConnectionState::PeerClosed => return Ok(Heard::End),
        ConnectionState::Closed
        | ConnectionState::BlockedHandshake
        | ConnectionState::WriteTraffic(_) => return Ok(Heard::All),
        // Early data is not offered: a request in it could be played again.
        other => return Err(Tls::General(format!("unexpected: {other:?}"))),
    }
    Ok(Heard::More)
}

/// What is to be said.
#[derive(Clone, Copy)]
enum Word<'a> {
    Data(&'a [u8]),
    Close,
    /// What the session itself has to say, and no more.
    Nothing,
}

/// Answers whether there is more to be done before it is said.
fn speak<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    word: Word<'_>,
    output: &mut Output<'_>,
) -> Result<bool, Tls> {
    match status.state? {
        ConnectionState::EncodeTlsData(mut own) => output.put(|out| encoded(own.encode(out)))?,
        ConnectionState::TransmitTlsData(written) => written.done(),
        ConnectionState::WriteTraffic(mut traffic) => {
            output.put(|out| match word {
                Word::Data(data) => encrypted(traffic.encrypt(data, out)),
                Word::Close => encrypted(traffic.queue_close_notify(out)),
                Word::Nothing => Ok(0),
            })?;
            return Ok(false);
        }
        _ => return Err(Tls::HandshakeNotComplete),
    }
    Ok(true)
}

fn encoded(result: Result<usize, EncodeError>) -> Result<usize, Tls> {
    result.map_err(|error| Tls::General(error.to_string()))
}

fn encrypted(result: Result<usize, EncryptError>) -> Result<usize, Tls> {
    result.map_err(|error| match error {
        EncryptError::EncryptExhausted => Tls::EncryptError,
        error => Tls::General(error.to_string()),
    })
}
