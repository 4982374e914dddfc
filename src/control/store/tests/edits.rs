//! Edits that lead to each other: long histories, databases of version 7, and what is led astray.
//!
//! Invariant: a database that was made, brought up to date or cut short in any order is found
//! sound.

use super::{
    retention::{assert_kept_from, keep_from},
    *,
};

/// Ends the store as it is and makes its database one of version 7.
fn aged(filled: Filled) -> Filled {
    let Filled { dir, store, table, model, digests, draw } = filled;
    store.close().unwrap();
    let direct = Connection::open(database(dir.path())).unwrap();
    direct.execute_batch(AGE_TO_7).unwrap();
    drop(direct);
    let store = Store::open(dir.path()).unwrap();
    Filled { dir, store, table, model, digests, draw }
}

fn assert_sound(filled: &Filled) {
    let verdict = verify_dir(filled.dir.path()).unwrap();
    assert_eq!(verdict.findings, [""; 0]);
    assert_eq!(verdict.digest, filled.table.digest().to_string());
}

#[test]
fn a_long_history_of_one_dyno_is_found_at_every_revision() {
    const EDITS: u64 = 600;
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut table = Table::new(1);
    let put = |port: u64| Change::PutDyno(app("a"), dyno("web.1", port as u16));
    let mut batch = vec![transact(&mut table, &[Change::PutApp(app("a"), AppSettings::default())])];
    for port in 1..=EDITS {
        // What is there and not there in turn has a history too.
        let gone = Change::DeleteDyno(app("a"), "web.1".into());
        let change = if port.is_multiple_of(50) { gone } else { put(port) };
        batch.push(transact(&mut table, &[change]));
        if port.is_multiple_of(7) {
            store.commit(&std::mem::take(&mut batch)).unwrap();
        }
    }
    store.commit(&batch).unwrap();
    for oldest in [0, 2, 300, 601] {
        store.keep_since(1_000 + oldest);
        while store.prune().unwrap() {}
        let view = store.archive().open().unwrap();
        for port in oldest.max(2) - 1..=EDITS {
            let key = ObjectKey::of(&put(port)).unwrap();
            let found = view.object(&key, Revision(port + 1)).unwrap();
            let expected = (!port.is_multiple_of(50)).then(|| put(port));
            assert_eq!(found, expected, "{port} where {oldest} is the oldest");
        }
    }
    assert_eq!(verify_dir(dir.path()).unwrap().findings, [""; 0]);
}

#[test]
fn a_database_of_version_7_keeps_its_history_and_goes_on() {
    let mut filled = Filled::new(150);
    filled.assert_loads();
    let mut filled = aged(filled);
    filled.assert_loads();
    assert_kept_from(&mut filled, 0);
    assert_sound(&filled);
    filled.more(50);
    assert_kept_from(&mut filled, 0);
    assert_sound(&filled);
}

#[test]
fn a_database_of_version_7_that_has_forgotten_some_is_brought_up_to_date() {
    let mut filled = Filled::new(120);
    for oldest in [2, 40, 90] {
        keep_from(&mut filled, oldest);
        filled = aged(filled);
        assert_kept_from(&mut filled, oldest);
        assert_sound(&filled);
        filled.more(10);
        assert_kept_from(&mut filled, oldest);
        assert_sound(&filled);
    }
    filled = aged(aged(filled));
    keep_from(&mut filled, 150);
    assert_kept_from(&mut filled, 150);
    assert_sound(&filled);
}

