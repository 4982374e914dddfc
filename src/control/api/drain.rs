//! Waiting until a dyno that drains has nothing in flight any more: `wait=empty&timeout=30s` on its
//! GET, which then tells how it stands, and on its DELETE, which then removes it.
//!
//! Invariants: a wait has a bound, and ends when the process drains; what ends it is read from the
//! dyno's cell, whatever was announced; a dyno that is up is never empty for good, and not waited
//! for.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use http::StatusCode;
use tokio::time::{Instant, sleep_until};

use super::{problem::Refusal, read::bad_param, router::Shared};
use crate::{control::store::ObjectKey, live::LiveDyno, route::DynoState, units};

/// How long a call may wait.
const WAITS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(600);
/// How long it waits unless it says so.
pub(super) const DEFAULT_WAIT: Duration = Duration::from_secs(30);
/// How often a dyno is looked at, should what is announced not come by.
const LOOK: Duration = Duration::from_secs(1);

/// Reads how long a call waits that says `wait=empty`.
pub(super) fn time(timeout: Option<&str>) -> Result<Duration, Refusal> {
    let Some(text) = timeout else { return Ok(DEFAULT_WAIT) };
    let wrong =
        |wrong: units::Wrong| bad_param("timeout", format!("{}: {}", wrong.what, wrong.remedy));
    units::duration(text, &WAITS).map_err(wrong)
}

/// The dyno as it is now; none if there is none.
pub(super) fn live(shared: &Shared, app: &str, dyno: &str) -> Option<LiveDyno> {
    shared.state.reader.load_full().app(app)?.dyno(dyno).cloned()
}

/// Waits until a dyno that gets nothing new has nothing in flight, at most so long; answers how
/// many it has then, or nothing if it is gone.
///
/// # Errors
/// If the dyno is up.
pub(super) async fn emptied(
    shared: &Arc<Shared>,
    app: &str,
    dyno: &str,
    time: Duration,
) -> Result<Option<u32>, Refusal> {
    let deadline = Instant::now() + time;
    // Before the first look, so that nothing is missed between.
    let mut news = shared.state.hub.feed().announcements();
    let mut revisions = shared.state.hub.feed().subscribe();
    loop {
        let Some(LiveDyno { dyno: pushed, cell }) = live(shared, app, dyno) else {
            return Ok(None);
        };
        if pushed.state == DynoState::Up {
            let detail = format!("dyno {dyno} is up: mark it draining, then wait for it");
            return Err(Refusal::new(StatusCode::CONFLICT, detail));
        }
        let is_over = cell.is_empty() || Instant::now() >= deadline;
        if is_over {
            return Ok(Some(cell.in_flight()));
        }
        tokio::select! {
            // Whatever it says, even that something was missed.
            _ = news.recv() => {}
            _ = revisions.changed() => {}
            () = sleep_until(deadline.min(Instant::now() + LOOK)) => {}
            () = shared.state.shutdown.draining() => return Ok(Some(cell.in_flight())),
        }
    }
}

/// Waits before a dyno is removed; one that is not there is for the hub to tell of.
///
/// # Errors
/// If it is up, or has exchanges in flight when the time is over.
pub(super) async fn before_removal(
    shared: &Arc<Shared>,
    object: Option<&ObjectKey>,
    time: Duration,
) -> Result<(), Refusal> {
    let Some(ObjectKey::Dyno(app, dyno)) = object else {
        return Err(bad_param("wait", "wait=empty goes with the DELETE of a dyno".into()));
    };
    match emptied(shared, app.as_str(), dyno.as_str(), time).await? {
        None | Some(0) => Ok(()),
        Some(left) => {
            let detail = format!("dyno {dyno} has {left} in flight still: nothing was removed");
            Err(Refusal::new(StatusCode::CONFLICT, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_has_a_default_and_a_bound() {
        assert_eq!(time(None).unwrap(), DEFAULT_WAIT);
        assert_eq!(time(Some("10m")).unwrap(), Duration::from_secs(600));
        for text in ["", "0ms", "601s", "soon"] {
            assert!(time(Some(text)).is_err(), "{text}");
        }
    }
}
