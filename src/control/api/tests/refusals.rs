//! What the push API refuses, and how it says so.
//!
//! Invariant: a refusal leaves the table as it was.

use super::*;

#[tokio::test]
async fn a_call_without_the_token_is_401_whatever_it_asks() {
    let api = start().await;
    for (path, header) in [
        ("/v1/apps", ""),
        ("/v1/nothing", ""),
        ("/metrics", ""),
        ("/v1/apps", "Authorization: Bearer fedcba9876543210\r\n"),
        ("/v1/apps", "Authorization: Bearer \r\n"),
        ("/v1/apps", "Authorization: Basic MDEyMzQ1Njc4OWFiY2RlZg==\r\n"),
        ("/v1/apps", "Authorization: B\r\n"),
        ("/v1/apps", "Authorization: Bearer 0123456789abcdef\r\nAuthorization: Bearer x\r\n"),
    ] {
        let answer = api
            .raw(&format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{header}\r\n"))
            .await;
        assert_eq!(answer.status, 401, "{path} {header}");
        answer.problem();
        assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
    }
    let scheme = "GET /v1/apps HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
                  authorization: bearer 0123456789abcdef\r\n\r\n";
    assert_eq!(api.raw(scheme).await.status, 200);
}

#[tokio::test]
async fn a_web_page_is_refused_even_with_a_token() {
    let api = start().await;
    let page = "Origin: http://evil.test\r\nContent-Type: application/json\r\n";
    let answer = api.call("PUT", "/v1/apps/blog", page, "{}").await;
    assert_eq!(answer.status, 403);
    answer.problem();
    assert_eq!(api.revision().await, 0);
}

#[tokio::test]
async fn a_refused_write_names_the_field_and_changes_nothing() {
    let api = start().await;
    api.client.put_app("blog", &AppBody::default()).await.unwrap();
    for (path, body, field) in [
        ("/v1/apps/Blog", "{}", "app"),
        ("/v1/apps/blog/dynos/web.1", r#"{"addr":"10.0.0.1"}"#, "addr"),
        ("/v1/apps/blog/dynos/web.1", r#"{"addr":"10.0.0.1:1","state":"gone"}"#, "state"),
        ("/v1/apps/blog/routes/a.test?path=x", "{}", "path"),
    ] {
        let answer = api.json("PUT", path, body).await;
        assert_eq!((answer.status, answer.field().as_str()), (422, field), "{path}");
        assert!(answer.problem().errors[0].op.is_none(), "a single call has no ops");
        assert!(answer.problem().errors[0].reason.len() > 5);
    }
    assert_eq!(api.revision().await, 1);
}

#[tokio::test]
async fn every_bad_op_of_a_transaction_is_named_and_none_is_done() {
    let api = start().await;
    let body = json!({"reason": 7, "more": 1, "ops": [
        {"method": "PUT", "path": "/apps/blog", "body": {}},
        {"method": "PUT"},
        "op",
        {"method": 1, "path": "/apps/blog", "extra": true},
    ]});
    let answer = api.json("POST", "/v1/transactions", &body.to_string()).await;
    assert_eq!(answer.status, 422);
    let problem = answer.problem();
    let mut named: Vec<_> = problem.errors.iter().map(|e| (e.op, e.field.as_str())).collect();
    named.sort();
    let expected = [
        (None, "more"),
        (None, "reason"),
        (Some(1), "path"),
        (Some(2), "op"),
        (Some(3), "extra"),
        (Some(3), "method"),
    ];
    assert_eq!(named, expected);

    // What cannot be read keeps nothing from being judged that can, and takes no blame elsewhere.
    let body = json!({"ops": [
        {"method": "PUT", "path": "/apps/-"},
        {"method": "PUT", "path": "/apps/shop", "extra": true},
        {"method": "PUT", "path": "/apps/shop/routes/shop.test"},
        {"method": "PUT"},
        {"method": "PUT", "path": "/apps/none/routes/a.test"},
    ]});
    let problem = api.json("POST", "/v1/transactions", &body.to_string()).await.problem();
    let named: Vec<_> = problem.errors.iter().map(|e| (e.op, e.field.as_str())).collect();
    let expected = [(Some(0), "app"), (Some(1), "extra"), (Some(3), "path"), (Some(4), "app")];
    assert_eq!((problem.status, &named[..]), (422, &expected[..]));

    // Well-formed ops that the hub refuses.
    let op = |path: &str| Op { method: "PUT".into(), path: path.into(), body: Some(json!({})) };
    let ops = vec![op("/apps/blog"), op("/apps/-"), op("/apps/blog/dynos/web.1")];
    let body = TransactionBody { ops, ..TransactionBody::default() };
    let ClientError::Refused(problem) = api.client.transact(&body).await.unwrap_err() else {
        panic!("the hub refuses it");
    };
    let ops: Vec<_> = problem.errors.iter().map(|error| error.op).collect();
    assert_eq!(ops, [Some(1), Some(2)]);
    assert_eq!(api.revision().await, 0);
}

/// A body of 16 MiB could have made an answer of 800 MB.
#[tokio::test]
async fn a_refusal_tells_of_no_more_mistakes_than_its_bound() {
    let hub = hub::Settings { max_ops: 2000, ..hub::Settings::default() };
    let api = start_with_hub(Settings { max_body: 65536, ..Settings::default() }, hub).await;
    let ops = |op: &str, count| format!(r#"{{"ops":[{}]}}"#, vec![op; count].join(","));
    let unknown: String = (0..60).map(|i| format!(r#","x{i}":1"#)).collect();
    let unknown_in_op = format!(r#"{{"method":"PUT","path":"/apps/a"{unknown}}}"#);
    let unknown_in_body =
        format!(r#"{{"method":"PUT","path":"/apps/a","body":{{"blank":true{unknown}}}}}"#);
    for (body, status, told) in [
        (ops("{}", 2001), 413, 0),
        (ops("{}", 2000), 422, 1000),
        (ops("1", 999), 422, 999),
        (ops(&unknown_in_op, 50), 422, 1000),
        (ops(&unknown_in_body, 1), 422, 50),
        (ops(&unknown_in_body, 50), 422, 1000),
        (ops(r#"{"method":"DELETE","path":"/apps/a"}"#, 1500), 404, 1000),
    ] {
        let answer = api.json("POST", "/v1/transactions", &body).await;
        let count = answer.problem().errors.len();
        assert_eq!((answer.status, count), (status, told), "{body:.80}");
    }
    assert_eq!(api.revision().await, 0);
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let api = start().await;
    for (path, field) in [
        ("/v1/apps?limit=0", "limit"),
        ("/v1/apps?limit=1001", "limit"),
        ("/v1/apps?limit=x", "limit"),
        ("/v1/apps?page=2", "page"),
        ("/v1/history?before=x", "before"),
        ("/v1/history?after=1", "after"),
        ("/v1/apps/blog?x=1", "x"),
        ("/v1/apps/blog/dynos/web.1?wait=1", "wait"),
        ("/v1/revision?at=1", "at"),
        ("/v1/apps/%FF", "path"),
    ] {
        let answer = api.json("GET", path, "").await;
        assert_eq!((answer.status, answer.field().as_str()), (400, field), "{path}");
    }
}

#[tokio::test]
async fn an_unknown_path_is_404_and_so_is_a_trailing_slash() {
    let api = start().await;
    for path in ["/", "/v1", "/v1/apps/", "/v1/apps/blog/", "/v1/app", "/V1/apps", "/healthz/"] {
        let answer = api.json("GET", path, "").await;
        assert_eq!(answer.status, 404, "{path}");
        answer.problem();
    }
    let missing = api.json("GET", "/v1/apps/blog", "").await;
    assert_eq!((missing.status, missing.field().as_str()), (404, "app"));
}

#[tokio::test]
async fn a_wrong_method_is_405_and_names_those_that_work() {
    let api = start().await;
    for (method, path, allow) in [
        ("POST", "/v1/apps", "get,head"),
        ("POST", "/v1/apps/blog", "get,head,put,patch,delete"),
        ("GET", "/v1/transactions", "post"),
        ("DELETE", "/healthz", "get,head"),
    ] {
        let answer = api.json(method, path, "").await;
        assert_eq!(answer.status, 405, "{method} {path}");
        answer.problem();
        assert!(answer.head.contains(&format!("allow: {allow}")), "{}", answer.head);
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused() {
    let api = start().await;
    let broken = api.json("PUT", "/v1/apps/blog", "{").await;
    assert_eq!((broken.status, broken.field().as_str()), (400, "body"));
    for list in ["[]", "7"] {
        assert_eq!(api.json("POST", "/v1/transactions", list).await.status, 400);
    }
    assert_eq!(api.json("POST", "/v1/transactions", "").await.status, 400);
    assert_eq!(api.json("DELETE", "/v1/apps/blog", "{}").await.status, 400);
    for (method, kind) in [
        ("PUT", ""),
        ("PUT", "Content-Type: text/plain\r\n"),
        ("PUT", "Content-Type: application/merge-patch+json\r\n"),
        ("PATCH", "Content-Type: application/x-www-form-urlencoded\r\n"),
    ] {
        let answer = api.call(method, "/v1/apps/blog", kind, "{}").await;
        assert_eq!((answer.status, answer.field().as_str()), (415, "content-type"), "{kind}");
    }
    let coded = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";
    let answer = api.call("PUT", "/v1/apps/blog", coded, "{}").await;
    assert_eq!((answer.status, answer.field().as_str()), (415, "content-encoding"));
    let answer = api.json("POST", "/v1/transactions?op=1", r#"{"ops":[]}"#).await;
    assert_eq!((answer.status, answer.field().as_str()), (400, "op"));
    assert_eq!(api.revision().await, 0);
    for (method, kind) in [
        ("PUT", "Content-Type: Application/JSON; charset=utf-8\r\n"),
        ("PATCH", "Content-Type: application/merge-patch+json\r\n"),
    ] {
        assert_eq!(api.call(method, "/v1/apps/blog", kind, "{}").await.status, 200, "{kind}");
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413_announced_or_not() {
    let api = start().await;
    let announced = format!(
        "PUT /v1/apps/blog HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4097\r\n\
         Expect: 100-continue\r\nContent-Type: application/json\r\n\
         Authorization: Bearer {TOKEN}\r\n\r\n"
    );
    let answer = api.raw(&announced).await;
    assert_eq!((answer.status, answer.field().as_str()), (413, "body"));
    let chunked = format!(
        "PUT /v1/apps/blog HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\
         \r\nContent-Type: application/json\r\nAuthorization: Bearer {TOKEN}\r\n\r\n\
         1001\r\n{}\r\n0\r\n\r\n",
        " ".repeat(4097)
    );
    let answer = api.raw(&chunked).await;
    assert_eq!((answer.status, answer.field().as_str()), (413, "body"));
    let large = "x".repeat(1 << 20);
    let answer = api.json("PUT", "/v1/apps/blog", &large).await;
    assert_eq!(answer.status, 413, "a client that sends all of it hears why");
    let whole = format!("{{{}}}", " ".repeat(4094));
    assert_eq!(api.json("PUT", "/v1/apps/blog", &whole).await.status, 200);
}

#[tokio::test]
async fn a_reason_is_short_and_on_one_line() {
    let api = start().await;
    let long = format!("Hostler-Reason: {}\r\n", "x".repeat(501));
    let answer = api.call("PUT", "/v1/apps/blog", &long, "").await;
    assert_eq!((answer.status, answer.field().as_str()), (422, "reason"));
    let ops = json!([{"method": "PUT", "path": "/apps/blog"}]);
    let body = json!({"reason": "two\nlines", "ops": ops}).to_string();
    let answer = api.json("POST", "/v1/transactions", &body).await;
    assert_eq!((answer.status, answer.field().as_str()), (422, "reason"));
}
