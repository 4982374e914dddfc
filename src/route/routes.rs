//! The routes of a table: which slot owns a host and a path.
//!
//! Exact hosts and wildcards stand in one [`Trie`], apart by the last bit of their hash, which says
//! which of the two an entry is. An entry holds the slot itself where the host has a single route
//! without a prefix, as nearly all have, and else a sorted list of prefixes.
//! Invariants: an entry has at least one route; a host's prefixes are sorted, each once, at most
//! [`MAX_PATHS`]; `depths` counts the wildcards by the labels of their suffix, so that a request
//! looks only for suffixes of a depth that exists; a look-up uses no heap.

use std::{hash::Hasher, sync::Arc};

use foldhash::{SharedSeed, quality::FoldHasher};

use super::{
    host::{Host, HostPattern},
    path::{NormalHead, PathPrefix},
    settings::RouteSettings,
    slots::{MAX_SLOTS, Slot},
    table::RouteKey,
    trie::{Entry, Trie},
};

pub(super) mod gather;
pub mod tries;

/// The most path prefixes of one host, which an edit of one of them copies.
pub const MAX_PATHS: usize = 4096;

/// One more than the most labels of a host: 127 of one byte each.
const DEPTHS: usize = 128;

/// The key of every hash of one table.
#[derive(Clone)]
pub(super) struct HashKey {
    seed: u64,
    shared: SharedSeed,
}

impl HashKey {
    pub fn new(seed: u64) -> HashKey {
        // The two parts of the key must not follow from each other by what foldhash does with one.
        HashKey {
            seed: seed.rotate_left(32) ^ 0x6a09_e667_f3bc_c908,
            shared: SharedSeed::from_u64(seed),
        }
    }

    pub fn hash(&self, bytes: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        hasher.write(bytes);
        hasher.finish()
    }

    /// The hash of an exact host: an even number.
    fn exact(&self, host: &[u8]) -> u64 {
        self.hash(host) & !1
    }

    /// The hash of the wildcard before a suffix: an odd number.
    fn wildcard(&self, suffix: &[u8]) -> u64 {
        self.hash(suffix) | 1
    }

    /// The hash under which the routes of a host stand.
    pub fn pattern(&self, pattern: &HostPattern) -> u64 {
        match pattern {
            HostPattern::Exact(host) => self.exact(host.as_bytes()),
            HostPattern::Wildcard(suffix) => self.wildcard(suffix.as_bytes()),
        }
    }
}

/// A host, or the suffix of a wildcard, with its routes.
#[derive(Clone)]
struct HostEntry {
    hash: u64,
    host: Host,
    owners: Owners,
}

impl Entry for HostEntry {
    fn hash(&self) -> u64 {
        self.hash
    }
}

#[derive(Clone)]
enum Owners {
    /// The owner of every path.
    Whole(Owner),
    /// The owner of each prefix, sorted by the prefix's bytes.
    Paths(Arc<[(PathPrefix, Owner)]>),
}

/// The slot that owns a route, and in the bit that no slot needs what the route is set to: a
/// million plain routes take no more room for what few of them have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owner(u32);

impl Owner {
    const PROTECTED: u32 = 1 << 31;

    fn new(slot: Slot, settings: RouteSettings) -> Owner {
        const { assert!(MAX_SLOTS <= Owner::PROTECTED) };
        Owner(slot.0 | if settings.protected { Owner::PROTECTED } else { 0 })
    }

    fn slot(self) -> Slot {
        Slot(self.0 & !Owner::PROTECTED)
    }

    fn settings(self) -> RouteSettings {
        RouteSettings { protected: self.0 & Owner::PROTECTED != 0 }
    }
}

/// What became of a route that was to be added.
pub(super) enum Added {
    Yes,
    /// The host has [`MAX_PATHS`] prefixes.
    HostFull,
}

