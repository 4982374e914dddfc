//! A client of the push API over HTTP/1.1, in the clear or with TLS.
//!
//! Invariants: one connection a try, closed behind it; a call ends within the client's time-out;
//! an answer is read to a bound; what callers put into a path is escaped here and nowhere else.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    access::Access,
    connect::{self, connect},
    error::ClientError,
    types::{
        AppBody, AppView, DynoBody, DynoView, List, Problem, Readiness, Receipt, RevisionView,
        RouteBody, RouteView, TransactionBody,
    },
};

/// How long a whole call may take, unless [`Client::with_timeout`] says otherwise.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a write may wait for the routers.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long a call may wait until a dyno has nothing in flight.
const LONGEST_DRAIN: Duration = Duration::from_secs(600);
/// The longest answer that is read, in bytes.
pub(super) const MAX_ANSWER: usize = 64 << 20;
/// How many items are asked for at a time where all are wanted.
const PAGE: usize = 1000;
/// The most pages that are asked for where all are wanted: a table has at most 16 million apps.
const MAX_PAGES: usize = 20_000;
/// How many bytes of a foreign answer an error shows.
const EXCERPT: usize = 200;
/// What says why in the history, on a single write.
const REASON: &str = "hostler-reason";
/// By what a write that is sent a second time is known.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Calls the push API.
///
/// A call whose connection breaks is made once more if that does no harm: a read, or a write with
/// a key of [`Client::with_idempotency_key`], which is done once all the same.
///
/// ```no_run
/// use hostler::api::{Access, AppBody, Client, ClientError, access::Given};
///
/// async fn first_app() -> Result<(), ClientError> {
///     // Address and token as the client commands find them.
///     let access = Access::find(Given::default(), |name| std::env::var(name).ok())?;
///     let client = Client::new(access).with_reason("the first app");
///     client.put_app("blog", &AppBody::default()).await?;
///     let receipt = client.put_route("blog", "www.blog.test", None).await?;
///     assert!(receipt.revision > 0);
///     for app in client.apps().await? {
///         println!("{} has {} dynos", app.name, app.dynos);
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) access: Access,
    pub(super) call_timeout: Duration,
    reason: Option<String>,
    key: Option<String>,
    condition: Option<(&'static str, String)>,
    /// What every write says in its query, escaped.
    options: Vec<String>,
    wait: Option<String>,
    /// What every list says in its query, escaped.
    filters: String,
}

impl Client {
    /// A client of the push API at that address, with that token.
    pub fn new(access: Access) -> Client {
        let (reason, key, condition, options, wait, filters) = Default::default();
        let call_timeout = CALL_TIMEOUT;
        Client { access, call_timeout, reason, key, condition, options, wait, filters }
    }

    /// Bounds a whole call.
    pub fn with_timeout(mut self, call_timeout: Duration) -> Client {
        self.call_timeout = call_timeout;
        self
    }

    /// Says why, for the history, on every write that follows.
    pub fn with_reason(mut self, reason: impl Into<String>) -> Client {
        self.reason = Some(reason.into());
        self
    }

    /// Gives the writes that follow a key of the caller's own: the same write under the same key is
    /// done once, however often it is sent. Another write needs another key.
    pub fn with_idempotency_key(mut self, key: impl Into<String>) -> Client {
        self.key = Some(key.into());
        self
    }

    /// Does the writes that follow though the shrink guard would refuse them; needs scope push.
    pub fn with_force(mut self) -> Client {
        self.options.push("force=true".into());
        self
    }

    /// Lets the writes that follow remove or empty these protected apps and routes, named as the
    /// refusal named them.
    pub fn with_confirmed(mut self, names: &[String]) -> Client {
        let names = names.iter().map(|name| format!("confirm={}", escape(name)));
        self.options.extend(names);
        self
    }

