//! `POST /v1/explain`: reads the question, and says the answer of [`crate::live::explain`].
//!
//! Invariants: every mistake in a question is named by its field; what is taken is what a request
//! could hold, within bounds; nothing is changed, and nothing waits.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    response::Response,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Map, Value};

use super::{
    body,
    problem::{Refusal, answer},
    read::{Params, no_params},
    router::Shared,
};
use crate::{
    api::{
        FieldError,
        explain::{
            AffinityView, ConsideredView, DynoCounts, ExplainView, ExplainedApp, FaultView,
            LimitView, OutcomeView, RuleView,
        },
    },
    balance::{Bar, ONE_WEIGHT, Plan},
    control::{clock, hub::app_body},
    error::Fault,
    live::{
        Comeback, LiveApp, Snapshot,
        clients::Left,
        explain::{self, Considered, Explanation, Outcome, Returning, Rule},
    },
    route::{AppSettings, Host},
};

/// Explains requests: the router's own settings and its clock are the shell's to know.
pub type Explain = dyn Fn(&Snapshot, &explain::Request) -> Explanation + Send + Sync;

/// The longest path, in bytes: what `limits.request_line` allows by default.
const MAX_PATH: usize = 8192;
/// The longest method, in bytes.
const MAX_METHOD: usize = 64;
/// The most headers.
const MAX_HEADERS: usize = 1000;

/// `POST /v1/explain`.
pub(super) async fn explain(
    State(shared): State<Arc<Shared>>,
    params: Params,
    request: Request,
) -> Result<Response, Refusal> {
    no_params(params)?;
    let mut held = body::read_small(&shared, request).await?;
    let missing = "a question has a body: {\"host\":\"www.a.test\"}";
    let missing = || Refusal::field(StatusCode::BAD_REQUEST, "body", missing);
    let asked = read(held.json.take().ok_or_else(missing)?)?;
    let snapshot = shared.state.reader.load_full();
    let explanation = (shared.state.explain)(&snapshot, &asked);
    let revision = snapshot.table().revision().0;
    Ok(answer(revision, &told(revision, asked, explanation)))
}

/// Reads a question by hand, so that every mistake is named.
fn read(body: Value) -> Result<explain::Request, Refusal> {
    let Value::Object(mut fields) = body else {
        let reason = "a question is an object: {\"host\":\"www.a.test\"}";
        return Err(Refusal::field(StatusCode::BAD_REQUEST, "body", reason));
    };
    let mut mistakes = Vec::new();
    let host = noted("host", read_host(fields.remove("host")), &mut mistakes);
    let method = noted("method", read_method(fields.remove("method")), &mut mistakes);
    let path = read_path(fields.remove("path"), method.as_deref().unwrap_or_default());
    let path = noted("path", path, &mut mistakes);
    let headers = noted("headers", read_headers(fields.remove("headers")), &mut mistakes);
    let client = noted("client", read_client(fields.remove("client")), &mut mistakes);
    for name in fields.keys() {
        mistakes.push(mistake(name, "no such field: host, path, method, headers, client".into()));
    }
    match (host, path, method, headers, client) {
        (Some(host), Some(path), Some(method), Some(headers), Some(client))
            if mistakes.is_empty() =>
        {
            let unix_s = u32::try_from(clock::now_ms() / 1000).unwrap_or(u32::MAX);
            Ok(explain::Request { host, path, method, headers, client, unix_s })
        }
        _ => Err(Refusal::fields(StatusCode::UNPROCESSABLE_ENTITY, mistakes)),
    }
}

fn mistake(field: &str, reason: String) -> FieldError {
    FieldError { field: field.into(), reason, ..FieldError::default() }
}

fn noted<T>(field: &str, read: Result<T, String>, mistakes: &mut Vec<FieldError>) -> Option<T> {
    read.map_err(|reason| mistakes.push(mistake(field, reason))).ok()
}

fn text(value: Option<Value>, what: &str) -> Result<Option<String>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{what}, as a text")),
    }
}

fn read_host(value: Option<Value>) -> Result<Host, String> {
    let text = text(value, "the host that the request names")?;
    let text = text.ok_or("it is missing: the host that the request names")?;
    Host::parse(text.as_bytes()).map_err(|error| error.to_string())
}

fn read_method(value: Option<Value>) -> Result<String, String> {
    let method = text(value, "a method")?.unwrap_or_else(|| "GET".into());
    let is_one = method.len() <= MAX_METHOD && Method::from_bytes(method.as_bytes()).is_ok();
    if is_one { Ok(method) } else { Err(format!("a method is a token of at most {MAX_METHOD}")) }
}

/// The path, without the query and the fragment behind it.
fn read_path(value: Option<Value>, method: &str) -> Result<String, String> {
    let mut path = text(value, "a path")?.unwrap_or_else(|| "/".into());
    let may_stand = |c: char| !c.is_control() && c != ' ';
    if path.len() > MAX_PATH || !path.chars().all(may_stand) {
        return Err(format!("a path has at most {MAX_PATH} bytes, no blanks and no controls"));
    }
    let is_star = path == "*" && method == "OPTIONS";
    if !is_star && !path.starts_with('/') {
        return Err("a path begins with /, or is the * of OPTIONS".into());
    }
    path.truncate(path.find(['?', '#']).unwrap_or(path.len()));
    Ok(path)
}

