//! What decides, beside the table, where an exchange goes: read by who carries it and by who
//! explains it.
//!
//! Invariant: values in, verdict out; the clock is an argument.

use std::sync::Arc;

use super::{
    Balancing, Cell, Comeback, HealthRules, LiveApp, LiveDyno, abreast::Rows, reported::left_of,
};
use crate::{
    balance::{
        self, Algorithm, Bar, Candidate, Draw, ONE_WEIGHT, Plan, Unfit,
        abreast::Pair,
        affinity::{Seal, Tag},
    },
    error::Fault,
    route::DynoState,
};

/// What an exchange asks for a dyno with.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// Its key, where something of the app is decided by it.
    pub key: Option<u64>,
    /// The dyno that its client is to come back to, and by whose word.
    pub named: Option<(&'a Seal, Tag)>,
    /// The addresses of the cells of the dynos that it has tried.
    pub tried: &'a [usize],
    /// Now.
    pub now_ms: u64,
    /// How many exchanges there may be.
    pub caps: Caps,
}

/// How many exchanges the app may have in flight; 0: any number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Caps {
    /// On each of its dynos.
    pub dyno: u32,
    /// On all of them.
    pub app: u32,
    /// How many a dyno may have is found out.
    pub adaptive: bool,
}

impl Caps {
    /// Do exchanges compete for places?
    pub fn is_any(self) -> bool {
        self != Caps::default()
    }

    /// These, within what an algorithm lets a dyno have.
    pub fn under(self, plan: &Plan) -> Caps {
        match plan.most_in_flight() {
            0 => self,
            most => Caps { dyno: most, adaptive: false, ..self },
        }
    }
}

/// Chooses a dyno of the app; `random(n)` answers a number below `n`.
pub fn choose(
    app: &LiveApp,
    asking: &Asking<'_>,
    mut random: impl FnMut(usize) -> usize,
) -> Result<usize, Unfit> {
    if let Some((seal, tag)) = asking.named
        && let Comeback::To(at) = app.comeback(seal, tag, asking)
    {
        return Ok(at);
    }
    let plan = &app.balancing.plan;
    let is_hashed = plan.algorithm == Algorithm::Hash && asking.key.is_some();
    let fit = if is_hashed { app.fit(asking.now_ms) } else { None };
    let abreast = app.rows.as_ref().map(Rows::counts);
    // What goes to one more dyno takes no turn: two dynos of which each exchange tries both would
    // not take turns at being the first.
    let mut anywhere = (!asking.tried.is_empty()).then(|| random(usize::MAX) as u64);
    let turn = |part: Option<usize>| match (&mut anywhere, part) {
        (Some(turn), _) => {
            *turn = turn.wrapping_add(1);
            *turn
        }
        (None, Some(part)) => app.balancing.turns.take(part),
        (None, None) => app.cell.turn(),
    };
    let mut draw = Draw { key: asking.key, fit, abreast, random, turn };
    pick(app, plan, asking, |view, live| view.candidate(live), &mut draw)
}

/// Picks a dyno of the app by a plan, of what `see` makes of them; an ill one for want of others.
pub(super) fn pick<R, T, C>(
    app: &LiveApp,
    plan: &Plan,
    asking: &Asking<'_>,
    see: impl Fn(&View<'_>, &LiveDyno) -> Candidate,
    draw: &mut Draw<'_, R, T, C>,
) -> Result<usize, Unfit>
where
    R: FnMut(usize) -> usize,
    T: FnMut(Option<usize>) -> u64,
    C: Fn(usize) -> Pair,
{
    let mut of = |view: View<'_>| {
        balance::pick(plan, app.dynos.len(), |at| see(&view, &app.dynos[at]), draw)
    };
    match of(app.view(asking)) {
        Err(unfit) if opens(&unfit) => of(app.view(asking).opened()),
        picked => picked,
    }
}

/// Every dyno of the app as the choice sees it.
pub fn candidates(app: &LiveApp, asking: &Asking<'_>) -> Vec<Candidate> {
    let all = |view: View<'_>| {
        let mut all: Vec<_> = app.dynos.iter().map(|live| view.candidate(live)).collect();
        app.balancing.plan.leave_out(&mut all);
        all
    };
    let candidates = all(app.view(asking));
    let mut unfit = Unfit::default();
    candidates.iter().filter_map(|candidate| candidate.bar).for_each(|bar| unfit.count(bar));
    let is_fit = candidates.iter().any(|candidate| candidate.bar.is_none());
    if !is_fit && opens(&unfit) { all(app.view(asking).opened()) } else { candidates }
}

/// Is an ill dyno better than none? Where one that is fit has no room it is waited for.
pub fn opens(unfit: &Unfit) -> bool {
    unfit.full == 0 && unfit.ejected + unfit.failing > 0
}