/// Every route of a table.
#[derive(Clone)]
pub(super) struct Routes {
    key: HashKey,
    hosts: Trie<HostEntry>,
    depths: Arc<[u32; DEPTHS]>,
    /// Bit `n` is set where `depths[n]` is not 0.
    depths_used: u128,
}

impl Routes {
    pub fn new(key: HashKey) -> Routes {
        Routes { key, hosts: Trie::default(), depths: Arc::new([0; DEPTHS]), depths_used: 0 }
    }

    /// The owner of the most specific route: the exact host, then the longest suffix, and of each
    /// the longest prefix. A host none of whose prefixes takes the path is passed over.
    pub fn find(&self, host: &Host, path: &[u8]) -> Option<Slot> {
        let mut path = NormalHead::new(path);
        let name = host.as_bytes();
        if let Some(entry) = self.hosts.find(self.key.exact(name), |entry| entry.host == *host) {
            let owner = entry.owners.find(&mut path);
            if owner.is_some() {
                return owner;
            }
        }
        if self.depths_used == 0 {
            return None;
        }
        let mut depth = labels(name);
        let dots = name.iter().enumerate().filter(|(_, b)| **b == b'.').map(|(at, _)| at);
        dots.map(|dot| &name[dot + 1..]).find_map(|suffix| {
            depth -= 1;
            if self.depths_used & (1 << depth) == 0 {
                return None;
            }
            self.entry(self.key.wildcard(suffix), suffix)?.owners.find(&mut path)
        })
    }

    /// The owner of exactly this route, and its settings.
    pub fn owner(&self, key: &RouteKey) -> Option<(Slot, RouteSettings)> {
        let hash = self.key.pattern(&key.host);
        let entry = self.entry(hash, name_of(&key.host).as_bytes())?;
        let (_, owner) = entry.owners.all().find(|(path, _)| **path == key.path)?;
        Some((owner.slot(), owner.settings()))
    }

    /// Every owner of a route on a host, and of one on a wildcard that takes the host in, each with
    /// that host or wildcard.
    pub fn owners_around(&self, host: &HostPattern) -> impl Iterator<Item = (HostPattern, Slot)> {
        let name = name_of(host).as_bytes();
        let on = self.entry(self.key.pattern(host), name);
        let dots = name.iter().enumerate().filter(|(_, b)| **b == b'.').map(|(at, _)| at);
        let suffixes = dots.map(|dot| &name[dot + 1..]);
        let above = suffixes.filter_map(|s| self.entry(self.key.wildcard(s), s));
        on.into_iter().chain(above).flat_map(|entry| {
            let owners = entry.owners.all();
            owners.map(|(_, owner)| (entry.pattern(), owner.slot()))
        })
    }

    /// Adds a route that nobody owns.
    pub fn add(&mut self, key: &RouteKey, slot: Slot, settings: RouteSettings) -> Added {
        let owner = Owner::new(slot, settings);
        let hash = self.key.pattern(&key.host);
        let host = name_of(&key.host);
        if let Some(entry) = self.entry(hash, host.as_bytes()) {
            let Some(owners) = entry.owners.with(&key.path, owner) else { return Added::HostFull };
            self.set_owners(hash, host, owners);
            return Added::Yes;
        }
        let owners = Owners::of_one(key.path.clone(), owner);
        self.hosts.insert(HostEntry { hash, host: host.clone(), owners });
        self.count_wildcard(&key.host, 1);
        Added::Yes
    }

    /// Gives a route that is there settings.
    pub fn set(&mut self, key: &RouteKey, slot: Slot, settings: RouteSettings) {
        let hash = self.key.pattern(&key.host);
        let host = name_of(&key.host);
        let Some(entry) = self.entry(hash, host.as_bytes()) else { return };
        let others = entry.owners.without(|path, _| *path == key.path);
        let put = (key.path.clone(), Owner::new(slot, settings));
        let owners = match others {
            Some(others) => others.with(&put.0, put.1),
            None => Some(Owners::of_one(put.0, put.1)),
        };
        self.set_owners(hash, host, owners.expect("a host keeps as many routes as it had"));
    }

