//! What every call passes, before anything else is read of it.
//!
//! * A web page must not be able to drive the API on a listener that only its reader's machine can
//!   reach. It holds no token, which keeps it out already; as a second lock, a request with an
//!   `Origin` (every cross-site call that a browser makes with a method other than GET or HEAD, and
//!   every one made by a script) is refused, and no answer ever allows a page to read it. The
//!   `Host` header is not judged: the API may well be reached through a router, under any name.
//! * The token is asked for, its rate, and whether it allows what the path needs, in this order.
//!
//! Invariant: the admin's own token has no rate, so that nothing keeps the admin out.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{
    paths::Need,
    problem::{REVISION, Refusal},
    router::Shared,
    tokens::{ADMIN, Holder},
};
use crate::control::{clock::now_ms, feed::Speaker};

/// What is known of a connection before anything is read of it.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    /// The address of the socket that it came from.
    pub(super) addr: SocketAddr,
    /// The subject of the client's certificate, if it proved itself with one.
    pub(super) certificate: Option<Arc<str>>,
}

impl Remote {
    /// From where, for the history: the address, and the certificate if there was one.
    fn told(&self) -> String {
        let address = self.addr.ip().to_canonical();
        match &self.certificate {
            Some(subject) => format!("{address} ({subject})"),
            None => address.to_string(),
        }
    }
}

/// Who calls, and from where.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) holder: Arc<Holder>,
    pub(super) address: Option<String>,
}

impl Caller {
    /// Who speaks for a router by this call.
    pub(super) fn speaker(&self) -> Speaker<'_> {
        let token = Some(self.holder.id.as_str()).filter(|id| *id != ADMIN);
        Speaker { token, address: self.address.as_deref() }
    }

    /// Refuses if the token was revoked, or has ended, since the call began.
    pub(super) fn check_again(&self) -> Result<(), Refusal> {
        self.holder.check(now_ms()).map_err(|denied| Refusal::unauthorized(denied.to_string()))
    }
}

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
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let need = Need::of(matched, request.method());
    let settings = &shared.state.settings;
    if need == Need::Nothing || need == Need::Metrics && settings.metrics_without_token {
        return Ok(());
    }
    let holder = identify(shared, request.headers())?;
    if holder.id != ADMIN {
        holder.take_call(settings.rate, Instant::now()).map_err(Refusal::too_fast)?;
    }
    need.check(holder.grant.scopes(), request.uri())
        .map_err(|missing| Refusal::scope(&missing, &holder))?;
    let remote = request.extensions().get::<Remote>();
    let address = remote.map(Remote::told);
    request.extensions_mut().insert(Caller { holder, address });
    Ok(())
}

fn identify(shared: &Shared, headers: &HeaderMap) -> Result<Arc<Holder>, Refusal> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else {
        return Err(Refusal::unauthorized(
            "send `Authorization: Bearer TOKEN` once: the admin's token is HOSTLER_ADMIN_TOKEN of \
             the router's environment, else in admin.token of its data directory",
        ));
    };
    // The scheme's name is case-insensitive (RFC 9110, section 11.1).
    let token = match value.as_bytes().split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
        _ => {
            let detail = "only the Bearer scheme is known: `Authorization: Bearer TOKEN`";
            return Err(Refusal::unauthorized(detail));
        }
    };
    let denied = |denied: super::tokens::Denied| Refusal::unauthorized(denied.to_string());
    shared.state.tokens.identify(token, now_ms()).map_err(denied)
}