/// What the candidates of one choice have in common.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    app: &'a LiveApp,
    asking: &'a Asking<'a>,
    balancing: &'a Balancing,
    neutral_us: u32,
    /// Ill dynos are picked too, for want of others.
    is_open: bool,
}

impl LiveApp {
    /// What the app's dynos look like to one choice.
    pub fn view<'a>(&'a self, asking: &'a Asking<'a>) -> View<'a> {
        let neutral_us = self.cell.latency.get().us;
        let balancing = &*self.balancing;
        View { app: self, asking, balancing, neutral_us, is_open: false }
    }

    /// What bars the dyno at this place, the others being what they are.
    pub fn bar(&self, at: usize, asking: &Asking<'_>) -> Option<Bar> {
        let own = self.view(asking).candidate(&self.dynos[at]).bar;
        let is_ill = matches!(own, Some(Bar::Ejected | Bar::Failing));
        // The others decide whether it is wanted nevertheless, or not wanted though it is fit.
        let is_alone = self.balancing.plan.has_share(at) && !is_ill;
        if is_alone { own } else { candidates(self, asking)[at].bar }
    }

    /// The fault that every request is answered with, if the app's owner wants it so.
    pub fn closed(&self) -> Option<Fault> {
        let settings = &self.app.settings;
        match () {
            () if settings.maintenance => Some(Fault::Maintenance),
            () if settings.blank => Some(Fault::BlankApp),
            () => None,
        }
    }

    /// The most exchanges of the dyno with this cell; 0: any number.
    pub fn most(&self, cell: &Cell, caps: Caps) -> u32 {
        if !caps.adaptive {
            return caps.dyno;
        }
        let found = cell.limit();
        if caps.dyno == 0 { found } else { found.min(caps.dyno) }
    }
}

impl LiveDyno {
    /// When the dyno is next taken for well again, if that is a matter of time.
    pub fn back_at_ms(&self, now_ms: u64, rules: &HealthRules) -> Option<u64> {
        self.cell.health.back_at_ms(now_ms, rules)
    }
}

impl View<'_> {
    /// The same, ill dynos let in.
    pub fn opened(self) -> Self {
        View { is_open: true, ..self }
    }

    /// A dyno as the choice sees it.
    pub fn candidate(&self, live: &LiveDyno) -> Candidate {
        self.seen(live).within(self.most(live))
    }

    /// The most exchanges of a dyno; 0: any number.
    pub(super) fn most(&self, live: &LiveDyno) -> u32 {
        self.app.most(&live.cell, self.asking.caps)
    }

    /// A dyno as the choice sees it, but for whether it is full.
    pub(super) fn seen(&self, live: &LiveDyno) -> Candidate {
        let (dyno, cell, now_ms) = (&live.dyno, &live.cell, self.asking.now_ms);
        let standing = self.app.standing(cell, now_ms, self.is_open);
        let bar = match dyno.state {
            DynoState::Starting => Some(Bar::Starting),
            DynoState::Draining => Some(Bar::Draining),
            DynoState::Crashed => Some(Bar::Crashed),
            // Newer than what is looked at here.
            DynoState::Up if cell.is_draining() => Some(Bar::Draining),
            DynoState::Up if self.has_tried(cell) => {
                // A quarantine that is over is not forgotten before a connect succeeds.
                let is_struck = standing.bar.is_some() || cell.health.quarantined_until_ms() != 0;
                Some(if is_struck { Bar::Struck } else { Bar::Tried })
            }
            DynoState::Up => standing.bar,
        };
        let mut weight = u32::from(dyno.weight.max(1)) * ONE_WEIGHT;
        let mut load = None;
        if self.balancing.reported_load {
            load = cell.reported.get(now_ms);
            weight = left_of(weight, load);
        }
        Candidate {
            bar,
            in_flight: cell.in_flight(),
            weight: standing.part_of(weight),
            part: standing.share,
            latency_us: cell.latency.get().at(now_ms, self.neutral_us),
            load,
        }
    }

    fn has_tried(&self, cell: &Arc<Cell>) -> bool {
        self.asking.tried.contains(&(Arc::as_ptr(cell) as usize))
    }
}

/// What an exchange comes to for which no dyno is fit, and whether it is held before, since one may
/// come to be.
pub fn without_dyno(unfit: Unfit) -> (Fault, bool) {
    match unfit {
        Unfit { full: 1.., .. } => (Fault::BacklogTimeout, true),
        Unfit { quarantined: 1.., .. } => (Fault::AllQuarantined, true),
        Unfit { starting: 1.., .. } | Unfit { unproven: 1.., .. } => (Fault::BootTimeout, true),
        Unfit { crashed: 1.., .. } => (Fault::AppCrashed, false),
        _ => (Fault::NoDynos, false),
    }
}

#[cfg(test)]
mod tests;
