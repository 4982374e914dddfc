//! What was answered is there, however often and whenever the process is killed.
//!
//! Clients push without a pause: single writes and transactions, some with an `Idempotency-Key`.
//! The router is killed at random instants: in the middle of that, while it starts, while it ends
//! and writes its snapshot; with and without a retention that forgets meanwhile. After each kill
//! the table is read back and compared with what every client was answered.
//!
//! `KILLS_COUNT` says how often, `KILLS_SEED` with which seed; it is printed. Invariants: a client
//! writes what nobody else does, so that what its app holds says which of its writes were done; the
//! digest is computed here, from the lines of the table alone.

mod client;
mod table;

use std::{
    collections::BTreeMap,
    env, fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use rusqlite::Connection;
use serde_json::{Value, json};

use self::{
    client::{Client, History, Outcome, connect},
    table::Lines,
};
use crate::harness::{
    Router,
    router::{command, serve},
};

/// Kills in the test command.
const KILLS: u64 = 200;
/// How many clients push at once.
const CLIENTS: usize = 4;
/// The longest storm before a kill.
const STORM: Duration = Duration::from_millis(160);
/// The longest part of a start, or of an end, before a kill.
const PART: Duration = Duration::from_millis(60);
/// After so many kills the whole store is looked through, beside the router.
const LOOK_THROUGH: u64 = 20;

/// Dynos in a database that is brought up to date.
const MIGRATED: usize = 3000;
/// How often that is done.
const MIGRATIONS: usize = 10;
/// Makes a database what the first release would have written.
const FIRST_RELEASE: &str = "
    CREATE TABLE past (kind TEXT NOT NULL, key TEXT NOT NULL, from_rev INTEGER NOT NULL,
        to_rev INTEGER NOT NULL, body TEXT NOT NULL, app TEXT NOT NULL) STRICT;
    INSERT INTO past SELECT kind, key, from_rev, to_rev, body, app FROM edits
        WHERE body IS NOT NULL;
    DROP TABLE edits;
    DELETE FROM objects WHERE body IS NULL;
    ALTER TABLE objects DROP COLUMN last;
    ALTER TABLE objects DROP COLUMN depth;
    ALTER TABLE objects DROP COLUMN leap;
    ALTER TABLE transactions DROP COLUMN last_edit;
    CREATE INDEX objects_from ON objects (from_rev);
    CREATE INDEX past_from ON past (from_rev);
    CREATE INDEX past_to ON past (to_rev);
    CREATE INDEX past_route ON past (app, to_rev, from_rev) WHERE kind = 'route';
    CREATE INDEX past_key ON past (kind, key, to_rev, from_rev);
    DROP INDEX transactions_at; DROP INDEX objects_route; DROP INDEX past_route;
    DROP INDEX past_key;
    CREATE INDEX past_key ON past (kind, key, to_rev);
    ALTER TABLE transactions DROP COLUMN digest; ALTER TABLE transactions DROP COLUMN address;
    ALTER TABLE transactions DROP COLUMN forced; ALTER TABLE transactions DROP COLUMN apps;
    ALTER TABLE transactions DROP COLUMN routes; ALTER TABLE transactions DROP COLUMN dynos;
    ALTER TABLE transactions DROP COLUMN certs;
    ALTER TABLE objects DROP COLUMN app; ALTER TABLE past DROP COLUMN app;
    DROP TABLE tokens; DROP TABLE answers; DROP TABLE deeds; PRAGMA user_version = 1;";

#[test]
fn what_was_answered_outlives_two_hundred_kills() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let count = number("KILLS_COUNT").unwrap_or(KILLS);
    let seed = number("KILLS_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    let _shown = Shown(seed);
    let mut rng = Rng::with_seed(seed);
    let dir = tempfile::tempdir().unwrap();
    let mut clients: Vec<_> = (0..CLIENTS).map(|i| Client::new(i, rng.fork())).collect();
    let mut seen = Seen::default();
    let mut met = BTreeMap::new();
    let mut kills = 0;
    while kills < count {
        if rng.u8(..5) == 0 {
            kill_a_start(dir.path(), &mut rng);
            *met.entry("start").or_insert(0) += 1;
            kills += 1;
        }
        // Some starts keep all, some forget at once what was a second ago.
        let retention = if rng.bool() { "0s" } else { "1s" };
        // A storm takes what it likes: no guard is asked.
        let settings =
            [("HOSTLER_STORE_RETENTION", retention), ("HOSTLER_PUSH_SHRINK_SHARE", "100")];
        let router = Router::on(dir.path(), &settings);
        seen.check(&router, &mut clients, &mut met);
        if kills / LOOK_THROUGH != (kills + 1) / LOOK_THROUGH {
            assert_sound(dir.path());
        }
        let began = Instant::now();
        let storm = duration(&mut rng, STORM);
        let ending = (rng.u8(..4) == 0).then(|| duration(&mut rng, PART / 4));
        // Whoever connected behind the kill might find another router in its place.
        let streams: Vec<_> = clients.iter().map(|_| connect(router.control)).collect();
        thread::scope(|scope| {
            let each = clients.iter_mut().zip(streams);
            let storms: Vec<_> =
                each.map(|(client, stream)| scope.spawn(|| client.push(stream))).collect();
            wait(storm.saturating_sub(began.elapsed()));
            if let Some(ending) = ending {
                router.terminate();
                wait(ending);
                *met.entry("end").or_insert(0) += 1;
            }
            router.kill();
            storms.into_iter().for_each(|storm| storm.join().unwrap());
        });
        *met.entry("storm").or_insert(0) += 1;
        kills += 1;
    }
    let router = Router::on(dir.path(), &[("HOSTLER_PUSH_SHRINK_SHARE", "100")]);
    seen.check(&router, &mut clients, &mut met);
    assert_sound(dir.path());
    eprintln!("{kills} kills: {met:?}, {} revisions", seen.revision);
    if count >= KILLS {
        // What never happened was never shown.
        for what in ["start", "storm", "end", "done", "not done", "told again", "forgotten"] {
            assert!(met.contains_key(what), "nothing was {what} in {met:?}");
        }
    }
}

/// What was seen of the store so far.
#[derive(Default)]
struct Seen {
    revision: u64,
}

impl Seen {
    /// Compares what a router has with what the clients were answered.
    fn check(
        &mut self,
        router: &Router,
        clients: &mut [Client],
        met: &mut BTreeMap<&'static str, u64>,
    ) {
        let lines = Lines::of(router);
        assert_eq!(lines.digest(), lines.header["digest"], "at {}", lines.header);
        let revision = lines.header["revision"].as_u64().unwrap();
        let history = self.history(router, revision);
        if router.call("GET", "/v1/table?at=0", None).status() == 410 {
            *met.entry("forgotten").or_insert(0) += 1;
        }
        for client in clients.iter_mut() {
            let done = client.settle(&history, &lines);
            met.entry(done).and_modify(|count| *count += 1).or_insert(1);
        }
        self.revision = revision;
        for client in clients.iter_mut() {
            if let Some(outcome) = client.try_again(router.control, &history) {
                *met.entry(outcome).or_insert(0) += 1;
            }
        }
    }

    /// The transactions since the last look: as far as they are kept there is none missing.
    fn history(&self, router: &Router, newest: u64) -> History {
        assert!(newest >= self.revision, "{newest} after {}", self.revision);
        let mut known = BTreeMap::new();
        let (mut before, mut begins) = (newest + 1, self.revision + 1);
        while before > begins {
            let path = format!("/v1/history?limit=1000&since={begins}&before={before}");
            let page = router.call("GET", &path, None);
            assert_eq!(page.status(), 200, "{page:?}");
            for entry in page.json["items"].as_array().unwrap() {
                before -= 1;
                assert_eq!(entry["revision"], before, "revisions follow each other: {entry}");
                if entry["begins"] == true {
                    begins = before;
                }
                known.insert(before, Outcome::of(entry));
            }
        }
        History { known, is_whole: begins == self.revision + 1 }
    }
}

#[test]
fn a_database_of_the_first_release_outlives_kills_while_it_is_brought_up_to_date() {
    let mut rng = Rng::new();
    let _shown = Shown(rng.get_seed());
    let (old, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let router = Router::on(old.path(), &[]);
    let ops: Vec<_> = (0..MIGRATED)
        .map(|i| ("PUT", format!("/apps/one/dynos/web.{i}"), json!({"addr": "10.0.0.1:1"})))
        .collect();
    router.write("PUT", "/v1/apps/one", json!({}));
    let ops: Vec<_> = ops.iter().map(|(m, p, b)| (*m, p.as_str(), b.clone())).collect();
    assert_eq!(router.transact(&ops).status(), 200);
    let before = router.call("GET", "/v1/revision", None).json;
    router.kill();
    let version = |path: &Path| -> i64 {
        let direct = Connection::open(path.join("hostler.db")).unwrap();
        direct.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    };
    let direct = Connection::open(old.path().join("hostler.db")).unwrap();
    direct.execute_batch(FIRST_RELEASE).unwrap();
    drop(direct);
    for _ in 0..MIGRATIONS {
        fs::copy(old.path().join("hostler.db"), dir.path().join("hostler.db")).unwrap();
        kill_a_start(dir.path(), &mut rng);
        assert!(version(dir.path()) >= 1);
        let router = Router::on(dir.path(), &[]);
        assert_eq!(router.call("GET", "/v1/revision", None).json, before);
        router.kill();
        assert_sound(dir.path());
        fs::read_dir(dir.path()).unwrap().for_each(|e| fs::remove_file(e.unwrap().path()).unwrap());
    }
}

/// Starts a router and kills it before anybody knows how far it came.
fn kill_a_start(dir: &Path, rng: &mut Rng) {
    let mut child = serve(dir, &[]).spawn().unwrap();
    wait(duration(rng, PART));
    child.kill().unwrap();
    child.wait().unwrap();
}

fn assert_sound(dir: &Path) {
    let looked = command(&["store", "verify", "--json", "--data-dir", dir.to_str().unwrap()])
        .output()
        .unwrap();
    let verdict: Value = serde_json::from_slice(&looked.stdout).unwrap_or_default();
    assert_eq!(verdict["findings"], json!([]), "{looked:?}");
}

fn duration(rng: &mut Rng, most: Duration) -> Duration {
    Duration::from_micros(rng.u64(..most.as_micros() as u64))
}

/// Lets time pass: the instant of a kill is nothing that anybody could wait for.
fn wait(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|t| !t.is_zero()) {
        thread::park_timeout(left);
    }
}

/// Says with which seed a test failed.
struct Shown(u64);

impl Drop for Shown {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("to try this again: KILLS_SEED={}", self.0);
        }
    }
}
