//! The certificates that a listener can prove itself with, by the names that they cover.
//!
//! A value like the table: a change makes a new one that shares with the old all but the shards
//! that it touches, so that one renewed certificate of ten thousand costs microseconds. Invariants:
//! a name's own certificates come before those of its wildcard, which covers one label (RFC 9525,
//! section 6.3); of several for one name the cheapest to prove comes first that the client can
//! check, then those that have ended, and last those that are yet to begin; a key is read when it
//! is first needed, and kept for as long as its certificate; one without its key is not here.

use std::{
    cmp::Reverse,
    collections::{HashMap, hash_map::RandomState},
    fmt,
    hash::BuildHasher,
    sync::{Arc, OnceLock},
    time::{SystemTime, UNIX_EPOCH},
};

use rustls::{
    Error, SignatureScheme,
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::CertifiedKey,
};

use super::{certificate, identity};
use crate::route::{Certificate, CoveredHost, KeyKind};

/// Over how many shards the names are spread.
const SHARDS: usize = 256;

/// What a listener proves itself with: a chain, and the key of its first certificate.
pub struct Credential {
    source: Source,
    certified: OnceLock<Option<Arc<CertifiedKey>>>,
}

enum Source {
    Pushed(Arc<Certificate>),
    Files(Option<certificate::Facts>),
}

/// Where a certificate is in its time, the better ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Time {
    Valid,
    Ended,
    Future,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("hosts", &self.hosts()).finish_non_exhaustive()
    }
}

impl Credential {
    fn pushed(certificate: Arc<Certificate>) -> Credential {
        Credential { source: Source::Pushed(certificate), certified: OnceLock::new() }
    }

    /// One of files; nothing is known of it that proves nothing, or cannot be read.
    pub(super) fn of_files(
        facts: Option<certificate::Facts>,
        certified: Arc<CertifiedKey>,
    ) -> Credential {
        Credential { source: Source::Files(facts), certified: OnceLock::from(Some(certified)) }
    }

    fn hosts(&self) -> &[CoveredHost] {
        match &self.source {
            Source::Pushed(certificate) => &certificate.hosts,
            Source::Files(facts) => facts.as_ref().map_or(&[], |facts| &facts.hosts),
        }
    }

    /// Does it cover a host, in lower case and without a port?
    pub fn covers(&self, host: &str) -> bool {
        let suffix = below(host).map(|suffix| &suffix[1..]);
        self.hosts().iter().any(|covered| match covered {
            CoveredHost::Exact(name) => name.as_str() == host,
            CoveredHost::Wildcard(name) => suffix == Some(name.as_str()),
        })
    }

    /// It with its key; none if that cannot be used.
    pub(super) fn certified(&self) -> Option<&Arc<CertifiedKey>> {
        let Source::Pushed(certificate) = &self.source else {
            return self.certified.get()?.as_ref();
        };
        let read = || match read(certificate) {
            Ok(certified) => Some(Arc::new(certified)),
            Err(error) => {
                let name = certificate.name.as_str();
                tracing::error!(name, %error, "a certificate cannot be used");
                None
            }
        };
        self.certified.get_or_init(read).as_ref()
    }

    fn is(&self, other: &Arc<Certificate>) -> bool {
        matches!(&self.source, Source::Pushed(certificate) if Arc::ptr_eq(certificate, other))
    }

    /// When it begins and when it ends, in seconds since the Unix epoch.
    fn validity(&self) -> (u64, u64) {
        match &self.source {
            Source::Pushed(certificate) => (certificate.not_before_s, certificate.not_after_s),
            Source::Files(None) => (0, u64::MAX),
            Source::Files(Some(facts)) => (seconds(facts.not_before), seconds(facts.not_after)),
        }
    }

    fn time(&self, now_s: u64) -> Time {
        let (from, to) = self.validity();
        match now_s {
            now if now < from => Time::Future,
            now if now > to => Time::Ended,
            _ => Time::Valid,
        }
    }

    /// Has it begun, and not ended?
    pub(super) fn is_valid(&self, now_s: u64) -> bool {
        self.time(now_s) == Time::Valid
    }

