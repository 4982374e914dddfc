//! Hyper as a second reader: its server reads requests, its client answers.
//!
//! The connection is a piece of memory and everything runs in the caller's thread, so that a run is
//! over when the bytes are and says the same each time.
//! Invariants: what is told is what hyper's public interface gives; the end of the input is told
//! only once hyper has done what it can without it, so that it does not colour what came before.

use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri, Version, header};
use http_body_util::{BodyExt, Empty, Full};
use hyper::{
    body::Incoming,
    client, ext,
    rt::{Read, ReadBufCursor, Write},
    server,
    service::service_fn,
};

/// The most headers of a head: as many as ours may have.
const MAX_HEADERS: usize = hostler::wire::head::MAX_FIELDS;
/// The most bytes of a head: more than any input has.
const MAX_HEAD: usize = 4 << 20;

/// A body as hyper reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub data: Vec<u8>,
    pub trailers: HeaderMap,
}

/// A request as hyper reads it.
#[derive(Debug)]
pub struct Asked {
    pub method: Method,
    pub uri: Uri,
    pub version: Version,
    pub headers: HeaderMap,
    /// Nothing if it did not come whole.
    pub content: Option<Content>,
    /// The names of the headers as hyper repeats them, with their case.
    pub names: Vec<String>,
    /// Hyper would read another request behind this one.
    pub keeps_alive: bool,
}

/// Has hyper's server read a request; nothing if it refuses the head.
pub fn request(wire: &[u8]) -> Option<Asked> {
    let memory = Memory::new(wire, false);
    let asked = Rc::new(RefCell::new(None::<Asked>));
    let serve = |request: http::Request<Incoming>| {
        let asked = asked.clone();
        async move {
            let (parts, body) = request.into_parts();
            let mut repeated = http::Response::new(Full::new(Bytes::new()));
            *repeated.headers_mut() = parts.headers.clone();
            for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
                repeated.headers_mut().remove(name);
            }
            // They hold the case of the names.
            *repeated.extensions_mut() = parts.extensions;
            let is_first = asked.borrow().is_none();
            if is_first {
                *asked.borrow_mut() = Some(Asked {
                    method: parts.method,
                    uri: parts.uri,
                    version: parts.version,
                    headers: parts.headers,
                    content: None,
                    names: Vec::new(),
                    keeps_alive: false,
                });
            }
            let content = content(body).await;
            if is_first && let Some(asked) = asked.borrow_mut().as_mut() {
                asked.content = content;
            }
            Ok::<_, std::convert::Infallible>(repeated)
        }
    };
    let mut connection = std::pin::pin!(
        server::conn::http1::Builder::new()
            .preserve_header_case(true)
            .auto_date_header(false)
            .header_read_timeout(None)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD)
            .serve_connection(memory.clone(), service_fn(serve))
    );
    memory.drive(|cx| connection.as_mut().poll(cx).map(drop));
    let mut asked = asked.borrow_mut().take()?;
    let output = memory.output.borrow();
    if asked.content.is_some() {
        asked.hear(&output);
    }
    Some(asked)
}

impl Asked {
    /// Reads in the answer what hyper repeats of the request.
    fn hear(&mut self, output: &[u8]) {
        let text = String::from_utf8_lossy(output);
        let text = text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&text);
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let names = head.split("\r\n").skip(1).filter_map(|line| Some(line.split_once(':')?.0));
        self.names = names.map(str::to_owned).collect();
        let says = |option: &str| head.to_ascii_lowercase().contains(option);
        self.keeps_alive = match self.version {
            Version::HTTP_11 => !says("\r\nconnection: close"),
            _ => says("\r\nconnection: keep-alive"),
        };
    }
}

/// An answer as hyper reads it.
#[derive(Debug)]
pub struct Answered {
    /// The interim answers before it.
    pub interim: Vec<(StatusCode, HeaderMap)>,
    pub status: StatusCode,
    pub version: Version,
    /// The reason; nothing if it is the one that is registered for the status.
    pub reason: Option<Vec<u8>>,
    pub headers: HeaderMap,
    /// Nothing if it did not come whole.
    pub content: Option<Content>,
}

