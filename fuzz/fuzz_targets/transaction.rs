//! Pushes: whatever the ops are, they are judged, and what is accepted makes a table that holds.
//!
//! A run is a list of transactions, as JSON lines or made of parts that nearly fit.
//! Invariants that are tried: a refusal names a mistake, of an op that is there, and leaves the
//! table alone; what is accepted changes something; a push of PUTs alone changes nothing when it is
//! told again.
#![no_main]

use hostler::{
    api::{Op, TransactionBody},
    control::hub::{Push, PushError, Settings, judge},
    route::{Revision, Table, settings::MAX_PAGE},
};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use serde_json::{Value, json};

/// The most transactions of one run.
const MAX_TRANSACTIONS: usize = 20;
/// The most ops of a transaction that is made of parts.
const MAX_OPS: usize = 8;
/// Names that stand in bodies, some of them only in those of other objects.
const FIELDS: [&str; 12] = [
    "addr",
    "weight",
    "state",
    "release",
    "ttl_s",
    "maintenance",
    "blank",
    "router",
    "settings",
    "pages",
    "error",
    "other",
];
/// Settings that an app may have, one that it may not, and one that there is not.
const SETTINGS: [&str; 9] = [
    "timeouts.first_byte",
    "timeouts.idle",
    "dynos.keep_alive",
    "dynos.max_requests",
    "dynos.retry_budget",
    "limits.request_line",
    "limits.min_body_rate",
    "limits.request_head",
    "limits.other",
];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut table = Table::new(1);
    match data.split_first() {
        Some((b'{', _)) => {
            for line in data.split(|b| *b == b'\n').take(MAX_TRANSACTIONS) {
                if let Ok(body) = serde_json::from_slice::<TransactionBody>(line) {
                    push(&mut table, body);
                }
            }
        }
        Some((_, parts)) => {
            let mut parts = Unstructured::new(parts);
            for _ in 0..MAX_TRANSACTIONS {
                match transaction(&mut parts) {
                    Ok(body) if !parts.is_empty() => push(&mut table, body),
                    _ => break,
                }
            }
        }
        None => {}
    }
});

fn push(table: &mut Table, body: TransactionBody) {
    let TransactionBody { if_revision, reason, ops, .. } = body;
    let push = Push { author: "fuzz".into(), reason, if_revision, ops, misread: Vec::new() };
    let settings = Settings::default();
    // The newest revision changed whatever is asked for.
    let last = table.revision();
    let last_change = |_: &_| Ok((last > Revision(0)).then_some(last));
    let before = (table.revision(), table.counts());
    match judge(&push, table, &settings, &last_change) {
        Ok(Some(accepted)) => {
            assert!(!accepted.edits.is_empty());
            assert_eq!((table.revision(), table.counts()), before);
            *table = accepted.table;
            table.set_revision(last.next());
            consistent(table);
            if push.ops.iter().all(|op| op.method == "PUT") {
                let again = Push { if_revision: None, ..push };
                let told = judge(&again, table, &settings, &last_change);
                assert!(matches!(told, Ok(None)), "{told:?} of {again:?}");
            }
        }
        Ok(None) => {}
        Err(error) => {
            assert!(matches!(error.status(), 404 | 409 | 422), "{error}");
            assert!(!error.errors().is_empty());
            let named = error.errors().iter().filter_map(|mistake| mistake.op);
            assert!(named.max().is_none_or(|op| op < push.ops.len()));
            assert!(error.errors().iter().all(|e| !e.field.is_empty() && !e.reason.is_empty()));
            assert!(!matches!(error, PushError::Busy));
            assert_eq!((table.revision(), table.counts()), before);
        }
    }
}

/// What the table counts is what it holds, and every route leads to its app.
fn consistent(table: &Table) {
    let counts = table.counts();
    let apps: Vec<_> = table.apps().iter().map(|(_, app)| app).collect();
    assert_eq!(apps.len(), counts.apps);
    let mut routes = 0;
    for app in &apps {
        assert!(app.dynos.is_sorted_by(|a, b| a.name < b.name));
        for key in table.routes_of(app.name.as_str()) {
            assert_eq!(table.route(&key).map(|owner| &owner.name), Some(&app.name));
            routes += 1;
        }
    }
    assert_eq!(routes, counts.routes);
    assert_eq!(apps.iter().map(|app| app.dynos.len()).sum::<usize>(), counts.dynos);
}

