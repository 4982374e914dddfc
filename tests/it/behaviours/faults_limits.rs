//! Faults of clients that ask too much or may not ask, and of a router that carries too much.
//!
//! Invariant: the app's dyno hears of none of them, and the client's connection goes on.

use super::{faults::faults, *};

const ASK: &str = "GET /x?y HTTP/1.1\r\nHost: b.test\r\n\r\n";
const ASKED: &str = "GET /x?y b.test";

/// Another app, of whose clients one thing is limited.
fn limited(x: &Case, settings: serde_json::Value) {
    x.second_app(&[&x.web.addr]);
    x.router.write("PUT", "/v1/apps/two", json!({"settings": settings}));
}

faults! {
    ForbiddenClient => fn forbidden_client_of_a_denied_network(x) {
        limited(x, json!({"limits.deny": ["127.0.0.0/8"]}));
        x.send(ASK);
        x.is_answered(403, "forbidden_client");
        let rest = "dyno= connect= service= status=403 bytes=";
        x.logs("at=warning code=forbidden_client desc=\"Client not allowed\"", ASKED, rest);
        x.counts("forbidden_client", 1);
        x.client_goes_on();
    }

    RateLimited => fn rate_limited_for_asking_twice(x) {
        limited(x, json!({"limits.rate_per_address": 1, "limits.rate_window": "1h"}));
        x.send(ASK);
        let mut dyno = x.web.accept();
        dyno.take_request();
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.send(ASK);
        let answer = x.is_answered(429, "rate_limited");
        let wait: u32 = answer.head.get("retry-after").unwrap().parse().unwrap();
        assert!((3000..=3600).contains(&wait), "{answer:?}");
        let rest = "dyno= connect= service= status=429 bytes=";
        x.logs("at=warning code=rate_limited desc=\"Too many requests\"", ASKED, rest);
        x.counts("rate_limited", 1);
        x.client_goes_on();
    }

    TooManyConcurrent => fn too_many_concurrent_beside_one_that_lasts(x) {
        limited(x, json!({"limits.concurrency_per_address": 1}));
        let mut other = x.router.connect();
        other.send(ASK);
        let mut dyno = x.web.accept();
        dyno.take_request();
        x.send(ASK);
        let answer = x.is_answered(429, "too_many_concurrent");
        assert_eq!(answer.head.get("retry-after"), Some("1"));
        let rest = "dyno= connect= service= status=429 bytes=";
        let start = "at=warning code=too_many_concurrent desc=\"Too many requests at a time\"";
        x.logs(start, ASKED, rest);
        x.counts("too_many_concurrent", 1);
        dyno.send(OK);
        assert_eq!(other.take_answer().text(), "ok");
        x.client_goes_on();
    }

    Overloaded => fn overloaded_by_one_that_lasts(x: Setup::router("limits.exchanges", "1")) {
        let mut other = x.router.connect();
        other.send("GET /long HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let mut dyno = x.dyno();
        dyno.take_request();
        x.send("GET /x?y HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let answer = x.is_answered(503, "overloaded");
        assert_eq!(answer.head.get("retry-after"), Some("1"));
        let rest = "dyno= connect= service= status=503 bytes=";
        let start = "at=error code=overloaded desc=\"Router overloaded\"";
        x.logs(start, "GET /x?y a.test", rest);
        x.counts("overloaded", 1);
        dyno.send(OK);
        assert_eq!(other.take_answer().text(), "ok");
        x.kept = Some(dyno);
        x.client_goes_on();
    }
}
