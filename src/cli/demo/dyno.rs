//! What a dyno of the demo runs: `hostler demo-app`, a small HTTP server.
//!
//! Invariants: it says on its first line where it listens, once it does; it ends with whoever
//! started it; told to end, it finishes what runs, but not for long.

use std::{
    convert::Infallible,
    io,
    net::Ipv4Addr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use clap::{Args, ValueEnum};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::{Body, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Interval, interval, sleep},
};

use super::pages::{self, Page, Sender};
use crate::{
    cli::{failure::Failure, output, parent},
    shutdown::Shutdown,
};

/// How the first line begins; the address follows.
pub(super) const LISTENS: &str = "listens on ";
/// The most connections at a time.
const MAX_CONNECTIONS: usize = 1000;
/// How long accepting rests after it failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long what runs may go on at the end.
const DRAIN: Duration = Duration::from_secs(1);
/// The longest that an answer can be made to take, in milliseconds: past the router's patience.
const MAX_SLOW_MS: u64 = 60_000;
/// How long between two events.
const TICK: Duration = Duration::from_secs(1);

/// The command that a dyno of the demo is started with.
#[derive(Debug, Args)]
pub(in crate::cli) struct DemoApp {
    /// Which app
    app: App,
    /// The dyno's name
    #[arg(long)]
    name: String,
}

/// The apps of the demo.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum App {
    Hello,
    Clock,
}

type AnyBody = UnsyncBoxBody<Bytes, hyper::Error>;

impl DemoApp {
    /// Serves until it is told to end.
    pub(in crate::cli) fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let served = runtime.and_then(|runtime| runtime.block_on(self.serve()));
        served.map_err(|error| Failure::Failed(format!("the demo's app cannot run: {error}")))
    }

    async fn serve(self) -> io::Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        output::print(&format!("{LISTENS}{}\n", listener.local_addr()?))?;
        parent::end_with_stdin()?;
        let name = match self.app {
            App::Hello => "hello",
            App::Clock => "clock",
        };
        let dyno = Dyno { app: self.app, sender: Sender::new(name, &self.name) };
        let shutdown = Shutdown::default();
        let accepting = accept(listener, Arc::new(dyno), shutdown.clone());
        let (heard, ()) = tokio::join!(shutdown.on_signals(DRAIN, || ()), accepting);
        heard
    }
}

async fn accept(listener: TcpListener, dyno: Arc<Dyno>, shutdown: Shutdown) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.draining() => break,
            Some(_) = open.join_next() => {}
            accepted = listener.accept(), if open.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    open.spawn(connection(stream, dyno.clone(), shutdown.clone()));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    while open.join_next().await.is_some() {}
    shutdown.stop();
}

/// Serves one connection. How it ends is the router's business, and in the router's log.
async fn connection(stream: TcpStream, dyno: Arc<Dyno>, shutdown: Shutdown) {
    let answer = service_fn(|request| {
        let dyno = dyno.clone();
        async move { Ok::<_, Infallible>(dyno.answer(request).await) }
    });
    let mut server = http1::Builder::new();
    let served = server.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), answer);
    let mut served = pin!(served);
    tokio::select! {
        _ = served.as_mut() => return,
        () = shutdown.draining() => served.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = served => {}
        () = shutdown.stopped() => {}
    }
}

struct Dyno {
    app: App,
    sender: Sender,
}

impl Dyno {
    async fn answer(&self, request: Request<Incoming>) -> Response<AnyBody> {
        let number = self.sender.count();
        let (parts, body) = request.into_parts();
        let mut answer = match (self.app, parts.uri.path()) {
            (App::Hello, "/") => page(pages::hello(&self.sender, number, &parts)),
            (App::Hello, "/slow") => self.slow(&parts).await,
            (App::Hello, "/echo") => echo(&parts, body),
            (App::Clock, "/") => page(pages::clock(&self.sender, now(), &parts)),
            (App::Clock, "/events") => self.events(&parts),
            _ => refusal(StatusCode::NOT_FOUND, &pages::not_found(&self.sender, &parts)),
        };
        if let Ok(name) = self.sender.name().parse() {
            answer.headers_mut().insert("x-dyno", name);
        }
        answer
    }

    async fn slow(&self, parts: &http::request::Parts) -> Response<AnyBody> {
        let ms = pages::number(parts, "ms").filter(|ms| *ms <= MAX_SLOW_MS);
        let Some(ms) = ms else {
            let text = format!("/slow?ms=N takes 0 to {MAX_SLOW_MS} milliseconds\n");
            return refusal(StatusCode::BAD_REQUEST, &text);
        };
        sleep(Duration::from_millis(ms)).await;
        page(Page::text(format!("{} answers after {ms} ms\n", self.sender)))
    }

    fn events(&self, parts: &http::request::Parts) -> Response<AnyBody> {
        let left = pages::number(parts, "count");
        let ticks = Ticks { every: interval(TICK), left, sender: self.sender.to_string() };
        let mut answer = Response::new(ticks.boxed_unsync());
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
        answer
    }
}

fn page(page: Page) -> Response<AnyBody> {
    let body = Full::from(page.body).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed_unsync());
    let kind = header::HeaderValue::from_static(page.kind);
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

fn refusal(status: StatusCode, text: &str) -> Response<AnyBody> {
    let mut answer = page(Page::text(text.into()));
    *answer.status_mut() = status;
    answer
}

/// What came goes back as it comes, held nowhere.
fn echo(parts: &http::request::Parts, body: Incoming) -> Response<AnyBody> {
    let mut answer = Response::new(body.boxed_unsync());
    if let Some(kind) = parts.headers.get(header::CONTENT_TYPE) {
        answer.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    answer
}

fn now() -> String {
    httpdate::fmt_http_date(SystemTime::now())
}

/// A server-sent event a second: the time, and who tells it.
struct Ticks {
    every: Interval,
    /// How many are still to come; none: they go on for as long as somebody listens.
    left: Option<u64>,
    sender: String,
}

impl Body for Ticks {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.left == Some(0) {
            return Poll::Ready(None);
        }
        ready!(self.every.poll_tick(cx));
        self.left = self.left.map(|left| left - 1);
        let event = format!("event: tick\ndata: {}, says {}\n\n", now(), self.sender);
        Poll::Ready(Some(Ok(Frame::data(event.into()))))
    }
}
