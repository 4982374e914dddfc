//! Hostler as one of the rivals: started from the environment alone, as on any platform, and its
//! table and certificate pushed through the push API.
//!
//! Invariants: nothing of the caller's environment that Hostler reads reaches it; it counts as
//! started once `/readyz` says so and all of that is pushed.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::ask::ask;
use crate::child::{Child, Place};
use crate::failure::{During, Failure};
use crate::proxies::{APPS, Doors, Ground, START, UNEVEN, free_address};

/// Known to this run only.
const TOKEN: &str = "versus-admin-token-0123456789";

/// Starts `serve` with one worker and pushes apps, routes and dynos.
pub fn start(
    place: &Place<'_>,
    program: &Path,
    doors: &Doors,
    ground: &Ground,
    log: &Path,
) -> Result<Child, Failure> {
    let control = free_address()?;
    let environment = |command: &mut Command| {
        for (name, _) in std::env::vars_os() {
            let ours = name.to_str().is_some_and(|name| name.starts_with("HOSTLER_"));
            if ours || name == "PORT" {
                command.env_remove(name);
            }
        }
        command
            .env("HOSTLER_HTTP_LISTEN", doors.plain.to_string())
            .env("HOSTLER_HTTP_H2C", "true")
            .env("HOSTLER_HTTPS_LISTEN", doors.tls.to_string())
            .env("HOSTLER_CONTROL_LISTEN", control.to_string())
            .env("HOSTLER_DATA_DIR", place.dir.join("data"))
            .env("HOSTLER_WORKERS", "1")
            .env("HOSTLER_ADMIN_TOKEN", TOKEN)
            .env("HOSTLER_ACCESS_LOG", "logfmt");
    };
    let arguments = ["serve".to_owned()];
    let mut child = Child::program("hostler", place, log, environment, program, &arguments)?;
    let ready = format!("GET /readyz HTTP/1.1\r\nHost: {control}\r\nConnection: close\r\n\r\n");
    child.wait_until(START, || ask(control, &ready).is_ok_and(|asked| asked.status == 200))?;
    for app in APPS {
        push_app(&child, control, app, &ground.dynos)?;
    }
    push_app(&child, control, UNEVEN, &ground.uneven)?;
    let read = |path| std::fs::read_to_string(path).during("the certificate");
    let (chain, key) = (read(&ground.certificate.chain)?, read(&ground.certificate.key)?);
    let certificate = serde_json::json!({ "chain": chain, "key": key }).to_string();
    put(&child, control, "certs/bench", &certificate)?;
    Ok(child)
}

fn push_app(
    child: &Child,
    control: SocketAddr,
    (app, host): (&str, &str),
    dynos: &[SocketAddr],
) -> Result<(), Failure> {
    put(child, control, &format!("apps/{app}"), "{}")?;
    put(child, control, &format!("apps/{app}/routes/{host}"), "{}")?;
    for (index, dyno) in dynos.iter().enumerate() {
        let path = format!("apps/{app}/dynos/web.{}", index + 1);
        put(child, control, &path, &format!("{{\"addr\":\"{dyno}\"}}"))?;
    }
    Ok(())
}

fn put(child: &Child, control: SocketAddr, path: &str, body: &str) -> Result<(), Failure> {
    let length = body.len();
    let request = format!(
        "PUT /v1/{path} HTTP/1.1\r\nHost: {control}\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    let asked = ask(control, &request)?;
    let status = asked.status;
    if (200..300).contains(&status) {
        return Ok(());
    }
    let answer = String::from_utf8_lossy(&asked.body);
    Err(child.failure(&format!("PUT /v1/{path} is answered with {status}: {answer}")))
}
