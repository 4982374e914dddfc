//! Who waits for a dyno of an app: one line for all workers.
//!
//! * A place that becomes free while somebody waits is handed to who is next, still counted.
//! * Whatever else may let an exchange go on (a push, a dyno that is well again) calls the first of
//!   the line: it looks for itself, offers a place that it finds to who is next, and if it goes it
//!   calls the two behind it.
//! * First in, first out; last in, first out for as long as the app is overloaded (adaptive LIFO:
//!   Maurer, "Fail at Scale", ACM Queue, 2015): since the oldest has waited for `lifo_after`,
//!   through all of such a time again (CoDel's sign of a queue that stands: Nichols and Jacobson,
//!   "Controlling Queue Delay", ACM Queue, 2012).
//!
//! Invariants: the lock is taken only by who waits, and by who frees or calls while somebody does;
//! nobody is woken under it. No wake-up is lost: who waits is counted before it looks, and who
//! frees a place uncounts it before it looks whether anybody waits, both in one total order
//! (`SeqCst`). A place that was handed is released by whoever leaves with it.

use std::{
    collections::BTreeMap,
    ops::RangeFrom,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering::SeqCst, fence},
    },
    task::{Context, Poll, Waker, ready},
};

use super::cell::{AppCell, Cell};

/// What an app's line may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The most exchanges in it.
    pub max: u32,
    /// How long the oldest waits, for as long again, before the last to come is the next to go, in
    /// milliseconds.
    pub lifo_after_ms: u64,
}

/// The exchanges of an app that wait.
#[derive(Debug, Default)]
pub struct Queue {
    /// How many wait and were handed nothing yet.
    waiting: AtomicU32,
    /// Made when the first waits: most apps have none that ever does.
    line: OnceLock<Box<Mutex<Line>>>,
}

#[derive(Debug, Default)]
struct Line {
    next: u64,
    waiting: BTreeMap<u64, Waiter>,
    /// What was handed and not yet taken.
    handed: BTreeMap<u64, Arc<Cell>>,
    lifo: bool,
    /// Since when the oldest waits for too long.
    late_since_ms: Option<u64>,
}

#[derive(Debug)]
struct Waiter {
    waker: Waker,
    /// It was called, and has not looked since.
    called: bool,
    /// The cells of the dynos that it does not want, by address.
    tried: Box<[usize]>,
    since_ms: u64,
}

/// Who is to be woken once the lock is free again.
type Wakers = Vec<Waker>;

