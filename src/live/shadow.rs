//! A second algorithm beside the one that acts: it chooses too, of dynos whose exchanges in flight
//! are those that it would have given them, and what it chose is counted and not done.
//!
//! What is compared is how many exchanges a new one finds on its dyno, which is what it waits for,
//! beside what it would find were all spread evenly. One for which the shadow has no place, all
//! dynos being full, waits: it stands behind what one of them has. The latencies are those that the
//! acting algorithm brought about. Invariants: every exchange that the acting algorithm places is
//! counted here, and discounted once, by its place being dropped; nothing of it has a say in what
//! is done, nor in whose turn it is.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{
    LiveApp, LiveDyno,
    choice::{self, Asking, View},
    turns::Turns,
};
use crate::balance::{Candidate, Draw, NoCounts, Plan};

/// A second algorithm, and how it does.
#[derive(Debug)]
pub struct Shadow {
    /// How it chooses.
    pub plan: Plan,
    turns: Turns,
    figures: Arc<Figures>,
}

/// What exchanges found, over all that were compared.
#[derive(Debug, Default)]
struct Figures {
    exchanges: AtomicU64,
    acting: AtomicU64,
    shadow: AtomicU64,
    /// In thousandths of an exchange.
    even: AtomicU64,
    waited: AtomicU64,
    turns: AtomicU64,
}

/// How two algorithms compare: exchanges that a new one finds on its dyno, on average.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// How many were compared.
    pub exchanges: u64,
    /// Where the acting algorithm put them.
    pub acting: f64,
    /// Where the other would have.
    pub shadow: f64,
    /// Were all spread evenly over the dynos.
    pub even: f64,
    /// How many would have found every dyno full and waited in line.
    pub waited: u64,
}

/// An exchange's place on the dyno that the shadow chose.
#[derive(Debug)]
pub struct ShadowPlace {
    app: Arc<LiveApp>,
    at: usize,
}

impl Shadow {
    /// A shadow with that plan; it goes on counting where `before` of the same algorithms was.
    pub fn new(plan: Plan, before: Option<&Shadow>) -> Shadow {
        let turns = Turns::of(&plan, before.map(|before| &before.turns));
        let figures = before.map(|before| before.figures.clone()).unwrap_or_default();
        Shadow { plan, turns, figures }
    }

    /// How it does beside the acting one; none before the first exchange.
    pub fn compared(&self) -> Option<Compared> {
        let Figures { exchanges, acting, shadow, even, waited, .. } = &*self.figures;
        let count = exchanges.load(Relaxed);
        let mean = |sum: &AtomicU64| sum.load(Relaxed) as f64 / count as f64;
        (count > 0).then(|| Compared {
            exchanges: count,
            acting: mean(acting),
            shadow: mean(shadow),
            even: mean(even) / 1000.0,
            waited: waited.load(Relaxed),
        })
    }
}

/// Has the shadow of an app choose, beside the choice of the dyno at `acting` that has just begun
/// its exchange. `asking` has the bounds of the settings, within what the shadow's own algorithm
/// lets a dyno have.
pub fn follow(
    app: &Arc<LiveApp>,
    asking: &Asking<'_>,
    acting: usize,
    random: impl FnMut(usize) -> usize,
) -> Option<ShadowPlace> {
    let Shadow { plan, turns, figures } = app.balancing.shadow.as_ref()?;
    let turn = |part: Option<usize>| {
        part.map_or_else(|| figures.turns.fetch_add(1, Relaxed), |part| turns.take(part))
    };
    let see = |view: &View<'_>, live: &LiveDyno| {
        let in_flight = live.cell.shadow.load(Relaxed);
        Candidate { in_flight, ..view.seen(live) }.within(view.most(live))
    };
    let mut draw = Draw { key: asking.key, fit: None, abreast: NoCounts::NONE, random, turn };
    let picked = choice::pick(app, plan, asking, see, &mut draw);
    let at = picked.unwrap_or_else(|unfit| {
        figures.waited.fetch_add(u64::from(unfit.full > 0), Relaxed);
        behind(app, asking).unwrap_or(acting)
    });
    let up = app.dynos.len().max(1) as u64;
    figures.exchanges.fetch_add(1, Relaxed);
    // That exchange does not find itself.
    let found = app.dynos[acting].cell.in_flight().saturating_sub(1);
    let of_app = app.cell.in_flight().saturating_sub(1);
    figures.acting.fetch_add(found.into(), Relaxed);
    figures.even.fetch_add(u64::from(of_app) * 1000 / up, Relaxed);
    let found = app.dynos[at].cell.shadow.fetch_add(1, Relaxed);
    figures.shadow.fetch_add(found.into(), Relaxed);
    Some(ShadowPlace { app: app.clone(), at })
}

/// Where a line would end for whom all are full: at the dyno that has the least by its weight, and
/// so is the first to be free as far as can be told.
fn behind(app: &LiveApp, asking: &Asking<'_>) -> Option<usize> {
    let view = app.view(asking);
    let load = |(at, live): (usize, &LiveDyno)| {
        let Candidate { bar, weight, .. } = view.seen(live);
        let load = f64::from(live.cell.shadow.load(Relaxed)) / f64::from(weight);
        bar.is_none().then_some((at, load))
    };
    let loads = app.dynos.iter().enumerate().filter_map(load);
    loads.min_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(at, _)| at)
}

impl Drop for ShadowPlace {
    fn drop(&mut self) {
        self.app.dynos[self.at].cell.shadow.fetch_sub(1, Relaxed);
    }
}
