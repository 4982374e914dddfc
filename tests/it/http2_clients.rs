//! Real clients by HTTP/2, beside those of `software`, `lasting` and `grpc`: httpx inside TLS, and
//! h2load with many streams on few connections.
//!
//! Invariant: none of them is taken for a flood.

use std::process::Command;

use crate::harness::{
    Named, Program, Router, Tls,
    program::{node, python, run, scripts},
};

fn is_no_flood(router: &Router) {
    let page = router.call("GET", "/metrics", None).answer.text();
    let mut kinds = page.lines().filter(|line| line.starts_with("hostler_http2_abuse_total{"));
    assert!(kinds.all(|line| line.ends_with(" 0")), "{page}");
}

#[test]
fn httpx_moves_bodies_both_ways_at_once_inside_tls() {
    let Tls { router, addr, authority } = Tls::start(&[]);
    let mut command = node();
    command.arg(scripts().join("dynos/node.mjs"));
    let dyno = Program::start(command);
    router.app("one", "a.test", &[&dyno.addr]);
    let mut command = python();
    command.arg(scripts().join("clients/httpx_tls.py"));
    command.args([&addr.port().to_string(), "a.test", &authority.ca()]);
    assert_eq!(run(command), b"ok\n");
    let lines = router.log.wait_for_many("protocol=http2.0 tls=true", 21);
    assert!(lines.iter().all(|line| line.contains(" status=200 ")), "{lines:#?}");
    assert_eq!(router.metric("hostler_connections_accepted_total"), 1.0);
    is_no_flood(&router);
}

#[test]
fn h2load_gets_every_answer() {
    let Tls { router, addr: https, .. } = Tls::start(&[]);
    let dyno = Named::start("one");
    router.app("one", "a.test", &[&dyno.addr]);
    for (scheme, addr) in [("http", router.http), ("https", https)] {
        let mut command = Command::new("h2load");
        command.args(["--requests=2000", "--clients=4", "--max-concurrent-streams=25"]);
        command.args([format!("--connect-to={addr}"), format!("{scheme}://a.test/")]);
        let report = String::from_utf8(run(command)).unwrap();
        assert!(report.contains(" 2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{report}");
        assert!(report.contains("status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx"), "{report}");
    }
    assert_eq!(dyno.requests(), 4000);
    router.log.wait_for_many("protocol=http2.0 ", 4000);
    assert_eq!(router.metric("hostler_connections_accepted_total"), 8.0);
    is_no_flood(&router);
}
