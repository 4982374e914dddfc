//! Reverts as the hub judges them: at the moment at which it takes them up.
//!
//! Invariant: what differs is gathered from the archive, as the push API does.

use super::*;
use crate::{
    control::{
        hub::{Revert, guard::Shrink, judge::Rules, revert},
        store::Differences,
    },
    route::AppName,
};

/// A revert that was gathered at a revision, which may be behind by now.
pub(super) fn gathered(rig: &Rig, to: u64, seen: u64, app: Option<&str>, dynos: bool) -> Revert {
    let (to, seen) = (Revision(to), Revision(seen));
    let view = rig.hub.archive().open().unwrap();
    let differences = Differences::between(view, seen, to, app).unwrap().collect().unwrap();
    let app = app.map(|app| AppName::parse(app).unwrap());
    Revert { author: "ann".into(), reason: None, to, app, dynos, seen, differences }
}

/// Four revisions of two apps, nothing of them as it was.
async fn changed() -> Rig {
    let rig = Rig::new();
    let route = |app: &str, host: &str| op("PUT", &format!("/apps/{app}/routes/{host}"), json!({}));
    rig.made(vec![app("blog"), app("shop"), route("blog", "a.test")]).await;
    rig.made(vec![op("PATCH", "/apps/blog", json!({ "maintenance": true }))]).await;
    rig.made(vec![delete("/apps/blog/routes/a.test"), route("shop", "a.test")]).await;
    rig.made(vec![app("wiki"), dyno("/apps/wiki/dynos/web.1", 1), route("wiki", "w.test")]).await;
    rig
}

#[tokio::test]
async fn what_changed_since_it_was_gathered_is_reverted_too() {
    for seen in 1..=4 {
        let rig = changed().await;
        let revert = gathered(&rig, 1, seen, None, false);
        let receipt = rig.hub.revert(revert).await.unwrap();
        let was = rig.hub.archive().open().unwrap().point(Revision(1)).unwrap();
        assert_eq!((receipt.revision, receipt.digest), (5, was.digest.to_string()), "{seen}");
        assert_eq!(rig.table().digest(), was.digest);
        assert_eq!(rig.newest().changes, 5, "an app, a route, and an app with all that it had");
    }
}

#[tokio::test]
async fn reverts_and_pushes_that_come_together_are_done_in_order() {
    let rig = changed().await;
    let (back, forth) = (gathered(&rig, 1, 4, None, false), gathered(&rig, 4, 4, None, true));
    let patch = vec![op("PATCH", "/apps/shop", json!({ "maintenance": true }))];
    let (pushed, back, forth) =
        tokio::join!(rig.push(patch), rig.hub.revert(back), rig.hub.revert(forth));
    let revisions = [pushed, back, forth].map(|receipt| receipt.unwrap().revision);
    assert_eq!(revisions, [5, 6, 7]);
    let point = |at| rig.hub.archive().open().unwrap().point(Revision(at)).unwrap();
    assert_eq!(point(6).digest, point(1).digest);
    // As it was, but for the dyno that comes back as starting.
    assert_eq!(point(7).counts, point(4).counts);
    let wiki = rig.table().app("wiki").unwrap().clone();
    assert_eq!(wiki.dyno("web.1").unwrap().state.as_str(), "starting");
}

#[tokio::test]
async fn one_app_is_reverted_as_far_as_the_others_let_it() {
    let rig = changed().await;
    let refused = rig.hub.revert(gathered(&rig, 1, 2, Some("blog"), false)).await.unwrap_err();
    assert_eq!((refused.status(), refused.errors()[0].field.as_str()), (409, "host"));
    assert_eq!(rig.table().revision(), Revision(4));
    rig.made(vec![delete("/apps/shop/routes/a.test")]).await;
    rig.hub.revert(gathered(&rig, 1, 4, Some("blog"), false)).await.unwrap();
    let table = rig.table();
    assert!(!table.app("blog").unwrap().settings.maintenance);
    assert_eq!(table.routes_of("blog").len(), 1);
    assert!(table.app("wiki").is_some(), "another app stays");
    let again = rig.hub.revert(gathered(&rig, 1, 6, Some("blog"), false)).await.unwrap();
    assert_eq!((again.revision, again.changed), (6, false));
}

#[tokio::test]
async fn a_dyno_whose_address_is_no_longer_allowed_does_not_come_back() {
    let rig = changed().await;
    rig.made(vec![delete("/apps/wiki/dynos/web.1")]).await;
    let asked = gathered(&rig, 4, 5, None, true);
    let settings =
        Settings { networks: vec![("10.9.0.0".parse().unwrap(), 16)], ..Settings::default() };
    let shrink = Shrink::new(settings.shrink, rig.table().counts());
    let last_change: &LastChange<'_> = &|_| Ok(None);
    let rules = Rules { settings: &settings, shrink: &shrink, last_change, now_s: 0 };
    let (all, archive) = (Terms::default(), rig.hub.archive());
    let refused = revert::judge(&all, &asked, &rig.table(), &rules, archive).unwrap_err();
    assert_eq!((refused.status(), refused.errors()[0].field.as_str()), (422, "addr"));
    assert!(refused.to_string().contains("dyno web.1 of app wiki"), "{refused}");
}
