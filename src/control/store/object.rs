//! Objects as the store keeps them: a kind, a readable key, and a body of JSON.
//!
//! An app's key is `blog`, a dyno's `blog/web.1`, a route's `www.a.test/api`, a certificate's its
//! name: no app or host holds a slash, so each key reads back in one way.
//! Of an app only what is set is written, but for its maintenance mode, which earlier releases
//! look for.
//! Invariants: kinds sort so that an app stands before its dynos and routes; one object has one
//! body text (fields in one order, no blanks).

use std::{borrow::Cow, fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::certificate;
use crate::{
    control::{
        own::{self, Refused},
        pages,
    },
    route::{
        AppName, AppSettings, CertName, Certificate, Change, Dyno, DynoAddr, DynoName, DynoState,
        HostPattern, Object, PathPrefix, PrivateKey, RouteKey, RouteSettings, Table,
    },
};

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An app and its settings.
    App,
    /// A certificate.
    Certificate,
    /// A dyno.
    Dyno,
    /// A route.
    Route,
}

impl Kind {
    /// Every kind, in the order in which objects are put into a table.
    pub const ALL: [Kind; 4] = [Kind::App, Kind::Certificate, Kind::Dyno, Kind::Route];

    /// The kind of that word.
    pub fn parse(text: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The word of the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::App => "app",
            Kind::Certificate => "cert",
            Kind::Dyno => "dyno",
            Kind::Route => "route",
        }
    }
}

/// What names an object in the whole table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKey {
    /// An app.
    App(AppName),
    /// A certificate.
    Certificate(CertName),
    /// A dyno of an app.
    Dyno(AppName, DynoName),
    /// A route, whoever owns it.
    Route(RouteKey),
}

impl ObjectKey {
    /// The object that a change puts or removes; none if nothing can have its name.
    pub fn of(change: &Change) -> Option<ObjectKey> {
        Some(match change {
            Change::PutApp(app, _) | Change::DeleteApp(app) => ObjectKey::App(app.clone()),
            Change::PutRoute(key, ..) | Change::DeleteRoute(key, _) => {
                ObjectKey::Route(key.clone())
            }
            Change::PutCertificate(certificate) => ObjectKey::Certificate(certificate.name.clone()),
            Change::DeleteCertificate(name) => ObjectKey::Certificate(name.clone()),
            Change::PutDyno(app, dyno) => ObjectKey::Dyno(app.clone(), dyno.name.clone()),
            Change::DeleteDyno(app, name) => {
                ObjectKey::Dyno(app.clone(), DynoName::parse(name).ok()?)
            }
        })
    }

    /// What a table holds under it.
    pub fn object<'a>(&'a self, table: &'a Table) -> Option<Object<'a>> {
        Some(match self {
            ObjectKey::App(name) => Object::App(name, &table.app(name.as_str())?.settings),
            ObjectKey::Certificate(name) => Object::Certificate(table.certificate(name.as_str())?),
            ObjectKey::Dyno(app, name) => {
                Object::Dyno(app, table.app(app.as_str())?.dyno(name.as_str())?)
            }
            ObjectKey::Route(key) => {
                Object::Route(&table.route(key)?.name, key, table.route_settings(key)?)
            }
        })
    }

    /// What it is.
    pub(super) fn kind(&self) -> Kind {
        match self {
            ObjectKey::App(_) => Kind::App,
            ObjectKey::Certificate(_) => Kind::Certificate,
            ObjectKey::Dyno(..) => Kind::Dyno,
            ObjectKey::Route(_) => Kind::Route,
        }
    }

    /// Its key in the database.
    pub(super) fn text(&self) -> String {
        match self {
            ObjectKey::App(app) => app.to_string(),
            ObjectKey::Certificate(name) => name.to_string(),
            ObjectKey::Dyno(app, dyno) => format!("{app}/{dyno}"),
            ObjectKey::Route(key) => format!("{}{}", key.host, key.path),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectKey::App(app) => write!(f, "app {app}"),
            ObjectKey::Certificate(name) => write!(f, "certificate {name}"),
            ObjectKey::Dyno(app, dyno) => write!(f, "dyno {dyno} of app {app}"),
            ObjectKey::Route(key) => write!(f, "route {key}"),
        }
    }
}