#[test]
fn what_is_gone_is_kept_until_its_edits_are_forgotten() {
    let mut filled = Filled::new(200);
    let gone = |filled: &Filled| -> i64 {
        let direct = Connection::open(database(filled.dir.path())).unwrap();
        let sql = "SELECT count(*) FROM objects WHERE body IS NULL";
        direct.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert!(gone(&filled) > 0, "the run removes objects");
    let newest = filled.table.revision().0;
    keep_from(&mut filled, newest);
    // Left is at most what the newest revision itself removed.
    let last = filled.model[newest as usize - 1].len();
    assert!(gone(&filled) <= last as i64);
    assert_sound(&filled);
    filled.more(30);
    assert_kept_from(&mut filled, newest);
    assert_sound(&filled);
}

#[test]
fn what_leads_astray_is_found() {
    for (sql, found) in [
        ("UPDATE objects SET last = last - 1 WHERE kind = 'app'", "their last edit"),
        ("UPDATE objects SET from_rev = from_rev + 1 WHERE kind = 'route'", "their last edit"),
        ("UPDATE edits SET before = id - 1 WHERE before > 0", "those before it"),
        ("UPDATE edits SET before = id + 1", "those before it"),
        ("UPDATE edits SET leap = before - 1 WHERE before > 2", "those before it"),
        ("UPDATE edits SET from_rev = from_rev - 1 WHERE before > 0", "those before it"),
        ("UPDATE transactions SET last_edit = last_edit - 1 WHERE revision = 30", "revision 30"),
        (
            "DELETE FROM edits WHERE id = (SELECT last_edit FROM transactions WHERE revision = 20)",
            "revision 20",
        ),
    ] {
        let filled = Filled::new(60);
        assert_sound(&filled);
        let direct = Connection::open(database(filled.dir.path())).unwrap();
        assert!(direct.execute(sql, []).unwrap() > 0, "{sql}");
        let findings = verify_dir(filled.dir.path()).unwrap().findings;
        assert!(findings.iter().any(|finding| finding.contains(found)), "{sql}: {findings:?}");
        // Whatever it leads to, no look goes round for ever.
        let view = filled.store.archive().open().unwrap();
        for revision in 0..=60 {
            let _ = past::whole(&view, Revision(revision));
            let _ = view.app("blog", Revision(revision));
        }
        let _ = view.history(&Filter { app: Some("blog".into()), limit: 100, ..Filter::default() });
    }
}

#[test]
fn what_version_7_had_not_forgotten_yet_is_forgotten_as_it_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut table = Table::new(1);
    let put = |port| Change::PutDyno(app("a"), dyno("web.1", port));
    let gone = || Change::DeleteDyno(app("a"), "web.1".into());
    let first = Change::PutApp(app("a"), AppSettings::default());
    // There, gone and back before the oldest revision that is kept, and another one behind it.
    for change in [first, put(1), gone(), put(2), put(3), put(4), put(5)] {
        let committed = transact(&mut table, &[change]);
        store.commit(&[committed]).unwrap();
    }
    store.close().unwrap();
    let direct = Connection::open(database(dir.path())).unwrap();
    direct.execute_batch(AGE_TO_7).unwrap();
    direct.execute("DELETE FROM transactions WHERE revision < 5", []).unwrap();
    drop(direct);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(verify_dir(dir.path()).unwrap().findings, [""; 0]);
    let view = store.archive().open().unwrap();
    for revision in 5..=7 {
        let found = view.object(&ObjectKey::of(&put(1)).unwrap(), Revision(revision)).unwrap();
        assert_eq!(found, Some(put(revision as u16 - 2)));
    }
}

#[test]
fn a_private_key_is_not_left_behind_in_what_version_7_had() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut table = Table::new(1);
    let secret = [0x5a_u8; 600];
    let certificate = |leaf: u8, key: &[u8]| {
        let chain: [Box<[u8]>; 1] = [vec![leaf; 300].into()];
        Change::PutCertificate(Arc::new(Certificate {
            name: CertName::parse("a").unwrap(),
            hosts: [].into(),
            not_before_s: 1,
            not_after_s: 2,
            key_kind: KeyKind::Rsa(2048),
            fingerprints: chain.iter().map(|der| Digest::of(der)).collect(),
            chain: chain.into(),
            key: PrivateKey { der: Some(key.into()), sealed: None },
        }))
    };
    let committed = transact(&mut table, &[certificate(1, &secret)]);
    store.commit(&[committed]).unwrap();
    store.close().unwrap();
    let direct = Connection::open(database(dir.path())).unwrap();
    direct.execute_batch(AGE_TO_7).unwrap();
    direct.execute_batch("VACUUM").unwrap();
    drop(direct);
    let text = "WlpaWlpaWlpaWlpa";
    let has_it = || {
        let bytes = fs::read(database(dir.path())).unwrap();
        bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count()
    };
    assert!(has_it() > 0, "the key is in the clear");
    let mut store = Store::open(dir.path()).unwrap();
    let committed = transact(&mut table, &[certificate(2, &[1])]);
    store.commit(&[committed]).unwrap();
    store.close().unwrap();
    assert_eq!(has_it(), 0);
}

#[test]
fn an_edit_that_nothing_leads_to_is_found() {
    let filled = Filled::new(60);
    assert_sound(&filled);
    let direct = Connection::open(database(filled.dir.path())).unwrap();
    let sql = "DELETE FROM objects WHERE body IS NULL";
    assert!(direct.execute(sql, []).unwrap() > 0, "the run removes objects");
    let findings = verify_dir(filled.dir.path()).unwrap().findings;
    assert!(findings.iter().any(|finding| finding.contains("nothing leads")), "{findings:?}");
}

#[test]
fn routes_that_are_gone_are_not_looked_at_for_a_table_without_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut table = Table::new(1);
    let key = |i: u32| route(&format!("h{i}.test"), "/");
    let put = |i| Change::PutRoute(key(i), app("a"), PLAIN);
    let mut first = vec![Change::PutApp(app("a"), AppSettings::default())];
    first.extend((0..50).map(put));
    let gone: Vec<_> = (1..50).map(|i| Change::DeleteRoute(key(i), app("a"))).collect();
    let batch = [transact(&mut table, &first), transact(&mut table, &gone)];
    store.commit(&batch).unwrap();
    let view = store.archive().open().unwrap();
    let looked_at = |at: u64| {
        let bound = chain::last_edit(&view.connection, Revision(at)).unwrap();
        let mut query = view.connection.prepare(schema::ROUTES).unwrap();
        query.query_map(("a", bound), |_| Ok(())).unwrap().count()
    };
    assert_eq!((looked_at(2), looked_at(1)), (1, 50));
    for (at, routes) in [(0, 0), (1, 50), (2, 1)] {
        assert_eq!(view.app("a", Revision(at)).unwrap().counts().routes, routes);
    }
}
