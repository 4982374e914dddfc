//! The line beside a model of an app: step by step, and by threads that do what they like.
//!
//! Invariant: whoever waits here is woken by the line alone, so that a wake-up that is lost fails.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::Wake,
    thread::{self, Thread},
    time::{Duration, Instant},
};

use super::*;

/// Nothing but a wake-up ends a wait: far longer than one takes.
const DEADLINE: Duration = Duration::from_secs(30);
const FIFO: Rules = Rules { max: 1000, lifo_after_ms: u64::MAX };
const LIFO: Rules = Rules { max: 1000, lifo_after_ms: 0 };

/// An app with dynos that take `most` exchanges each.
struct Model {
    app: Arc<AppCell>,
    cells: Vec<Arc<Cell>>,
    fit: Vec<AtomicBool>,
    most: u32,
    most_of_app: u32,
}

impl Model {
    fn new(dynos: usize, most: u32, most_of_app: u32) -> Model {
        Model {
            app: Arc::default(),
            cells: (0..dynos).map(|_| Arc::default()).collect(),
            fit: (0..dynos).map(|_| AtomicBool::new(true)).collect(),
            most,
            most_of_app,
        }
    }

    fn at(&self, cell: &Arc<Cell>) -> usize {
        self.cells.iter().position(|one| Arc::ptr_eq(one, cell)).unwrap()
    }

    /// Any place on a fit dyno that is not `tried`, counted.
    fn choose(&self, tried: &[usize]) -> Option<Arc<Cell>> {
        let untried = |cell: &Arc<Cell>| !tried.contains(&(Arc::as_ptr(cell) as usize));
        let mut fit = self.cells.iter().zip(&self.fit).filter(|(_, fit)| fit.load(SeqCst));
        fit.find(|(cell, _)| {
            untried(cell) && self.app.take(cell, true, self.most, self.most_of_app)
        })
        .map(|(cell, _)| cell.clone())
    }

    fn join(&self, tried: &[usize], rules: Rules) -> Waiting<'_> {
        let ticket = Ticket::join(&self.app, tried, rules, 1).expect("there is room");
        Waiting { model: self, ticket, tried: tried.into(), looks: 0 }
    }

    fn set_fit(&self, at: usize, fit: bool) {
        self.fit[at].store(fit, SeqCst);
        self.app.queue.call();
    }

    fn is_at_rest(&self) -> bool {
        let counts = self.cells.iter().map(|cell| cell.in_flight()).sum::<u32>();
        counts + self.app.in_flight() + self.app.queue.waiting() == 0
    }
}

/// One who waits, polled by hand or by a thread.
struct Waiting<'a> {
    model: &'a Model,
    ticket: Ticket,
    tried: Box<[usize]>,
    looks: usize,
}

impl Waiting<'_> {
    fn poll(&mut self, cx: &Context<'_>) -> Poll<Arc<Cell>> {
        let (model, tried, looks) = (self.model, &self.tried, &mut self.looks);
        let fits = |cell: &Arc<Cell>| model.fit[model.at(cell)].load(SeqCst);
        let look = || {
            *looks += 1;
            let found = model.choose(tried);
            found.map_or(Looked::Stays { others_may_go: !tried.is_empty() }, Looked::Place)
        };
        let given = ready!(self.ticket.poll_go(cx, fits, look));
        Poll::Ready(given.and_then(Handed::keep).expect("who goes here has a place"))
    }

    fn goes(&mut self) -> bool {
        self.poll(&Context::from_waker(Waker::noop())).is_ready()
    }
}

fn release(model: &Model, dyno: usize) {
    model.app.release(&model.cells[dyno]);
}

/// Who of those that wait goes with each of as many places as they are.
fn order(rules: Rules, count: usize) -> Vec<usize> {
    let model = Model::new(1, 1, 0);
    model.choose(&[]).unwrap();
    let mut waiting: Vec<_> = (0..count).map(|_| model.join(&[], rules)).collect();
    assert!(waiting.iter_mut().all(|one| !one.goes()));
    let mut order = Vec::new();
    for left in (0..count).rev() {
        release(&model, 0);
        let mut rest = (0..count).filter(|at| !order.contains(at));
        let next = rest.find(|at| waiting[*at].goes()).expect("one goes");
        assert!(rest.all(|at| !waiting[at].goes()), "and no other");
        order.push(next);
        assert_eq!((model.cells[0].in_flight(), model.app.queue.waiting()), (1, left as u32));
    }
    release(&model, 0);
    drop(waiting);
    assert!(model.is_at_rest());
    order
}

