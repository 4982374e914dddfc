//! What the store keeps of callers: tokens, what writes were answered, who wrote from where; and
//! when objects last changed.
//!
//! Invariant: whatever is kept is there after a stop without a warning.

use super::*;
use crate::api::Receipt;

fn token(name: &str) -> TokenRow {
    TokenRow {
        name: name.into(),
        id: format!("id-of-{name}"),
        hash: [7; 32],
        scopes: "push:blog read".into(),
        made_ms: 1_000,
        made_by: "ann".into(),
        expires_ms: (name == "ci").then_some(2_000),
    }
}

fn ann() -> Doer {
    let (address, reason) = (Some("10.0.0.9".into()), None);
    Doer { at_ms: 1_000, author: "ann".into(), address, reason }
}

fn answered(caller: &str, key: &str, at_ms: u64) -> Answered {
    let receipt = Receipt {
        revision: at_ms,
        changed: true,
        digest: "ab".repeat(32),
        counts: None,
        fleet: None,
    };
    Answered { caller: caller.into(), key: key.into(), request: [at_ms as u8; 32], receipt, at_ms }
}

fn keep(store: &mut Store, new: &[Answered], since_ms: u64, most: usize) {
    store.commit_with(&[], Answers { new, since_ms, most }).unwrap();
}

#[test]
fn tokens_are_kept_beside_the_table_until_they_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    for name in ["ci", "Admin-2"] {
        assert!(store.add_token(&token(name), &ann()).unwrap());
    }
    assert!(!store.add_token(&TokenRow { id: "other".into(), ..token("ci") }, &ann()).unwrap());
    assert_eq!(store.revision(), Revision(0));
    drop(store);
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(store.tokens().unwrap(), [token("Admin-2"), token("ci")]);
    assert!(store.remove_token("ci", &ann()).unwrap());
    assert!(!store.remove_token("ci", &ann()).unwrap());
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.tokens().unwrap(), [token("Admin-2")]);
    // Every one of these is written down, and none that was refused.
    let deeds = store.archive().open().unwrap().deeds(None, 10).unwrap();
    let told: Vec<_> = deeds.iter().map(|deed| (&*deed.action, &*deed.token)).collect();
    assert_eq!(told, [("revoked", "ci"), ("made", "Admin-2"), ("made", "ci")]);
    assert!(deeds.iter().all(|deed| deed.doer == ann() && deed.scopes == "push:blog read"));
    let before = store.archive().open().unwrap().deeds(Some(deeds[1].id), 10).unwrap();
    assert_eq!(before, deeds[2..]);
}

#[test]
fn an_answer_is_told_for_as_long_as_it_is_kept_and_to_its_caller_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    keep(&mut store, &[answered("a", "k", 10), answered("b", "k", 20)], 0, 100);
    drop(store);
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(store.answer_to("a", "k", 10).unwrap(), Some(answered("a", "k", 10)));
    assert_eq!(store.answer_to("b", "k", 10).unwrap(), Some(answered("b", "k", 20)));
    assert_eq!(store.answer_to("c", "k", 0).unwrap(), None);
    assert_eq!(store.answer_to("a", "k", 11).unwrap(), None, "its time is over");
    // The key is free again then.
    keep(&mut store, &[answered("a", "k", 30)], 11, 100);
    assert_eq!(store.answer_to("a", "k", 11).unwrap(), Some(answered("a", "k", 30)));
}

