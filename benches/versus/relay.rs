//! The floor: a TCP relay on a current-thread tokio runtime that parses nothing. Each client
//! connection gets one dyno connection and keeps it, the dynos taken in turn.
//!
//! Invariants: a waiting connection holds no buffer, all share one per thread; what a socket does
//! not take at once is kept aside until it does, and nothing is read meanwhile; the end of one
//! direction is passed on and does not end the other.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Bytes carried at once.
const CHUNK: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

/// What one turn of a direction came to.
enum Turn {
    Carried,
    /// These bytes were read but not yet taken by the other side.
    Left(Vec<u8>),
    Ended,
}

/// Relays until it is killed. Prints its port once it listens.
pub fn run(dynos: &[SocketAddr]) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?.port());
        for dyno in dynos.iter().cycle() {
            let (client, _) = listener.accept().await?;
            let dyno = *dyno;
            tokio::spawn(async move {
                if let Err(error) = carry(client, dyno).await {
                    eprintln!("a connection to dyno {dyno} broke: {error}");
                }
            });
        }
        Ok(())
    })
}

async fn carry(mut client: TcpStream, dyno: SocketAddr) -> io::Result<()> {
    let mut dyno = TcpStream::connect(dyno).await?;
    client.set_nodelay(true)?;
    dyno.set_nodelay(true)?;
    let (client_read, client_write) = client.split();
    let (dyno_read, dyno_write) = dyno.split();
    tokio::try_join!(pass(client_read, dyno_write), pass(dyno_read, client_write))?;
    Ok(())
}

async fn pass(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
    loop {
        match poll_fn(|context| turn(context, &mut from, &mut to)).await? {
            Turn::Carried => {}
            Turn::Left(bytes) => to.write_all(&bytes).await?,
            Turn::Ended => return to.shutdown().await,
        }
    }
}

fn turn(
    context: &mut Context<'_>,
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
) -> Poll<io::Result<Turn>> {
    BUFFER.with_borrow_mut(|buffer| {
        let mut read = ReadBuf::new(buffer);
        ready!(Pin::new(from).poll_read(context, &mut read))?;
        let bytes = read.filled();
        if bytes.is_empty() {
            return Poll::Ready(Ok(Turn::Ended));
        }
        let written = match Pin::new(to).poll_write(context, bytes) {
            Poll::Ready(count) => count?,
            Poll::Pending => 0,
        };
        Poll::Ready(Ok(if written == bytes.len() {
            Turn::Carried
        } else {
            Turn::Left(bytes[written..].to_vec())
        }))
    })
}
