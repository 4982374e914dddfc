//! What `hostler stats` tells people.
//!
//! Invariant: the figures are made up; what is shown of them is the whole text.

use super::*;

#[tokio::test]
async fn an_app_is_told_by_its_figures() {
    let part = |ms: f64| {
        let (p99_ms, p999_ms) = (2.0 * ms, 3.0 * ms);
        json!({"mean_ms": ms, "p50_ms": ms, "p90_ms": ms, "p99_ms": p99_ms, "p999_ms": p999_ms})
    };
    let times = json!({"window_s": 31.5, "exchanges": 7, "total": part(12.0), "queue": null,
        "connect": part(0.02), "dyno": part(11.0), "client": part(1500.0)});
    let figures = json!({"exchanges": 9, "statuses": {"2xx": 7, "5xx": 2}, "faults": {"H12": 1},
        "retries": 3, "hedges": 4, "hedges_won": 1, "recent": times, "since_start": times});
    let past = json!([{"at_ms": 0, "what": "quarantined", "until_ms": 5000, "why": "H21"}]);
    let dyno = |name: &str, quarantine_ms, figures| {
        json!({"name": name, "addr": "127.0.0.1:1", "release": "", "state": "up", "in_flight": 1,
            "failed_connects": 0, "quarantine_ms": quarantine_ms, "figures": figures, "past": past})
    };
    let told = json!({"app": "blog", "revision": 3, "in_flight": 2, "connections": 4, "begun": 11,
        "figures": figures,
        "dynos": [dyno("web.1", 0, figures), dyno("web.2", 9, serde_json::Value::Null)]});
    let (printed, asked) = played("hostler stats blog", &[(200, &told.to_string())]).await;
    assert_eq!(asked[0].0, "GET /v1/apps/blog/stats");
    let expected = "App blog: 2 in flight, 0 waiting, 4 connections\n\
        Since the start 9 exchanges ended (2xx 7, 5xx 2), 3 attempts were made again\n\
        4 went to a second dyno too, which served 1 of them\n\
        Faults: H12 1\n\n\
        Of 7 exchanges in 32 s:\n\
        PART     P50     P90     P99     P99.9   MEAN\n\
        total    12.0ms  12.0ms  24.0ms  36.0ms  12.0ms\n\
        queue    -       -       -       -       -\n\
        connect  20us    20us    40us    60us    20us\n\
        dyno     11.0ms  11.0ms  22.0ms  33.0ms  11.0ms\n\
        client   1.5s    1.5s    3.0s    4.5s    1.5s\n\n\
        DYNO   STATE        IN FLIGHT  ENDED  5XX  FAULTS  RETRIES  P50     P99\n\
        web.1  up           1          9      2    1       3        12.0ms  24.0ms\n\
        web.2  quarantined  1          -      -    -       -        -       -\n\n\
        DYNO   WHEN                  WHAT                WHY\n\
        web.1  1970-01-01T00:00:00Z  quarantined for 5s  H21\n\
        web.2  1970-01-01T00:00:00Z  quarantined for 5s  H21\n";
    assert_eq!(printed.unwrap(), expected);
}
