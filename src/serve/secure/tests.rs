//! What a session keeps to itself, and what its end means, where nobody reads.
//!
//! Invariant: real sockets, and what is sent lies in the socket before it is looked at.

use std::{future::poll_fn, net::TcpListener};

use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::*;
use crate::tls::{AcceptFiles, Acceptor, Dialer, ServerStream, Speech, self_signed};

/// Our end of a connection whose handshake is over, and the other one.
async fn pair() -> (Secure, ServerStream<TcpStream>) {
    let folder = tempfile::tempdir().unwrap();
    let (proof, _) = self_signed(folder.path()).unwrap();
    let files = AcceptFiles { chain: proof.clone(), key: proof.clone(), clients: None };
    let (acceptor, _renewal) = Acceptor::open(files).unwrap();
    let dialer = Dialer::open(Some(&proof)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let other = listener.accept().unwrap().0;
    other.set_nonblocking(true).unwrap();
    let session = dialer.session("hostler.invalid", Speech::Http1).unwrap();
    let mut secure = Secure::new(ours.into(), session, Rc::default());
    secure.greet().unwrap();
    let other = acceptor.accept(TcpStream::from_std(other).unwrap());
    let handshake = poll_fn(|cx| secure.poll_handshake(cx));
    let (ours, other) = tokio::join!(handshake, other);
    ours.unwrap();
    (secure, other.map_err(|(error, _)| error).unwrap())
}

/// Sends so many changes of keys, which are records without data, and then that.
async fn send(other: &mut ServerStream<TcpStream>, changes: usize, data: &[u8]) {
    for _ in 0..changes {
        other.stream.get_mut().1.refresh_traffic_keys().unwrap();
    }
    other.stream.write_all(data).await.unwrap();
    other.stream.flush().await.unwrap();
}

/// Reads; answers what came, and how often it was looked for.
async fn read(secure: &mut Secure) -> (io::Result<Vec<u8>>, usize) {
    let (mut buffer, mut looks) = (Vec::with_capacity(100), 0);
    let read = poll_fn(|cx| {
        looks += 1;
        Carrier::poll_read(secure, cx, &mut buffer)
    });
    (read.await.map(|_| buffer), looks)
}

#[tokio::test]
async fn others_have_a_turn_among_records_without_data() {
    let (mut secure, mut other) = pair().await;
    let at_once = DATALESS_AT_ONCE / LEAST_RECORD;
    // The library bears no more changes in a row than these.
    for (changes, turns) in [(0, 1), (at_once - 1, 1), (at_once, 2)] {
        send(&mut other, changes, b"data").await;
        poll_fn(|cx| secure.socket.poll_readable(cx)).await.unwrap();
        let (data, looks) = read(&mut secure).await;
        assert_eq!((data.unwrap(), looks), (b"data".to_vec(), turns), "{changes}");
    }
}

/// Such a connection is kept, to be used again.
#[tokio::test]
async fn a_connection_that_has_ended_is_not_taken_for_a_quiet_one_by_a_busy_task() {
    for says_so in [true, false] {
        let (mut secure, mut other) = pair().await;
        assert!(!secure.has_come());
        // What a session keeps to itself is no end.
        send(&mut other, 3, b"").await;
        assert!(!secure.has_come());
        match says_so {
            true => other.stream.shutdown().await.unwrap(),
            false => drop(other),
        }
        poll_fn(|cx| secure.socket.poll_readable(cx)).await.unwrap();
        poll_fn(|cx| {
            while tokio::task::coop::has_budget_remaining() {
                assert!(Carrier::poll_readable(&mut secure, cx).is_ready());
            }
            assert!(Carrier::poll_readable(&mut secure, cx).is_pending());
            assert!(secure.has_come(), "{says_so}");
            Poll::Ready(())
        })
        .await;
    }
}

#[tokio::test]
async fn only_its_own_word_is_an_orderly_end() {
    for says_so in [true, false] {
        let (mut secure, mut other) = pair().await;
        send(&mut other, 0, b"last").await;
        match says_so {
            true => other.stream.shutdown().await.unwrap(),
            false => other.stream.get_mut().0.shutdown().await.unwrap(),
        }
        assert_eq!(read(&mut secure).await.0.unwrap(), b"last");
        let end = read(&mut secure).await.0;
        assert_eq!(
            end.map_err(|error| error.kind()),
            match says_so {
                true => Ok(Vec::new()),
                false => Err(io::ErrorKind::UnexpectedEof),
            }
        );
    }
}
