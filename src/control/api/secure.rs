//! TLS on the control listener: handshakes within their time, and certificates that are renewed.
//!
//! Invariants: a handshake has [`HANDSHAKE_TIME`] and waits for no other, so that one that stands
//! still holds up nobody (how many there are is bounded with the connections); whoever speaks HTTP
//! instead of TLS is told so, whoever speaks neither is closed; the client of a failed handshake
//! can read why; renewed files are taken without a restart, wrong ones change nothing.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    shutdown::Shutdown,
    telemetry::Metrics,
    tls::{Acceptor, Failure, Renewal, ServerStream},
};

/// How long a client may take until TLS stands.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How long a client has to read why it was turned away.
const LINGER: Duration = Duration::from_secs(1);
/// How much of what it still sends is read meanwhile, in bytes.
const LINGER_BYTES: usize = 64 << 10;
/// The first byte of a TLS handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;
/// What is answered to HTTP in the clear.
const PLAIN: &str = concat!(
    r#"{"title":"Bad Request","status":400,"#,
    r#""detail":"the push API speaks TLS here: call it with https://"}"#
);

/// The TLS of the control listeners.
pub struct Secure {
    acceptor: Acceptor,
    metrics: Arc<Metrics>,
}

impl Secure {
    /// TLS as its files say.
    pub fn new(acceptor: Acceptor, metrics: Arc<Metrics>) -> Secure {
        Secure { acceptor, metrics }
    }

    /// Does the handshake; none if the connection is over.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
    ) -> Option<ServerStream<TcpStream>> {
        let accepted = timeout(HANDSHAKE_TIME, self.handshake(stream)).await;
        let accepted = accepted.unwrap_or_else(|_| Err((ErrorKind::TimedOut.into(), None)));
        let (error, stream) = match accepted {
            Ok(accepted) => return accepted,
            Err(failed) => failed,
        };
        self.metrics.control_handshakes_failed.inc();
        let reason = Failure::in_error(&error).map_or(error.to_string(), |why| why.to_string());
        tracing::debug!(%remote, reason, "no TLS on a control connection");
        if let Some(stream) = stream {
            // Whoever does not read it in time is not told.
            let _ = timeout(LINGER, linger(stream)).await;
        }
        None
    }

    async fn handshake(
        &self,
        mut stream: TcpStream,
    ) -> Result<Option<ServerStream<TcpStream>>, (io::Error, Option<TcpStream>)> {
        let mut first = [0];
        match stream.peek(&mut first).await {
            // A look whether the port is open is no failure.
            Ok(0) => return Ok(None),
            Ok(_) if first[0] == HANDSHAKE => {}
            Ok(_) => {
                let told =
                    if first[0].is_ascii_uppercase() { plain(&mut stream).await } else { Ok(()) };
                let error = told.err().unwrap_or_else(|| io::Error::other("what came is not TLS"));
                return Err((error, Some(stream)));
            }
            Err(error) => return Err((error, None)),
        }
        match self.acceptor.accept(stream).await {
            Ok(accepted) => Ok(Some(accepted)),
            Err((error, stream)) => Err((error, Some(stream))),
        }
    }
}

async fn plain(stream: &mut TcpStream) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\nContent-Length: {}\
         \r\nConnection: close\r\n\r\n{PLAIN}",
        PLAIN.len()
    );
    stream.write_all(answer.as_bytes()).await
}

/// Ends our side, and reads what still comes: a close with unread input would take back from the
/// client what it was told.
async fn linger(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut sink = [0; 4096];
    let mut left = LINGER_BYTES;
    while left > 0 {
        match stream.read(&mut sink).await? {
            0 => break,
            read => left = left.saturating_sub(read),
        }
    }
    Ok(())
}

/// Says what a listener proves itself with, and takes renewed certificates until the process stops.
pub async fn renew(mut renewal: Renewal, shutdown: Shutdown) {
    announce(&renewal);
    let listener = renewal.listener();
    loop {
        tokio::select! {
            () = shutdown.stopped() => return,
            () = sleep(LOOK) => {}
        }
        // Files are read on a thread that may wait.
        let looked = tokio::task::spawn_blocking(move || {
            let renewed = renewal.look();
            (renewal, renewed)
        });
        let renewed;
        (renewal, renewed) = match looked.await {
            Ok(looked) => looked,
            Err(error) => return tracing::error!(%error, "certificates are no longer renewed"),
        };
        match renewed {
            Ok(false) => {}
            Ok(true) => announce(&renewal),
            Err(error) => {
                tracing::warn!(%error, "the {listener} listener's old certificate stays");
            }
        }
    }
}

/// Says what a listener proves itself with.
fn announce(renewal: &Renewal) {
    let chain = renewal.chain().display();
    match renewal.objection(SystemTime::now()) {
        Some(objection) => {
            tracing::warn!("no client will trust the certificate in {chain}: {objection}");
        }
        None => {
            let until = renewal.not_after().map(httpdate::fmt_http_date).unwrap_or_default();
            tracing::info!("{} speaks TLS with {chain}, valid until {until}", renewal.listener());
        }
    }
}
