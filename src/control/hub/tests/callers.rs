//! What a push may do by its caller's token, under its conditions and with its key; and how much
//! there may be of everything.
//!
//! Invariant: what is refused changed nothing, which [`Rig`] sees by the live table.

use super::*;
use crate::control::scope::{Grant, Scopes};

/// A request of a token with these scopes.
fn by(scopes: &str, ops: Vec<Op>) -> Request {
    let scopes: Scopes = scopes.parse().unwrap();
    let mut request = Request::from(push(ops));
    request.terms.grant = Arc::new(Grant::new(scopes));
    request
}

async fn status(rig: &Rig, request: Request) -> u16 {
    let before = rig.table().revision();
    let done = rig.hub.submit(request).await;
    let status = done.as_ref().map_or_else(PushError::status, |_| 200);
    assert!(status == 200 || rig.table().revision() == before);
    status
}

/// Shop owns two hosts and a wildcard, in part or whole; blog has nothing.
async fn shared() -> Rig {
    let rig = Rig::new();
    let mut ops = vec![app("blog"), app("shop")];
    for route in ["www.shop.test", "api.test?path=/v1", "*.shop.test", "*.deep.shared.test"] {
        ops.push(put(&format!("/apps/shop/routes/{route}"), json!({})));
    }
    rig.made(ops).await;
    rig
}

fn route(app: &str, route: &str) -> Vec<Op> {
    vec![put(&format!("/apps/{app}/routes/{route}"), json!({}))]
}

#[tokio::test]
async fn an_op_on_another_app_needs_its_scope_and_is_named() {
    let rig = shared().await;
    let ops = || {
        vec![
            dyno("/apps/blog/dynos/web.1", 80),
            dyno("/apps/shop/dynos/web.1", 80),
            put("/apps/shop", json!({ "colour": 1 })),
            dyno("/apps/new/dynos/web.1", 80),
        ]
    };
    let refused = rig.hub.submit(by("push:blog read", ops())).await.unwrap_err();
    assert_eq!(refused.status(), 403);
    let named: Vec<_> = refused.errors().iter().map(|e| (e.op, e.field.as_str())).collect();
    assert_eq!(named, [(Some(1), "scope"), (Some(2), "scope"), (Some(3), "scope")]);
    assert!(refused.errors()[0].reason.contains("push:shop, or push"), "{refused:?}");
    assert!(!refused.errors()[1].reason.contains("colour"), "nothing is told of another's app");
    let own = vec![app("new"), dyno("/apps/new/dynos/web.1", 80)];
    assert_eq!(status(&rig, by("push:new", own)).await, 200);
    assert_eq!(status(&rig, by("read", vec![app("blog")])).await, 403);
    for scopes in ["push:blog push:shop", "push", "admin"] {
        let ops = vec![dyno("/apps/blog/dynos/a", 80), dyno("/apps/shop/dynos/a", 80)];
        assert!(rig.hub.submit(by(scopes, ops)).await.is_ok(), "{scopes}");
    }
}

#[tokio::test]
async fn what_lies_under_another_apps_host_or_wildcard_needs_push() {
    let rig = shared().await;
    for (taken, why) in [
        ("www.shop.test?path=/blog", "www.shop.test belongs in part to app shop"),
        ("api.test", "api.test belongs in part to app shop"),
        ("api.test?path=/v1/blog", "api.test belongs in part to app shop"),
        ("blog.shop.test", "under *.shop.test of app shop"),
        ("a.b.shop.test?path=/x", "under *.shop.test of app shop"),
        ("*.blog.shop.test", "under *.shop.test of app shop"),
        ("*.shop.test?path=/blog", "*.shop.test belongs in part to app shop"),
    ] {
        let refused = rig.hub.submit(by("push:blog", route("blog", taken))).await.unwrap_err();
        assert_eq!(refused.status(), 403, "{taken}: {refused}");
        assert!(refused.to_string().contains(why), "{taken}: {refused}");
        assert!(refused.to_string().contains("needs scope push"), "{taken}: {refused}");
    }
    // The very route is a conflict for everybody.
    for scopes in ["push:blog", "push"] {
        assert_eq!(status(&rig, by(scopes, route("blog", "www.shop.test"))).await, 409);
    }
    // Beside them, and above them, is nobody's.
    for free in ["shop.test", "shared.test", "*.shared.test", "deep.shared.test", "api.test.test"] {
        assert_eq!(status(&rig, by("push:blog", route("blog", free))).await, 200, "{free}");
    }
    // Who may write both takes nothing from another.
    assert_eq!(status(&rig, by("push:blog push:shop", route("blog", "a.shop.test"))).await, 200);
    assert_eq!(status(&rig, by("push", route("blog", "www.shop.test?path=/b"))).await, 200);
    // What push gave, the app keeps and may put again or let go; more of it, it may not take.
    assert_eq!(status(&rig, by("push:blog", route("blog", "a.shop.test"))).await, 200);
    assert_eq!(status(&rig, by("push:blog", route("blog", "a.shop.test?path=/x"))).await, 403);
    let gone = vec![delete("/apps/blog/routes/a.shop.test")];
    assert_eq!(status(&rig, by("push:blog", gone)).await, 200);
    assert_eq!(status(&rig, by("push:blog", route("blog", "a.shop.test"))).await, 403);
}

