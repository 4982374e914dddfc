//! The look-up of a host: three structures, alone and while a writer replaces them 1,000 times a
//! second.
//!
//! Measured 2026-11-23 on two virtual cores (Xeon, 2 MB L2 each) with nothing else running, with
//! mimalloc as in the binary; nanoseconds of thread time a look-up, median of 7 rounds of 2^20,
//! alone / while it changes. `all` is the snapshot with the app and its dynos. Look-ups of one loop
//! overlap in the processor; parsing between two of them ends that, so `parse+all` shows how long a
//! cold one takes from end to end.
//!
//! | hosts, traffic | table | imbl | shards | all | parse+all |
//! | --- | --- | --- | --- | --- | --- |
//! | 1 thousand, Zipf | 27 / 23 | 27 / 27 | 19 / 23 | 27 / 27 | 69 / 69 |
//! | 1 thousand, uniform | 27 / 27 | 27 / 27 | 23 / 23 | 31 / 31 | 73 / 73 |
//! | 100 thousand, Zipf | 73 / 73 | 73 / 76 | 46 / 53 | 95 / 92 | 175 / 176 |
//! | 100 thousand, uniform | 84 / 76 | 80 / 80 | 50 / 53 | 103 / 95 | 225 / 233 |
//! | 1 million, Zipf | 103 / 107 | 172 / 175 | 95 / 103 | 168 / 176 | 351 / 362 |
//! | 1 million, uniform | 153 / 156 | 278 / 286 | 134 / 141 | 252 / 252 | 614 / 629 |
//!
//! Between runs the table's million moved from 95 to 107 (Zipf, changing), the shards' from 84 to
//! 103. Dense memory is in huge pages, as in the router; without them the table's million took 1.4
//! times as long, alone and changing, on a machine busy with other things. The shards are faster to
//! read; they are not the table's structure because a change copies a share of the table
//! (`publish.rs`). With the allocator of glibc: 114 Zipf, 188 uniform, changing.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use hostler::{
    control::watch,
    live::{self, Registry, Snapshot},
    route::{Change, Host, Table},
};
use shared::{Imbl, Plan, Random, SEED, Shards, Structure, Traffic};

mod shared;

/// How often the writer replaces the structure.
const CHANGE_EVERY: Duration = Duration::from_millis(1);

fn main() {
    let plan = Plan::from_args();
    println!(
        "{:>8} {:>9} {:>8} {:>8} {:>9} {:>9} {:>20}",
        "hosts", "what", "traffic", "alone ns", "churn ns", "changes/s", "checksum"
    );
    for hosts in plan.sizes {
        for traffic in [Traffic::Zipf, Traffic::Uniform] {
            let requests = traffic.requests(*hosts, plan.requests);
            let texts: Vec<Line> =
                requests.iter().map(|n| Line::new(&shared::host_text(*n))).collect();
            let parsed: Vec<Host> = requests.iter().map(|n| shared::host(*n)).collect();
            drop(requests);
            let case = Case { hosts: *hosts, traffic, rounds: plan.rounds };
            case.structure::<Table>(&parsed);
            case.structure::<Imbl>(&parsed);
            case.structure::<Shards>(&parsed);
            case.whole(&parsed, &texts);
        }
    }
}

/// A host as it stands in a request, side by side with the next, as in a buffer just read.
struct Line {
    bytes: [u8; 31],
    len: u8,
}

impl Line {
    fn new(text: &str) -> Line {
        let mut bytes = [0; 31];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Line { bytes, len: text.len() as u8 }
    }

    fn text(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

struct Case {
    hosts: usize,
    traffic: Traffic,
    rounds: usize,
}

impl Case {
    /// The map from hosts to apps alone.
    fn structure<S: Structure>(&self, requests: &[Host]) {
        let (publisher, reader) = live::channel(S::load(self.hosts));
        let mut random = Random(SEED);
        let change = move || {
            let at = random.below(self.hosts);
            let (host, app) = (shared::host(at), (at / shared::HOSTS_PER_APP) as u32);
            let mut next = (*publisher.current()).clone();
            next.remove(&host, app);
            next.put(host, app);
            drop(publisher.publish(next));
        };
        self.measure(S::NAME, requests, change, |host| {
            reader.load().find(host).map_or(0, u64::from)
        });
    }

    /// What a request does: the snapshot, the app and its dynos; the host read, or given.
    fn whole(&self, parsed: &[Host], lines: &[Line]) {
        let registry = Registry::default();
        let table = shared::whole_table(self.hosts);
        let (publisher, reader) = live::channel(Snapshot::new(table, &registry));
        let mut random = Random(SEED);
        let mut release = 1;
        let mut change = || {
            let app = random.below(self.hosts / shared::HOSTS_PER_APP);
            release += 1;
            let dyno = shared::dyno(app, 1, release);
            let current = publisher.current();
            let mut table = current.table().clone();
            shared::apply(&mut table, &Change::PutDyno(shared::app_name(app), dyno));
            drop(publisher.publish(current.advance(table, &registry)));
        };
        let find = |host: &Host| {
            let snapshot = reader.load();
            snapshot.find(host, b"/").map_or(0, |app| app.dynos.len() as u64)
        };
        self.measure("all", parsed, &mut change, find);
        self.measure("parse+all", lines, &mut change, |line| {
            find(&Host::parse(line.text()).expect("a host"))
        });
    }

    /// Looks up all requests in turn, `rounds` times alone and as often while `change` runs every
    /// [`CHANGE_EVERY`] on another thread; prints the median of each.
    fn measure<R>(
        &self,
        name: &str,
        requests: &[R],
        mut change: impl FnMut() + Send,
        find: impl Fn(&R) -> u64,
    ) {
        // As the router does soon after its start.
        watch::join().expect("dense memory is found");
        let mut checksum = 0u64;
        let mut rounds = || {
            let round = |_| {
                let start = shared::on_core();
                let found = requests.iter().map(&find).fold(0, u64::wrapping_add);
                checksum = checksum.wrapping_add(found);
                (shared::on_core() - start) as f64 / requests.len() as f64
            };
            shared::median(&mut (0..self.rounds).map(round).collect::<Vec<f64>>())
        };
        let alone = rounds();
        let stop = AtomicBool::new(false);
        let (changing, rate) = thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let start = Instant::now();
                let mut changes = 0;
                while !stop.load(Relaxed) {
                    change();
                    changes += 1;
                    thread::sleep((CHANGE_EVERY * changes).saturating_sub(start.elapsed()));
                }
                f64::from(changes) / start.elapsed().as_secs_f64()
            });
            let changing = rounds();
            stop.store(true, Relaxed);
            (changing, writer.join().expect("the writer ends well"))
        });
        let traffic = format!("{:?}", self.traffic);
        println!(
            "{:>8} {name:>9} {traffic:>8} {alone:>8.1} {changing:>9.1} {rate:>9.0} {checksum:>20}",
            self.hosts
        );
    }
}
