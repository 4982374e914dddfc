//! What stands in the answer to a fault: the router's words or the app's pages, in the form that
//! the client asked for.
//!
//! Invariant: status, `Hostler-Error` and the length are the fault's, whatever the page says.

use serde_json::{Value, json};

use super::*;
use crate::harness::Answer;

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// A request for an app without dynos, with these header lines.
fn asks(x: &mut Case, lines: &str) -> Answer {
    x.send(format!("GET / HTTP/1.1\r\nHost: b.test\r\n{lines}\r\n"));
    x.is_answered(503, "H14")
}

/// The app without dynos, with what is in its object.
fn two(x: &Case, app: Value) {
    x.second_app(&[]);
    x.router.write("PUT", "/v1/apps/two", app);
}

fn pages() -> Value {
    json!({"pages": {
        "error": {"html": "<h1>Störung</h1>", "json": "{\"ours\": true}", "text": "ours\n"},
        "maintenance": {"html": "<h1>back soon</h1>", "json": "[\"soon\"]", "text": "soon"},
    }})
}

/// Content type and body.
fn form(answer: &Answer) -> (&str, String) {
    (answer.head.get("content-type").unwrap(), answer.text())
}

behaviours! {
    fn the_form_of_the_routers_words_follows_accept(x) {
        two(x, json!({}));
        for (lines, expected) in [
            ("", TEXT),
            ("Accept: */*\r\n", TEXT),
            ("Accept: text/html\r\n", HTML),
            ("Accept: TEXT/HTML\r\n", HTML),
            ("accept: application/json\r\n", PROBLEM),
            ("Accept: application/problem+json\r\n", PROBLEM),
            ("Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n", HTML),
            ("Accept: text/html;q=0.1, application/json;q=0.2\r\n", PROBLEM),
            ("Accept: text/html;q=0.1\r\nAccept: application/json;q=0.2\r\n", PROBLEM),
            ("Accept: application/json;q=0, text/html;q=0.001\r\n", HTML),
            ("Accept: text/*;q=0.9, text/html;q=0.1\r\n", TEXT),
            ("Accept: image/png\r\n", TEXT),
        ] {
            let answer = asks(x, lines);
            assert_eq!(answer.head.get("content-type"), Some(expected), "{lines:?}");
            assert_eq!(answer.head.get("cache-control"), Some("no-store"));
            assert_eq!(answer.head.get("via"), Some("1.1 hostler"));
            assert!(answer.head.get("date").is_some());
        }
    }

    fn the_routers_words_are_whole_in_each_form(x) {
        two(x, json!({}));
        let text = asks(x, "").text();
        assert!(text.starts_with("503 No web processes running (H14)\n"), "{text}");
        let page = asks(x, "Accept: text/html\r\n").text();
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
        let answer = asks(x, "Accept: application/json\r\n");
        let problem: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(problem["status"], 503);
        assert_eq!(problem["title"], "No web processes running");
        assert_eq!(problem["code"], "H14");
    }

    fn an_answer_to_head_has_the_length_and_no_body(x) {
        two(x, json!({}));
        let length = asks(x, "Accept: text/html\r\n").head.length().unwrap();
        x.send("HEAD / HTTP/1.1\r\nHost: b.test\r\nAccept: text/html\r\n\r\n");
        let head = x.client.take_head();
        assert_eq!((head.status(), head.get("hostler-error")), (503, Some("H14")));
        assert_eq!(head.length(), Some(length));
        // What follows at once is the next answer.
        x.client_goes_on();
    }

    fn a_client_that_speaks_1_0_is_answered_in_1_1_and_closed(x) {
        two(x, json!({}));
        x.send("GET / HTTP/1.0\r\nHost: b.test\r\n\r\n");
        let answer = x.is_refused(503, "H14");
        assert_eq!(answer.head.line, "HTTP/1.1 503 Service Unavailable");
    }

    fn a_client_that_speaks_1_0_and_keeps_alive_is_told_so(x) {
        two(x, json!({}));
        x.send("GET / HTTP/1.0\r\nHost: b.test\r\nConnection: keep-alive\r\n\r\n");
        let answer = x.is_answered(503, "H14");
        assert_eq!(answer.head.get("connection"), Some("keep-alive"));
        x.client_goes_on();
    }

    fn the_apps_error_page_is_sent_in_the_form_that_is_asked_for(x) {
        two(x, pages());
        assert_eq!(form(&asks(x, "")), (TEXT, "ours\n".to_owned()));
        let answer = asks(x, "Accept: text/html\r\n");
        assert_eq!(form(&answer), (HTML, "<h1>Störung</h1>".to_owned()));
        assert_eq!(answer.head.length(), Some("<h1>Störung</h1>".len()));
        let answer = asks(x, "Accept: application/problem+json\r\n");
        assert_eq!(form(&answer), (JSON, "{\"ours\": true}".to_owned()));
    }

    fn the_apps_maintenance_page_is_sent_in_maintenance_alone(x) {
        let mut app = pages();
        app["maintenance"] = json!(true);
        two(x, app);
        for (accept, expected) in
            [(TEXT, "soon"), (HTML, "<h1>back soon</h1>"), (JSON, "[\"soon\"]")]
        {
            x.send(format!("GET / HTTP/1.1\r\nHost: b.test\r\nAccept: {accept}\r\n\r\n"));
            let answer = x.is_answered(503, "H80");
            assert_eq!(form(&answer), (accept, expected.to_owned()));
        }
    }

    fn a_form_that_the_app_did_not_push_is_the_routers(x) {
        two(x, json!({"pages": {"error": {"html": "<p>ours"}}}));
        assert_eq!(form(&asks(x, "Accept: text/html\r\n")), (HTML, "<p>ours".to_owned()));
        let answer = asks(x, "Accept: application/json\r\n");
        assert_eq!(form(&answer).0, PROBLEM);
        assert!(asks(x, "").text().starts_with("503 No web processes running (H14)\n"));
        // An error page is no maintenance page.
        x.router.write("PATCH", "/v1/apps/two", json!({"maintenance": true}));
        x.send("GET / HTTP/1.1\r\nHost: b.test\r\nAccept: text/html\r\n\r\n");
        assert!(x.is_answered(503, "H80").text().starts_with("<!doctype html>"));
    }

    fn a_page_is_the_new_one_as_soon_as_it_is_pushed(x) {
        two(x, pages());
        assert_eq!(asks(x, "").text(), "ours\n");
        x.router.write("PATCH", "/v1/apps/two", json!({"pages": {"error": {"text": "new"}}}));
        assert_eq!(asks(x, "").text(), "new");
        assert_eq!(asks(x, "Accept: text/html\r\n").text(), "<h1>Störung</h1>");
        x.router.write("PATCH", "/v1/apps/two", json!({"pages": {"error": {"text": null}}}));
        assert!(asks(x, "").text().starts_with("503 No web processes running (H14)\n"));
    }

    fn the_apps_page_tells_of_its_dynos_faults_too(x: Setup { env: vec![], app: Some(pages()) }) {
        drop(x.ask("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi"));
        assert_eq!(form(&x.is_answered(503, "H13")), (TEXT, "ours\n".to_owned()));
        drop(x.play(
            "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nContent-",
        ));
        assert_eq!(form(&x.is_answered(503, "H18")), (TEXT, "ours\n".to_owned()));
        let line = x.router.log.wait_for("code=H18");
        assert!(line.contains(" bytes=5 "), "{line}");
    }

    fn what_the_client_did_wrong_is_told_by_the_router(
        x: Setup { env: vec![], app: Some(pages()) }
    ) {
        x.send("GET / HTTP/1.1\r\nHost: a.test\r\nExpect: tea\r\n\r\n");
        let answer = x.is_refused(417, "H26");
        assert!(!answer.text().contains("ours"), "{answer:?}");
        x.again();
        x.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n");
        let answer = x.is_refused(400, "H26");
        assert!(!answer.text().contains("ours"), "{answer:?}");
    }

    fn a_page_has_its_bound(x) {
        let most = "x".repeat(64 << 10);
        two(x, json!({"pages": {"error": {"text": most}}}));
        let answer = asks(x, "");
        assert!(answer.text() == most);
        let over = json!({"pages": {"error": {"text": format!("{most}x")}}});
        let reply = x.router.call("PUT", "/v1/apps/two", Some(over));
        assert_eq!(reply.status(), 422, "{reply:?}");
        let bad = json!({"pages": {"error": {"json": "{not json"}}});
        assert_eq!(x.router.call("PUT", "/v1/apps/two", Some(bad)).status(), 422);
        // What was refused changed nothing.
        assert!(asks(x, "").text() == most);
    }
}
