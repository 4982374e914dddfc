//! Parameters: of paths, by the names within braces; of queries and headers, by kind of call.
//!
//! Invariant: what every write takes stands here, once.

use serde_json::{Value, json};

use super::{
    calls::{Call, Kind},
    settings::duration,
};
use crate::api::schema;

/// The parameters of a path.
pub(super) fn of_path(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let text = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let one = |name: &str| {
        let (schema, doc) = match name {
            "app" => (text(schema::APP_NAME), "An app's name."),
            "host" => (schema::host().to_value(), "A host, exact or `*.a.test`."),
            "id" => {
                let mut name = text(schema::ROUTER_NAME);
                name["not"] = json!({ "const": "local" });
                (name, "A router's name.")
            }
            "name" if path.starts_with("/v1/certs/") => {
                (text(schema::CERT_NAME), "A certificate's name.")
            }
            _ => (text(schema::DYNO_NAME), "A name."),
        };
        let mut param = param("path", name, doc, schema);
        param["required"] = true.into();
        param
    };
    names.map(one).collect()
}

/// The other parameters of a call.
pub(super) fn of_call(call: &Call) -> Vec<Value> {
    let own = call.query.iter().map(|own| {
        let mut param = param("query", own.name, own.doc, (own.schema)().to_value());
        param["required"] = own.is_required.into();
        param
    });
    let mut all: Vec<Value> = own.collect();
    if matches!(call.kind, Kind::WriteObject | Kind::Write) {
        let removes_dyno =
            call.method == http::Method::DELETE && call.path.ends_with("/dynos/{name}");
        all.extend(of_writes(removes_dyno));
    }
    if call.kind == Kind::WriteOther && call.path.starts_with("/v1/tokens") {
        all.push(reason());
    }
    if call.kind == Kind::WriteObject {
        all.extend(conditions());
    }
    all
}

/// A dyno is removed once it has nothing in flight, if that is waited for.
fn of_writes(removes_dyno: bool) -> [Value; 6] {
    let waits = if removes_dyno { json!(["fleet", "empty"]) } else { json!(["fleet"]) };
    let names = "^[^,]+(,[^,]+)*$";
    let force = "Do it though the shrink guard would refuse it; needs scope push.";
    let confirm = "Protected apps and routes that it may remove or empty.";
    let wait = match removes_dyno {
        true => "Until every live router serves it, or before it until nothing is in flight.",
        false => "Until every live router serves it.",
    };
    let timeout = "How long it waits. Default: 5s, for what is in flight 30s.";
    let key = json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" });
    let time = json!({ "type": "string", "pattern": duration(1, 60_000) });
    [
        param("query", "force", force, json!({ "type": "boolean" })),
        param("query", "confirm", confirm, json!({ "type": "string", "pattern": names })),
        param("query", "wait", wait, json!({ "enum": waits })),
        param("query", "timeout", timeout, time),
        reason(),
        param("header", "Idempotency-Key", "Done once, however often it is sent.", key),
    ]
}

fn reason() -> Value {
    let line = "^([!-~]([ -~]*[!-~])?)?$";
    let schema = json!({ "type": "string", "maxLength": 500, "pattern": line });
    param("header", "Hostler-Reason", "Why, for the history.", schema)
}

fn conditions() -> [Value; 2] {
    let tags = "^\"[0-9]{1,19}\"(, \"[0-9]{1,19}\"){0,9}$";
    let tags = json!({ "anyOf": [{ "const": "*" }, { "type": "string", "pattern": tags }] });
    [
        param("header", "If-Match", "Only if its tag is one of these.", tags),
        param("header", "If-None-Match", "Only if nothing is there.", json!({ "const": "*" })),
    ]
}

fn param(place: &str, name: &str, doc: &str, schema: Value) -> Value {
    json!({ "in": place, "name": name, "description": doc, "schema": schema })
}
