//! The guards as those who push meet them: what is refused, what lets it in, what is remembered.
//!
//! Invariant: what is refused changed nothing, which the live table shows.

use std::time::Duration;

use super::*;
use crate::control::scope::{Grant, Scopes};

fn settings() -> Settings {
    let shrink = ShrinkRule { share: 50, window: Duration::from_secs(3600), floor: 2 };
    Settings { shrink, ..Settings::default() }
}

fn route(app: &str, host: &str) -> Op {
    put(&format!("/apps/{app}/routes/{host}"), json!({}))
}

fn unroute(host: &str) -> Op {
    delete(&format!("/apps/blog/routes/{host}"))
}

/// Blog has ten routes, and four dynos.
async fn filled(settings: Settings) -> Rig {
    let rig = Rig::with(settings);
    let routes = (0..10).map(|i| route("blog", &format!("h{i}.test")));
    let dynos = (0..4).map(|i| dyno(&format!("/apps/blog/dynos/web.{i}"), 80));
    rig.made([app("blog"), app("shop")].into_iter().chain(routes).chain(dynos).collect()).await;
    rig
}

fn with(consent: Consent, ops: Vec<Op>) -> Request {
    let mut request = Request::from(push(ops));
    request.terms.consent = consent;
    request
}

fn forced(ops: Vec<Op>) -> Request {
    with(Consent { force: true, ..Consent::default() }, ops)
}

fn confirmed(names: &[&str], ops: Vec<Op>) -> Request {
    let confirm = names.iter().map(|name| (*name).into()).collect();
    with(Consent { confirm, ..Consent::default() }, ops)
}

/// What a request is refused with: the status, and each field with its reason.
async fn refused(rig: &Rig, request: Request) -> (u16, Vec<(String, String)>) {
    let before = rig.table();
    let error = rig.hub.submit(request).await.unwrap_err();
    assert_eq!(rig.table().revision(), before.revision());
    let told = error.errors().iter().map(|e| (e.field.clone(), e.reason.clone()));
    (error.status(), told.collect())
}

fn unroutes(range: std::ops::Range<usize>) -> Vec<Op> {
    range.map(|i| unroute(&format!("h{i}.test"))).collect()
}

#[tokio::test]
async fn losing_too_much_is_refused_unless_forced_and_the_mark_is_kept() {
    let rig = filled(settings()).await;
    let (status, told) = refused(&rig, push(unroutes(0..6)).into()).await;
    assert_eq!((status, told[0].0.as_str()), (409, "force"));
    assert!(told[0].1.starts_with("6 of 10 routes would be lost within 1h"), "{told:?}");
    let (status, told) = refused(&rig, push(vec![delete("/apps/blog")]).into()).await;
    let fields: Vec<_> = told.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!((status, fields), (409, vec!["force", "force"]), "routes and dynos, each told");
    // Who may write one app alone may not force it, needed or not.
    for ops in [unroutes(0..6), unroutes(0..1)] {
        let mut request = forced(ops);
        request.terms.grant = Arc::new(Grant::new("push:blog".parse::<Scopes>().unwrap()));
        let (status, told) = refused(&rig, request).await;
        assert_eq!((status, told[0].0.as_str()), (403, "force"));
    }
    // What needs no force bears no mark.
    rig.hub.submit(forced(unroutes(0..1))).await.unwrap();
    assert!(!rig.newest().forced);
    rig.hub.submit(forced(unroutes(1..7))).await.unwrap();
    assert!(rig.newest().forced);
    // The window begins anew: three are there, and two are always allowed.
    rig.made(unroutes(7..9)).await;
    assert_eq!(refused(&rig, push(unroutes(9..10)).into()).await.0, 409);
}

