//! The table of the run, and the requests that fill and change it.
//!
//! Invariant: the traffic's hosts are of apps that the storms change too, as on a platform.

use std::{fmt::Display, net::SocketAddr};

use serde_json::{Value, json};

use crate::{
    failure::{During, Failure},
    http::Conn,
    plan::Plan,
    router::{Router, TOKEN},
};

/// Hosts of an app.
const HOSTS: u32 = 10;
/// Dynos of an app.
pub const DYNOS: u32 = 2;
/// Apps of one transaction while the table is filled: below the bound of ops.
const FILL: u32 = 500;
/// The app whose hosts come and go.
pub const PROBED: &str = "probed";

/// The first host of an app.
pub fn host(app: u32) -> String {
    format!("www0.app-{app}.test")
}

/// Fills the table.
pub fn fill(router: &Router, plan: &Plan, dynos: &[SocketAddr]) -> Result<(), Failure> {
    let mut conn = Conn::new(router.control).during("connecting to the push API")?;
    let put = |path: String, body: Value| json!({"method": "PUT", "path": path, "body": body});
    let dyno = |app: &str, n: u32| {
        let addr = dynos[n as usize % dynos.len()].to_string();
        put(format!("/apps/{app}/dynos/web.{n}"), json!({"addr": addr}))
    };
    let mut ops = vec![put(format!("/apps/{PROBED}"), json!({})), dyno(PROBED, 0)];
    for app in 0..plan.apps {
        let name = format!("app-{app}");
        ops.push(put(format!("/apps/{name}"), json!({})));
        let host = |n| put(format!("/apps/{name}/routes/www{n}.app-{app}.test"), json!({}));
        ops.extend((0..HOSTS).map(host));
        ops.extend((0..DYNOS).map(|n| dyno(&name, n)));
        if (app + 1).is_multiple_of(FILL) || app + 1 == plan.apps {
            let request = push("POST", "/transactions", json!({"ops": std::mem::take(&mut ops)}));
            conn.write(&request).during("filling the table")?;
        }
    }
    Ok(())
}

/// A request of the push API.
pub fn push(method: &str, path: &str, body: impl Display) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!(
        "{method} /v1{path} HTTP/1.1\r\nHost: push.test\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A request of the traffic.
pub fn get(host: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}
