//! Time travel: the whole table, differences, the history, and the way back.
//!
//! Invariants: answers come from the archive, beside the hub and the live table; one that grows
//! with the table is streamed, its first line at once; a table that was streamed to its end has the
//! digest that its first line says.

use std::{convert::identity, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use tokio::{runtime::Handle, time::timeout};

use super::{
    at, body, conditions,
    gate::Caller,
    idempotency,
    options::{self, WriteOptions},
    problem::{Refusal, answer},
    read::{DEFAULT_PAGE, Params, bad_param, page_limit, unknown_param},
    router::Shared,
    stream::{LookError, Pieces, blocking, lines, look},
    write::{bad_body, carry_out, reason_header, reason_of, told as told_done},
};
use crate::{
    api::{DiffHeader, FieldError, List, Standing, TableHeader},
    control::{
        hub::{Asked as AskedOfHub, Condition, Consent, Revert},
        store::{At, Cursor, Difference, Differences, Filter, Point, StoreError, View},
    },
    route::{AppName, Change, Counts, Digest, Object, Revision, canonical::FORM},
};

type Answer = Result<Response, Refusal>;

/// About how many bytes of lines are sent at once of the table that is served.
const PIECE: usize = 64 << 10;
/// How long a client may take nothing of it.
const STALL: Duration = Duration::from_secs(30);

/// `GET /v1/table?at=`.
pub(super) async fn table(State(shared): State<Arc<Shared>>, params: Params) -> Answer {
    let mut when = None;
    for (param, value) in params?.0 {
        match param.as_str() {
            "at" => when = Some(parse_at("at", &value)?),
            other => return Err(unknown_param(other, "at")),
        }
    }
    let archive = shared.state.hub.archive().clone();
    let opened = blocking(&shared, move || {
        if when.is_none() {
            archive.check_trust()?;
        }
        let view = archive.open()?;
        let revision = revision_of(&view, when)?;
        let point = view.point(revision)?;
        Ok((view, point))
    });
    let (view, point) = match opened.await {
        Ok(opened) => opened,
        // What is served is known without the database.
        Err(LookError::Store(_)) if when.is_none() => return served_table(shared),
        Err(error) => return Err(error.into()),
    };
    let (response, pieces) = begin_table(&point)?;
    tokio::spawn(async move {
        cut_on_error(&pieces, send_table(&shared, view, point, &pieces).await).await;
    });
    Ok(response)
}

fn begin_table(point: &Point) -> Result<(Response, Pieces), Refusal> {
    let Counts { apps, routes, dynos, certificates: certs } = point.counts;
    let header = TableHeader {
        v: FORM,
        kind: "table".into(),
        revision: point.revision.0,
        at_ms: point.at_ms,
        digest: point.digest.to_string(),
        apps,
        routes,
        dynos,
        certs,
    };
    lines(header.revision, &header)
}

/// The table that is served, without a look at the database.
fn served_table(shared: Arc<Shared>) -> Answer {
    let snapshot = shared.state.reader.load_full();
    let table = snapshot.table().clone();
    let (revision, digest, counts) = (table.revision(), table.digest(), table.counts());
    let known = shared.state.hub.feed().standing(revision);
    let at_ms = known.map_or(0, |standing| standing.at_ms);
    let (response, pieces) = begin_table(&Point { revision, at_ms, digest, counts })?;
    tokio::spawn(async move {
        let (runtime, to) = (Handle::current(), pieces.clone());
        let sent = blocking(&shared, move || {
            let send = |lines: String| {
                let sent = timeout(STALL, to.send(Ok(Bytes::from(lines))));
                runtime.block_on(sent).is_ok_and(|sent| sent.is_ok())
            };
            let mut piece = String::new();
            let all = table.each(|object| {
                piece.push_str(&object.line());
                piece.push('\n');
                piece.len() < PIECE || send(std::mem::take(&mut piece))
            });
            Ok(all && send(piece))
        });
        let sent = match sent.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("its client took nothing for {STALL:?}")),
            Err(error) => Err(error.to_string()),
        };
        cut_on_error(&pieces, sent).await;
    });
    Ok(response)
}

async fn send_table(
    shared: &Arc<Shared>,
    mut view: View,
    point: Point,
    pieces: &Pieces,
) -> Result<(), String> {
    let mut sum = Digest::default();
    let mut next = Some(Cursor::start());
    while let Some(cursor) = next {
        let read = blocking(shared, move || {
            let page = view.objects(point.revision, cursor)?;
            let (mut text, mut digest) = (String::new(), Digest::default());
            for change in &page.items {
                let line = line_of(change);
                digest.add(Digest::of(line.as_bytes()));
                text.push_str(&line);
                text.push('\n');
            }
            Ok((view, text, digest, page.next))
        });
        let (text, digest);
        (view, text, digest, next) = read.await.map_err(|error: LookError| error.to_string())?;
        sum.add(digest);
        if !text.is_empty() && pieces.send(Ok(Bytes::from(text))).await.is_err() {
            return Ok(());
        }
    }
    if sum == point.digest {
        return Ok(());
    }
    let Point { revision, digest, .. } = point;
    let reason = format!("revision {revision} has digest {digest}, what was read of it has {sum}");
    shared.state.hub.archive().doubt(&reason);
    Err(reason)
}

