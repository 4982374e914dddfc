//! What an app and each of its dynos did: counts since the start, and how long things took, lately
//! and since the start, in fixed memory.
//!
//! A dyno counts the exchanges that ended on it; its app is the sum of its dynos, of those that
//! are gone, and of what came to no dyno. Times go into one of two windows of [`WINDOW_MS`], by
//! turns; who begins a window moves what it held into the times since the start, so that "lately"
//! is the last one or two windows. Invariants: a count is never lost and never counted twice;
//! figures are made at the first exchange, and as many as [`Room`] allows: who has none counts with
//! its app, and an app without any counts nothing; no exchange takes a lock but the first of a
//! dyno, and where a dyno finds no room, one a second.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use super::{
    histogram::{Distribution, Histogram},
    outcome::Times,
};
use crate::error::Fault;

/// How long a window is, in milliseconds.
pub const WINDOW_MS: u64 = 30_000;
/// What the parts of an exchange's time are called.
pub const PARTS: [&str; 5] = ["total", "queue", "connect", "dyno", "client"];
/// Classes of a status by its first digit; the first is for exchanges without one.
pub const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// How many faults there are.
const FAULTS: usize = Fault::ALL.len();
/// What takes less, in microseconds, took no time to speak of.
const SPOKEN_OF: u32 = 16;

/// An exchange that ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ended {
    /// The status that the client was sent; 0 if it was sent none.
    pub status: u16,
    /// Why it ended without a dyno's whole answer, if it did.
    pub fault: Option<Fault>,
    /// Where its time went; none of a tunnel.
    pub times: Option<Times>,
}

/// How many figures there may be yet; by default none.
#[derive(Debug, Default)]
pub struct Room(AtomicUsize);

impl Room {
    /// Room for so many.
    pub fn new(figures: usize) -> Room {
        Room(AtomicUsize::new(figures))
    }

    /// Is there none? Read first, and by all who have no place, so that they write to nothing.
    fn is_full(&self) -> bool {
        self.0.load(Relaxed) == 0
    }

    fn take(self: &Arc<Room>) -> Option<Place> {
        let less = |left: usize| left.checked_sub(1);
        self.0.fetch_update(Relaxed, Relaxed, less).ok().map(|_| Place(self.clone()))
    }
}

/// A place taken of the room, given back by being dropped.
#[derive(Debug)]
struct Place(Arc<Room>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Relaxed);
    }
}

#[derive(Debug, Default)]
struct Window {
    /// Which window it is, counted from the process's beginning.
    number: AtomicU64,
    parts: [Histogram<AtomicU32>; PARTS.len()],
}

/// The figures of one dyno, or what of an app is no dyno's.
#[derive(Debug)]
pub struct Figures {
    statuses: [AtomicU64; CLASSES.len()],
    faults: [AtomicU64; FAULTS],
    /// Attempts that failed, and whose exchange went on.
    retries: AtomicU64,
    /// Requests that were slow here and went to another dyno too, and those that it served.
    hedges: [AtomicU64; 2],
    lately: [Window; 2],
    before: [Histogram<AtomicU64>; PARTS.len()],
    _place: Place,
}

impl Figures {
    fn make(room: &Arc<Room>) -> Option<Arc<Figures>> {
        let place = room.take()?;
        let zeros = || std::array::from_fn(|_| AtomicU64::default());
        Some(Arc::new(Figures {
            statuses: zeros(),
            faults: std::array::from_fn(|_| AtomicU64::default()),
            retries: AtomicU64::default(),
            hedges: Default::default(),
            lately: Default::default(),
            before: Default::default(),
            _place: place,
        }))
    }

    /// Counts an exchange that ended, but for its fault.
    fn count(&self, ended: &Ended, now_ms: u64) {
        self.statuses[class(ended.status)].fetch_add(1, Relaxed);
        let Some(times) = ended.times else { return };
        let window = self.window(now_ms);
        let Times { queue_us, connect_us, dyno_us, client_us } = times;
        let others = [queue_us, connect_us, dyno_us, client_us];
        let total = others.iter().fold(0u32, |sum, part| sum.saturating_add(*part));
        window.parts[0].count(total);
        // Where there was no time to speak of, the count of the whole tells it.
        for (part, us) in window.parts[1..].iter().zip(others).filter(|(_, us)| *us >= SPOKEN_OF) {
            part.count(us);
        }
    }

    fn fault(&self, fault: Option<Fault>) {
        if let Some(fault) = fault {
            self.faults[fault as usize].fetch_add(1, Relaxed);
        }
    }

    /// The window of this moment, begun if it has not been.
    fn window(&self, now_ms: u64) -> &Window {
        let number = now_ms / WINDOW_MS;
        let window = &self.lately[(number % 2) as usize];
        let was = window.number.load(Relaxed);
        // A worker whose clock is a moment behind counts where the others are.
        if was < number && window.number.compare_exchange(was, number, Relaxed, Relaxed).is_ok() {
            window.parts.iter().zip(&self.before).for_each(|(part, before)| part.move_to(before));
        }
        window
    }