#[test]
fn the_first_to_come_goes_first_and_under_overload_the_last() {
    assert_eq!(order(FIFO, 5), [0, 1, 2, 3, 4]);
    assert_eq!(order(LIFO, 5), [4, 3, 2, 1, 0]);
}

#[test]
fn a_line_stands_once_its_oldest_has_waited_too_long_for_as_long_again() {
    let rules = Rules { max: 9, lifo_after_ms: 100 };
    let app = Arc::default();
    let mut line = Vec::new();
    let mut at = |now_ms| {
        line.extend(Ticket::join(&app, &[], rules, now_ms));
        app.queue.lock().lifo
    };
    assert_eq!([1000, 1099, 1100, 1199, 1200, 1300].map(&mut at), {
        [false, false, false, false, true, true]
    });
    // The oldest now is one that came lately.
    line.drain(..5);
    let mut at = |now_ms| {
        line.extend(Ticket::join(&app, &[], rules, now_ms));
        app.queue.lock().lifo
    };
    assert_eq!([1350, 1400, 1499, 1500].map(&mut at), [false, false, false, true]);
    line.clear();
    assert!(!app.queue.lock().lifo, "nobody waits");
}

#[test]
fn a_full_line_takes_nobody() {
    let app = Arc::default();
    let rules = Rules { max: 2, ..FIFO };
    let join = || Ticket::join(&app, &[], rules, 1);
    let (first, second) = (join(), join());
    assert!(first.is_some() && second.is_some() && join().is_none());
    drop(first);
    assert!(join().is_some());
    assert!(Ticket::join(&app, &[], Rules { max: 0, ..FIFO }, 1).is_none());
}

#[test]
fn a_place_of_who_left_goes_to_the_next() {
    let model = Model::new(1, 1, 0);
    model.choose(&[]).unwrap();
    let [mut first, mut second, mut third] = [(); 3].map(|()| model.join(&[], FIFO));
    assert!(!first.goes() && !second.goes() && !third.goes());
    drop(second);
    release(&model, 0);
    drop(first);
    assert_eq!(model.cells[0].in_flight(), 1, "it was handed on twice, and counted all the time");
    assert!(third.goes());
}

#[test]
fn a_place_on_a_dyno_that_became_unfit_is_given_up_and_the_line_kept() {
    let model = Model::new(2, 1, 0);
    model.choose(&[]).unwrap();
    model.choose(&[]).unwrap();
    let [mut first, mut second] = [(); 2].map(|()| model.join(&[], FIFO));
    assert!(!first.goes() && !second.goes());
    release(&model, 0);
    model.fit[0].store(false, SeqCst);
    assert!(!first.goes());
    assert_eq!(model.cells[0].in_flight(), 0);
    release(&model, 1);
    assert!(!second.goes() && first.goes(), "it is still the first");
    model.set_fit(0, true);
    assert!(second.goes());
}

#[test]
fn a_place_on_a_dyno_that_left_the_table_is_handed_to_nobody() {
    let model = Model::new(1, 1, 0);
    model.choose(&[]).unwrap();
    let mut waiting = model.join(&[], FIFO);
    assert!(!waiting.goes());
    model.fit[0].store(false, SeqCst);
    model.cells[0].set_retired(true);
    release(&model, 0);
    assert!(!waiting.goes() && model.cells[0].in_flight() == 0);
}

#[test]
fn who_tried_a_dyno_is_passed_over_for_it_and_bars_nobody() {
    let model = Model::new(2, 1, 0);
    model.fit[1].store(false, SeqCst);
    model.choose(&[]).unwrap();
    let tried = [Arc::as_ptr(&model.cells[0]) as usize];
    let mut first = model.join(&tried, FIFO);
    let mut second = model.join(&[], FIFO);
    assert!(!first.goes() && !second.goes());
    release(&model, 0);
    assert!(!first.goes() && second.goes());
    release(&model, 0);
    // One that comes now finds the place, though another waits.
    assert!(model.join(&[], FIFO).goes());
    model.set_fit(1, true);
    assert!(first.goes());
}