/// `GET /v1/diff?from=&to=&app=`.
pub(super) async fn diff(State(shared): State<Arc<Shared>>, params: Params) -> Answer {
    let (mut from, mut to, mut app) = (None, None, None);
    for (param, value) in params?.0 {
        match param.as_str() {
            "from" => from = Some(parse_at("from", &value)?),
            "to" => to = Some(parse_at("to", &value)?),
            "app" => app = Some(app_name(&value)?),
            other => return Err(unknown_param(other, "from, to, app")),
        }
    }
    let from = from.ok_or_else(|| bad_param("from", format!("missing: {}", at::FORMS)))?;
    let opened = look(&shared, move |view| {
        let from = view.revision_at(from)?;
        let to = revision_of(&view, to)?;
        Ok((view.point(from)?, view.point(to)?, view))
    });
    let (from, to, view) = opened.await?;
    let header = DiffHeader { v: FORM, kind: "diff".into(), from: told(&from), to: told(&to) };
    let (response, pieces) = lines(to.revision.0, &header)?;
    tokio::spawn(async move {
        let differences = blocking(&shared, move || {
            Differences::between(view, from.revision, to.revision, app.as_deref())
        });
        let sent = match differences.await {
            Ok(differences) => send_differences(&shared, differences, &pieces).await,
            Err(error) => Err(error.to_string()),
        };
        cut_on_error(&pieces, sent).await;
    });
    Ok(response)
}

