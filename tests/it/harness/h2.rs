//! A client that speaks HTTP/2 as it should: for what a request and its answer become.
//!
//! Invariant: it moves only while a test waits for something, so that a test can stand still; every
//! wait has a deadline.

use std::{
    future::{Future, poll_fn},
    net::SocketAddr,
    task::Poll,
};

use bytes::Bytes;
use h2::{
    Reason, RecvStream, SendStream,
    client::{self, ResponseFuture, SendRequest},
};
use http::{HeaderMap, Request, Response};
use tokio::{
    net::TcpStream,
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

use super::DEADLINE;

/// A connection.
pub struct H2 {
    runtime: Runtime,
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// A request under way.
pub struct Call {
    /// What the client sends.
    pub body: SendStream<Bytes>,
    answer: ResponseFuture,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Whole {
    /// Its head.
    pub head: Response<()>,
    /// Its body.
    pub body: Vec<u8>,
    /// Its trailers.
    pub trailers: Option<HeaderMap>,
}

impl Whole {
    /// A field of the head, empty if it is not there.
    pub fn get(&self, name: &str) -> &str {
        self.head.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status, and the router's fault.
    pub fn verdict(&self) -> (u16, &str) {
        (self.head.status().as_u16(), self.get("hostler-error"))
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl H2 {
    /// Connects, with the windows that every client begins with.
    pub fn connect(addr: SocketAddr) -> H2 {
        H2::with(addr, &client::Builder::new())
    }

    /// Connects with settings of its own.
    pub fn with(addr: SocketAddr, settings: &client::Builder) -> H2 {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (requests, connection) = runtime.block_on(async {
            let stream = TcpStream::connect(addr).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (requests, connection) = settings.handshake(stream).await.unwrap();
            (requests, tokio::spawn(connection))
        });
        H2 { runtime, requests, connection }
    }

    /// Waits for something, the connection going on meanwhile.
    pub fn wait<F: Future>(&self, what: F) -> F::Output {
        self.runtime.block_on(async {
            tokio::time::timeout(DEADLINE, what).await.expect("what a test waits for comes")
        })
    }

    /// Lets the connection move what there is to be moved.
    pub fn turn(&self) {
        self.wait(async {
            for _ in 0..16 {
                tokio::task::yield_now().await;
            }
        });
    }

    /// Begins a request; `ended` says that it has no body.
    pub fn begin(&self, request: Request<()>, ended: bool) -> Call {
        let mut requests = self.requests.clone();
        let (answer, body) = self.wait(async {
            poll_fn(|cx| requests.poll_ready(cx)).await.unwrap();
            requests.send_request(request, ended).unwrap()
        });
        Call { body, answer }
    }

    /// The head of an answer, and its body to be read.
    pub fn head(&self, call: &mut Call) -> Result<Response<RecvStream>, h2::Error> {
        self.wait(&mut call.answer)
    }

    /// The whole answer.
    pub fn answer(&self, mut call: Call) -> Result<Whole, h2::Error> {
        let (head, stream) = self.head(&mut call)?.into_parts();
        let (body, trailers) = self.rest(stream)?;
        Ok(Whole { head: Response::from_parts(head, ()), body, trailers })
    }

    /// What follows a head.
    pub fn rest(&self, mut stream: RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
        self.wait(async {
            let mut body = Vec::new();
            while let Some(data) = poll_fn(|cx| stream.poll_data(cx)).await {
                let data = data?;
                stream.flow_control().release_capacity(data.len())?;
                body.extend_from_slice(&data);
            }
            Ok((body, poll_fn(|cx| stream.poll_trailers(cx)).await?))
        })
    }

    /// An interim answer.
    pub fn interim(&self, call: &mut Call) -> Response<()> {
        self.wait(poll_fn(|cx| call.answer.poll_informational(cx))).unwrap().unwrap()
    }

    /// A GET of that host and path, and its answer.
    pub fn get(&self, host: &str, path: &str) -> Whole {
        self.answer(self.begin(get(host, path), true)).unwrap()
    }

    /// Sends all of the data, as the windows let it.
    pub fn send(&self, call: &mut Call, mut data: &[u8], last: bool) {
        if data.is_empty() {
            call.body.send_data(Bytes::new(), last).unwrap();
        }
        while !data.is_empty() {
            call.body.reserve_capacity(data.len());
            let count = match call.body.capacity() {
                0 => self.wait(poll_fn(|cx| call.body.poll_capacity(cx))).unwrap().unwrap(),
                count => count,
            };
            let (now, rest) = data.split_at(count.min(data.len()));
            call.body.send_data(Bytes::copy_from_slice(now), last && rest.is_empty()).unwrap();
            data = rest;
        }
        self.turn();
    }

    /// How much of `data` the router takes while the test does not read what is behind it.
    pub fn send_until_blocked(&self, call: &mut Call, most: usize) -> usize {
        let mut sent = 0;
        loop {
            call.body.reserve_capacity(most - sent);
            let ready = self.wait(async {
                // The window comes back in bursts: silence is the end of them.
                let more = poll_fn(|cx| match call.body.capacity() {
                    0 => call.body.poll_capacity(cx).map(drop),
                    _ => Poll::Ready(()),
                });
                tokio::time::timeout(std::time::Duration::from_millis(300), more).await.is_ok()
            });
            let count = call.body.capacity().min(most - sent);
            if !ready || sent == most {
                return sent;
            }
            call.body.send_data(Bytes::from(vec![b'u'; count]), false).unwrap();
            sent += count;
        }
    }

    /// Why the router reset the stream of a call.
    pub fn reset(&self, call: &mut Call) -> Reason {
        self.wait(poll_fn(|cx| call.body.poll_reset(cx))).unwrap()
    }

    /// How the connection ended.
    pub fn end(mut self) -> Result<(), h2::Error> {
        drop(self.requests);
        let connection = &mut self.connection;
        self.runtime.block_on(async {
            tokio::time::timeout(DEADLINE, connection).await.expect("the end comes").unwrap()
        })
    }
}

/// A GET.
pub fn get(host: &str, path: &str) -> Request<()> {
    request("GET", host, path, &[])
}

/// A request.
pub fn request(method: &str, host: &str, path: &str, fields: &[(&str, &str)]) -> Request<()> {
    let uri = format!("http://{host}{path}");
    let builder = Request::builder().method(method).uri(uri);
    let builder =
        fields.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
    builder.body(()).unwrap()
}