/// Hands out every object of a table as it is kept: kind, key, app (empty for what is no app's),
/// body; kind by kind.
pub fn each_in<E>(
    table: &Table,
    mut take: impl FnMut(Kind, &str, &str, &str) -> Result<(), E>,
) -> Result<(), E> {
    for kind in Kind::ALL {
        if kind == Kind::Certificate {
            for certificate in table.certificates() {
                take(kind, certificate.name.as_str(), "", &certificate::encode(certificate))?;
            }
            continue;
        }
        for (_, app) in table.apps().iter() {
            let keys = match kind {
                Kind::App => vec![ObjectKey::App(app.name.clone())],
                kind => belongings(table, &app.name)
                    .into_iter()
                    .filter(|key| key.kind() == kind)
                    .collect(),
            };
            for key in keys {
                let value = Value::of(table, &key).expect("what a table lists is there");
                take(kind, &key.text(), app.name.as_str(), &value.encode())?;
            }
        }
    }
    Ok(())
}

/// The routes and dynos of an app.
pub fn belongings(table: &Table, app: &AppName) -> Vec<ObjectKey> {
    let routes = table.routes_of(app.as_str()).into_iter().map(ObjectKey::Route);
    let dynos = table.app(app.as_str()).map(|app| app.dynos.as_slice()).unwrap_or_default();
    routes.chain(dynos.iter().map(|d| ObjectKey::Dyno(app.clone(), d.name.clone()))).collect()
}

/// What a table holds under a key.
#[derive(PartialEq)]
pub(super) enum Value<'a> {
    App(&'a AppSettings),
    Certificate(&'a Certificate),
    Dyno(&'a Dyno),
    Route(&'a AppName, RouteSettings),
}

impl Value<'_> {
    pub(super) fn of<'a>(table: &'a Table, key: &ObjectKey) -> Option<Value<'a>> {
        match key {
            ObjectKey::App(name) => Some(Value::App(&table.app(name.as_str())?.settings)),
            ObjectKey::Certificate(name) => {
                Some(Value::Certificate(table.certificate(name.as_str())?))
            }
            ObjectKey::Dyno(app, name) => {
                Some(Value::Dyno(table.app(app.as_str())?.dyno(name.as_str())?))
            }
            ObjectKey::Route(key) => {
                Some(Value::Route(&table.route(key)?.name, table.route_settings(key)?))
            }
        }
    }

    /// The app of the object of that key; none of what is no app's.
    pub(super) fn app(&self, key: &ObjectKey) -> Option<AppName> {
        match (self, key) {
            (Value::Route(app, _), _) => Some((*app).clone()),
            (_, ObjectKey::App(app) | ObjectKey::Dyno(app, _)) => Some(app.clone()),
            (_, ObjectKey::Certificate(_)) => None,
            (_, ObjectKey::Route(_)) => unreachable!("what stands under a route's key is a route"),
        }
    }

    /// Its body.
    pub(super) fn encode(&self) -> String {
        let encoded = match self {
            Value::App(settings) => {
                let own = own::show(settings.own.as_deref());
                serde_json::to_string(&AppRow {
                    maintenance: settings.maintenance,
                    blank: settings.blank,
                    router: settings.is_router,
                    protected: settings.protected,
                    settings: (!own.is_empty()).then_some(own),
                    pages: settings.pages.as_deref().map(|own| pages::body(Some(own))),
                })
            }
            Value::Certificate(certificate) => return certificate::encode(certificate),
            Value::Dyno(dyno) => serde_json::to_string(&DynoRow {
                addr: dyno.addr.to_string().into(),
                release: (&*dyno.release).into(),
                weight: dyno.weight,
                state: dyno.state.as_str().into(),
                ttl_s: dyno.ttl_s,
            }),
            Value::Route(app, RouteSettings { protected }) => {
                let (app, protected) = (app.as_str().into(), *protected);
                serde_json::to_string(&RouteRow { app, protected })
            }
        };
        encoded.expect("plain fields have a JSON form")
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AppRow<Pages> {
    maintenance: bool,
    #[serde(default, skip_serializing_if = "is_off")]
    blank: bool,
    #[serde(default, skip_serializing_if = "is_off")]
    router: bool,
    #[serde(default, skip_serializing_if = "is_off")]
    protected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<Fields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<Pages>,
}

/// What is yet to be read; it was checked when it was pushed.
type Fields = Map<String, serde_json::Value>;

fn is_off(switch: &bool) -> bool {
    !switch
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DynoRow<'a> {
    #[serde(borrow)]
    addr: Cow<'a, str>,
    #[serde(borrow)]
    release: Cow<'a, str>,
    weight: u16,
    #[serde(borrow)]
    state: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_s: Option<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteRow<'a> {
    #[serde(borrow)]
    app: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "is_off")]
    protected: bool,
}

