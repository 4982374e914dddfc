//! What clients may do, and how much of it each has done: shared by all workers.
//!
//! A client is told from others by its address (IPv6 by its first 64 bits, which is what one
//! customer gets), and by the value of a header that the app's owner names. Invariants: an app
//! without limits costs nothing here; the figures are by the app's name, so that no push resets
//! them; a request is counted for whoever is told apart most closely first, so that who is refused
//! for what he alone did uses nothing of the others'.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use super::meter::{Allowance, Counts, Place, Rates};
use crate::{
    error::Fault,
    route::{Network, OwnClientLimits, network},
};

/// Limits of an app's clients. 0 is any number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientLimits {
    /// Networks whose clients are let in; none: all.
    pub allow: Arc<[Network]>,
    /// Networks whose clients are not.
    pub deny: Arc<[Network]>,
    /// Requests in a window.
    pub rate: Each,
    /// How long the window is.
    pub window: Duration,
    /// Exchanges at a time.
    pub concurrency: Each,
    /// The header by whose value clients are told apart, in lower case; empty: none.
    pub header: Arc<str>,
}

/// A limit for each of those that are told apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Each {
    /// The app as a whole.
    pub app: u32,
    /// A client's address.
    pub address: u32,
    /// A value of the header.
    pub header: u32,
}

impl Default for ClientLimits {
    fn default() -> Self {
        ClientLimits {
            allow: Arc::default(),
            deny: Arc::default(),
            rate: Each::default(),
            window: Duration::from_secs(1),
            concurrency: Each::default(),
            header: "".into(),
        }
    }
}

impl ClientLimits {
    /// These, with an app's own in the place of those that it has.
    pub fn with(&self, own: &OwnClientLimits) -> ClientLimits {
        let (rate, concurrency) = (self.rate, self.concurrency);
        ClientLimits {
            allow: own.allow.as_ref().unwrap_or(&self.allow).clone(),
            deny: own.deny.as_ref().unwrap_or(&self.deny).clone(),
            rate: Each {
                app: own.rate.unwrap_or(rate.app),
                address: own.rate_per_address.unwrap_or(rate.address),
                header: own.rate_per_header.unwrap_or(rate.header),
            },
            window: own.rate_window.unwrap_or(self.window),
            concurrency: Each {
                app: own.concurrency.unwrap_or(concurrency.app),
                address: own.concurrency_per_address.unwrap_or(concurrency.address),
                header: own.concurrency_per_header.unwrap_or(concurrency.header),
            },
            header: own.client_header.as_ref().unwrap_or(&self.header).clone(),
        }
    }

    /// Is nothing limited?
    pub fn is_none(&self) -> bool {
        let counts = self.rate == Each::default() && self.concurrency == Each::default();
        counts && self.allow.is_empty() && self.deny.is_empty()
    }

    /// May clients of this address come at all?
    pub fn admits(&self, client: IpAddr) -> bool {
        let is_allowed = self.allow.is_empty() || network::is_within(&self.allow, client);
        is_allowed && !network::is_within(&self.deny, client)
    }

    /// The limits that there are, in the order in which a request is counted.
    fn each(&self) -> impl Iterator<Item = Limit> {
        let kinds = [(self.concurrency, None, CONCURRENCY), (self.rate, Some(self.window), RATE)];
        let has_header = !self.header.is_empty();
        kinds.into_iter().flat_map(move |(each, window, settings)| {
            let header = if has_header { each.header } else { 0 };
            [each.address, header, each.app]
                .into_iter()
                .enumerate()
                .filter(|(_, most)| *most > 0)
                .map(move |(whom, most)| Limit { setting: settings[whom], whom, most, window })
        })
    }
}

const CONCURRENCY: [&str; 3] =
    ["limits.concurrency_per_address", "limits.concurrency_per_header", "limits.concurrency"];
const RATE: [&str; 3] = ["limits.rate_per_address", "limits.rate_per_header", "limits.rate"];

struct Limit {
    setting: &'static str,
    /// Of the keys of an [`Asker`].
    whom: usize,
    most: u32,
    /// None: at a time.
    window: Option<Duration>,
}

