//! One coarse timing wheel a worker: deadlines of connections at the cost of writing a number.
//!
//! * A [`Timer`] belongs to one task; its waker is taken once, when the timer is made.
//! * Setting a deadline later than the one before writes a number: the bucket that the timer lies
//!   in is looked at when it comes up, and the timer is put where it belongs by then.
//! * A deadline is met at the next tick behind it: at most two [`TICK`]s late, never early.
//!
//! Hashed wheels: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::Waker,
    time::Duration,
};

/// How often the wheel turns by a bucket.
pub const TICK: Duration = Duration::from_millis(50);
/// Buckets: deadlines further away than this many ticks (51 s) are looked at once in between.
const BUCKETS: usize = 1024;
/// No deadline.
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
struct Entry {
    waker: Waker,
    deadline: u64,
    /// The tick whose bucket holds the entry; [`NEVER`] if none does.
    bucketed: u64,
    generation: u32,
}

#[derive(Debug, Clone, Copy)]
struct Ticket {
    key: u32,
    generation: u32,
    tick: u64,
}

/// The deadlines of one worker's connections.
#[derive(Debug)]
pub struct Wheel {
    now: Cell<u64>,
    entries: RefCell<Vec<Option<Entry>>>,
    free: RefCell<Vec<u32>>,
    generation: Cell<u32>,
    buckets: RefCell<Vec<Vec<Ticket>>>,
}

impl Default for Wheel {
    fn default() -> Self {
        Wheel {
            now: Cell::new(0),
            entries: RefCell::default(),
            free: RefCell::default(),
            generation: Cell::new(0),
            buckets: RefCell::new(vec![Vec::new(); BUCKETS]),
        }
    }
}

impl Wheel {
    /// A timer without a deadline that wakes the task of `waker`.
    pub fn timer(self: &Rc<Self>, waker: &Waker) -> Timer {
        let generation = self.generation.get().wrapping_add(1);
        self.generation.set(generation);
        let entry = Entry { waker: waker.clone(), deadline: NEVER, bucketed: NEVER, generation };
        let mut entries = self.entries.borrow_mut();
        let key = match self.free.borrow_mut().pop() {
            Some(key) => {
                entries[key as usize] = Some(entry);
                key
            }
            None => {
                entries.push(Some(entry));
                entries.len() as u32 - 1
            }
        };
        Timer { wheel: self.clone(), key }
    }

    /// Turns the wheel to `now`, in ticks since it began, and wakes whose deadline is over.
    pub fn turn(&self, now: u64) {
        let mut due = Vec::new();
        while self.now.get() < now {
            let tick = self.now.get() + 1;
            self.now.set(tick);
            std::mem::swap(&mut due, &mut self.buckets.borrow_mut()[tick as usize % BUCKETS]);
            for ticket in due.drain(..) {
                self.visit(ticket, tick);
            }
        }
    }

    fn visit(&self, ticket: Ticket, tick: u64) {
        let mut entries = self.entries.borrow_mut();
        let Some(entry) = entries[ticket.key as usize].as_mut() else { return };
        if entry.generation != ticket.generation || entry.bucketed != ticket.tick {
            return;
        }
        if ticket.tick > tick {
            self.buckets.borrow_mut()[tick as usize % BUCKETS].push(ticket);
        } else if entry.deadline <= tick {
            entry.bucketed = NEVER;
            entry.waker.wake_by_ref();
        } else {
            self.put(ticket.key, entry);
        }
    }

    /// Puts an entry into the bucket of its deadline, if it has one.
    fn put(&self, key: u32, entry: &mut Entry) {
        entry.bucketed = NEVER;
        if entry.deadline != NEVER {
            let tick = entry.deadline.min(self.now.get() + BUCKETS as u64 - 1);
            let tick = tick.max(self.now.get() + 1);
            entry.bucketed = tick;
            let ticket = Ticket { key, generation: entry.generation, tick };
            self.buckets.borrow_mut()[tick as usize % BUCKETS].push(ticket);
        }
    }

