//! gRPC end to end: `grpcio` on both sides of the router.
//!
//! Invariant: what is asserted of the calls is asserted by the client, which prints `ok`; here
//! stands what the router says of them.

use serde_json::json;

use crate::harness::{
    Program, Router, closed_port,
    program::{python, run, scripts},
};

fn start() -> (Router, Program) {
    let router = Router::with(&[("HOSTLER_HTTP_H2C", "true")]);
    let mut command = python();
    command.arg(scripts().join("dynos/grpc_server.py"));
    let dyno = Program::start(command);
    router.app("one", "a.test", &[&dyno.addr]);
    router.write("PATCH", "/v1/apps/one", json!({"settings": {"dynos.protocol": "http2"}}));
    (router, dyno)
}

/// Runs the client's calls; they succeed.
fn client(router: &Router, what: &str) {
    let mut command = python();
    command.arg(scripts().join("clients/grpc_client.py"));
    command.args([&router.http.port().to_string(), "a.test", what]);
    assert_eq!(run(command), b"ok\n", "{what}");
}

#[test]
fn every_kind_of_call_passes_with_deadlines_cancellation_and_failures() {
    let (router, _dyno) = start();
    client(&router, "calls");
    let lines = router.log.wait_for_many("path=\"/test.Calls/Unary\"", 53);
    assert!(lines.iter().all(|line| line.contains("status=200 ")), "{lines:#?}");
    // One call was cancelled; that whose time was over may have been ended by its dyno, which knew
    // the deadline too. Nothing else went wrong.
    router.log.wait_for("path=\"/test.Calls/Hold\"");
    let given_up = router.log.find(|line| line.contains("code=H27") && line.contains("/Each"));
    assert!(given_up.is_some(), "{:#?}", router.log.all());
    let is_fault = |line: &&String| line.contains("code=") && !line.contains("code=H27");
    assert_eq!(router.log.all().iter().find(is_fault), None);
}

#[test]
fn streams_of_many_small_messages_are_no_flood() {
    let (router, _dyno) = start();
    client(&router, "small");
    let lines = router.log.wait_for_many("path=\"/test.Calls/", 3);
    assert!(lines.iter().all(|line| line.contains("status=200 ")), "{lines:#?}");
}

#[test]
fn a_call_for_which_no_dyno_is_there_is_unavailable() {
    let (router, _dyno) = start();
    router.set_state("one", "web.1", "crashed");
    client(&router, "gone");
    router.log.wait_for("code=H10");
    let refuses = closed_port();
    let settings = json!({"dynos.protocol": "http2", "dynos.max_attempts": 1});
    router.write("PATCH", "/v1/apps/one", json!({"settings": settings}));
    router.write("PUT", "/v1/apps/one/dynos/web.1", json!({"addr": refuses.addr}));
    client(&router, "gone");
    router.log.wait_for("code=H21");
    router.delete("/v1/apps/one/dynos/web.1");
    client(&router, "gone");
    router.log.wait_for("code=H14");
}