#[test]
fn answers_are_bounded_and_the_oldest_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let count = |dir: &TempDir| -> i64 {
        let direct = Connection::open(database(dir.path())).unwrap();
        direct.query_row("SELECT count(*) FROM answers", [], |row| row.get(0)).unwrap()
    };
    for at in 1..=50 {
        keep(&mut store, &[answered("a", &format!("k{at}"), at)], 0, 10);
        assert!(count(&dir) <= 10);
    }
    // Counted anew after a restart.
    drop(store);
    let mut store = Store::open(dir.path()).unwrap();
    keep(&mut store, &[answered("a", "k51", 51)], 0, 10);
    assert_eq!(count(&dir), 10);
    assert!(store.answer_to("a", "k41", 0).unwrap().is_none());
    assert!(store.answer_to("a", "k42", 0).unwrap().is_some());
    // Those that are over go by themselves.
    keep(&mut store, &[answered("a", "k52", 52)], 50, 10);
    assert_eq!(count(&dir), 3);
}

#[test]
fn an_answer_is_kept_with_its_write_or_not_at_all() {
    let mut filled = Filled::new(10);
    let mut table = filled.table.clone();
    let many: Vec<Change> = std::iter::once(Change::PutApp(app("wide"), AppSettings::default()))
        .chain(
            (1..2000)
                .map(|i| Change::PutRoute(route(&format!("h{i}.test"), "/"), app("wide"), PLAIN)),
        )
        .collect();
    let batch = [transact(&mut table, &many)];
    let new = [answered("a", "k", 10)];
    let answers = Answers { new: &new, since_ms: 0, most: 100 };
    filled.store.limit_pages_to_current();
    assert!(matches!(filled.store.commit_with(&batch, answers), Err(StoreError::Full { .. })));
    assert_eq!(filled.store.answer_to("a", "k", 0).unwrap(), None);
    filled.store.limit_pages(i64::from(u32::MAX));
    filled.store.commit_with(&batch, answers).unwrap();
    let store = filled.crash().store;
    assert_eq!(store.answer_to("a", "k", 0).unwrap(), Some(new[0].clone()));
    assert_eq!(store.revision(), Revision(11));
}

#[test]
fn when_an_object_last_changed_is_told_as_of_any_revision() {
    let filled = Filled::new(200);
    let versions = filled.store.versions();
    let key = ObjectKey::App(app("blog"));
    let (mut last, mut before) = (None, None);
    for (revision, model) in filled.model.iter().enumerate() {
        let now = model.get("blog");
        if now != before {
            last = now.map(|_| Revision(revision as u64));
            before = now;
        }
        let told = versions.of(&key, Revision(revision as u64)).unwrap();
        // What went and came back alike in one revision is as it was.
        assert_eq!(told, last, "revision {revision}");
    }
    assert!(last.is_some() || filled.newest().get("blog").is_none());
}

#[test]
fn a_database_that_knew_no_callers_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let filled = Filled::new(5);
    let direct = Connection::open(database(filled.dir.path())).unwrap();
    direct.execute_batch(AGE_TO_7).unwrap();
    direct
        .execute_batch(
            "UPDATE transactions SET author = 'admin@::1' WHERE revision = 2;
             DROP INDEX objects_route; CREATE INDEX objects_app ON objects (app);
             DROP INDEX past_route; CREATE INDEX past_app ON past (app, to_rev, from_rev);
             DROP TABLE tokens; DROP TABLE answers; DROP TABLE deeds;
             ALTER TABLE transactions DROP COLUMN address;
             ALTER TABLE transactions DROP COLUMN forced;
             ALTER TABLE transactions DROP COLUMN certs; PRAGMA user_version = 2;
             PRAGMA wal_checkpoint(TRUNCATE)",
        )
        .unwrap();
    fs::copy(database(filled.dir.path()), database(dir.path())).unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    assert_eq!(contents(&store.load(1).unwrap()), *filled.newest());
    let view = store.archive().open().unwrap();
    let entries = view.history(&Filter { limit: 10, ..Filter::default() }).unwrap();
    let from = |entry: &crate::api::HistoryEntry| (entry.author.clone(), entry.address.clone());
    assert_eq!(from(&entries[3]), ("admin".into(), Some("::1".into())));
    assert_eq!(from(&entries[0]), ("ann".into(), None));
    assert!(store.add_token(&token("ci"), &ann()).unwrap());
}