/// Puts an object that was read into a table; the app of a dyno or route must be there already.
/// The error says what is wrong with the object.
pub fn insert(table: &mut Table, kind: Kind, key: &str, body: &str) -> Result<(), String> {
    let change = decode(Some(table), kind, key, body)?;
    let applied = table.apply(&change);
    applied.map(|_| ()).map_err(|conflict| format!("{} {key:?}: {conflict}", kind.as_str()))
}

/// Reads an object as the change that puts it; the names of apps that are in the table already are
/// shared with it, not made anew for each of their objects. The error says what is wrong with it.
pub fn decode(table: Option<&Table>, kind: Kind, key: &str, body: &str) -> Result<Change, String> {
    decode_bare(table, kind, key, body)
        .map_err(|reason| format!("{} {key:?}: {reason}", kind.as_str()))
}

fn decode_bare(table: Option<&Table>, kind: Kind, key: &str, body: &str) -> Result<Change, String> {
    let json =
        |error: serde_json::Error| format!("its body {body:?} is not what it should be: {error}");
    match kind {
        Kind::App => {
            let row: AppRow<Fields> = serde_json::from_str(body).map_err(json)?;
            let name = AppName::parse(key).map_err(|e| e.to_string())?;
            let settings = AppSettings {
                maintenance: row.maintenance,
                blank: row.blank,
                is_router: row.router,
                protected: row.protected,
                own: checked(row.settings.as_ref(), own::read_kept)?,
                pages: checked(row.pages.as_ref(), pages::read)?,
            };
            Ok(Change::PutApp(name, settings))
        }
        Kind::Certificate => {
            let name = CertName::parse(key).map_err(|e| e.to_string())?;
            Ok(Change::PutCertificate(Arc::new(certificate::decode(name, body)?)))
        }
        Kind::Dyno => {
            let row: DynoRow<'_> = serde_json::from_str(body).map_err(json)?;
            let (app, name) = key.split_once('/').ok_or("its key is not app/dyno")?;
            let dyno = Dyno {
                name: DynoName::parse(name).map_err(|e| e.to_string())?,
                addr: DynoAddr::parse(&row.addr).map_err(|e| e.to_string())?,
                release: Arc::from(&*row.release),
                weight: row.weight,
                state: DynoState::parse(&row.state).ok_or("its state is unknown")?,
                ttl_s: row.ttl_s,
            };
            Ok(Change::PutDyno(owner(table, app)?, dyno))
        }
        Kind::Route => {
            let row: RouteRow<'_> = serde_json::from_str(body).map_err(json)?;
            let key = route_key(key)?;
            let settings = RouteSettings { protected: row.protected };
            Ok(Change::PutRoute(key, owner(table, &row.app)?, settings))
        }
    }
}

/// The change without what nobody but the holder of the table is to see: a private key.
pub fn public(change: Change) -> Change {
    match change {
        Change::PutCertificate(certificate) if certificate.key.is_kept() => {
            let key = PrivateKey::default();
            Change::PutCertificate(Arc::new(Certificate { key, ..(*certificate).clone() }))
        }
        change => change,
    }
}

/// Reads the key of a route.
pub fn route_key(key: &str) -> Result<RouteKey, String> {
    let slash = key.find('/').ok_or("its key is not host/path")?;
    let (host, path) = key.split_at(slash);
    Ok(RouteKey {
        host: HostPattern::parse(host).map_err(|e| e.to_string())?,
        path: PathPrefix::parse(path).map_err(|e| e.to_string())?,
    })
}

fn checked<T>(
    fields: Option<&Fields>,
    read: fn(&Fields) -> Result<Option<T>, Vec<Refused>>,
) -> Result<Option<T>, String> {
    let refused = |refused: Vec<Refused>| {
        let told: Vec<_> = refused.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        told.join(", ")
    };
    fields.map_or(Ok(None), |fields| read(fields).map_err(refused))
}

fn owner(table: Option<&Table>, app: &str) -> Result<AppName, String> {
    let Some(table) = table else {
        return AppName::parse(app).map_err(|error| error.to_string());
    };
    let found = table.app(app).map(|app| app.name.clone());
    found.ok_or_else(|| format!("there is no app {app:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_read_whose_settings_could_not_be_pushed_any_more() {
        let body = r#"{"maintenance":false,"settings":{"health.timeout":"3600s"}}"#;
        let read = decode(None, Kind::App, "one", body);
        assert!(matches!(&read, Ok(Change::PutApp(..))), "{read:?}");
    }
}
