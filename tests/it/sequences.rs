//! Any sequence of requests and answers, sent in any pieces: both sides receive what a simple model
//! says, and each connection carries another exchange exactly when it may.
//!
//! `SEQUENCES_COUNT` says how many are tried, `SEQUENCES_SEED` with which the first is drawn (the
//! next with the number after it). Invariants: one router carries all of them, each an app of its
//! own, so that any can be repeated alone; both sides are played in turn by one thread, so that
//! what is sent when does not depend on who is faster.

mod model;
mod plan;

use std::{collections::BTreeMap, env, thread};

use fastrand::Rng;

use self::plan::{Body, Exchange, Pace};
use crate::harness::{Conn, Dyno, End, Router};

/// Sequences in the test command.
const SEQUENCES: u64 = 100;
/// So often at most a sender gives way within one message, so that a piece may be read alone.
const MOST_TURNS: usize = 8;

#[test]
fn any_sequence_in_any_pieces_is_carried_as_the_model_says() {
    let router = Router::with(&[("HOSTLER_WORKERS", "1"), ("HOSTLER_PUSH_SHRINK_SHARE", "100")]);
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let count = number("SEQUENCES_COUNT").unwrap_or(SEQUENCES);
    let first = number("SEQUENCES_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    let (mut met, mut kept) = (BTreeMap::new(), Vec::new());
    for seed in first..first + count {
        let _shown = Shown(seed);
        kept.extend(Sequence::start(&router, seed).run(&mut met).map(|conn| (seed, conn)));
    }
    for (seed, mut conn) in kept {
        // It carried nothing more, and ended with its app.
        let _shown = Shown(seed);
        assert_eq!(conn.take_end(), End::Closed);
    }
    if count >= SEQUENCES {
        // What is never drawn is never shown.
        for what in KINDS {
            assert!(met.contains_key(what), "no exchange {what}, of those drawn: {met:?}");
        }
    }
}

/// A close with unread input is a reset, which takes with it what the client has not read yet (RFC
/// 9112, section 9.6): the router reads on for a while instead.
#[test]
fn what_is_sent_behind_the_last_request_does_not_cost_its_answer() {
    let (router, dyno) = (Router::start(), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    let mut client = router.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    let mut conn = dyno.accept();
    conn.take_request();
    // More than the router reads ahead.
    client.send([b'\n'; 100_000]);
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    conn.send([b'x'; 1_000_000]);
    router.log.wait_for("status=200");
    assert_eq!(client.take_answer().body.len(), 1_000_000);
    assert_eq!(client.take_end(), End::Closed);
}

/// What must have come up in so many sequences.
const KINDS: [&str; 12] = [
    "on a kept connection of the client",
    "on a kept connection of the dyno",
    "behind which the client's connection ends",
    "behind which the dyno's connection ends",
    "that was pipelined",
    "with a request behind it that may not be",
    "invited by a 100",
    "whose answer overtakes it",
    "chunked up",
    "chunked down",
    "until the end",
    "with interim answers",
];

/// Says how to repeat the sequence that failed.
struct Shown(u64);

impl Drop for Shown {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("repeat it: SEQUENCES_SEED={} SEQUENCES_COUNT=1", self.0);
        }
    }
}

/// Says which exchange failed: both sides as they were to be sent, less what is long.
struct Carried<'a>(&'a Exchange);

impl Drop for Carried<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let show = |bytes: &[u8]| bytes[..bytes.len().min(1500)].escape_ascii().to_string();
            let (head, body) = self.0.request.wire();
            eprintln!("the request, {:?}: {}", self.0.request.pace, show(&[head, body].concat()));
            eprintln!("the answer: {}", show(&self.0.answer.wire()));
        }
    }
}

struct Sequence<'a> {
    router: &'a Router,
    random: Rng,
    app: String,
    dyno: Dyno,
    exchanges: Vec<Exchange>,
    /// The client's connection, if it may carry another request.
    client: Option<Conn>,
    /// The dyno's.
    kept: Option<Conn>,
    /// What the last request that was sent holds back of its body.
    held: Vec<u8>,
}

