//! One question over HTTP/2: a GET, or a call of `grpc.health.v1.Health/Check` (the gRPC health
//! checking protocol).
//!
//! The two messages have a field each, so they are written and read by hand: field 1 of the request
//! is the name that is asked about, field 1 of the answer the status, 1 for SERVING.
//! Invariants: a connection carries one request; no more than [`MAX_BODY`] is read; what cannot be
//! read is a reason.

use bytes::{BufMut, Bytes, BytesMut};
use h2::client;
use http::{HeaderMap, Request, header, response::Parts};

use super::probe::{AGENT, MAX_BODY, Stream};

const CHECK: &str = "/grpc.health.v1.Health/Check";
/// Before each message of gRPC: whether it is compressed, and its length in four bytes.
const PREFIX: usize = 5;
/// The longest name that is asked about, in bytes: its length is one byte of the message.
pub const MAX_NAME: usize = 120;

/// Asks for a status, of which SERVING is good; answers with the headers, too.
pub(super) async fn ask(
    stream: Box<dyn Stream>,
    host: &str,
    name: &str,
) -> Result<(HeaderMap, Result<(), String>), String> {
    let request = Request::post(format!("http://{host}{CHECK}"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header(header::USER_AGENT, AGENT)
        .body(())
        .map_err(|error| format!("health.host: {error}"))?;
    let answer = exchange(stream, request, Some(message(name))).await?;
    let verdict = judge(&answer);
    Ok((answer.head.headers, verdict))
}

fn judge(Answer { head, body, trailers }: &Answer) -> Result<(), String> {
    if head.status.as_u16() != 200 {
        return Err(format!("it answers {}", head.status.as_u16()));
    }
    // An answer without a message has the status in its head.
    let of = |headers: &HeaderMap| headers.get("grpc-status").cloned();
    let status = trailers.as_ref().and_then(of).or_else(|| of(&head.headers));
    match status {
        Some(status) if status == "0" => {}
        Some(status) => return Err(format!("grpc-status {}", status.to_str().unwrap_or("?"))),
        None => return Err("its answer has no grpc-status".into()),
    }
    match serving(body) {
        Some(1) => Ok(()),
        Some(0) => Err("it is in state UNKNOWN".into()),
        Some(2) => Err("it is NOT_SERVING".into()),
        Some(3) => Err("it does not know that name (SERVICE_UNKNOWN)".into()),
        _ => Err("its answer cannot be read".into()),
    }
}

/// A GET by HTTP/2: head, and body.
pub(super) async fn get<B>(
    stream: Box<dyn Stream>,
    request: Request<B>,
) -> Result<(Parts, Bytes), String> {
    let Answer { head, body, .. } = exchange(stream, request.map(|_| ()), None).await?;
    Ok((head, body))
}

struct Answer {
    head: Parts,
    body: Bytes,
    trailers: Option<HeaderMap>,
}

async fn exchange(
    stream: Box<dyn Stream>,
    request: Request<()>,
    body: Option<Bytes>,
) -> Result<Answer, String> {
    let broken = |error: h2::Error| format!("no answer: {error}");
    let (sender, connection) = client::handshake(stream).await.map_err(broken)?;
    let answer = async {
        let mut sender = sender.ready().await.map_err(broken)?;
        let (answer, mut out) = sender.send_request(request, body.is_none()).map_err(broken)?;
        if let Some(body) = body {
            // It is far less than the least window.
            out.send_data(body, true).map_err(broken)?;
        }
        let (head, mut incoming) = answer.await.map_err(broken)?.into_parts();
        let mut body = BytesMut::new();
        while let Some(piece) = incoming.data().await {
            let piece = piece.map_err(broken)?;
            incoming.flow_control().release_capacity(piece.len()).map_err(broken)?;
            if body.len() + piece.len() > MAX_BODY {
                return Err(format!("its body is longer than {MAX_BODY} bytes"));
            }
            body.extend_from_slice(&piece);
        }
        let trailers = incoming.trailers().await.map_err(broken)?;
        Ok(Answer { head, body: body.freeze(), trailers })
    };
    tokio::pin!(answer);
    tokio::select! {
        biased;
        done = &mut answer => done,
        // What ended the connection, `answer` says too, behind the frames that still came.
        _ = connection => answer.await,
    }
}

/// `HealthCheckRequest { service: name }`, with its prefix.
fn message(name: &str) -> Bytes {
    let name = &name.as_bytes()[..name.len().min(MAX_NAME)];
    let length = if name.is_empty() { 0 } else { 2 + name.len() };
    let mut message = BytesMut::with_capacity(PREFIX + length);
    message.put_u8(0);
    message.put_u32(length as u32);
    if !name.is_empty() {
        // Field 1, a text, and its length.
        message.put_slice(&[0x0a, name.len() as u8]);
        message.put_slice(name);
    }
    message.freeze()
}

/// The status of a `HealthCheckResponse` with its prefix; a field that is absent is 0.
fn serving(bytes: &[u8]) -> Option<u64> {
    let (prefix, message) = bytes.split_at_checked(PREFIX)?;
    let length = u32::from_be_bytes(prefix[1..].try_into().ok()?) as usize;
    if prefix[0] != 0 || message.len() != length {
        return None;
    }
    let (mut rest, mut status) = (message, 0);
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        match (key >> 3, key & 7) {
            (1, 0) => status = varint(&mut rest)?,
            // What a later release may say besides (varint, 64 bits, bytes, 32 bits).
            (_, 0) => drop(varint(&mut rest)?),
            (_, 1) => rest = rest.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                rest = rest.get(length..)?;
            }
            (_, 5) => rest = rest.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_names_what_it_asks_about() {
        assert_eq!(&message("")[..], b"\0\0\0\0\0");
        assert_eq!(&message("blog")[..], b"\0\0\0\0\x06\x0a\x04blog");
        assert_eq!(message(&"x".repeat(500)).len(), PREFIX + 2 + MAX_NAME);
    }

    #[test]
    fn a_status_is_read_and_what_stands_beside_it_is_not() {
        assert_eq!(serving(b"\0\0\0\0\x02\x08\x01"), Some(1));
        assert_eq!(serving(b"\0\0\0\0\x02\x08\x02"), Some(2));
        assert_eq!(serving(b"\0\0\0\0\0"), Some(0), "the default is not written");
        assert_eq!(serving(b"\0\0\0\0\x06\x12\x02ab\x08\x01"), Some(1));
        assert_eq!(serving(b"\0\0\0\0\x07\x1d\0\0\0\0\x08\x01"), Some(1));
    }

    #[test]
    fn what_cannot_be_read_is_nothing() {
        for bytes in [
            &b""[..],
            b"\0\0\0\0",
            b"\x01\0\0\0\x02\x08\x01",
            b"\0\0\0\0\x03\x08\x01",
            b"\0\0\0\0\x01\x08",
            b"\0\0\0\0\x02\x0b\x01",
            b"\0\0\0\0\x03\x12\x09a",
        ] {
            assert_eq!(serving(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_comes_is_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = serving(&bytes);
            let mut framed = vec![0, 0, 0, 0, bytes.len() as u8];
            framed.extend_from_slice(&bytes);
            let _ = serving(&framed);
        }
    }
}