#[tokio::test]
async fn a_route_that_changes_its_app_or_comes_back_is_not_lost() {
    let rig = filled(settings()).await;
    let moved = |i: usize| {
        let host = format!("h{i}.test");
        [unroute(&host), route("shop", &host)]
    };
    rig.made((0..10).flat_map(moved).collect()).await;
    let away = |i: usize| vec![delete(&format!("/apps/shop/routes/h{i}.test"))];
    for i in 0..5 {
        rig.made(away(i)).await;
    }
    assert_eq!(refused(&rig, push(away(5)).into()).await.0, 409);
    rig.made(vec![route("blog", "h0.test")]).await;
    rig.made(away(5)).await;
}

#[tokio::test]
async fn what_was_lost_is_remembered_over_a_restart_up_to_a_forced_revision() {
    let rig = filled(settings()).await;
    rig.made(unroutes(0..3)).await;
    rig.made(vec![delete("/apps/blog/dynos/web.0"), delete("/apps/blog/dynos/web.1")]).await;
    let restarted = |rig: Rig| {
        let Rig { dir, thread, .. } = rig;
        thread.join().unwrap();
        Rig::start(dir, settings(), |_| {})
    };
    let rig = restarted(rig);
    assert_eq!(refused(&rig, push(unroutes(3..6)).into()).await.0, 409);
    let (status, told) = refused(&rig, push(vec![delete("/apps/blog/dynos/web.2")]).into()).await;
    assert_eq!(status, 409);
    assert!(told[0].1.starts_with("3 of 4 dynos would be lost"), "{told:?}");
    rig.hub.submit(forced(unroutes(3..6))).await.unwrap();
    let rig = restarted(rig);
    rig.made(unroutes(6..8)).await;
    rig.made(vec![delete("/apps/blog/dynos/web.2")]).await;
}

#[tokio::test]
async fn what_the_store_did_not_take_is_not_counted() {
    let rig = filled(settings()).await;
    let limit = |store: &mut Store| {
        store.limit_pages_to_current();
        Ok(())
    };
    rig.hub.ask(limit).await.unwrap();
    let reason = "x".repeat(1000);
    let mut ops = unroutes(0..5);
    // Bodies that do not fit into the pages that are there.
    let page = json!({ "pages": { "error": { "text": "x".repeat(64 << 10) } } });
    ops.extend((0..4).map(|i| put(&format!("/apps/large-{i}"), page.clone())));
    let refused = rig.hub.push(Push { reason: Some(reason), ..push(ops) }).await.unwrap_err();
    assert_eq!(refused.status(), 503);
    let open = |store: &mut Store| {
        store.limit_pages(1 << 20);
        Ok(())
    };
    rig.hub.ask(open).await.unwrap();
    rig.made(unroutes(5..10)).await;
}

/// Every way to harm what is protected: ops, and what has to be confirmed.
fn harms() -> Vec<(Vec<Op>, &'static [&'static str])> {
    let plain = |path: &str| put(path, json!({}));
    vec![
        (vec![delete("/apps/blog")], &["blog", "www.test/x"]),
        (vec![app("blog")], &["blog"]),
        (vec![op("PATCH", "/apps/blog", json!({ "protected": null }))], &["blog"]),
        (vec![delete("/apps/blog/dynos/web.1")], &["blog"]),
        (vec![unroute("www.test?path=/x"), unroute("a.test")], &["blog", "www.test/x"]),
        (vec![plain("/apps/blog/routes/www.test?path=/x")], &["www.test/x"]),
        (
            vec![unroute("www.test?path=/x"), plain("/apps/shop/routes/www.test?path=/x")],
            &["www.test/x"],
        ),
        (vec![delete("/apps/shop/routes/shop.test")], &["shop.test"]),
        // It is made anew, and yet has lost all that it had.
        (
            vec![delete("/apps/blog"), put("/apps/blog", json!({ "protected": true }))],
            &["blog", "www.test/x"],
        ),
    ]
}

async fn protected() -> Rig {
    let rig = Rig::with(settings());
    let on = || json!({ "protected": true });
    rig.made(vec![
        put("/apps/blog", on()),
        app("shop"),
        put("/apps/blog/routes/www.test?path=/x", on()),
        route("blog", "a.test"),
        put("/apps/shop/routes/shop.test", on()),
        dyno("/apps/blog/dynos/web.1", 80),
        dyno("/apps/shop/dynos/web.1", 80),
    ])
    .await;
    rig
}