    /// Wakes the task of every timer: the state of the worker changed.
    pub fn wake_all(&self) {
        for entry in self.entries.borrow().iter().flatten() {
            entry.waker.wake_by_ref();
        }
    }
}

/// The deadline of one task.
#[derive(Debug)]
pub struct Timer {
    wheel: Rc<Wheel>,
    key: u32,
}

impl Timer {
    /// Wakes another task from now on.
    pub fn wake(&self, waker: &Waker) {
        self.with(|entry| entry.waker.clone_from(waker));
    }

    /// Sets the deadline to `after` from now.
    pub fn set(&self, after: Duration) {
        let ticks = after.as_nanos().div_ceil(TICK.as_nanos()) as u64;
        // The tick that is under way counts for nothing: never early.
        let deadline = self.wheel.now.get() + ticks + 1;
        self.with(|entry| {
            entry.deadline = deadline;
            if entry.bucketed > deadline {
                self.wheel.put(self.key, entry);
            }
        });
    }

    /// Is the deadline over? The task is woken when it comes to be.
    pub fn is_over(&self) -> bool {
        self.with(|entry| entry.deadline <= self.wheel.now.get())
    }

    fn with<R>(&self, with: impl FnOnce(&mut Entry) -> R) -> R {
        let mut entries = self.wheel.entries.borrow_mut();
        with(
            entries[self.key as usize].as_mut().expect("a timer has its entry until it is dropped"),
        )
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.wheel.entries.borrow_mut()[self.key as usize] = None;
        self.wheel.free.borrow_mut().push(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    };

    #[derive(Default)]
    struct Woken(AtomicU32);
    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn wheel() -> (Rc<Wheel>, Arc<Woken>, Waker) {
        let woken = Arc::new(Woken::default());
        (Rc::default(), woken.clone(), woken.into())
    }

    #[test]
    fn a_deadline_wakes_once_it_is_over_and_not_before() {
        let (wheel, woken, waker) = wheel();
        let timer = wheel.timer(&waker);
        timer.set(TICK * 3);
        wheel.turn(3);
        assert!(!timer.is_over() && woken.0.load(Relaxed) == 0);
        wheel.turn(4);
        assert!(timer.is_over() && woken.0.load(Relaxed) == 1);
    }

    #[test]
    fn a_later_deadline_replaces_the_one_before() {
        let (wheel, woken, waker) = wheel();
        let timer = wheel.timer(&waker);
        timer.set(TICK * 3);
        timer.set(TICK * 2000);
        wheel.turn(2000);
        assert!(!timer.is_over() && woken.0.load(Relaxed) == 0);
        wheel.turn(2001);
        assert!(timer.is_over() && woken.0.load(Relaxed) == 1);
    }

    #[test]
    fn an_earlier_deadline_replaces_the_one_before() {
        let (wheel, woken, waker) = wheel();
        let timer = wheel.timer(&waker);
        timer.set(TICK * 900);
        timer.set(TICK);
        wheel.turn(2);
        assert!(timer.is_over() && woken.0.load(Relaxed) == 1);
        wheel.turn(1000);
        assert_eq!(woken.0.load(Relaxed), 1, "what stood in the old bucket is stale");
    }

    #[test]
    fn a_key_that_is_used_again_is_not_woken_for_the_timer_before() {
        let (wheel, woken, waker) = wheel();
        let first = wheel.timer(&waker);
        first.set(TICK);
        drop(first);
        let second = wheel.timer(&waker);
        wheel.turn(5);
        assert!(!second.is_over() && woken.0.load(Relaxed) == 0);
    }

    #[test]
    fn a_bucket_that_is_due_a_turn_later_stays() {
        let (wheel, _, waker) = wheel();
        let timers: Vec<_> = (0..BUCKETS as u32 * 3).map(|_| wheel.timer(&waker)).collect();
        for (i, timer) in timers.iter().enumerate() {
            timer.set(TICK * i as u32);
        }
        for now in 0..BUCKETS as u64 * 3 + 1 {
            wheel.turn(now);
            let over = timers.iter().filter(|timer| timer.is_over()).count();
            assert_eq!(over as u64, now, "at tick {now}");
        }
    }
}
