//! A model of the table that knows nothing of ours: objects as JSON, by their names.
//!
//! Invariants: what an op does is written down here anew, from docs/push-api.md alone; an object
//! says what was pushed in its canonical form, defaults absent, so that a table is compared with
//! its export line by line.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Value, json};

/// Kind, app (none of an app or a route), name: of a route, host and path.
type Key = (&'static str, String, String);

/// What a table should hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Model(BTreeMap<Key, Value>);

/// One op: what is sent, and what it is about.
#[derive(Debug, Clone)]
pub struct Op {
    /// As in a transaction.
    pub sent: Value,
    app: String,
    about: About,
}

#[derive(Debug, Clone)]
enum About {
    App,
    Route(String, String),
    Dyno(String),
}

const APPS: [&str; 3] = ["one", "two", "three"];
const HOSTS: [&str; 4] = ["a.test", "*.a.test", "b.a.test", "c.test"];

impl Op {
    /// Any op on a few objects, so that ops meet; it may well be one that has to be refused.
    pub fn draw(random: &mut Rng) -> Op {
        let app = random.choice(APPS).unwrap().to_owned();
        let (about, path, put, patch) = match random.u8(..8) {
            0..3 => {
                let put = match random.u8(..4) {
                    0 => json!({}),
                    1 => json!({"maintenance": random.bool(), "protected": random.bool()}),
                    2 => json!({"settings": {"timeouts.idle": idle(random)}}),
                    _ => json!({"pages": {"error": {"text": format!("\"\n{}", random.u8(..3))}}}),
                };
                let patch = match random.bool() {
                    true => json!({"maintenance": random.bool()}),
                    false => json!({"settings": {"timeouts.idle": null}}),
                };
                (About::App, String::new(), put, patch)
            }
            3..6 => {
                let (host, path) = (random.choice(HOSTS).unwrap(), ["/", "/x"][random.usize(..2)]);
                let about = About::Route(host.into(), path.into());
                let put = json!({"protected": random.bool()});
                (about, format!("/routes/{host}?path={path}"), put, json!({"protected": null}))
            }
            _ => {
                let name = format!("web.{}", random.u8(1..4));
                let mut put = json!({"addr": format!("10.0.0.{}:80", random.u8(1..4))});
                if random.bool() {
                    put["weight"] = random.u8(99..102).into();
                    put["release"] = ["", "v1"][random.usize(..2)].into();
                }
                if random.u8(..4) == 0 {
                    put["ttl_s"] = 3600.into();
                }
                let state = ["starting", "up", "draining", "crashed"][random.usize(..4)];
                let path = format!("/dynos/{name}");
                (About::Dyno(name), path, put, json!({"state": state}))
            }
        };
        let path = format!("/apps/{app}{path}");
        let sent = match random.u8(..6) {
            0..3 => json!({"method": "PUT", "path": path, "body": put}),
            3..5 => json!({"method": "PATCH", "path": path, "body": patch}),
            _ => json!({"method": "DELETE", "path": path}),
        };
        Op { sent, app, about }
    }

    fn key(&self) -> Key {
        match &self.about {
            About::App => ("app", String::new(), self.app.clone()),
            About::Route(host, path) => ("route", String::new(), format!("{host}{path}")),
            About::Dyno(name) => ("dyno", self.app.clone(), name.clone()),
        }
    }

    /// The object's names, as its line has them.
    fn named(&self) -> Value {
        match &self.about {
            About::App => json!({"v": 1, "kind": "app", "name": self.app}),
            About::Dyno(name) => json!({"v": 1, "kind": "dyno", "app": self.app, "name": name}),
            About::Route(host, path) if path == "/" => {
                json!({"v": 1, "kind": "route", "app": self.app, "host": host})
            }
            About::Route(host, path) => {
                json!({"v": 1, "kind": "route", "app": self.app, "host": host, "path": path})
            }
        }
    }
}

fn idle(random: &mut Rng) -> &'static str {
    ["1s", "1500ms"][random.usize(..2)]
}

