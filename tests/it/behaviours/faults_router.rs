//! Faults that are the router's own; and the log as JSON, where a fault is an object a line.
//!
//! Invariant: a want of the router's is not held against the dyno that it could not reach.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};

use super::{faults::faults, *};
use crate::harness::Dyno;

/// Lets the router open so many files, none beyond those that it has; answers what it might before.
fn set_open_files(x: &Case, most: Option<u64>) -> Rlimit {
    let pid = Pid::from_raw(x.router.pid().cast_signed());
    let limit = Rlimit { current: most, ..getrlimit(Resource::Nofile) };
    prlimit(pid, Resource::Nofile, limit).unwrap()
}

faults! {
    ForcedClose => fn h24_the_router_ends_while_the_client_waits(
        x: Setup::env(&[("HOSTLER_DRAIN_DEADLINE", "200ms")])
    ) {
        let (_, mut dyno) = x.ask("GET /x?y HTTP/1.1\r\nHost: a.test\r\n\r\n");
        x.router.terminate();
        let answer = x.is_answered(503, "H24");
        assert_eq!(answer.head.get("connection"), Some("close"));
        dyno.take_end();
        assert!(x.router.wait().success());
        let bytes = answer.body.len();
        let rest = format!("dyno=web.1 connect=# service=# status=503 bytes={bytes}");
        x.logs("at=error code=H24 desc=\"Forced close\"", "GET /x?y a.test", &rest);
    }

    ForcedClose => fn h24_the_router_ends_within_the_answer(
        x: Setup::env(&[("HOSTLER_DRAIN_DEADLINE", "200ms")])
    ) {
        let (_, mut dyno) = x.ask("GET /x?y HTTP/1.1\r\nHost: a.test\r\n\r\n");
        dyno.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
        x.client.take_until("hello");
        x.router.terminate();
        x.client_is_cut();
        dyno.take_end();
        assert!(x.router.wait().success());
        let rest = "dyno=web.1 connect=# service=# status=200 bytes=5";
        x.logs("at=error code=H24 desc=\"Forced close\"", "GET /x?y a.test", rest);
    }

    Platform => fn h99_the_router_has_no_descriptors_left(x) {
        let second = Dyno::new();
        x.second_app(&[&second.addr]);
        // The client's connection is accepted before there is no descriptor for it.
        x.send("GET /x?y HTTP/1.1\r\n");
        x.catch_up();
        let before = set_open_files(x, Some(3));
        x.send("Host: b.test\r\n\r\n");
        x.is_answered(503, "H99");
        set_open_files(x, before.current);
        let rest = "dyno=web.1 connect=# service= status=503 bytes=";
        let start = "at=error code=H99 desc=\"Platform error\"";
        x.logs_of(" code=H99 ", start, "GET /x?y b.test", rest);
        x.counts("H99", 1);
        // The dyno is not put aside for it.
        x.send("GET /again HTTP/1.1\r\nHost: b.test\r\n\r\n");
        let mut dyno = second.accept();
        assert_eq!(dyno.take_request().head.line, "GET /again HTTP/1.1");
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
    }

    LastHop => fn last_hop_the_request_goes_no_further(x) {
        x.send("OPTIONS /x?y HTTP/1.1\r\nHost: a.test\r\nMax-Forwards: 0\r\n\r\n");
        let answer = x.client.take_answer();
        assert_eq!((answer.status(), answer.text().as_str()), (200, ""), "{answer:?}");
        assert!(answer.head.get("allow").is_some_and(|allow| allow.contains("OPTIONS")));
        let rest = "dyno= connect= service= status=200 bytes=";
        let start = "at=info code=last_hop desc=\"Answered by the router\"";
        x.logs(start, "OPTIONS /x?y a.test", rest);
        x.counts("last_hop", 1);
        x.client_goes_on();
    }

    Loop => fn loop_the_request_was_here_too_often(x) {
        let via = ["1.1 hostler"; 6].join(", ");
        x.send(format!("GET /x?y HTTP/1.1\r\nHost: a.test\r\nVia: {via}\r\n\r\n"));
        x.is_answered(508, "loop");
        let rest = "dyno= connect= service= status=508 bytes=";
        x.logs("at=error code=loop desc=\"Loop detected\"", "GET /x?y a.test", rest);
        x.counts("loop", 1);
        x.client_goes_on();
    }
}

