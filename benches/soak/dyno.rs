//! The dynos: every way to answer, well and badly, chosen by the first part of the path.
//!
//! Invariants: a dyno serves each connection in a task of its own; a dyno that dies resets every
//! connection and listens no more, and comes back at the same address, which it holds meanwhile.

use std::{
    cell::RefCell,
    io::Result,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use socket2::{Domain, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, spawn_local},
};

use crate::wire::{BLOCK, Conn, Framing, Head, Summing};

/// The accept queue of a dyno.
const BACKLOG: i32 = 1024;
/// How long a dyno that reads nothing lets its connection be.
const DEAF: Duration = Duration::from_secs(5);
/// How much of an upload is read that nobody wants, so that the answer before it arrives.
const LINGER: usize = 64 << 20;

/// A dyno's address, held whether it listens or not.
pub struct Dyno {
    /// Its address.
    pub addr: SocketAddr,
    // Bound, never listening: nobody else gets the port while the dyno is dead.
    _hold: Socket,
    tasks: Rc<RefCell<Vec<AbortHandle>>>,
}

impl Dyno {
    /// A dyno that listens.
    pub fn start() -> Result<Dyno> {
        let hold = socket((Ipv4Addr::LOCALHOST, 0).into())?;
        let addr = hold.local_addr()?.as_socket().expect("it was bound to an IP address");
        let dyno = Dyno { addr, _hold: hold, tasks: Rc::default() };
        dyno.rise()?;
        Ok(dyno)
    }

    /// Listens, again.
    pub fn rise(&self) -> Result<()> {
        let socket = socket(self.addr)?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        let listener = TcpListener::from_std(socket.into())?;
        let tasks = self.tasks.clone();
        let accepting = spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let task = spawn_local(serve(stream));
                let mut tasks = tasks.borrow_mut();
                tasks.retain(|task| !task.is_finished());
                tasks.push(task.abort_handle());
            }
        });
        self.tasks.borrow_mut().push(accepting.abort_handle());
        Ok(())
    }

    /// Dies in the middle of whatever it does.
    pub fn die(&self) {
        self.tasks.borrow_mut().drain(..).for_each(|task| task.abort());
    }
}

fn socket(addr: SocketAddr) -> Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

/// Serves one connection; whatever breaks it, the other side has to notice.
async fn serve(stream: TcpStream) {
    let Ok(mut conn) = Conn::new(stream) else { return };
    // Of a task that is ended the socket is closed as it stands: unread bytes make that a reset.
    while let Ok(Some(head)) = conn.head().await {
        match answer(&mut conn, &head).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) => {
                // The client left, or this dyno wants it so.
                let _ = conn.reset();
                return;
            }
        }
    }
}

/// Answers a request; says whether the connection goes on.
async fn answer(conn: &mut Conn, head: &Head) -> Result<bool> {
    let mut parts = head.word(1).split('/').skip(1);
    let kind = parts.next().unwrap_or_default();
    let _number = parts.next();
    let size: u64 = parts.next().and_then(|size| size.parse().ok()).unwrap_or(0);
    if kind == "early" {
        let text = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\
                    Connection: close\r\n\r\nless";
        conn.send(text).await?;
        return linger(conn).await;
    }
    if kind == "deaf" {
        // Far longer than its client stays.
        tokio::time::sleep(DEAF).await;
        return Ok(false);
    }
    if kind == "choke" {
        conn.fill().await?;
        return Ok(false);
    }
    let mut summing = Summing::default();
    conn.body(head.framing(Framing::Length(0))?, &mut summing).await?;
    let sum = summing.sum();
    match kind {
        "post" | "expect" | "slowpost" => {
            let text = format!("{} {}", sum.length, sum.crc);
            let length = text.len();
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}")).await?;
        }
        "length" | "slowread" => {
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")).await?;
            conn.send_pattern(size, Framing::Length(size), Duration::ZERO).await?;
        }
        "chunks" | "slowdyno" => {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
            conn.send(head).await?;
            let pause = Duration::from_millis(if kind == "chunks" { 0 } else { 20 });
            let sum = conn.send_pattern(size, Framing::Chunked, pause).await?;
            conn.send(format!("0\r\nX-Sum: {}\r\n\r\n", sum.crc)).await?;
        }
        "close" => {
            conn.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await?;
            conn.send_pattern(size, Framing::Close, Duration::ZERO).await?;
            return Ok(false);
        }
        "none" => conn.send("HTTP/1.1 204 No Content\r\n\r\n").await?,
        "same" => {
            conn.send("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 9\r\n\r\n")
                .await?;
        }
        "hint" => {
            let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n";
            conn.send(format!("{hint}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")).await?;
        }
        "tunnel" => return tunnel(conn).await,
        _ => return amiss(conn, kind, head).await,
    }
    Ok(true)
}

/// The answers that are none, and the common small one.
async fn amiss(conn: &mut Conn, kind: &str, head: &Head) -> Result<bool> {
    match kind {
        "hold" | "stall" => conn.until_gone().await,
        "endless" => {
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n").await?;
            conn.send_pattern(u64::MAX, Framing::Close, Duration::ZERO).await?;
        }
        "gone" => {}
        "cut" => conn.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await?,
        "broken" => {
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await?;
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
        "garbage" => conn.send("HTP/1.1 200 OK\r\n\r\n").await?,
        "large" => {
            let cookie = "a".repeat(9000);
            conn.send(format!("HTTP/1.1 200 OK\r\nSet-Cookie: a={cookie}\r\n\r\n")).await?;
        }
        "silent" => {
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await?;
            conn.until_gone().await;
        }
        _ => {
            let text = if head.word(0) == "HEAD" { "" } else { head.word(1) };
            let length = head.word(1).len();
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}")).await?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Ends the answer, and reads on for a while, as servers do so that it is not lost.
async fn linger(conn: &mut Conn) -> Result<bool> {
    use tokio::io::AsyncWriteExt;
    conn.stream.shutdown().await?;
    for _ in 0..LINGER / BLOCK {
        if !conn.fill().await? {
            break;
        }
        conn.take_buffered();
    }
    Ok(false)
}

/// Sends back what comes, until its end.
async fn tunnel(conn: &mut Conn) -> Result<bool> {
    conn.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: soak\r\nConnection: upgrade\r\n\r\n")
        .await?;
    loop {
        let bytes = conn.take_buffered();
        if bytes == b"break" {
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
        conn.send(bytes).await?;
        if !conn.fill().await? {
            return Ok(false);
        }
    }
}
