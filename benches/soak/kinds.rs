//! The kinds of requests, how often each is made, and what it must come to.
//!
//! Invariants: every kind names exactly what may become of it; the apps that it asks are those of
//! `apps`, and only `mortal`, `door` and the routes that come and go may answer in two ways.

use std::{io::Result, time::Duration};

use tokio::io::AsyncWriteExt;

use crate::{
    amiss,
    apps::{CHURN, DOOR, HALF, MORTAL, STEADY},
    client::{AT_ONCE, Client, Upload, head, pattern_sum, take_answer, take_head},
    leave,
    ledger::Outcome,
    wire::{Conn, Framing, wrong},
};

/// The largest body either way, in bytes; most are far smaller.
pub const MAX_BODY: u64 = 2 << 20;
/// The most requests in one write.
const MAX_PIPELINED: u64 = 8;
/// Between the blocks of a slow side.
const SLOW: Duration = Duration::from_millis(10);

/// Makes one request, or a few that belong together, of a kind that chance chooses.
pub async fn any(client: &mut Client) -> Result<()> {
    match client.random.u8(..100) {
        0..15 => client.good("get", STEADY, "GET", "", None).await.map(drop),
        15..23 => upload(client, STEADY, AT_ONCE).await,
        23..31 => download(client).await,
        31..35 => pipeline(client).await,
        35..38 => client.good("head", STEADY, "HEAD", "", None).await.map(drop),
        38..40 => client.good("none", STEADY, "GET", "", None).await.map(drop),
        40..42 => client.good("same", STEADY, "GET", "", None).await.map(drop),
        42..44 => client.good("hint", STEADY, "GET", "", None).await.map(drop),
        44..47 => expect(client).await,
        47..49 => slow(client).await,
        49..52 => tunnel(client).await,
        52 => match client.random.bool() {
            true => old(client).await,
            false => half(client).await,
        },
        53..67 => client.good("get", CHURN, "GET", "", None).await.map(drop),
        67..70 => upload(client, CHURN, AT_ONCE).await,
        70..78 => client.good("get", MORTAL, "GET", "", None).await.map(drop),
        78..80 => mortal_post(client).await,
        80..83 => route(client).await,
        83..85 => door(client).await,
        85..93 => amiss::any(client).await,
        _ => leave::any(client).await,
    }
}

fn size(client: &mut Client) -> u64 {
    // Small ones, and now and then one that does not fit any buffer.
    match client.random.u8(..20) {
        0 => client.random.u64(..MAX_BODY),
        1..5 => client.random.u64(..100_000),
        _ => client.random.u64(..2000),
    }
}

fn framing(client: &mut Client, size: u64) -> Framing {
    if client.random.bool() { Framing::Length(size) } else { Framing::Chunked }
}

async fn upload(client: &mut Client, host: &str, pause: Duration) -> Result<()> {
    let size = size(client);
    let upload = Upload { size, framing: framing(client, size), pause };
    client.good("post", host, "POST", "", Some(upload)).await.map(drop)
}

async fn download(client: &mut Client) -> Result<()> {
    let size = size(client);
    let kind = *client.random.choice(&["length", "chunks", "close"]).expect("there are three");
    let sum = client.good(kind, STEADY, "GET", &format!("/{size}"), None).await?;
    if sum != pattern_sum(size) {
        return Err(wrong(format!("{kind} of {size} bytes became {sum:?}")));
    }
    Ok(())
}

/// Several requests in one write, answered in order.
async fn pipeline(client: &mut Client) -> Result<()> {
    let count = client.random.u64(2..=MAX_PIPELINED);
    let numbers: Vec<u64> = (0..count).map(|_| client.number()).collect();
    let heads = numbers.iter().map(|number| head("get", STEADY, "GET", *number, "", None));
    let mut conn = client.connection().await?;
    conn.send(heads.collect::<String>()).await?;
    for number in numbers {
        let answer = take_answer(&mut conn, false).await?;
        client.enter("get", number, answer.outcome);
        // The small answer is the path.
        let length = format!("/get/{number}").len() as u64;
        if (answer.outcome.status, answer.sum.length, answer.keeps) != (200, length, true) {
            return Err(wrong(format!("pipelined {number} came to {answer:?}")));
        }
    }
    client.keep(conn);
    Ok(())
}

/// The body waits for the 100.
async fn expect(client: &mut Client) -> Result<()> {
    let (number, size) = (client.number(), size(client));
    let mut conn = client.connection().await?;
    conn.send(format!(
        "POST /expect/{number} HTTP/1.1\r\nHost: {STEADY}\r\nExpect: 100-continue\r\n\
         Content-Length: {size}\r\n\r\n"
    ))
    .await?;
    // Who sends no byte of body need not be told to.
    if size > 0 {
        let interim = conn.head().await?.ok_or_else(|| wrong("no 100 came".into()))?;
        if interim.status()? != 100 {
            return Err(wrong(format!("{} instead of a 100", interim.line)));
        }
    }
    conn.send_pattern(size, Framing::Length(size), AT_ONCE).await?;
    let answer = take_answer(&mut conn, false).await?;
    client.enter("expect", number, answer.outcome);
    if answer.outcome.status != 200 {
        return Err(wrong(format!("an expected upload came to {}", answer.outcome)));
    }
    client.keep(conn);
    Ok(())
}