    /// Removes a route that is there.
    pub fn remove(&mut self, key: &RouteKey) {
        let hash = self.key.pattern(&key.host);
        let host = name_of(&key.host);
        let Some(entry) = self.entry(hash, host.as_bytes()) else { return };
        self.keep(hash, host.clone(), entry.owners.without(|path, _| *path == key.path));
    }

    /// Removes the routes of a slot under a hash, and says how many there were.
    pub fn remove_owned(&mut self, hash: u64, slot: Slot) -> usize {
        let owned: Vec<_> =
            self.owned(hash, slot).map(|e| (e.host.clone(), e.owners.clone())).collect();
        let mut removed = 0;
        for (host, owners) in owned {
            removed += owners.all().filter(|(_, owner)| owner.slot() == slot).count();
            self.keep(hash, host, owners.without(|_, owner| owner.slot() == slot));
        }
        removed
    }

    /// The hash under which the routes of a host stand.
    pub fn hash(&self, pattern: &HostPattern) -> u64 {
        self.key.pattern(pattern)
    }

    /// Does the slot own a route under this hash?
    pub fn owns(&self, hash: u64, slot: Slot) -> bool {
        self.owned(hash, slot).next().is_some()
    }

    /// The routes of a slot under a hash.
    pub fn keys(&self, hash: u64, slot: Slot) -> impl Iterator<Item = RouteKey> {
        self.owned(hash, slot).flat_map(move |entry| {
            let own = entry.owners.all().filter(move |(_, owner)| owner.slot() == slot);
            own.map(|(path, _)| RouteKey { host: entry.pattern(), path: path.clone() })
        })
    }

    /// Calls `visit(key, slot, is_now)` for every route that only one of both has, or another owns,
    /// and few others, which come once of each.
    pub fn changed_since(&self, before: &Routes, mut visit: impl FnMut(RouteKey, Slot, bool)) {
        self.hosts.changed_since(&before.hosts, |entry, is_now| {
            for (path, owner) in entry.owners.all() {
                let key = RouteKey { host: entry.pattern(), path: path.clone() };
                visit(key, owner.slot(), is_now);
            }
        });
    }

    fn owned(&self, hash: u64, slot: Slot) -> impl Iterator<Item = &HostEntry> {
        let owns =
            move |entry: &&HostEntry| entry.owners.all().any(|(_, owner)| owner.slot() == slot);
        self.hosts.at(hash).iter().filter(owns)
    }

    fn entry(&self, hash: u64, host: &[u8]) -> Option<&HostEntry> {
        self.hosts.find(hash, |entry| entry.host.as_bytes() == host)
    }

    fn set_owners(&mut self, hash: u64, host: &Host, owners: Owners) {
        let entry = self.hosts.get_mut(hash, |entry| entry.host == *host);
        entry.expect("the host has an entry").owners = owners;
    }

    /// Leaves a host these owners, or removes it if none are left.
    fn keep(&mut self, hash: u64, host: Host, owners: Option<Owners>) {
        match owners {
            Some(owners) => self.set_owners(hash, &host, owners),
            None => {
                self.hosts.remove(hash, |entry| entry.host == host);
                if hash & 1 == 1 {
                    self.count_wildcard(&HostPattern::Wildcard(host), -1);
                }
            }
        }
    }

    fn count_wildcard(&mut self, pattern: &HostPattern, by: i32) {
        let HostPattern::Wildcard(suffix) = pattern else { return };
        let depth = labels(suffix.as_bytes());
        let count = &mut Arc::make_mut(&mut self.depths)[depth];
        *count = count.checked_add_signed(by).expect("each wildcard is counted once");
        let bit = 1 << depth;
        self.depths_used =
            if *count > 0 { self.depths_used | bit } else { self.depths_used & !bit };
    }
}

