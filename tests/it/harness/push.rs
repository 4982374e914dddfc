//! The push API, spoken by hand: what goes over the wire is what a test wrote.
//!
//! Invariant: one connection a call, closed behind it.

use serde_json::{Value, json};

use super::{Answer, Router};

/// An answer of the push API.
#[derive(Debug)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// Its body.
    pub json: Value,
}

impl Reply {
    /// Its status.
    pub fn status(&self) -> u16 {
        self.answer.status()
    }

    /// The revision that a write made.
    pub fn revision(&self) -> u64 {
        self.json["revision"].as_u64().unwrap_or_else(|| panic!("{self:?}"))
    }

    /// The mistakes: op, if it was a transaction, and field.
    pub fn mistakes(&self) -> Vec<(Option<u64>, String)> {
        let errors = self.json["errors"].as_array().unwrap_or_else(|| panic!("{self:?}"));
        let mistake = |error: &Value| {
            assert!(!error["reason"].as_str().unwrap().is_empty(), "{self:?}");
            (error["op"].as_u64(), error["field"].as_str().unwrap().to_owned())
        };
        errors.iter().map(mistake).collect()
    }
}

impl Router {
    /// Calls with the admin token.
    pub fn call(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        let bearer = format!("Authorization: Bearer {}\r\n", super::router::TOKEN);
        self.call_with(&bearer, method, path, body)
    }

    /// Calls with header lines of the test's own.
    pub fn call_with(&self, lines: &str, method: &str, path: &str, body: Option<Value>) -> Reply {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let mut conn = self.connect_control();
        conn.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: hub.test\r\nConnection: close\r\n{lines}{kind}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        let answer = conn.take_answer();
        let json = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        Reply { answer, json }
    }

    /// A write that must be accepted.
    pub fn write(&self, method: &str, path: &str, body: Value) -> u64 {
        let reply = self.call(method, path, Some(body));
        assert_eq!(reply.status(), 200, "{method} {path}: {reply:?}");
        reply.revision()
    }

    /// A DELETE that must be accepted.
    pub fn delete(&self, path: &str) {
        let reply = self.call("DELETE", path, None);
        assert_eq!(reply.status(), 200, "{path}: {reply:?}");
    }

    /// A transaction of `(method, path, body)`.
    pub fn transact(&self, ops: &[(&str, &str, Value)]) -> Reply {
        self.call("POST", "/v1/transactions", Some(json!({"ops": ops_of(ops)})))
    }

    /// Pushes an app with a host and its dynos, `web.1` and on.
    pub fn app(&self, app: &str, host: &str, dynos: &[&str]) {
        let path = format!("/apps/{app}");
        let mut ops = vec![
            ("PUT", path.clone(), json!({})),
            ("PUT", format!("{path}/routes/{host}"), json!({})),
        ];
        for (i, addr) in dynos.iter().enumerate() {
            ops.push(("PUT", format!("{path}/dynos/web.{}", i + 1), json!({"addr": addr})));
        }
        let ops: Vec<_> = ops.iter().map(|(m, p, b)| (*m, p.as_str(), b.clone())).collect();
        let reply = self.transact(&ops);
        assert_eq!(reply.status(), 200, "{reply:?}");
    }

    /// Pushes the state of a dyno.
    pub fn set_state(&self, app: &str, dyno: &str, state: &str) {
        self.write("PATCH", &format!("/v1/apps/{app}/dynos/{dyno}"), json!({"state": state}));
    }

    /// The digest of the table as it is.
    pub fn digest(&self) -> String {
        self.call("GET", "/v1/revision", None).json["digest"].as_str().unwrap().to_owned()
    }

    /// The value of a metric, its labels part of the name; 0 if there is none.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.call("GET", "/metrics", None).answer.text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }
}

/// The ops of a transaction as JSON.
pub fn ops_of(ops: &[(&str, &str, Value)]) -> Value {
    let op = |(method, path, body): &(&str, &str, Value)| match body {
        Value::Null => json!({"method": method, "path": path}),
        body => json!({"method": method, "path": path, "body": body}),
    };
    ops.iter().map(op).collect()
}
