//! What an app's owner may set of how clients come back to their dyno, as plain values.
//!
//! Invariants: as of all that an app may set; a name or a path is one that a cookie can have.

use std::{sync::Arc, time::Duration};

use super::{Value, words::words};

words! {
    /// Is the cookie for HTTPS alone?
    CookieSecure {
        /// If the request came over it.
        Auto "auto",
        /// Yes.
        Always "always",
        /// No.
        Never "never",
    }
}

words! {
    /// With which requests from other sites the cookie goes along.
    SameSite {
        /// Those of a link that somebody follows.
        Lax "lax",
        /// None.
        Strict "strict",
        /// All of them; browsers want such a cookie to be for HTTPS alone.
        None "none",
        /// Nothing is said.
        Off "off",
    }
}

/// How clients come back to their dyno, where it is otherwise than the router says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnAffinity {
    /// `affinity.enabled`
    pub enabled: Option<bool>,
    /// `affinity.cookie`
    pub cookie: Option<Arc<str>>,
    /// `affinity.age`
    pub age: Option<Duration>,
    /// `affinity.path`
    pub path: Option<Arc<str>>,
    /// `affinity.secure`
    pub secure: Option<CookieSecure>,
    /// `affinity.http_only`
    pub http_only: Option<bool>,
    /// `affinity.same_site`
    pub same_site: Option<SameSite>,
}

impl OwnAffinity {
    /// Those that are there, each with its name.
    pub(super) fn named(&self) -> impl Iterator<Item = (&'static str, Value<'_>)> {
        // Taken apart whole, so that none can be forgotten.
        let OwnAffinity { enabled, cookie, age, path, secure, http_only, same_site } = self;
        [
            ("affinity.enabled", enabled.map(Value::Switch)),
            ("affinity.cookie", cookie.as_deref().map(Value::Text)),
            ("affinity.age", age.map(Value::Time)),
            ("affinity.path", path.as_deref().map(Value::Text)),
            ("affinity.secure", secure.map(|word| Value::Text(word.as_str()))),
            ("affinity.http_only", http_only.map(Value::Switch)),
            ("affinity.same_site", same_site.map(|word| Value::Text(word.as_str()))),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}
