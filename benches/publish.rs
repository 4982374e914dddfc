//! One change published, and the memory of it all, for three structures.
//!
//! Measured 2026-11-23 on two virtual cores (Xeon) with nothing else running, with mimalloc as in
//! the binary: microseconds of a change with its swap and the freeing of what it replaced, median /
//! 99th percentile of up to 4,096.
//!
//! | hosts | table | imbl | shards | all: dyno | all: route | all: prefix | all: app deleted |
//! | --- | --- | --- | --- | --- | --- | --- | --- |
//! | 1 thousand | 2 / 3 | 1 / 1 | 11 / 12 | 2 / 3 | 2 / 4 | 3 / 3 | 6 / 15 |
//! | 100 thousand | 5 / 7 | 2 / 3 | 12 / 13 | 5 / 6 | 6 / 8 | 6 / 8 | 25 / 39 |
//! | 1 million | 8 / 16 | 3 / 7 | 26 / 36 | 9 / 14 | 11 / 18 | 10 / 16 | 43 / 97 |
//!
//! An app with a million hosts gets one more in 9 / 12. Memory a host at a million: table 130 bytes
//! (with names, owners' lists and apps), imbl 220, shards 137 (hosts alone, both); table, dynos and
//! cells together 202 MB, and 208 MB when they came in a thousand revisions.

use std::{process::Command, time::Instant};

use hostler::{
    live::{self, Registry, Snapshot},
    route::{Change, Host, PathPrefix, RouteSettings, Table},
};
use shared::{HOSTS_PER_APP, Imbl, Plan, Random, SEED, Shards, Structure};

mod shared;

/// The most changes of one figure: enough for a 99th percentile.
const MAX_CHANGES: usize = 4096;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, flag, what, hosts] = &args[..]
        && flag == "--memory"
    {
        return println!("{}", memory(what, hosts.parse().expect("a number of hosts")));
    }
    let plan = Plan::from_args();
    let changes = plan.requests.min(MAX_CHANGES);
    println!(
        "{:>8} {:>22} {:>10} {:>10} {:>10} {:>12}",
        "hosts", "what", "median µs", "p99 µs", "most µs", "checksum"
    );
    for hosts in plan.sizes {
        structure::<Table>(*hosts, changes);
        structure::<Imbl>(*hosts, changes);
        structure::<Shards>(*hosts, changes);
        whole(*hosts, changes);
        giant(*hosts, changes);
    }
    println!("{:>8} {:>22} {:>12} {:>12}", "hosts", "what", "bytes/host", "MB");
    for hosts in plan.sizes {
        for what in [Table::NAME, Imbl::NAME, Shards::NAME, "all", "all, loaded in parts"] {
            let bytes = measured_apart(what, *hosts);
            let (each, mega) = (bytes / *hosts as f64, bytes / 1e6);
            println!("{hosts:>8} {what:>22} {each:>12.1} {mega:>12.1}");
        }
    }
}

/// A route removed and put back, in the map from hosts to apps alone: two revisions.
fn structure<S: Structure>(hosts: usize, changes: usize) {
    let (publisher, reader) = live::channel(S::load(hosts));
    let mut random = Random(SEED);
    let mut at = 0;
    let figures = (0..changes).map(|n| {
        if n % 2 == 0 {
            at = random.below(hosts);
        }
        let (host, app) = (shared::host(at), (at / HOSTS_PER_APP) as u32);
        let start = Instant::now();
        let mut next = (*publisher.current()).clone();
        if n % 2 == 0 {
            next.remove(&host, app)
        } else {
            next.put(host, app)
        }
        drop(publisher.publish(next));
        start.elapsed().as_nanos() as f64 / 1e3
    });
    let figures: Vec<f64> = figures.collect();
    let found = (0..hosts).filter(|n| reader.load().find(&shared::host(*n)).is_some()).count();
    print_figures(hosts, S::NAME, figures, found);
}

