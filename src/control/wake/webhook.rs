//! One call of a webhook: a POST of a small JSON object, over HTTP/1.1, in the clear or with TLS.
//!
//! Invariants: the name is resolved once, and only an address where a dyno might listen is
//! connected to; with `https` nothing is sent before the other side has proved its name; redirects
//! are not followed; the call ends within [`CALL_TIME`].

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};

use crate::{
    control::hub,
    route::{AppName, DynoAddr},
    tls::{ConnectFiles, Connector, FileError},
};

/// How long a call may take, the look-up of its name included.
const CALL_TIME: Duration = Duration::from_secs(5);

/// The most that is read of an answer, in bytes: its head is all that is of interest.
const MAX_READ: u64 = 64 << 10;

/// Where a webhook may be: where a dyno may.
pub type Reach = Arc<hub::Settings>;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It is nothing that can be called.
    #[error("its URL cannot be called")]
    Url,
    /// The name has no address.
    #[error("{0} has no address")]
    Unknown(String),
    /// It is where nothing may be called.
    #[error("{0}")]
    Forbidden(String),
    /// No connection, or it broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// TLS could not be set up.
    #[error("{0}")]
    Tls(#[from] FileError),
    /// What was answered is no HTTP.
    #[error("{0}")]
    Http(#[from] hyper::Error),
    /// It was answered otherwise than with success.
    #[error("it answered {0}")]
    Status(StatusCode),
    /// It took too long.
    #[error("it took more than {CALL_TIME:?}")]
    Time,
}

/// Says that `waiting` requests wait for an app.
pub async fn call(
    url: &str,
    app: &AppName,
    waiting: u32,
    reach: &hub::Settings,
) -> Result<(), CallError> {
    let uri: Uri = url.parse().map_err(|_| CallError::Url)?;
    let body = json!({ "app": app.as_str(), "waiting": waiting }).to_string();
    let call = async {
        let host = uri.host().ok_or(CallError::Url)?;
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect(address(name, port, reach).await?).await?;
        if !secure {
            return send(stream, &uri, body).await;
        }
        let name = name.to_owned();
        // The authorities of the system are read from files.
        let open = move || Connector::open(&name, &ConnectFiles::default());
        let connector = tokio::task::spawn_blocking(open).await.map_err(io::Error::other)??;
        send(connector.connect(stream).await?, &uri, body).await
    };
    timeout(CALL_TIME, call).await.unwrap_or(Err(CallError::Time))
}

/// The first address of a name at which a dyno might be.
async fn address(name: &str, port: u16, reach: &hub::Settings) -> Result<SocketAddr, CallError> {
    let mut objection = None;
    for address in lookup_host((name, port)).await? {
        match hub::objection(&DynoAddr::Ip(address), reach) {
            None => return Ok(address),
            Some(reason) => objection = objection.or(Some(reason)),
        }
    }
    Err(objection.map_or_else(|| CallError::Unknown(name.into()), CallError::Forbidden))
}

async fn send<S>(stream: S, uri: &Uri, body: String) -> Result<(), CallError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let authority = uri.authority().ok_or(CallError::Url)?.as_str();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::post(path)
        .header(header::HOST, authority)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("hostler/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close")
        .body(Full::new(Bytes::from(body)))
        .map_err(|_| CallError::Url)?;
    // Who never stops would keep the thread from the push API.
    let (read, write) = tokio::io::split(stream);
    let stream = TokioIo::new(tokio::io::join(read.take(MAX_READ), write));
    let (mut sender, connection) = http1::handshake(stream).await?;
    let answered = async {
        // Its body is of no interest: the connection is closed behind the head.
        let status = sender.send_request(request).await?.status();
        if status.is_success() { Ok(()) } else { Err(CallError::Status(status)) }
    };
    tokio::pin!(answered, connection);
    tokio::select! {
        answered = &mut answered => answered,
        ended = &mut connection => {
            ended?;
            answered.await
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        thread,
    };

    use super::*;

    fn reach(networks: &[&str]) -> hub::Settings {
        let networks = networks.iter().map(|text| crate::units::network(text).unwrap()).collect();
        hub::Settings { networks, ..hub::Settings::default() }
    }

    fn call_now(url: &str, reach: &hub::Settings) -> Result<(), CallError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(call(url, &AppName::parse("blog").unwrap(), 7, reach))
    }

    /// Answers one call; tells what was asked.
    fn answer(listener: TcpListener, answer: &'static str) -> thread::JoinHandle<String> {
        thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"}") {
                let mut bytes = [0; 1024];
                let count = socket.read(&mut bytes).unwrap();
                assert!(count > 0, "the call ended early");
                asked.extend_from_slice(&bytes[..count]);
            }
            socket.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(asked).unwrap()
        })
    }

    #[test]
    fn it_is_told_which_app_and_how_many_wait() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/wake?from=a", listener.local_addr().unwrap());
        let asked = answer(listener, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
        call_now(&url, &reach(&[])).unwrap();
        let asked = asked.join().unwrap();
        assert!(asked.starts_with("POST /wake?from=a HTTP/1.1\r\n"), "{asked}");
        assert!(asked.ends_with("\r\n\r\n{\"app\":\"blog\",\"waiting\":7}"), "{asked}");
    }

    #[test]
    fn an_answer_other_than_success_is_a_failure_and_no_redirect_is_followed() {
        for (code, answered) in [
            (500, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
            (302, "HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
            let asked = answer(listener, answered);
            let failed = call_now(&url, &reach(&["127.0.0.0/8"])).unwrap_err();
            assert!(matches!(failed, CallError::Status(status) if status == code), "{failed}");
            assert!(asked.join().unwrap().contains("\r\nhost: localhost:"));
        }
    }

    #[test]
    fn what_never_comes_to_an_answer_is_read_to_a_bound() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let talker = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            while socket.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").is_ok() {}
        });
        let failed = call_now(&url, &reach(&[])).unwrap_err();
        assert!(matches!(failed, CallError::Http(_)), "{failed}");
        talker.join().unwrap();
    }

    #[test]
    fn nothing_is_called_where_no_dyno_may_be() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let own = hub::Settings { own_listeners: vec![address], ..hub::Settings::default() };
        let url = format!("http://{address}/");
        for reach in [reach(&["10.0.0.0/8"]), own] {
            let failed = call_now(&url, &reach).unwrap_err();
            assert!(matches!(failed, CallError::Forbidden(_)), "{failed}");
        }
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "nobody came");
    }
}
