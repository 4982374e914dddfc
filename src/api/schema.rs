//! JSON Schemas (2020-12) of texts and numbers that several wire types hold.
//!
//! Invariants: a pattern takes what the push API takes, in the spelling that programs are to use;
//! what no pattern can say (a name of IDNA, JSON within a text) is a format with a name of its own.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::{AppBody, CertBody, DynoBody, RouteBody};

/// Where the components of the document stand.
pub const COMPONENTS: &str = "#/components/schemas/";
/// The name of an app.
pub const APP_NAME: &str = "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$";
/// The name of a dyno, or of a token.
pub const DYNO_NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$";
/// The name of a certificate.
pub const CERT_NAME: &str = "^[a-z0-9][a-z0-9._-]{0,252}$";
/// A revision; a time as RFC 3339 has it, in UTC; or milliseconds since the Unix epoch.
pub const AT: &str = concat!(
    "^([0-9]{1,13}|(19[7-9][0-9]|20[0-9]{2})-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])",
    "T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)$",
);
/// The name of a router, or of its release.
pub const ROUTER_NAME: &str = "^[A-Za-z0-9._-]{1,63}$";
/// A token of HTTP (RFC 9110, section 5.6.2).
const TOKEN: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";
/// Text on one line, for the history.
const REASON: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";
/// A dyno's address: IPv4 or IPv6 with a port, or the path of a socket.
const DYNO_ADDR: &str = concat!(
    r"^([0-9]{1,3}(\.[0-9]{1,3}){3}:[0-9]{1,5}|",
    r"\[[0-9a-fA-F:.]+\]:[0-9]{1,5}|unix:/.+)$",
);

/// A digest of a table.
pub fn digest(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })
}

/// A digest of a table, if it is known.
pub fn digest_or_none(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "pattern": "^[0-9a-f]{64}$" })
}

/// The release of a router, if it is known.
pub fn router_name_or_none(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "pattern": ROUTER_NAME })
}

/// An app's own settings, which are declared elsewhere.
pub fn settings(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "$ref": format!("{COMPONENTS}Settings") })
}

/// A form of a page.
pub fn page(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 65536, "pattern": "^[^\\u0000]*$" })
}

/// A page that is JSON.
pub fn json_page(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "maxLength": 65536, "contentMediaType": "application/json",
        "format": "json", "examples": ["{\"error\":\"sorry\"}"],
    })
}

/// Where a dyno listens.
pub fn dyno_addr(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "pattern": DYNO_ADDR, "format": "dyno-addr",
        "examples": ["10.0.0.1:5000", "[fd00::1]:5000"],
    })
}

/// A dyno's release.
pub fn release(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 63, "pattern": "^[ -~]*$" })
}

/// A dyno's state.
pub fn state(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["starting", "up", "draining", "crashed"] })
}

/// A point in the past.
pub fn at(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [
        { "type": "integer", "minimum": 0, "maximum": u64::MAX },
        { "type": "string", "pattern": AT },
    ] })
}

/// The name of an app, or none.
pub fn app_or_none(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "pattern": APP_NAME })
}

/// Why a write is made, if it is said.
pub fn reason(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "maxLength": 500, "pattern": REASON })
}

/// The name of a token; `admin` is that of the admin's own.
pub fn token_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": DYNO_NAME, "not": { "const": "admin" } })
}

/// What a token allows.
pub fn scopes(_: &mut SchemaGenerator) -> Schema {
    let one = format!("^(read|push|admin|push:{})$", &APP_NAME[1..APP_NAME.len() - 1]);
    json_schema!({
        "type": "array", "minItems": 1, "maxItems": 100,
        "items": { "type": "string", "pattern": one },
    })
}

/// The host of a route, exact or a wildcard.
pub fn host() -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 1016, "format": "host-pattern",
        "examples": ["www.blog.test", "*.blog.test"],
    })
}

/// What a number of 64 bits can be: a revision, say.
pub fn whole_number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 0, "maximum": u64::MAX })
}

/// The same, or none.
pub fn whole_number_or_none(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["integer", "null"], "minimum": 0, "maximum": u64::MAX })
}

/// Ops: which bodies a path takes depends on what it names.
pub fn ops(g: &mut SchemaGenerator) -> Schema {
    const ROUTE: &str = concat!(
        r"/routes/(\*\.)?[a-z]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z]([a-z0-9]{0,62}))*",
        r"(\?path=/[A-Za-z0-9._~/-]*)?",
    );
    let app = format!("/apps/{}", &APP_NAME[1..APP_NAME.len() - 1]);
    let dyno = format!("/dynos/{}", &DYNO_NAME[1..DYNO_NAME.len() - 1]);
    let mut all = Vec::new();
    let objects = [
        (String::new(), body::<AppBody>(g), false),
        (ROUTE.to_owned(), body::<RouteBody>(g), false),
        (dyno, body::<DynoBody>(g), true),
    ];
    let certs = &CERT_NAME[1..];
    let certs = json!({ "type": "string", "pattern": format!("^/certs/{certs}") });
    for (method, body) in [("PUT", Some(g.subschema_for::<CertBody>())), ("DELETE", None)] {
        all.push(op(method, &certs, body.map(Schema::to_value), method == "PUT"));
    }
    for (below, (put, patch), needs_body) in objects {
        let path =
            json!({ "type": "string", "pattern": format!("^{app}{below}$"), "maxLength": 300 });
        all.push(op("PUT", &path, Some(put), needs_body));
        all.push(op("PATCH", &path, Some(patch), true));
        all.push(op("DELETE", &path, None, false));
    }
    json_schema!({ "type": "array", "minItems": 1, "items": { "oneOf": all } })
}

/// An op with that method on paths of that kind.
fn op(method: &str, path: &Value, body: Option<Value>, needs_body: bool) -> Value {
    let mut properties = json!({ "method": { "const": method }, "path": path });
    let mut required = vec!["method", "path"];
    if let Some(body) = body {
        properties["body"] = body;
    }
    if needs_body {
        required.push("body");
    }
    json!({
        "type": "object",
        "properties": properties, "required": required, "additionalProperties": false,
    })
}

/// What PUT and PATCH of a type take.
fn body<T: JsonSchema>(g: &mut SchemaGenerator) -> (Value, Value) {
    let put = g.subschema_for::<T>().to_value();
    let patch = json!({ "$ref": format!("{COMPONENTS}{}Patch", T::schema_name()) });
    (put, patch)
}

/// A host that a request names.
pub fn exact_host(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 1016, "format": "host" })
}

/// The path of a request, if it is said.
pub fn asked_path(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["string", "null"], "maxLength": 2048,
        "pattern": "^/[^\\u0000-\\u0020\\u007f-\\u009f]*$",
    })
}

/// The method of a request, if it is said.
pub fn asked_method(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "maxLength": 64, "pattern": TOKEN })
}

/// The headers of a request, if they are said.
pub fn asked_headers(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["object", "null"], "maxProperties": 1000,
        "propertyNames": { "pattern": TOKEN },
        "additionalProperties": { "type": "string", "pattern": "^[\\t -~]*$" },
    })
}

/// The address of a request's client, if it is said.
pub fn asked_client(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [
        { "type": "null" },
        { "type": "string", "format": "ipv4" },
        { "type": "string", "format": "ipv6" },
    ] })
}
