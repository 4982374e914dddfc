//! The store against a model: what was committed is what every later look sees.
//!
//! Transactions are drawn from a fixed seed over a few names, so that objects come, change, move
//! between apps and go; a model keeps the contents of the table at every revision.

mod callers;
mod edits;
mod past;
mod retention;
mod rows;
mod start;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::Connection;
use tempfile::TempDir;

use past::{AGE_TO_7, told};

use super::{snapshot, *};
use crate::route::{
    AppName, AppSettings, CertName, Certificate, Change, Digest, Dyno, DynoAddr, DynoName,
    DynoState, HostPattern, KeyKind, OwnSettings, Page, Pages, PathPrefix, PrivateKey, Revision,
    RouteKey, RouteSettings, Table,
};

const PLAIN: RouteSettings = RouteSettings { protected: false };

/// Everything in a table, as text.
type Contents = BTreeMap<String, String>;

fn contents(table: &Table) -> Contents {
    let mut all = Contents::new();
    for (_, app) in table.apps().iter() {
        all.insert(app.name.to_string(), format!("{:?}", app.settings));
        for dyno in &app.dynos {
            all.insert(format!("{}/{}", app.name, dyno.name), format!("{dyno:?}"));
        }
        for key in table.routes_of(app.name.as_str()) {
            assert_eq!(table.route(&key).unwrap().name, app.name);
            let settings = table.route_settings(&key).unwrap();
            all.insert(format!("route {key}"), format!("{} {settings:?}", app.name));
        }
    }
    all
}

fn app(text: &str) -> AppName {
    AppName::parse(text).unwrap()
}

fn route(host: &str, path: &str) -> RouteKey {
    RouteKey { host: HostPattern::parse(host).unwrap(), path: PathPrefix::parse(path).unwrap() }
}

fn dyno(name: &str, port: u16) -> Dyno {
    Dyno {
        name: DynoName::parse(name).unwrap(),
        addr: DynoAddr::parse(&format!("10.0.0.1:{port}")).unwrap(),
        release: "v\"1\\".into(),
        weight: port % 1000 + 1,
        state: DynoState::Starting,
        ttl_s: port.is_multiple_of(3).then_some(u32::from(port)),
    }
}

/// Applies changes as one transaction and says how it would be committed.
fn transact(table: &mut Table, changes: &[Change]) -> Committed {
    let before = table.clone();
    for change in changes {
        table.apply(change).unwrap();
    }
    let revision = table.revision().next();
    table.set_revision(revision);
    Committed {
        revision,
        at_ms: 1_000 + revision.0,
        author: "ann".into(),
        forced: revision.0.is_multiple_of(4),
        address: Some("10.0.0.9".into()),
        reason: Some(format!("the {revision}th")),
        edits: edits_between(&before, table, changes),
        digest: table.digest(),
        counts: table.counts(),
    }
}

/// A small generator of numbers (splitmix64): the same seed gives the same run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn change(&mut self) -> Change {
        let app = app(["blog", "shop", "api"][self.below(3) as usize]);
        let host = ["a.test", "*.a.test", "b.test", "[::1]"][self.below(4) as usize];
        let key = route(host, ["/", "/x", "/x/y"][self.below(3) as usize]);
        let name = format!("web.{}", self.below(4));
        match self.below(12) {
            0..=2 => Change::PutApp(app, self.settings()),
            3 => Change::DeleteApp(app),
            4..=6 => Change::PutRoute(key, app, RouteSettings { protected: self.below(4) == 0 }),
            7 => Change::DeleteRoute(key, app),
            8..=10 => Change::PutDyno(app, dyno(&name, 1 + self.below(3) as u16)),
            _ => Change::DeleteDyno(app, name),
        }
    }

    fn settings(&mut self) -> AppSettings {
        let text: Option<Arc<str>> = (self.below(8) == 0).then(|| "\"\n\u{1f600}".into());
        let own = OwnSettings {
            half_close: (self.below(8) == 0).then_some(true),
            max_attempts: (self.below(8) == 0).then_some(3),
            idle: (self.below(8) == 0).then_some(Duration::from_millis(1500)),
            set_cookie: (self.below(8) == 0).then_some(4096),
            ..Default::default()
        };
        let error = Page { html: text.clone(), ..Default::default() };
        AppSettings {
            maintenance: self.below(2) == 0,
            blank: self.below(4) == 0,
            is_router: self.below(4) == 0,
            protected: self.below(4) == 0,
            own: (own != OwnSettings::default()).then(|| own.into()),
            pages: text.map(|_| Pages { error, ..Default::default() }.into()),
        }
    }

    /// A transaction that the table takes and that changes something.
    fn transaction(&mut self, table: &mut Table) -> Committed {
        loop {
            let mut next = table.clone();
            let mut changes: Vec<_> = (0..1 + self.below(6)).map(|_| self.change()).collect();
            changes.retain(|change| next.apply(change).is_ok());
            if !edits_between(table, &next, &changes).is_empty() {
                return transact(table, &changes);
            }
        }
    }
}

