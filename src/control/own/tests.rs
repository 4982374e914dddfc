//! An app's own settings: each in its place, each mistake with what would be right, and the page
//! of the documentation that lists them.
//!
//! Invariant: every setting is drawn from the declarations, so that none can be forgotten here.

use serde_json::json;

use super::*;
use crate::{
    control::health::Checks,
    route::{AppName, AppSettings, Object},
    units,
};

fn of(values: Value) -> Result<Option<Arc<OwnSettings>>, Vec<Refused>> {
    let Value::Object(values) = values else { panic!("{values}") };
    read(&values)
}

/// Every setting, each with a value of its own.
fn full() -> Map<String, Value> {
    let value = |(i, setting): (usize, &Setting)| {
        let value = match setting.read {
            Read::Switch(_) => json!(i % 2 == 0),
            Read::Count(..) | Read::Count32(..) => json!(i),
            Read::Size(..) => json!(1000 + i),
            Read::Duration(..) => json!(format!("{}ms", 1001 + i)),
            Read::Word(words, _) => json!(words[i % words.len()]),
            Read::Text(kind, _) => json!(kind.example),
            Read::Networks(_) => json!([format!("10.0.0.{i}/32"), "fd00::/8"]),
        };
        (setting.name.to_owned(), value)
    };
    SETTINGS.iter().enumerate().map(value).collect()
}

#[test]
fn every_setting_has_a_place_of_its_own_and_reads_back() {
    let own = read(&full()).unwrap().unwrap();
    assert_eq!(show(Some(&own)), full());
    for (name, value) in &full() {
        let mut alone = json!({ name: value });
        if name == "balance.key" {
            alone["balance.key_name"] = "x-key".into();
        }
        if name.ends_with("_per_header") {
            alone["limits.client_header"] = "x-key".into();
        }
        let one = of(alone.clone()).unwrap().unwrap();
        assert_eq!(Value::Object(show(Some(&one))), alone);
        // The place is named as the setting is; some would say too little.
        let place = match name.as_str() {
            "dynos.keep_alive" => "keep_alive_to_dynos",
            "https.redirect" => "https_redirect",
            name => name.split_once('.').unwrap().1,
        };
        assert!(format!("{one:?}").contains(&format!(" {place}: Some(")), "{name}: {one:?}");
    }
    let places = format!("{:?}", OwnSettings::default()).matches("None").count();
    assert_eq!(places, SETTINGS.len(), "every place is declared");
}

#[test]
fn nothing_of_its_own_is_none() {
    assert_eq!(of(json!({})), Ok(None));
    assert_eq!(show(None), Map::new());
}

#[test]
fn values_are_written_as_in_the_settings_file_and_told_in_one_form() {
    for (name, written, told) in [
        ("timeouts.idle", json!("2m"), json!("120s")),
        ("timeouts.idle", json!("1250ms"), json!("1250ms")),
        ("limits.set_cookie", json!("8KiB"), json!(8192)),
        ("limits.set_cookie", json!("8192"), json!(8192)),
        ("dynos.max_requests", json!("0"), json!(0)),
        ("dynos.keep_alive", json!("false"), json!(false)),
        ("limits.client_header", json!("X-Api-Key"), json!("x-api-key")),
        ("limits.client_header", json!(""), json!("")),
        (
            "limits.allow",
            json!("fd00::/8, 10.0.0.0/8,::1"),
            json!(["10.0.0.0/8", "::1/128", "fd00::/8"]),
        ),
        ("limits.allow", json!(["::1", "10.0.0.1"]), json!(["10.0.0.1/32", "::1/128"])),
        ("limits.deny", json!([]), json!([])),
    ] {
        let own = of(json!({ name: written })).unwrap().unwrap();
        assert_eq!(show(Some(&own))[name], told);
    }
}