/// Table, cells and swap: what a router does with each change.
fn whole(hosts: usize, changes: usize) {
    let apps = hosts / HOSTS_PER_APP;
    let dyno = |n: usize, at: usize| {
        let app = at / HOSTS_PER_APP % apps;
        Change::PutDyno(shared::app_name(app), shared::dyno(app, 1, n + 2))
    };
    publish(hosts, changes, "all: a dyno put", dyno);
    publish(hosts, changes, "all: a route put", |n, at| {
        let host = Host::parse(format!("new-{n}.test").as_bytes()).expect("a host");
        Change::PutRoute(
            shared::route(host),
            shared::app_name(at / HOSTS_PER_APP % apps),
            RouteSettings::default(),
        )
    });
    publish(hosts, changes, "all: a prefix put", |n, at| {
        let mut key = shared::route(shared::host(at));
        key.path = PathPrefix::parse(&format!("/{n}")).expect("a prefix");
        Change::PutRoute(key, shared::app_name(at / HOSTS_PER_APP % apps), RouteSettings::default())
    });
    publish(hosts, changes.min(apps), "all: an app deleted", |n, _| {
        Change::DeleteApp(shared::app_name(n))
    });
}

fn publish(hosts: usize, changes: usize, what: &str, change: impl Fn(usize, usize) -> Change) {
    let registry = Registry::default();
    let table = shared::whole_table(hosts);
    let (publisher, reader) = live::channel(Snapshot::new(table, &registry));
    let mut random = Random(SEED);
    let one = |n| {
        let change = change(n, random.below(hosts));
        let start = Instant::now();
        let current = publisher.current();
        let mut table = current.table().clone();
        shared::apply(&mut table, &change);
        let next = current.advance(table, &registry);
        drop(current);
        drop(publisher.publish(next));
        start.elapsed().as_nanos() as f64 / 1e3
    };
    let figures = (0..changes).map(one).collect();
    let counts = reader.load().table().counts();
    print_figures(hosts, what, figures, counts.routes + counts.dynos);
}

/// One app that has every host: a route more.
fn giant(hosts: usize, changes: usize) {
    let mut table = <Table as Structure>::new();
    (0..hosts).for_each(|n| table.put(shared::host(n), 0));
    let (publisher, reader) = live::channel(table);
    let one = |n| {
        let host = Host::parse(format!("new-{n}.test").as_bytes()).expect("a host");
        let start = Instant::now();
        let mut next = (*publisher.current()).clone();
        next.put(host, 0);
        drop(publisher.publish(next));
        start.elapsed().as_nanos() as f64 / 1e3
    };
    let figures = (0..changes).map(one).collect();
    print_figures(hosts, "one app has all hosts", figures, reader.load().counts().routes);
}

fn print_figures(hosts: usize, what: &str, mut figures: Vec<f64>, checksum: usize) {
    let median = shared::median(&mut figures);
    let (p99, most) = (figures[figures.len() * 99 / 100], figures[figures.len() - 1]);
    println!("{hosts:>8} {what:>22} {median:>10.1} {p99:>10.1} {most:>10.1} {checksum:>12}");
}

/// What [`memory`] prints in a process of its own, where nothing was freed before.
fn measured_apart(what: &str, hosts: usize) -> f64 {
    let this = std::env::current_exe().expect("a running program has a path");
    let mut child = Command::new(this);
    let output = child.args(["--memory", what, &hosts.to_string()]).output().expect("it starts");
    let text = String::from_utf8(output.stdout).expect("a number");
    text.trim().parse().expect("a number")
}

/// By how much the process grows.
fn memory(what: &str, hosts: usize) -> usize {
    let before = shared::resident();
    match what {
        Table::NAME => grown(before, <Table as Structure>::load(hosts)),
        Imbl::NAME => grown(before, Imbl::load(hosts)),
        Shards::NAME => grown(before, Shards::load(hosts)),
        "all" => grown(before, Snapshot::new(shared::whole_table(hosts), &Registry::default())),
        // As a feed brings it: the table grows by many small revisions, each published.
        _ => {
            let registry = Registry::default();
            let mut snapshot = Snapshot::new(Table::new(SEED), &registry);
            for part in 0..hosts.div_ceil(1000) {
                let mut table = snapshot.table().clone();
                let hosts = part * 1000..(part + 1) * 1000;
                hosts.for_each(|n| table.put(shared::host(n), (n / HOSTS_PER_APP) as u32));
                for app in part * 100..(part + 1) * 100 {
                    for n in 1..=2 {
                        let put = Change::PutDyno(shared::app_name(app), shared::dyno(app, n, 1));
                        shared::apply(&mut table, &put);
                    }
                }
                snapshot = snapshot.advance(table, &registry);
            }
            grown(before, snapshot)
        }
    }
}

fn grown<T>(before: usize, value: T) -> usize {
    let grown = shared::resident().saturating_sub(before);
    drop(value);
    grown
}
