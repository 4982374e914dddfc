//! What there was, by every path: the archive's pages, one app, differences, the history, and a
//! database of an earlier release.
//!
//! Invariant: what is compared with is the model of the whole run, never another look of the same
//! kind.

use super::*;
use crate::{api::HistoryEntry, route::Object};

/// What the history tells of, with no bound unless the filter has one.
pub fn told(filled: &Filled, filter: Filter) -> Vec<HistoryEntry> {
    let limit = if filter.limit == 0 { usize::MAX } else { filter.limit };
    view(filled).history(&Filter { limit, ..filter }).unwrap()
}

fn view(filled: &Filled) -> View {
    filled.store.archive().open().unwrap()
}

/// The lines of a revision, page by page, in the order in which they came.
fn lines(view: &View, at: Revision) -> Vec<String> {
    let (mut lines, mut next) = (Vec::new(), Some(Cursor::start()));
    while let Some(cursor) = next {
        let page = view.objects(at, cursor).unwrap();
        lines.extend(page.items.iter().map(|change| Object::put_by(change).unwrap().line()));
        next = page.next;
    }
    lines
}

/// The digest of what is read of a revision.
pub fn whole(view: &View, at: Revision) -> Result<Digest, StoreError> {
    let (mut sum, mut next) = (Digest::default(), Some(Cursor::start()));
    while let Some(cursor) = next {
        let page = view.objects(at, cursor)?;
        page.items.iter().for_each(|change| sum.add(Object::put_by(change).unwrap().digest()));
        next = page.next;
    }
    Ok(sum)
}

/// A table with what the lines of a revision put.
fn rebuilt(view: &View, at: Revision) -> Table {
    let (mut table, mut next) = (Table::new(9), Some(Cursor::start()));
    while let Some(cursor) = next {
        let page = view.objects(at, cursor).unwrap();
        for change in &page.items {
            assert_eq!(table.apply(change), Ok(true), "each object once, its app before it");
        }
        next = page.next;
    }
    table
}

#[test]
fn every_revision_has_one_digest_by_every_path() {
    let filled = Filled::new(300);
    let view = view(&filled);
    for (revision, digest) in filled.digests.iter().enumerate() {
        let at = Revision(revision as u64);
        let point = view.point(at).unwrap();
        let mut sum = Digest::default();
        lines(&view, at).iter().for_each(|line| sum.add(Digest::of(line.as_bytes())));
        let table = rebuilt(&view, at);
        assert_eq!((point.digest, sum, table.digest()), (*digest, *digest, *digest), "{at}");
        assert_eq!((point.counts, &contents(&table)), (table.counts(), &filled.model[revision]));
    }
    let distinct: std::collections::HashSet<_> = filled.digests.iter().collect();
    assert!(distinct.len() > 200, "revisions differ, and so do their digests");
    assert!(matches!(view.point(Revision(301)), Err(StoreError::NoSuchRevision { .. })));
}

#[test]
fn pages_are_bounded_and_come_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut table = Table::new(1);
    let page: Arc<str> = "x".repeat(60_000).into();
    let error = Page { html: Some(page), ..Default::default() };
    let pages: Arc<Pages> = Pages { error, ..Default::default() }.into();
    let large = AppSettings { pages: Some(pages), ..Default::default() };
    let mut changes: Vec<Change> =
        (0..20).map(|i| Change::PutApp(app(&format!("a{i}")), large.clone())).collect();
    changes.extend(
        (0..2500).map(|i| Change::PutRoute(route(&format!("h{i}.test"), "/"), app("a0"), PLAIN)),
    );
    let committed = transact(&mut table, &changes);
    store.commit(&[committed]).unwrap();
    let view = store.archive().open().unwrap();
    let (mut sizes, mut next) = (Vec::new(), Some(Cursor::start()));
    while let Some(cursor) = next {
        let page = view.objects(Revision(1), cursor).unwrap();
        sizes.push(page.items.len());
        next = page.next;
    }
    assert_eq!(sizes, [5, 5, 5, 5, 0, 0, 0, 1000, 1000, 500]);
    assert_eq!(lines(&view, Revision(0)), [""; 0]);
}