/// One side is slow: the client sending or reading, or the dyno.
async fn slow(client: &mut Client) -> Result<()> {
    let size = client.random.u64(300_000..1_000_000);
    match client.random.u8(..4) {
        0 => {
            let number = client.number();
            let mut conn = client.connection().await?;
            for piece in head("get", STEADY, "GET", number, "", None).as_bytes().chunks(7) {
                conn.send(piece).await?;
                tokio::time::sleep(SLOW).await;
            }
            let answer = take_answer(&mut conn, false).await?;
            client.enter("slowhead", number, answer.outcome);
            client.keep(conn);
            if answer.outcome.status == 200 { Ok(()) } else { Err(wrong(format!("{answer:?}"))) }
        }
        1 => {
            let upload = Upload { size, framing: framing(client, size), pause: SLOW };
            client.good("slowpost", STEADY, "POST", "", Some(upload)).await.map(drop)
        }
        2 => {
            let sum = client.good("slowdyno", STEADY, "GET", &format!("/{size}"), None).await?;
            if sum == pattern_sum(size) { Ok(()) } else { Err(wrong("a slow body changed".into())) }
        }
        _ => {
            let number = client.number();
            let mut conn = client.connection().await?;
            let size = MAX_BODY * 4;
            let rest = format!("/{size}");
            conn.send(head("slowread", STEADY, "GET", number, &rest, None)).await?;
            // All buffers on the way fill meanwhile.
            tokio::time::sleep(SLOW * 30).await;
            let answer = take_answer(&mut conn, false).await?;
            client.enter("slowread", number, answer.outcome);
            client.keep(conn);
            let whole = answer.sum == pattern_sum(size);
            if whole { Ok(()) } else { Err(wrong(format!("a slow reader got {answer:?}"))) }
        }
    }
}

/// HTTP/1.0, where chunks become a body that ends with the connection.
async fn old(client: &mut Client) -> Result<()> {
    let (number, size) = (client.number(), size(client));
    let mut conn = client.connection().await?;
    conn.send(format!("GET /chunks/{number}/{size} HTTP/1.0\r\nHost: {STEADY}\r\n\r\n")).await?;
    let answer = take_answer(&mut conn, false).await?;
    client.enter("old", number, answer.outcome);
    if (answer.sum, answer.keeps) != (pattern_sum(size), false) {
        return Err(wrong(format!("{size} bytes for HTTP/1.0 became {answer:?}")));
    }
    Ok(())
}

/// The client ends its side behind its request, which here is not leaving.
async fn half(client: &mut Client) -> Result<()> {
    let number = client.number();
    let mut conn = client.connection().await?;
    conn.send(head("get", HALF, "GET", number, "", None)).await?;
    conn.stream.shutdown().await?;
    let answer = take_answer(&mut conn, false).await?;
    conn.until_gone().await;
    client.enter("half", number, answer.outcome);
    let is_good = answer.outcome.status == 200;
    if is_good { Ok(()) } else { Err(wrong(format!("half a connection came to {answer:?}"))) }
}

/// Asks for a tunnel; answers its connection.
pub async fn open_tunnel(client: &mut Client, number: u64) -> Result<Conn> {
    let mut conn = client.connection().await?;
    conn.send(format!(
        "GET /tunnel/{number} HTTP/1.1\r\nHost: {STEADY}\r\nUpgrade: soak\r\n\
         Connection: upgrade\r\n\r\n"
    ))
    .await?;
    let head = take_head(&mut conn).await?;
    if head.status()? != 101 {
        return Err(wrong(format!("{} instead of a tunnel", head.line)));
    }
    Ok(conn)
}

/// To and fro, and then the client ends it in order, or the dyno breaks it.
async fn tunnel(client: &mut Client) -> Result<()> {
    let number = client.number();
    let mut conn = open_tunnel(client, number).await?;
    let mut bytes = 0;
    for turn in 0..client.random.u64(1..5) {
        let text = format!("turn {turn} ").repeat(client.random.usize(1..500));
        conn.send(&text).await?;
        let mut got = Vec::new();
        while got.len() < text.len() {
            if !conn.fill().await? {
                return Err(wrong("a tunnel ended early".into()));
            }
            got.extend(conn.take_buffered());
        }
        if got != text.as_bytes() {
            return Err(wrong("a tunnel changed what went through it".into()));
        }
        bytes += text.len() as u64;
    }
    let code = match client.random.u8(..4) {
        0 => {
            conn.send("break").await?;
            conn.until_gone().await;
            "H18"
        }
        _ => {
            conn.stream.shutdown().await?;
            conn.until_gone().await;
            ""
        }
    };
    client.enter("tunnel", number, Outcome { status: 101, code, bytes: Some(bytes) });
    Ok(())
}

/// A POST to a dyno that may die over it: then it is not made twice, and fails.
async fn mortal_post(client: &mut Client) -> Result<()> {
    let size = size(client) % 10_000;
    let upload = Upload { size, framing: Framing::Length(size), pause: AT_ONCE };
    let (answer, _) = client.ask("post", MORTAL, "POST", "", Some(upload)).await?;
    match (answer.outcome.status, answer.outcome.code) {
        (200, "") | (503, "H13" | "H18") => Ok(()),
        _ => Err(wrong(format!("a POST to a dyno that dies came to {}", answer.outcome))),
    }
}

/// A route that comes and goes.
async fn route(client: &mut Client) -> Result<()> {
    let host = format!("r{}.{CHURN}", client.random.u8(..4));
    let (answer, _) = client.ask("get", &host, "GET", "", None).await?;
    match (answer.outcome.status, answer.outcome.code) {
        (200, "") | (404, "unknown_host") => Ok(()),
        _ => Err(wrong(format!("{host} came to {}", answer.outcome))),
    }
}

/// An app whose maintenance comes and goes.
async fn door(client: &mut Client) -> Result<()> {
    let (answer, _) = client.ask("get", DOOR, "GET", "", None).await?;
    match (answer.outcome.status, answer.outcome.code) {
        (200, "") | (503, "H80") => Ok(()),
        _ => Err(wrong(format!("{DOOR} came to {}", answer.outcome))),
    }
}
