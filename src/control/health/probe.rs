//! Asks one dyno once.
//!
//! A connection of its own for each question, made as those of requests are: with the PROXY header
//! first where the app's dynos expect one (as `LOCAL`, which stands for no client), by TLS where
//! they speak it. Invariants: all of it ends within the check's time; no more than [`MAX_BODY`] of
//! a body and [`MAX_READ`] in all is read; whatever comes is an answer or a reason why it is none;
//! what the dyno says of its load counts whatever the answer is.

use bytes::Bytes;
use http::{HeaderMap, Request, header, response::Parts};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::{grpc, settings::Checks};
use crate::{
    route::{Check, DynoAddr, DynoProtocol, ProxyHeader},
    tls::{Dialer, Failure, Speech},
};

/// The most of a body that is read, in bytes.
pub const MAX_BODY: usize = 64 << 10;
/// The most that is read of a connection, in bytes: who says more says nothing.
const MAX_READ: u64 = 512 << 10;
/// Who asks.
pub const AGENT: &str = concat!("hostler/", env!("CARGO_PKG_VERSION"), " (health check)");
/// The PROXY header of a connection for nobody (PROXY protocol, section 2.2: version 2, LOCAL).
const LOCAL: [u8; 16] = *b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Where a dyno says how busy it is.
const LOAD: &str = "endpoint-load-metrics";

/// Reads how busy a dyno says it is, in thousandths.
pub type ReadLoad = fn(&[u8]) -> Option<u16>;

/// What came of a question.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// It is good, or why it is not, in words.
    pub verdict: Result<(), String>,
    /// How busy the dyno says it is.
    pub load: Option<u16>,
    /// There was none when its time was over.
    pub hung: bool,
}

/// A stream below HTTP.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Asks the dyno at `addr`, of that app.
pub async fn ask(
    dialer: &Dialer,
    app: &str,
    addr: &DynoAddr,
    checks: &Checks,
    read_load: ReadLoad,
) -> Answer {
    let asked = async {
        let stream = connect(dialer, app, addr, checks).await?;
        let (headers, verdict) = match checks.check {
            Check::Off | Check::Tcp => (HeaderMap::new(), Ok(())),
            Check::Grpc => grpc::ask(stream, checks.host(app), &checks.grpc_name).await?,
            Check::Http => {
                let request = request(app, checks)?;
                let (head, body) = match checks.protocol {
                    DynoProtocol::Http2 => grpc::get(stream, request).await?,
                    DynoProtocol::Http1 => http1(stream, request, !checks.body.is_empty()).await?,
                };
                let verdict = judge(head.status.as_u16(), &body, checks);
                (head.headers, verdict)
            }
        };
        let load = headers.get(LOAD).and_then(|value| read_load(value.as_bytes()));
        Ok(Answer { verdict, load, hung: false })
    };
    let bad = |why, hung| Answer { verdict: Err(why), load: None, hung };
    match timeout(checks.timeout, asked).await {
        Ok(answer) => answer.unwrap_or_else(|why| bad(why, false)),
        Err(_) => bad(format!("no answer within {:?}", checks.timeout), true),
    }
}

async fn connect(
    dialer: &Dialer,
    app: &str,
    addr: &DynoAddr,
    checks: &Checks,
) -> Result<Box<dyn Stream>, String> {
    let failed = |error: std::io::Error| format!("no connection: {error}");
    let mut stream: Box<dyn Stream> = match addr {
        DynoAddr::Ip(addr) => Box::new(TcpStream::connect(addr).await.map_err(failed)?),
        DynoAddr::Unix(path) => Box::new(UnixStream::connect(path).await.map_err(failed)?),
    };
    // A dyno that never stops would keep this thread from all others.
    let (read, write) = tokio::io::split(stream);
    stream = Box::new(tokio::io::join(read.take(MAX_READ), write));
    if checks.proxy_protocol == ProxyHeader::V2 {
        stream.write_all(&LOCAL).await.map_err(failed)?;
    }
    let Some(name) = checks.name(app) else { return Ok(stream) };
    let by_http2 = checks.check == Check::Grpc || checks.protocol == DynoProtocol::Http2;
    let speech = if by_http2 { Speech::Http2 } else { Speech::Http1 };
    match dialer.connect(&name, speech, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(match Failure::in_error(&error) {
            Some(failure) => format!("it does not prove itself as {name}: {failure}"),
            None => failed(error),
        }),
    }
}

fn request(app: &str, checks: &Checks) -> Result<Request<Empty<Bytes>>, String> {
    let host = checks.host(app);
    let http2 = checks.protocol == DynoProtocol::Http2;
    let scheme = if checks.tls { "https" } else { "http" };
    let path = &checks.path;
    let request = match http2 {
        // HTTP/2 has the host in its address.
        true => Request::get(format!("{scheme}://{host}{path}")),
        false => {
            Request::get(&**path).header(header::HOST, host).header(header::CONNECTION, "close")
        }
    };
    let request = request.header(header::USER_AGENT, AGENT).header(header::ACCEPT, "*/*");
    request.body(Empty::new()).map_err(|error| format!("health.path or health.host: {error}"))
}

async fn http1(
    stream: Box<dyn Stream>,
    request: Request<Empty<Bytes>>,
    wants_body: bool,
) -> Result<(Parts, Bytes), String> {
    let broken = |error: hyper::Error| format!("no answer: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let answer = async {
        let (head, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
        if !wants_body {
            return Ok((head, Bytes::new()));
        }
        let read = Limited::new(body, MAX_BODY).collect().await;
        Ok((head, read.map_err(|error| format!("its body: {error}"))?.to_bytes()))
    };
    tokio::pin!(answer);
    tokio::select! {
        biased;
        done = &mut answer => done,
        // What ended the connection, `answer` says too, behind the bytes that still came.
        _ = connection => answer.await,
    }
}

fn judge(status: u16, body: &[u8], checks: &Checks) -> Result<(), String> {
    if !checks.is_good(status) {
        return Err(format!("it answers {status}, and {} is good", checks.status));
    }
    let wanted = checks.body.as_bytes();
    match wanted.is_empty() || body.windows(wanted.len()).any(|part| part == wanted) {
        true => Ok(()),
        false => Err(format!("its body does not hold {:?}", checks.body)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_judged_by_status_and_body() {
        let checks = |status: &str, body: &str| {
            let (status, body) = (status.into(), body.into());
            Checks { status, body, ..Checks::default() }
        };
        assert_eq!(judge(200, b"", &checks("200-399", "")), Ok(()));
        assert_eq!(judge(200, b"all is well", &checks("200", "is well")), Ok(()));
        let why = judge(503, b"", &checks("200-399", "")).unwrap_err();
        assert_eq!(why, "it answers 503, and 200-399 is good");
        assert_eq!(
            judge(200, b"no", &checks("200", "ok")).unwrap_err(),
            "its body does not hold \"ok\""
        );
        assert!(judge(200, b"", &checks("200", "ok")).is_err());
    }
}
