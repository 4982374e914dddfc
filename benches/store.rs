//! The embedded store: commits in groups and in batches, and how long a start takes.
//!
//! `cargo bench --bench store` runs a smoke size; `-- --full` the size of the budgets (a million
//! routes of a hundred thousand apps with two dynos each) and `--dir DIR` on the disk that is
//! meant. The run is the same each time; the contents of the table that was loaded are counted and
//! compared.

use std::{path::PathBuf, time::Instant};

use hostler::{
    control::store::{Committed, Edits, Store, edits_between},
    route::{
        AppName, AppSettings, Change, Dyno, DynoAddr, DynoName, DynoState, HostPattern, PathPrefix,
        RouteKey, RouteSettings, Table,
    },
};

struct Size {
    apps: u32,
    routes_of_each: u32,
    dynos_of_each: u32,
    groups: u32,
    batches: u32,
}

const SMOKE: Size = Size { apps: 200, routes_of_each: 10, dynos_of_each: 2, groups: 5, batches: 2 };
const FULL: Size =
    Size { apps: 100_000, routes_of_each: 10, dynos_of_each: 2, groups: 100, batches: 10 };

/// Single-change transactions in one commit: what gathers behind a commit under load.
const GROUP: u32 = 64;
/// Changes of one transaction.
const BATCH: u32 = 10_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let size = if arguments.iter().any(|a| a == "--full") { FULL } else { SMOKE };
    let parent = arguments.iter().position(|a| a == "--dir").and_then(|at| arguments.get(at + 1));
    let parent = parent.map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(parent).expect("a directory for the store");
    let mut store = Store::open(dir.path()).expect("a fresh store");
    let mut table = Table::new(1);

    fill(&mut store, &mut table, &size);
    groups(&mut store, &mut table, &size);
    batches(&mut store, &mut table, &size);

    let started = Instant::now();
    store.close().expect("a clean stop");
    println!("clean stop, snapshot written: {:.2?}", started.elapsed());
    for file in ["hostler.db", "table.snapshot"] {
        let length = std::fs::metadata(dir.path().join(file)).expect("its file").len();
        println!("{file}: {} MB", length >> 20);
    }
    starts(&dir, &table, &size);
}

/// Loads the table by the snapshot, by snapshot and tail, and by the rows.
fn starts(dir: &tempfile::TempDir, table: &Table, size: &Size) {
    let load = |how: &str, expected: &Table| {
        let started = Instant::now();
        let mut store = Store::open(dir.path()).expect("the store");
        let loaded = store.load(1).expect("the newest table");
        println!("start {how}: {:.2?}", started.elapsed());
        assert_eq!(loaded.counts(), expected.counts());
        assert_eq!(loaded.revision(), expected.revision());
        store
    };
    let mut store = load("by the snapshot", table);
    let mut later = table.clone();
    groups(&mut store, &mut later, size);
    drop(store);
    drop(load("by the snapshot and a tail", &later));
    std::fs::remove_file(dir.path().join("table.snapshot")).expect("the snapshot");
    let store = load("by the rows", &later);
    let started = Instant::now();
    let past = store.table_at(table.revision(), 1).expect("the table before");
    println!("table as of an earlier revision: {:.2?}", started.elapsed());
    assert_eq!(past.counts(), table.counts());
}

fn fill(store: &mut Store, table: &mut Table, size: &Size) {
    let started = Instant::now();
    let mut changes = Vec::new();
    for app in 0..size.apps {
        let name = app_name(app);
        changes.push(Change::PutApp(name.clone(), AppSettings::default()));
        for route in 0..size.routes_of_each {
            let host = HostPattern::parse(&format!("www{route}.app-{app}.test")).expect("a host");
            changes.push(Change::PutRoute(
                RouteKey { host, path: PathPrefix::ROOT },
                name.clone(),
                RouteSettings::default(),
            ));
        }
        for dyno in 0..size.dynos_of_each {
            changes.push(put_dyno(app, dyno, 5000));
        }
        if changes.len() as u32 >= BATCH {
            commit(store, table, &[std::mem::take(&mut changes)]);
        }
    }
    commit(store, table, &[changes]);
    println!("filled with {:?}: {:.2?}", table.counts(), started.elapsed());
}

fn groups(store: &mut Store, table: &mut Table, size: &Size) {
    let mut spent = std::time::Duration::ZERO;
    for group in 0..size.groups {
        let change = |i: u32| {
            let app = (group * GROUP + i).wrapping_mul(2_654_435_761) % size.apps;
            vec![put_dyno(app, i % size.dynos_of_each, 6000 + group as u16)]
        };
        let transactions: Vec<_> = (0..GROUP).map(change).collect();
        spent += commit(store, table, &transactions);
    }
    let rate = f64::from(size.groups * GROUP) / spent.as_secs_f64();
    println!("single changes in groups of {GROUP}: {rate:.0} transactions/s");
}

fn batches(store: &mut Store, table: &mut Table, size: &Size) {
    let mut spent = std::time::Duration::ZERO;
    let mut count = 0;
    for batch in 0..size.batches {
        let change = |i: u32| {
            let app = i.wrapping_mul(2_654_435_761) % size.apps;
            put_dyno(app, i % size.dynos_of_each, 7000 + batch as u16)
        };
        let changes: Vec<_> = (0..BATCH).map(change).collect();
        count += BATCH;
        spent += commit(store, table, &[changes]);
    }
    let rate = f64::from(count) / spent.as_secs_f64();
    println!("transactions of {BATCH} changes: {rate:.0} changes/s");
}

/// Applies and commits transactions; answers how long the commit alone took.
fn commit(
    store: &mut Store,
    table: &mut Table,
    transactions: &[Vec<Change>],
) -> std::time::Duration {
    let mut batch = Vec::new();
    for changes in transactions {
        let before = table.clone();
        for change in changes {
            table.apply(change).expect("a change that fits");
        }
        let edits = edits_between(&before, table, changes);
        table.set_revision(table.revision().next());
        batch.push(committed(table, edits));
    }
    let started = Instant::now();
    store.commit(&batch).expect("a commit");
    started.elapsed()
}

fn committed(table: &Table, edits: Edits) -> Committed {
    let revision = table.revision();
    let (digest, counts) = (table.digest(), table.counts());
    let (author, address, reason) = ("bench".into(), None, None);
    let at_ms = revision.0;
    Committed { revision, at_ms, author, address, reason, edits, digest, counts, forced: false }
}

fn app_name(app: u32) -> AppName {
    AppName::parse(&format!("app-{app}")).expect("a name")
}

fn put_dyno(app: u32, dyno: u32, port: u16) -> Change {
    let [_, a, b, c] = app.to_be_bytes();
    let dyno = Dyno {
        name: DynoName::parse(&format!("web.{dyno}")).expect("a name"),
        addr: DynoAddr::parse(&format!("10.{a}.{b}.{c}:{port}")).expect("an address"),
        release: "v1".into(),
        weight: 100,
        state: DynoState::Up,
        ttl_s: None,
    };
    Change::PutDyno(app_name(app), dyno)
}