    /// How dear it is to prove, and of equal ones which has less time left.
    fn order(&self) -> impl Ord + use<> {
        let kind = match &self.source {
            Source::Pushed(certificate) => certificate.key_kind,
            Source::Files(_) => KeyKind::Ed25519,
        };
        let dear = match kind {
            KeyKind::Ecdsa(256) => 0,
            KeyKind::Ed25519 => 1,
            KeyKind::Ecdsa(384) => 2,
            KeyKind::Rsa(_) => 3,
            KeyKind::Ecdsa(_) => 4,
        };
        (dear, Reverse(self.validity().1))
    }
}

/// A time in seconds since the Unix epoch; 0 for what lies before.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn read(certificate: &Certificate) -> Result<CertifiedKey, Error> {
    let general = |error: &str| Error::General(error.to_owned());
    let chain = certificate.chain.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
    let key = certificate.key.der.as_deref().ok_or_else(|| general("its key is not at hand"))?;
    let key = PrivateKeyDer::try_from(key.to_vec()).map_err(general)?;
    CertifiedKey::from_der(chain, key, &identity::provider())
}

/// Under what a covered host is kept: `*.a.test` under `.a.test`, which is no host.
fn key_of(host: &CoveredHost) -> Box<str> {
    match host {
        CoveredHost::Exact(host) => host.as_str().into(),
        CoveredHost::Wildcard(suffix) => format!(".{suffix}").into(),
    }
}

/// The key of the wildcard that covers a host.
fn below(host: &str) -> Option<&str> {
    host.find('.').filter(|dot| *dot > 0).map(|dot| &host[dot..])
}

type Shard = HashMap<Box<str>, Box<[Arc<Credential>]>>;

/// Every certificate, by name.
#[derive(Clone)]
pub struct Certificates {
    shards: Vec<Arc<Shard>>,
    hasher: RandomState,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates")
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Certificates { shards: vec![Arc::default(); SHARDS], hasher: RandomState::new() }
    }
}

impl Certificates {
    /// Adds one, if its key is at hand.
    pub fn put(&mut self, certificate: &Arc<Certificate>) {
        if !certificate.is_usable() {
            return;
        }
        let credential = Arc::new(Credential::pushed(certificate.clone()));
        for host in &certificate.hosts {
            self.edit(host, |all| {
                all.push(credential.clone());
                all.sort_by_key(|one| one.order());
            });
        }
    }

    /// Takes one out.
    pub fn remove(&mut self, certificate: &Arc<Certificate>) {
        for host in &certificate.hosts {
            self.edit(host, |all| all.retain(|one| !one.is(certificate)));
        }
    }

    fn edit(&mut self, host: &CoveredHost, edit: impl FnOnce(&mut Vec<Arc<Credential>>)) {
        let key = key_of(host);
        let place = self.place(&key);
        let shard = Arc::make_mut(&mut self.shards[place]);
        let mut all = shard.remove(&key).unwrap_or_default().into_vec();
        edit(&mut all);
        if !all.is_empty() {
            shard.insert(key, all.into());
        }
    }

    /// Is there one that covers a host, in lower case and without a port?
    pub fn cover(&self, host: &str) -> bool {
        !self.own(host).is_empty() || !self.wildcard(host).is_empty()
    }

    /// The one to prove to be `host` with, to a client that can check those signatures.
    pub(super) fn choose(
        &self,
        host: &str,
        schemes: &[SignatureScheme],
        now_s: u64,
    ) -> Option<&Arc<Credential>> {
        let can_check = |credential: &&Arc<Credential>| {
            credential.certified().is_some_and(|own| own.key.choose_scheme(schemes).is_some())
        };
        let all = || self.own(host).iter().chain(self.wildcard(host));
        [Time::Valid, Time::Ended, Time::Future].into_iter().find_map(|time| {
            all().filter(|credential| credential.time(now_s) == time).find(can_check)
        })
    }

    fn own(&self, name: &str) -> &[Arc<Credential>] {
        self.shards[self.place(name)].get(name).map_or(&[], |all| all)
    }

    fn wildcard(&self, host: &str) -> &[Arc<Credential>] {
        below(host).map_or(&[], |name| self.own(name))
    }

    fn place(&self, name: &str) -> usize {
        self.hasher.hash_one(name) as usize % SHARDS
    }
}

#[cfg(test)]
mod tests;