    /// Has the writes that follow wait until every live router serves them, for at most this time,
    /// written as in the settings (`5s`): if it is over before, [`ClientError::Behind`] has the
    /// receipt. The time-out of a call is longer by what a wait may take.
    pub fn with_wait(mut self, time: impl Into<String>) -> Client {
        self.call_timeout += if self.wait.is_none() { LONGEST_WAIT } else { Duration::ZERO };
        self.wait = Some(time.into());
        self
    }

    /// Has the lists that follow hold only what a filter lets through, named as the push API names
    /// it (`prefix`, `state`): several let through what each of them does.
    pub fn with_filter(mut self, name: &str, value: &str) -> Client {
        self.filters += &format!("&{name}={}", escape(value));
        self
    }

    /// Refuses the writes that follow, each of one object, unless it last changed at that revision.
    pub fn if_at(mut self, revision: u64) -> Client {
        self.condition = Some(("if-match", format!("\"{revision}\"")));
        self
    }

    /// Refuses the writes that follow, each of one object, if it is there.
    pub fn if_absent(mut self) -> Client {
        self.condition = Some(("if-none-match", "*".into()));
        self
    }

    /// The address as a URL.
    pub fn url(&self) -> String {
        self.access.url()
    }

    /// Every app, sorted by name.
    pub async fn apps(&self) -> Result<Vec<AppView>, ClientError> {
        self.all("/apps").await
    }

    /// One app.
    pub async fn app(&self, app: &str) -> Result<AppView, ClientError> {
        self.get(&app_path(app)).await
    }

    /// Makes an app, or replaces its settings.
    pub async fn put_app(&self, app: &str, body: &AppBody) -> Result<Receipt, ClientError> {
        self.write(Method::PUT, &app_path(app), Some(body)).await
    }

    /// Changes an app's settings by a JSON merge patch (RFC 7396).
    pub async fn patch_app(&self, app: &str, patch: &Value) -> Result<Receipt, ClientError> {
        self.write(Method::PATCH, &app_path(app), Some(patch)).await
    }

    /// Removes an app with all its routes and dynos.
    pub async fn delete_app(&self, app: &str) -> Result<Receipt, ClientError> {
        self.delete(&app_path(app)).await
    }

    /// Every route of an app.
    pub async fn routes(&self, app: &str) -> Result<Vec<RouteView>, ClientError> {
        self.all(&format!("/apps/{}/routes", escape(app))).await
    }

    /// Gives a host, or a path prefix of it, to an app.
    pub async fn put_route(
        &self,
        app: &str,
        host: &str,
        path: Option<&str>,
    ) -> Result<Receipt, ClientError> {
        self.set_route(app, host, path, &RouteBody::default()).await
    }

    /// Gives a host, or a path prefix of it, to an app, with settings, or replaces its settings.
    pub async fn set_route(
        &self,
        app: &str,
        host: &str,
        path: Option<&str>,
        body: &RouteBody,
    ) -> Result<Receipt, ClientError> {
        self.write(Method::PUT, &route_path(app, host, path), Some(body)).await
    }

    /// Takes a host, or a path prefix of it, from an app.
    pub async fn delete_route(
        &self,
        app: &str,
        host: &str,
        path: Option<&str>,
    ) -> Result<Receipt, ClientError> {
        self.delete(&route_path(app, host, path)).await
    }

    /// Every dyno of an app, sorted by name.
    pub async fn dynos(&self, app: &str) -> Result<Vec<DynoView>, ClientError> {
        self.all(&format!("/apps/{}/dynos", escape(app))).await
    }

    /// One dyno.
    pub async fn dyno(&self, app: &str, dyno: &str) -> Result<DynoView, ClientError> {
        self.get(&dyno_path(app, dyno)).await
    }

