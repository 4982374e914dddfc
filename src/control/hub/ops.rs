//! Ops into changes: what a single call would do to a given table.
//!
//! Invariants: a change that comes out of here is whole (a merge patch is resolved against the
//! object as it stands, defaults included) and may still be refused by the table; an op that is
//! refused names every mistake that can be told apart.

use serde_json::{Map, Value};

use super::{
    body::{self, app_body, route_body},
    certificate,
    path::{self, Named},
    push::Mistake,
    settings::Settings,
};
use crate::{
    api::Op,
    control::store::ObjectKey,
    route::{AppName, Change, Conflict, Table},
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

/// Says what an op does to a table, at a time in seconds since the Unix epoch.
pub fn resolve(
    op: &Op,
    table: &Table,
    settings: &Settings,
    now_s: u64,
) -> Result<Resolved, Vec<Mistake>> {
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
        Method::Put => put(&named, body, settings, now_s)?,
        Method::Patch => patch(&named, body, table, settings, now_s)?,
        Method::Delete => delete(&named, body)?,
    };
    Ok(Resolved { object: named.object, change })
}

/// The app that an op would have made had its body been right: so that what follows it in a
/// transaction is judged for itself.
pub fn intended_app(op: &Op) -> Option<Change> {
    let named = path::parse(&op.path).ok().filter(|_| op.method == "PUT")?;
    match named.object {
        ObjectKey::App(app) => Some(Change::PutApp(app, Default::default())),
        _ => None,
    }
}

/// The mistake that a table's refusal comes to.
pub fn refused(conflict: &Conflict) -> Mistake {
    match conflict {
        Conflict::NoSuchApp(_) => Mistake::missing("app", conflict),
        Conflict::NoSuchRoute { .. } => Mistake::missing("host", conflict),
        Conflict::NoSuchCertificate(_) => Mistake::missing("cert", conflict),
        Conflict::NoSuchDyno { .. } => Mistake::missing("dyno", conflict),
        Conflict::RouteTaken { .. } => Mistake::conflict("host", conflict),
        Conflict::HostFull(_) => Mistake::conflict("path", conflict),
        Conflict::Full => Mistake::conflict("app", conflict),
    }
}

fn put(
    named: &Named,
    body: Option<&Value>,
    settings: &Settings,
    now_s: u64,
) -> Result<Change, Vec<Mistake>> {
    Ok(match &named.object {
        ObjectKey::App(app) => Change::PutApp(app.clone(), body::read_app(body)?),
        ObjectKey::Certificate(name) => {
            Change::PutCertificate(certificate::read(name, body, settings, now_s)?)
        }
        ObjectKey::Route(key) => {
            Change::PutRoute(key.clone(), of_app(named), body::read_route(body)?)
        }
        ObjectKey::Dyno(app, name) => {
            Change::PutDyno(app.clone(), body::read_dyno(name, body, settings)?)
        }
    })
}

fn delete(named: &Named, body: Option<&Value>) -> Result<Change, Vec<Mistake>> {
    if body.is_some_and(|body| !body.is_null()) {
        return Err(vec![Mistake::malformed("body", "DELETE has no body")]);
    }
    Ok(match &named.object {
        ObjectKey::App(app) => Change::DeleteApp(app.clone()),
        ObjectKey::Certificate(name) => Change::DeleteCertificate(name.clone()),
        ObjectKey::Route(key) => Change::DeleteRoute(key.clone(), of_app(named)),
        ObjectKey::Dyno(app, name) => Change::DeleteDyno(app.clone(), name.as_str().into()),
    })
}

/// The app of what is an app's.
fn of_app(named: &Named) -> AppName {
    named.app.clone().expect("a route is named with its app")
}

/// Puts the object as it stands with a merge patch applied (RFC 7396).
fn patch(
    named: &Named,
    patch: Option<&Value>,
    table: &Table,
    settings: &Settings,
    now_s: u64,
) -> Result<Change, Vec<Mistake>> {
    let missing = |conflict: Conflict| vec![refused(&conflict)];
    let find = |app: &AppName| {
        let found = table.app(app.as_str());
        found.ok_or_else(|| missing(Conflict::NoSuchApp(app.clone())))
    };
    let fields = || patch.filter(|patch| patch.is_object()).ok_or_else(no_patch);
    let stands = match &named.object {
        ObjectKey::App(app) => serde_json::to_value(app_body(&find(app)?.settings)),
        ObjectKey::Certificate(_) => {
            let reason = "a certificate is set whole, the chain with its key: PUT";
            return Err(vec![Mistake::malformed("method", reason)]);
        }
        ObjectKey::Route(key) => {
            let app = of_app(named);
            find(&app)?;
            let owner = table.route(key).filter(|owner| owner.name == app);
            owner.ok_or_else(|| missing(Conflict::NoSuchRoute { app, key: key.clone() }))?;
            serde_json::to_value(route_body(table.route_settings(key).unwrap_or_default()))
        }
        ObjectKey::Dyno(app, name) => {
            let conflict = || Conflict::NoSuchDyno { app: app.clone(), dyno: name.to_string() };
            let stands = find(app)?.dyno(name.as_str()).ok_or_else(|| missing(conflict()))?;
            return Ok(Change::PutDyno(
                app.clone(),
                body::patch_dyno(stands, fields()?, settings)?,
            ));
        }
    };
    let fields = fields()?;
    let mut merged = stands.expect("plain fields have a JSON form");
    merge(&mut merged, fields, Some(body::shape(&named.object)));
    put(named, Some(&merged), settings, now_s)
}

fn no_patch() -> Vec<Mistake> {
    vec![Mistake::malformed("body", "PATCH needs an object: a JSON merge patch")]
}

/// RFC 7396, section 2, but that a null stays where a name is none that can be there, so that who
/// reads the outcome refuses it: it was mistyped. The depth is bounded by the JSON reader's.
fn merge(into: &mut Value, patch: &Value, shape: Option<&Value>) {
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
        let shape = shape.and_then(|shape| shape.get(name));
        if value.is_null() && shape.is_some() {
            fields.remove(name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), value, shape);
        }
    }
}
