//! Ops into changes: what a single call would do to a given table.
//!
//! Invariants: a change that comes out of here is whole (a merge patch is resolved against the
//! object as it stands, defaults included) and may still be refused by the table; an op that is
//! refused names every mistake that can be told apart.

use serde_json::{Map, Value};

use super::{
    body::{self, app_body, dyno_body, route_body},
    path::{self, Named},
    push::Mistake,
    settings::Settings,
};
use crate::{
    api::Op,
    control::store::ObjectKey,
    route::{Change, Conflict, Table},
};

/// An op as it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The object that it names.
    pub object: ObjectKey,
    /// What it does.
    pub change: Change,
}

#[derive(Debug, Clone, Copy)]
enum Method {
    Put,
    Patch,
    Delete,
}

/// Says what an op does to a table.
pub fn resolve(op: &Op, table: &Table, settings: &Settings) -> Result<Resolved, Vec<Mistake>> {
    let method = match op.method.as_str() {
        "PUT" => Ok(Method::Put),
        "PATCH" => Ok(Method::Patch),
        "DELETE" => Ok(Method::Delete),
        _ => Err(vec![Mistake::malformed("method", "a method is PUT, PATCH or DELETE")]),
    };
    let (method, named) = match (method, path::parse(&op.path)) {
        (Ok(method), Ok(named)) => (method, named),
        (method, named) => {
            let mistakes = method.err().into_iter().chain(named.err());
            return Err(mistakes.flatten().collect());
        }
    };
    let body = op.body.as_ref();
    let change = match method {
        Method::Put => put(&named, body, settings)?,
        Method::Patch => {
            let patched = patched(&named, body, table)?;
            put(&named, Some(&patched), settings)?
        }
        Method::Delete => delete(&named, body)?,
    };
    Ok(Resolved { object: named.object, change })
}

/// The app that an op would have made had its body been right: so that what follows it in a
/// transaction is judged for itself.
pub fn intended_app(op: &Op) -> Option<Change> {
    let named = path::parse(&op.path).ok().filter(|_| op.method == "PUT")?;
    let app = matches!(named.object, ObjectKey::App(_));
    app.then(|| Change::PutApp(named.app, Default::default()))
}

/// The mistake that a table's refusal comes to.
pub fn refused(conflict: &Conflict) -> Mistake {
    match conflict {
        Conflict::NoSuchApp(_) => Mistake::missing("app", conflict),
        Conflict::NoSuchRoute { .. } => Mistake::missing("host", conflict),
        Conflict::NoSuchDyno { .. } => Mistake::missing("dyno", conflict),
        Conflict::RouteTaken { .. } => Mistake::conflict("host", conflict),
        Conflict::HostFull(_) => Mistake::conflict("path", conflict),
        Conflict::Full => Mistake::conflict("app", conflict),
    }
}

fn put(named: &Named, body: Option<&Value>, settings: &Settings) -> Result<Change, Vec<Mistake>> {
    let app = named.app.clone();
    Ok(match &named.object {
        ObjectKey::App(_) => Change::PutApp(app, body::read_app(body)?),
        ObjectKey::Route(key) => Change::PutRoute(key.clone(), app, body::read_route(body)?),
        ObjectKey::Dyno(_, name) => Change::PutDyno(app, body::read_dyno(name, body, settings)?),
    })
}

fn delete(named: &Named, body: Option<&Value>) -> Result<Change, Vec<Mistake>> {
    if body.is_some_and(|body| !body.is_null()) {
        return Err(vec![Mistake::malformed("body", "DELETE has no body")]);
    }
    let app = named.app.clone();
    Ok(match &named.object {
        ObjectKey::App(_) => Change::DeleteApp(app),
        ObjectKey::Route(key) => Change::DeleteRoute(key.clone(), app),
        ObjectKey::Dyno(_, name) => Change::DeleteDyno(app, name.as_str().into()),
    })
}

/// The object as it stands, in its JSON form, with a merge patch applied (RFC 7396).
fn patched(named: &Named, patch: Option<&Value>, table: &Table) -> Result<Value, Vec<Mistake>> {
    let missing = |conflict: Conflict| vec![refused(&conflict)];
    let app = named.app.clone();
    let found = table.app(app.as_str()).ok_or_else(|| missing(Conflict::NoSuchApp(app.clone())))?;
    let stands = match &named.object {
        ObjectKey::App(_) => serde_json::to_value(app_body(&found.settings)),
        ObjectKey::Route(key) => {
            let owner = table.route(key).filter(|owner| owner.name == app);
            owner.ok_or_else(|| missing(Conflict::NoSuchRoute { app, key: key.clone() }))?;
            serde_json::to_value(route_body(table.route_settings(key).unwrap_or_default()))
        }
        ObjectKey::Dyno(_, name) => {
            let dyno = name.to_string();
            let found = found.dyno(name.as_str());
            let found = found.ok_or_else(|| missing(Conflict::NoSuchDyno { app, dyno }))?;
            serde_json::to_value(dyno_body(found))
        }
    };
    match patch {
        Some(patch @ Value::Object(_)) => {
            let mut merged = stands.expect("plain fields have a JSON form");
            merge(&mut merged, patch);
            Ok(merged)
        }
        _ => Err(vec![Mistake::malformed("body", "PATCH needs an object: a JSON merge patch")]),
    }
}

/// RFC 7396, section 2. The depth is bounded by the JSON reader's.
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Value::Object(fields) = into else {
        unreachable!("it was made an object");
    };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), value);
        }
    }
}
