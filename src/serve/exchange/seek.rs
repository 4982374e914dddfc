//! Seeks a place on a dyno for an exchange: chooses one, or waits in the app's line until there is
//! one.
//!
//! Invariants: every look loads the table anew, and with it what the app may have and whether it is
//! paused; who comes while others wait for places does not overtake them; every wait ends with its
//! deadline, the client's leaving, or the router's cut.

use std::{borrow::Cow, cell::Cell, future::poll_fn, sync::Arc, time::Duration};

use super::{Exchange, attempt::Past, connect::attended};
use crate::{
    error::Fault,
    live::{
        self, AppCell, Lack, LiveApp, Waiting,
        choice::{self, Asking, Caps},
        queue::{Looked, Ticket},
        shadow::{self, ShadowPlace},
    },
    serve::{edge::Client, lease::Lease, worker::Worker},
};

/// How often a place is taken by another between the choice and the count, before the exchange
/// waits for one.
const TAKES: usize = 8;
/// When what was lost is posted again.
const POST_AGAIN: Duration = Duration::from_secs(1);

/// Where a place is that an exchange was given.
struct Placed {
    app: Arc<LiveApp>,
    at: usize,
    caps: Caps,
}

/// An exchange that seeks a place.
pub(super) struct Seeker<'a> {
    pub worker: &'a Worker,
    pub exchange: &'a Exchange,
    pub past: &'a Past,
}