impl Queue {
    /// How many wait.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(SeqCst)
    }

    /// Calls the first of the line: it may be able to go on.
    pub fn call(&self) {
        // Behind whatever changed: who is not seen here has yet to look.
        fence(SeqCst);
        if self.waiting() > 0 {
            let wakers = self.lock().call(0.., 1);
            wake(wakers);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        // Every step under the lock leaves the line whole.
        self.line.get_or_init(Box::default).lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands on a place that stays counted; answers whether anybody wanted it.
    fn hand(&self, cell: &Arc<Cell>) -> bool {
        let mut line = self.lock();
        let Some(at) = line.next_for(cell) else { return false };
        let wakers = self.hand_to(&mut line, at, cell);
        drop(line);
        wake(wakers);
        true
    }

    fn hand_to(&self, line: &mut Line, at: u64, cell: &Arc<Cell>) -> Wakers {
        let (waiter, mut wakers) = self.remove(line, at, 0);
        line.handed.insert(at, cell.clone());
        wakers.extend(waiter.map(|waiter| waiter.waker));
        wakers
    }

    /// Takes one out of those that wait; `calls` and a call that it did not heed go to those
    /// behind.
    fn remove(&self, line: &mut Line, at: u64, calls: usize) -> (Option<Waiter>, Wakers) {
        let waiter = line.waiting.remove(&at);
        self.count(line);
        let unheeded = waiter.as_ref().is_some_and(|waiter| waiter.called);
        let wakers = line.call(at + 1.., calls + usize::from(unheeded));
        (waiter, wakers)
    }

    fn count(&self, line: &mut Line) {
        self.waiting.store(line.waiting.len() as u32, SeqCst);
        if line.waiting.is_empty() {
            (line.lifo, line.late_since_ms) = (false, None);
        }
    }
}

impl Line {
    /// Who is next for a place on this dyno.
    fn next_for(&self, cell: &Arc<Cell>) -> Option<u64> {
        let address = Arc::as_ptr(cell) as usize;
        let wants = |(_, waiter): &(&u64, &Waiter)| !waiter.tried.contains(&address);
        let mut line = self.waiting.iter();
        let next = if self.lifo { line.rfind(wants) } else { line.find(wants) };
        next.map(|(at, _)| *at)
    }

    /// Calls the first `count` of those from a place on that were not called yet.
    fn call(&mut self, from: RangeFrom<u64>, count: usize) -> Wakers {
        let behind = self.waiting.range_mut(from).filter(|(_, waiter)| !waiter.called);
        let called = behind.take(count).map(|(_, waiter)| {
            waiter.called = true;
            waiter.waker.clone()
        });
        called.collect()
    }

    /// Judges whether the line stands, as one more comes to it.
    fn judge(&mut self, rules: Rules, now_ms: u64) {
        let oldest = self.waiting.values().next().map(|waiter| waiter.since_ms);
        let is_late = |since_ms: u64| now_ms.saturating_sub(since_ms) >= rules.lifo_after_ms;
        self.late_since_ms = match oldest.is_some_and(is_late) {
            true => self.late_since_ms.or(Some(now_ms)),
            false => None,
        };
        self.lifo = self.late_since_ms.is_some_and(is_late);
    }
}

fn wake(wakers: Wakers) {
    wakers.into_iter().for_each(Waker::wake);
}

impl AppCell {
    /// Counts one exchange more on a dyno of the app, within `most` on the dyno and `most_of_app`
    /// (0: any number); answers whether there was a place.
    pub fn take(&self, cell: &Cell, first: bool, most: u32, most_of_app: u32) -> bool {
        let is_full = most != 0 && cell.in_flight() >= most;
        if is_full || !self.enter(first, most_of_app) {
            return false;
        }
        let entered = cell.enter(most);
        if !entered {
            self.turn_back(first);
            // Another may have found the app full for that moment.
            self.call_if_waited_for();
        }
        entered
    }

    /// Ends one exchange on a dyno: who is next has its place, or else it is free.
    pub fn release(&self, cell: &Arc<Cell>) {
        let handed = self.queue.waiting() > 0
            && !cell.is_retired()
            && !cell.is_draining()
            && self.queue.hand(cell);
        if !handed {
            self.free(cell);
        }
    }

    /// Gives up a place that nobody can use.
    fn free(&self, cell: &Cell) {
        cell.leave();
        self.leave();
        self.call_if_waited_for();
    }

    fn call_if_waited_for(&self) {
        // The counts are behind us in the one order that all threads see, so no fence.
        if self.queue.waiting() > 0 {
            wake(self.queue.lock().call(0.., 1));
        }
    }
}

/// What came for one who waits.
#[derive(Debug)]
enum Given {
    /// It may be able to go on: it is to look.
    Call,
    /// A place.
    Place(Handed),
}

/// What one who was called found.
#[derive(Debug)]
pub enum Looked {
    /// A place on this dyno, for which it competes with others; it is counted.
    Place(Arc<Cell>),
    /// It goes, having found a place that nobody competes for, or for want of any hope.
    Goes,
    /// It waits on.
    Stays {
        /// Those behind it may be able to go, as who has other dynos to go to.
        others_may_go: bool,
    },
}

/// A place in the line, left when it is dropped.
#[derive(Debug)]
pub struct Ticket {
    app: Arc<AppCell>,
    at: u64,
    tried: Box<[usize]>,
    since_ms: u64,
    /// It was called, and others behind it are to be if it goes.
    called: bool,
}

impl Ticket {
    /// Joins the app's line at its end, unless it is full; its first poll is a call.
    pub fn join(app: &Arc<AppCell>, tried: &[usize], rules: Rules, now_ms: u64) -> Option<Ticket> {
        let mut line = app.queue.lock();
        line.judge(rules, now_ms);
        if line.waiting.len() >= rules.max as usize {
            return None;
        }
        let at = line.next;
        line.next += 1;
        let ticket =
            Ticket { app: app.clone(), at, tried: tried.into(), since_ms: now_ms, called: false };
        ticket.stand(&mut line, Waker::noop().clone(), true);
        drop(line);
        Some(ticket)
    }

    fn stand(&self, line: &mut Line, waker: Waker, called: bool) {
        let (tried, since_ms) = (self.tried.clone(), self.since_ms);
        line.waiting.insert(self.at, Waiter { waker, called, tried, since_ms });
        self.app.queue.count(line);
        // Counted before it looks.
        fence(SeqCst);
    }

    /// The app in whose line this is.
    pub fn app(&self) -> &Arc<AppCell> {
        &self.app
    }

    /// Waits until the exchange goes: with a place that it was given, or (`None`) otherwise, as
    /// `look` said. `fits` tells whether a place that was handed is of use now.
    pub fn poll_go(
        &mut self,
        cx: &Context<'_>,
        mut fits: impl FnMut(&Arc<Cell>) -> bool,
        mut look: impl FnMut() -> Looked,
    ) -> Poll<Option<Handed>> {
        for _ in 0..LOOKS {
            match ready!(self.poll(cx)) {
                Given::Place(place) => match place.cell.as_ref().is_some_and(&mut fits) {
                    true => return Poll::Ready(Some(place)),
                    false => self.turn_down(place),
                },
                Given::Call => match look() {
                    Looked::Goes => return Poll::Ready(None),
                    Looked::Stays { others_may_go } => self.stays(others_may_go),
                    Looked::Place(cell) => match self.offer(&cell) {
                        Some(own) => return Poll::Ready(Some(own)),
                        None => self.call_again(),
                    },
                },
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Waits for a call or a place.
    fn poll(&mut self, cx: &Context<'_>) -> Poll<Given> {
        let mut line = self.app.queue.lock();
        if let Some(cell) = line.handed.remove(&self.at) {
            return Poll::Ready(Given::Place(Handed { app: self.app.clone(), cell: Some(cell) }));
        }
        let waiter = line.waiting.get_mut(&self.at).expect("who was handed nothing stands in line");
        waiter.waker.clone_from(cx.waker());
        if !std::mem::take(&mut waiter.called) {
            return Poll::Pending;
        }
        self.called = true;
        Poll::Ready(Given::Call)
    }

    /// Turns down a place: it is of no use to anybody. It keeps its place in the line.
    fn turn_down(&mut self, mut place: Handed) {
        let cell = place.cell.take();
        let mut line = self.app.queue.lock();
        self.stand(&mut line, Waker::noop().clone(), true);
        drop(line);
        if let Some(cell) = cell {
            self.app.free(&cell);
        }
    }

    /// Offers a place that it found, and that is counted: it is the next one's. Answers it, if that
    /// is the ticket's own.
    fn offer(&mut self, cell: &Arc<Cell>) -> Option<Handed> {
        let queue = &self.app.queue;
        let mut line = queue.lock();
        let next = line.next_for(cell).filter(|next| *next != self.at);
        let Some(next) = next else {
            let (_, wakers) = queue.remove(&mut line, self.at, 0);
            drop(line);
            wake(wakers);
            return Some(Handed { app: self.app.clone(), cell: Some(cell.clone()) });
        };
        let wakers = queue.hand_to(&mut line, next, cell);
        drop(line);
        wake(wakers);
        None
    }

    /// It looked and cannot go. Those behind it are called if they may be able to.
    fn stays(&mut self, others_may_go: bool) {
        self.called = false;
        if others_may_go {
            let wakers = self.app.queue.lock().call(self.at + 1.., 1);
            wake(wakers);
        }
    }

    /// It is to look again.
    pub fn call_again(&self) {
        if let Some(waiter) = self.app.queue.lock().waiting.get_mut(&self.at) {
            waiter.called = true;
        }
    }
}

/// How often one looks, or is handed a place, before others have their turn.
const LOOKS: usize = 64;
/// How many are called by one who was called and leaves.
const CALLED_BEHIND: usize = 2;

impl Drop for Ticket {
    fn drop(&mut self) {
        let queue = &self.app.queue;
        let calls = if self.called { CALLED_BEHIND } else { 0 };
        let mut line = queue.lock();
        let handed = line.handed.remove(&self.at);
        let (_, wakers) = queue.remove(&mut line, self.at, calls);
        drop(line);
        wake(wakers);
        if let Some(cell) = handed {
            self.app.release(&cell);
        }
    }
}

/// A place that was handed: counted on its dyno and its app, and released unless it is kept.
#[derive(Debug)]
pub struct Handed {
    app: Arc<AppCell>,
    cell: Option<Arc<Cell>>,
}

impl Handed {
    /// Keeps the place: whoever does so releases it.
    pub fn keep(mut self) -> Option<Arc<Cell>> {
        self.cell.take()
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take() {
            self.app.release(&cell);
        }
    }
}

#[cfg(test)]
mod tests;