#[test]
fn one_call_lets_all_go_that_can_and_no_other_look() {
    let model = Model::new(1, 3, 0);
    model.fit[0].store(false, SeqCst);
    let mut waiting: Vec<_> = (0..100).map(|_| model.join(&[], FIFO)).collect();
    assert!(waiting.iter_mut().all(|one| !one.goes()));
    model.set_fit(0, true);
    let mut gone = 0;
    while waiting[0].goes() {
        waiting.remove(0);
        gone += 1;
    }
    assert_eq!(gone, 3);
    assert!(waiting.iter_mut().all(|one| !one.goes()));
    let looks: usize = waiting.iter().map(|one| one.looks - 1).sum();
    assert!(looks <= 7, "{looks} looks beside each one's own");
}

#[test]
fn the_bound_of_the_app_is_met_whatever_the_dynos() {
    let model = Model::new(3, 0, 2);
    assert!(model.choose(&[]).is_some() && model.choose(&[]).is_some());
    assert!(model.choose(&[]).is_none());
    let mut waiting = model.join(&[], FIFO);
    assert!(!waiting.goes());
    release(&model, 0);
    assert!(waiting.goes() && model.app.in_flight() == 2);
}

/// Wakes a thread that polls.
struct Unpark(Thread);
impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls until it is ready, or gives up after so many polls.
fn block<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>, polls: usize) -> Option<T> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    for _ in 0..polls {
        if let Poll::Ready(output) = poll(&mut cx) {
            return Some(output);
        }
        let began = Instant::now();
        thread::park_timeout(DEADLINE);
        assert!(began.elapsed() < DEADLINE, "a wake-up was lost");
    }
    None
}

/// Threads that come, wait, leave or are served, and release: for each model to the end.
#[test]
fn no_wake_up_is_lost_and_no_bound_passed_whatever_the_threads_do() {
    for seed in 0..24u64 {
        let (dynos, most) = (1 + seed as usize % 3, [1, 2, 0][seed as usize % 3]);
        let most_of_app = if most == 0 { 2 } else { [0, 3][seed as usize / 3 % 2] };
        let model = Model::new(dynos, most, most_of_app);
        let rules = if seed % 2 == 0 { FIFO } else { LIFO };
        let (threads, rounds) = (6, 300);
        let (served, left) = (AtomicU64::new(0), AtomicU64::new(0));
        let begin = Barrier::new(threads);
        thread::scope(|scope| {
            for number in 0..threads {
                let (model, begin, served, left) = (&model, &begin, &served, &left);
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed << 8 | number as u64);
                    begin.wait();
                    for _ in 0..rounds {
                        match exchange(model, rules, &mut random) {
                            true => served.fetch_add(1, Relaxed),
                            false => left.fetch_add(1, Relaxed),
                        };
                    }
                });
            }
        });
        assert!(model.is_at_rest(), "seed {seed}");
        let all = served.load(Relaxed) + left.load(Relaxed);
        assert_eq!(all, threads as u64 * rounds as u64, "seed {seed}");
        assert!(served.load(Relaxed) > all / 2, "seed {seed}");
    }
}

/// One exchange of a thread; was it served?
fn exchange(model: &Model, rules: Rules, random: &mut fastrand::Rng) -> bool {
    if random.u8(..) < 30 {
        let at = random.usize(..model.cells.len());
        model.set_fit(at, false);
        thread::yield_now();
        model.set_fit(at, true);
    }
    let patience = if random.u8(..) < 40 { random.usize(..3) } else { usize::MAX };
    let cell = match model.app.queue.waiting() {
        0 => model.choose(&[]),
        _ => None,
    };
    let cell = cell.or_else(|| {
        let mut waiting = model.join(&[], rules);
        block(|cx| waiting.poll(cx), patience)
    });
    let Some(cell) = cell else { return false };
    let within = |count: u32, most: u32| most == 0 || count <= most;
    assert!(within(cell.in_flight(), model.most), "a dyno has more than it may");
    assert!(within(model.app.in_flight(), model.most_of_app), "the app has more than it may");
    if random.bool() {
        thread::yield_now();
    }
    model.app.release(&cell);
    true
}
