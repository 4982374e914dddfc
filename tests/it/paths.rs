//! Any sequence of transactions gives one table and one digest, whichever way it is come to.
//!
//! Random transactions, many of them to be refused, are judged by a model that knows nothing of
//! ours; then every revision is reached by each path: as it was answered, as of its number, by
//! every diff in turn, by the diff of any two revisions, by the feed, by an export and its import
//! elsewhere, from the database alone and from a snapshot and what came behind it, by a revert and
//! the revert of that.
//! `PATHS_COUNT` says how many sequences are tried, `PATHS_SEED` with which the first is drawn.
//! Invariant: digests are computed here from the lines that came.

mod model;

use std::env;

use fastrand::Rng;
use hostler::route::Digest;
use serde_json::{Value, json};

use self::model::{Model, Op};
use crate::harness::{
    Router,
    followed::{Followed, Stream},
    upload::put_with,
};

/// Sequences in the test command.
const SEQUENCES: u64 = 4;
/// Transactions of a sequence.
const TRANSACTIONS: usize = 40;
/// How many of a sequence's revisions are gone back to.
const REVERTS: usize = 3;

/// Whatever may be protected: this is about tables, and not about guards.
const NAMES: [&str; 11] = [
    "one",
    "two",
    "three",
    "a.test",
    "*.a.test",
    "b.a.test",
    "c.test",
    "a.test/x",
    "*.a.test/x",
    "b.a.test/x",
    "c.test/x",
];

#[test]
fn any_sequence_gives_one_table_and_one_digest_by_every_path() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let count = number("PATHS_COUNT").unwrap_or(SEQUENCES);
    let first = number("PATHS_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    for seed in first..first + count {
        eprintln!("repeat it: PATHS_SEED={seed} PATHS_COUNT=1");
        let dir = tempfile::tempdir().unwrap();
        let mut run = Run {
            other: Router::start(),
            router: Router::on(dir.path(), &[]),
            random: Rng::with_seed(seed),
            tables: vec![Model::default()],
            digests: vec!["0".repeat(64)],
        };
        run.push(TRANSACTIONS);
        run.check_paths();
        // The next start has the database alone, the one behind it a snapshot and what came since.
        run.router.kill();
        run.router = Router::on(dir.path(), &[]);
        run.check_newest();
        run.push(TRANSACTIONS / 4);
        run.router.terminate();
        assert!(run.router.wait().success());
        run.router = Router::on(dir.path(), &[]);
        run.push(TRANSACTIONS / 4);
        run.router.kill();
        run.router = Router::on(dir.path(), &[]);
        run.check_paths();
        run.check_reverts();
    }
}

/// A sequence, as far as it went.
struct Run {
    router: Router,
    /// Where tables are imported.
    other: Router,
    random: Rng,
    /// The table of each revision, by the model.
    tables: Vec<Model>,
    /// What its write was answered.
    digests: Vec<String>,
}

impl Run {
    /// Sends random transactions, and checks that each is judged as by the model.
    fn push(&mut self, count: usize) {
        for _ in 0..count {
            let ops: Vec<Op> =
                (0..self.random.usize(1..5)).map(|_| Op::draw(&mut self.random)).collect();
            let mut table = self.newest().clone();
            let is_right = ops.iter().all(|op| table.apply(op));
            let sent: Vec<&Value> = ops.iter().map(|op| &op.sent).collect();
            let reply = match &*sent {
                [op] => {
                    let path = op["path"].as_str().unwrap();
                    let sign = if path.contains('?') { '&' } else { '?' };
                    let path = format!("/v1{path}{sign}confirm={}", NAMES.join(","));
                    let body = op.get("body").cloned();
                    self.router.call(op["method"].as_str().unwrap(), &path, body)
                }
                ops => {
                    let body = json!({"ops": ops, "confirm": NAMES});
                    self.router.call("POST", "/v1/transactions", Some(body))
                }
            };
            assert_eq!(reply.status() == 200, is_right, "{sent:?}: {reply:?}");
            if !is_right {
                continue;
            }
            let changes = table != *self.newest();
            assert_eq!(reply.json["changed"], changes, "{sent:?}: {reply:?}");
            if changes {
                self.tables.push(table);
                self.digests.push(reply.json["digest"].as_str().unwrap().to_owned());
            }
            assert_eq!(reply.revision() as usize, self.tables.len() - 1);
            assert_eq!(reply.json["digest"], *self.digests.last().unwrap());
        }
        self.check_newest();
    }

    fn newest(&self) -> &Model {
        self.tables.last().unwrap()
    }

    fn check_newest(&self) {
        assert_eq!(self.export(""), *self.newest());
        let view = self.router.call("GET", "/v1/revision", None).json;
        assert_eq!(view["digest"], *self.digests.last().unwrap());
    }