struct Filled {
    dir: TempDir,
    store: Store,
    table: Table,
    model: Vec<Contents>,
    digests: Vec<Digest>,
    draw: Draw,
}

impl Filled {
    fn new(transactions: usize) -> Filled {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (model, draw) = (vec![Contents::new()], Draw(7));
        let digests = vec![Digest::default()];
        let mut filled = Filled { dir, store, table: Table::new(1), model, digests, draw };
        filled.more(transactions);
        filled
    }

    fn more(&mut self, transactions: usize) {
        let mut batch = Vec::new();
        for _ in 0..transactions {
            batch.push(self.draw.transaction(&mut self.table));
            self.model.push(contents(&self.table));
            self.digests.push(self.table.digest());
            if self.draw.below(3) == 0 {
                self.store.commit(&std::mem::take(&mut batch)).unwrap();
            }
        }
        self.store.commit(&batch).unwrap();
    }

    fn newest(&self) -> &Contents {
        self.model.last().unwrap()
    }

    /// Ends the store as a crash would: without the snapshot.
    fn crash(mut self) -> Filled {
        let aside = tempfile::tempdir().unwrap();
        self.store = Store::open(aside.path()).unwrap();
        self.store = Store::open(self.dir.path()).unwrap();
        self
    }

    /// Ends the store cleanly and opens it again.
    fn restart(mut self) -> Filled {
        let aside = tempfile::tempdir().unwrap();
        let old = std::mem::replace(&mut self.store, Store::open(aside.path()).unwrap());
        old.close().unwrap();
        self.store = Store::open(self.dir.path()).unwrap();
        self
    }

    fn assert_loads(&mut self) {
        let table = self.store.load(3).unwrap();
        assert_eq!(&contents(&table), self.newest());
        assert_eq!(table.revision(), self.table.revision());
        assert_eq!(table.counts(), self.table.counts());
        assert_eq!(table.digest(), self.table.digest());
    }
}

fn database(dir: &Path) -> PathBuf {
    dir.join("hostler.db")
}

#[test]
fn the_table_as_of_every_revision_is_what_it_was() {
    let filled = Filled::new(300).restart();
    for (revision, model) in filled.model.iter().enumerate() {
        let table = filled.store.table_at(Revision(revision as u64), 1).unwrap();
        assert_eq!(&contents(&table), model, "revision {revision}");
        assert_eq!(table.revision(), Revision(revision as u64));
        assert_eq!(table.digest(), filled.digests[revision]);
    }
    let beyond = filled.store.table_at(Revision(301), 1).unwrap_err();
    assert!(matches!(beyond, StoreError::NoSuchRevision { asked: 301, newest: 300 }));
}

#[test]
fn a_restart_keeps_everything_with_and_without_a_clean_stop() {
    let mut filled = Filled::new(40).crash();
    filled.assert_loads();
    for _ in 0..10 {
        filled = filled.restart();
        filled.assert_loads();
        filled.more(25);
        filled = filled.crash();
        filled.assert_loads();
    }
}