#[tokio::test]
async fn a_condition_is_judged_where_the_object_stands_and_counts_last() {
    let rig = Rig::new();
    rig.made(vec![app("blog")]).await;
    rig.made(vec![dyno("/apps/blog/dynos/web.1", 80)]).await;
    rig.made(vec![app("shop"), put("/apps/shop/routes/a.test", json!({}))]).await;
    let stands =
        |revisions: &[u64]| Condition { stands: Some(revisions.to_vec()), ..absent(false) };
    fn absent(is_absent: bool) -> Condition {
        Condition { stands: None, is_absent }
    }
    let when = |condition: Condition, op: Op| {
        let mut request = Request::from(push(vec![op]));
        request.terms.condition = condition;
        request
    };
    let web = || dyno("/apps/blog/dynos/web.1", 80);
    assert_eq!(status(&rig, when(stands(&[1, 3]), web())).await, 412);
    assert_eq!(status(&rig, when(stands(&[1, 2]), web())).await, 200);
    assert_eq!(status(&rig, when(stands(&[]), dyno("/apps/blog/dynos/web.2", 80))).await, 412);
    assert_eq!(status(&rig, when(absent(true), web())).await, 412);
    assert_eq!(status(&rig, when(absent(true), dyno("/apps/blog/dynos/web.2", 80))).await, 200);
    let gone = |condition| when(condition, delete("/apps/blog/dynos/web.2"));
    assert_eq!(status(&rig, gone(stands(&[2]))).await, 412);
    assert_eq!(status(&rig, gone(stands(&[4]))).await, 200);
    // What would be refused without the condition is refused for that.
    assert_eq!(status(&rig, gone(stands(&[4]))).await, 404);
    let taken = || put("/apps/blog/routes/a.test", json!({}));
    assert_eq!(status(&rig, when(absent(true), taken())).await, 409);
    assert_eq!(status(&rig, when(stands(&[9]), put("/apps/blog", json!({ "x": 1 })))).await, 422);
}

#[tokio::test]
async fn what_waits_when_its_token_is_revoked_is_not_done() {
    let rig = Rig::new();
    let request = by("push", vec![app("blog")]);
    let grant = request.terms.grant.clone();
    let (release, released) = std::sync::mpsc::sync_channel::<()>(1);
    // The hub is held until both are in its queue, the push before the revocation.
    let held = rig.hub.ask(move |_| {
        released.recv().unwrap();
        Ok(())
    });
    let pushed = rig.hub.submit(request);
    let revoked = rig.hub.ask(move |_| {
        grant.revoke();
        Ok(())
    });
    let (held, pushed, revoked, ()) =
        tokio::join!(held, pushed, revoked, async { release.send(()).unwrap() });
    assert!(held.is_ok() && revoked.is_ok());
    // The revocation is answered first, so the push must not be done behind it.
    assert_eq!((pushed.unwrap_err().status(), rig.table().revision()), (401, Revision(0)));
}

fn keyed(caller: &str, key: &str, request: u8, ops: Vec<Op>) -> Request {
    let key = Key { caller: caller.into(), key: key.into(), request: [request; 32] };
    Request { key: Some(key), ..push(ops).into() }
}

