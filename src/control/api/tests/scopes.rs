//! Every path of the push API with every kind of token; and what a token may do once it is through.
//!
//! Invariant: the expected matrix is written out here, apart from the table that it checks, so that
//! a path that opens to more than before shows in two places.

use super::{super::paths::PATHS, *};
use crate::api::TokenBody;

/// The tokens that are tried, beside none at all.
const TOKENS: [&str; 5] = ["read", "push:shop", "push:blog", "push", "admin"];

/// Method and path, and which tokens it lets through: the app is blog.
const MATRIX: &[(&str, &str, &[&str])] = &[
    ("GET", "/v1/apps", READERS),
    ("GET", "/v1/apps/{app}", APP_READERS),
    ("PUT", "/v1/apps/{app}", PUSHERS),
    ("PATCH", "/v1/apps/{app}", PUSHERS),
    ("DELETE", "/v1/apps/{app}", PUSHERS),
    ("GET", "/v1/apps/{app}/routes", APP_READERS),
    ("GET", "/v1/apps/{app}/routes/{host}", APP_READERS),
    ("PUT", "/v1/apps/{app}/routes/{host}", PUSHERS),
    ("PATCH", "/v1/apps/{app}/routes/{host}", PUSHERS),
    ("DELETE", "/v1/apps/{app}/routes/{host}", PUSHERS),
    ("GET", "/v1/apps/{app}/dynos", APP_READERS),
    ("GET", "/v1/apps/{app}/dynos/{name}", APP_READERS),
    ("PUT", "/v1/apps/{app}/dynos/{name}", PUSHERS),
    ("PATCH", "/v1/apps/{app}/dynos/{name}", PUSHERS),
    ("DELETE", "/v1/apps/{app}/dynos/{name}", PUSHERS),
    ("GET", "/v1/apps/{app}/stats", APP_READERS),
    ("GET", "/v1/certs", READERS),
    ("GET", "/v1/certs/{name}", READERS),
    ("PUT", "/v1/certs/{name}", &["push", "admin"]),
    ("DELETE", "/v1/certs/{name}", &["push", "admin"]),
    ("POST", "/v1/transactions", &["push:shop", "push:blog", "push", "admin"]),
    ("GET", "/v1/revision", &TOKENS),
    ("GET", "/v1/history", READERS),
    ("GET", "/v1/table", READERS),
    ("PUT", "/v1/table", &["push", "admin"]),
    ("GET", "/v1/diff", READERS),
    ("GET", "/v1/feed", READERS),
    ("GET", "/v1/routers", READERS),
    ("POST", "/v1/routers/{id}/ack", READERS),
    ("POST", "/v1/explain", READERS),
    ("POST", "/v1/revert", &["push:shop", "push:blog", "push", "admin"]),
    ("GET", "/v1/audit", &["admin"]),
    ("GET", "/v1/tokens", &["admin"]),
    ("POST", "/v1/tokens", &["admin"]),
    ("GET", "/v1/tokens/{name}", &["admin"]),
    ("DELETE", "/v1/tokens/{name}", &["admin"]),
    ("GET", "/v1/openapi.json", &TOKENS),
    ("GET", "/healthz", EVERYBODY),
    ("GET", "/readyz", EVERYBODY),
    ("GET", "/metrics", READERS),
];
const READERS: &[&str] = &["read", "push", "admin"];
const APP_READERS: &[&str] = &["read", "push:blog", "push", "admin"];
const PUSHERS: &[&str] = &["push:blog", "push", "admin"];
const EVERYBODY: &[&str] = &["", "read", "push:shop", "push:blog", "push", "admin"];

/// A token with one scope, named after it, as a header line; the line is empty without a scope.
async fn line_of(api: &Api, scope: &str) -> String {
    if scope.is_empty() {
        return String::new();
    }
    let name = scope.replace(':', "-of-").replace("admin", "admin-2");
    let body = TokenBody { name, scopes: vec![scope.into()], expires_in_s: None };
    let made = api.client.make_token(&body).await.unwrap();
    format!("Authorization: Bearer {}\r\n", made.token)
}

#[test]
fn the_matrix_has_every_path_and_method_of_the_table() {
    let of_table = PATHS
        .iter()
        .flat_map(|row| row.needs.iter().map(|(method, _)| (method.as_str().to_owned(), row.path)));
    let mut of_table: Vec<_> = of_table.collect();
    let mut of_matrix: Vec<_> =
        MATRIX.iter().map(|(m, path, _)| ((*m).to_owned(), *path)).collect();
    of_table.sort();
    of_matrix.sort();
    assert_eq!(of_matrix, of_table);
}

