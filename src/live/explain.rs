//! Why a request would go where: the rules that the look-up tries, the app, each of its dynos with
//! its cell, how the choice among them falls, and what the request would come to.
//!
//! It asks what the engine asks (the table's look-up, [`super::choice`], [`balance::pick`]), in the
//! engine's order, and changes nothing. Invariants: of one snapshot and one moment; whatever the
//! table holds, lists are bounded by [`MAX_RULES`] and [`MAX_DYNOS`], and what they leave out is
//! counted; the head's own form and bounds are not judged, but for the method.

use std::{borrow::Cow, net::IpAddr, sync::Arc, time::Duration};

use super::{
    Affinity, ClientLimits, Clients, Comeback, Lack, LiveApp, LiveDyno, Snapshot, Waiting,
    choice::{self, Asking},
    clients::Left,
    key::Keyed,
};
use crate::{
    balance::{self, Bar, Candidate, Draw, NoCounts, affinity::Seal},
    error::Fault,
    route::{AppName, DynoName, Host, HostPattern, OwnAffinity, PathPrefix, path},
};

/// The most rules that are listed before the one that takes the request.
pub const MAX_RULES: usize = 100;
/// The most dynos that are listed.
pub const MAX_DYNOS: usize = 100;

/// A request that nobody made.
#[derive(Debug, Clone)]
pub struct Request {
    /// The host.
    pub host: Host,
    /// The path without its query; `*` is the server as a whole.
    pub path: String,
    /// The method.
    pub method: String,
    /// The client's address, if it is said; without it nothing is judged that depends on it.
    pub client: Option<IpAddr>,
    /// Headers by name.
    pub headers: Vec<(String, String)>,
    /// When it would come, in seconds since the Unix epoch.
    pub unix_s: u32,
}

/// What the router's own settings say of every exchange whose app says nothing else.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Is a method forwarded?
    pub is_forwarded: fn(&[u8]) -> bool,
    /// `limits.app_connections`
    pub app_connections: u32,
    /// Who waits, and for how long.
    pub waiting: Waiting,
    /// How clients come back to their dyno.
    pub affinity: Affinity,
    /// What their cookies are signed with.
    pub seal: Arc<Seal>,
    /// The values of the cookies of a name in a `Cookie` line.
    pub cookies: for<'a> fn(&'a [u8], &'a [u8]) -> Vec<&'a [u8]>,
    /// What clients may do.
    pub client_limits: ClientLimits,
    /// What they have done.
    pub clients: Arc<Clients>,
}

/// A route that the look-up tried, or a host without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The host, or a wildcard that takes it in.
    pub host: HostPattern,
    /// A path prefix of it and the app that owns it; none if the host has no route.
    pub route: Option<(PathPrefix, AppName)>,
    /// Does it take the request? No other is tried then.
    pub took: bool,
}

/// A dyno of the app, and how the choice saw it.
#[derive(Debug, Clone)]
pub struct Considered {
    /// The dyno and its cell.
    pub live: LiveDyno,
    /// What the choice saw.
    pub candidate: Candidate,
    /// How long it is still passed over after a failed connect, in milliseconds.
    pub quarantined_for_ms: u64,
    /// The chance that it gets the request, 0 to 1; none if no dyno does, or if that depends on
    /// the requests between.
    pub chance: Option<f64>,
}

/// What the client's cookie does, in an app with affinity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returning {
    /// The name of the cookie.
    pub cookie: Arc<str>,
    /// What becomes of the client; none if it has no cookie that counts.
    pub comeback: Option<Comeback>,
}

/// What the request would come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A dyno gets it: this one, if no draw can change that.
    Dyno(Option<DynoName>),
    /// It waits for a dyno, this long at most; then it is answered with the fault.
    Hold(Duration, Fault),
    /// It is answered with the fault at once.
    Fault(Fault),
}

