//! The document: what the calls say, what all of a kind share, and the components.
//!
//! Invariant: it is made once, at the first call for it.

use std::sync::{Arc, LazyLock};

use axum::{extract::State, response::Response};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::{
    calls::{Call, Gives, Kind, Takes, calls},
    params,
    schemas::Schemas,
};
use crate::{
    api::Problem,
    control::api::{
        health,
        paths::Need,
        problem::{Refusal, json as json_answer},
        read::{Params, no_params},
        router::Shared,
    },
};

/// `GET /v1/openapi.json`.
pub(in crate::control::api) async fn serve(
    State(_): State<Arc<Shared>>,
    params: Params,
) -> Result<Response, Refusal> {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(document);
    no_params(params)?;
    Ok(json_answer(StatusCode::OK, "application/json", &*DOCUMENT))
}

/// The whole document.
pub(super) fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    for call in calls() {
        let item = paths
            .entry(call.path)
            .or_insert_with(|| json!({ "parameters": params::of_path(call.path) }));
        item[call.method.as_str().to_ascii_lowercase()] = operation(&call, &mut schemas);
    }
    let problem = schemas.told(|g| g.subschema_for::<Problem>());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hostler push API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Maps hosts to the dynos of apps: docs/push-api.md.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas.finish(),
            "responses": refusals(&problem),
            "headers": headers(),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
            },
        },
    })
}

fn operation(call: &Call, schemas: &mut Schemas) -> Value {
    let need = Need::of(Some(call.path), &call.method);
    let mut operation = json!({
        "operationId": operation_id(call),
        "summary": call.summary,
        "parameters": params::of_call(call),
        "responses": responses(call, need, schemas),
        "x-scope": need.scope(),
    });
    if need == Need::Nothing {
        operation["security"] = json!([]);
    }
    let body = match call.takes {
        Takes::Nothing => None,
        Takes::Json(make, may_be_left_out) => {
            let content = json!({ "application/json": { "schema": schemas.sent(make) } });
            Some(json!({ "required": !may_be_left_out, "content": content }))
        }
        Takes::Patch(make) => {
            let schema = schemas.patch(make);
            let content = json!({ "application/merge-patch+json": { "schema": schema } });
            Some(json!({ "required": false, "content": content }))
        }
        Takes::Lines => {
            let lines = json!({ "type": "string", "minLength": 1, "format": "table" });
            let content = json!({ "application/x-ndjson": { "schema": lines } });
            Some(json!({ "required": true, "content": content }))
        }
    };
    operation["requestBody"] = body.into();
    if operation["requestBody"].is_null() {
        operation.as_object_mut().expect("it is one").remove("requestBody");
    }
    operation
}

/// `GET /v1/apps/{app}` is `get_apps_app`.
fn operation_id(call: &Call) -> String {
    let words = call.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    let method = call.method.as_str().to_ascii_lowercase();
    let words = words.filter(|word| *word != "v1").map(str::to_owned);
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("_")
}

fn responses(call: &Call, need: Need, schemas: &mut Schemas) -> Value {
    let (status, content) = match call.gives {
        Gives::Json(status, make) => {
            (status, json!({ "application/json": { "schema": schemas.told(make) } }))
        }
        Gives::Text(media) => (200, json!({ media: { "schema": { "type": "string" } } })),
    };
    let header = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
    let mut headers = json!({ "Hostler-Revision": header("Hostler-Revision") });
    let is_write = matches!(call.kind, Kind::WriteObject | Kind::Write);
    if matches!(call.kind, Kind::ReadObject | Kind::WriteObject) && call.method != Method::DELETE {
        headers["ETag"] = header("ETag");
    }
    if is_write {
        headers["Idempotency-Replayed"] = header("Idempotency-Replayed");
    }
    if status == 201 {
        headers["Location"] = header("Location");
    }
    let done = json!({ "description": "Done.", "headers": headers, "content": content });
    let mut all = Map::from_iter([(status.to_string(), done.clone())]);
    let mut statuses = vec![400, 403];
    if need != Need::Nothing {
        statuses.extend([401, 429]);
    }
    if call.kind == Kind::ReadObject {
        statuses.push(404);
    }
    if is_write || call.kind == Kind::WriteOther {
        statuses.extend([408, 409, 413, 415, 422, 503]);
    }
    if is_write {
        statuses.extend([404, 504]);
    }
    if call.kind == Kind::WriteObject {
        statuses.push(412);
    }
    statuses.extend(call.refusals);
    for status in statuses {
        all.insert(
            status.to_string(),
            json!({ "$ref": format!("#/components/responses/{status}") }),
        );
    }
    if call.path == health::READYZ {
        all.insert("503".into(), done);
    }
    all.into()
}

/// What every refusal says.
fn refusals(problem: &Value) -> Value {
    let one = |(status, when): &(u16, &str)| {
        let mut headers = json!({
            "Hostler-Revision": { "$ref": "#/components/headers/Hostler-Revision" },
        });
        match status {
            401 => {
                headers["WWW-Authenticate"] =
                    json!({ "$ref": "#/components/headers/WWW-Authenticate" })
            }
            429 => headers["Retry-After"] = json!({ "$ref": "#/components/headers/Retry-After" }),
            _ => {}
        }
        let content = json!({ "application/problem+json": { "schema": problem } });
        let told = json!({ "description": when, "headers": headers, "content": content });
        (status.to_string(), told)
    };
    REFUSALS.iter().map(one).collect::<Map<_, _>>().into()
}

/// Every status of a refusal, and when it is told.
const REFUSALS: &[(u16, &str)] = &[
    (400, "The request is not what HTTP or JSON allow, or a parameter is wrong or not known."),
    (401, "No token, or one that is not known, revoked or over."),
    (403, "The token lacks a scope, which is named; or a browser's page asks."),
    (404, "There is no such object, or no such revision."),
    (408, "The body did not come in time."),
    (409, "It is at odds with what is there: errors name each op and object."),
    (410, "The revision is no longer kept."),
    (412, "A condition does not hold."),
    (413, "The body is too large, or has too many ops."),
    (415, "The body is of another media type."),
    (422, "A field is wrong; or the key was another request's."),
    (429, "The token calls too often."),
    (503, "The store did not take it, or too many calls wait: try again."),
    (504, "The store has not answered in time: the write may still be done."),
];

fn headers() -> Value {
    let header = |doc: &str, is_required: bool, schema: Value| {
        let (description, required) = (doc, is_required);
        json!({ "description": description, "required": required, "schema": schema })
    };
    let text = || json!({ "type": "string" });
    json!({
        "Hostler-Revision": header("The revision that the answer was given at.", true,
            json!({ "type": "integer", "minimum": 0 })),
        "ETag": header("The revision at which the object last changed, in quotes.", false,
            json!({ "type": "string", "pattern": "^\"[0-9]+\"$" })),
        "Idempotency-Replayed": header("The answer is that of an earlier try.", false,
            json!({ "const": "true", "type": "string" })),
        "Location": header("Where what was made can be read.", true, text()),
        "WWW-Authenticate": header("How to authenticate.", true, text()),
        "Retry-After": header("Seconds until there is room again.", true,
            json!({ "type": "integer", "minimum": 1 })),
    })
}

#[cfg(test)]
mod tests;