impl Seeker<'_> {
    /// A place at once, if nobody waits for one: of the app as it is `known` to be now, else as the
    /// table is now.
    pub fn at_once(&self, known: Option<&Arc<LiveApp>>, now_ms: u64) -> Result<Lease, Lack> {
        let app = known.map_or_else(|| self.app().map(Cow::Owned), |app| Ok(Cow::Borrowed(app)))?;
        let waiting = self.waiting(&app);
        if waiting.is_behind_others(&app) {
            return Err(Lack::Full);
        }
        self.choose(&app, &waiting, self.exchange.lease.is_none(), now_ms)
    }

    /// A place beside the one that it has: at once, on a dyno that was not tried and is fit, within
    /// all bounds and the app's budget, and if nobody waits for one.
    pub fn second(&self, now_ms: u64) -> Option<Lease> {
        let app = self.app().ok()?;
        let waiting = self.waiting(&app);
        if waiting.is_behind_others(&app) || waiting.before_dynos(&app).is_some() {
            return None;
        }
        let at = self.draw(&app, waiting.caps, now_ms).ok()?;
        let asking = self.asking(waiting.caps, now_ms);
        // One that is ill may be better than none, but not than one that is slow.
        let is_fit = app.view(&asking).candidate(&app.dynos[at]).bar.is_none();
        if !is_fit {
            return None;
        }
        let bounds = (app.most(&app.dynos[at].cell, waiting.caps), waiting.caps.app);
        let lease = Lease::take(&app, at, false, bounds)?;
        // Last, for what it gives is spent.
        let percent = self.exchange.terms.dynos.retry_budget;
        app.cell.allows_retry(now_ms, percent).then_some(lease)
    }

    /// Its app as it is now.
    fn app(&self) -> Result<Arc<LiveApp>, Lack> {
        let decided = self.exchange.app.as_ref().expect("an attempt follows a decision");
        let now = self.worker.snapshots.load().app(decided.app.name.as_str()).cloned();
        let now = now.ok_or(Lack::Closed(Fault::NoDynos))?;
        now.closed().map_or(Ok(now), |fault| Err(Lack::Closed(fault)))
    }

    /// What it may have, and what it waits for, as that is now.
    fn waiting(&self, app: &LiveApp) -> Waiting {
        self.worker.terms.waiting.of(app)
    }

    fn choose(
        &self,
        app: &Arc<LiveApp>,
        waiting: &Waiting,
        first: bool,
        now_ms: u64,
    ) -> Result<Lease, Lack> {
        let caps = waiting.caps;
        for _ in 0..TAKES {
            if let Some(lack) = waiting.before_dynos(app) {
                return Err(lack);
            }
            let at = self.draw(app, caps, now_ms)?;
            let bounds = (app.most(&app.dynos[at].cell, caps), caps.app);
            if let Some(lease) = Lease::take(app, at, first, bounds) {
                return Ok(lease);
            }
        }
        Err(Lack::Full)
    }

    fn draw(&self, app: &LiveApp, caps: Caps, now_ms: u64) -> Result<usize, Lack> {
        let mut random = self.worker.random.borrow_mut();
        let asking = self.asking(caps, now_ms);
        choice::choose(app, &asking, |n| random.usize(..n)).map_err(Lack::from)
    }

    /// The place that the shadow of its app would have given it.
    pub fn shadow(&self, lease: &Lease, now_ms: u64) -> Option<ShadowPlace> {
        let (app, at) = lease.place();
        let beside = app.balancing.shadow.as_ref()?;
        let mut random = self.worker.random.borrow_mut();
        let settings = self.worker.terms.waiting.with(app.app.settings.own.as_deref());
        let caps = settings.caps.under(&beside.plan);
        let asking = Asking { named: None, ..self.asking(caps, now_ms) };
        shadow::follow(app, &asking, at, |n| random.usize(..n))
    }

    fn asking(&self, caps: Caps, now_ms: u64) -> Asking<'_> {
        let named = self.exchange.named.as_ref().map(|named| (&*self.worker.seal, named.tag));
        Asking { key: self.exchange.key, named, tried: &self.past.tried, now_ms, caps }
    }

    /// Where the place is that was handed, if it is of use now.
    fn place_of(&self, cell: &Arc<live::Cell>, line: &Arc<AppCell>) -> Option<Placed> {
        let app = self.app().ok().filter(|app| Arc::ptr_eq(&app.cell, line))?;
        let Waiting { caps, paused, .. } = self.waiting(&app);
        let at = app.dynos.iter().position(|live| Arc::ptr_eq(&live.cell, cell))?;
        // The place is counted already: what makes the dyno full may be this one.
        let is_within = |count: u32, most: u32| most == 0 || count <= most;
        let room = is_within(cell.in_flight(), app.most(cell, caps))
            && is_within(app.cell.in_flight(), caps.app);
        let asking = self.asking(Caps::default(), self.worker.clock.now_ms());
        let is_fit = app.bar(at, &asking).is_none();
        (room && is_fit && !paused).then_some(Placed { app, at, caps })
    }

    /// Has the client's timer end the wait, or wake it when there may be a dyno by then.
    ///
    /// # Errors
    /// The fault, if there is nothing to wait for, or the time is over.
    pub fn arm(&self, client: &Client, lack: Lack) -> Result<(), Fault> {
        let app = self.app();
        let waiting = match &app {
            Ok(app) => self.waiting(app),
            Err(_) => self.worker.terms.waiting,
        };
        let (fault, time) = waiting.hope(lack);
        let now_ms = self.worker.clock.now_ms();
        let over_ms = self.exchange.began_ms() + time.as_millis() as u64;
        if over_ms <= now_ms {
            // What came of the dynos that were tried says more.
            return Err(self.past.last.unwrap_or(fault));
        }
        let mut wake_ms = over_ms;
        if let Ok(app) = app {
            let back = app.dynos.iter().filter_map(|live| live.back_at_ms(now_ms, &app.health));
            wake_ms = back.fold(over_ms, u64::min);
            if lack.is_of_all_dynos() && !self.ask_for_dynos(&app, &waiting, now_ms) {
                wake_ms = wake_ms.min(now_ms + POST_AGAIN.as_millis() as u64);
            }
        }
        client.timer.set(Duration::from_millis(wake_ms - now_ms));
        Ok(())
    }

    /// Has an app woken that has no dynos, if nobody did; answers whether that was heard.
    fn ask_for_dynos(&self, app: &LiveApp, waiting: &Waiting, now_ms: u64) -> bool {
        if !app.cell.asked.claim(now_ms, waiting.wake_timeout.as_millis() as u64) {
            return true;
        }
        let heard = self.worker.mailbox.post(app.app.name.clone());
        if !heard {
            app.cell.asked.forget();
        }
        heard
    }
}