    /// Adds what was counted to `seen`.
    fn add_to(&self, seen: &mut Seen, now_ms: u64) {
        let add = |to: &mut [u64], from: &[AtomicU64]| {
            to.iter_mut().zip(from).for_each(|(sum, count)| *sum += count.load(Relaxed));
        };
        add(&mut seen.statuses, &self.statuses);
        add(&mut seen.faults, &self.faults);
        seen.retries += self.retries.load(Relaxed);
        add(&mut seen.hedges, &self.hedges);
        for (part, sum) in seen.ever.iter_mut().enumerate() {
            self.before[part].add_to(sum);
            self.lately.iter().for_each(|window| window.parts[part].add_to(sum));
        }
        let is_late = |window: &&Window| window.number.load(Relaxed) + 1 >= now_ms / WINDOW_MS;
        for window in self.lately.iter().filter(is_late) {
            for (part, sum) in window.parts.iter().zip(&mut seen.lately) {
                part.add_to(sum);
            }
        }
    }

    /// Adds what `gone` counted: nobody counts there any more.
    fn take(&self, gone: &Figures) {
        let add = |to: &[AtomicU64], from: &[AtomicU64]| {
            to.iter()
                .zip(from)
                .for_each(|(to, from)| _ = to.fetch_add(from.load(Relaxed), Relaxed));
        };
        add(&self.statuses, &gone.statuses);
        add(&self.hedges, &gone.hedges);
        self.retries.fetch_add(gone.retries.load(Relaxed), Relaxed);
        for (part, to) in self.before.iter().enumerate() {
            gone.before[part].move_to(to);
            gone.lately.iter().for_each(|window| window.parts[part].move_to(to));
        }
    }
}

/// What an app did, by its dynos.
#[derive(Debug)]
pub struct AppFigures {
    /// What came to no dyno, or to one that is gone, and why exchanges failed.
    own: Arc<Figures>,
    /// Those of its dynos; taken when a dyno has its first exchange, and when somebody looks.
    dynos: Mutex<Vec<Arc<Figures>>>,
    /// When it was last looked whether a dyno that is gone left room for another.
    looked_ms: AtomicU64,
}

/// The place of an app's figures, empty before its first exchange.
#[derive(Debug, Default)]
pub struct AppPlace {
    room: Arc<Room>,
    /// Held by who makes them: two that make them at once would take two places in the room.
    making: Mutex<()>,
    figures: OnceLock<Box<AppFigures>>,
}

/// The place of a dyno's.
pub type DynoPlace = OnceLock<Arc<Figures>>;

impl AppPlace {
    /// A place for figures, if there is room for them once they are needed.
    pub fn new(room: Arc<Room>) -> AppPlace {
        AppPlace { room, ..AppPlace::default() }
    }

    /// The figures, if the app has any.
    pub fn get(&self) -> Option<&AppFigures> {
        self.figures.get().map(|figures| &**figures)
    }

    /// Counts an exchange that ended, on `dyno` if it came to one.
    pub fn count(&self, dyno: Option<&DynoPlace>, ended: &Ended, now_ms: u64) {
        let Some(app) = self.get().or_else(|| self.begin()) else { return };
        app.own.fault(ended.fault);
        let dyno = dyno.and_then(|place| self.of_dyno(app, place, now_ms));
        dyno.unwrap_or(&app.own).count(ended, now_ms);
    }

    /// Counts an attempt on a dyno that failed.
    pub fn count_failure(&self, dyno: &DynoPlace, fault: Fault) {
        let Some(app) = self.get().or_else(|| self.begin()) else { return };
        // Where that has none, its exchange looks for room.
        if let Some(dyno) = self.of_dyno(app, dyno, 0) {
            dyno.fault(Some(fault));
        }
    }

    /// Counts an attempt behind one that failed on this dyno.
    pub fn count_retry(&self, dyno: &DynoPlace) {
        let figures = dyno.get().or_else(|| self.get().map(|app| &app.own));
        figures.inspect(|figures| _ = figures.retries.fetch_add(1, Relaxed));
    }

    /// Counts a request that was slow on this dyno and went to another too, when it is sent there,
    /// and when that one `won`.
    pub fn count_hedge(&self, dyno: &DynoPlace, won: bool) {
        let Some(app) = self.get().or_else(|| self.begin()) else { return };
        let figures = self.of_dyno(app, dyno, 0).unwrap_or(&app.own);
        figures.hedges[usize::from(won)].fetch_add(1, Relaxed);
    }