#[tokio::test]
async fn every_path_lets_through_who_has_the_scope_and_nobody_else() {
    let api = start().await;
    let mut lines = vec![("", String::new())];
    for scope in TOKENS {
        lines.push((scope, line_of(&api, scope).await));
    }
    for row in PATHS {
        let path = row.path.replace("{app}", "blog").replace("{host}", "a.test");
        let path = path.replace("{name}", "web.1").replace("{id}", "r1");
        // What it answers has no end.
        let path = path.replace("/v1/feed", "/v1/feed?from=nowhere");
        let is_open =
            |(_, path, all): &(&str, &str, &[&str])| *path == row.path && all.contains(&"");
        let is_open = MATRIX.iter().any(is_open);
        for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "POST"] {
            let same = if method == "HEAD" { "GET" } else { method };
            let known = MATRIX.iter().find(|(m, path, _)| *m == same && *path == row.path);
            for (scope, line) in &lines {
                let headers = format!("{line}Content-Type: application/json\r\n");
                let body = if matches!(method, "PUT" | "PATCH" | "POST") { "{}" } else { "" };
                let answer = api.call_bare(method, &path, &headers, body).await;
                let place = format!("{method} {path} with {scope:?}: {}", answer.body);
                match known {
                    Some((.., allowed)) if allowed.contains(scope) => {
                        assert!(![401, 403, 405].contains(&answer.status), "{place}");
                    }
                    None if is_open || !scope.is_empty() => {
                        assert_eq!(answer.status, 405, "{place}")
                    }
                    _ if scope.is_empty() => assert_eq!(answer.status, 401, "{place}"),
                    _ => assert_eq!(answer.status, 403, "{place}"),
                }
            }
        }
    }
    for (scope, line) in &lines {
        let status = api.call_bare("GET", "/v1/nothing", line, "").await.status;
        assert_eq!(status, if scope.is_empty() { 401 } else { 404 }, "{scope}");
    }
}

#[tokio::test]
async fn who_lacks_a_scope_is_told_which() {
    let api = start().await;
    let (reader, shop) = (line_of(&api, "read").await, line_of(&api, "push:shop").await);
    for (line, method, path, scope) in [
        (&reader, "PUT", "/v1/apps/blog", "push:blog"),
        (&reader, "DELETE", "/v1/apps/b%6Cog/dynos/web.1", "push:blog"),
        (&reader, "PUT", "/v1/apps/Not%20a%22name", "push"),
        (&reader, "POST", "/v1/transactions", "push"),
        (&reader, "GET", "/v1/tokens", "admin"),
        (&shop, "GET", "/v1/apps/blog", "read"),
        (&shop, "GET", "/v1/history", "read"),
    ] {
        let answer = api.call_bare(method, path, line, "").await;
        assert_eq!((answer.status, answer.field().as_str()), (403, "scope"), "{path}");
        assert!(answer.problem().detail.contains(&format!("needs {scope},")), "{}", answer.body);
        let challenge = format!("error=\"insufficient_scope\", scope=\"{scope}\"");
        assert!(answer.head.contains(&challenge), "{}", answer.head);
    }
}

#[tokio::test]
async fn who_calls_too_often_is_told_to_wait_and_the_admin_never() {
    let api = start_with(Settings { rate: 5, ..Settings::default() }).await;
    let (one, other) = (line_of(&api, "read").await, line_of(&api, "push").await);
    let mut refused = None;
    for _ in 0..200 {
        let answer = api.call_bare("GET", "/v1/revision", &one, "").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("200 calls take less than 40 s");
    assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
    assert!(refused.problem().detail.contains("push.rate"));
    assert_eq!(api.call_bare("GET", "/v1/revision", &other, "").await.status, 200);
    for _ in 0..20 {
        assert_eq!(api.json("GET", "/v1/revision", "").await.status, 200);
    }
}

#[tokio::test]
async fn a_token_that_is_revoked_while_its_body_comes_writes_nothing() {
    let api = start().await;
    let line = line_of(&api, "push").await;
    let mut stream = TcpStream::connect(api.addr).await.unwrap();
    let head = format!(
        "PUT /v1/apps/blog HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{line}\
         Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // Asked for, the body: so the call is through the gate.
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    api.client.revoke_token("push").await.unwrap();
    stream.write_all(b"{}").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(api.revision().await, 0);
}