/// Why a request would go where.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The path as prefixes are compared with it.
    pub path: String,
    /// What the look-up tried, in order.
    pub rules: Vec<Rule>,
    /// How many more there were before the last of them.
    pub rules_omitted: usize,
    /// The app that owns the route.
    pub app: Option<Arc<LiveApp>>,
    /// Its dynos by name, as far as they are listed.
    pub dynos: Vec<Considered>,
    /// What keeps each dyno, the ones that are not listed too, from being chosen.
    pub bars: Vec<Option<Bar>>,
    /// Its key, if something of the app is decided by one, and it has one.
    pub key: Option<u64>,
    /// What its client's cookie does, if the app has affinity.
    pub returning: Option<Returning>,
    /// What is left for its client, in the order in which it would be counted.
    pub limits: Vec<Left>,
    /// What it comes to.
    pub outcome: Outcome,
}

/// Explains what the request would meet at `now_ms` of the cells' clock.
pub fn explain(snapshot: &Snapshot, request: &Request, rules: &Rules, now_ms: u64) -> Explanation {
    let table = snapshot.table();
    let path = request.path.as_bytes();
    let tries = table.tries(&request.host, path, MAX_RULES);
    let name = |slot| table.apps().get(slot).map(|app| app.name.clone());
    let rule = |one: crate::route::Try| {
        let route = one.route.and_then(|(prefix, slot)| Some((prefix, name(slot)?)));
        Rule { host: one.host, route, took: one.took }
    };
    let app = snapshot.find(&request.host, path).cloned();
    let dynos = app.as_ref().map_or(&[][..], |app| &app.dynos);
    let key = app.as_deref().and_then(|app| key(app, request));
    let caps = app.as_deref().map(|app| rules.waiting.of(app).caps).unwrap_or_default();
    let asking = Asking { key, named: None, tried: &[], now_ms, caps };
    let candidates = app.as_ref().map_or_else(Vec::new, |app| choice::candidates(app, &asking));
    let returning = app.as_ref().and_then(|app| returning(app, request, rules, &asking));
    let plan = app.as_ref().map(|app| &app.balancing.plan);
    let chances = match returning.as_ref().and_then(|returning| returning.comeback) {
        Some(Comeback::To(at)) => Some(certain(at, candidates.len())),
        _ => plan.and_then(|plan| balance::chances(plan, &candidates, key)),
    };
    let limits = app.as_deref().map_or_else(Vec::new, |app| left(app, request, rules, now_ms));
    let outcome = outcome(app.as_deref(), request, rules, &candidates, chances.as_deref());
    let outcome = limited(outcome, &limits);
    let is_drawn = matches!(outcome, Outcome::Dyno(_));
    let considered = |(at, live): (usize, &LiveDyno)| Considered {
        live: live.clone(),
        candidate: candidates[at],
        quarantined_for_ms: live.cell.health.quarantined_until_ms().saturating_sub(now_ms),
        chance: chances.as_ref().map(|chances| chances[at]).filter(|_| is_drawn),
    };
    Explanation {
        path: lossy(path::normalise(path)),
        rules: tries.listed.into_iter().map(rule).collect(),
        rules_omitted: tries.omitted,
        dynos: dynos.iter().enumerate().take(MAX_DYNOS).map(considered).collect(),
        key,
        returning,
        limits,
        bars: candidates.iter().map(|candidate| candidate.bar).collect(),
        outcome,
        app,
    }
}

/// The key of a request, where something of its app is decided by it.
fn key(app: &LiveApp, request: &Request) -> Option<u64> {
    let headers = request.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let path = request.path.as_bytes();
    app.balancing.key.as_ref()?.of(Keyed { client: request.client, path, headers })
}

