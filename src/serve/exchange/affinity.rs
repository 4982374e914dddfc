//! The cookie by which a client comes back to its dyno: read from its request, and set in its
//! answer where it has to be.
//!
//! Invariants: whatever a client sends is a cookie that counts, or none; the cookie is set only
//! with an answer of a dyno, and only if the client has none that counts for a dyno that is fit.

use super::Exchange;
use crate::{
    balance::affinity::{Named, VALUE_LEN},
    live::{
        Affinity, Comeback,
        choice::{Asking, Caps},
    },
    route::{CookieSecure, SameSite},
    serve::worker::Worker,
    wire::{
        cookie::{self, OwnCookie, SetCookie},
        head::Fields,
    },
};

/// The value of a cookie.
pub type Value = [u8; VALUE_LEN];

/// What the client's cookie says, if the app has affinity and the client a cookie that counts.
pub fn read(worker: &Worker, head: &[u8], fields: &Fields, exchange: &Exchange) -> Option<Named> {
    let affinity = &exchange.terms.affinity;
    let app = exchange.app.as_ref().filter(|_| affinity.enabled)?;
    let values = cookie::values(head, fields, affinity.cookie.as_bytes());
    affinity.read(&worker.seal, app.app.name.as_str(), values, now_s(worker, exchange))
}

/// What the cookie is to be set to with the answer of the dyno that was leased.
pub fn renew(worker: &Worker, exchange: &Exchange) -> Option<Value> {
    let affinity = &exchange.terms.affinity;
    let lease = exchange.lease.as_ref().filter(|_| affinity.enabled)?;
    let (seal, app, now_s) = (&worker.seal, lease.app(), now_s(worker, exchange));
    let tag = lease.dyno().tag(seal, lease.app_name());
    if let Some(named) = &exchange.named {
        // That the dyno is full passes.
        let (now_ms, caps) = (exchange.began_ms(), Caps::default());
        let asking = Asking { key: None, named: None, tried: &[], now_ms, caps };
        let is_kept = match named.tag == tag {
            true => !affinity.is_stale(named, now_s),
            // Its dyno is fit: only this request went to another.
            false => matches!(
                app.comeback(seal, named.tag, &asking),
                Comeback::To(_) | Comeback::Spared(_)
            ),
        };
        if is_kept {
            return None;
        }
    }
    Some(seal.write(lease.app_name(), Named { tag, issued_s: now_s }))
}

/// The cookie in an answer that sets it to `value`, if to anything.
pub fn own_cookie<'a>(
    affinity: &'a Affinity,
    value: Option<&'a Value>,
    is_secure: bool,
) -> Option<OwnCookie<'a>> {
    let secure = match affinity.secure {
        CookieSecure::Auto => is_secure,
        CookieSecure::Always => true,
        CookieSecure::Never => false,
    };
    let set = |value: &'a Value| SetCookie {
        value,
        path: &affinity.path,
        max_age_s: affinity.age_s(),
        secure,
        http_only: affinity.http_only,
        same_site: match affinity.same_site {
            SameSite::Lax => Some("Lax"),
            SameSite::Strict => Some("Strict"),
            // Browsers refuse the cookie if it is not secure.
            SameSite::None => secure.then_some("None"),
            SameSite::Off => None,
        },
    };
    affinity.enabled.then(|| OwnCookie { name: &affinity.cookie, set: value.map(set) })
}

/// The Unix time of the request in seconds.
fn now_s(worker: &Worker, exchange: &Exchange) -> u32 {
    let now_s = worker.clock.unix_ms(exchange.began_ms()) / 1000;
    u32::try_from(now_s).unwrap_or(u32::MAX)
}
