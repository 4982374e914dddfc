//! The command line: how it is read, what it asks of the push API, what it prints.
//!
//! Invariant: the push API is played by a listener on port 0 that hands out prepared answers, one a
//! connection, and notes what it was asked.

use clap::{FromArgMatches, error::ErrorKind};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

use super::{
    args::{Cli, command},
    failure::Failure,
    run::do_call,
};

mod stats;

/// A request's first line and its body.
type Asked = (String, String);

struct Played {
    url: String,
    asked: JoinHandle<Vec<Asked>>,
}

/// Plays a push API that gives these answers, in order.
async fn play(answers: &[(u16, &str)]) -> Played {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answers: Vec<_> = answers.iter().map(|(code, body)| (*code, body.to_string())).collect();
    let asked = tokio::spawn(async move {
        let mut asked = Vec::new();
        for (code, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            let whole = loop {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "a whole request");
                if let Some(whole) = whole(&request) {
                    break whole;
                }
            };
            asked.push(whole);
            let length = body.len();
            let answer = format!("HTTP/1.1 {code} X\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    });
    Played { url, asked }
}

fn whole(request: &[u8]) -> Option<Asked> {
    let text = std::str::from_utf8(request).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    let line = head.lines().next()?.strip_suffix(" HTTP/1.1")?;
    (body.len() == length).then(|| (line.into(), body.into()))
}

async fn run(line: &str, url: &str) -> Result<String, Failure> {
    let matches = command().try_get_matches_from(line.split(' ')).unwrap();
    let command = Cli::from_arg_matches(&matches).unwrap().command;
    let env = |name: &str| match name {
        "HOSTLER_URL" => Some(url.to_owned()),
        "HOSTLER_TOKEN" => Some("0123456789abcdef".to_owned()),
        _ => None,
    };
    do_call(&command, env).await
}

/// Runs a command against these answers; what it printed, and what it asked.
async fn played(line: &str, answers: &[(u16, &str)]) -> (Result<String, Failure>, Vec<Asked>) {
    let api = play(answers).await;
    let printed = run(line, &api.url).await;
    (printed, api.asked.await.unwrap())
}

const RECEIPT: &str = r#"{"revision":6,"changed":true}"#;
const UNCHANGED: &str = r#"{"revision":6,"changed":false}"#;
const BLOG: &str = r#"{"name":"blog","maintenance":true,"routes":2,"dynos":1}"#;
const FULL: &str = r#"{"name":"blog","routes":2,"dynos":1,"maintenance":false,"router":true,
    "settings":{"timeouts.first_byte":"60s","dynos.keep_alive":false,
        "limits.set_cookie":16384,"limits.header_name":2000,"limits.header_count":512},
    "pages":{"error":{"html":"<p>Sorry</p>","json":"{}"}}}"#;
const NO_APP: &str = r#"{"type":"about:blank","title":"Not Found","status":404,
    "detail":"there is no app blog","errors":[{"field":"app","reason":"there is no app blog"}]}"#;

fn refused_by_clap(line: &str) -> ErrorKind {
    command().try_get_matches_from(line.split(' ')).unwrap_err().kind()
}

#[test]
fn the_command_line_is_sound() {
    command().debug_assert();
}

#[test]
fn every_command_shows_an_example() {
    fn check(command: &mut clap::Command, path: &str) {
        let help = command.render_long_help().to_string();
        assert!(help.contains("Example"), "{path} shows no example");
        assert!(help.contains("\n  hostler") || help.contains("hostler check"), "{path}");
        for sub in command.get_subcommands_mut() {
            let path = format!("{path} {}", sub.get_name());
            check(sub, &path);
        }
    }
    check(&mut command(), "hostler");
}

#[test]
fn every_command_that_calls_the_push_api_knows_json() {
    const OF_ITSELF: [&str; 7] =
        ["serve", "check", "store", "demo", "demo-app", "completion", "man"];
    fn check(command: &clap::Command, path: &str) {
        let knows = command.get_arguments().any(|flag| flag.get_long() == Some("json"));
        assert!(knows, "{path} has no --json");
        for sub in command.get_subcommands() {
            check(sub, &format!("{path} {}", sub.get_name()));
        }
    }
    let mut whole = command();
    whole.build();
    for command in whole.get_subcommands().filter(|one| !OF_ITSELF.contains(&one.get_name())) {
        check(command, command.get_name());
    }
}

#[test]
fn every_example_of_the_help_is_read() {
    fn check(command: &clap::Command) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in help.lines().filter_map(|line| line.trim().strip_prefix("hostler ")) {
            // What a shell takes for itself is no argument.
            let line = line.split(" > ").next().unwrap().split(" | ").next().unwrap();
            let line = line.split("  ").next().unwrap().replace("\"new database\"", "new");
            let words = std::iter::once("hostler").chain(line.split(' '));
            let read = super::command().try_get_matches_from(words);
            assert!(read.is_ok(), "{line}: {}", read.unwrap_err());
        }
        command.get_subcommands().for_each(check);
    }
    check(&command());
}

