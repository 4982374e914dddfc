//! The end of a connection past bytes that nobody reads, and what is read and written afterwards.
//!
//! Invariant: real sockets, and every wait is for the event itself.

use std::{future::poll_fn, net::TcpListener, task::Poll};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;

/// Our end of a connection, and the other one.
async fn pair() -> (Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let ours = listener.accept().unwrap().0;
    ours.set_nonblocking(true).unwrap();
    (TcpStream::from_std(ours).unwrap().into(), other)
}

async fn readable(io: &Socket) {
    poll_fn(|cx| io.poll_readable(cx)).await.unwrap();
}

async fn read(io: &mut Socket, room: usize) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(room);
    poll_fn(|cx| io.poll_read(cx, &mut buffer)).await.unwrap();
    buffer
}

async fn is_pending(mut poll: impl FnMut(&mut Context<'_>) -> bool) -> bool {
    poll_fn(|cx| Poll::Ready(poll(cx))).await
}

#[tokio::test]
async fn an_end_is_noticed_behind_bytes_that_nobody_reads() {
    let (mut io, mut other) = pair().await;
    other.write_all(b"unread").await.unwrap();
    readable(&io).await;
    assert!(is_pending(|cx| io.poll_end(cx).is_pending()).await);
    let end = async { poll_fn(|cx| io.poll_end(cx)).await };
    let leave = async { other.shutdown().await.unwrap() };
    assert_eq!(tokio::join!(end, leave).0, End::Ended);
    assert_eq!(read(&mut io, 100).await, b"unread");
    assert_eq!(read(&mut io, 100).await, b"");
}

#[tokio::test]
async fn a_reset_is_noticed_behind_bytes_that_nobody_reads() {
    let (io, mut other) = pair().await;
    other.write_all(b"unread").await.unwrap();
    readable(&io).await;
    assert!(is_pending(|cx| io.poll_end(cx).is_pending()).await);
    socket2::SockRef::from(&other).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(other);
    assert_eq!(poll_fn(|cx| io.poll_end(cx)).await, End::Broken);
}

#[tokio::test]
async fn what_was_left_unread_is_read_in_parts_and_what_follows_too() {
    let (mut io, mut other) = pair().await;
    other.write_all(b"abcdef").await.unwrap();
    readable(&io).await;
    assert!(is_pending(|cx| io.poll_end(cx).is_pending()).await);
    assert_eq!(read(&mut io, 4).await, b"abcd");
    assert!(is_pending(|cx| io.poll_end(cx).is_pending()).await, "two bytes are left");
    assert_eq!(read(&mut io, 4).await, b"ef");
    assert!(is_pending(|cx| io.poll_readable(cx).is_pending()).await, "none is left");
    let more = async { other.write_all(b"gh").await.unwrap() };
    assert_eq!(tokio::join!(read(&mut io, 4), more).0, b"gh");
    // A read that fills its buffer cannot say whether it was all.
    other.write_all(b"ijkl").await.unwrap();
    readable(&io).await;
    assert!(is_pending(|cx| io.poll_end(cx).is_pending()).await);
    assert_eq!(read(&mut io, 4).await, b"ijkl");
    let more = async { other.write_all(b"m").await.unwrap() };
    assert_eq!(tokio::join!(read(&mut io, 4), more).0, b"m");
}

#[tokio::test]
async fn a_reset_is_noticed_behind_an_end_and_writing_goes_on_before() {
    let (mut io, mut other) = pair().await;
    other.shutdown().await.unwrap();
    assert_eq!(poll_fn(|cx| io.poll_end(cx)).await, End::Ended);
    assert!(is_pending(|cx| io.poll_broken(cx).is_pending()).await);
    // More than the socket takes at once, so that writing has to wait for room as well.
    let bytes = vec![b'x'; 8 << 20];
    let write = async {
        let mut sent = 0;
        while sent < bytes.len() {
            sent += poll_fn(|cx| io.poll_write(cx, &bytes[sent..])).await.unwrap();
            assert!(is_pending(|cx| io.poll_broken(cx).is_pending()).await);
        }
    };
    let mut got = vec![0; bytes.len()];
    let take = async { other.read_exact(&mut got).await.unwrap() };
    tokio::join!(write, take);
    assert!(got == bytes);
    socket2::SockRef::from(&other).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(other);
    poll_fn(|cx| io.poll_broken(cx)).await;
}

/// Such a connection is closed both ways, which a reset does as well.
#[tokio::test]
async fn an_end_behind_our_own_is_no_reset() {
    let (mut io, mut other) = pair().await;
    poll_fn(|cx| io.poll_shutdown(cx)).await.unwrap();
    other.write_all(b"unread").await.unwrap();
    other.shutdown().await.unwrap();
    assert_eq!(poll_fn(|cx| io.poll_end(cx)).await, End::Ended);
    assert!(is_pending(|cx| io.poll_broken(cx).is_pending()).await);
    assert_eq!(read(&mut io, 100).await, b"unread");
}

#[tokio::test]
async fn a_socket_that_was_marked_is_spliced_from_and_to() {
    let ((from, mut dyno), (to, mut client)) = (pair().await, pair().await);
    dyno.write_all(b"hello").await.unwrap();
    readable(&from).await;
    assert!(is_pending(|cx| from.poll_end(cx).is_pending()).await);
    assert!(is_pending(|cx| to.poll_broken(cx).is_pending()).await);
    let mut buffer = [0; 5];
    let count = poll_fn(|cx| from.poll_read_with(cx, |fd| Ok(rustix::io::read(fd, &mut buffer)?)));
    assert_eq!(count.await.unwrap(), 5);
    let count = poll_fn(|cx| to.poll_write_with(cx, |fd| Ok(rustix::io::write(fd, &buffer)?)));
    assert_eq!(count.await.unwrap(), 5);
    let mut got = [0; 5];
    client.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"hello");
    assert!(
        is_pending(|cx| {
            from.poll_read_with(cx, |fd| Ok(rustix::io::read(fd, &mut buffer)?)).is_pending()
        })
        .await
    );
}

#[tokio::test]
async fn a_closed_connection_is_not_taken_for_a_quiet_one_by_a_busy_task() {
    let (socket, other) = pair().await;
    assert!(socket.is_quiet());
    drop(other);
    readable(&socket).await;
    poll_fn(|cx| {
        while tokio::task::coop::has_budget_remaining() {
            assert!(socket.poll_readable(cx).is_ready());
        }
        assert!(socket.poll_readable(cx).is_pending());
        assert!(!socket.is_quiet());
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn what_was_forgotten_is_told_of_again_when_the_connection_is_taken_out() {
    let (io, mut other) = pair().await;
    other.write_all(b"unread").await.unwrap();
    readable(&io).await;
    assert!(is_pending(|cx| io.poll_end(cx).is_pending()).await);
    let mut taken = [0; 6];
    io.into_tcp().unwrap().read_exact(&mut taken).await.unwrap();
    assert_eq!(&taken, b"unread");
}
