//! `GET /v1/apps/{app}/stats`: what an app is doing in this router, and did, by its live cells.
//!
//! Invariant: numbers are read as they stand, one after the other: they are figures for people and
//! graphs, not a moment that was ever whole.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};

use super::{
    problem::{Refusal, answer},
    read::{Params, Segments, no_params, not_found},
    router::Shared,
};
use crate::{
    api::{AppStats, DynoStats, FiguresView, PartView, ShadowView, TimesView, TurnView},
    control::clock,
    live::{
        LiveDyno,
        health::Happened,
        histogram::Distribution,
        shadow::Compared,
        stats::{CLASSES, PARTS, Seen, WINDOW_MS},
    },
};

/// Tells what an app and its dynos are doing.
pub(super) async fn stats(
    State(shared): State<Arc<Shared>>,
    path: Segments<String>,
    params: Params,
) -> Result<Response, Refusal> {
    let Path(name) = path?;
    no_params(params)?;
    let snapshot = shared.state.reader.load_full();
    let missing = || not_found("app", format!("there is no app {name}"));
    let live = snapshot.app(&name).ok_or_else(missing)?;
    let now_ms = u64::try_from(shared.state.began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let revision = snapshot.table().revision().0;
    let seen = live.cell.figures.get().map(|figures| figures.seen(now_ms));
    let stats = AppStats {
        app: live.app.name.to_string(),
        revision,
        in_flight: live.cell.in_flight(),
        waiting: live.cell.queue.waiting(),
        connections: live.cell.connections(),
        begun: live.cell.begun(),
        shadow: live.balancing.shadow.as_ref().and_then(|shadow| shadow.compared()).map(compared),
        figures: seen.map(|seen| told(&seen, now_ms)),
        dynos: live.dynos.iter().map(|dyno| of_dyno(dyno, now_ms)).collect(),
    };
    Ok(answer(revision, &stats))
}

fn of_dyno(live: &LiveDyno, now_ms: u64) -> DynoStats {
    let LiveDyno { dyno, cell } = live;
    DynoStats {
        name: dyno.name.to_string(),
        addr: dyno.addr.to_string(),
        release: dyno.release.to_string(),
        state: dyno.state.as_str().into(),
        in_flight: cell.in_flight(),
        failed_connects: cell.health.strikes(),
        quarantine_ms: cell.health.quarantined_until_ms().saturating_sub(now_ms),
        ejected_ms: cell.health.ejected_until_ms().saturating_sub(now_ms),
        ejections: cell.health.ejections(),
        past: cell.health.past().into_iter().map(|turn| told_turn(turn, now_ms)).collect(),
        limit: cell.known_limit(),
        latency_ms: Some(cell.latency.get().us)
            .filter(|us| *us > 0)
            .map(|us| f64::from(us) / 1000.0),
        figures: cell.figures.get().map(|figures| told(&figures.seen(now_ms), now_ms)),
    }
}

/// A turn, whose times are told as those of the wall.
fn told_turn(turn: Happened, now_ms: u64) -> TurnView {
    let began_ms = clock::now_ms().saturating_sub(now_ms);
    TurnView {
        at_ms: began_ms + turn.at_ms,
        what: turn.what.as_str().into(),
        until_ms: Some(turn.until_ms).filter(|ms| *ms > 0).map(|ms| began_ms + ms),
        why: turn.why.into(),
    }
}

fn compared(of: Compared) -> ShadowView {
    let Compared { exchanges, acting, shadow, even, waited } = of;
    ShadowView { exchanges, acting, shadow, even, waited }
}

fn told(seen: &Seen, now_ms: u64) -> FiguresView {
    let some = |(class, count): (&str, &u64)| (*count > 0).then(|| (class.to_owned(), *count));
    let faults = seen.faults();
    FiguresView {
        exchanges: seen.exchanges(),
        statuses: CLASSES.into_iter().zip(&seen.statuses).filter_map(some).collect(),
        faults: faults.into_iter().map(|(code, count)| (code.to_owned(), count)).collect(),
        retries: seen.retries,
        hedges: seen.hedges[0],
        hedges_won: seen.hedges[1],
        recent: times(&seen.lately, now_ms.min(WINDOW_MS + now_ms % WINDOW_MS)),
        since_start: times(&seen.ever, now_ms),
    }
}

fn times(parts: &[Distribution; PARTS.len()], window_ms: u64) -> TimesView {
    let [total, queue, connect, dyno, client] = parts;
    TimesView {
        window_s: window_ms as f64 / 1000.0,
        exchanges: total.count(),
        total: part(total),
        queue: part(queue),
        connect: part(connect),
        dyno: part(dyno),
        client: part(client),
    }
}

fn part(of: &Distribution) -> Option<PartView> {
    let ms = |us: u64| us as f64 / 1000.0;
    let [p50_ms, p90_ms, p99_ms, p999_ms] =
        [0.5, 0.9, 0.99, 0.999].map(|share| of.quantile_us(share).map(ms));
    Some(PartView {
        mean_ms: of.sum_us() as f64 / of.count() as f64 / 1000.0,
        p50_ms: p50_ms?,
        p90_ms: p90_ms?,
        p99_ms: p99_ms?,
        p999_ms: p999_ms?,
    })
}