#[test]
fn settings_are_flags_of_serve_and_check_alone() {
    for line in ["hostler serve --http-listen [::]:80", "hostler check --http-listen [::]:80"] {
        assert!(command().try_get_matches_from(line.split(' ')).is_ok(), "{line}");
    }
    let kind = refused_by_clap("hostler apps --http-listen [::]:80");
    assert_eq!(kind, ErrorKind::UnknownArgument);
}

#[test]
fn wrong_usage_is_refused_before_anything_is_called() {
    for (line, kind) in [
        ("hostler", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ("hostler domains", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ("hostler domains add blog", ErrorKind::MissingRequiredArgument),
        ("hostler dynos set blog web.1", ErrorKind::MissingRequiredArgument),
        ("hostler dynos set blog web.1 --weight 0", ErrorKind::ValueValidation),
        ("hostler dynos add blog web.1 a:1 --state gone", ErrorKind::InvalidValue),
        ("hostler maintenance on", ErrorKind::MissingRequiredArgument),
        ("hostler apps set blog", ErrorKind::MissingRequiredArgument),
        ("hostler apps set blog timeouts.idle", ErrorKind::ValueValidation),
        ("hostler apps set blog timeouts.idle=", ErrorKind::ValueValidation),
        ("hostler apps set blog =5s", ErrorKind::ValueValidation),
        ("hostler apps unset blog", ErrorKind::MissingRequiredArgument),
        ("hostler pages", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ("hostler pages set blog error", ErrorKind::MissingRequiredArgument),
        ("hostler pages set blog fault a.html", ErrorKind::InvalidValue),
        ("hostler pages show blog error xml", ErrorKind::InvalidValue),
        ("hostler app", ErrorKind::InvalidSubcommand),
    ] {
        assert_eq!(refused_by_clap(line), kind, "{line}");
    }
}

#[tokio::test]
async fn apps_are_listed_in_columns() {
    let list = format!("{{\"revision\":5,\"items\":[{BLOG}]}}");
    let (printed, asked) = played("hostler apps", &[(200, &list)]).await;
    let expected = "NAME  ROUTES  DYNOS  MAINTENANCE\nblog  2       1      on\n";
    assert_eq!(printed.unwrap(), expected);
    assert_eq!(asked[0].0, "GET /v1/apps?limit=1000");
    let (printed, _) = played("hostler apps list", &[(200, &list)]).await;
    assert_eq!(printed.unwrap(), expected);
    let (printed, _) = played("hostler apps --json", &[(200, &list)]).await;
    let json: serde_json::Value = serde_json::from_str(&printed.unwrap()).unwrap();
    assert_eq!(json[0]["name"], "blog");
}

#[tokio::test]
async fn a_list_follows_its_pages() {
    let first = format!("{{\"revision\":5,\"items\":[{BLOG}],\"next\":\"blog\"}}");
    let last = "{\"revision\":5,\"items\":[]}";
    let (printed, asked) = played("hostler apps", &[(200, &first), (200, last)]).await;
    assert_eq!(printed.unwrap().lines().count(), 2);
    assert_eq!(asked[1].0, "GET /v1/apps?limit=1000&after=blog");
}

#[tokio::test]
async fn making_an_app_never_touches_one_that_is_there() {
    let there = r#"{"type":"about:blank","title":"Precondition Failed","status":412,"detail":"x"}"#;
    let (printed, asked) = played("hostler apps create blog", &[(412, there)]).await;
    let failure = printed.unwrap_err();
    assert_eq!((failure.code(), failure.to_string().as_str()), (7, "there is an app blog already"));
    assert_eq!(asked[0].0, "PUT /v1/apps/blog");

    let (printed, asked) = played("hostler apps create blog", &[(200, RECEIPT)]).await;
    assert_eq!(printed.unwrap(), "Made app blog (revision 6)\n");
    assert_eq!(asked.len(), 1);
}

#[tokio::test]
async fn settings_are_patched_as_typed_and_given_back_with_null() {
    let set = "hostler apps set blog timeouts.first_byte=60s limits.header_count=10 \
               dynos.keep_alive=false router=true";
    let (printed, asked) = played(set, &[(200, RECEIPT)]).await;
    let names = "timeouts.first_byte, limits.header_count, dynos.keep_alive, router";
    assert_eq!(printed.unwrap(), format!("Set {names} of app blog (revision 6)\n"));
    assert_eq!(asked[0].0, "PATCH /v1/apps/blog");
    let body: serde_json::Value = serde_json::from_str(&asked[0].1).unwrap();
    let settings = json!({
        "timeouts.first_byte": "60s", "limits.header_count": 10, "dynos.keep_alive": false,
    });
    assert_eq!(body, json!({ "router": true, "settings": settings }));

    let unset = "hostler apps unset blog timeouts.first_byte router timeouts.fist_byte";
    let (printed, asked) = played(unset, &[(200, FULL), (200, RECEIPT)]).await;
    let expected = "Unset timeouts.first_byte, router of app blog, which had no \
                    timeouts.fist_byte of its own (revision 6)\n";
    assert_eq!(printed.unwrap(), expected);
    let body: serde_json::Value = serde_json::from_str(&asked[1].1).unwrap();
    let settings = json!({ "timeouts.first_byte": null, "timeouts.fist_byte": null });
    assert_eq!(body, json!({ "router": null, "settings": settings }));

    let unset = "hostler apps unset blog timeouts.fist_byte";
    let (printed, _) = played(unset, &[(200, FULL), (200, UNCHANGED)]).await;
    let expected = "App blog had no timeouts.fist_byte of its own; nothing changed\n";
    assert_eq!(printed.unwrap(), expected);

    let twice = "hostler apps set blog router=true router=false";
    let failure = run(twice, "http://127.0.0.1:1").await.unwrap_err();
    assert_eq!((failure.code(), failure.to_string().as_str()), (2, "router is given twice"));
}

#[tokio::test]
async fn an_app_is_shown_with_its_settings_and_pages() {
    let (printed, _) = played("hostler apps show blog", &[(200, FULL)]).await;
    let expected = "App:          blog\n\
                    Routes:       2\n\
                    Dynos:        1\n\
                    Maintenance:  off\n\
                    Blank:        off\n\
                    Router:       on\n\
                    Protected:    off\n\
                    Settings:     dynos.keep_alive=false\n\
                    \u{20}             limits.header_count=512\n\
                    \u{20}             limits.header_name=2000\n\
                    \u{20}             limits.set_cookie=16KiB\n\
                    \u{20}             timeouts.first_byte=60s\n\
                    Pages:        error, html: 12 bytes\n\
                    \u{20}             error, json: 2 bytes\n";
    assert_eq!(printed.unwrap(), expected);
    let (printed, _) = played("hostler apps info blog", &[(200, BLOG)]).await;
    let printed = printed.unwrap();
    for line in ["Maintenance:  on", "Settings:     the router's own", "Pages:        the router's"]
    {
        assert!(printed.contains(line), "{printed}");
    }
}

#[tokio::test]
async fn pages_are_read_from_files_by_their_endings() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (html, json) = (file("a.HTML", b"<h1>\xc3\xa9</h1>"), file("a.json", b"{}"));
    let set = format!("hostler pages set blog error {html} {json}");
    let (printed, asked) = played(&set, &[(200, RECEIPT)]).await;
    let expected = "App blog has its own error page (html, json) (revision 6)\n";
    assert_eq!(printed.unwrap(), expected);
    assert_eq!(asked[0].0, "PATCH /v1/apps/blog");
    let body: serde_json::Value = serde_json::from_str(&asked[0].1).unwrap();
    let forms = json!({ "html": "<h1>é</h1>", "json": "{}" });
    assert_eq!(body, json!({ "pages": { "error": forms } }));

    let odd = file("a.page", b"sorry");
    let set = format!("hostler pages set blog maintenance --form text {odd}");
    let (_, asked) = played(&set, &[(200, RECEIPT)]).await;
    assert_eq!(asked[0].1, r#"{"pages":{"maintenance":{"text":"sorry"}}}"#);

    let (binary, missing) = (file("b.html", b"\xff\xfe"), "/nonexistent/a.html".to_owned());
    let large = file("c.html", &vec![b'x'; (1 << 20) + 1]);
    for (files, why) in [
        (odd, "--form"),
        (binary, "cannot be read"),
        (missing, "/nonexistent/a.html cannot be read"),
        (large, "more than 1048576 bytes"),
        (format!("{html} {html}"), "two files are the html"),
    ] {
        let set = format!("hostler pages set blog error {files}");
        let failure = run(&set, "http://127.0.0.1:1").await.unwrap_err();
        assert!(failure.code() == 2 && failure.to_string().contains(why), "{failure}");
    }
}

#[tokio::test]
async fn pages_are_listed_shown_and_removed() {
    let (printed, _) = played("hostler pages blog", &[(200, FULL)]).await;
    let expected = "PAGE   FORM  BYTES\nerror  html  12\nerror  json  2\n";
    assert_eq!(printed.unwrap(), expected);
    let (printed, _) = played("hostler pages list blog", &[(200, FULL)]).await;
    assert_eq!(printed.unwrap(), expected);
    let (printed, _) = played("hostler pages blog --json", &[(200, FULL)]).await;
    let listed: serde_json::Value = serde_json::from_str(&printed.unwrap()).unwrap();
    assert_eq!(listed, json!({ "error": { "html": "<p>Sorry</p>", "json": "{}" } }));
    let (printed, _) = played("hostler pages blog", &[(200, BLOG)]).await;
    assert!(printed.unwrap().contains("hostler pages set blog error FILE.html"));

    let (printed, _) = played("hostler pages show blog error html --json", &[(200, FULL)]).await;
    assert_eq!(printed.unwrap(), "\"<p>Sorry</p>\"\n");
    let (printed, _) = played("hostler pages show blog maintenance html", &[(200, FULL)]).await;
    assert_eq!(printed.unwrap_err().code(), 5);

    let (printed, asked) = played("hostler pages remove blog error", &[(200, RECEIPT)]).await;
    assert_eq!(printed.unwrap(), "App blog has the router's own error page (revision 6)\n");
    assert_eq!(asked[0].1, r#"{"pages":{"error":null}}"#);
    let remove = "hostler pages remove blog error json";
    let (printed, asked) = played(remove, &[(200, UNCHANGED)]).await;
    let expected = "App blog has the router's own error page (json) already; nothing changed\n";
    assert_eq!(printed.unwrap(), expected);
    assert_eq!(asked[0].1, r#"{"pages":{"error":{"json":null}}}"#);
}

#[tokio::test]
async fn an_app_is_removed_only_by_its_name() {
    let wrong = "hostler apps destroy blog --confirm shop";
    let failure = run(wrong, "http://127.0.0.1:1").await.unwrap_err();
    assert_eq!(failure.code(), 2, "{failure}");
    let right = "hostler apps destroy blog --confirm blog";
    let (printed, asked) = played(right, &[(200, RECEIPT)]).await;
    assert_eq!(printed.unwrap(), "Removed app blog with its hosts and dynos (revision 6)\n");
    assert_eq!(asked[0].0, "DELETE /v1/apps/blog?confirm=blog");
    let more = "hostler apps destroy blog --confirm www.test/x --force --confirm blog";
    let (_, asked) = played(more, &[(200, RECEIPT)]).await;
    assert_eq!(asked[0].0, "DELETE /v1/apps/blog?force=true&confirm=www.test%2Fx&confirm=blog");
    let remove = "hostler domains remove blog a.test --path /x --force";
    let (_, asked) = played(remove, &[(200, RECEIPT)]).await;
    assert_eq!(asked[0].0, "DELETE /v1/apps/blog/routes/a.test?path=%2Fx&force=true");
}

#[tokio::test]
async fn domains_are_added_with_their_path_and_removed_alike() {
    let (printed, asked) =
        played("hostler domains add blog *.a.test --path /api", &[(200, RECEIPT)]).await;
    assert_eq!(printed.unwrap(), "Added *.a.test/api to app blog (revision 6)\n");
    let call = "/v1/apps/blog/routes/*.a.test?path=%2Fapi";
    assert_eq!(asked[0], (format!("PUT {call}"), r#"{"protected":false}"#.into()));
    let (_, asked) =
        played("hostler domains remove blog *.a.test --path /api", &[(200, RECEIPT)]).await;
    assert_eq!(asked[0], (format!("DELETE {call}"), String::new()));
    let routes = r#"{"revision":5,"items":[{"app":"blog","host":"*.a.test","path":"/api"}]}"#;
    let (printed, _) = played("hostler domains blog", &[(200, routes)]).await;
    assert_eq!(printed.unwrap(), "HOST      PATH\n*.a.test  /api\n");
}

#[tokio::test]
async fn a_dyno_is_put_whole_and_set_in_part() {
    let add = "hostler dynos add blog web.1 127.0.0.1:5000 --release v2";
    let (printed, asked) = played(add, &[(200, UNCHANGED)]).await;
    assert_eq!(printed.unwrap(), "App blog has this dyno already; nothing changed\n");
    assert_eq!(asked[0].0, "PUT /v1/apps/blog/dynos/web.1");
    let body: serde_json::Value = serde_json::from_str(&asked[0].1).unwrap();
    assert_eq!((&body["weight"], &body["state"]), (&100.into(), &"up".into()));

    let set = "hostler dynos set blog web.1 --state draining --weight 7";
    let (_, asked) = played(set, &[(200, RECEIPT)]).await;
    assert_eq!(asked[0].0, "PATCH /v1/apps/blog/dynos/web.1");
    assert_eq!(asked[0].1, r#"{"state":"draining","weight":7}"#);

    let list = r#"{"revision":5,"items":[{"app":"blog","name":"web.1","addr":"127.0.0.1:5000",
        "release":"v2","weight":100,"state":"up","ttl_s":null}]}"#;
    let (printed, _) = played("hostler dynos blog", &[(200, list)]).await;
    let expected = "NAME   STATE  ADDRESS         WEIGHT  RELEASE  TTL\n\
                    web.1  up     127.0.0.1:5000  100     v2\n";
    assert_eq!(printed.unwrap(), expected);
}

#[tokio::test]
async fn a_request_is_explained_from_its_url_to_its_outcome() {
    let told = r#"{"revision":12,"method":"GET","host":"a.test","path":"/x","rules":[
        {"host":"a.test","path":null,"app":null,"matched":false},
        {"host":"*.test","path":"/","app":"blog","matched":true}],"rules_omitted":3,
        "app":{"name":"blog","maintenance":false,"blank":false,"router":true,
            "settings":{"timeouts.connect_total":"2s"},"in_flight":1,"connections":2,"dynos":
            {"candidates":0,"starting":0,"draining":0,"crashed":0,"quarantined":2}},
        "dynos":[{"name":"web.1","addr":"127.0.0.1:1","release":"","weight":100,"state":"up",
            "in_flight":1,"failed_connects":4,"quarantined_for_ms":1500,
            "passed_over":"quarantined","chance":null,"effective_weight":40.2,"latency_ms":12.34,
            "load":null}],"affinity":{"cookie":"c","verdict":"unfit","dyno":"web.1",
            "passed_over":"quarantined"},"dynos_omitted":1,"choice":"by lot",
            "limits":[{"setting":"limits.rate","most":5,"window_ms":1000,"left":2},
            {"setting":"limits.concurrency","most":3,"window_ms":null,"left":0}],
        "outcome":{"verdict":"hold","at_most_ms":2000,"then":
            {"code":"H34","status":503,"description":"All up dynos are quarantined"}}}"#;
    let line = "hostler explain HTTP://A.test:80?q --method POST --header X-A:b --client ::1";
    let (printed, asked) = played(line, &[(200, told)]).await;
    let expected = "GET a.test/x at revision 12\n\n\
                    HOST    PATH  APP       TAKES IT\n\
                    a.test  -     no route  no\n\
                    *.test  /     blog      yes\n\
                    and 3 more rules before the last\n\n\
                    App blog, router: 1 in flight, 2 connections\n  \
                      timeouts.connect_total=2s\n\n\
                    Cookie c: web.1 is quarantined: the client gets another\n\n\
                    LIMIT               MOST         LEFT\n\
                    limits.rate         5 in 1s      2\n\
                    limits.concurrency  3 at a time  0\n\n\
                    DYNO   ADDRESS      WEIGHT     IN FLIGHT  LATENCY  CHOICE\n\
                    web.1  127.0.0.1:1  40 of 100  1          12.3ms   \
                    quarantined for 1.5s more, 4 failed connects\n\
                    and 1 more dynos\n\n\
                    Waits for a dyno, 2s at most, then H34 All up dynos are quarantined (503)\n";
    assert_eq!(printed.unwrap(), expected);
    let body: serde_json::Value = serde_json::from_str(&asked[0].1).unwrap();
    let question = json!({"host": "A.test:80", "path": "/?q", "method": "POST",
        "headers": {"X-A": "b"}, "client": "::1"});
    assert_eq!((asked[0].0.as_str(), body), ("POST /v1/explain", question));

    for (line, question) in [
        ("hostler explain a.test/x/y", r#"{"host":"a.test","path":"/x/y"}"#),
        ("hostler explain a.test /x --json", r#"{"host":"a.test","path":"/x"}"#),
        ("hostler explain a.test", r#"{"host":"a.test"}"#),
    ] {
        assert_eq!(played(line, &[(200, told)]).await.1[0].1, question, "{line}");
    }
    let failure = run("hostler explain a.test/x /y", "http://127.0.0.1:1").await.unwrap_err();
    assert_eq!(failure.code(), 2, "{failure}");
}

#[tokio::test]
async fn maintenance_is_shown_and_switched() {
    let (printed, _) = played("hostler maintenance blog", &[(200, BLOG)]).await;
    assert_eq!(printed.unwrap(), "on\n");
    let (printed, asked) = played("hostler maintenance off blog", &[(200, UNCHANGED)]).await;
    let expected = "Maintenance of app blog is off already; nothing changed\n";
    assert_eq!(printed.unwrap(), expected);
    assert_eq!(asked[0], ("PATCH /v1/apps/blog".into(), r#"{"maintenance":false}"#.into()));
}

#[tokio::test]
async fn a_refusal_exits_by_its_kind_and_says_what_the_push_api_said() {
    let (printed, _) = played("hostler apps info blog", &[(404, NO_APP)]).await;
    let failure = printed.unwrap_err();
    assert_eq!(failure.code(), 5);
    assert_eq!(failure.to_string(), "app: there is no app blog");
}

#[tokio::test]
async fn wrong_access_exits_2_and_an_unreachable_api_exits_3() {
    let failure = run("hostler apps --url ftp://a", "http://unused").await.unwrap_err();
    assert_eq!(failure.code(), 2, "{failure}");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let failure = run("hostler apps", &url).await.unwrap_err();
    assert_eq!(failure.code(), 3, "{failure}");
    assert!(failure.to_string().contains(&url), "{failure}");
}
