//! Writes that wait: for the routers, `wait=fleet&timeout=5s` in the query of any of them, or for
//! what they remove, `wait=empty`; see [`drain`].
//!
//! Invariants: a write that waits is done whether or not the wait comes to its end; it holds
//! nothing while it waits, its body least of all.

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use http::StatusCode;

use super::{drain, problem::Refusal, router::Shared, routers::LOCAL};
use crate::{api::FleetView, control::hub::Done, route::Revision, units};

/// How long a write may wait for the routers.
const WAITS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60);
/// How long it waits unless it says so.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);

/// For what a write waits, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Wait {
    #[default]
    Nothing,
    /// For the routers, once it is done.
    Fleet(Duration),
    /// Until the dyno that it removes has nothing in flight, before it is done.
    Empty(Duration),
}

impl Wait {
    /// Reads what the two parameters say.
    pub(super) fn of(wait: Option<&str>, time: Option<&str>) -> Result<Wait, Refusal> {
        let bad = |field: &str, reason: String| {
            Err(Refusal::field(StatusCode::BAD_REQUEST, field, reason))
        };
        match (wait, time) {
            (None, None) => Ok(Wait::Nothing),
            (None, Some(_)) => bad("timeout", "it goes with wait".into()),
            (Some("empty"), time) => drain::time(time).map(Wait::Empty),
            (Some("fleet"), None) => Ok(Wait::Fleet(DEFAULT_WAIT)),
            (Some("fleet"), Some(text)) => match units::duration(text, &WAITS) {
                Ok(time) => Ok(Wait::Fleet(time)),
                Err(wrong) => bad("timeout", format!("{}: {}", wrong.what, wrong.remedy)),
            },
            (Some(_), _) => bad("wait", "wait=fleet: for every live router; wait=empty".into()),
        }
    }

    /// Waits until the routers serve what was done, and says in its receipt which do.
    pub(super) async fn for_fleet(self, shared: &Shared, done: &mut Done) {
        let Wait::Fleet(time) = self else { return };
        let revision = Revision(done.receipt.revision);
        let served = shared.fleet.served(revision, Instant::now() + time).await;
        // What was answered is published here.
        let mut serving = vec![LOCAL.to_owned()];
        serving.extend(served.serving);
        done.receipt.fleet = Some(FleetView { serving, behind: served.behind });
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    fn read(wait: Option<&str>, time: Option<&str>) -> Result<Option<u128>, u16> {
        let wait = Wait::of(wait, time).map(|wait| match wait {
            Wait::Nothing => None,
            Wait::Fleet(time) | Wait::Empty(time) => Some(time.as_millis()),
        });
        wait.map_err(|refusal| refusal.into_response().status().as_u16())
    }

    #[test]
    fn a_wait_is_for_the_fleet_and_has_a_bound() {
        assert_eq!(read(None, None), Ok(None));
        assert_eq!(read(Some("fleet"), None), Ok(Some(DEFAULT_WAIT.as_millis())));
        assert_eq!(read(Some("fleet"), Some("250ms")), Ok(Some(250)));
        assert_eq!(read(Some("fleet"), Some("1m")), Ok(Some(60_000)));
        assert_eq!(read(Some("empty"), Some("2m")), Ok(Some(120_000)));
        for (wait, time) in [
            (Some("all"), None),
            (Some(""), None),
            (None, Some("5s")),
            (Some("fleet"), Some("0ms")),
            (Some("fleet"), Some("61s")),
            (Some("fleet"), Some("soon")),
        ] {
            assert_eq!(read(wait, time), Err(400), "{wait:?} {time:?}");
        }
    }
}
