//! Clients that leave, at every stage of an exchange, in order or by a reset.
//!
//! Invariant: the dyno of each kind waits for the end of its connection, so that the router can
//! come to nothing but H27, and a router that does not notice is found out by the missing line.

use std::{io::Result, time::Duration};

use crate::{
    apps::{BOOTING, STEADY},
    client::{AT_ONCE, Client, Upload, head, take_head},
    kinds::open_tunnel,
    ledger::Outcome,
    wire::{Conn, Framing, Summing, wrong},
};

/// How much of an endless answer is read before leaving, in bytes.
const SOME: u64 = 1 << 20;

/// After so long an upload to a dyno that does not read is stuck.
const STUCK: Duration = Duration::from_millis(100);

/// What stands in the log of a client that left before any answer.
const LEFT: Outcome = Outcome { status: 499, code: "H27", bytes: None };

/// Leaves at some stage.
pub async fn any(client: &mut Client) -> Result<()> {
    match client.random.u8(..7) {
        0 => in_the_head(client).await,
        1 => waiting(client, "hold", STEADY, "left waiting").await,
        2 => waiting(client, "get", BOOTING, "left seeking").await,
        3 => in_the_upload(client).await,
        4 => while_nobody_reads(client).await,
        5 => in_the_answer(client).await,
        _ => in_a_tunnel(client).await,
    }
}

/// So that it leaves while the router reads, dials, or waits.
async fn pause(client: &mut Client) {
    tokio::time::sleep(Duration::from_millis(client.random.u64(..60))).await;
}

/// Ends the connection, in one way or the other.
async fn end(client: &mut Client, conn: Conn) -> Result<()> {
    if client.random.bool() { conn.reset() } else { Ok(()) }
}

async fn in_the_head(client: &mut Client) -> Result<()> {
    let mut conn = client.connection().await?;
    conn.send(format!("GET /left HTTP/1.1\r\nHost: {STEADY}\r\nX-Unfinished:")).await?;
    drop(conn);
    client.ground.ledger.stray("left in head", "H27");
    Ok(())
}

/// While the dyno works, or while there is none yet.
async fn waiting(
    client: &mut Client,
    kind: &'static str,
    host: &str,
    name: &'static str,
) -> Result<()> {
    let number = client.number();
    let mut conn = client.connection().await?;
    conn.send(head(kind, host, "GET", number, "", None)).await?;
    pause(client).await;
    end(client, conn).await?;
    client.enter(name, number, LEFT);
    Ok(())
}

async fn in_the_upload(client: &mut Client) -> Result<()> {
    let number = client.number();
    let mut conn = client.connection().await?;
    let upload = Upload { size: SOME, framing: Framing::Length(SOME), pause: AT_ONCE };
    conn.send(head("post", STEADY, "POST", number, "", Some(&upload))).await?;
    let part = client.random.u64(..SOME);
    conn.send_pattern(part, Framing::Length(part), AT_ONCE).await?;
    pause(client).await;
    end(client, conn).await?;
    client.enter("left uploading", number, LEFT);
    Ok(())
}

/// The dyno takes nothing of the body, so that nothing moves any more.
async fn while_nobody_reads(client: &mut Client) -> Result<()> {
    let number = client.number();
    let mut conn = client.connection().await?;
    let size = 1 << 30;
    let upload = Upload { size, framing: Framing::Length(size), pause: AT_ONCE };
    conn.send(head("deaf", STEADY, "POST", number, "", Some(&upload))).await?;
    let sending = conn.send_pattern(size, Framing::Length(size), AT_ONCE);
    if tokio::time::timeout(STUCK, sending).await.is_ok() {
        return Err(wrong("1 GiB went to a dyno that reads nothing".into()));
    }
    // An end in order would wait behind the bytes that its side could not send yet.
    conn.reset()?;
    client.enter("left blocked", number, LEFT);
    Ok(())
}

async fn in_the_answer(client: &mut Client) -> Result<()> {
    let number = client.number();
    let mut conn = client.connection().await?;
    conn.send(head("endless", STEADY, "GET", number, "", None)).await?;
    let status = take_head(&mut conn).await?.status()?;
    if status != 200 {
        return Err(wrong(format!("an endless answer came to {status}")));
    }
    let part = client.random.u64(..SOME);
    conn.body(Framing::Length(part), &mut Summing::default()).await?;
    end(client, conn).await?;
    client.enter("left reading", number, Outcome { status, ..LEFT });
    Ok(())
}

async fn in_a_tunnel(client: &mut Client) -> Result<()> {
    let number = client.number();
    let mut conn = open_tunnel(client, number).await?;
    conn.send("on my way").await?;
    conn.fill().await?;
    conn.reset()?;
    client.enter("left a tunnel", number, Outcome { status: 101, ..LEFT });
    Ok(())
}