/// What the request comes to, judged in the order in which an exchange is.
fn outcome(
    app: Option<&LiveApp>,
    request: &Request,
    rules: &Rules,
    candidates: &[Candidate],
    chances: Option<&[f64]>,
) -> Outcome {
    if !(rules.is_forwarded)(request.method.as_bytes()) {
        return Outcome::Fault(Fault::MethodNotAllowed);
    }
    let Some(app) = app else { return Outcome::Fault(Fault::UnknownHost) };
    let own = app.app.settings.own.as_deref().cloned().unwrap_or_default();
    let limits = rules.client_limits.with(&own.clients);
    if request.client.is_some_and(|client| !limits.admits(client)) {
        return Outcome::Fault(Fault::ForbiddenClient);
    }
    if !app.cell.has_room(own.app_connections.unwrap_or(rules.app_connections)) {
        return Outcome::Fault(Fault::ConnectionLimit);
    }
    if let Some(fault) = app.closed() {
        return Outcome::Fault(fault);
    }
    let waiting = rules.waiting.of(app);
    // Any draw tells whether there is a dyno to be drawn.
    let mut draw =
        Draw { key: None, fit: None, abreast: NoCounts::NONE, random: |_| 0, turn: |_| 0 };
    let drawn = balance::pick(&app.balancing.plan, candidates.len(), |i| candidates[i], &mut draw);
    let behind = waiting.is_behind_others(app).then_some(Lack::Full);
    let lack = waiting.before_dynos(app).or(behind).map_or(drawn.map_err(Lack::from), Err);
    match lack {
        Ok(_) => {
            let only = chances.and_then(|c| c.iter().position(|chance| *chance == 1.0));
            Outcome::Dyno(only.map(|at| app.dynos[at].dyno.name.clone()))
        }
        Err(lack) => match waiting.hope(lack) {
            (fault, Duration::ZERO) => Outcome::Fault(fault),
            _ if app.cell.queue.waiting() >= waiting.max => {
                Outcome::Fault(waiting.turned_away(lack))
            }
            (fault, time) => Outcome::Hold(time, fault),
        },
    }
}

/// The chances of so many dynos if this one is certain.
fn certain(at: usize, count: usize) -> Vec<f64> {
    (0..count).map(|other| f64::from(u8::from(other == at))).collect()
}

/// What the cookie of a request to an app does, if the app has affinity.
fn returning(
    app: &LiveApp,
    request: &Request,
    rules: &Rules,
    asking: &Asking<'_>,
) -> Option<Returning> {
    let own = app.app.settings.own.as_deref();
    let affinity = rules.affinity.with(own.map_or(&OwnAffinity::default(), |own| &own.affinity));
    if !affinity.enabled {
        return None;
    }
    let lines = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
    let cookie = affinity.cookie.as_bytes();
    let values = lines.flat_map(|(_, line)| (rules.cookies)(line.as_bytes(), cookie));
    let named = affinity.read(&rules.seal, app.app.name.as_str(), values, request.unix_s);
    let comeback = named.map(|named| app.comeback(&rules.seal, named.tag, asking));
    Some(Returning { cookie: affinity.cookie.clone(), comeback })
}

/// What is left for the client of a request to an app.
fn left(app: &LiveApp, request: &Request, rules: &Rules, now_ms: u64) -> Vec<Left> {
    let own = app.app.settings.own.as_deref();
    let of_app = own.map(|own| rules.client_limits.with(&own.clients));
    let limits = of_app.as_ref().unwrap_or(&rules.client_limits);
    let Some(client) = request.client.filter(|_| !limits.is_none()) else { return Vec::new() };
    let is_it = |(name, _): &&(String, String)| name.eq_ignore_ascii_case(&limits.header);
    let mut values = request.headers.iter().filter(is_it).map(|(_, value)| value.as_bytes());
    let value = values.next().filter(|_| values.next().is_none());
    let asker = rules.clients.asker(app.app.name.as_str(), &app.cell, client, value);
    rules.clients.left(&asker, limits, now_ms)
}

/// The outcome for a client of whom that is left: who would be counted is refused if nothing is.
fn limited(outcome: Outcome, limits: &[Left]) -> Outcome {
    let is_counted = match &outcome {
        Outcome::Dyno(_) | Outcome::Hold(..) => true,
        // What is found out behind the count.
        Outcome::Fault(fault) => {
            matches!(fault, Fault::NoDynos | Fault::AppCrashed | Fault::BacklogTooDeep)
        }
    };
    let spent = limits.iter().find(|left| left.left == 0).filter(|_| is_counted);
    match spent {
        Some(Left { window: Some(_), .. }) => Outcome::Fault(Fault::RateLimited),
        Some(_) => Outcome::Fault(Fault::TooManyConcurrent),
        None => outcome,
    }
}

fn lossy(bytes: Cow<'_, [u8]>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
