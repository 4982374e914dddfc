//! What a fact is handed: a router with one app, its dyno, and a client's connection.
//!
//! Invariants: the router has one worker, so that a dyno's connection that is kept is the one that
//! the next exchange takes; on kept connections the exchange before asked for `/warm` and left both
//! connections open; nothing else was sent on either.

use serde_json::{Value, json};

use crate::harness::{Answer, Conn, Dyno, End, Router, until};

/// The app's host is `a.test`, in every request.
pub const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
/// A small answer that leaves the dyno's connection open.
pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Answered by the router at once, with 404.
const NO_APPS: &str = "GET / HTTP/1.1\r\nHost: no.test\r\n\r\n";

/// Which connections a fact is shown on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They carry nothing before.
    Fresh,
    /// They carried one whole exchange.
    Kept,
}

/// What differs from the defaults.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Settings of the router, as variables of its environment.
    pub env: Vec<(String, String)>,
    /// What is in the app's object.
    pub app: Option<Value>,
}

impl Setup {
    /// Settings of the router.
    pub fn env(settings: &[(&str, &str)]) -> Setup {
        let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        Setup { env: settings.iter().map(owned).collect(), app: None }
    }

    /// A setting of the router by its name in the settings file.
    pub fn router(name: &str, value: &str) -> Setup {
        let name = format!("HOSTLER_{}", name.to_uppercase().replace('.', "_"));
        Setup::env(&[(&name, value)])
    }

    /// Settings of the app.
    pub fn app(settings: Value) -> Setup {
        Setup { env: Vec::new(), app: Some(json!({"settings": settings})) }
    }
}

/// A router, its one dyno, and a client.
pub struct Case {
    /// The router.
    pub router: Router,
    /// `web.1` of the app `one`.
    pub web: Dyno,
    /// The client's connection.
    pub client: Conn,
    /// Another client, that asks for what no app has.
    aside: Conn,
    /// The dyno's connection that the next exchange will take.
    pub kept: Option<Conn>,
    kind: Kind,
}

impl Case {
    /// With connections of that kind.
    pub fn start(kind: Kind, setup: &Setup) -> Case {
        let mut env = vec![("HOSTLER_WORKERS", "1")];
        env.extend(setup.env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let (router, web) = (Router::with(&env), Dyno::new());
        router.app("one", "a.test", &[&web.addr]);
        if let Some(app) = &setup.app {
            router.write("PUT", "/v1/apps/one", app.clone());
        }
        let (client, aside) = (router.connect(), router.connect());
        let mut case = Case { router, web, client, aside, kept: None, kind };
        case.warm();
        case
    }

    fn warm(&mut self) {
        if self.kind == Kind::Fresh {
            return;
        }
        self.client.send("GET /warm HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let mut dyno = self.dyno();
        let head = dyno.take_request().head;
        assert_eq!(head.line, "GET /warm HTTP/1.1");
        dyno.send(OK);
        assert_eq!(self.client.take_answer().text(), "ok");
        if head.get("connection") == Some("close") {
            dyno.take_end();
        } else {
            self.kept = Some(dyno);
        }
    }

    /// Begins anew with another connection of a client, of the same kind.
    pub fn again(&mut self) {
        self.client = self.router.connect();
        self.warm();
    }

    /// The client sends.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.client.send(bytes);
    }

    /// Waits until the router has read all that was sent: what came before is read when it answers
    /// another client, and acted upon when it does so again.
    pub fn catch_up(&mut self) {
        for _ in 0..2 {
            assert_eq!(self.aside.ask(NO_APPS).status(), 404);
        }
    }

    /// The client sends one part after the other, each read by itself.
    pub fn send_split(&mut self, bytes: &[u8], at: usize) {
        self.client.send(&bytes[..at]);
        self.catch_up();
        // The router may have had enough.
        let _ = self.client.try_send(&bytes[at..]);
    }

    /// The dyno's connection of this exchange: the kept one where there is one, else a new one.
    pub fn dyno(&mut self) -> Conn {
        let Some(kept) = self.kept.take() else { return self.web.accept() };
        until("the dyno hears of it", || kept.has_input() || self.web.has_caller());
        assert!(kept.has_input(), "the connection that was kept is not used");
        kept
    }

    /// The client asks; answers what the dyno got and the dyno's connection.
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> (Answer, Conn) {
        self.client.send(request);
        let mut dyno = self.dyno();
        (dyno.take_request(), dyno)
    }

    /// The client asks, the dyno answers with these bytes; answers the dyno's connection.
    pub fn play(&mut self, request: impl AsRef<[u8]>, answer: impl AsRef<[u8]>) -> Conn {
        let (_, mut dyno) = self.ask(request);
        dyno.send(answer);
        dyno
    }

    /// The client asks and reads the answer, of that length, more slowly than it may, until it is
    /// cut; answers the line of the log.
    pub fn is_cut_for_reading_slowly(&mut self, request: &str, length: usize) -> String {
        self.client = self.router.connect_small();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        let mut dyno = self.play(request, head);
        let sending = std::thread::spawn(move || while dyno.try_send(&[b'x'; 1 << 16]).is_ok() {});
        self.client.take_head();
        until("the router has had enough", || {
            self.client.take_some(600);
            self.router.log.all().iter().any(|line| line.contains("code="))
        });
        let line = self.router.log.wait_for("at=warning code=slow_reader");
        self.client.take_all();
        sending.join().unwrap();
        line
    }

    /// Both connections carry another exchange: both ends were understood.
    pub fn both_go_on(&mut self, dyno: Conn) {
        self.kept = Some(dyno);
        let dyno = self.client_goes_on();
        self.kept = Some(dyno);
    }

    /// The client's connection carries another exchange; answers the dyno's.
    pub fn client_goes_on(&mut self) -> Conn {
        self.client.send("GET /on HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let mut dyno = self.dyno();
        assert_eq!(dyno.take_request().head.line, "GET /on HTTP/1.1");
        dyno.send(OK);
        assert_eq!(self.client.take_answer().text(), "ok");
        dyno
    }

    /// The dyno's connection is kept, and used by the next client.
    pub fn dyno_goes_on(&mut self, dyno: Conn) {
        self.client = self.router.connect();
        self.both_go_on(dyno);
    }

    /// The router is done with the client's connection: what follows is not answered.
    pub fn client_ends(&mut self) -> End {
        // It may be closed already, or be read on so that a client that sends sees its answer.
        let _ = self.client.try_send(NO_APPS.as_bytes());
        let _ = self.client.socket().shutdown(std::net::Shutdown::Write);
        self.client.take_end()
    }

    /// The answer is the router's own: takes it, with that status and fault.
    pub fn is_answered(&mut self, status: u16, fault: &str) -> Answer {
        let answer = self.client.take_answer();
        assert_eq!(answer.verdict(), (status, fault), "{answer:?}");
        answer
    }

    /// The answer is the router's own, says that the connection is closed, and it is.
    pub fn is_refused(&mut self, status: u16, fault: &str) -> Answer {
        let answer = self.is_answered(status, fault);
        assert_eq!(answer.head.get("connection"), Some("close"), "{answer:?}");
        self.client_ends();
        answer
    }

    /// The dyno never heard of what came before: the first that it gets is this.
    pub fn nothing_reached_the_dyno(&mut self) {
        let mut client = self.router.connect();
        client.send("GET /first HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let mut dyno = self.dyno();
        assert_eq!(dyno.take_request().head.line, "GET /first HTTP/1.1");
        dyno.send(OK);
        assert_eq!(client.take_answer().text(), "ok");
        self.kept = Some(dyno);
    }
}
