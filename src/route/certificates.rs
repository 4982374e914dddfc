//! The certificates of a table, by name.
//!
//! Invariants: a clone costs a few pointers and an edit little more, however many there are; the
//! digest of all of them is kept up by the table, not here; a name is there once.

use std::sync::Arc;

use super::{
    certificate::Certificate,
    routes::HashKey,
    trie::{Entry, Trie},
};

/// Certificates by name; structure is shared between revisions.
#[derive(Clone)]
pub(super) struct Certificates {
    key: HashKey,
    by_name: Trie<Named>,
}

/// A certificate under the hash of its name.
#[derive(Clone)]
struct Named {
    hash: u64,
    certificate: Arc<Certificate>,
}

impl Entry for Named {
    fn hash(&self) -> u64 {
        self.hash
    }
}

impl Certificates {
    pub fn new(key: HashKey) -> Certificates {
        Certificates { key, by_name: Trie::default() }
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Certificate>> {
        let is_it = |named: &Named| named.certificate.name.as_str() == name;
        let found = self.by_name.find(self.key.hash(name.as_bytes()), is_it);
        found.map(|named| &named.certificate)
    }

    /// Puts a certificate; answers the one that it replaces.
    pub fn put(&mut self, certificate: Arc<Certificate>) -> Option<Arc<Certificate>> {
        let replaced = self.remove(certificate.name.as_str());
        let hash = self.key.hash(certificate.name.as_str().as_bytes());
        self.by_name.insert(Named { hash, certificate });
        replaced
    }

    pub fn remove(&mut self, name: &str) -> Option<Arc<Certificate>> {
        let removed = self.get(name).cloned()?;
        let hash = self.key.hash(name.as_bytes());
        self.by_name.remove(hash, |named| named.certificate.name.as_str() == name);
        Some(removed)
    }

    /// Every one, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        self.by_name.iter().map(|named| &named.certificate)
    }

    /// Are they the same for certain? Looks at no certificate.
    pub fn same_as(&self, other: &Certificates) -> bool {
        self.by_name.is_same(&other.by_name)
    }
}