impl HostEntry {
    fn pattern(&self) -> HostPattern {
        let host = self.host.clone();
        if self.hash & 1 == 1 { HostPattern::Wildcard(host) } else { HostPattern::Exact(host) }
    }
}

impl Owners {
    /// The owner of the longest prefix that takes the path.
    fn find(&self, path: &mut NormalHead<'_>) -> Option<Slot> {
        match self {
            Owners::Whole(owner) => Some(owner.slot()),
            Owners::Paths(paths) => longest(paths, path.get()),
        }
    }

    fn all(&self) -> impl Iterator<Item = (&PathPrefix, Owner)> {
        const WHOLE: &PathPrefix = &PathPrefix::ROOT;
        let (whole, paths) = match self {
            Owners::Whole(owner) => (Some((WHOLE, *owner)), &[][..]),
            Owners::Paths(paths) => (None, &paths[..]),
        };
        whole.into_iter().chain(paths.iter().map(|(path, owner)| (path, *owner)))
    }

    fn of_one(path: PathPrefix, owner: Owner) -> Owners {
        if path == PathPrefix::ROOT {
            return Owners::Whole(owner);
        }
        Owners::Paths([(path, owner)].into())
    }

    /// These and one more; nothing if they are [`MAX_PATHS`] already.
    fn with(&self, path: &PathPrefix, owner: Owner) -> Option<Owners> {
        let all = || self.all().map(|(path, owner)| (path.clone(), owner));
        if all().count() >= MAX_PATHS {
            return None;
        }
        let before = all().filter(|(p, _)| p.bytes() < path.bytes());
        let behind = all().filter(|(p, _)| p.bytes() > path.bytes());
        Owners::from_iter(before.chain(std::iter::once((path.clone(), owner))).chain(behind))
    }

    /// These but for some; nothing if none are left.
    fn without(&self, gone: impl Fn(&PathPrefix, Owner) -> bool) -> Option<Owners> {
        let left = self.all().filter(|(path, owner)| !gone(path, *owner));
        Owners::from_iter(left.map(|(path, owner)| (path.clone(), owner)))
    }

    fn from_iter(sorted: impl Iterator<Item = (PathPrefix, Owner)>) -> Option<Owners> {
        let paths: Arc<[(PathPrefix, Owner)]> = sorted.collect();
        match &paths[..] {
            [] => None,
            [(path, owner)] if *path == PathPrefix::ROOT => Some(Owners::Whole(*owner)),
            _ => Some(Owners::Paths(paths)),
        }
    }
}

/// The owner of the longest prefix that takes a normalised path.
///
/// A prefix P that takes the path sorts before it, and whatever sorts between the two begins with
/// P. So the last prefix that does not sort behind the path either takes it or shares P with it,
/// and then P is found in the same way in what they share, cut back to a segment border.
fn longest(sorted: &[(PathPrefix, Owner)], path: &[u8]) -> Option<Slot> {
    let mut head = path;
    loop {
        let end = sorted.partition_point(|(prefix, _)| prefix.bytes() <= head);
        let (prefix, owner) = sorted[..end].last()?;
        if prefix.matches(path) {
            return Some(owner.slot());
        }
        let shared = prefix.bytes().iter().zip(head).take_while(|(a, b)| a == b).count();
        // The border is at `shared` itself, or where the last slash before it begins a segment.
        let on_border = path.get(shared).is_none_or(|b| *b == b'/');
        let border = || path[..shared].iter().rposition(|b| *b == b'/').unwrap_or(0);
        head = &path[..if on_border { shared } else { border() }];
    }
}

fn labels(host: &[u8]) -> usize {
    host.iter().filter(|b| **b == b'.').count() + 1
}

/// The host of a pattern, or its suffix.
fn name_of(pattern: &HostPattern) -> &Host {
    match pattern {
        HostPattern::Exact(host) | HostPattern::Wildcard(host) => host,
    }
}