#[test]
fn a_snapshot_is_read_in_place_of_the_rows_until_it_is_damaged() {
    let mut filled = Filled::new(60).restart();
    let sound = fs::read(snapshot::path(filled.dir.path())).unwrap();
    // Rows that differ from the snapshot show which of the two was read.
    let direct = Connection::open(database(filled.dir.path())).unwrap();
    let altered = direct
        .execute("UPDATE objects SET body = '{\"maintenance\":true}' WHERE kind = 'app'", [])
        .unwrap();
    assert!(altered > 0);
    filled.assert_loads();
    let by_rows = filled.store.table_at(Revision(60), 1).unwrap_err().to_string();
    assert!(by_rows.contains("has digest"), "the test needs an app out of maintenance: {by_rows}");

    let file = snapshot::path(filled.dir.path());
    let mut loads_rows = |bytes: Option<&[u8]>| {
        match bytes {
            Some(bytes) => fs::write(&file, bytes).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        assert_eq!(filled.store.load(1).unwrap_err().to_string(), by_rows);
    };
    for length in 0..sound.len() {
        loads_rows(Some(&sound[..length]));
    }
    for at in 0..sound.len() {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x10;
        loads_rows(Some(&damaged));
    }
    loads_rows(Some(b"hostlert and then something else entirely"));
    loads_rows(None);
}

#[test]
fn a_snapshot_of_another_history_is_not_used_and_one_of_a_later_revision_says_what_was_lost() {
    let ahead = Filled::new(50).restart();
    let foreign = fs::read(snapshot::path(ahead.dir.path())).unwrap();
    let mut shorter = Filled::new(20);
    fs::write(snapshot::path(shorter.dir.path()), &foreign).unwrap();
    let refused = shorter.store.load(1).unwrap_err();
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
    assert!(refused.to_string().contains("is of 50: writes were lost"), "{refused}");
    // One that is damaged says nothing.
    fs::write(snapshot::path(shorter.dir.path()), &foreign[..foreign.len() - 1]).unwrap();
    shorter.assert_loads();

    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut table = Table::new(1);
    for _ in 0..60 {
        let maintenance = table.revision().0.is_multiple_of(2);
        let change =
            Change::PutApp(app("other"), AppSettings { maintenance, ..Default::default() });
        let mut committed = transact(&mut table, &[change]);
        committed.at_ms += 1;
        store.commit(&[committed]).unwrap();
    }
    fs::write(snapshot::path(dir.path()), &foreign).unwrap();
    assert_eq!(contents(&store.load(1).unwrap()), contents(&table));
}

#[test]
fn a_snapshot_is_written_beside_the_commits_when_one_is_due() {
    let mut filled = Filled::new(5);
    let (digest, counts) = (filled.table.digest(), filled.table.counts());
    let empty = |revision| Committed {
        revision: Revision(revision),
        at_ms: 1,
        author: "ann".into(),
        forced: false,
        address: None,
        reason: None,
        edits: Edits::default(),
        digest,
        counts,
    };
    let batch: Vec<_> = (6..6 + SNAPSHOT_EVERY).map(empty).collect();
    filled.store.commit(&batch).unwrap();
    filled.table.set_revision(Revision(5 + SNAPSHOT_EVERY));
    // The store waits for its writer when it ends.
    let mut filled = filled.crash();
    let reading = snapshot::Reading::open(filled.dir.path()).unwrap();
    assert_eq!(reading.stamp().revision, Revision(5 + SNAPSHOT_EVERY));
    filled.assert_loads();
}

#[test]
fn a_directory_has_one_store_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let held = Store::open(dir.path()).unwrap();
    let refused = Store::open(dir.path()).unwrap_err();
    let StoreError::InUse { pid, .. } = &refused else { panic!("{refused}") };
    assert_eq!(*pid, Some(std::process::id()));
    let text = refused.to_string();
    for part in [dir.path().to_str().unwrap(), "data_dir", &std::process::id().to_string()] {
        assert!(text.contains(part), "{text}");
    }
    drop(held);
    Store::open(dir.path()).unwrap();
}

#[test]
fn a_file_that_is_not_ours_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let garbage = b"this is no database, but the only copy of a poem".repeat(100);
    fs::write(database(dir.path()), &garbage).unwrap();
    let refused = Store::open(dir.path()).unwrap_err();
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
    assert_eq!(fs::read(database(dir.path())).unwrap(), garbage);

    let dir = tempfile::tempdir().unwrap();
    let other = Connection::open(database(dir.path())).unwrap();
    other.execute_batch("CREATE TABLE poems (line TEXT); PRAGMA application_id = 99").unwrap();
    let before = fs::read(database(dir.path())).unwrap();
    let refused = Store::open(dir.path()).unwrap_err();
    assert!(matches!(refused, StoreError::Foreign { application_id: 99, .. }), "{refused}");
    assert_eq!(fs::read(database(dir.path())).unwrap(), before);
}