/// Waits for a place, as long as one may come to be.
pub(super) async fn wait(
    worker: &Worker,
    client: &mut Client,
    exchange: &Exchange,
    past: &Past,
    lack: Lack,
) -> Result<Lease, Fault> {
    let seeker = Seeker { worker, exchange, past };
    let _counted = worker.count_waiting();
    let mut lack = lack;
    loop {
        let app = match seeker.app() {
            Ok(app) => app,
            Err(lack) => return Err(worker.terms.waiting.hope(lack).0),
        };
        // Without a place, the app was removed and made again: it has another line.
        if let Some(lease) = in_line(&seeker, client, &mut lack, &app).await? {
            if exchange.lease.is_none() {
                app.cell.begin();
            }
            return Ok(lease);
        }
    }
}

/// Waits in this line; answers nothing if it is no longer the app's.
async fn in_line(
    seeker: &Seeker<'_>,
    client: &Client,
    lack: &mut Lack,
    app: &Arc<LiveApp>,
) -> Result<Option<Lease>, Fault> {
    let Seeker { worker, exchange, past } = *seeker;
    let (waiting, line) = (seeker.waiting(app), &app.cell);
    let joined = Ticket::join(line, &past.tried, waiting.line(), worker.clock.now_ms());
    let mut ticket = joined.ok_or(past.last.unwrap_or(waiting.turned_away(*lack)))?;
    loop {
        seeker.arm(client, *lack)?;
        let (placed, found) = (Cell::new(None), Cell::new(None));
        let going = poll_fn(|cx| {
            let fits = |cell: &Arc<live::Cell>| {
                let place = seeker.place_of(cell, line);
                let fits = place.is_some();
                placed.set(place);
                fits
            };
            ticket.poll_go(cx, fits, || look(seeker, client, lack, line, &placed, &found))
        });
        let Some(gone) = attended(worker, client, exchange.terms.half_close, going).await? else {
            // It is time to look, or over.
            ticket.call_again();
            continue;
        };
        return match (gone, placed.take(), found.take()) {
            (Some(place), Some(Placed { app, at, caps }), _) => {
                let mut lease = Lease::keep(place, app, at);
                if caps.dyno == 0 && !caps.adaptive {
                    // That this dyno has one less is no reason to choose it.
                    let now_ms = worker.clock.now_ms();
                    lease.move_to(|app| seeker.draw(app, Caps::default(), now_ms).ok());
                }
                Ok(Some(lease))
            }
            (_, _, Some(found)) => found.map(Some),
            _ => Ok(None),
        };
    }
}

/// What one who was called finds.
fn look(
    seeker: &Seeker<'_>,
    client: &Client,
    lack: &mut Lack,
    line: &Arc<AppCell>,
    placed: &Cell<Option<Placed>>,
    found: &Cell<Option<Result<Lease, Fault>>>,
) -> Looked {
    let looked = seeker.app().and_then(|app| {
        if !Arc::ptr_eq(&app.cell, line) {
            return Ok(Looked::Goes);
        }
        let waiting = seeker.waiting(&app);
        let lease = seeker.choose(&app, &waiting, false, seeker.worker.clock.now_ms())?;
        if !waiting.caps.is_any() {
            found.set(Some(Ok(lease)));
            return Ok(Looked::Goes);
        }
        let (at, cell) = lease.give();
        placed.set(Some(Placed { app, at, caps: waiting.caps }));
        Ok(Looked::Place(cell))
    });
    looked.unwrap_or_else(|now| {
        *lack = now;
        match seeker.arm(client, now) {
            Ok(()) => Looked::Stays { others_may_go: !seeker.past.tried.is_empty() },
            Err(fault) => {
                found.set(Some(Err(fault)));
                Looked::Goes
            }
        }
    })
}
