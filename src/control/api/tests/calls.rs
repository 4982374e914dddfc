//! What the push API does when it is asked rightly.
//!
//! Invariant: what was pushed is read back through the API itself, never from the hub.

use super::*;

#[tokio::test]
async fn what_is_pushed_is_what_is_read() {
    let api = start().await;
    let client = &api.client;
    assert_eq!(client.put_app("blog", &AppBody::default()).await.unwrap().revision, 1);
    client.put_route("blog", "WWW.Blog.test", None).await.unwrap();
    client.put_route("blog", "*.blog.test", Some("/api")).await.unwrap();
    client.put_dyno("blog", "web.1", &dyno("127.0.0.1:5000")).await.unwrap();
    let receipt = client.put_dyno("blog", "web.1", &dyno("127.0.0.1:5000")).await.unwrap();
    assert_eq!((receipt.revision, receipt.changed), (4, false));

    let app = client.app("blog").await.unwrap();
    assert_eq!((app.name.as_str(), app.routes, app.dynos), ("blog", 2, 1));
    let routes = client.routes("blog").await.unwrap();
    let shown: Vec<_> = routes.iter().map(|r| (r.host.as_str(), r.path.as_str())).collect();
    assert_eq!(shown, [("www.blog.test", "/"), ("*.blog.test", "/api")]);
    assert_eq!(client.dyno("blog", "web.1").await.unwrap().dyno.weight, 100);

    let receipt = client.patch_dyno("blog", "web.1", &json!({"state": "draining"})).await;
    assert!(receipt.unwrap().changed);
    let web = client.dyno("blog", "web.1").await.unwrap().dyno;
    assert_eq!((web.addr.as_str(), web.state.as_str()), ("127.0.0.1:5000", "draining"));

    client.delete_route("blog", "*.blog.test", Some("/api")).await.unwrap();
    client.delete_dyno("blog", "web.1").await.unwrap();
    let view = client.revision().await.unwrap();
    assert_eq!((view.revision, view.apps, view.routes, view.dynos), (7, 1, 1, 0));
    client.delete_app("blog").await.unwrap();
    assert!(client.apps().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_app_is_told_whole_and_listed_without_its_pages() {
    let api = start().await;
    let error = PageBody { html: Some("<h1>Sorry</h1>".into()), ..PageBody::default() };
    let body = AppBody {
        router: true,
        settings: Map::from_iter([("timeouts.idle".into(), json!("5s"))]),
        pages: Some(PagesBody { error: Some(error), ..PagesBody::default() }),
        ..AppBody::default()
    };
    api.client.put_app("blog", &body).await.unwrap();
    assert_eq!(api.client.app("blog").await.unwrap().settings, body);
    let listed = &api.client.apps().await.unwrap()[0].settings;
    assert_eq!(*listed, AppBody { pages: None, ..body });
    // An app without settings has every field nonetheless.
    api.client.put_app("shop", &AppBody::default()).await.unwrap();
    let told: Value =
        serde_json::from_str(&api.json("GET", "/v1/apps/shop", "").await.body).unwrap();
    let whole = json!({
        "name": "shop", "routes": 0, "dynos": 0, "maintenance": false, "blank": false,
        "router": false, "protected": false, "settings": {}, "pages": {},
    });
    assert_eq!(told, whole);
}

#[tokio::test]
async fn a_route_is_read_by_any_spelling_and_only_from_its_app() {
    let api = start().await;
    for app in ["blog", "shop"] {
        api.client.put_app(app, &AppBody::default()).await.unwrap();
    }
    api.client.put_route("blog", "a.test", Some("/x")).await.unwrap();
    let found = api.json("GET", "/v1/apps/blog/routes/A.TEST?path=%2Fx%2F", "").await;
    assert_eq!(found.status, 200);
    let view: Value = serde_json::from_str(&found.body).unwrap();
    assert_eq!(view, json!({"app": "blog", "host": "a.test", "path": "/x", "protected": false}));
    for path in ["/v1/apps/shop/routes/a.test?path=/x", "/v1/apps/blog/routes/a.test"] {
        let missing = api.json("GET", path, "").await;
        assert_eq!((missing.status, missing.field().as_str()), (404, "host"));
    }
    let bad = api.json("GET", "/v1/apps/blog/routes/a.test?path=x", "").await;
    assert_eq!((bad.status, bad.field().as_str()), (400, "path"));
}

#[tokio::test]
async fn a_transaction_is_one_revision_with_its_reason_and_author() {
    let api = start().await;
    let ops = ["/apps/blog", "/apps/shop"].map(|path| Op {
        method: "PUT".into(),
        path: path.into(),
        body: Some(json!({})),
    });
    let reason = Some("two apps".into());
    let body = TransactionBody {
        if_revision: Some(0),
        reason,
        ops: ops.into(),
        ..TransactionBody::default()
    };
    assert_eq!(api.client.transact(&body).await.unwrap().revision, 1);
    let client = api.client.clone().with_reason("third");
    client.put_app("wiki", &AppBody::default()).await.unwrap();
    let status = api.client.transact(&body).await.unwrap_err().status();
    assert_eq!(status, Some(409), "revision 0 is behind");

    let query = |before| HistoryQuery { before, limit: Some(1), ..Default::default() };
    let page = api.client.history(&query(None)).await.unwrap();
    assert_eq!(page.items[0].reason.as_deref(), Some("third"));
    assert_eq!(page.items[0].author, "admin");
    assert_eq!(page.items[0].address.as_deref(), Some("127.0.0.1"));
    assert_eq!(page.next.as_deref(), Some("2"));
    let rest = api.client.history(&query(Some(2))).await.unwrap();
    assert_eq!((rest.items[0].reason.as_deref(), rest.items[0].changes), (Some("two apps"), 2));
    assert_eq!(rest.next, None);
}

#[tokio::test]
async fn pages_cover_every_item_once_in_order() {
    let api = start().await;
    let mut names: Vec<String> = (0..23).map(|i| format!("app-{}", i * 7 % 23)).collect();
    for name in &names {
        api.client.put_app(name, &AppBody::default()).await.unwrap();
    }
    names.sort();
    for limit in [1, 5, 22, 23, 24] {
        let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page: crate::api::List<crate::api::AppView> =
                api.client.page("/apps", after.as_deref(), limit).await.unwrap();
            assert!(page.items.len() <= limit && page.revision == 23);
            seen.extend(page.items.into_iter().map(|app| app.name));
            (after, pages) = (page.next, pages + 1);
            if after.is_none() {
                break;
            }
        }
        assert_eq!((&seen, pages), (&names, names.len().div_ceil(limit)), "limit {limit}");
    }
}

#[tokio::test]
async fn routes_and_dynos_page_too() {
    let api = start().await;
    api.client.put_app("blog", &AppBody::default()).await.unwrap();
    for (host, path) in [("b.test", None), ("*.a.test", None), ("a.test", Some("/x"))] {
        api.client.put_route("blog", host, path).await.unwrap();
        api.client.put_dyno("blog", &host[host.len() - 6..], &dyno("127.0.0.1:1")).await.unwrap();
    }
    api.client.put_route("blog", "a.test", None).await.unwrap();
    let (all, mut paged) = (api.client.routes("blog").await.unwrap(), Vec::new());
    let mut after: Option<String> = None;
    for _ in 0..all.len() {
        let list = "/apps/blog/routes";
        let page = api.client.page(list, after.as_deref(), 1).await.unwrap();
        paged.extend(page.items);
        after = page.next;
    }
    assert_eq!((paged, after), (all, None));
    let page: crate::api::List<crate::api::DynoView> =
        api.client.page("/apps/blog/dynos", Some("a.test"), 5).await.unwrap();
    assert_eq!(page.items.len(), 1);
}

#[tokio::test]
async fn head_answers_the_head_of_get() {
    let api = start().await;
    let get = api.json("GET", "/v1/revision", "").await;
    let head = api.json("HEAD", "/v1/revision", "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.head.contains(&format!("content-length: {}", get.body.len())), "{}", head.head);
}

#[tokio::test]
async fn a_put_without_a_body_has_every_default() {
    let api = start().await;
    let answer = api.call("PUT", "/v1/apps/blog", "", "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    // What sha256sum says of {"v":1,"kind":"app","name":"blog"}.
    let digest = "ea5657da9b26766650d3be13e1377c48c43b2f41f34d9471a4470f66a3e1907d";
    let receipt = format!("{{\"revision\":1,\"changed\":true,\"digest\":\"{digest}\"}}\n");
    assert_eq!(answer.body, receipt);
    assert!(answer.head.contains("hostler-revision: 1"));
}

#[tokio::test]
async fn readiness_tells_every_reason_and_health_none() {
    let api = start().await;
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(api.raw(&get("/readyz")).await.status, 503);
    let reasons = api.client.ready().await.unwrap().reasons;
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    api.status.table_loaded.store(true, Relaxed);
    api.status.workers_serving.store(1, Relaxed);
    let ready = api.raw(&get("/readyz")).await;
    assert_eq!((ready.status, ready.body.as_str()), (200, "{\"ready\":true,\"reasons\":[]}\n"));
    api.shutdown.drain();
    assert_eq!(api.raw(&get("/readyz")).await.status, 503);
    assert_eq!(api.client.ready().await.unwrap().reasons, ["draining"]);
    let health = api.raw(&get("/healthz")).await;
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    assert!(health.head.contains("hostler-revision: 0"));
}

#[tokio::test]
async fn metrics_ask_for_a_token_unless_they_are_told_not_to() {
    let get = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert_eq!(start().await.raw(get).await.status, 401);
    let open = Settings { metrics_without_token: true, ..Settings::default() };
    let api = start_with(open).await;
    let answer = api.raw(get).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "hostler_revision 0\n"));
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"));
}

#[tokio::test]
async fn the_server_ends_with_the_stop_and_closes_idle_connections() {
    let api = start().await;
    let mut idle = TcpStream::connect(api.addr).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    api.shutdown.stop();
    api.server.await.unwrap();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    assert!(TcpStream::connect(api.addr).await.is_err());
}

#[tokio::test]
async fn a_foreign_server_is_told_from_the_push_api() {
    let api = start().await;
    api.status.table_loaded.store(true, Relaxed);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let foreign = axum::Router::new().fallback(|| async { "hello" });
    tokio::spawn(serve(listener, foreign, None, api.shutdown.clone()));
    let client = Client::new(Access::new(&url, TOKEN).unwrap());
    let error = client.revision().await.unwrap_err();
    assert!(matches!(&error, ClientError::Foreign { .. }), "{error}");
    assert!(error.to_string().contains("hello") && !error.is_unreachable());
}
