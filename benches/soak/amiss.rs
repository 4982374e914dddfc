//! Requests that must come to faults: the dyno's doing, the client's, or nobody's host.
//!
//! Invariant: each names its fault by status and code; where two are right, both are named and the
//! log has to have the one that the client saw.

use std::io::Result;

use crate::{
    apps::{FAULTY, NOBODY, SILENT, STEADY},
    client::{AT_ONCE, Client, Upload, code_of, head, take_answer, take_head},
    kinds::MAX_BODY,
    ledger::Outcome,
    wire::{Framing, Summing, wrong},
};

/// Requests that must come to faults.
pub async fn any(client: &mut Client) -> Result<()> {
    match client.random.u8(..13) {
        0 => client.fault("gone", FAULTY, "POST", (503, "H13")).await,
        1 => client.fault("gone", FAULTY, "GET", (503, "H13")).await,
        2 => client.fault("garbage", FAULTY, "GET", (502, "H17")).await,
        3 => client.fault("large", FAULTY, "GET", (502, "H25")).await,
        4 => client.fault("stall", SILENT, "GET", (503, "H12")).await,
        5 => cut(client, FAULTY, "cut", "H18").await,
        6 => cut(client, FAULTY, "broken", "H18").await,
        7 => cut(client, SILENT, "silent", "H15").await,
        8 => client.fault("get", NOBODY, "GET", (404, "unknown_host")).await,
        9 => bad_chunk(client).await,
        10 => bad_header(client).await,
        11 => choke(client).await,
        _ => early(client).await,
    }
}

/// The dyno's answer breaks off, and so does the client's.
async fn cut(
    client: &mut Client,
    host: &str,
    kind: &'static str,
    code: &'static str,
) -> Result<()> {
    let number = client.number();
    let mut conn = client.connection().await?;
    conn.send(head(kind, host, "GET", number, "", None)).await?;
    let head = take_head(&mut conn).await?;
    let status = head.status()?;
    if (status, code_of(&head)?) != (200, "") {
        return Err(wrong(format!("{kind} came to {}", head.line)));
    }
    match conn.body(head.framing(Framing::Close)?, &mut Summing::default()).await {
        Ok(()) => return Err(wrong(format!("a body that was {kind} ended well"))),
        Err(_) => client.enter(kind, number, Outcome { status, code, bytes: None }),
    }
    Ok(())
}

/// A chunk that is none: refused, whatever the dyno has of it already.
async fn bad_chunk(client: &mut Client) -> Result<()> {
    let number = client.number();
    let mut conn = client.connection().await?;
    let chunked = Upload { size: 0, framing: Framing::Chunked, pause: AT_ONCE };
    conn.send(head("post", STEADY, "POST", number, "", Some(&chunked))).await?;
    conn.send("5\r\nhello\r\nno size\r\n").await?;
    let answer = take_answer(&mut conn, false).await?;
    client.enter("bad chunk", number, answer.outcome);
    if (answer.outcome.status, answer.outcome.code, answer.keeps) != (400, "H26", false) {
        return Err(wrong(format!("a bad chunk came to {answer:?}")));
    }
    Ok(())
}

/// The dyno answers and closes before it has read the body.
async fn early(client: &mut Client) -> Result<()> {
    let number = client.number();
    let mut conn = client.connection().await?;
    let upload = Upload { size: MAX_BODY * 8, framing: Framing::Length(0), pause: AT_ONCE };
    conn.send(head("early", STEADY, "POST", number, "", Some(&upload))).await?;
    // The answer may come while the body goes out, and the connection end behind it.
    let sent = conn.send_until_answered(upload.size).await?;
    let answer = take_answer(&mut conn, false).await?;
    client.enter("early", number, answer.outcome);
    let (status, code) = (answer.outcome.status, answer.outcome.code);
    if (status, code, answer.sum.length) != (413, "", 4) || (answer.keeps && sent < upload.size) {
        return Err(wrong(format!("an early answer became {answer:?}")));
    }
    Ok(())
}

/// A head that parses and breaks a rule.
async fn bad_header(client: &mut Client) -> Result<()> {
    let number = client.number();
    let mut conn = client.connection().await?;
    conn.send(format!(
        "POST /get/{number} HTTP/1.1\r\nHost: {STEADY}\r\nContent-Length: 0\r\n\
         Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ))
    .await?;
    let answer = take_answer(&mut conn, false).await?;
    client.enter("bad header", number, answer.outcome);
    if (answer.outcome.status, answer.outcome.code, answer.keeps) != (400, "H26", false) {
        return Err(wrong(format!("a bad header came to {answer:?}")));
    }
    Ok(())
}

/// The dyno goes away in the middle of the upload, without a word.
async fn choke(client: &mut Client) -> Result<()> {
    let number = client.number();
    let mut conn = client.connection().await?;
    let upload = Upload { size: MAX_BODY * 8, framing: Framing::Length(0), pause: AT_ONCE };
    conn.send(head("choke", FAULTY, "POST", number, "", Some(&upload))).await?;
    conn.send_until_answered(upload.size).await?;
    let answer = take_answer(&mut conn, false).await?;
    client.enter("choke", number, answer.outcome);
    match (answer.outcome.status, answer.outcome.code) {
        // Whether its end or its reset is seen first is chance.
        (503, "H13" | "H18") => Ok(()),
        _ => Err(wrong(format!("a choked upload came to {answer:?}"))),
    }
}