#[test]
fn a_page_looks_at_so_many_objects_whether_they_stood_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut table = Table::new(1);
    let mut commit = |changes: &[Change]| {
        let committed = transact(&mut table, changes);
        store.commit(&[committed]).unwrap();
    };
    commit(&[Change::PutApp(app("a"), AppSettings::default())]);
    let name = |i: i32| format!("web.{i}");
    let put = |i| Change::PutDyno(app("a"), dyno(&name(i), 1));
    commit(&(1000..3500).map(put).collect::<Vec<_>>());
    commit(&(1500..3000).map(|i| Change::DeleteDyno(app("a"), name(i))).collect::<Vec<_>>());
    let view = store.archive().open().unwrap();
    let pages = |at| {
        let (mut sizes, mut next) = (Vec::new(), Some(Cursor::start()));
        while let Some(cursor) = next {
            let page = view.objects(Revision(at), cursor).unwrap();
            sizes.push(page.items.len());
            next = page.next;
        }
        sizes
    };
    // Apps, certificates, dynos in three pages, routes.
    assert_eq!(pages(3), [1, 0, 500, 0, 500, 0]);
    assert_eq!(pages(2), [1, 0, 1000, 1000, 500, 0]);
    assert_eq!(pages(1), [1, 0, 0, 0, 0, 0]);
}

#[test]
fn an_app_is_seen_as_it_was() {
    let filled = Filled::new(300);
    let view = view(&filled);
    for (revision, model) in filled.model.iter().enumerate() {
        for name in ["blog", "shop", "api", "none"] {
            let past = view.app(name, Revision(revision as u64)).unwrap();
            let of_app = |(key, value): &(&String, &String)| {
                key.as_str() == name
                    || key.starts_with(&format!("{name}/"))
                    || key.starts_with("route ") && value.split(' ').next() == Some(name)
            };
            let expected: Contents =
                model.iter().filter(of_app).map(|(k, v)| (k.clone(), v.clone())).collect();
            assert_eq!(contents(&past), expected, "{name} at {revision}");
            let had = view.had_app(name, Revision(revision as u64)).unwrap();
            assert_eq!(had, model.contains_key(name));
        }
    }
}

#[test]
fn a_difference_applied_to_one_side_makes_the_other() {
    let filled = Filled::new(150);
    let mut draw = Draw(11);
    for _ in 0..200 {
        let (from, to) = (draw.below(151), draw.below(151));
        let (from, to) = (Revision(from), Revision(to));
        let differences = Differences::between(view(&filled), from, to, None).unwrap();
        let differences = differences.collect().unwrap();
        let keep =
            |change: &Option<Change>| change.as_ref().map(|c| Object::put_by(c).unwrap().line());
        let mut side: Vec<String> = lines(&view(&filled), from);
        for difference in &differences {
            assert_ne!(difference.before, difference.after);
            if let Some(before) = keep(&difference.before) {
                let at = side.iter().position(|line| *line == before).expect("it was there");
                side.remove(at);
            }
            side.extend(keep(&difference.after));
        }
        side.sort();
        let mut other = lines(&view(&filled), to);
        other.sort();
        assert_eq!(side, other, "from {from} to {to}");
    }
}

#[test]
fn a_difference_of_one_app_holds_what_it_had_or_has() {
    let filled = Filled::new(150);
    let mut draw = Draw(12);
    for _ in 0..100 {
        let (from, to) = (Revision(draw.below(151)), Revision(draw.below(151)));
        let of =
            |app| Differences::between(view(&filled), from, to, app).unwrap().collect().unwrap();
        let touches = |change: &Option<Change>| match change {
            Some(
                Change::PutApp(app, _) | Change::PutDyno(app, _) | Change::PutRoute(_, app, _),
            ) => app.as_str() == "blog",
            _ => false,
        };
        let mut expected = of(None);
        expected.retain(|d| touches(&d.before) || touches(&d.after));
        assert_eq!(of(Some("blog")), expected, "from {from} to {to}");
    }
}

#[test]
fn a_time_is_the_newest_revision_that_it_had() {
    let filled = Filled::new(25);
    let view = view(&filled);
    let at = |ms| view.revision_at(At::Time(ms)).unwrap().0;
    assert_eq!((at(0), at(1_000), at(1_001), at(1_010), at(u64::MAX)), (0, 0, 1, 10, 25));
    assert_eq!(view.revision_at(At::Revision(25)).unwrap(), Revision(25));
    let beyond = view.revision_at(At::Revision(26)).unwrap_err();
    assert!(matches!(beyond, StoreError::NoSuchRevision { asked: 26, newest: 25 }), "{beyond}");
}