#[tokio::test]
async fn what_is_protected_is_harmed_only_by_name() {
    for (ops, names) in harms() {
        let rig = protected().await;
        let (status, told) = refused(&rig, push(ops.clone()).into()).await;
        let asked: Vec<_> = told.iter().map(|(_, why)| why.rsplit('=').next().unwrap()).collect();
        assert_eq!((status, asked.as_slice()), (409, names), "{ops:?}: {told:?}");
        assert!(told.iter().all(|(field, _)| field == "confirm"));
        // Each name is needed; force is no confirmation.
        for missing in names {
            let rest: Vec<_> = names.iter().filter(|name| *name != missing).copied().collect();
            let mut request = confirmed(&rest, ops.clone());
            request.terms.consent.force = true;
            assert_eq!(refused(&rig, request).await.0, 409, "{ops:?} without {missing}");
        }
        assert!(rig.hub.submit(confirmed(names, ops)).await.unwrap().receipt.changed);
    }
}

#[tokio::test]
async fn what_harms_nothing_needs_no_confirmation() {
    let rig = protected().await;
    let on = json!({ "protected": true });
    for ops in [
        vec![put("/apps/blog", json!({ "protected": true, "maintenance": true }))],
        vec![put("/apps/blog/routes/www.test?path=/x", on.clone()), app("shop")],
        vec![route("blog", "b.test"), unroute("a.test")],
        vec![dyno("/apps/blog/dynos/web.2", 80), delete("/apps/blog/dynos/web.1")],
        vec![delete("/apps/shop/dynos/web.1")],
        // Another route of it may go to another app.
        vec![unroute("b.test"), route("shop", "b.test")],
        vec![put("/apps/new", on.clone()), delete("/apps/new")],
    ] {
        rig.push(ops.clone()).await.unwrap_or_else(|error| panic!("{error}: {ops:?}"));
    }
}

#[tokio::test]
async fn a_revert_is_guarded_like_any_write() {
    let rig = protected().await;
    let revert = || Asked::Revert(super::revert::gathered(&rig, 0, 1, None, true));
    let (status, told) = refused(&rig, revert().into()).await;
    let fields: Vec<_> = told.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!((status, fields), (409, vec!["force", "confirm", "confirm", "confirm"]));
    let mut request = Request::from(revert());
    let confirm = ["blog", "www.test/x", "shop.test"].map(Into::into).into();
    request.terms.consent = Consent { force: true, confirm };
    rig.hub.submit(request).await.unwrap();
    assert!(rig.newest().forced);
    assert_eq!(rig.table().counts().apps, 0);
}

#[tokio::test]
async fn another_apps_route_is_a_conflict_that_names_it_by_every_way() {
    let rig = filled(settings()).await;
    let single = vec![route("shop", "h0.test")];
    let (status, told) = refused(&rig, push(single.clone()).into()).await;
    assert_eq!((status, told[0].0.as_str()), (409, "host"));
    assert!(told[0].1.contains("belongs to app blog"), "{told:?}");
    let several = vec![app("third"), single[0].clone()];
    let error = rig.push(several).await.unwrap_err();
    assert_eq!((error.status(), error.errors()[0].op), (409, Some(1)));
    assert!(error.to_string().contains("belongs to app blog"), "{error}");
    // It was shop's once.
    rig.made(vec![unroute("h0.test"), route("shop", "h0.test")]).await;
    rig.made(vec![delete("/apps/shop/routes/h0.test"), route("blog", "h0.test")]).await;
    let revert = super::revert::gathered(&rig, 2, 3, Some("shop"), false);
    let error = rig.hub.revert(revert).await.unwrap_err();
    assert_eq!((error.status(), error.errors()[0].field.as_str()), (409, "host"));
    assert!(error.to_string().contains("belongs to app blog"), "{error}");
}
