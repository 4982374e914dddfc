//! Routes that are gathered to be put into a table at once.
//!
//! Put one by one, each copies the leaf in which it comes to stand; here they are sorted by the
//! hash of their hosts, and each leaf is made once.
//! Invariants: the outcome is that of [`Routes::add`] of each; a route that was gathered twice is
//! refused, whoever owns it.

use super::{HostEntry, HostPattern, MAX_PATHS, Owner, Owners, PathPrefix, Routes};
use crate::route::{RouteKey, RouteSettings, Slot, trie::Trie};

/// Routes in no order.
#[derive(Default)]
pub(in crate::route) struct Gathered {
    /// Each with one route, until they are put.
    entries: Vec<HostEntry>,
}

/// Why gathered routes cannot be put.
pub(in crate::route) enum Refused {
    /// This one is there twice; the first is that of the slot.
    Twice(RouteKey, Slot),
    /// The host has more than [`MAX_PATHS`] prefixes.
    HostFull(HostPattern),
}

impl Gathered {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds a route.
    pub fn add(&mut self, routes: &Routes, key: RouteKey, slot: Slot, settings: RouteSettings) {
        let hash = routes.hash(&key.host);
        let (HostPattern::Exact(host) | HostPattern::Wildcard(host)) = key.host;
        let owners = Owners::of_one(key.path, Owner::new(slot, settings));
        self.entries.push(HostEntry { hash, host, owners });
    }
}

impl Routes {
    /// Puts all that was gathered where nothing is yet; calls `own` for each route with its slot
    /// and the hash of its host.
    pub fn fill(
        &mut self,
        gathered: Gathered,
        mut own: impl FnMut(Slot, u64),
    ) -> Result<(), Refused> {
        let Gathered { mut entries } = gathered;
        entries.sort_unstable_by(|one, other| {
            let by_hash = one.hash.cmp(&other.hash);
            by_hash.then_with(|| (&one.host, one.path()).cmp(&(&other.host, other.path())))
        });
        let mut shared = Vec::new();
        for of_host in entries.chunk_by(HostEntry::is_same_host) {
            self.count_wildcard(&of_host[0].pattern(), 1);
            of_host.iter().flat_map(HostEntry::owned).for_each(|(slot, hash)| own(slot, hash));
            if of_host.len() > 1 {
                shared.push(joined(of_host)?);
            }
        }
        entries.dedup_by(|later, former| former.is_same_host(later));
        let mut shared = shared.into_iter().peekable();
        for entry in &mut entries {
            if let Some(joined) = shared.next_if(|joined| joined.is_same_host(entry)) {
                *entry = joined;
            }
        }
        self.hosts = Trie::of_sorted(&entries);
        Ok(())
    }
}

/// One entry for the routes of one host, sorted by their paths.
fn joined(of_host: &[HostEntry]) -> Result<HostEntry, Refused> {
    let (hash, host) = (of_host[0].hash, of_host[0].host.clone());
    if let Some(pair) = of_host.windows(2).find(|pair| pair[0].path() == pair[1].path()) {
        let slot = pair[0].owned().next().expect("an entry has a route").0;
        let path = pair[0].path().clone();
        return Err(Refused::Twice(RouteKey { host: pair[0].pattern(), path }, slot));
    }
    if of_host.len() > MAX_PATHS {
        return Err(Refused::HostFull(of_host[0].pattern()));
    }
    let all = of_host.iter().flat_map(|entry| entry.owners.all());
    let owners = Owners::from_iter(all.map(|(path, owner)| (path.clone(), owner)));
    Ok(HostEntry { hash, host, owners: owners.expect("a host is gathered with a route") })
}

impl HostEntry {
    fn is_same_host(&self, other: &HostEntry) -> bool {
        self.hash == other.hash && self.host == other.host
    }

    /// The path of its first route.
    fn path(&self) -> &PathPrefix {
        self.owners.all().next().expect("an entry has a route").0
    }

    fn owned(&self) -> impl Iterator<Item = (Slot, u64)> {
        self.owners.all().map(|(_, owner)| (owner.slot(), self.hash))
    }
}