    /// One dyno, once it has nothing in flight or the time is over, written as in the settings
    /// (`30s`, at most 10 minutes); it may not be up. The time-out of the call is longer by what a
    /// wait may take.
    pub async fn drained(
        &self,
        app: &str,
        dyno: &str,
        within: &str,
    ) -> Result<DynoView, ClientError> {
        let path = dyno_path(app, dyno);
        let path = format!("{path}?wait=empty&timeout={}", escape(within));
        let call_timeout = self.call_timeout + LONGEST_DRAIN;
        self.clone().with_timeout(call_timeout).get(&path).await
    }

    /// Makes a dyno, or replaces it.
    pub async fn put_dyno(
        &self,
        app: &str,
        dyno: &str,
        body: &DynoBody,
    ) -> Result<Receipt, ClientError> {
        self.write(Method::PUT, &dyno_path(app, dyno), Some(body)).await
    }

    /// Changes a dyno by a JSON merge patch (RFC 7396).
    pub async fn patch_dyno(
        &self,
        app: &str,
        dyno: &str,
        patch: &Value,
    ) -> Result<Receipt, ClientError> {
        self.write(Method::PATCH, &dyno_path(app, dyno), Some(patch)).await
    }

    /// Removes a dyno.
    pub async fn delete_dyno(&self, app: &str, dyno: &str) -> Result<Receipt, ClientError> {
        self.delete(&dyno_path(app, dyno)).await
    }

    /// Does all of the ops, or none.
    pub async fn transact(&self, body: &TransactionBody) -> Result<Receipt, ClientError> {
        self.write(Method::POST, "/transactions", Some(body)).await
    }

    /// Where the table stands.
    pub async fn revision(&self) -> Result<RevisionView, ClientError> {
        self.get("/revision").await
    }

    /// Should the process get traffic?
    pub async fn ready(&self) -> Result<Readiness, ClientError> {
        let (status, body) = self.exchange(self.request(Method::GET, "/readyz", None)?).await?;
        serde_json::from_slice(&body).map_err(|_| self.foreign(status, &body))
    }

