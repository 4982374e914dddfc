//! The client's paths, and what it makes of calls that fail.
//!
//! Invariant: the push API is played by listeners on port 0.

use super::*;

#[test]
fn paths_are_escaped() {
    assert_eq!(escape("a b/ä%"), "a%20b%2F%C3%A4%25");
    assert_eq!(
        route_path("blog", "*.a.test", Some("/x?y")),
        "/apps/blog/routes/*.a.test?path=%2Fx%3Fy"
    );
    assert_eq!(dyno_path("blog", "web.1"), "/apps/blog/dynos/web.1");
}

#[tokio::test]
async fn a_closed_port_is_told_with_the_address_and_the_remedy() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Client::new(Access::new(&url, "t").unwrap()).apps().await.unwrap_err();
    assert!(error.is_unreachable());
    let text = error.to_string();
    for part in [url.as_str(), "HOSTLER_URL", "hostler serve"] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn a_silent_listener_is_a_time_out() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = Client::new(Access::new(&url, "t").unwrap());
    let error = client.with_timeout(Duration::from_millis(50)).apps().await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
}

/// What a write comes to whose first connection breaks once its request came, and whose second
/// is answered.
async fn broken_once(key: Option<&str>) -> Result<Receipt, ClientError> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let _played = tokio::spawn(async move {
        for answer in ["", "HTTP/1.1 200 OK\r\n\r\n{\"revision\":6,\"changed\":true}"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let client = Client::new(Access::new(&url, "t").unwrap());
    let client = match key {
        Some(key) => client.with_idempotency_key(key),
        None => client,
    };
    client.delete_app("blog").await
}

#[tokio::test]
async fn a_write_whose_connection_breaks_is_sent_again_only_under_a_key() {
    assert_eq!(broken_once(Some("k")).await.unwrap().revision, 6);
    let error = broken_once(None).await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }), "{error}");
}
