//! The live state of one dyno, and of one app: atomics that every worker shares.
//!
//! Invariants: a cell outlives revisions, it belongs to app, name, address and release together;
//! the in-flight counts are raised and lowered by leases alone; times are milliseconds since the
//! process began, as the workers' clocks give them, 0 meaning never.

use std::sync::{
    Arc, Mutex, OnceLock, PoisonError,
    atomic::{
        AtomicBool, AtomicU8, AtomicU32, AtomicU64,
        Ordering::{AcqRel, Relaxed, Release, SeqCst},
    },
};

use super::{
    abreast::Seat,
    health::{AppHealth, Health, Note, Notes},
    latency::LatencyCell,
    limit::LimitCell,
    meter::AppMeter,
    outcome::Outcome,
    queue::Queue,
    reported::{BELIEVED_MS, ReportedCell},
    stats::{AppPlace, DynoPlace, Room},
    wake::Asked,
};
use crate::balance::{Budget, affinity::Tag};

/// The live state of one dyno.
// A line of its own, so that two workers that lease two dynos do not contend for one line.
#[repr(align(64))]
#[derive(Debug, Default)]
pub struct Cell {
    /// As [`AppCell`] counts its own: attempts begun, and in flight.
    exchanges: AtomicU64,
    /// How long it takes to answer.
    pub latency: LatencyCell,
    /// How busy it says it is.
    pub reported: ReportedCell,
    /// Exchanges that the shadow of its app would have given it.
    pub(super) shadow: AtomicU32,
    /// Is it well?
    pub health: Health,
    drain: AtomicU8,
    /// Who is told once it drains and is empty.
    drained: Mutex<Option<Box<Drained>>>,
    retired: AtomicBool,
    /// By which cookies of affinity name the dyno; 0 before it was first asked for.
    tag: AtomicU64,
    /// What it did.
    pub figures: DynoPlace,
    extra: OnceLock<Box<Extra>>,
}

/// What some apps want of their dynos, and most do not: apart, so that a cell is two lines.
#[derive(Debug, Default)]
struct Extra {
    /// How many exchanges it can have, where that is found out.
    limit: LimitCell,
    /// Where what is in flight is shown beside others.
    seat: OnceLock<Seat>,
}

/// Who is told that a dyno which drains may be empty, and what.
#[derive(Debug)]
pub struct Drained {
    /// Where it is told.
    pub notes: Arc<Notes>,
    /// What is.
    pub note: Note,
}

/// It is not draining.
const SERVING: u8 = 0;
/// It is, and may have exchanges in flight.
const DRAINING: u8 = 1;
/// It is, and that it has none was told.
const EMPTY: u8 = 2;

impl Cell {
    /// Exchanges that this dyno is serving, tunnels included.
    pub fn in_flight(&self) -> u32 {
        self.exchanges.load(Relaxed) as u32
    }

    /// Attempts on it that have ended; it wraps.
    pub fn ended(&self) -> u32 {
        let exchanges = self.exchanges.load(Relaxed);
        ((exchanges >> 32) as u32).wrapping_sub(exchanges as u32)
    }

    /// Exchanges that the shadow of its app would have given it.
    pub fn shadow(&self) -> u32 {
        self.shadow.load(Relaxed)
    }

    /// Counts one more exchange, unless there are `most` (0: any number), or the dyno drains:
    /// whoever looked before may not know yet. Answers whether it did.
    pub fn enter(&self, most: u32) -> bool {
        // Together with `is_empty`: of the two steps on the count one comes first. Either the count
        // is seen there, or the state here.
        let more = |both: u64| ((both as u32) < most).then(|| both.wrapping_add(ONE));
        let has_room = match most {
            0 => {
                self.exchanges.fetch_add(ONE, AcqRel);
                true
            }
            _ => self.exchanges.fetch_update(AcqRel, Relaxed, more).is_ok(),
        };
        if has_room {
            self.show();
        }
        if has_room && self.is_draining() {
            self.lower(ONE);
            return false;
        }
        has_room
    }

