//! An app's own settings and pages, from the push to the table, the store and back.
//!
//! Invariant: what is told of an app is what was pushed, in the one form that each value has.

use super::*;
use crate::{control::hub::body::read_app, route::AppSettings};

/// Everything that an app may have, in the form in which it is told.
fn full() -> Value {
    json!({
        "maintenance": true,
        "blank": true,
        "router": true,
        "protected": false,
        "settings": {
            "timeouts.first_byte": "60s",
            "timeouts.connect": "250ms",
            "dynos.keep_alive": false,
            "dynos.retry_budget": 0,
            "limits.set_cookie": 16384,
            "limits.header_count": 1000,
        },
        "pages": {
            "error": { "html": "<h1>é</h1>", "json": "{}" },
            "maintenance": { "text": "back\r\nsoon" },
        },
    })
}

fn settings(rig: &Rig) -> AppSettings {
    rig.table().app("blog").unwrap().settings.clone()
}

fn told(rig: &Rig) -> Value {
    serde_json::to_value(app_body(&settings(rig))).unwrap()
}

#[tokio::test]
async fn what_was_pushed_is_told_and_there_after_a_restart() {
    let rig = Rig::new();
    rig.made(vec![put("/apps/blog", full())]).await;
    let own = settings(&rig).own.unwrap();
    assert_eq!(own.first_byte, Some(std::time::Duration::from_secs(60)));
    assert_eq!((own.keep_alive_to_dynos, own.retry_budget), (Some(false), Some(0)));
    assert_eq!((own.idle, own.set_cookie), (None, Some(16 << 10)));
    assert_eq!(told(&rig), full());
    let before = settings(&rig);
    let rig = rig.restart();
    assert_eq!(settings(&rig), before);
    assert_eq!(rig.push(vec![put("/apps/blog", full())]).await.unwrap().revision, 1);
}

#[tokio::test]
async fn the_same_in_other_words_changes_nothing() {
    let rig = Rig::new();
    rig.made(vec![app("blog")]).await;
    for nothing in [
        json!({ "settings": {}, "pages": {} }),
        json!({ "pages": { "error": {}, "maintenance": {} }, "blank": false, "router": false }),
    ] {
        assert!(!rig.push(vec![put("/apps/blog", nothing)]).await.unwrap().changed);
    }
    assert_eq!(settings(&rig), AppSettings::default());
    let hour = |text: &str| put("/apps/blog", json!({ "settings": { "timeouts.idle": text } }));
    rig.made(vec![hour("1h")]).await;
    for same in ["60m", "3600s", "3600000ms"] {
        assert!(!rig.push(vec![hour(same)]).await.unwrap().changed, "{same}");
    }
}

#[tokio::test]
async fn a_patch_alters_one_setting_or_one_form_and_null_gives_it_back() {
    let rig = Rig::new();
    rig.made(vec![put("/apps/blog", full())]).await;
    let patch = |body| op("PATCH", "/apps/blog", body);
    let body = json!({
        "router": null,
        "settings": { "timeouts.first_byte": null, "timeouts.idle": "5s" },
        "pages": { "error": { "html": null, "text": "sorry" } },
    });
    rig.made(vec![patch(body)]).await;
    let mut expected = full();
    expected["router"] = json!(false);
    let values = expected["settings"].as_object_mut().unwrap();
    values.remove("timeouts.first_byte");
    values.insert("timeouts.idle".into(), json!("5s"));
    expected["pages"]["error"] = json!({ "json": "{}", "text": "sorry" });
    assert_eq!(told(&rig), expected);

    rig.made(vec![patch(json!({ "pages": { "error": null } }))]).await;
    assert_eq!(told(&rig)["pages"], json!({ "maintenance": { "text": "back\r\nsoon" } }));
    rig.made(vec![patch(json!({ "settings": null, "pages": null }))]).await;
    assert_eq!((settings(&rig).own, settings(&rig).pages), (None, None));
    rig.made(vec![patch(json!({ "settings": { "timeouts.idle": "5s" } }))]).await;
    assert_eq!(told(&rig)["settings"], json!({ "timeouts.idle": "5s" }));
}

/// It was mistyped: whoever sent it would believe that it was given back.
#[tokio::test]
async fn a_null_for_a_name_that_nothing_has_is_refused() {
    let rig = Rig::new();
    rig.made(vec![put("/apps/blog", full()), put("/apps/blog/routes/a.test", json!({}))]).await;
    let bad = json!({
        "maintenence": null,
        "settings": { "timeouts.first_bite": null, "timeouts": { "idle": null } },
        "pages": { "fault": null, "error": { "pdf": null } },
    });
    let route = op("PATCH", "/apps/blog/routes/a.test", json!({ "protekted": null }));
    let (status, mut named) = rig.refused(vec![op("PATCH", "/apps/blog", bad), route]).await;
    named.sort();
    let expected = places(&[
        (0, "maintenence"),
        (0, "pages.error.pdf"),
        (0, "pages.fault"),
        (0, "settings.timeouts"),
        (0, "settings.timeouts.first_bite"),
        (1, "protekted"),
    ]);
    assert_eq!((status, named), (422, expected));
}

#[tokio::test]
async fn a_field_that_is_no_field_is_told_with_the_one_that_was_meant() {
    let told = |body: Value| read_app(Some(&body)).unwrap_err()[0].reason.clone();
    assert_eq!(
        told(json!({ "maintenence": true })),
        "an app has no such field; did you mean maintenance?"
    );
    assert_eq!(
        told(json!({ "colour": 1 })),
        "an app has no such field; it has: maintenance, blank, router, protected, settings, pages"
    );
}

#[tokio::test]
async fn every_mistake_is_named_by_its_field() {
    let rig = Rig::new();
    let bad = json!({
        "blank": "no",
        "router": 1,
        "settings": {
            "timeouts.first_byte": "soon",
            "timeouts.connect": "3s",
            "timeouts.connect_total": "2s",
            "limits.header_count": 1001,
            "http.via": "x",
        },
        "pages": { "error": { "json": "{", "html": 7 }, "fault": {} },
    });
    let lists = json!({ "settings": [], "pages": "none" });
    let (status, mut told) =
        rig.refused(vec![put("/apps/blog", bad), put("/apps/shop", lists)]).await;
    told.sort();
    let expected = places(&[
        (0, "blank"),
        (0, "pages.error.html"),
        (0, "pages.error.json"),
        (0, "pages.fault"),
        (0, "router"),
        (0, "settings.http.via"),
        (0, "settings.limits.header_count"),
        (0, "settings.timeouts.connect"),
        (0, "settings.timeouts.first_byte"),
        (1, "pages"),
        (1, "settings"),
    ]);
    assert_eq!((status, told), (422, expected));
}

#[tokio::test]
async fn a_patch_is_judged_with_what_stands() {
    let rig = Rig::new();
    let total = json!({ "settings": { "timeouts.connect_total": "2s" } });
    rig.made(vec![put("/apps/blog", total)]).await;
    let connect =
        |text| op("PATCH", "/apps/blog", json!({ "settings": { "timeouts.connect": text } }));
    let refused = rig.refused(vec![connect("3s")]).await;
    assert_eq!(refused, (422, places(&[(0, "settings.timeouts.connect")])));
    rig.made(vec![connect("2s")]).await;
}
