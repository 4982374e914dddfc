//! The bodies of ops: JSON into values of the table and back, every mistake named by its field.
//!
//! They are read field by field and not by a derived reader, which would stop at the first mistake.
//! Invariants: the fields are those of [`api::AppBody`], [`api::RouteBody`] and [`api::DynoBody`],
//! with their defaults; a field that is not among them is refused; what was written is read back.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};

use super::{address, line::Header, push::Mistake, settings::Settings};
use crate::{
    api,
    control::{
        own::{self, MAX_TOLD, Refused},
        pages,
        store::ObjectKey,
    },
    near::did_you_mean,
    route::{
        AppSettings, Dyno, DynoAddr, DynoName, DynoState, RouteSettings,
        dyno::{DEFAULT_WEIGHT, MAX_DYNO_NAME, MAX_TTL_S, MAX_WEIGHT},
    },
};

/// Every name that a body may have which is patched as JSON, of an app or a route.
pub fn shape(object: &ObjectKey) -> &'static Value {
    static APP: LazyLock<Value> = LazyLock::new(|| {
        let settings: Map<_, _> =
            own::SETTINGS.iter().map(|setting| (setting.name.into(), Value::Null)).collect();
        let page = json!({ "html": null, "json": null, "text": null });
        json!({
            "maintenance": null, "blank": null, "router": null, "protected": null,
            "settings": settings, "pages": { "error": page, "maintenance": page },
        })
    });
    static ROUTE: LazyLock<Value> = LazyLock::new(|| json!({ "protected": null }));
    if matches!(object, ObjectKey::App(_)) { &APP } else { &ROUTE }
}

/// Settings of an app as the push API says them.
pub fn app_body(settings: &AppSettings) -> api::AppBody {
    api::AppBody {
        maintenance: settings.maintenance,
        blank: settings.blank,
        router: settings.is_router,
        protected: settings.protected,
        settings: own::show(settings.own.as_deref()),
        pages: Some(pages::body(settings.pages.as_deref())),
    }
}

/// A dyno as the push API says it.
pub fn dyno_body(dyno: &Dyno) -> api::DynoBody {
    api::DynoBody {
        addr: dyno.addr.to_string(),
        release: dyno.release.to_string(),
        weight: dyno.weight,
        state: dyno.state.as_str().into(),
        ttl_s: dyno.ttl_s,
    }
}

/// Reads the settings of an app; no body means the defaults.
pub fn read_app(body: Option<&Value>) -> Result<AppSettings, Vec<Mistake>> {
    let mut fields = Fields::of("an app", body)?;
    let settings = AppSettings {
        maintenance: fields.boolean("maintenance"),
        blank: fields.boolean("blank"),
        is_router: fields.boolean("router"),
        protected: fields.boolean("protected"),
        own: fields.group("settings", own::read),
        pages: fields.group("pages", pages::read),
    };
    fields.finish()?;
    Ok(settings)
}

/// Settings of a route as the push API says them.
pub fn route_body(settings: RouteSettings) -> api::RouteBody {
    api::RouteBody { protected: settings.protected }
}

/// Reads the settings of a route; no body means the defaults.
pub fn read_route(body: Option<&Value>) -> Result<RouteSettings, Vec<Mistake>> {
    let mut fields = Fields::of("a route", body)?;
    let settings = RouteSettings { protected: fields.boolean("protected") };
    fields.finish()?;
    Ok(settings)
}

/// Reads a dyno.
pub fn read_dyno(
    name: &DynoName,
    body: Option<&Value>,
    settings: &Settings,
) -> Result<Dyno, Vec<Mistake>> {
    dyno_of(name, None, Fields::of("a dyno", body)?, settings)
}

/// Reads a merge patch of a dyno (RFC 7396), as the most frequent of all pushes without a way over
/// JSON: what is not named stays, a null stands for the default.
pub fn patch_dyno(stands: &Dyno, patch: &Value, settings: &Settings) -> Result<Dyno, Vec<Mistake>> {
    dyno_of(&stands.name, Some(stands), Fields::of("a dyno", Some(patch))?, settings)
}

