//! What clients may do, and how much of it each has done: shared by all workers.
//!
//! A client is told from others by its address (IPv6 by its first 64 bits, which is what one
//! customer gets), and by the value of a header that the app's owner names. Invariants: an app
//! without limits costs nothing here; no push resets the figures; all limits are asked before any
//! is used, so that who is refused uses nothing.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use super::{
    cell::AppCell,
    meter::{Allowance, Counts, Place, Rates, Used},
};
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

    /// The limits that there are, in the order in which a request is judged.
    fn each(&self) -> impl Iterator<Item = Limit> + use<'_> {
        self.at_a_time().chain(self.in_a_window())
    }

    fn at_a_time(&self) -> impl Iterator<Item = Limit> + use<'_> {
        self.of(self.concurrency, CONCURRENCY, None)
    }

    fn in_a_window(&self) -> impl Iterator<Item = Limit> + use<'_> {
        self.of(self.rate, RATE, Some(self.window))
    }

    fn of(
        &self,
        each: Each,
        settings: [&'static str; 3],
        window: Option<Duration>,
    ) -> impl Iterator<Item = Limit> + use<> {
        let header = if self.header.is_empty() { 0 } else { each.header };
        let limits = [(Whom::Address, each.address), (Whom::Header, header), (Whom::App, each.app)];
        limits.into_iter().filter(|(_, most)| *most > 0).map(move |(whom, most)| Limit {
            setting: settings[whom as usize],
            whom,
            most,
            window,
        })
    }
}

const CONCURRENCY: [&str; 3] =
    ["limits.concurrency_per_address", "limits.concurrency_per_header", "limits.concurrency"];
const RATE: [&str; 3] = ["limits.rate_per_address", "limits.rate_per_header", "limits.rate"];

/// Who is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    Address,
    Header,
    App,
}

#[derive(Debug, Clone, Copy)]
struct Limit {
    setting: &'static str,
    whom: Whom,
    most: u32,
    /// None: at a time.
    window: Option<Duration>,
}

impl Limit {
    fn allowance(self) -> Option<Allowance> {
        Some(Allowance { most: self.most, window: self.window? })
    }
}

/// For whom a request counts.
#[derive(Debug, Clone)]
pub struct Asker {
    /// Those of its app and address, and of its app and header.
    keys: [u64; 2],
    app: Arc<AppCell>,
}

impl Asker {
    /// The key in the tables that all apps share; none for the app as a whole.
    fn key(&self, whom: Whom) -> Option<u64> {
        self.keys.get(whom as usize).copied()
    }
}

/// Why a client's request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// The first limit that is met, as a fault.
    pub fault: Fault,
    /// How long it takes until there is room, as far as that is known.
    pub wait: Duration,
}

