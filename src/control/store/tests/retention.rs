//! What is too old is forgotten, and nobody is told something wrong about it.
//!
//! Transactions were made a millisecond apart, the first at 1001. Invariant: what is kept is
//! compared with the model of the whole run.

use super::{past::told, *};

/// Forgets everything that no table from that revision on needs.
pub fn keep_from(filled: &mut Filled, revision: u64) {
    filled.store.keep_since(1_000 + revision);
    while filled.store.prune().unwrap() {}
    assert_eq!(filled.store.oldest(), Revision(revision));
}

/// What is kept is as it was, and of the rest no more is said than that it is not.
pub fn assert_kept_from(filled: &mut Filled, oldest: u64) {
    filled.assert_loads();
    let newest = filled.table.revision().0;
    let view = filled.store.archive().open().unwrap();
    let is_not_kept = |error: StoreError| {
        assert!(matches!(error, StoreError::NotKept { oldest: o, .. } if o == oldest), "{error}");
    };
    for revision in (0..=newest).map(Revision) {
        let whole = past::whole(&view, revision);
        let app = view.app("blog", revision);
        let differences = view_of(filled, revision, Revision(newest));
        if revision < Revision(oldest) {
            is_not_kept(whole.unwrap_err());
            is_not_kept(app.unwrap_err());
            is_not_kept(differences.unwrap_err());
            is_not_kept(view.point(revision).unwrap_err());
            is_not_kept(view.revision_at(At::Revision(revision.0)).unwrap_err());
            is_not_kept(view.revision_at(At::Time(1_000 + revision.0)).unwrap_err());
            is_not_kept(filled.store.table_at(revision, 1).unwrap_err());
            continue;
        }
        let digest = filled.digests[revision.0 as usize];
        assert_eq!((whole.unwrap(), view.point(revision).unwrap().digest), (digest, digest));
        let model = &filled.model[revision.0 as usize];
        assert_eq!(&contents(&filled.store.table_at(revision, 1).unwrap()), model);
        assert_eq!(view.revision_at(At::Time(1_000 + revision.0)).unwrap(), revision);
        let back: Vec<_> = differences.unwrap().into_iter().filter_map(|d| d.before).collect();
        let of_model = |change: &Change| match change {
            Change::PutRoute(key, app, settings) => {
                model.get(&format!("route {key}")) == Some(&format!("{app} {settings:?}"))
            }
            Change::PutApp(app, _) => model.contains_key(app.as_str()),
            Change::PutDyno(app, dyno) => {
                model.get(&format!("{app}/{}", dyno.name)) == Some(&format!("{dyno:?}"))
            }
            _ => false,
        };
        assert!(back.iter().all(of_model), "{revision}");
    }
}

fn view_of(filled: &Filled, from: Revision, to: Revision) -> Result<Vec<Difference>, StoreError> {
    let view = filled.store.archive().open().unwrap();
    Differences::between(view, from, to, None)?.collect()
}

#[test]
fn what_is_kept_is_whole_and_what_is_not_is_said() {
    let mut filled = Filled::new(60);
    for oldest in [2, 3, 30, 59, 60] {
        keep_from(&mut filled, oldest);
        assert_kept_from(&mut filled, oldest);
    }
    // The newest is never forgotten, however old it is.
    filled.store.keep_since(u64::MAX);
    while filled.store.prune().unwrap() {}
    filled.more(20);
    assert_eq!(filled.store.oldest(), Revision(80));
    let mut filled = filled.restart();
    assert_eq!(filled.store.oldest(), Revision(80));
    assert_kept_from(&mut filled, 80);
}

#[test]
fn nothing_is_forgotten_unless_that_is_asked_for() {
    let mut filled = Filled::new(60);
    filled.store.keep_since(0);
    assert!(!filled.store.prune().unwrap());
    filled.store.keep_since(1_001);
    assert!(!filled.store.prune().unwrap());
    filled.more(5);
    assert_kept_from(&mut filled, 0);
}

#[test]
fn a_commit_forgets_a_few_times_what_it_adds() {
    let mut filled = Filled::new(100);
    filled.store.keep_since(1_090);
    let committed = filled.draw.transaction(&mut filled.table);
    filled.model.push(contents(&filled.table));
    filled.digests.push(filled.table.digest());
    let edits = committed.edits.len() as u64;
    filled.store.commit(&[committed]).unwrap();
    let oldest = filled.store.oldest().0;
    assert!((17..=17 + 2 * edits).contains(&oldest), "{oldest} after {edits} edits");
    assert_kept_from(&mut filled, oldest);
}