fn dyno_of(
    name: &DynoName,
    stands: Option<&Dyno>,
    mut fields: Fields<'_>,
    settings: &Settings,
) -> Result<Dyno, Vec<Mistake>> {
    let addr = fields.put("addr", stands.map(|dyno| dyno.addr.clone()), read_addr);
    let allowed = |addr| match address::objection(&addr, settings) {
        Some(reason) => Err(reason),
        None => Ok(addr),
    };
    let addr = addr.and_then(|addr| fields.noted("addr", allowed(addr)));
    let release = fields.put("release", stands.map(|dyno| dyno.release.clone()), read_release);
    let weight = fields.put("weight", stands.map(|dyno| dyno.weight), read_weight);
    let state = fields.put("state", stands.map(|dyno| dyno.state), read_state);
    let ttl_s = fields.put("ttl_s", stands.map(|dyno| dyno.ttl_s), read_ttl);
    fields.finish()?;
    match (addr, release, weight, state, ttl_s) {
        (Some(addr), Some(release), Some(weight), Some(state), Some(ttl_s)) => {
            Ok(Dyno { name: name.clone(), addr, release, weight, state, ttl_s })
        }
        _ => unreachable!("a field that is missing was noted as a mistake"),
    }
}

/// Reads what is said on top of a table; where and when it stood is of no matter here.
pub fn read_header(fields: &Value) -> Result<Header, Vec<Mistake>> {
    let mut fields = Fields::of("a header", Some(fields))?;
    let digest = fields.text("digest");
    let [apps, routes, dynos, certs] =
        ["apps", "routes", "dynos", "certs"].map(|name| fields.count(name));
    let _ = ["revision", "at_ms"].map(|name| fields.count(name));
    fields.finish()?;
    Ok(Header { digest, apps, routes, dynos, certs })
}

fn read_addr(value: Option<&Value>) -> Result<DynoAddr, String> {
    let Some(value) = value else {
        return Err("it is missing: IP:port or unix:/path, where the dyno listens".into());
    };
    let text = value.as_str().ok_or_else(|| not("a string, IP:port or unix:/path", value))?;
    DynoAddr::parse(text).map_err(|error| error.to_string())
}

fn read_release(value: Option<&Value>) -> Result<Arc<str>, String> {
    let text = match value {
        Some(value) => value.as_str().ok_or_else(|| not("a string", value))?,
        None => "",
    };
    if text.len() > MAX_DYNO_NAME || !text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return Err(format!("a release is at most {MAX_DYNO_NAME} printable ASCII characters"));
    }
    Ok(text.into())
}

fn read_weight(value: Option<&Value>) -> Result<u16, String> {
    let Some(value) = value else {
        return Ok(DEFAULT_WEIGHT);
    };
    let weight = value.as_u64().and_then(|weight| u16::try_from(weight).ok());
    weight
        .filter(|weight| (1..=MAX_WEIGHT).contains(weight))
        .ok_or_else(|| not(&format!("a whole number from 1 to {MAX_WEIGHT}"), value))
}

fn read_state(value: Option<&Value>) -> Result<DynoState, String> {
    let Some(value) = value else {
        return Ok(DynoState::default());
    };
    value
        .as_str()
        .and_then(DynoState::parse)
        .ok_or_else(|| not("one of starting, up, draining and crashed", value))
}

fn read_ttl(value: Option<&Value>) -> Result<Option<u32>, String> {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let ttl_s = value.as_u64().and_then(|ttl_s| u32::try_from(ttl_s).ok());
    let should = || format!("a whole number of seconds from 1 to {MAX_TTL_S}, or null");
    let ttl_s = ttl_s.filter(|ttl_s| (1..=MAX_TTL_S).contains(ttl_s));
    ttl_s.ok_or_else(|| not(&should(), value)).map(Some)
}

/// "it is …, not …", the value cut short.
fn not(should: &str, value: &Value) -> String {
    const SHOWN: usize = 40;
    let is = match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        plain => {
            let text = plain.to_string();
            match text.char_indices().nth(SHOWN) {
                Some((cut, _)) => format!("{}…", &text[..cut]),
                None => text,
            }
        }
    };
    format!("it is {is} and should be {should}")
}