#[tokio::test]
async fn a_write_with_a_key_is_done_once_whatever_becomes_of_the_table() {
    let rig = Rig::new();
    let weight = |weight: u16| {
        let body = json!({ "addr": "10.0.0.1:80", "weight": weight });
        vec![app("blog"), put("/apps/blog/dynos/web.1", body)]
    };
    let submit = async |rig: &Rig, request| {
        let done = rig.hub.submit(request).await.unwrap();
        (done.receipt.revision, done.receipt.changed, done.is_replay)
    };
    assert_eq!(submit(&rig, keyed("ci", "k", 1, weight(1))).await, (1, true, false));
    assert_eq!(submit(&rig, keyed("ci", "k", 1, weight(1))).await, (1, true, true));
    // One that changes nothing is remembered too: later it would change something.
    assert_eq!(submit(&rig, keyed("ci", "same", 1, weight(1))).await, (1, false, false));
    assert_eq!(submit(&rig, keyed("cd", "k", 1, weight(2))).await, (2, true, false));
    let rig = rig.restart();
    assert_eq!(submit(&rig, keyed("ci", "same", 1, weight(1))).await, (1, false, true));
    assert_eq!(submit(&rig, keyed("ci", "k", 1, weight(1))).await, (1, true, true));
    assert_eq!(rig.table().revision(), Revision(2));
    let other = rig.hub.submit(keyed("ci", "k", 2, weight(9))).await.unwrap_err();
    assert_eq!((other.status(), other.errors()[0].field.as_str()), (422, "idempotency-key"));
    // What was refused is judged again.
    let refused = || keyed("ci", "r", 1, vec![dyno("/apps/shop/dynos/web.1", 80)]);
    assert_eq!(status(&rig, refused()).await, 404);
    rig.made(vec![app("shop")]).await;
    assert_eq!(submit(&rig, refused()).await, (4, true, false));
}

#[tokio::test]
async fn a_key_holds_within_one_group_too() {
    let rig = Rig::new();
    let request = |weight: u16| {
        let body = json!({ "addr": "10.0.0.1:80", "weight": weight });
        keyed("ci", "k", weight as u8, vec![app("blog"), put("/apps/blog/dynos/web.1", body)])
    };
    // All are queued before any is awaited to its end.
    let (first, same, other) = tokio::join!(
        rig.hub.submit(request(1)),
        rig.hub.submit(request(1)),
        rig.hub.submit(request(2))
    );
    assert_eq!(first.unwrap().receipt, same.clone().unwrap().receipt);
    assert!(same.unwrap().is_replay);
    assert_eq!(other.unwrap_err().status(), 422);
    assert_eq!(rig.table().revision(), Revision(1));
}

#[tokio::test]
async fn a_bound_names_its_setting_and_holds_up_no_change_of_what_is_there() {
    let settings =
        Settings { max_apps: 2, app_routes: 2, app_dynos: 2, max_ops: 50, ..Settings::default() };
    let rig = Rig::with(settings);
    let paths = |kind: &str| (1..=3).map(|n| format!("/apps/blog/{kind}{n}")).collect::<Vec<_>>();
    let (routes, dynos) = (paths("routes/a.test?path=/"), paths("dynos/web."));
    rig.made(vec![app("blog"), app("shop")]).await;
    rig.made(vec![put(&routes[0], json!({})), put(&routes[1], json!({}))]).await;
    rig.made(vec![dyno(&dynos[0], 80), dyno(&dynos[1], 80)]).await;
    for (op, field, setting) in [
        (app("wiki"), "app", "push.max_apps"),
        (put(&routes[2], json!({})), "host", "push.app_routes"),
        (dyno(&dynos[2], 80), "dyno", "push.app_dynos"),
    ] {
        let refused = rig.push(vec![op]).await.unwrap_err();
        assert_eq!((refused.status(), refused.errors()[0].field.as_str()), (409, field));
        assert!(refused.to_string().contains(setting), "{refused}");
        assert!(refused.to_string().contains(" 2 "), "{refused}");
    }
    // In the place of another, and in the place of itself.
    rig.made(vec![delete(&dynos[0]), dyno(&dynos[2], 80)]).await;
    rig.made(vec![delete(&routes[0]), put(&routes[2], json!({}))]).await;
    rig.made(vec![dyno(&dynos[2], 81), put("/apps/blog", json!({ "maintenance": true }))]).await;
    rig.made(vec![delete("/apps/shop"), app("wiki")]).await;
    let many = rig.push(vec![app("blog"); 51]).await.unwrap_err();
    assert!(many.to_string().contains("push.max_ops"), "{many}");
}
