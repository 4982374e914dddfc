//! How a store begins on what a crash, or a mistake of somebody's, left behind.
//!
//! Invariant: what cannot be served any more is still there, in a folder or in its place.

use super::*;

/// A directory whose store ended in order, or as in a crash.
fn left_by(transactions: usize, in_order: bool) -> (TempDir, Contents) {
    let filled = Filled::new(transactions);
    let newest = filled.newest().clone();
    let filled = if in_order { filled.restart() } else { filled };
    let Filled { dir, store, .. } = filled;
    drop(store);
    (dir, newest)
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

/// Makes an index that does not say what its table does.
fn break_an_index(dir: &Path) {
    let direct = Connection::open(database(dir)).unwrap();
    direct
        .execute_batch(
            "PRAGMA writable_schema = ON;
             DELETE FROM sqlite_schema WHERE name = 'edits_route';
             PRAGMA writable_schema = RESET;
             DELETE FROM edits WHERE id % 2 = 0;",
        )
        .unwrap();
}

#[test]
fn a_doubted_database_that_is_sound_is_written_again() {
    let (dir, newest) = left_by(50, false);
    fs::write(dir.path().join("hostler.db.doubt"), "the disk failed").unwrap();
    let (mut store, table) = Store::start(dir.path(), 1).unwrap();
    assert_eq!(contents(&table), newest);
    assert!(store.trouble().is_none());
    assert!(!dir.path().join("hostler.db.doubt").exists());
}

#[test]
fn the_newest_table_of_a_doubted_database_is_kept_though_the_rest_is_damaged() {
    let (dir, _) = left_by(50, true);
    let mut store = Store::open(dir.path()).unwrap();
    let mut table = store.load(1).unwrap();
    let change = Change::PutApp(app("late"), AppSettings::default());
    store.commit(&[transact(&mut table, &[change])]).unwrap();
    drop(store);
    break_an_index(dir.path());
    // Nobody noticed, so nobody asks.
    let (store, loaded) = Store::start(dir.path(), 1).unwrap();
    assert_eq!(contents(&loaded), contents(&table));
    drop(store);
    fs::write(dir.path().join("hostler.db.doubt"), "a page was no page").unwrap();
    for _ in 0..2 {
        let (mut store, served) = Store::start(dir.path(), 1).unwrap();
        assert_eq!(contents(&served), contents(&table), "the snapshot was older");
        assert_eq!(served.revision(), Revision(51));
        let trouble = store.trouble().unwrap();
        assert!(matches!(trouble, StoreError::SetAside { revision: 51, .. }), "{trouble}");
        store.close().unwrap();
        let aside = folders(dir.path());
        assert_eq!(aside.len(), 1);
        assert!(aside[0].join("hostler.db").exists() && aside[0].join("hostler.db.doubt").exists());
    }
}

#[test]
fn a_table_with_another_digest_is_not_served() {
    let (dir, newest) = left_by(60, true);
    let direct = Connection::open(database(dir.path())).unwrap();
    // Newer than the snapshot, so that the snapshot and what changed since do not make it either.
    direct
        .execute_batch(
            "INSERT INTO transactions
                 (revision, at_ms, author, changes, digest, apps, routes, dynos)
             SELECT 61, 2000, 'ann', 0, zeroblob(32), apps, routes, dynos FROM transactions
             WHERE revision = 60;",
        )
        .unwrap();
    drop(direct);
    let (mut store, table) = Store::start(dir.path(), 1).unwrap();
    assert_eq!((contents(&table), table.revision()), (newest, Revision(60)));
    assert!(matches!(store.trouble(), Some(StoreError::SetAside { .. })));
    assert_eq!(folders(dir.path()).len(), 1);
}

#[test]
fn a_replacement_that_was_broken_off_is_finished_by_the_next_start() {
    let (dir, _) = left_by(30, true);
    let (other, newest) = left_by(20, true);
    fs::copy(database(other.path()), dir.path().join("hostler.db.next")).unwrap();
    let (mut store, table) = Store::start(dir.path(), 1).unwrap();
    assert_eq!((contents(&table), table.revision()), (newest, Revision(20)));
    assert!(store.trouble().is_none());
    let aside = folders(dir.path());
    assert_eq!(aside.len(), 1);
    let kept = Connection::open(aside[0].join("hostler.db")).unwrap();
    let last: i64 =
        kept.query_row("SELECT max(revision) FROM transactions", [], |row| row.get(0)).unwrap();
    assert_eq!(last, 30);
    assert!(aside[0].join("table.snapshot").exists());
}

#[test]
fn a_later_releases_database_is_not_set_aside() {
    let (dir, _) = left_by(5, true);
    let direct = Connection::open(database(dir.path())).unwrap();
    direct.pragma_update(None, "user_version", 1000).unwrap();
    drop(direct);
    let refused = Store::start(dir.path(), 1).unwrap_err();
    assert!(matches!(refused, StoreError::Newer { found: 1000, .. }), "{refused}");
    assert!(refused.to_string().contains("run the release that wrote it"), "{refused}");
    assert!(folders(dir.path()).is_empty() && database(dir.path()).exists());
}

#[test]
fn what_is_written_is_synced_before_it_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let of = |pragma: &str| -> String {
        let sql = format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}");
        store.connection().unwrap().query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    // 2 is FULL: the log is synced with each commit.
    assert_eq!((of("journal_mode"), of("synchronous")), ("wal".into(), "2".into()));
}