/// After what time somebody may come again who has too many exchanges: nobody knows when they end.
const A_WHILE: Duration = Duration::from_secs(1);

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
    /// Apps as a whole need none of it.
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
    pub fn asker(
        &self,
        name: &str,
        app: &Arc<AppCell>,
        address: IpAddr,
        value: Option<&[u8]>,
    ) -> Asker {
        let keys = [
            self.hasher.hash_one((name, 0, prefix(address))),
            self.hasher.hash_one((name, 1, value)),
        ];
        Asker { keys, app: app.clone() }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// Why it is refused, if it is; then nothing is counted.
    pub fn admit(
        self: &Arc<Self>,
        asker: &Asker,
        limits: &ClientLimits,
        now_ms: u64,
    ) -> Result<Admitted, Refused> {
        let now_ns = to_ns(now_ms);
        let mut refused = None;
        for limit in limits.each() {
            let wait = match limit.allowance() {
                None => (self.at_a_time(asker, limit) >= limit.most).then_some(A_WHILE),
                Some(allowed) => {
                    self.used(asker, limit).and_then(|used| used.wait(allowed, now_ns))
                }
            };
            refused = worse(refused, limit, wait);
        }
        refused.map_or(Ok(()), Err)?;
        // Another may be faster now: then what was taken is given back.
        let mut admitted = Admitted { clients: self.clone(), places: [Place::NONE; 2], app: None };
        for limit in limits.at_a_time() {
            if !admitted.enter(asker, limit) {
                return Err(Refused { fault: Fault::TooManyConcurrent, wait: A_WHILE });
            }
        }
        for (before, limit) in limits.in_a_window().enumerate() {
            if let Err(wait) = self.take(asker, limit, now_ns) {
                for earlier in limits.in_a_window().take(before) {
                    let used = self.used(asker, earlier).zip(earlier.allowance());
                    used.inspect(|(used, allowed)| used.give_back(*allowed));
                }
                return Err(Refused { fault: Fault::RateLimited, wait });
            }
        }
        Ok(admitted)
    }

    fn at_a_time(&self, asker: &Asker, limit: Limit) -> u32 {
        match asker.key(limit.whom) {
            Some(key) => self.exchanges.of(key),
            None => asker.app.meter.exchanges(),
        }
    }

    fn used<'a>(&'a self, asker: &'a Asker, limit: Limit) -> Option<&'a Used> {
        match asker.key(limit.whom) {
            Some(key) => self.rates.known(key),
            None => Some(&asker.app.meter.used),
        }
    }

    fn take(&self, asker: &Asker, limit: Limit, now_ns: u64) -> Result<(), Duration> {
        let Some(allowed) = limit.allowance() else { return Ok(()) };
        let used = match asker.key(limit.whom) {
            Some(key) => self.rates.of(key, allowed, now_ns),
            None => Some(&asker.app.meter.used),
        };
        used.map_or(Ok(()), |used| used.take(allowed, now_ns))
    }

    /// What is left for a request, in the order in which it is judged.
    pub fn left(&self, asker: &Asker, limits: &ClientLimits, now_ms: u64) -> Vec<Left> {
        let of = |limit: Limit| {
            let Limit { setting, most, window, .. } = limit;
            let left = match limit.allowance() {
                None => most.saturating_sub(self.at_a_time(asker, limit)),
                Some(allowed) => {
                    self.used(asker, limit).map_or(most, |used| used.left(allowed, to_ns(now_ms)))
                }
            };
            Left { setting, most, window, left }
        };
        limits.each().map(of).collect()
    }

    /// What the tables had no room for since this was asked last, each with what it was: rates that
    /// were forgotten, exchanges and connections that are not counted.
    pub fn take_uncounted(&self) -> [(&'static str, u64); 3] {
        [
            ("rate", self.rates.take_forgotten()),
            ("exchange", self.exchanges.take_uncounted()),
            ("connection", self.connections.take_uncounted()),
        ]
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

/// What becomes of a request if one more limit lets it wait.
fn worse(refused: Option<Refused>, limit: Limit, wait: Option<Duration>) -> Option<Refused> {
    let Some(wait) = wait else { return refused };
    let fault = match limit.window {
        Some(_) => Fault::RateLimited,
        None => Fault::TooManyConcurrent,
    };
    let refused = refused.unwrap_or(Refused { fault, wait });
    Some(Refused { wait: refused.wait.max(wait), ..refused })
}

/// A request that was counted: its exchange counts for as long as this lasts.
#[derive(Debug)]
pub struct Admitted {
    clients: Arc<Clients>,
    places: [Place; 2],
    app: Option<Arc<AppCell>>,
}

impl Admitted {
    fn enter(&mut self, asker: &Asker, limit: Limit) -> bool {
        match asker.key(limit.whom) {
            Some(key) => {
                let place = self.clients.exchanges.enter(key, limit.most);
                self.places[limit.whom as usize] = place.unwrap_or(Place::NONE);
                place.is_some()
            }
            None => {
                let entered = asker.app.meter.enter(limit.most);
                self.app = entered.then(|| asker.app.clone());
                entered
            }
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.places.iter().for_each(|place| self.clients.exchanges.leave(*place));
        self.app.iter().for_each(|app| app.meter.leave());
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
