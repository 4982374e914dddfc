//! Lists: what filters let through, and what no list takes.
//!
//! Invariant: the names that are listed are compared whole, so that one too many shows too.

use super::*;

async fn names(api: &Api, list: &str, field: &str) -> Vec<String> {
    let answer = api.json("GET", list, "").await;
    assert_eq!(answer.status, 200, "{list}: {}", answer.body);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let items = body["items"].as_array().unwrap().iter();
    items.map(|item| item[field].as_str().unwrap().to_owned()).collect()
}

async fn push(api: &Api, path: &str, body: &str) {
    let answer = api.json("PUT", &format!("/v1/apps{path}"), body).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
}

#[tokio::test]
async fn a_list_tells_what_its_filters_let_through() {
    let api = start().await;
    push(&api, "/blog", "{\"maintenance\":true}").await;
    push(&api, "/blue", "{}").await;
    push(&api, "/shop", "{}").await;
    for host in ["www.a.test", "www.b.test", "api.a.test"] {
        push(&api, &format!("/blog/routes/{host}"), "{}").await;
    }
    push(&api, "/blog/routes/www.a.test?path=/x", "{}").await;
    for (name, state, release) in
        [("web.1", "up", "v1"), ("web.2", "up", "v2"), ("web.3", "draining", "v1")]
    {
        let body = json!({"addr": "127.0.0.1:5000", "state": state, "release": release});
        push(&api, &format!("/blog/dynos/{name}"), &body.to_string()).await;
    }
    for (list, field, expected) in [
        ("?prefix=bl", "name", &["blog", "blue"][..]),
        ("?prefix=bl&maintenance=false", "name", &["blue"]),
        ("?maintenance=true", "name", &["blog"]),
        ("?prefix=bl&limit=1", "name", &["blog"]),
        ("?prefix=bl&after=blog", "name", &["blue"]),
        ("?prefix=x", "name", &[]),
        ("/blog/routes?host=WWW.a.test", "path", &["/", "/x"]),
        ("/blog/routes?host=none.test", "path", &[]),
        ("/blog/routes?host=www.a*", "path", &["/", "/x"]),
        ("/blog/routes?host=*&limit=1", "path", &["/"]),
        ("/blog/dynos?state=up", "name", &["web.1", "web.2"]),
        ("/blog/dynos?release=v1", "name", &["web.1", "web.3"]),
        ("/blog/dynos?release=v1&state=up", "name", &["web.1"]),
        ("/blog/dynos?release=v1&after=web.1", "name", &["web.3"]),
    ] {
        assert_eq!(names(&api, &format!("/v1/apps{list}"), field).await, expected, "{list}");
    }
}

#[tokio::test]
async fn a_parameter_that_is_wrong_or_not_known_or_given_twice_is_refused() {
    let api = start().await;
    push(&api, "/blog", "{}").await;
    for (list, field) in [
        ("?maintenance=yes", "maintenance"),
        ("?state=up", "state"),
        ("?limit=1&limit=2", "limit"),
        ("/blog/routes?prefix=a", "prefix"),
        ("/blog/routes?host=a..b", "host"),
        ("/blog/dynos?state=gone", "state"),
        ("/blog/dynos?after=a&after=a", "after"),
        ("/blog?at=0&at=0", "at"),
    ] {
        let answer = api.json("GET", &format!("/v1/apps{list}"), "").await;
        assert_eq!((answer.status, answer.field().as_str()), (400, field), "{list}");
    }
}

#[tokio::test]
async fn a_body_that_can_be_read_in_two_ways_is_refused() {
    let api = start().await;
    for body in ["{\"maintenance\":true,\"maintenance\":false}", "null"] {
        let answer = api.json("PUT", "/v1/apps/blog", body).await;
        assert_eq!((answer.status, answer.field().as_str()), (400, "body"), "{body}");
    }
    assert_eq!(api.revision().await, 0);
}

#[tokio::test]
async fn a_parameter_is_given_once_and_in_utf8() {
    let api = start().await;
    for (path, field) in [
        ("/v1/table?at=0&at=0", "at"),
        ("/v1/apps/one?at=0&%61t=0", "at"),
        ("/v1/apps?limit=1&limit=2", "limit"),
        ("/v1/feed?from=0&from=0", "from"),
        ("/v1/history?before=1&before=1", "before"),
        ("/v1/revision?x&x", "x"),
        ("/v1/apps?after=%ff", "after"),
        ("/v1/feed?router=%c3", "router"),
        ("/v1/apps?%ff=1", "query"),
    ] {
        let answer = api.call("GET", path, "", "").await;
        assert_eq!((answer.status, answer.field().as_str()), (400, field), "{path}");
    }
    for path in ["/v1/apps?&limit=1&", "/v1/apps?after=%C3%A9+x", "/v1/apps?"] {
        assert_eq!(api.call("GET", path, "", "").await.status, 200, "{path}");
    }
}