    /// Has a seat from now on, if it had none.
    pub(super) fn sit(&self, seat: impl FnOnce() -> Seat) {
        if self.seat().is_none() {
            self.extra.get_or_init(Box::default).seat.get_or_init(seat);
            // A step on the count, and not a look at it: who counts after it finds the seat.
            self.exchanges.fetch_add(0, AcqRel);
            self.show();
        }
    }

    /// Where it shows what it has in flight.
    pub(super) fn seat(&self) -> Option<&Seat> {
        self.extra.get()?.seat.get()
    }

    fn show(&self) {
        let Some(seat) = self.seat() else { return };
        // Again as often as others count meanwhile: of two that show at the same time the later
        // one sees what the earlier one counted.
        let mut shown = None;
        while shown != Some(self.in_flight()) {
            let count = self.in_flight();
            seat.show(count);
            shown = Some(count);
        }
    }

    /// Counts one exchange less.
    pub fn leave(&self) {
        self.lower(1);
    }

    fn lower(&self, by: u64) {
        // In one order with the look whether anybody waits (`live/queue`).
        let before = self.exchanges.fetch_sub(by, SeqCst) as u32;
        debug_assert!(before > 0, "a lease is settled once");
        self.show();
        if before == 1 && self.is_draining() {
            self.tell_empty();
        }
    }

    #[cold]
    fn tell_empty(&self) {
        let drained = self.drained.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Drained { notes, note }) = drained.as_deref() {
            notes.post(note.clone());
        }
    }

    /// Does it get nothing new?
    pub fn is_draining(&self) -> bool {
        self.drain.load(Relaxed) != SERVING
    }

    /// The dyno drains, and that it is empty is told so; or it does not any more.
    pub fn set_draining(&self, drained: Option<Drained>) {
        let drains = drained.is_some();
        if !drains && !self.is_draining() {
            return;
        }
        *self.drained.lock().unwrap_or_else(PoisonError::into_inner) = drained.map(Box::new);
        if self.is_draining() == drains {
            return;
        }
        self.drain.store(if drains { DRAINING } else { SERVING }, Release);
        if drains && self.is_empty() {
            self.tell_empty();
        }
    }

    /// Has it nothing in flight, and if it drains, will it never again?
    pub fn is_empty(&self) -> bool {
        // A step on the count, and not a look at it: see `enter`.
        self.exchanges.fetch_add(0, AcqRel) as u32 == 0
    }

    /// Takes the news that it drains and is empty, which is told once.
    pub fn take_empty(&self) -> bool {
        self.is_empty() && self.drain.compare_exchange(DRAINING, EMPTY, AcqRel, Relaxed).is_ok()
    }

    /// Takes in how an attempt on the dyno ended; `app` is the cell of its app.
    pub fn settle(&self, app: &AppCell, outcome: &Outcome) {
        self.latency.settle(&app.latency, outcome);
        let extra = self.extra.get();
        if extra.is_some_and(|extra| extra.limit.settle(outcome, self.in_flight())) {
            app.queue.call();
        }
        if let Some(load) = outcome.said.load {
            self.reported.set(load, outcome.now_ms + BELIEVED_MS);
        }
        if let Some(fault) = outcome.fault {
            app.figures.count_failure(&self.figures, fault);
        }
    }

    /// How many exchanges it can have; from now on that is found out.
    pub fn limit(&self) -> u32 {
        self.extra.get_or_init(Box::default).limit.most()
    }

    /// The same, if that was ever asked for.
    pub fn known_limit(&self) -> Option<u32> {
        self.extra.get()?.limit.known()
    }

    /// By which cookies of affinity name the dyno, if it was asked for.
    pub fn tag(&self) -> Option<Tag> {
        Tag::new(self.tag.load(Relaxed))
    }

    /// Notes it.
    pub fn set_tag(&self, tag: Tag) {
        self.tag.store(tag.get(), Relaxed);
    }

    /// Has its dyno left the table? Connections to it are not kept then.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Relaxed)
    }

    /// Notes that the dyno left the table, or came back.
    pub fn set_retired(&self, retired: bool) {
        self.retired.store(retired, Relaxed);
    }
}