async fn send_differences(
    shared: &Arc<Shared>,
    mut differences: Differences,
    pieces: &Pieces,
) -> Result<(), String> {
    let mut next = Some(Cursor::start());
    while let Some(cursor) = next {
        let read = blocking(shared, move || {
            let page = differences.page(&cursor)?;
            let text: String = page.items.iter().map(difference_line).collect();
            Ok((differences, text, page.next))
        });
        let text;
        (differences, text, next) = read.await.map_err(|error: LookError| error.to_string())?;
        if !text.is_empty() && pieces.send(Ok(Bytes::from(text))).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn line_of(change: &Change) -> String {
    Object::put_by(change).expect("what was there is put").line()
}

fn difference_line(difference: &Difference) -> String {
    match (difference.before.as_ref().map(line_of), difference.after.as_ref().map(line_of)) {
        (None, Some(after)) => format!("{{\"change\":\"added\",\"after\":{after}}}\n"),
        (Some(before), None) => format!("{{\"change\":\"removed\",\"before\":{before}}}\n"),
        (Some(before), Some(after)) => {
            format!("{{\"change\":\"changed\",\"before\":{before},\"after\":{after}}}\n")
        }
        (None, None) => String::new(),
    }
}

/// Ends a streamed answer: one that could not be made to its end is cut.
async fn cut_on_error(pieces: &Pieces, sent: Result<(), String>) {
    if let Err(error) = sent {
        tracing::error!(%error, "a streamed answer was cut");
        if pieces.send(Err(std::io::Error::other(error))).await.is_err() {
            tracing::debug!("its client was gone already");
        }
    }
}

/// `GET /v1/history`.
pub(super) async fn history(State(shared): State<Arc<Shared>>, params: Params) -> Answer {
    let mut filter = Filter { limit: DEFAULT_PAGE, ..Filter::default() };
    for (param, value) in params?.0 {
        match param.as_str() {
            "app" => filter.app = Some(app_name(&value)?),
            "author" => filter.author = Some(value),
            "since" => filter.since = Some(parse_at("since", &value)?),
            "until" => filter.until = Some(parse_at("until", &value)?),
            "before" => {
                let bad = |_| bad_param("before", "a revision is a whole number".into());
                filter.before = Some(value.parse().map_err(bad)?);
            }
            "limit" => filter.limit = page_limit(&value)?,
            other => {
                let known = "app, author, since, until, before, limit";
                return Err(unknown_param(other, known));
            }
        }
    }
    let limit = filter.limit;
    filter.limit += 1;
    let read = look(&shared, move |view| Ok((view.newest()?.0, view.history(&filter)?)));
    let (revision, mut items) = read.await?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| last.revision.to_string());
    Ok(answer(revision, &List { revision, items, next }))
}

/// `POST /v1/revert`.
pub(super) async fn revert(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Answer {
    let WriteOptions { mut consent, wait } = options::alone(request.uri().query())?;
    conditions::none(request.headers())?;
    let key = idempotency::key(request.headers())?;
    let reason = reason_header(request.headers())?;
    let mut held = body::read(&shared, request).await?;
    let body = held.json.take();
    let body = body.ok_or_else(|| bad_body("a revert has a body: {\"to\":REV}"))?;
    let (condition, call) = (Condition::default(), ("POST", "/revert"));
    let by = |key| idempotency::known_by(&caller.holder, key, call, (&condition, &consent), &body);
    let key = key.map(by);
    let asked = parse_revert(body, &mut consent)?;
    let reason = asked.reason.or(reason);
    let (to, app, dynos) = (asked.to, asked.app, asked.dynos);
    let meant = app.clone();
    let read = look(&shared, move |view| {
        let to = view.revision_at(to)?;
        let name = meant.as_ref().map(AppName::as_str);
        let there = match name {
            Some(name) => view.had_app(name, to)?,
            None => true,
        };
        let seen = view.newest()?;
        let differences = Differences::between(view, seen, to, name)?.collect()?;
        Ok((to, there, seen, differences))
    });
    let (to, there, seen, differences) = read.await?;
    if let Some(app) = app.as_ref().filter(|_| !there) {
        let reason = format!("there was no app {app} at revision {to}: DELETE removes one");
        return Err(Refusal::field(StatusCode::NOT_FOUND, "app", reason));
    }
    let reason = reason.unwrap_or_else(|| default_reason(to, app.as_ref()));
    let author = caller.holder.name.clone();
    let revert = Revert { author, reason: Some(reason), to, app, dynos, seen, differences };
    let wanted = caller.wants(AskedOfHub::Revert(revert), (condition, consent), key);
    let mut done = carry_out(&shared, &caller, wanted, identity).await?;
    drop(held);
    wait.for_fleet(&shared, &mut done).await;
    Ok(told_done(&done))
}

fn default_reason(to: Revision, app: Option<&AppName>) -> String {
    match app {
        Some(app) => format!("revert of app {app} to revision {to}"),
        None => format!("revert to revision {to}"),
    }
}

/// A revert as it is asked for.
struct Asked {
    to: At,
    app: Option<AppName>,
    dynos: bool,
    reason: Option<String>,
}

/// Reads a revert by hand, so that every mistake is named, not the first alone.
fn parse_revert(body: Value, consent: &mut Consent) -> Result<Asked, Refusal> {
    let Value::Object(fields) = body else {
        return Err(bad_body("a revert is an object: {\"to\":REV}"));
    };
    let mut errors = Vec::new();
    let mut wrong = |field: &str, reason: String| {
        errors.push(FieldError { field: field.into(), reason, ..FieldError::default() });
    };
    let (mut to, mut app, mut dynos, mut reason) = (None, None, false, None);
    let mut is_missing = true;
    for (name, value) in fields {
        if let Some(read) = options::field(consent, &name, &value) {
            read.unwrap_or_else(|error| wrong(&name, error.reason));
            continue;
        }
        match (name.as_str(), value) {
            ("to", value) => {
                is_missing = false;
                to = match &value {
                    Value::Number(number) => number.as_u64().map(at::of_number),
                    Value::String(text) => at::parse(text),
                    _ => None,
                };
                if to.is_none() {
                    wrong("to", format!("it is to be {}", at::FORMS));
                }
            }
            ("app" | "dynos" | "reason", Value::Null) => {}
            ("app", Value::String(text)) => match AppName::parse(&text) {
                Ok(name) => app = Some(name),
                Err(error) => wrong("app", error.to_string()),
            },
            ("dynos", Value::Bool(asked)) => dynos = asked,
            ("reason", value) => match reason_of(value) {
                Ok(text) => reason = Some(text),
                Err(error) => wrong("reason", error.reason),
            },
            ("app", _) => wrong("app", "the name of an app, as a text".into()),
            ("dynos", _) => wrong("dynos", "true or false".into()),
            (other, _) => {
                wrong(other, "no such field: to, app, dynos, reason, force, confirm".into())
            }
        }
    }
    if is_missing {
        wrong("to", format!("missing: {}", at::FORMS));
    }
    match to {
        Some(to) if errors.is_empty() => Ok(Asked { to, app, dynos, reason }),
        _ => Err(Refusal::fields(StatusCode::UNPROCESSABLE_ENTITY, errors)),
    }
}

fn app_name(value: &str) -> Result<String, Refusal> {
    let name = AppName::parse(value).map_err(|error| bad_param("app", error.to_string()))?;
    Ok(name.to_string())
}

/// Reads a revision or a time out of a parameter.
pub(super) fn parse_at(param: &str, value: &str) -> Result<At, Refusal> {
    at::parse(value).ok_or_else(|| bad_param(param, format!("it is to be {}", at::FORMS)))
}

fn revision_of(view: &View, at: Option<At>) -> Result<Revision, StoreError> {
    at.map_or_else(|| view.newest(), |at| view.revision_at(at))
}

fn told(point: &Point) -> Standing {
    Standing { revision: point.revision.0, at_ms: point.at_ms, digest: point.digest.to_string() }
}