#[test]
fn a_table_that_is_forgotten_while_it_is_read_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut table = Table::new(1);
    let mut commit = |store: &mut Store, changes: &[Change]| {
        let committed = transact(&mut table, changes);
        store.commit(&[committed]).unwrap();
    };
    let routes = |name: &'static str| {
        (0..1500)
            .map(move |i| Change::PutRoute(route(&format!("h{i}.test"), "/"), app(name), PLAIN))
    };
    let mut changes = vec![Change::PutApp(app("one"), AppSettings::default())];
    changes.extend(routes("one"));
    commit(&mut store, &changes);
    commit(&mut store, &[Change::PutApp(app("two"), AppSettings::default())]);
    // Every route ends, so that what was is in the past alone.
    commit(&mut store, &[Change::DeleteApp(app("one"))]);
    let view = store.archive().open().unwrap();
    let mut page = view.objects(Revision(1), Cursor::start()).unwrap();
    assert_eq!(page.items.len(), 1);
    store.keep_since(1_003);
    while store.prune().unwrap() {}
    while let Some(cursor) = page.next.clone() {
        match view.objects(Revision(1), cursor) {
            Ok(next) => page = next,
            Err(StoreError::NotKept { oldest: 3, .. }) => return,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("a table that is no longer kept was read to its end");
}

#[test]
fn an_object_of_which_nothing_is_kept_may_have_gone_with_the_oldest_revision() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut table = Table::new(1);
    let mut commit = |store: &mut Store, change: Change| {
        let committed = transact(&mut table, &[change]);
        store.commit(&[committed]).unwrap();
    };
    commit(&mut store, Change::PutApp(app("gone"), AppSettings::default()));
    commit(&mut store, Change::DeleteApp(app("gone")));
    let last = |store: &Store, name| store.last_change_of(&ObjectKey::App(app(name))).unwrap();
    assert_eq!((last(&store, "gone"), last(&store, "never")), (Some(Revision(2)), None));
    for i in 0..4 {
        let maintenance = i % 2 == 0;
        let settings = AppSettings { maintenance, ..Default::default() };
        commit(&mut store, Change::PutApp(app("here"), settings));
    }
    store.keep_since(1_005);
    while store.prune().unwrap() {}
    assert_eq!(store.oldest(), Revision(5));
    assert_eq!(last(&store, "here"), Some(Revision(6)));
    assert_eq!(last(&store, "gone"), Some(Revision(5)), "no later than that, and maybe then");
    assert_eq!(last(&store, "never"), Some(Revision(5)));
}

#[test]
fn history_says_where_it_begins() {
    let mut filled = Filled::new(30);
    let tell = |filled: &Filled, filter: Filter| -> Vec<(u64, bool)> {
        told(filled, filter).into_iter().map(|entry| (entry.revision, entry.begins)).collect()
    };
    assert!(tell(&filled, Filter::default()).iter().all(|(_, begins)| !begins));
    keep_from(&mut filled, 20);
    let all = tell(&filled, Filter::default());
    assert_eq!((all.len(), all[0], all[10]), (11, (30, false), (20, true)));
    let since = Filter { since: Some(At::Revision(3)), ..Filter::default() };
    assert_eq!(tell(&filled, since).len(), 11, "it says itself where it begins");
    let since = Filter { since: Some(At::Time(1_003)), ..Filter::default() };
    assert_eq!(tell(&filled, since).len(), 11);
    let view = filled.store.archive().open().unwrap();
    for filter in [
        Filter { before: Some(20), ..Filter::default() },
        Filter { until: Some(At::Revision(19)), ..Filter::default() },
        Filter { until: Some(At::Time(1_019)), ..Filter::default() },
    ] {
        let refused = view.history(&filter).unwrap_err();
        assert!(matches!(refused, StoreError::NotKept { oldest: 20, .. }), "{refused}");
    }
}

#[test]
fn a_snapshot_from_before_the_history_is_not_used() {
    let filled = Filled::new(20).restart();
    let old = fs::read(snapshot::path(filled.dir.path())).unwrap();
    let mut filled = filled;
    filled.more(30);
    keep_from(&mut filled, 45);
    let mut filled = filled.crash();
    fs::write(snapshot::path(filled.dir.path()), old).unwrap();
    filled.assert_loads();
}
