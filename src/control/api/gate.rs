//! What every call passes, before anything else is read of it.
//!
//! A web page must not be able to drive the API on a listener that only its reader's machine can
//! reach. It holds no token, which keeps it out already; as a second lock, a request with an
//! `Origin` (every cross-site call that a browser makes with a method other than GET or HEAD, and
//! every one made by a script) is refused, and no answer ever allows a page to read it. The `Host`
//! header is not judged: the API may well be reached through a router, under any name.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{
    health,
    problem::{REVISION, Refusal},
    router::Shared,
    tokens::Identity,
};

/// The address of the socket that a request came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Remote(pub(super) SocketAddr);

/// Who calls, in the words of the history: `admin@127.0.0.1`.
#[derive(Debug, Clone)]
pub(super) struct Author(pub(super) String);

/// Asks for the token, and marks the answer with the revision.
pub(super) async fn gate(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut response = match admit(&shared, &mut request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    if !headers.contains_key(REVISION) {
        let revision = shared.state.reader.load().table().revision();
        headers.insert(REVISION, revision.0.into());
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn admit(shared: &Shared, request: &mut Request) -> Result<(), Refusal> {
    if request.headers().contains_key(header::ORIGIN) {
        let detail = "the push API is not for web pages: call it without an Origin header";
        return Err(Refusal::new(StatusCode::FORBIDDEN, detail));
    }
    let path = request.uri().path();
    let metrics = path == health::METRICS && shared.state.settings.metrics_without_token;
    if metrics || matches!(path, health::HEALTHZ | health::READYZ) {
        return Ok(());
    }
    let identity = identify(shared, request.headers())?;
    let author = match request.extensions().get::<Remote>() {
        Some(Remote(addr)) => format!("{}@{}", identity.name, addr.ip().to_canonical()),
        None => identity.name.to_string(),
    };
    request.extensions_mut().insert(Author(author));
    Ok(())
}

fn identify<'a>(shared: &'a Shared, headers: &HeaderMap) -> Result<&'a Identity, Refusal> {
    let refused = |detail| Refusal::new(StatusCode::UNAUTHORIZED, detail);
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else {
        return Err(refused(
            "send `Authorization: Bearer TOKEN` once: the admin's token is HOSTLER_ADMIN_TOKEN of \
             the router's environment, else in admin.token of its data directory",
        ));
    };
    // The scheme's name is case-insensitive (RFC 9110, section 11.1).
    let token = match value.as_bytes().split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
        _ => return Err(refused("only the Bearer scheme is known: `Authorization: Bearer TOKEN`")),
    };
    shared.state.tokens.identify(token).ok_or_else(|| refused("this token is not known here"))
}
