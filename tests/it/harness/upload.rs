//! Whole tables as they are uploaded, by hand.
//!
//! Invariant: every byte of an upload is the test's.

use serde_json::{Value, json};

use super::{Conn, Router, push::Reply, router::TOKEN};

/// The head of an upload, up to the empty line; it closes the connection behind it.
pub fn head(query: &str, lines: &str, length: usize) -> String {
    format!(
        "PUT /v1/table{query} HTTP/1.1\r\nHost: hub.test\r\nConnection: close\r\n\
         Authorization: Bearer {TOKEN}\r\nContent-Type: application/x-ndjson\r\n{lines}\
         Content-Length: {length}\r\n\r\n"
    )
}

/// The answer to an upload.
pub fn answer(mut conn: Conn) -> Reply {
    let answer = conn.take_answer();
    let json = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    Reply { answer, json }
}

/// An upload with a query and header lines of the test's own.
pub fn put_with(router: &Router, query: &str, lines: &str, table: &str) -> Reply {
    let mut conn = router.connect_control();
    conn.send(head(query, lines, table.len()) + table);
    answer(conn)
}

/// An upload.
pub fn put(router: &Router, table: &str) -> Reply {
    put_with(router, "", "", table)
}

/// An upload that must be accepted: what came, changed and went.
pub fn counts(router: &Router, table: &str) -> [u64; 3] {
    let reply = put(router, table);
    assert_eq!(reply.status(), 200, "{reply:?}");
    let counts = &reply.json["counts"];
    ["added", "changed", "removed"].map(|field| counts[field].as_u64().unwrap())
}

/// The line and field of each mistake of a refusal.
pub fn mistakes(reply: &Reply) -> Vec<(u64, String)> {
    let errors = reply.json["errors"].as_array().unwrap_or_else(|| panic!("{reply:?}"));
    let one = |error: &Value| {
        let line = error["line"].as_u64().unwrap_or_else(|| panic!("{reply:?}"));
        (line, error["field"].as_str().unwrap().to_owned())
    };
    errors.iter().map(one).collect()
}

/// The line of an object.
pub fn line(kind: &str, mut fields: Value) -> String {
    fields["v"] = json!(1);
    fields["kind"] = json!(kind);
    fields.to_string() + "\n"
}

/// A table of many routes, ten an app, with two dynos each, all at `port` and on.
pub fn table_of(routes: usize, port: usize) -> String {
    let mut table = line("table", json!({}));
    for app in (0..routes / 10).map(|app| format!("app-{app}")) {
        table += &line("app", json!({"name": app}));
        for n in 0..2 {
            let addr = format!("10.0.0.{n}:{port}");
            table += &line("dyno", json!({"app": app, "name": format!("web.{n}"), "addr": addr}));
        }
        for n in 0..10 {
            table += &line("route", json!({"app": app, "host": format!("h{n}.{app}.test")}));
        }
    }
    table
}