/// Has hyper's client read an answer; nothing if it refuses a head.
pub fn answer(wire: &[u8], to_head: bool) -> Option<Answered> {
    let memory = Memory::new(wire, true);
    let interim = Arc::new(Mutex::new(Vec::new()));
    let mut request = http::Request::new(Empty::<Bytes>::new());
    *request.method_mut() = if to_head { Method::HEAD } else { Method::GET };
    let heard = interim.clone();
    ext::on_informational(&mut request, move |answer| {
        let mut heard = heard.lock().expect("nothing panics while it is locked");
        heard.push((answer.status(), answer.headers().clone()));
    });
    let answered = Rc::new(RefCell::new(None::<Answered>));
    let ask = async {
        let mut builder = client::conn::http1::Builder::new();
        builder.max_headers(MAX_HEADERS).max_buf_size(MAX_HEAD);
        let Ok((mut sender, connection)) = builder.handshake(memory.clone()).await else { return };
        let note = async {
            let Ok(response) = sender.send_request(request).await else { return };
            let (parts, body) = response.into_parts();
            let reason = parts.extensions.get::<ext::ReasonPhrase>();
            *answered.borrow_mut() = Some(Answered {
                interim: Vec::new(),
                status: parts.status,
                version: parts.version,
                reason: reason.map(|reason| reason.as_bytes().to_vec()),
                headers: parts.headers,
                content: None,
            });
            let content = content(body).await;
            if let Some(answered) = answered.borrow_mut().as_mut() {
                answered.content = content;
            }
        };
        both(connection, note).await;
    };
    let mut ask = std::pin::pin!(ask);
    memory.drive(|cx| ask.as_mut().poll(cx));
    let mut answered = answered.borrow_mut().take()?;
    answered.interim = interim.lock().expect("nothing panics while it is locked").clone();
    Some(answered)
}

/// All of a body; nothing if it does not come whole.
async fn content(mut body: Incoming) -> Option<Content> {
    let mut content = Content { data: Vec::new(), trailers: HeaderMap::new() };
    while let Some(frame) = body.frame().await {
        match frame.ok()?.into_data() {
            Ok(data) => content.data.extend_from_slice(&data),
            Err(frame) => content.trailers = frame.into_trailers().ok()?,
        }
    }
    Some(content)
}

/// Runs a connection until what goes over it is over.
async fn both<T>(connection: impl Future<Output = T>, what: impl Future<Output = ()>) {
    let (mut connection, mut what) = (std::pin::pin!(connection), std::pin::pin!(what));
    let mut is_over = false;
    std::future::poll_fn(|cx| {
        is_over = is_over || connection.as_mut().poll(cx).is_ready();
        what.as_mut().poll(cx)
    })
    .await;
}

/// Was there a wish to be polled again?
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A connection in memory: what is there to be read, and what was written.
#[derive(Clone)]
struct Memory {
    input: Rc<[u8]>,
    read: Rc<Cell<usize>>,
    /// Behind the input comes the end.
    ends: Rc<Cell<bool>>,
    /// There is nothing to be read before something was written.
    answers: bool,
    output: Rc<RefCell<Vec<u8>>>,
}

impl Memory {
    fn new(input: &[u8], answers: bool) -> Memory {
        Memory {
            input: input.into(),
            read: Rc::default(),
            ends: Rc::default(),
            answers,
            output: Rc::default(),
        }
    }

    /// Polls until it is over, or until it waits though the input has ended.
    fn drive(&self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<()>) {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let state = || (self.read.get(), self.output.borrow().len());
        let mut before = state();
        while poll(&mut Context::from_waker(&waker)).is_pending() {
            let waits = !woken.0.swap(false, Ordering::Relaxed) && state() == before;
            before = state();
            if waits && self.ends.replace(true) {
                return;
            }
        }
    }
}

impl Read for Memory {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &self.input[self.read.get()..];
        if self.answers && self.output.borrow().is_empty() || rest.is_empty() && !self.ends.get() {
            return Poll::Pending;
        }
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        self.read.set(self.read.get() + count);
        Poll::Ready(Ok(()))
    }
}

impl Write for Memory {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.output.borrow_mut().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