#[test]
fn what_is_wrong_is_told_with_what_would_be_right() {
    for (name, value, reason) in [
        ("timeouts.idle", json!(55), "\"55\" is not a duration; write a whole number and ms"),
        ("timeouts.idle", json!("25h"), "25h is out of range; "),
        ("timeouts.idle", json!(null), "null is no value; leave it out, or write"),
        ("timeouts.idle", json!(["1s"]), "a list is no value; "),
        ("timeouts.idle", json!("5".repeat(101)), "its text is too long; write a text, as in \"5s"),
        ("health.path", json!("/".repeat(101)), "too long; write at most 100 characters"),
        ("balance.releases", json!({"v1": 90}), "write a text, as in \"v1=90,v2=10\""),
        ("affinity.same_site", json!(null), "leave it out, or write one of lax, "),
        ("affinity.key", json!("x"), "it is the same for all apps; set it for the whole router"),
        ("health.status", json!("200-100"), "above the last: 200-100; write 100-200"),
        ("health.host", json!("a..b"), "not a host: letters, digits"),
        ("health.host", json!("a:65536"), "no number from 1 to 65535"),
        ("wake.url", json!("http://a..b/"), "not a host: letters, digits"),
        ("health.path", json!("/#top"), "'#' stands there; write it as %23"),
        ("health.timeout", json!("61s"), "ms, s, m or h, from 1ms to 1m"),
        ("limits.set_cookie", json!(63), "63 is out of range; "),
        ("limits.set_cookie", json!(1e30), "\"1e+30\" is not a size; "),
        ("limits.header_count", json!(1001), "write a whole number from 1 to 1000"),
        ("dynos.max_attempts", json!(-1), "\"-1\" is not a whole number; "),
        ("dynos.max_attempts", json!(4_294_967_297_u64), "out of range; "),
        ("dynos.retry_budget", json!(101), "from 0 to 100"),
        ("dynos.keep_alive", json!("off"), "write true or false"),
        ("limits.client_header", json!("a b"), "\"a b\" is not the name of a header; "),
        ("limits.deny", json!("10.0.0.1/8"), "write 10.0.0.0/8"),
        ("limits.deny", json!(["10.0.0.0/8", 1]), "it holds what is no text; write ["),
        ("limits.deny", json!(["10.0.0.0/8", "10.0.0.0/8"]), "10.0.0.0/8 stands there twice"),
        ("limits.deny", json!(vec!["::1"; 257]), "more than 256 entries"),
        ("limits.rate", json!(["::1"]), "a list is no value; "),
        ("limits.rate_window", json!("99ms"), "99ms is out of range"),
        ("dynos.protocol", json!("h2"), "\"h2\" is not known; write one of http1, http2"),
        ("dynos.proxy_protocol", json!("v1"), "write one of off, v2"),
        ("dynos.tls_name", json!("a..b"), "write a DNS name"),
        ("dynos.tls_name", json!(0), "0 is no text; write one"),
        ("dynos.tls_name", json!("a.{app}"), "its first label may be {app}"),
        ("timeouts.fist_byte", json!("1s"), "did you mean timeouts.first_byte?"),
        ("first_byte", json!("1s"), "did you mean timeouts.first_byte?"),
        ("colour", json!(1), "an app has no such setting; an app may have: http.end_to_end_"),
        ("limits.request_head", json!(100), "set it for the whole router"),
    ] {
        let refused = of(json!({ name: value })).unwrap_err();
        let [(told, why)] = &refused[..] else { panic!("{refused:?}") };
        assert!(told == name && why.contains(reason), "{name}: {why}");
    }
}

#[test]
fn what_a_store_has_is_read_though_bounds_are_narrower_now() {
    let kept = json!({
        "health.host": "a..b", "health.timeout": "3600s", "health.path": "/#top",
        "wake.url": "http://[::::]/",
    });
    assert_eq!(of(kept.clone()).unwrap_err().len(), 4);
    let Value::Object(values) = &kept else { panic!("{kept}") };
    let own = read_kept(values).unwrap().unwrap();
    assert_eq!(&show(Some(&own)), values);
    let checks = Checks::default().with(&own);
    assert_eq!(checks.timeout, *CHECK_TIME.end());
    let soon = Map::from_iter([("health.timeout".to_owned(), json!("soon"))]);
    assert!(read_kept(&soon).unwrap_err()[0].1.contains("\"soon\" is not a duration"));
}

#[test]
fn settings_in_an_object_of_their_group_are_told_in_one_word() {
    for (value, reason) in [
        (json!({ "idle": "5s" }), "write it as \"timeouts.idle\""),
        (
            json!({ "idle": "5s", "connect": 1, "x": 1 }),
            "write it as \"timeouts.connect\", \"timeouts.idle\"",
        ),
    ] {
        let refused = of(json!({ "timeouts": value })).unwrap_err();
        assert_eq!(refused, [("timeouts".to_owned(), reason.to_owned())]);
    }
    for value in [json!({}), json!({ "fist_byte": "1s" }), json!("5s")] {
        let refused = of(json!({ "timeouts": value })).unwrap_err();
        assert!(refused[0].1.starts_with("an app has no such setting; "), "{refused:?}");
    }
}

