//! What an app's fit dynos are on the whole, as hashes with a bound need it: their weight, and what
//! they have in flight.
//!
//! Invariants: all dynos are looked at once a [`HOLDS_MS`] at the most, however many requests come,
//! and after each change of the app; between two looks what is in flight on the whole is counted
//! on, and only what of it is on others than the fit ones is taken to be as it was; whoever is full
//! counts too, and whoever one exchange has tried.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use super::{
    LiveApp,
    choice::{Asking, Caps},
};
use crate::balance::Fit;

/// How long a look at all dynos holds, in milliseconds.
const HOLDS_MS: u64 = 10;
/// The bits of [`Whole::seen`] that hold what is in flight on others.
const OTHERS_BITS: u32 = 24;
const OTHERS: u64 = (1 << OTHERS_BITS) - 1;

/// The last look, and until when it holds.
#[derive(Debug, Default)]
pub struct Whole {
    until_ms: AtomicU64,
    /// The weight of the fit ones, and what is in flight on others: one word, so that they are of
    /// one look.
    seen: AtomicU64,
}

impl LiveApp {
    /// What its fit dynos are on the whole at about `now_ms`; nothing if none is fit.
    pub(super) fn fit(&self, now_ms: u64) -> Option<Fit> {
        let holds = now_ms < self.whole.until_ms.load(Acquire);
        let seen = if holds { self.whole.seen.load(Relaxed) } else { self.look_whole(now_ms) };
        let in_flight = u64::from(self.cell.in_flight()).saturating_sub(seen & OTHERS);
        let weight = seen >> OTHERS_BITS;
        (weight > 0).then_some(Fit { weight, in_flight })
    }

    #[cold]
    fn look_whole(&self, now_ms: u64) -> u64 {
        let caps = Caps::default();
        let asking = Asking { key: None, named: None, tried: &[], now_ms, caps };
        let view = self.view(&asking);
        let (mut weight, mut in_flight) = (0, 0);
        for seen in self.dynos.iter().map(|live| view.seen(live)).filter(|of| of.bar.is_none()) {
            weight += u64::from(seen.weight);
            in_flight += u64::from(seen.in_flight);
        }
        let others = u64::from(self.cell.in_flight()).saturating_sub(in_flight).min(OTHERS);
        let seen = weight << OTHERS_BITS | others;
        self.whole.seen.store(seen, Relaxed);
        self.whole.until_ms.store(now_ms + HOLDS_MS, Release);
        seen
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        balance::ONE_WEIGHT,
        live::{
            Balance, LiveApp, Registry,
            cell::Drained,
            choice::{Asking, Caps, choose},
            health::Note,
            sample,
        },
        route::BalanceAlgorithm,
    };

    const NOW_MS: u64 = 5_000;

    fn asking(key: u64) -> Asking<'static> {
        let caps = Caps::default();
        Asking { key: Some(key), named: None, tried: &[], now_ms: NOW_MS, caps }
    }

    fn app(dynos: usize) -> std::sync::Arc<LiveApp> {
        let hashed = Balance { algorithm: BalanceAlgorithm::Hash, ..Balance::default() };
        sample::app(dynos, &Registry::new(&hashed))
    }

    fn take(app: &LiveApp, at: usize) {
        assert!(app.cell.take(&app.dynos[at].cell, true, 0, 0));
    }

    fn drain(app: &LiveApp, at: usize) {
        let dyno = app.dynos[at].dyno.name.clone();
        let note = Note::Emptied(app.app.name.clone(), dyno);
        app.dynos[at].cell.set_draining(Some(Drained { notes: app.notes.clone(), note }));
    }

    /// Tunnels are in flight for days on a dyno that drains.
    #[test]
    fn what_is_in_flight_on_a_dyno_that_drains_raises_nobodys_bound() {
        let app = app(10);
        (0..1000).for_each(|_| take(&app, 9));
        (0..9).for_each(|at| take(&app, at));
        drain(&app, 9);
        for key in 0..200 {
            let at = choose(&app, &asking(key), |_| 0).unwrap();
            take(&app, at);
            let all: u32 = app.dynos[..9].iter().map(|live| live.cell.in_flight()).sum();
            let most = (f64::from(all) * 1.25 / 9.0).ceil();
            let has = app.dynos[at].cell.in_flight();
            assert!(at < 9 && f64::from(has) <= most, "{key}: {has} of {most}");
        }
    }

    #[test]
    fn between_two_looks_what_is_in_flight_is_counted_on() {
        let app = app(4);
        let fit = |now_ms| app.fit(now_ms).map(|fit| (fit.weight, fit.in_flight));
        let whole = u64::from(100 * ONE_WEIGHT);
        assert_eq!(fit(NOW_MS), Some((4 * whole, 0)));
        [0, 0, 3].into_iter().for_each(|at| take(&app, at));
        assert_eq!(fit(NOW_MS + 1), Some((4 * whole, 3)));
        drain(&app, 3);
        assert_eq!(fit(NOW_MS + super::HOLDS_MS - 1), Some((4 * whole, 3)), "as it was");
        assert_eq!(fit(NOW_MS + super::HOLDS_MS), Some((3 * whole, 2)));
        app.cell.release(&app.dynos[0].cell);
        assert_eq!(fit(NOW_MS + super::HOLDS_MS), Some((3 * whole, 1)));
    }

    #[test]
    fn where_nobody_is_fit_there_is_no_mean() {
        let app = app(2);
        (0..2).for_each(|at| drain(&app, at));
        assert_eq!(app.fit(NOW_MS), None);
        assert_eq!(choose(&app, &asking(1), |_| 0).unwrap_err().draining, 2);
    }
}
