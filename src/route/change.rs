//! A change is one edit of the table; a transaction is a list of them, applied whole or not at all.
//!
//! Invariant: a change names its object completely, so that it can be applied to any table without
//! a look at anything else; merge patches are resolved into whole objects before they come here.

use std::sync::Arc;

use super::{
    app::AppName,
    certificate::{CertName, Certificate},
    dyno::Dyno,
    host::HostPattern,
    routes::MAX_PATHS,
    settings::{AppSettings, RouteSettings},
    table::RouteKey,
};

/// The number that every accepted transaction gets: 1, 2, 3 …; 0 is the empty table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of the next transaction.
    pub fn next(self) -> Revision {
        Revision(self.0 + 1)
    }
}

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// One edit of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Makes an app, or replaces its settings; its routes and dynos stay.
    PutApp(AppName, AppSettings),
    /// Removes an app with all its routes and dynos.
    DeleteApp(AppName),
    /// Gives a route to an app, or replaces its settings.
    PutRoute(RouteKey, AppName, RouteSettings),
    /// Takes a route from the app that owns it.
    DeleteRoute(RouteKey, AppName),
    /// Makes a dyno of an app, or replaces it.
    PutDyno(AppName, Dyno),
    /// Removes a dyno, by name.
    DeleteDyno(AppName, String),
    /// Makes a certificate, or replaces it.
    PutCertificate(Arc<Certificate>),
    /// Removes a certificate.
    DeleteCertificate(CertName),
}

/// Why a change cannot be applied to a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// The app that the change names is not in the table.
    #[error("there is no app {0} (PUT /v1/apps/{0} makes it)")]
    NoSuchApp(AppName),
    /// The app has no such route.
    #[error("app {app} has no route {key}")]
    NoSuchRoute {
        /// The app that was named.
        app: AppName,
        /// The route that it does not have.
        key: RouteKey,
    },
    /// The app has no such dyno.
    #[error("app {app} has no dyno {dyno}")]
    NoSuchDyno {
        /// The app that was named.
        app: AppName,
        /// The dyno that it does not have.
        dyno: String,
    },
    /// There is no such certificate.
    #[error("there is no certificate {0} (PUT /v1/certs/{0} makes it)")]
    NoSuchCertificate(CertName),
    /// The route belongs to another app.
    #[error("route {key} belongs to app {owner}: remove it there first")]
    RouteTaken {
        /// The route that was asked for.
        key: RouteKey,
        /// The app that owns it.
        owner: AppName,
    },
    /// The host has as many path prefixes as one may have: see [`super::routes::MAX_PATHS`].
    #[error("{0} has {MAX_PATHS} path prefixes, the most that a host may have: remove some first")]
    HostFull(HostPattern),
    /// The table has no room left: see [`super::slots::MAX_SLOTS`].
    #[error("the table is full")]
    Full,
}