/// The live state of one app.
#[derive(Debug, Default)]
pub struct AppCell {
    /// How many exchanges were ever begun, in the upper half (it wraps), and how many are in
    /// flight, in the lower one: both by one step.
    exchanges: AtomicU64,
    /// How long its dynos take on the whole.
    pub latency: LatencyCell,
    /// How many turns its dynos were given.
    turns: AtomicU64,
    /// Clients' connections whose last request was for the app.
    connections: AtomicU32,
    /// Are its dynos well, taken together?
    pub health: AppHealth,
    /// What it did.
    pub figures: AppPlace,
    /// What its clients used of what they may together.
    pub meter: AppMeter,
    /// Those that wait for a dyno.
    pub queue: Queue,
    /// When somebody was asked for dynos.
    pub asked: Asked,
    /// Taken only by an exchange that would send its request a second time.
    retries: Mutex<Budget>,
}

/// One exchange, begun and in flight.
const ONE: u64 = 1 << 32 | 1;

impl AppCell {
    /// The cell of an app that was never asked for; its figures take their place in the room.
    pub fn new(room: Arc<Room>) -> AppCell {
        AppCell { figures: AppPlace::new(room), ..AppCell::default() }
    }

    /// Exchanges that the app's dynos are serving.
    pub fn in_flight(&self) -> u32 {
        self.exchanges.load(Relaxed) as u32
    }

    /// Counts one more exchange in flight, unless there are `most` (0: any number), and if this is
    /// its `first` attempt, one begun; answers whether it did.
    pub(super) fn enter(&self, first: bool, most: u32) -> bool {
        let one = if first { ONE } else { 1 };
        if most == 0 {
            self.exchanges.fetch_add(one, Relaxed);
            return true;
        }
        let more = |both: u64| ((both as u32) < most).then(|| both.wrapping_add(one));
        self.exchanges.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    /// Counts an exchange begun that is in flight already.
    pub fn begin(&self) {
        self.exchanges.fetch_add(ONE - 1, Relaxed);
    }

    /// Counts one exchange less.
    pub(super) fn leave(&self) {
        let before = self.exchanges.fetch_sub(1, SeqCst);
        debug_assert!(before as u32 > 0, "a lease is settled once");
    }

    /// As if it had not entered.
    pub(super) fn turn_back(&self, first: bool) {
        self.exchanges.fetch_sub(if first { ONE } else { 1 }, SeqCst);
    }

    /// The next turn of its dynos.
    pub fn turn(&self) -> u64 {
        self.turns.fetch_add(1, Relaxed)
    }

    /// Counts a client's connection that comes to the app, unless it has `most` (0: any number);
    /// answers whether it was counted.
    pub fn connect(&self, most: u32) -> bool {
        let before = self.connections.fetch_add(1, Relaxed);
        let admitted = admits(before, most);
        if !admitted {
            self.disconnect();
        }
        admitted
    }

    /// Clients' connections whose last request was for the app.
    pub fn connections(&self) -> u32 {
        self.connections.load(Relaxed)
    }

    /// Would one more connection be counted, if the app may have `most`?
    pub fn has_room(&self, most: u32) -> bool {
        admits(self.connections(), most)
    }

    /// Counts a connection less.
    pub fn disconnect(&self) {
        let before = self.connections.fetch_sub(1, Relaxed);
        debug_assert!(before > 0, "a connection leaves an app once");
    }

    /// Exchanges that were ever begun; it wraps.
    pub fn begun(&self) -> u32 {
        (self.exchanges.load(Relaxed) >> 32) as u32
    }

    /// May a request be sent a second time, of which the app lets `percent` of its requests?
    pub fn allows_retry(&self, now_ms: u64, percent: u32) -> bool {
        let begun = self.begun();
        let mut budget = self.retries.lock().unwrap_or_else(PoisonError::into_inner);
        budget.allows(now_ms, begun, percent)
    }
}

/// May there be one connection more than `before`, of `most` (0: any number)?
fn admits(before: u32, most: u32) -> bool {
    most == 0 || before < most
}