/// The fields of a body, each to be taken once.
pub(super) struct Fields<'a> {
    of: &'static str,
    body: Option<&'a Map<String, Value>>,
    known: Vec<&'static str>,
    mistakes: Vec<Mistake>,
}

impl<'a> Fields<'a> {
    /// The fields of what is in `body`: none if there is no body, or a null.
    pub fn of(of: &'static str, body: Option<&'a Value>) -> Result<Fields<'a>, Vec<Mistake>> {
        let body = match body {
            None | Some(Value::Null) => None,
            Some(Value::Object(map)) => Some(map),
            Some(other) => return Err(vec![Mistake::malformed("body", not("an object", other))]),
        };
        Ok(Fields { of, body, known: Vec::new(), mistakes: Vec::new() })
    }

    fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.body?.get(name)
    }

    fn boolean(&mut self, name: &'static str) -> bool {
        let read = match self.take(name) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| not("true or false", value)),
        };
        self.noted(name, read).unwrap_or_default()
    }

    /// A text without which there is nothing.
    pub fn required(&mut self, name: &'static str, missing: &str) -> Option<String> {
        let is_there = self.body.is_some_and(|body| body.contains_key(name));
        let text = self.text(name);
        if !is_there {
            self.mistakes.push(Mistake::malformed(name, missing));
        }
        text
    }

    fn text(&mut self, name: &'static str) -> Option<String> {
        let value = self.take(name)?;
        let text = value.as_str().ok_or_else(|| not("a text", value));
        self.noted(name, text.map(str::to_owned))
    }

    fn count(&mut self, name: &'static str) -> Option<u64> {
        let value = self.take(name)?;
        let count = value.as_u64().ok_or_else(|| not("a whole number", value));
        self.noted(name, count)
    }

    /// The fields of a field; none if it is absent.
    fn group<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Map<String, Value>) -> Result<Option<T>, Vec<Refused>>,
    ) -> Option<T> {
        match self.take(name)? {
            Value::Object(fields) => read(fields).unwrap_or_else(|refused| {
                let mistake = |(field, reason)| -> Mistake {
                    Mistake::malformed(&format!("{name}.{field}"), reason)
                };
                self.mistakes.extend(refused.into_iter().map(mistake));
                None
            }),
            other => {
                self.mistakes.push(Mistake::malformed(name, not("an object", other)));
                None
            }
        }
    }

    /// A field as a write leaves it: without something that stands, what it has or its default;
    /// else what stands, unless it is named, and a null stands for the default.
    fn put<T>(
        &mut self,
        name: &'static str,
        stands: Option<T>,
        read: impl FnOnce(Option<&Value>) -> Result<T, String>,
    ) -> Option<T> {
        let read = match (self.take(name), stands) {
            (None, Some(stands)) => Ok(stands),
            (value, Some(_)) => read(value.filter(|value| !value.is_null())),
            (value, None) => read(value),
        };
        self.noted(name, read)
    }

    fn noted<T>(&mut self, name: &str, read: Result<T, String>) -> Option<T> {
        read.map_err(|reason| self.mistakes.push(Mistake::malformed(name, reason))).ok()
    }

    /// Every mistake, fields that nobody took among them, to a bound.
    pub fn finish(mut self) -> Result<(), Vec<Mistake>> {
        let names = self.body.into_iter().flat_map(|map| map.keys());
        let others = names.filter(|name| !self.known.contains(&name.as_str()));
        for name in others.take(MAX_TOLD) {
            let remedy = did_you_mean(name, self.known.iter().copied());
            let remedy = remedy.unwrap_or_else(|| match self.known.as_slice() {
                [] => "it has: none, send {}".into(),
                known => format!("it has: {}", known.join(", ")),
            });
            let reason = format!("{} has no such field; {remedy}", self.of);
            // A field without a name is told of as the body's own.
            let name = if name.is_empty() { "body" } else { name };
            self.mistakes.push(Mistake::malformed(name, reason));
        }
        if self.mistakes.is_empty() { Ok(()) } else { Err(self.mistakes) }
    }
}
