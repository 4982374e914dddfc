//! What clients do: each kind of request, and what it may come to.
//!
//! A kind answers what its client saw, and that goes into the ledger beside the log's word. What
//! must not be, such as a good request that fails or a body that is not what was sent, is an error
//! here already. Invariants: a request is ended by its client in one of the ways that its kind
//! names; a connection is used again exactly where the answer said that it may be.

use std::{cell::Cell, io::Result, net::SocketAddr, rc::Rc, time::Duration};

use tokio::net::TcpStream;

use crate::{
    ledger::{self, Ledger, Outcome},
    wire::{Conn, Framing, Head, PATTERN, Sum, Summing, Take, wrong},
};

/// What the clients share.
pub struct Ground {
    /// Where the router takes traffic.
    pub http: SocketAddr,
    /// What they saw.
    pub ledger: std::sync::Arc<Ledger>,
    /// Time to end.
    pub stopping: Cell<bool>,
}

/// One client: at most one connection at a time, kept where that is possible.
pub struct Client {
    /// What it shares with the others.
    pub ground: Rc<Ground>,
    conn: Option<Conn>,
    /// Its random choices.
    pub random: fastrand::Rng,
}

/// The body of a request.
#[derive(Debug, Clone, Copy)]
pub struct Upload {
    pub size: u64,
    pub framing: Framing,
    pub pause: Duration,
}

/// One answer as its client saw it.
#[derive(Debug)]
pub struct Answer {
    pub outcome: Outcome,
    pub sum: Sum,
    /// May the connection be used again?
    pub keeps: bool,
}

/// Nothing waits between blocks.
pub const AT_ONCE: Duration = Duration::ZERO;

impl Client {
    pub fn new(ground: Rc<Ground>, seed: u64) -> Client {
        Client { ground, conn: None, random: fastrand::Rng::with_seed(seed) }
    }

    /// Its connection, or a new one. Whoever takes it gives it back, if it goes on.
    pub async fn connection(&mut self) -> Result<Conn> {
        match self.conn.take() {
            Some(conn) => Ok(conn),
            None => Conn::new(TcpStream::connect(self.ground.http).await?),
        }
    }

    /// Keeps the connection for the next request.
    pub fn keep(&mut self, conn: Conn) {
        self.conn = Some(conn);
    }

    /// Lets go of the connection, whatever it is in the middle of.
    pub fn forget(&mut self) {
        self.conn = None;
    }

    pub fn number(&self) -> u64 {
        self.ground.ledger.number()
    }

    pub fn enter(&self, kind: &'static str, number: u64, outcome: Outcome) {
        self.ground.ledger.client(kind, number, outcome);
    }

    /// Makes a request that gets a whole answer, whatever it is, and enters it.
    pub async fn ask(
        &mut self,
        kind: &'static str,
        host: &str,
        method: &str,
        rest: &str,
        upload: Option<Upload>,
    ) -> Result<(Answer, Sum)> {
        let number = self.number();
        let mut conn = self.connection().await?;
        conn.send(head(kind, host, method, number, rest, upload.as_ref())).await?;
        let mut sent = Sum { length: 0, crc: 0 };
        if let Some(Upload { size, framing, pause }) = upload {
            sent = conn.send_pattern(size, framing, pause).await?;
            if framing == Framing::Chunked {
                conn.send("0\r\nX-Up: 1\r\n\r\n").await?;
            }
        }
        let answer = take_answer(&mut conn, method == "HEAD").await?;
        self.enter(kind, number, answer.outcome);
        if answer.keeps {
            self.keep(conn);
        }
        Ok((answer, sent))
    }

    /// Asks for what must be answered well.
    pub async fn good(
        &mut self,
        kind: &'static str,
        host: &str,
        method: &str,
        rest: &str,
        upload: Option<Upload>,
    ) -> Result<Sum> {
        let (answer, sent) = self.ask(kind, host, method, rest, upload).await?;
        if !answer.outcome.code.is_empty() || answer.outcome.status >= 400 {
            return Err(wrong(format!("{kind} of {host} came to {}", answer.outcome)));
        }
        match upload {
            // The dyno answers with what it got.
            Some(_) => expect_sum(&answer, sent).map(|()| sent),
            None => Ok(answer.sum),
        }
    }

    /// Asks for what must come to that fault.
    pub async fn fault(
        &mut self,
        kind: &'static str,
        host: &str,
        method: &str,
        fault: (u16, &str),
    ) -> Result<()> {
        let (answer, _) = self.ask(kind, host, method, "", None).await?;
        if (answer.outcome.status, answer.outcome.code) != fault {
            return Err(wrong(format!("{kind} came to {}, not {fault:?}", answer.outcome)));
        }
        Ok(())
    }
}

fn expect_sum(answer: &Answer, sent: Sum) -> Result<()> {
    let text = format!("{} {}", sent.length, sent.crc);
    let mut summing = Summing::default();
    summing.add(text.as_bytes());
    if summing.sum() != answer.sum {
        return Err(wrong(format!("the dyno did not get {sent:?}")));
    }
    Ok(())
}

/// The head of a request.
pub fn head(
    kind: &str,
    host: &str,
    method: &str,
    number: u64,
    rest: &str,
    upload: Option<&Upload>,
) -> String {
    let framing = match upload {
        Some(Upload { size, framing: Framing::Length(_), .. }) => {
            format!("Content-Length: {size}\r\n")
        }
        Some(_) => "Transfer-Encoding: chunked\r\nTrailer: X-Up\r\n".into(),
        None => String::new(),
    };
    format!("{method} /{kind}/{number}{rest} HTTP/1.1\r\nHost: {host}\r\n{framing}\r\n")
}

/// Takes the next head that is no interim one.
pub async fn take_head(conn: &mut Conn) -> Result<Head> {
    loop {
        let head = conn.head().await?.ok_or_else(|| wrong("no answer came".into()))?;
        // 101 is the last of its kind.
        if head.status()? >= 200 || head.status()? == 101 {
            return Ok(head);
        }
    }
}

/// Takes a whole answer.
pub async fn take_answer(conn: &mut Conn, to_head: bool) -> Result<Answer> {
    let head = take_head(conn).await?;
    let status = head.status()?;
    let mut summing = Summing::default();
    let framing = head.framing(Framing::Close)?;
    if !to_head && !matches!(status, 204 | 304) {
        conn.body(framing, &mut summing).await?;
    }
    let sum = summing.sum();
    Ok(Answer {
        outcome: Outcome { status, code: code_of(&head)?, bytes: Some(sum.length) },
        sum,
        keeps: framing != Framing::Close && head.get("connection") != Some("close"),
    })
}

/// The fault that an answer bears.
pub fn code_of(head: &Head) -> Result<&'static str> {
    let text = head.get("hostler-error").unwrap_or_default();
    ledger::code(text).ok_or_else(|| wrong(format!("the fault {text:?}")))
}

/// The checksum of the first bytes of the pattern, repeated.
pub fn pattern_sum(size: u64) -> Sum {
    let mut summing = Summing::default();
    let mut left = size;
    while left > 0 {
        let block = &PATTERN[..usize::try_from(left).unwrap_or(usize::MAX).min(PATTERN.len())];
        summing.add(block);
        left -= block.len() as u64;
    }
    summing.sum()
}
