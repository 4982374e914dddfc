//! TLS at its corners: sides that pause in a handshake, cuts that are no ends, readers that do not
//! read.
//!
//! Invariant: both sides are played record by record, by a library that the router uses too, but
//! of which it uses the other half.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
};

use rustls::{
    AlertDescription, Error, ServerConnection,
    version::{TLS12, TLS13},
};

use crate::harness::{Authority, DEADLINE, Dyno, Named, Tls, pace, tls};

/// A side that sends each flight in two parts, a pause before each.
struct Pausing(TcpStream);

impl Write for Pausing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in [&bytes[..bytes.len() / 2], &bytes[bytes.len() / 2..]] {
            pace::pause(pace::STEP);
            self.0.write_all(part)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Pausing {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";

/// A router, a dyno that it asks inside TLS, and who vouches for that.
fn start() -> (Tls, Dyno, Authority) {
    let authority = Authority::new("dynos");
    let settings = [("HOSTLER_DYNOS_TLS", "true"), ("HOSTLER_DYNOS_TLS_CA", &authority.ca())];
    let (tls, dyno) = (Tls::start(&settings), Dyno::new());
    tls.router.app("one", "a.test", &[&dyno.addr]);
    (tls, dyno, authority)
}

/// Takes a request off a dyno's connection.
fn take_request(session: &mut ServerConnection, conn: &mut (impl Read + Write)) {
    while session.process_new_packets().unwrap().plaintext_bytes_to_read() == 0 {
        session.complete_io(conn).unwrap();
    }
}

#[test]
fn a_side_that_pauses_at_every_flight_is_heard_to_the_end() {
    let (tls, dyno, authority) = start();
    let files = authority.issue("one", &["one.internal"]);
    for version in [&TLS12, &TLS13] {
        let mut session = tls.session(&[version]);
        let mut client = Pausing(TcpStream::connect(tls.addr).unwrap());
        while session.is_handshaking() {
            session.complete_io(&mut client).unwrap();
        }
        session.writer().write_all(GET).unwrap();
        session.write_tls(&mut client).unwrap();
        let mut asked = tls::server(&files, &[], 0);
        let mut conn = Pausing(dyno.accept().into_tcp());
        while asked.is_handshaking() {
            asked.complete_io(&mut conn).unwrap();
        }
        take_request(&mut asked, &mut conn);
        asked.writer().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
        asked.write_tls(&mut conn).unwrap();
        let mut answer = Vec::new();
        rustls::Stream::new(&mut session, &mut client).read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(b"\r\n\r\nhi"), "{}", String::from_utf8_lossy(&answer));
    }
    let failed = |reason| format!("hostler_tls_handshakes_failed_total{{reason=\"{reason}\"}}");
    for reason in ["time_out", "crowded", "gone", "protocol"] {
        assert_eq!(tls.router.metric(&failed(reason)), 0.0, "{reason}");
    }
}

/// Only TLS's own word makes an end of what ends with its connection, on this side as on that.
#[test]
fn a_cut_by_a_dyno_is_a_cut_to_a_client_in_a_drain_too() {
    for (drains, says_so) in [(false, true), (false, false), (true, true), (true, false)] {
        let (mut tls, dyno, authority) = start();
        let files = authority.issue("one", &["one.internal"]);
        let mut client = tls.inside(TcpStream::connect(tls.addr).unwrap());
        client.write_all(GET).unwrap();
        let (mut session, mut conn) = (tls::server(&files, &[], 0), dyno.accept().into_tcp());
        take_request(&mut session, &mut conn);
        if drains {
            tls.router.terminate();
            tls.router.said.wait_for("draining");
        }
        session.writer().write_all(b"HTTP/1.1 200 OK\r\n\r\nall that there is").unwrap();
        if says_so {
            session.send_close_notify();
        }
        while session.wants_write() {
            session.write_tls(&mut conn).unwrap();
        }
        conn.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let end = client.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer);
        assert!(text.contains("all that there is"), "{text}");
        let ended = text.ends_with("\r\n0\r\n\r\n") || !text.contains("chunked");
        assert_eq!((ended && end.is_ok()), says_so, "{drains} {end:?} {text}");
        tls.router.log.wait_for(if says_so { "at=info method=GET" } else { "code=H18" });
        if drains {
            assert!(tls.router.wait().success());
        }
    }
}

/// In TLS 1.3 the router has greeted by then (RFC 7301, section 3.2; RFC 8446, section 6).
#[test]
fn a_client_that_fails_behind_the_greeting_is_told_why() {
    let tls = Tls::start(&[]);
    for version in [&TLS12, &TLS13] {
        let mut session = tls.session_of(&[version], &[b"none"]);
        let mut client = TcpStream::connect(tls.addr).unwrap();
        client.set_read_timeout(Some(DEADLINE)).unwrap();
        let failed = loop {
            if let Err(failed) = session.complete_io(&mut client) {
                break failed;
            }
        };
        let told = Error::AlertReceived(AlertDescription::NoApplicationProtocol);
        assert_eq!(failed.downcast::<Error>().unwrap(), told, "{version:?}");
    }
}

#[test]
fn a_connection_goes_on_behind_a_host_that_its_certificate_does_not_cover() {
    let (tls, dyno) = (Tls::start(&[]), Named::start("one"));
    tls.router.app("one", "a.test", &[&dyno.addr]);
    let head = b"POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 3\r\n\r\n";
    // But not where a body is to come that nobody waits for.
    for (asked, goes_on) in [([&head[..], b"abc", GET].concat(), true), (head.to_vec(), false)] {
        let mut client = tls.inside(TcpStream::connect(tls.addr).unwrap());
        client.write_all(&asked).unwrap();
        let mut answers = String::new();
        client.read_to_string(&mut answers).unwrap();
        assert!(answers.starts_with("HTTP/1.1 421 "), "{answers}");
        assert_eq!(answers.contains("HTTP/1.1 200 OK"), goes_on, "{answers}");
    }
}
