//! How a dyno is met: what a connection to it belongs to beside its cell.
//!
//! Invariants: a connection is used again only for the same name; one that began with a client's
//! address is not used again at all; a plain way costs nothing to find.

use std::{net::SocketAddr, sync::Arc};

use crate::{
    route::{DynoProtocol, ProxyHeader},
    serve::{edge::link::Link, settings::Dynos},
};

/// The first label of a name that stands for the app's.
const APP: &str = "{app}";

/// How a dyno is met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// What is spoken.
    pub protocol: DynoProtocol,
    /// By TLS, and the name that the dyno must prove to have.
    pub name: Option<Arc<str>>,
    /// The client and what it connected to, which the dyno is told first.
    pub proxy: Option<(SocketAddr, SocketAddr)>,
}

impl Way {
    /// The way to the dynos of an app, for a client's connection.
    pub fn of(dynos: &Dynos, app: &str, link: &Link) -> Way {
        Way {
            protocol: dynos.protocol,
            name: dynos.tls.then(|| name(&dynos.tls_name, app)),
            proxy: (dynos.proxy_protocol == ProxyHeader::V2).then(|| (link.from(), link.to())),
        }
    }
}

fn name(pattern: &Arc<str>, app: &str) -> Arc<str> {
    match pattern.strip_prefix(APP) {
        Some(rest) => format!("{app}{rest}").into(),
        None => pattern.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_apps_own_unless_it_is_stated() {
        assert_eq!(&*name(&"{app}.internal".into(), "blog"), "blog.internal");
        assert_eq!(&*name(&"{app}".into(), "blog"), "blog");
        assert_eq!(&*name(&"x.test".into(), "blog"), "x.test");
    }
}
