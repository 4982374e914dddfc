//! How an app's row is written, and that rows of earlier releases are read.
//!
//! Invariant: rows are looked at beside the store, as they stand in the database.

use super::*;

fn rows(dir: &Path) -> Vec<String> {
    let direct = Connection::open(database(dir)).unwrap();
    let mut rows = direct.prepare("SELECT body FROM objects WHERE kind = 'app'").unwrap();
    rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn with_app(settings: AppSettings) -> (TempDir, Store, Table) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut table = Table::new(1);
    let committed = transact(&mut table, &[Change::PutApp(app("blog"), settings)]);
    store.commit(&[committed]).unwrap();
    (dir, store, table)
}

#[test]
fn a_row_holds_what_is_set_alone() {
    let (dir, ..) = with_app(AppSettings::default());
    assert_eq!(rows(dir.path()), ["{\"maintenance\":false}"]);
    let own = OwnSettings { max_attempts: Some(7), ..Default::default() };
    let error = Page { text: Some("a\"b".into()), ..Default::default() };
    let (dir, mut store, table) = with_app(AppSettings {
        is_router: true,
        own: Some(own.into()),
        pages: Some(Pages { error, ..Default::default() }.into()),
        ..Default::default()
    });
    let row = "{\"maintenance\":false,\"router\":true,\"settings\":{\"dynos.max_attempts\":7},\
               \"pages\":{\"error\":{\"text\":\"a\\\"b\"}}}";
    assert_eq!(rows(dir.path()), [row]);
    assert_eq!(contents(&store.load(1).unwrap()), contents(&table));
}

#[test]
fn a_row_with_what_no_app_may_have_is_named() {
    let (dir, mut store, table) = with_app(AppSettings::default());
    let direct = Connection::open(database(dir.path())).unwrap();
    let mut load = |body: &str| {
        direct.execute("UPDATE objects SET body = ?1 WHERE kind = 'app'", [body]).unwrap();
        store.load(1)
    };
    assert_eq!(contents(&load("{\"maintenance\":false}").unwrap()), contents(&table));
    for (body, what) in [
        ("{}", "maintenance"),
        ("{\"maintenance\":false,\"colour\":1}", "colour"),
        ("{\"maintenance\":false,\"settings\":{\"timeouts.idle\":\"x\"}}", "timeouts.idle"),
        ("{\"maintenance\":false,\"pages\":{\"error\":{\"json\":\"{\"}}}", "error.json"),
    ] {
        let damaged = load(body).unwrap_err();
        assert!(matches!(damaged, StoreError::Damaged { .. }), "{damaged}");
        let text = damaged.to_string();
        assert!(text.contains(what) && text.contains("blog"), "{text}");
    }
}