impl Model {
    /// Does an op; false, and what it then holds is of no use, if it has to be refused.
    pub fn apply(&mut self, op: &Op) -> bool {
        let app = ("app", String::new(), op.app.clone());
        let key = op.key();
        let is_app = matches!(op.about, About::App);
        if !is_app && !self.0.contains_key(&app) {
            return false;
        }
        // Is it there, and this app's?
        let stands = self.0.get(&key).cloned();
        let is_mine = stands.as_ref().is_some_and(|line| is_app || line["app"] == op.app);
        match op.sent["method"].as_str().unwrap() {
            "DELETE" if is_app => {
                self.0.retain(|key, line| *key != app && line["app"] != op.app);
                is_mine
            }
            "DELETE" => {
                self.0.remove(&key);
                is_mine
            }
            "PATCH" if !is_mine => false,
            _ if stands.is_some() && !is_mine => false,
            method => {
                let mut line = if method == "PATCH" { stands.unwrap() } else { op.named() };
                merge(&mut line, &op.sent["body"]);
                self.0.insert(key, without_defaults(line));
                true
            }
        }
    }

    /// A model of what came.
    pub fn of(lines: impl IntoIterator<Item = Value>) -> Model {
        let mut model = Model::default();
        for line in lines {
            assert!(model.0.insert(key_of(&line), line).is_none(), "no object twice");
        }
        model
    }

    /// Applies lines of a diff.
    pub fn turn(&mut self, changes: &[Value]) {
        for change in changes {
            if let Some(before) = change.get("before") {
                assert_eq!(self.0.remove(&key_of(before)).as_ref(), Some(before));
            }
            if let Some(after) = change.get("after") {
                assert_eq!(self.0.insert(key_of(after), after.clone()), None);
            }
        }
    }

    /// The apps and routes alone.
    pub fn without_dynos(&self) -> Model {
        let kept = self.0.iter().filter(|((kind, ..), _)| *kind != "dyno");
        Model(kept.map(|(key, line)| (key.clone(), line.clone())).collect())
    }

    /// What a revert with dynos makes the same: every dyno in the same state, and none that would
    /// expire by either table, since such a one is not brought back.
    pub fn lasting(&self, other: &Model) -> Model {
        let mut all = self.clone();
        let expires =
            |table: &Model, key: &Key| table.0.get(key).is_some_and(|l| l.get("ttl_s").is_some());
        all.0.retain(|key, _| !expires(self, key) && !expires(other, key));
        for line in all.0.values_mut() {
            line.as_object_mut().unwrap().remove("state");
        }
        all
    }
}

fn key_of(line: &Value) -> Key {
    let text = |name: &str| line[name].as_str().unwrap().to_owned();
    match line["kind"].as_str().unwrap() {
        "app" => ("app", String::new(), text("name")),
        "dyno" => ("dyno", text("app"), text("name")),
        "route" => {
            let path = line["path"].as_str().unwrap_or("/");
            ("route", String::new(), text("host") + path)
        }
        other => panic!("a {other} is no object"),
    }
}

/// RFC 7396.
fn merge(to: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *to = patch.clone();
        return;
    };
    if !to.is_object() {
        *to = json!({});
    }
    for (name, value) in fields {
        match value {
            Value::Null => drop(to.as_object_mut().unwrap().remove(name)),
            value => merge(&mut to[name], value),
        }
    }
}

fn without_defaults(mut line: Value) -> Value {
    let defaults = [
        ("maintenance", json!(false)),
        ("protected", json!(false)),
        ("ttl_s", Value::Null),
        ("settings", json!({})),
        ("release", json!("")),
        ("weight", json!(100)),
        ("state", json!("up")),
    ];
    let fields = line.as_object_mut().unwrap();
    for (name, default) in defaults {
        if fields.get(name) == Some(&default) {
            fields.remove(name);
        }
    }
    line
}