#[test]
fn history_is_told_from_the_newest_on() {
    let filled = Filled::new(25);
    let revisions = |filter: Filter| -> Vec<u64> {
        told(&filled, filter).into_iter().map(|entry| entry.revision).collect()
    };
    let before = |before, limit| Filter { before: Some(before), limit, ..Filter::default() };
    assert_eq!(revisions(Filter { limit: 3, ..Filter::default() }), [25, 24, 23]);
    assert_eq!(revisions(before(3, 10)), [2, 1]);
    assert_eq!(revisions(before(1, 10)), [0; 0]);
    assert_eq!(revisions(before(0, 10)), [0; 0]);
    assert_eq!(revisions(before(u64::MAX, 1)), [25]);
    assert_eq!(revisions(Filter::default()).len(), 25);
    let entry = &told(&filled, Filter::default())[0];
    assert_eq!((entry.at_ms, entry.author.as_str()), (1_025, "ann"));
    assert_eq!(entry.reason.as_deref(), Some("the 25th"));
    assert_eq!(entry.digest, filled.digests[25].to_string());
    assert!(entry.changes > 0);
}

#[test]
fn history_is_filtered_by_author_time_and_app() {
    let filled = Filled::new(60);
    let revisions = |filter: Filter| -> Vec<u64> {
        told(&filled, filter).into_iter().map(|entry| entry.revision).collect()
    };
    let author = |name: &str| Filter { author: Some(name.into()), ..Filter::default() };
    assert_eq!(revisions(author("ann")).len(), 60);
    assert_eq!(revisions(author("an")), [0; 0]);
    let window =
        Filter { since: Some(At::Time(1_003)), until: Some(At::Revision(5)), ..Filter::default() };
    assert_eq!(revisions(window), [5, 4, 3]);
    let late = Filter { since: Some(At::Time(2_000)), ..Filter::default() };
    assert_eq!(revisions(late), [0; 0]);
    // An app's revisions are those at which what it has is another than before.
    let of_app = |model: &Contents| -> Contents {
        let its = |(key, value): &(&String, &String)| {
            key.split('/').next() == Some("blog") || value.split(' ').next() == Some("blog")
        };
        model.iter().filter(its).map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    let mut expected: Vec<u64> = (1..=60_usize)
        .filter(|r| of_app(&filled.model[*r]) != of_app(&filled.model[*r - 1]))
        .map(|r| r as u64)
        .collect();
    expected.reverse();
    let blog = Filter { app: Some("blog".into()), ..Filter::default() };
    assert_eq!(revisions(blog.clone()), expected);
    for since in [0, 1, 30, 60, 61, 62, 1000, u64::MAX] {
        let of_then: Vec<_> = expected.iter().copied().filter(|r| *r >= since).collect();
        let told = revisions(Filter { since: Some(At::Revision(since)), ..blog.clone() });
        assert_eq!(told, of_then, "since {since}");
    }
}

/// Makes a database of version 8 one of version 7.
pub const AGE_TO_7: &str = "
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
    PRAGMA user_version = 7;";

/// Makes a database what an earlier release would have written.
fn age(dir: &Path) {
    let direct = Connection::open(database(dir)).unwrap();
    direct.execute_batch(AGE_TO_7).unwrap();
    direct
        .execute_batch(
            "DROP INDEX transactions_at; DROP INDEX objects_route; DROP INDEX past_route;
             DROP INDEX past_key; CREATE INDEX past_key ON past (kind, key, to_rev);
             ALTER TABLE transactions DROP COLUMN digest;
             ALTER TABLE transactions DROP COLUMN address;
             ALTER TABLE transactions DROP COLUMN forced;
             DROP TABLE tokens; DROP TABLE answers; DROP TABLE deeds;
             ALTER TABLE transactions DROP COLUMN apps;
             ALTER TABLE transactions DROP COLUMN routes;
             ALTER TABLE transactions DROP COLUMN dynos;
             ALTER TABLE transactions DROP COLUMN certs;
             ALTER TABLE objects DROP COLUMN app;
             ALTER TABLE past DROP COLUMN app;
             PRAGMA user_version = 1;",
        )
        .unwrap();
}

#[test]
fn a_database_of_an_earlier_release_is_brought_up_to_date() {
    let Filled { dir, store, table, model, digests, draw } = Filled::new(200);
    drop(store);
    age(dir.path());
    let store = Store::open(dir.path()).unwrap();
    let mut filled = Filled { dir, store, table, model, digests, draw };
    filled.assert_loads();
    let seen = view(&filled);
    for (revision, digest) in filled.digests.iter().enumerate() {
        let point = seen.point(Revision(revision as u64)).unwrap();
        let table = rebuilt(&seen, Revision(revision as u64));
        assert_eq!((point.digest, point.counts), (*digest, table.counts()), "{revision}");
    }
    let past = seen.app("blog", Revision(100)).unwrap();
    assert_eq!(past.counts().apps, usize::from(filled.model[100].contains_key("blog")));
    filled.more(20);
    let mut filled = filled.restart();
    filled.assert_loads();
    assert_eq!(view(&filled).point(Revision(220)).unwrap().digest, filled.table.digest());
}