/// The object of the exchange with a fault.
fn object(x: &Case) -> Value {
    let line = x.router.log.wait_for("\"code\"");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"))
}

/// Is it all of the object, but for times and ids, which are numbers and texts where there are any?
fn is_logged(mut got: Value, mut expected: Value) {
    for key in ["queue_ms", "connect_ms", "service_ms"] {
        if got[key].is_u64() {
            got[key] = json!("#");
        }
    }
    assert!(got["request_id"].is_string(), "{got}");
    expected["request_id"] = got["request_id"].clone();
    assert_eq!(got, expected);
}

const JSON: (&str, &str) = ("HOSTLER_ACCESS_LOG", "json");

behaviours! {
    fn in_json_a_fault_before_a_dyno_was_chosen_has_nulls(x: Setup::env(&[JSON])) {
        x.second_app(&[]);
        x.send("GET /\"x HTTP/1.1\r\nHost: b.test\r\n\r\n");
        x.is_answered(503, "H14");
        is_logged(object(x), json!({
            "at": "error", "code": "H14", "desc": "No web processes running", "app": "two",
            "method": "GET", "path": "/\"x", "host": "b.test", "fwd": "127.0.0.1", "dyno": "",
            "queue_ms": null, "connect_ms": null, "service_ms": null, "status": 503, "bytes": null,
            "protocol": "http1.1", "tls": false, "tls_version": null,
        }));
    }

    fn in_json_a_fault_of_a_dyno_has_its_figures_as_numbers(x: Setup::env(&[JSON])) {
        drop(x.ask("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi"));
        x.is_answered(503, "H13");
        is_logged(object(x), json!({
            "at": "error", "code": "H13", "desc": "Connection closed without response",
            "app": "one", "method": "POST", "path": "/", "host": "a.test", "fwd": "127.0.0.1",
            "dyno": "web.1", "queue_ms": "#", "connect_ms": "#", "service_ms": "#",
            "status": 503, "bytes": 0,
            "protocol": "http1.1", "tls": false, "tls_version": null,
        }));
    }

    fn in_json_the_broken_socket_is_named(x: Setup::env(&[JSON])) {
        drop(x.play(
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        ));
        x.client.take_until("hello");
        x.client_is_cut();
        is_logged(object(x), json!({
            "sock": "backend", "at": "error", "code": "H18", "desc": "Server Request Interrupted",
            "app": "one", "method": "POST", "path": "/", "host": "a.test", "fwd": "127.0.0.1",
            "dyno": "web.1", "queue_ms": "#", "connect_ms": "#", "service_ms": "#",
            "status": 200, "bytes": 5,
            "protocol": "http1.1", "tls": false, "tls_version": null,
        }));
    }

    fn in_json_the_cause_of_a_refusal_is_told(x: Setup::env(&[JSON])) {
        x.send("GET / HTTP/1.1\r\nHost: a.test\r\nExpect: tea\r\n\r\n");
        x.is_refused(417, "H26");
        is_logged(object(x), json!({
            "at": "error", "code": "H26", "desc": "Request Error",
            "cause": "unsupported expect header value", "app": "one",
            "method": "GET", "path": "/", "host": "a.test", "fwd": "127.0.0.1", "dyno": "",
            "queue_ms": null, "connect_ms": null, "service_ms": null, "status": 417, "bytes": null,
            "protocol": "http1.1", "tls": false, "tls_version": null,
        }));
    }
}