    /// A page of a list: at most `limit` items from behind `after`, or from the beginning.
    pub async fn page<T: DeserializeOwned>(
        &self,
        list: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<List<T>, ClientError> {
        let after = after.map(|after| format!("&after={}", escape(after))).unwrap_or_default();
        self.get(&format!("{list}?limit={limit}{}{after}", self.filters)).await
    }

    pub(super) async fn all<T: DeserializeOwned>(&self, list: &str) -> Result<Vec<T>, ClientError> {
        let mut items = Vec::new();
        let mut after = None;
        for _ in 0..MAX_PAGES {
            let page: List<T> = self.page(list, after.as_deref(), PAGE).await?;
            items.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(items)
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(self.request(Method::GET, &format!("/v1{path}"), None)?).await
    }

    async fn delete(&self, path: &str) -> Result<Receipt, ClientError> {
        self.write(Method::DELETE, path, None::<&()>).await
    }

    pub(super) async fn write<B: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<Receipt, ClientError> {
        let path = self.with_wait_in(path);
        self.send(method, &path, body).await.and_then(Client::settled)
    }

    /// An error if the routers did not serve it in time.
    pub(super) fn settled(receipt: Receipt) -> Result<Receipt, ClientError> {
        match &receipt.fleet {
            Some(fleet) if !fleet.behind.is_empty() => {
                let behind = fleet.behind.clone();
                Err(ClientError::Behind(receipt.into(), behind))
            }
            _ => Ok(receipt),
        }
    }

    pub(super) async fn send<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<T, ClientError> {
        let body = body.map(|body| json!(body));
        self.call(self.request(method, &self.with_options(path), body)?).await
    }

    /// A path below `/v1` with what every write says.
    pub(super) fn with_options(&self, path: &str) -> String {
        let mut path = format!("/v1{path}");
        for option in &self.options {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(option);
        }
        path
    }

    /// A path with for how long the write is to wait, if it is.
    pub(super) fn with_wait_in(&self, path: &str) -> String {
        let Some(time) = &self.wait else { return path.into() };
        let sign = if path.contains('?') { '&' } else { '?' };
        format!("{path}{sign}wait=fleet&timeout={}", escape(time))
    }

    pub(super) fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let url = self.access.url();
        let bad_request = |_| ClientError::Url {
            url: format!("{url}{path}"),
            reason: "the path, the reason or the key holds what HTTP cannot carry",
        };
        let mut request = Request::builder()
            .uri(path)
            .header(header::HOST, self.access.authority())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.access.token))
            .header(header::USER_AGENT, concat!("hostler/", env!("CARGO_PKG_VERSION")));
        if method != Method::GET {
            let reason = self.reason.as_ref().map(|reason| (REASON, reason));
            let key = self.key.as_ref().map(|key| (IDEMPOTENCY_KEY, key));
            let condition = self.condition.as_ref().map(|(name, value)| (*name, value));
            for (name, value) in [reason, key, condition].into_iter().flatten() {
                request = request.header(name, value.as_bytes());
            }
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        request.method(method).body(Full::new(body)).map_err(bad_request)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<T, ClientError> {
        let (status, body) = self.exchange(request).await?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| self.foreign(status, &body));
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(ClientError::Refused(problem)),
            Err(_) => Err(self.foreign(status, &body)),
        }
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let too_late = |_| ClientError::Timeout { url: self.url(), after: self.call_timeout };
        let may_repeat =
            *request.method() == Method::GET || request.headers().contains_key(IDEMPOTENCY_KEY);
        let exchange = async {
            match self.exchange_once(request.clone()).await {
                Err(ClientError::Broken { .. }) if may_repeat => self.exchange_once(request).await,
                done => done,
            }
        };
        timeout(self.call_timeout, exchange).await.map_err(too_late)?
    }

    async fn exchange_once(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let broken = |source| connect::broken(&self.access, source);
        let stream = TokioIo::new(connect(&self.access).await?);
        let (mut sender, connection) = http1::handshake(stream).await.map_err(broken)?;
        let answer = async {
            let answer = sender.send_request(request).await.map_err(broken)?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
            match body {
                Ok(body) => Ok((status, body.to_bytes())),
                Err(error) if error.is::<LengthLimitError>() => {
                    Err(self.foreign(status, b"more than 64 MiB"))
                }
                Err(error) => match error.downcast::<hyper::Error>() {
                    Ok(error) => Err(broken(*error)),
                    Err(error) => Err(self.foreign(status, error.to_string().as_bytes())),
                },
            }
        };
        tokio::pin!(answer);
        tokio::select! {
            biased;
            done = &mut answer => done,
            // What ended the connection, `answer` says too, behind the bytes that still came.
            _ = connection => answer.await,
        }
    }

    pub(super) fn foreign(&self, status: StatusCode, body: &[u8]) -> ClientError {
        let excerpt = String::from_utf8_lossy(&body[..body.len().min(EXCERPT)]).into_owned();
        ClientError::Foreign { url: self.url(), status: status.as_u16(), excerpt }
    }
}

/// The path of an app below `/v1`, as a call or an op names it.
pub fn app_path(app: &str) -> String {
    format!("/apps/{}", escape(app))
}

/// The path of a route below `/v1`, as a call or an op names it.
pub fn route_path(app: &str, host: &str, path: Option<&str>) -> String {
    let query = path.map(|path| format!("?path={}", escape(path))).unwrap_or_default();
    format!("/apps/{}/routes/{}{query}", escape(app), escape(host))
}

/// The path of a dyno below `/v1`, as a call or an op names it.
pub fn dyno_path(app: &str, dyno: &str) -> String {
    format!("/apps/{}/dynos/{}", escape(app), escape(dyno))
}

/// Escapes all but unreserved characters (RFC 3986, section 2.3) and the `*` of a wildcard, which a
/// path segment may hold.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'*' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
