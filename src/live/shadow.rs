//! A second algorithm beside the one that acts: it chooses too, of dynos whose exchanges in flight
//! are those that it would have given them, and what it chose is counted and not done.
//!
//! What is compared is how many exchanges a new one finds on its dyno, which is what it waits for,
//! beside what it would find were all spread evenly. The latencies are those that the acting
//! algorithm brought about. Invariants: every exchange that is counted here is discounted once, by
//! its place being dropped; nothing of it has a say in what is done.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{
    LiveApp,
    choice::{Asking, View},
};
use crate::balance::{self, Candidate, Draw, Plan};

/// A second algorithm, and how it does.
#[derive(Debug)]
pub struct Shadow {
    /// How it chooses.
    pub plan: Plan,
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
        Shadow { plan, figures: before.map(|before| before.figures.clone()).unwrap_or_default() }
    }

    /// How it does beside the acting one; none before the first exchange.
    pub fn compared(&self) -> Option<Compared> {
        let Figures { exchanges, acting, shadow, even, .. } = &*self.figures;
        let count = exchanges.load(Relaxed);
        let mean = |sum: &AtomicU64| sum.load(Relaxed) as f64 / count as f64;
        (count > 0).then(|| Compared {
            exchanges: count,
            acting: mean(acting),
            shadow: mean(shadow),
            even: mean(even) / 1000.0,
        })
    }
}

/// Has the shadow of an app choose, beside the choice of the dyno at `acting` that has just begun
/// its exchange.
pub fn follow(
    app: &Arc<LiveApp>,
    asking: &Asking<'_>,
    acting: usize,
    random: impl FnMut(usize) -> usize,
) -> Option<ShadowPlace> {
    let Shadow { plan, figures } = app.balancing.shadow.as_ref()?;
    let view: View<'_> = app.view(asking);
    let candidate = |at: usize| {
        let live = &app.dynos[at];
        let seen = view.candidate(live);
        // What bars a dyno for what the acting algorithm gave it does not bar it here.
        let bar = seen.bar.filter(|bar| *bar != balance::Bar::Full);
        plan.judge(Candidate { bar, in_flight: live.cell.shadow.load(Relaxed), ..seen })
    };
    let turn = || figures.turns.fetch_add(1, Relaxed);
    let mut draw = Draw { key: asking.key, in_flight: None, random, turn };
    let at = balance::pick(plan, app.dynos.len(), candidate, &mut draw).ok()?;
    let cell = &app.dynos[at].cell;
    let up = app.dynos.len().max(1) as u64;
    figures.exchanges.fetch_add(1, Relaxed);
    // That exchange does not find itself.
    let found = app.dynos[acting].cell.in_flight().saturating_sub(1);
    let of_app = app.cell.in_flight().saturating_sub(1);
    figures.acting.fetch_add(found.into(), Relaxed);
    figures.even.fetch_add(u64::from(of_app) * 1000 / up, Relaxed);
    figures.shadow.fetch_add(cell.shadow.fetch_add(1, Relaxed).into(), Relaxed);
    Some(ShadowPlace { app: app.clone(), at })
}

impl Drop for ShadowPlace {
    fn drop(&mut self) {
        self.app.dynos[self.at].cell.shadow.fetch_sub(1, Relaxed);
    }
}
