//! What a look-up tries, one by one: for whoever asks why a request goes where it goes.
//!
//! Invariants: the order is that of [`Routes::find`], and the last try took the request exactly if
//! that finds a route, which is then the same; never on the path of a request, whose look-up
//! searches where this one lists.

use std::{cmp::Reverse, iter};

use super::Routes;
use crate::route::{Host, HostPattern, PathPrefix, Slot, path};

/// One route that a look-up tried, or one host without any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    /// The host of the request, or a wildcard that takes it in.
    pub host: HostPattern,
    /// A path prefix of that host, with its owner; none if the host has no route.
    pub route: Option<(PathPrefix, Slot)>,
    /// Does the route take the request? No other is tried then.
    pub took: bool,
}

/// What a look-up tried, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tries {
    /// As many as were asked for, and the one that took the request.
    pub listed: Vec<Try>,
    /// How many more there were before that one.
    pub omitted: usize,
}

impl Routes {
    /// What [`Routes::find`] tries: at most `most` routes, and the one that takes the request.
    pub fn tries(&self, host: &Host, path: &[u8], most: usize) -> Tries {
        let path = path::normalise(path);
        let mut tries = Tries::default();
        for pattern in patterns(host) {
            let name = super::name_of(&pattern).as_bytes();
            let Some(entry) = self.entry(self.key.pattern(&pattern), name) else {
                tries.add(Try { host: pattern, route: None, took: false }, most);
                continue;
            };
            let mut routes: Vec<_> = entry.owners.all().collect();
            routes.sort_by_key(|(prefix, _)| Reverse(prefix.bytes().len()));
            for (prefix, owner) in routes {
                let took = prefix.matches(&path);
                let route = Some((prefix.clone(), owner.slot()));
                tries.add(Try { host: pattern.clone(), route, took }, most);
                if took {
                    return tries;
                }
            }
        }
        tries
    }
}

impl Tries {
    fn add(&mut self, one: Try, most: usize) {
        if one.took || self.listed.len() < most {
            self.listed.push(one);
        } else {
            self.omitted += 1;
        }
    }
}

/// The host, and every wildcard that may take it in, the deepest first; an IP address has none.
fn patterns(host: &Host) -> impl Iterator<Item = HostPattern> {
    let dots = host.as_str().match_indices('.');
    let wildcards =
        dots.filter_map(|(dot, _)| HostPattern::parse(&format!("*{}", &host.as_str()[dot..])).ok());
    iter::once(HostPattern::Exact(host.clone())).chain(wildcards)
}
