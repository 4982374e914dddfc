//! A storm of pushes: from some connections, as fast as answers come or at a steady rate.
//!
//! Invariants: every push changes something, and must be accepted; each pusher has dynos of its
//! own, so that no push waits for another's; at a rate, a push that is late is not left out; what
//! a pusher itself costs, which the traffic pays too, is kept small.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    failure::{During, Failure},
    http::Conn,
    plan::Plan,
    report::Budget,
    router::Router,
    table::{DYNOS, push},
};

/// Changes of one batch.
const BATCH: u32 = 100;
/// About how long one is as an op, in bytes.
const LIKELY: usize = 96;
/// Batches are pushed from so many connections.
const BATCH_PUSHERS: u32 = 8;

/// What a push holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One change of a dyno, by a call of its own.
    Single,
    /// [`BATCH`] of them in a transaction.
    Batch,
}

impl Kind {
    /// Changes a second of the budget.
    pub fn rate(self) -> f64 {
        match self {
            Kind::Single => 2_000.0,
            Kind::Batch => 10_000.0,
        }
    }

    /// What a storm at that rate must come to, for its pairs to count: pushers begin one after the
    /// other, and the last answers are waited for.
    pub fn budget(self) -> Budget {
        Budget::AtLeast(0.95 * self.rate())
    }

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Kind::Single => "2,000 single pushes a second",
            Kind::Batch => "10,000 changes a second in batches",
        }
    }

    fn changes(self) -> u32 {
        if self == Kind::Single { 1 } else { BATCH }
    }
}

/// What a storm came to.
#[derive(Debug, Default)]
pub struct Seen {
    /// Changes that were answered.
    pub changes: u64,
    /// From the first push to the last answer.
    pub took: Duration,
    /// How long each push took.
    pub latency: Vec<Duration>,
}

impl Seen {
    /// Changes a second.
    pub fn rate(&self) -> f64 {
        self.changes as f64 / self.took.as_secs_f64()
    }
}

/// A storm that goes on.
pub struct Storm {
    stop: Arc<AtomicBool>,
    began: Instant,
    pushers: Vec<JoinHandle<Result<Seen, Failure>>>,
}

impl Storm {
    /// Begins one; at `rate` changes a second, or as fast as answers come.
    pub fn start(
        router: &Router,
        plan: &Plan,
        kind: Kind,
        rate: Option<f64>,
    ) -> Result<Storm, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let count = if kind == Kind::Single { plan.pushers } else { BATCH_PUSHERS };
        let began = Instant::now();
        let step = rate.map(|rate| f64::from(count * kind.changes()) / rate);
        let mut pushers = Vec::new();
        for at in 0..count {
            let conn = Conn::new(router.control).during("connecting to the push API")?;
            let (stop, apps) = (stop.clone(), plan.apps);
            let pusher = Pusher { conn, stop, apps, at, count, kind };
            let begin =
                began + Duration::from_secs_f64(step.unwrap_or(0.0) / f64::from(count)) * at;
            let step = step.map(Duration::from_secs_f64);
            pushers.push(thread::spawn(move || pusher.run(begin, step)));
        }
        Ok(Storm { stop, began, pushers })
    }

    /// Ends it and waits for the answers that are still out.
    pub fn end(self) -> Result<Seen, Failure> {
        self.stop.store(true, Relaxed);
        let mut seen = Seen::default();
        for pusher in self.pushers {
            let one = pusher.join().expect("a pusher does not panic")?;
            seen.changes += one.changes;
            seen.latency.extend(one.latency);
        }
        seen.took = self.began.elapsed();
        Ok(seen)
    }
}

struct Pusher {
    conn: Conn,
    stop: Arc<AtomicBool>,
    apps: u32,
    at: u32,
    count: u32,
    kind: Kind,
}

impl Pusher {
    fn run(mut self, begin: Instant, step: Option<Duration>) -> Result<Seen, Failure> {
        let mut seen = Seen::default();
        let mut turn = 0;
        while !self.stop.load(Relaxed) {
            if let Some(step) = step {
                let due = begin + step * turn;
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            let request = self.request(turn);
            let began = Instant::now();
            self.conn.write(&request).during("a push of the storm")?;
            seen.latency.push(began.elapsed());
            seen.changes += u64::from(self.kind.changes());
            turn += 1;
        }
        Ok(seen)
    }

    fn request(&self, turn: u32) -> Vec<u8> {
        if self.kind == Kind::Single {
            let (path, weight) = self.change(turn);
            return push("PATCH", &path, format_args!("{{\"weight\":{weight}}}"));
        }
        let mut ops = String::with_capacity(BATCH as usize * LIKELY);
        for n in 0..BATCH {
            let (path, weight) = self.change(turn * BATCH + n);
            let comma = if n == 0 { "" } else { "," };
            let body = format_args!("{{\"weight\":{weight}}}");
            write!(ops, "{comma}{{\"method\":\"PATCH\",\"path\":\"{path}\",\"body\":{body}}}")
                .expect("a String takes all");
        }
        push("POST", "/transactions", format_args!("{{\"ops\":[{ops}]}}"))
    }

    /// The dynos of the pusher's apps in turn, each time with another weight.
    fn change(&self, n: u32) -> (String, u32) {
        let own = (self.apps / self.count).max(1);
        let app = (self.at + self.count * (n / DYNOS % own)) % self.apps;
        let weight = 1 + (n / (own * DYNOS) + self.at) % 1000;
        (format!("/apps/app-{app}/dynos/web.{}", n % DYNOS), weight)
    }
}