#[test]
fn a_database_of_a_later_release_is_refused() {
    let filled = Filled::new(3);
    let dir = filled.dir;
    drop(filled.store);
    let direct = Connection::open(database(dir.path())).unwrap();
    direct.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    drop(direct);
    let refused = Store::open(dir.path()).unwrap_err();
    let StoreError::Newer { found, known, .. } = refused else { panic!("{refused}") };
    assert_eq!((found, known), (known + 1, schema::VERSION));
}

#[test]
fn an_object_that_makes_no_sense_is_named() {
    let filled = Filled::new(30);
    let direct = Connection::open(database(filled.dir.path())).unwrap();
    let sql = "INSERT INTO objects VALUES ('dyno', 'gone/web.1', 1, '{}', 'gone', 0, 0, 0)";
    direct.execute(sql, []).unwrap();
    let damaged = filled.store.table_at(Revision(30), 1).unwrap_err();
    assert!(matches!(damaged, StoreError::Damaged { .. }), "{damaged}");
    assert!(damaged.to_string().contains("gone/web.1"), "{damaged}");
}

#[test]
fn a_batch_that_does_not_fit_changes_nothing_and_the_store_goes_on() {
    let mut filled = Filled::new(10);
    let mut table = filled.table.clone();
    let many: Vec<Change> = std::iter::once(Change::PutApp(app("wide"), AppSettings::default()))
        .chain(
            (1..2000)
                .map(|i| Change::PutRoute(route(&format!("h{i}.test"), "/"), app("wide"), PLAIN)),
        )
        .collect();
    let small = transact(&mut table, &[Change::PutApp(app("thin"), AppSettings::default())]);
    let batch = [small, transact(&mut table, &many)];

    filled.store.limit_pages_to_current();
    let full = filled.store.commit(&batch).unwrap_err();
    assert!(matches!(full, StoreError::Full { .. }), "{full}");
    assert_eq!(filled.store.revision(), Revision(10));
    filled.assert_loads();
    assert_eq!(told(&filled, Filter::default()).len(), 10);

    filled.store.limit_pages(i64::from(u32::MAX));
    filled.store.commit(&batch).unwrap();
    let reopened = filled.crash().store.load(1).unwrap();
    assert_eq!(contents(&reopened), contents(&table));
}

#[test]
fn the_last_change_of_an_object_is_known_after_it_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut table = Table::new(1);
    let blog = || app("blog");
    let key = || route("a.test", "/");
    let steps = [
        vec![
            Change::PutApp(blog(), AppSettings::default()),
            Change::PutRoute(key(), blog(), PLAIN),
        ],
        vec![Change::PutDyno(blog(), dyno("web.1", 80))],
        vec![Change::PutDyno(blog(), dyno("web.1", 81))],
        vec![Change::DeleteApp(blog())],
        vec![Change::PutApp(blog(), AppSettings::default())],
    ];
    for changes in steps {
        let committed = transact(&mut table, &changes);
        store.commit(&[committed]).unwrap();
    }
    let last = |object: ObjectKey| store.last_change_of(&object).unwrap().map(|r| r.0);
    assert_eq!(last(ObjectKey::App(blog())), Some(5));
    assert_eq!(last(ObjectKey::Dyno(blog(), DynoName::parse("web.1").unwrap())), Some(4));
    assert_eq!(last(ObjectKey::Route(key())), Some(4));
    assert_eq!(last(ObjectKey::Route(route("a.test", "/x"))), None);
}

#[test]
fn what_comes_and_goes_within_a_transaction_is_no_edit() {
    let mut table = Table::new(1);
    let blog = app("blog");
    let put = [
        Change::PutApp(blog.clone(), AppSettings::default()),
        Change::PutRoute(route("a.test", "/"), blog.clone(), PLAIN),
    ];
    assert_eq!(transact(&mut table, &put).edits.len(), 2);
    let there_and_back = [
        Change::PutDyno(blog.clone(), dyno("web.1", 80)),
        Change::DeleteApp(blog.clone()),
        put[0].clone(),
        put[1].clone(),
    ];
    assert!(transact(&mut table, &there_and_back).edits.is_empty());
    let whole = transact(&mut table, &[Change::DeleteApp(blog)]);
    assert_eq!(whole.edits.len(), 2, "the route goes with its app");
}