/// For whom a request counts: its app and address, its app and header, its app.
#[derive(Debug, Clone, Copy)]
pub struct Asker([u64; 3]);

/// Why a client's request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Too many in the window; so long takes it until there is room.
    Rate(Duration),
    /// Too many at a time.
    Concurrency,
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Fault {
        match refused {
            Refused::Rate(_) => Fault::RateLimited,
            Refused::Concurrency => Fault::TooManyConcurrent,
        }
    }
}

/// What is left of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// The setting that limits.
    pub setting: &'static str,
    /// What it allows.
    pub most: u32,
    /// In how long; none: at a time.
    pub window: Option<Duration>,
    /// How much of it is left.
    pub left: u32,
}

/// What every client of the process has done.
#[derive(Debug)]
pub struct Clients {
    hasher: RandomState,
    rates: Rates,
    exchanges: Counts,
    connections: Counts,
}

impl Clients {
    /// Room for the rates and exchanges of so many clients at a time, and for so many connections.
    pub fn new(clients: usize, connections: usize) -> Clients {
        Clients {
            // Keyed anew by each process: nobody can choose values that meet.
            hasher: RandomState::new(),
            rates: Rates::new(clients),
            exchanges: Counts::new(clients),
            connections: Counts::new(connections),
        }
    }

    /// For whom a request of an app counts: of a client at that address, with that one value of the
    /// header if it has one.
    pub fn asker(&self, app: &str, address: IpAddr, value: Option<&[u8]>) -> Asker {
        Asker([
            self.hasher.hash_one((app, 0, prefix(address))),
            self.hasher.hash_one((app, 1, value)),
            self.hasher.hash_one((app, 2)),
        ])
    }

    /// Counts a request.
    ///
    /// # Errors
    /// Why it is refused, if it is.
    pub fn admit(
        self: &Arc<Self>,
        asker: Asker,
        limits: &ClientLimits,
        now_ms: u64,
    ) -> Result<Admitted, Refused> {
        let mut admitted = Admitted { clients: self.clone(), places: [Place::NONE; 3] };
        for Limit { whom, most, window, .. } in limits.each() {
            let key = asker.0[whom];
            match window {
                None => {
                    let place = self.exchanges.enter(key, most).ok_or(Refused::Concurrency)?;
                    admitted.places[whom] = place;
                }
                Some(window) => {
                    let taken = self.rates.take(key, Allowance { most, window }, to_ns(now_ms));
                    taken.map_err(Refused::Rate)?;
                }
            }
        }
        Ok(admitted)
    }

    /// What is left for a request, in the order in which it would be counted.
    pub fn left(&self, asker: Asker, limits: &ClientLimits, now_ms: u64) -> Vec<Left> {
        let of = |Limit { setting, whom, most, window }| {
            let key = asker.0[whom];
            let left = match window {
                None => most.saturating_sub(self.exchanges.of(key)),
                Some(window) => self.rates.left(key, Allowance { most, window }, to_ns(now_ms)),
            };
            Left { setting, most, window, left }
        };
        limits.each().map(of).collect()
    }

    /// Counts a connection of an address, which may have `most`; none if it has them.
    pub fn connect(self: &Arc<Self>, address: IpAddr, most: u32) -> Option<Connected> {
        let key = self.hasher.hash_one(prefix(address));
        let place = self.connections.enter(key, most)?;
        Some(Connected { clients: self.clone(), place })
    }
}

fn to_ns(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000)
}

/// What one customer has of an address, as a number that no other has.
fn prefix(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits() >> 64 << 64,
    }
}

/// A request that was counted: its exchange counts for as long as this lasts.
#[derive(Debug)]
pub struct Admitted {
    clients: Arc<Clients>,
    places: [Place; 3],
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.places.iter().for_each(|place| self.clients.exchanges.leave(*place));
    }
}

/// A connection that is counted for as long as this lasts.
#[derive(Debug)]
pub struct Connected {
    clients: Arc<Clients>,
    place: Place,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.clients.connections.leave(self.place);
    }
}

#[cfg(test)]
mod tests;