impl Sequence<'_> {
    fn start(router: &Router, seed: u64) -> Sequence<'_> {
        let mut random = Rng::with_seed(seed);
        let (app, dyno) = (format!("s{seed}"), Dyno::new());
        let host = format!("{app}.test");
        router.app(&app, &host, &[&dyno.addr]);
        let exchanges = plan::sequence(&mut random, &host);
        Sequence {
            router,
            random,
            app,
            dyno,
            exchanges,
            client: None,
            kept: None,
            held: Vec::new(),
        }
    }

    /// Carries all of it; answers the dyno's connection that is kept, if one is.
    fn run(mut self, met: &mut BTreeMap<&'static str, usize>) -> Option<Conn> {
        let exchanges = std::mem::take(&mut self.exchanges);
        let mut rest = exchanges.as_slice();
        while !rest.is_empty() {
            let (batch, behind) = rest.split_at(batch(rest));
            for (at, exchange) in batch.iter().enumerate() {
                note(exchange, at > 0, self.client.is_some() || at > 0, self.kept.is_some(), met);
                let unsent = if at == 0 { batch } else { &[] };
                self.carry(exchange, unsent);
            }
            rest = behind;
        }
        assert!(self.dyno.is_idle(), "a connection that nobody needs");
        let stray = self.client.is_some_and(|client| client.has_input());
        assert!(!stray, "bytes behind the last answer");
        self.router.delete(&format!("/v1/apps/{}", self.app));
        self.kept
    }

    /// One exchange, before which all of the `unsent` ones are sent.
    fn carry(&mut self, exchange: &Exchange, unsent: &[Exchange]) {
        let _carried = Carried(exchange);
        let mut client = self.client.take().unwrap_or_else(|| self.router.connect());
        self.send_requests(&mut client, unsent);
        let request = model::to_dyno(&exchange.request, self.router.http);
        let mut conn = self.kept.take().unwrap_or_else(|| self.dyno.accept());
        request.check(&conn.take_head());
        if exchange.request.pace == Pace::Invited {
            model::continue_100().check(&client.take_head());
            let held = std::mem::take(&mut self.held);
            self.send_in_pieces(&mut client, &held);
        }
        let missing = if exchange.request.pace == Pace::Overtaken { 1 } else { 0 };
        let whole = request.body.len() - missing_of(exchange, &request.body, missing);
        same(&conn.take(whole), &request.body[..whole]);

        let wire = exchange.answer.wire();
        self.send_in_pieces(&mut conn, &wire);
        if matches!(exchange.answer.body, Body::UntilClose(_)) {
            conn.shut_write();
        }
        self.take_answer(&mut client, exchange);
        if model::dyno_goes_on(exchange) {
            self.kept = Some(conn);
        } else {
            conn.take_end();
        }
        if model::client_goes_on(exchange) {
            self.client = Some(client);
        } else {
            assert_eq!(client.take_end(), End::Closed);
        }
    }

    /// Sends requests in one go, but for what the last one holds back.
    fn send_requests(&mut self, client: &mut Conn, requests: &[Exchange]) {
        let mut out = Vec::new();
        for exchange in requests {
            let (head, mut body) = exchange.request.wire();
            out.extend(head);
            match exchange.request.pace {
                Pace::AtOnce => {}
                Pace::Invited => self.held = std::mem::take(&mut body),
                Pace::Overtaken => self.held = body.split_off(body.len() - 1),
            }
            out.extend(body);
            if oversends(exchange) {
                out.extend(b"GET /never HTTP/1.1\r\nHost: never.test\r\n\r\n");
            }
        }
        self.send_in_pieces(client, &out);
    }

    fn take_answer(&mut self, client: &mut Conn, exchange: &Exchange) {
        for interim in model::interim(exchange) {
            interim.check(&client.take_head());
        }
        let answer = model::to_client(exchange);
        answer.check(&client.take_head());
        same(&client.take(answer.body.len()), &answer.body);
    }

    /// Sends all of it, now in one piece, now byte by byte, mostly in some pieces.
    fn send_in_pieces(&mut self, conn: &mut Conn, bytes: &[u8]) {
        let most = match self.random.u8(..10) {
            0..4 => bytes.len(),
            4 => 1 + bytes.len() / 200,
            _ => 1 + bytes.len() / 3,
        };
        let (mut rest, mut turns) = (bytes, MOST_TURNS);
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(self.random.usize(1..=most.min(rest.len())));
            conn.send(piece);
            rest = behind;
            if turns > 0 && self.random.bool() {
                turns -= 1;
                thread::yield_now();
            }
        }
    }
}

/// How many of the exchanges are sent before an answer is waited for.
fn batch(rest: &[Exchange]) -> usize {
    let is_followed = |exchange: &&Exchange| {
        exchange.pipelines
            && exchange.request.pace == Pace::AtOnce
            && model::client_goes_on(exchange)
    };
    (rest.iter().take_while(is_followed).count() + 1).min(rest.len())
}

/// Does the client send a request behind one that none may follow?
fn oversends(exchange: &Exchange) -> bool {
    exchange.oversends && exchange.request.pace == Pace::AtOnce && !model::client_goes_on(exchange)
}

/// How many bytes of a body never come to the dyno if the last `missing` ones are not sent.
fn missing_of(exchange: &Exchange, body: &[u8], missing: usize) -> usize {
    match &exchange.request.body {
        // The trailer section goes on once it is whole.
        Body::Chunked(_) if missing > 0 => {
            body.len() - (body.windows(3).rposition(|w| w == b"0\r\n").unwrap_or_default() + 3)
        }
        _ => missing,
    }
}

/// Panics unless the bytes are equal; shows where they part.
fn same(received: &[u8], expected: &[u8]) {
    let parts = received.iter().zip(expected).position(|(one, other)| one != other);
    if let Some(at) = parts {
        let show = |bytes: &[u8]| {
            let around = at.saturating_sub(80)..bytes.len().min(at + 80);
            bytes[around].escape_ascii().to_string()
        };
        assert_eq!(show(received), show(expected), "from byte {at} on");
    }
    assert_eq!(received.len(), expected.len());
}

fn note(
    exchange: &Exchange,
    pipelined: bool,
    on_kept_client: bool,
    on_kept_dyno: bool,
    met: &mut BTreeMap<&'static str, usize>,
) {
    let (request, answer) = (&exchange.request, &exchange.answer);
    let holds = [
        on_kept_client,
        on_kept_dyno,
        !model::client_goes_on(exchange),
        !model::dyno_goes_on(exchange),
        pipelined,
        oversends(exchange),
        request.pace == Pace::Invited,
        request.pace == Pace::Overtaken,
        matches!(request.body, Body::Chunked(_)),
        matches!(answer.body, Body::Chunked(_)),
        matches!(answer.body, Body::UntilClose(_)),
        !answer.interim.is_empty(),
    ];
    for (kind, _) in KINDS.iter().zip(holds).filter(|(_, holds)| *holds) {
        *met.entry(*kind).or_default() += 1;
    }
}