fn read_headers(value: Option<Value>) -> Result<Vec<(String, String)>, String> {
    let fields = match value {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err("an object: a text for each name".into()),
    };
    if fields.len() > MAX_HEADERS {
        return Err(format!("at most {MAX_HEADERS}"));
    }
    let header = |(name, value): (String, Value)| {
        let is_name = HeaderName::from_bytes(name.as_bytes()).is_ok();
        match value {
            Value::String(value) if is_name && HeaderValue::from_str(&value).is_ok() => {
                Ok((name, value))
            }
            _ => Err(format!("{name:?} and its value are no header")),
        }
    };
    fields.into_iter().map(header).collect()
}

fn read_client(value: Option<Value>) -> Result<Option<IpAddr>, String> {
    let what = "the client's IP address";
    let text = text(value, what)?;
    text.map(|text| text.parse().map_err(|_| what.into())).transpose()
}

fn told(revision: u64, asked: explain::Request, explanation: Explanation) -> ExplainView {
    let Explanation {
        path,
        rules,
        rules_omitted,
        app,
        dynos,
        bars,
        key,
        returning,
        limits,
        outcome,
    } = explanation;
    let affinity = returning.zip(app.as_ref()).map(|(returning, app)| affinity(returning, app));
    let how = app.as_ref().map(|app| app.balancing.plan.how());
    ExplainView {
        revision,
        method: asked.method,
        host: asked.host.to_string(),
        path,
        rules: rules.into_iter().map(rule).collect(),
        rules_omitted,
        app: app.map(|app| told_app(&app, &bars)),
        dynos_omitted: bars.len() - dynos.len(),
        dynos: dynos.iter().map(dyno).collect(),
        key: key.map(|key| format!("{key:016x}")),
        affinity,
        limits: limits.into_iter().map(limit).collect(),
        choice: how.unwrap_or(Plan::default().how()).into(),
        outcome: match outcome {
            Outcome::Dyno(dyno) => OutcomeView::Dyno { dyno: dyno.map(|dyno| dyno.to_string()) },
            Outcome::Hold(at_most, fault) => OutcomeView::Hold {
                at_most_ms: at_most.as_millis() as u64,
                then: told_fault(fault),
            },
            Outcome::Fault(fault) => OutcomeView::Fault(told_fault(fault)),
        },
    }
}

fn affinity(Returning { cookie, comeback }: Returning, app: &LiveApp) -> AffinityView {
    let name = |at: usize| Some(app.dynos[at].dyno.name.to_string());
    let (verdict, dyno, passed_over) = match comeback {
        None => ("none", None, None),
        Some(Comeback::To(at)) => ("returns", name(at), None),
        Some(Comeback::Spared(at)) => ("spared", name(at), Some(Bar::Full)),
        Some(Comeback::Unfit(at, bar)) => ("unfit", name(at), Some(bar)),
        Some(Comeback::Gone) => ("gone", None, None),
    };
    AffinityView {
        cookie: cookie.to_string(),
        verdict: verdict.into(),
        dyno,
        passed_over: passed_over.map(|bar| bar.as_str().into()),
    }
}

fn limit(left: Left) -> LimitView {
    LimitView {
        setting: left.setting.into(),
        most: left.most,
        window_ms: left.window.map(|window| window.as_millis() as u64),
        left: left.left,
    }
}

fn rule(rule: Rule) -> RuleView {
    let (path, app) = rule.route.map(|(path, app)| (path.to_string(), app.to_string())).unzip();
    RuleView { host: rule.host.to_string(), path, app, matched: rule.took }
}

fn told_app(app: &LiveApp, bars: &[Option<Bar>]) -> ExplainedApp {
    let of = &app.app.settings;
    // Its pages say nothing of where a request goes, and may be large.
    let said = app_body(&AppSettings { pages: None, ..of.clone() });
    let count = |bar| bars.iter().filter(|one| **one == bar).count();
    ExplainedApp {
        name: app.app.name.to_string(),
        maintenance: said.maintenance,
        blank: said.blank,
        router: said.router,
        settings: said.settings,
        in_flight: app.cell.in_flight(),
        connections: app.cell.connections(),
        dynos: DynoCounts {
            candidates: count(None),
            starting: count(Some(Bar::Starting)),
            draining: count(Some(Bar::Draining)),
            crashed: count(Some(Bar::Crashed)),
            quarantined: count(Some(Bar::Quarantined)),
            ejected: count(Some(Bar::Ejected)),
            failing: count(Some(Bar::Failing)),
            unproven: count(Some(Bar::Unproven)),
            shareless: count(Some(Bar::Shareless)),
            full: count(Some(Bar::Full)),
        },
    }
}

fn dyno(considered: &Considered) -> ConsideredView {
    let Considered { live, candidate, quarantined_for_ms, chance } = considered;
    let passed_over = candidate.bar.map(Bar::as_str);
    ConsideredView {
        name: live.dyno.name.to_string(),
        addr: live.dyno.addr.to_string(),
        release: live.dyno.release.to_string(),
        weight: live.dyno.weight,
        state: live.dyno.state.as_str().into(),
        effective_weight: f64::from(candidate.weight) / f64::from(ONE_WEIGHT),
        latency_ms: Some(candidate.latency_us).filter(|us| *us > 0).map(in_ms),
        load: candidate.load.map(|thousandths| f64::from(thousandths) / 1000.0),
        in_flight: candidate.in_flight,
        failed_connects: live.cell.health.strikes(),
        quarantined_for_ms: *quarantined_for_ms,
        passed_over: passed_over.map(Into::into),
        chance: *chance,
    }
}

fn in_ms(us: u32) -> f64 {
    f64::from(us) / 1000.0
}

fn told_fault(fault: Fault) -> FaultView {
    FaultView {
        code: fault.code().into(),
        status: fault.status(),
        description: fault.desc().into(),
    }
}