    /// The table that an export gives, whose digest is the one that its first line says.
    fn export(&self, query: &str) -> Model {
        let reply = self.router.call("GET", &format!("/v1/table{query}"), None);
        assert_eq!(reply.status(), 200, "{reply:?}");
        let text = reply.answer.text();
        let (header, lines) = text.split_once('\n').unwrap();
        let header: Value = serde_json::from_str(header).unwrap();
        let mut sum = Digest::default();
        lines.lines().for_each(|line| sum.add(Digest::of(line.as_bytes())));
        assert_eq!(header["digest"], sum.to_string());
        let revision = header["revision"].as_u64().unwrap() as usize;
        assert_eq!(header["digest"], self.digests[revision]);
        Model::of(lines.lines().map(|line| serde_json::from_str(line).unwrap()))
    }

    fn diff(&self, from: usize, to: usize) -> Vec<Value> {
        let reply = self.router.call("GET", &format!("/v1/diff?from={from}&to={to}"), None);
        assert_eq!(reply.status(), 200, "{reply:?}");
        let text = reply.answer.text();
        let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let header = lines.next().unwrap();
        assert_eq!(header["from"]["digest"], self.digests[from]);
        assert_eq!(header["to"]["digest"], self.digests[to]);
        lines.collect()
    }

    fn check_paths(&mut self) {
        self.check_newest();
        let newest = self.tables.len() - 1;
        let mut replayed = Model::default();
        for revision in 0..=newest {
            assert_eq!(self.export(&format!("?at={revision}")), self.tables[revision]);
            if revision > 0 {
                replayed.turn(&self.diff(revision - 1, revision));
            }
            assert_eq!(replayed, self.tables[revision], "by every diff up to {revision}");
            let other = self.random.usize(..=newest);
            let mut turned = self.tables[revision].clone();
            turned.turn(&self.diff(revision, other));
            assert_eq!(turned, self.tables[other], "by the diff from {revision} to {other}");
        }
        self.check_feed();
        for at in [self.random.usize(..=newest), newest] {
            self.check_import(at);
        }
        let history = self.router.call("GET", "/v1/history?limit=1000", None).json;
        let told = history["items"].as_array().unwrap().iter().rev().map(|e| e["digest"].clone());
        assert_eq!(told.collect::<Vec<_>>(), self.digests[1..]);
    }

    /// From any revision on, and from a snapshot.
    fn check_feed(&mut self) {
        let newest = self.tables.len() as u64 - 1;
        let mut followed = Followed::default();
        followed.revision = Some(0);
        let mut stream = Stream::from(self.router.control, Some(0));
        while followed.revision.unwrap_or(0) < newest {
            followed.take_raw(&stream.next().expect("the feed goes on"));
        }
        followed.assert_is(&self.router);
        let mut stream = Stream::from(self.router.control, None);
        let mut whole = Followed::default();
        while whole.revision.is_none() {
            whole.take_raw(&stream.next().expect("the snapshot comes whole"));
        }
        whole.assert_is(&self.router);
    }

    /// An export of a revision makes the same table elsewhere, whatever stood there.
    fn check_import(&self, at: usize) {
        let export = self.router.call("GET", &format!("/v1/table?at={at}"), None).answer.text();
        let options = format!("?force=true&confirm={}", NAMES.join(","));
        let reply = put_with(&self.other, &options, "", &export);
        assert_eq!(reply.status(), 200, "{reply:?}");
        assert_eq!(reply.json["digest"], self.digests[at]);
    }

    /// Goes back, and back again: routes and settings first, then dynos too.
    fn check_reverts(&mut self) {
        for _ in 0..REVERTS {
            let (before, to) = (self.tables.len() - 1, self.random.usize(..self.tables.len()));
            for to in [to, before] {
                self.revert(json!({"to": to}));
                assert_eq!(self.newest().without_dynos(), self.tables[to].without_dynos());
            }
            let (before, to) = (self.tables.len() - 1, self.random.usize(..self.tables.len()));
            for to in [to, before] {
                let before_it = self.newest().clone();
                self.revert(json!({"to": to, "dynos": true}));
                let (now, then) = (before_it.clone(), &self.tables[to]);
                assert_eq!(self.newest().lasting(&now).lasting(then), then.lasting(&now));
            }
        }
        let newest = self.tables.len() - 1;
        assert_eq!(self.export(&format!("?at={newest}")), *self.newest());
    }

    fn revert(&mut self, mut body: Value) {
        body["confirm"] = json!(NAMES);
        let reply = self.router.call("POST", "/v1/revert", Some(body));
        assert_eq!(reply.status(), 200, "{reply:?}");
        if reply.json["changed"] == true {
            self.digests.push(reply.json["digest"].as_str().unwrap().to_owned());
            self.tables.push(Model::default());
            let table = self.export("");
            self.tables.pop();
            self.tables.push(table);
        }
    }
}