#[test]
fn two_settings_of_the_app_are_judged_together_and_one_alone_is_not() {
    let both = json!({ "timeouts.connect": "3s", "timeouts.connect_total": "2s" });
    assert_eq!(of(both).unwrap_err()[0].0, "timeouts.connect");
    assert!(of(json!({ "timeouts.connect": "2s", "timeouts.connect_total": "2s" })).is_ok());
    assert!(of(json!({ "timeouts.connect": "24h" })).is_ok());
    let late = json!({ "dynos.hedge_after": "3s", "timeouts.first_byte": "2s" });
    assert_eq!(of(late).unwrap_err()[0].0, "dynos.hedge_after");
    let refused = of(json!({
        "limits.response_head": 64,
        "limits.status_line": 65, "limits.set_cookie": 65, "limits.response_header": 65,
    }));
    assert_eq!(refused.unwrap_err().len(), 3);
    for setting in ["limits.rate_per_header", "limits.concurrency_per_header"] {
        for nameless in [json!({ setting: 5 }), json!({ setting: 5, "limits.client_header": "" })] {
            assert_eq!(of(nameless).unwrap_err()[0].0, setting);
        }
        assert!(of(json!({ setting: 0 })).is_ok());
        assert!(of(json!({ setting: 5, "limits.client_header": "x-key" })).is_ok());
    }
}

#[test]
fn thousands_of_mistakes_are_told_in_part() {
    let many = (0..5000).map(|i| (format!("x{i}"), json!(1))).collect();
    assert_eq!(read(&many).unwrap_err().len(), MAX_TOLD);
}

#[test]
fn the_documentation_lists_every_setting_with_its_bounds() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/push-api.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, section) = page.split_once("\n## An app\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let listed: Vec<&str> = section
        .lines()
        .filter(|line| line.strip_prefix("| `").is_some_and(names_a_setting))
        .collect();
    let bounds = |setting: &Setting| match &setting.read {
        Read::Switch(_) => "`true`, `false`".to_owned(),
        Read::Count(range, _) => format!("{} to {}", range.start(), range.end()),
        Read::Count32(range, _) => format!("{} to {}", range.start(), range.end()),
        Read::Size(range, _) => format!("{} to {} bytes", range.start(), range.end()),
        Read::Duration(range, _) => {
            let shown = [range.start(), range.end()].map(|end| units::show_duration(*end));
            shown.join(" to ")
        }
        Read::Word(words, _) => format!("`{}`", words.join("`, `")),
        Read::Text(kind, _) => format!("{}, as `{}`", kind.what, kind.example),
        Read::Networks(_) => "networks, as in `[\"10.0.0.0/8\"]`".to_owned(),
    };
    let row = |s: &Setting| format!("| `{}` | {} | {} |", s.name, bounds(s), s.doc.trim());
    let rows: Vec<String> = SETTINGS.iter().map(row).collect();
    assert_eq!(listed, rows, "docs/push-api.md should list:\n{}", rows.join("\n"));
}

/// A setting's name has a group; the fields of an app have none.
fn names_a_setting(row: &str) -> bool {
    row.split('`').next().unwrap().contains('.')
}

#[test]
fn the_names_of_the_table_are_those_of_the_settings() {
    let mut names: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
    names.sort_unstable();
    let own = read(&full()).unwrap().unwrap();
    let named: Vec<_> = own.named().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, named);
}

/// Each setting with the smallest value that it may have, and a time that is no whole second.
#[test]
fn the_canonical_form_says_what_is_told() {
    let name = AppName::parse("blog").unwrap();
    for millis in [1500, 60_000] {
        let mut own = OwnSettings::default();
        for setting in SETTINGS {
            match &setting.read {
                Read::Switch(place) => (place.set)(&mut own, true),
                Read::Count(range, place) | Read::Size(range, place) => {
                    (place.set)(&mut own, *range.start());
                }
                Read::Count32(range, place) => (place.set)(&mut own, *range.start()),
                Read::Duration(_, place) => (place.set)(&mut own, Duration::from_millis(millis)),
                Read::Word(words, place) => (place.set)(&mut own, words[0]),
                Read::Text(kind, place) => (place.set)(&mut own, kind.example.into()),
                Read::Networks(place) => {
                    let networks = units::networks("10.0.0.0/8, ::1").unwrap();
                    (place.set)(&mut own, networks.into());
                }
            }
        }
        let settings = AppSettings { own: Some(own.clone().into()), ..Default::default() };
        let line = Object::App(&name, &settings).line();
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["settings"].as_object(), Some(&show(Some(&own))));
    }
}
