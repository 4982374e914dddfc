//! The look-up of a host: three structures, alone and while a writer replaces them 1,000 times a
//! second.
//!
//! Measured 2026-11-23 on two virtual cores (Xeon, 2 MB L2 each) that others used too; nanoseconds
//! of thread time a look-up, median of 7 rounds of 2^20, alone / while it changes. `all` is the
//! snapshot with the app and its dynos. Look-ups of one loop overlap in the processor; parsing
//! between two of them ends that, so `parse+all` shows how long a cold one takes from end to end.

// | hosts, traffic | table | imbl | shards | all | parse+all |
// | --- | --- | --- | --- | --- | --- |
// | 1 thousand, Zipf | 26 / 25 | 28 / 28 | 21 / 22 | 26 / 26 | 68 / 71 |
// | 1 thousand, uniform | 27 / 27 | 27 / 28 | 19 / 21 | 30 / 29 | 69 / 72 |
// | 100 thousand, Zipf | 69 / 76 | 84 / 87 | 38 / 42 | 103 / 109 | 195 / 207 |
// | 100 thousand, uniform | 80 / 86 | 91 / 95 | 42 / 46 | 146 / 168 | 452 / 537 |
// | 1 million, Zipf | 162 / 168 | 208 / 218 | 110 / 112 | 305 / 274 | 502 / 438 |
// | 1 million, uniform | 168 / 175 | 263 / 263 | 114 / 118 | 332 / 339 | 782 / 793 |
//
// The table above is with glibc's allocator. The binary and these benches have mimalloc; a million
// hosts on the same machine, the same day, ranges of two interleaved runs, alone / changing:
//
// | traffic | table | all |
// | --- | --- | --- |
// | Zipf | 95-98 / 95-102 | 153-164 / 160-180 |
// | uniform | 145-152 / 154-157 | 233-260 / 249-297 |
//
// One more run on the quiet machine: table 95 / 103 Zipf and 149 / 148 uniform, imbl 156 / 160 and
// 240 / 247, shards 76 / 84 and 99 / 103, all 160 / 164 and 234 / 248.
//
// With glibc, minutes before: Zipf 114 / 114 and 282 / 307, uniform 192 / 188 and 313 / 325. Leaves
// as open hash tables without tags were no faster (Zipf 92-95 / 94-99, uniform 163-164 / 166) and
// took 40 MB more, so the tags stayed. The shards are faster to read; they were not taken because a
// change copies a share of the table (`publish.rs`).

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use hostler::{
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