    #[cold]
    fn begin(&self) -> Option<&AppFigures> {
        if self.room.is_full() {
            return None;
        }
        let _held = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = self.get() {
            return Some(made);
        }
        let own = Figures::make(&self.room)?;
        Some(self.figures.get_or_init(|| Box::new(AppFigures::new(own))))
    }

    fn of_dyno<'a>(
        &self,
        app: &AppFigures,
        place: &'a DynoPlace,
        now_ms: u64,
    ) -> Option<&'a Arc<Figures>> {
        let is_hopeless = || self.room.is_full() && !app.looks_for_room(now_ms);
        let begin = || (!is_hopeless()).then(|| app.begin_dyno(place, &self.room)).flatten();
        place.get().or_else(begin)
    }
}

/// Where there is no room, an app looks so often whether a dyno that is gone left some, in
/// milliseconds.
const LOOK_MS: u64 = 1_000;

impl AppFigures {
    fn new(own: Arc<Figures>) -> AppFigures {
        AppFigures { own, dynos: Mutex::default(), looked_ms: AtomicU64::new(0) }
    }

    /// Is it time that somebody looks for room? It is the asker who does, then.
    fn looks_for_room(&self, now_ms: u64) -> bool {
        let before = self.looked_ms.load(Relaxed);
        now_ms.saturating_sub(before) >= LOOK_MS
            && self.looked_ms.compare_exchange(before, now_ms, Relaxed, Relaxed).is_ok()
    }

    #[cold]
    fn begin_dyno<'a>(&self, place: &'a DynoPlace, room: &Arc<Room>) -> Option<&'a Arc<Figures>> {
        let mut dynos = self.dynos.lock().unwrap_or_else(PoisonError::into_inner);
        if place.get().is_none() {
            self.bury(&mut dynos);
            let figures = Figures::make(room)?;
            dynos.push(figures.clone());
            // The lock is held: nobody else has set it.
            place.get_or_init(|| figures);
        }
        place.get()
    }

    /// Takes over what dynos counted whose cells are gone, so that nobody counts there any more.
    fn bury(&self, dynos: &mut Vec<Arc<Figures>>) {
        dynos.retain(|dyno| {
            let is_gone = Arc::strong_count(dyno) == 1;
            if is_gone {
                self.own.take(dyno);
            }
            !is_gone
        });
    }

    /// What the app did.
    pub fn seen(&self, now_ms: u64) -> Seen {
        let mut dynos = self.dynos.lock().unwrap_or_else(PoisonError::into_inner);
        self.bury(&mut dynos);
        let mut seen = Seen::default();
        dynos.iter().for_each(|dyno| dyno.add_to(&mut seen, now_ms));
        // Faults of a dyno are those of attempts; the app's are those of its exchanges.
        seen.faults = [0; FAULTS];
        self.own.add_to(&mut seen, now_ms);
        seen.finish()
    }
}

impl Figures {
    /// What the dyno did.
    pub fn seen(&self, now_ms: u64) -> Seen {
        let mut seen = Seen::default();
        self.add_to(&mut seen, now_ms);
        seen.finish()
    }
}

/// Figures at rest.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Exchanges by the class of their status; the first are those without one.
    pub statuses: [u64; CLASSES.len()],
    faults: [u64; FAULTS],
    /// Attempts that failed, and whose exchange went on.
    pub retries: u64,
    /// Requests that were slow and went to a second dyno too, and those that it served.
    pub hedges: [u64; 2],
    /// How long the parts of [`PARTS`] took in the last one or two windows.
    pub lately: [Distribution; PARTS.len()],
    /// The same since the start.
    pub ever: [Distribution; PARTS.len()],
}

impl Default for Seen {
    fn default() -> Self {
        let (statuses, faults, retries, hedges) = ([0; CLASSES.len()], [0; FAULTS], 0, [0; 2]);
        let (lately, ever) = Default::default();
        Seen { statuses, faults, retries, hedges, lately, ever }
    }
}

impl Seen {
    /// Parts of an exchange that took no time to speak of are told by the count of the whole.
    fn finish(mut self) -> Seen {
        for [total, parts @ ..] in [&mut self.lately, &mut self.ever] {
            parts.iter_mut().for_each(|part| part.of_all(total.count()));
        }
        self
    }

    /// Exchanges that ended.
    pub fn exchanges(&self) -> u64 {
        self.statuses.iter().sum()
    }

    /// Faults by code, those of which there were any; sorted.
    pub fn faults(&self) -> BTreeMap<&'static str, u64> {
        let mut by_code = BTreeMap::new();
        for (fault, count) in Fault::ALL.iter().zip(self.faults).filter(|(_, count)| *count > 0) {
            *by_code.entry(fault.code()).or_default() += count;
        }
        by_code
    }
}

/// The class of a status.
fn class(status: u16) -> usize {
    let class = usize::from(status / 100);
    // A status that no class has is counted as none.
    if class < CLASSES.len() { class } else { 0 }
}

#[cfg(test)]
mod tests;
