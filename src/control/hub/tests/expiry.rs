//! Expiry as the hub does it: what leaves, what stays, and what a renewal costs.
//!
//! Times to live are in seconds, so that a test that waits for one takes as long; each waits for
//! the table to be what it should, to a bound, and never for a time.

use std::time::{Duration, Instant};

use super::*;

const BOUND: Duration = Duration::from_secs(20);

fn settings(share: u32) -> Settings {
    let shrink = ShrinkRule { share, window: BOUND, floor: 0 };
    Settings { expiry_grace: Duration::ZERO, shrink, ..Settings::default() }
}

fn with_ttl(path: &str, ttl_s: u32) -> Op {
    put(path, json!({ "addr": "10.0.0.1:80", "ttl_s": ttl_s }))
}

/// Waits until the live table is so.
async fn until(rig: &Rig, is_so: impl Fn(&Table) -> bool) -> Table {
    let began = Instant::now();
    loop {
        let table = rig.table();
        if is_so(&table) {
            return table;
        }
        assert!(began.elapsed() < BOUND, "{table:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn dynos(table: &Table) -> usize {
    table.counts().dynos
}

#[tokio::test]
async fn what_is_due_together_leaves_as_one_revision_of_its_own() {
    let rig = Rig::with(settings(100));
    let ops = vec![
        app("blog"),
        with_ttl("/apps/blog/dynos/a", 1),
        with_ttl("/apps/blog/dynos/b", 1),
        with_ttl("/apps/blog/dynos/c", 60),
        dyno("/apps/blog/dynos/d", 80),
    ];
    rig.made(ops).await;
    let table = until(&rig, |table| dynos(table) == 2).await;
    assert_eq!(table.revision(), Revision(2));
    let newest = rig.newest();
    assert_eq!((newest.author.as_str(), newest.address, newest.changes), ("hostler", None, 2));
    assert_eq!(newest.reason.as_deref(), Some("expired: not renewed in time"));
    assert!(!newest.forced);
    assert_eq!(rig.status.dynos_expired.load(Relaxed), 2);
    let view = rig.hub.archive().open().unwrap();
    assert_eq!(view.point(Revision(2)).unwrap().digest, table.digest());
}

#[tokio::test]
async fn renewals_keep_a_dyno_and_make_no_revision_and_a_refused_one_does_neither() {
    let rig = Rig::with(settings(100));
    rig.made(vec![app("blog"), with_ttl("/apps/blog/dynos/a", 2)]).await;
    rig.made(vec![with_ttl("/apps/blog/dynos/b", 2), with_ttl("/apps/blog/dynos/c", 2)]).await;
    let began = Instant::now();
    // Each way to renew, until the one that was only refused has left.
    let refused = || vec![with_ttl("/apps/blog/dynos/c", 2), dyno("/apps/none/dynos/a", 80)];
    while rig.table().app("blog").unwrap().dyno("c").is_some() {
        assert!(began.elapsed() < BOUND);
        assert!(!rig.push(vec![with_ttl("/apps/blog/dynos/a", 2)]).await.unwrap().changed);
        let patch = op("PATCH", "/apps/blog/dynos/b", json!({}));
        assert!(!rig.push(vec![app("blog"), patch]).await.unwrap().changed);
        rig.push(refused()).await.unwrap_err();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((rig.table().revision(), dynos(&rig.table())), (Revision(3), 2));
    // Without a time to live it stays for good.
    rig.made(vec![dyno("/apps/blog/dynos/a", 80)]).await;
    until(&rig, |table| table.app("blog").unwrap().dyno("b").is_none()).await;
    assert_eq!(dynos(&rig.table()), 1);
}

#[tokio::test]
async fn an_answer_that_is_told_again_renews_nothing() {
    let rig = Rig::with(settings(100));
    rig.made(vec![app("blog")]).await;
    let keyed = || {
        let key = Key { caller: "c".into(), key: "k".into(), request: [1; 32] };
        Request { key: Some(key), ..Request::from(push(vec![with_ttl("/apps/blog/dynos/a", 1)])) }
    };
    assert!(!rig.hub.submit(keyed()).await.unwrap().is_replay);
    let began = Instant::now();
    while dynos(&rig.table()) > 0 {
        assert!(began.elapsed() < BOUND);
        assert!(rig.hub.submit(keyed()).await.unwrap().is_replay);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_the_guard_keeps_stays_and_leaves_once_it_may() {
    let rig = Rig::with(settings(50));
    let ops = vec![
        app("blog"),
        with_ttl("/apps/blog/dynos/a", 1),
        with_ttl("/apps/blog/dynos/b", 1),
        with_ttl("/apps/blog/dynos/c", 60),
    ];
    rig.made(ops).await;
    let overdue = |rig: &Rig| rig.status.dynos_overdue.load(Relaxed);
    until(&rig, |_| overdue(&rig) == 2).await;
    assert_eq!((rig.table().revision(), dynos(&rig.table())), (Revision(1), 3));
    // One more, and two of four may go.
    rig.made(vec![dyno("/apps/blog/dynos/d", 80)]).await;
    let table = until(&rig, |table| dynos(table) == 2).await;
    assert_eq!(table.revision(), Revision(3));
    until(&rig, |_| overdue(&rig) == 0).await;
    let stays = table.app("blog").unwrap();
    assert!(stays.dyno("c").is_some() && stays.dyno("d").is_some());
}

#[tokio::test]
async fn a_protected_app_keeps_its_last_dyno_until_there_is_another() {
    let rig = Rig::with(settings(100));
    let ops = vec![
        put("/apps/blog", json!({ "protected": true })),
        with_ttl("/apps/blog/dynos/a", 1),
        app("shop"),
        with_ttl("/apps/shop/dynos/a", 1),
    ];
    rig.made(ops).await;
    until(&rig, |table| dynos(table) == 1).await;
    until(&rig, |_| rig.status.dynos_overdue.load(Relaxed) == 1).await;
    assert!(rig.table().app("blog").unwrap().dyno("a").is_some());
    rig.made(vec![dyno("/apps/blog/dynos/b", 80)]).await;
    let table = until(&rig, |table| dynos(table) == 1).await;
    assert!(table.app("blog").unwrap().dyno("b").is_some());
}

#[tokio::test]
async fn while_the_store_takes_nothing_all_stay_and_then_leave() {
    let rig = Rig::with(settings(100));
    // So many that what ended does not fit into the pages that are there.
    const MANY: usize = 300;
    let many = (0..MANY).map(|i| with_ttl(&format!("/apps/blog/dynos/a{i}"), 1));
    rig.made(std::iter::once(app("blog")).chain(many).collect()).await;
    let limit = |store: &mut Store| {
        store.limit_pages_to_current();
        Ok(())
    };
    rig.hub.ask(limit).await.unwrap();
    let overdue = || rig.status.dynos_overdue.load(Relaxed);
    until(&rig, |table| dynos(table) < MANY || overdue() == MANY).await;
    assert_eq!((rig.table().revision(), dynos(&rig.table())), (Revision(1), MANY));
    assert!(!rig.status.store_writable.load(Relaxed));
    let open = |store: &mut Store| {
        store.limit_pages(1 << 20);
        Ok(())
    };
    rig.hub.ask(open).await.unwrap();
    assert_eq!(until(&rig, |table| dynos(table) == 0).await.revision(), Revision(2));
    assert_eq!(rig.newest().changes, MANY as u64);
}

#[tokio::test]
async fn a_restart_gives_the_grace_and_then_what_nobody_renews_leaves() {
    let rig = Rig::with(settings(100));
    rig.made(vec![app("blog"), with_ttl("/apps/blog/dynos/a", 1)]).await;
    let Rig { dir, thread, .. } = rig;
    thread.join().unwrap();
    let grace = Duration::from_secs(3);
    let began = Instant::now();
    let settings = Settings { expiry_grace: grace, ..settings(100) };
    let rig = Rig::start(dir, settings, |_| {});
    assert_eq!(dynos(&rig.table()), 1);
    until(&rig, |table| dynos(table) == 0).await;
    assert!(began.elapsed() >= grace);
}

#[tokio::test]
async fn a_revert_brings_back_no_dyno_with_a_time_to_live() {
    let rig = Rig::with(settings(100));
    rig.made(vec![app("blog"), with_ttl("/apps/blog/dynos/a", 60), dyno("/apps/blog/dynos/b", 80)])
        .await;
    rig.made(vec![delete("/apps/blog/dynos/a"), delete("/apps/blog/dynos/b")]).await;
    let revert = super::revert::gathered(&rig, 1, 2, None, true);
    rig.hub.revert(revert).await.unwrap();
    let blog = rig.table().app("blog").unwrap().clone();
    assert!(blog.dyno("a").is_none() && blog.dyno("b").is_some());
}