fn transaction(parts: &mut Unstructured<'_>) -> Result<TransactionBody> {
    let mut ops = Vec::new();
    for _ in 0..parts.int_in_range(0..=MAX_OPS)? {
        let methods = ["PUT", "PUT", "PUT", "PUT", "PATCH", "DELETE", "GET"];
        let method = parts.choose(&methods)?.to_string();
        let body = if parts.ratio(3, 4)? { Some(body(parts, 0)?) } else { None };
        ops.push(Op { method, path: path(parts)?, body });
    }
    let if_revision = if parts.ratio(1, 8)? { Some(parts.int_in_range(0..=9)?) } else { None };
    Ok(TransactionBody { if_revision, ops, ..TransactionBody::default() })
}

fn path(parts: &mut Unstructured<'_>) -> Result<String> {
    let app = parts.choose(&["a", "b", "c", "d", "A", "-", "%61", ""])?;
    let host = parts.choose(&["a.test", "*.a.test", "b.a.test.", "A.test", "10.0.0.1", "a:1"])?;
    let prefix = parts.choose(&["", "", "", "?path=/x", "?path=/x/y", "?path=%2Fx", "?path=x"])?;
    let dyno = parts.choose(&["web.1", "web.2", "web.3", "%77eb.1", "w/1"])?;
    Ok(match parts.int_in_range(0..=8)? {
        0..=2 => format!("/apps/{app}"),
        3..=5 => format!("/apps/{app}/routes/{host}{prefix}"),
        6..=7 => format!("/apps/{app}/dynos/{dyno}"),
        _ => parts.arbitrary::<&str>()?.into(),
    })
}

/// An app's body, or the merge patch of one.
fn app(parts: &mut Unstructured<'_>) -> Result<Value> {
    let mut app = serde_json::Map::new();
    for flag in ["maintenance", "blank", "router", "protected"] {
        if parts.arbitrary()? {
            app.insert(flag.into(), json!(parts.arbitrary::<bool>()?));
        }
    }
    if parts.arbitrary()? {
        let mut settings = serde_json::Map::new();
        for _ in 0..parts.int_in_range(0..=3)? {
            settings.insert((*parts.choose(&SETTINGS)?).into(), value(parts)?);
        }
        app.insert("settings".into(), settings.into());
    }
    if parts.arbitrary()? {
        let page = parts.choose(&["error", "maintenance", "other"])?;
        let form = parts.choose(&["html", "json", "text", "xml"])?;
        let text = match parts.int_in_range(0..=4)? {
            0 => Value::Null,
            1 => json!("{\"away\":true}"),
            2 => json!("<p>away"),
            3 => json!("x".repeat(MAX_PAGE + usize::from(parts.arbitrary::<bool>()?))),
            _ => json!(parts.arbitrary::<&str>()?),
        };
        app.insert("pages".into(), json!({ (*page): { (*form): text } }));
    }
    Ok(app.into())
}

/// What a setting may be, or nearly.
fn value(parts: &mut Unstructured<'_>) -> Result<Value> {
    let values = [
        json!("60s"),
        json!("250ms"),
        json!("0s"),
        json!(8192),
        json!("8KiB"),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(true),
        Value::Null,
        json!([]),
    ];
    Ok(match parts.int_in_range(0..=values.len())? {
        at if at < values.len() => values[at].clone(),
        _ => json!(parts.arbitrary::<&str>()?),
    })
}

fn body(parts: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    Ok(match parts.int_in_range(0..=11)? {
        0..=2 => json!({}),
        3..=5 => {
            let port = parts.int_in_range(0..=3)?;
            json!({ "addr": format!("127.0.0.1:{port}"), "weight": parts.int_in_range(0..=1100)? })
        }
        6 => json!({ "addr": parts.choose(&["unix:/x", "[::1]:1", "169.254.1.1:1", "x"])? }),
        7 => app(parts)?,
        8 => json!({ "state": parts.choose(&["up", "draining", "down"])?, "release": "v2" }),
        9 => json!(parts.arbitrary::<&str>()?),
        10 => json!(parts.arbitrary::<i64>()?),
        _ if depth == 4 => Value::Null,
        _ => {
            let field = parts.choose(&FIELDS)?;
            json!({ (*field): body(parts, depth + 1)? })
        }
    })
}
