//! The table: every route, app, dyno and certificate at one revision.
//!
//! An immutable value: a change makes a new one that shares its structure with the old. Hosts name
//! the slot of their app, so a change of an app or its dynos touches that slot and no host.
//! Invariants: a route belongs to one app; every app of a route is in the table; a look-up takes
//! the most specific host that has a matching route (exact, then the longest wildcard suffix), and
//! of its routes the longest path prefix; the digest is that of all objects, each in its canonical
//! form; `owned` of a slot has exactly the hashes of the hosts under which its app has a route, and
//! how many routes those are; each slot below `slots_used` holds an app or is in `free`, once.

use std::{fmt, sync::Arc};

pub use build::{Builder, Piece};

use super::{
    app::{App, AppName},
    canonical::Object,
    certificates::Certificates,
    change::{Change, Conflict, Revision},
    digest::Digest,
    dyno::Dyno,
    host::{Host, HostPattern},
    path::PathPrefix,
    routes::{Added, HashKey, Routes, tries::Tries},
    settings::{AppSettings, RouteSettings},
    slots::{MAX_SLOTS, Slot, Slots},
    trie::{Entry, Trie},
};

/// What names a route: a host, and a path prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteKey {
    /// Exact or wildcard.
    pub host: HostPattern,
    /// [`PathPrefix::ROOT`] where a route has none.
    pub path: PathPrefix,
}

impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host)?;
        if self.path != PathPrefix::ROOT { write!(f, "{}", self.path) } else { Ok(()) }
    }
}

/// How much a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Apps.
    pub apps: usize,
    /// Routes.
    pub routes: usize,
    /// Dynos.
    pub dynos: usize,
    /// Certificates.
    pub certificates: usize,
}

/// Every route, app and dyno at one revision; a clone costs a few pointers.
#[derive(Clone)]
pub struct Table {
    revision: Revision,
    counts: Counts,
    digest: Digest,
    key: HashKey,
    names: Trie<NameEntry>,
    routes: Routes,
    apps: Slots<Arc<App>>,
    /// By slot, what its app owns.
    owned: Slots<Owned>,
    /// A stack of the slots below `slots_used` that hold no app.
    free: Slots<Slot>,
    free_len: u32,
    slots_used: u32,
    certificates: Certificates,
}

/// The slot of an app, under the hash of its name; the name itself is in the slot.
#[derive(Clone)]
struct NameEntry {
    hash: u64,
    slot: Slot,
}

/// What an app owns: the hashes of the hosts under which it has a route, and how many routes.
#[derive(Clone, Default)]
struct Owned {
    hosts: Trie<u64>,
    routes: usize,
}

impl Entry for NameEntry {
    fn hash(&self) -> u64 {
        self.hash
    }
}

impl Entry for u64 {
    fn hash(&self) -> u64 {
        *self
    }
}

impl Default for Table {
    fn default() -> Table {
        Table::new(0)
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Table { revision, counts, .. } = self;
        f.debug_struct("Table").field("revision", revision).field("counts", counts).finish()
    }
}

impl Table {
    /// An empty table at revision 0 whose hashes are keyed with `seed`.
    pub fn new(seed: u64) -> Table {
        let key = HashKey::new(seed);
        Table {
            revision: Revision::default(),
            counts: Counts::default(),
            digest: Digest::default(),
            names: Trie::default(),
            routes: Routes::new(key.clone()),
            certificates: Certificates::new(key.clone()),
            key,
            apps: Slots::default(),
            owned: Slots::default(),
            free: Slots::default(),
            free_len: 0,
            slots_used: 0,
        }
    }

    /// An empty table at revision 0 whose hashes are keyed as here.
    pub fn emptied(&self) -> Table {
        let key = self.key.clone();
        let certificates = Certificates::new(key.clone());
        Table { routes: Routes::new(key.clone()), certificates, key, ..Table::default() }
    }

    /// The revision this table stands at.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Says which revision this table stands at.
    pub fn set_revision(&mut self, revision: Revision) {
        self.revision = revision;
    }

    /// How much is in it.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The digest of all that is in it; see [`super::digest`].
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The app of the most specific route for a host and a path (its query cut off). Uses no heap.
    pub fn find(&self, host: &Host, path: &[u8]) -> Option<Slot> {
        self.routes.find(host, path)
    }

    /// What [`Table::find`] tries, in order: at most `most` routes, and the one that takes the
    /// request.
    pub fn tries(&self, host: &Host, path: &[u8], most: usize) -> Tries {
        self.routes.tries(host, path, most)
    }

    /// The slot of an app.
    pub fn slot(&self, app: &str) -> Option<Slot> {
        let is_it = |e: &NameEntry| self.apps.get(e.slot).is_some_and(|a| a.name.as_str() == app);
        self.names.find(self.key.hash(app.as_bytes()), is_it).map(|entry| entry.slot)
    }

    /// The app of that name.
    pub fn app(&self, name: &str) -> Option<&Arc<App>> {
        self.apps.get(self.slot(name)?)
    }

    /// Every app by its slot.
    pub fn apps(&self) -> &Slots<Arc<App>> {
        &self.apps
    }

    /// Calls `visit(slot, before, now)` for every slot whose app, with its dynos, is another than
    /// in `before`. Costs a look at what stands near those that changed.
    pub fn apps_changed_since(
        &self,
        before: &Table,
        mut visit: impl FnMut(Slot, Option<&Arc<App>>, Option<&Arc<App>>),
    ) {
        self.apps.changed_since(&before.apps, |slot, before, now| {
            if !before.zip(now).is_some_and(|(before, now)| Arc::ptr_eq(before, now)) {
                visit(slot, before, now);
            }
        });
    }

    /// Visits every object, the certificates first, an app before its dynos and routes, for as long
    /// as `visit` answers that it is to go on; answers whether it came to the end. Holds the place
    /// where it is, and pointers to the certificates.
    pub fn each(&self, mut visit: impl FnMut(Object<'_>) -> bool) -> bool {
        let mut certificates: Vec<_> = self.certificates().collect();
        certificates.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        if !certificates.into_iter().all(|certificate| visit(Object::Certificate(certificate))) {
            return false;
        }
        self.apps.iter().all(|(slot, app)| {
            let owned = self.owned.get(slot).into_iter().flat_map(|owned| owned.hosts.iter());
            let mut routes = owned.flat_map(|hash| self.routes.keys(*hash, slot));
            visit(Object::App(&app.name, &app.settings))
                && app.dynos.iter().all(|dyno| visit(Object::Dyno(&app.name, dyno)))
                && routes.all(|key| {
                    let settings = self.route_settings(&key).expect("an owned route is there");
                    visit(Object::Route(&app.name, &key, settings))
                })
        })
    }

    /// The app that owns exactly this route.
    pub fn route(&self, key: &RouteKey) -> Option<&Arc<App>> {
        self.apps.get(self.routes.owner(key)?.0)
    }

    /// The settings of exactly this route.
    pub fn route_settings(&self, key: &RouteKey) -> Option<RouteSettings> {
        self.routes.owner(key).map(|(_, settings)| settings)
    }

    /// The routes of an app, sorted. Costs what the app has.
    pub fn routes_of(&self, app: &str) -> Vec<RouteKey> {
        let Some(slot) = self.slot(app) else { return Vec::new() };
        let hashes = self.owned.get(slot).into_iter().flat_map(|owned| owned.hosts.iter());
        let mut keys: Vec<_> = hashes.flat_map(|hash| self.routes.keys(*hash, slot)).collect();
        keys.sort_unstable();
        keys
    }

    /// Calls `visit(key, is_now)` for every route that an app has in only one of both tables, and
    /// few others, which come once of each. Costs what differs.
    pub fn routes_changed_since(
        &self,
        before: &Table,
        app: &str,
        mut visit: impl FnMut(RouteKey, bool),
    ) {
        let (was, is) = (before.slot(app), self.slot(app));
        self.routes.changed_since(&before.routes, |key, slot, is_now| {
            if Some(slot) == (if is_now { is } else { was }) {
                visit(key, is_now);
            }
        });
    }

    /// How many routes an app has.
    pub fn count_routes(&self, app: &str) -> usize {
        let owned = self.slot(app).and_then(|slot| self.owned.get(slot));
        owned.map_or(0, |owned| owned.routes)
    }

    /// The apps with a route on a host, whatever its path, or on a wildcard that takes the host in,
    /// each with that host or wildcard; an app may be named more than once.
    pub fn owners_around(&self, host: &HostPattern) -> Vec<(HostPattern, &Arc<App>)> {
        let owners = self.routes.owners_around(host);
        owners
            .map(|(host, slot)| (host, self.apps.get(slot).expect("an owner is an app")))
            .collect()
    }

    /// Applies one change to this table in place; other clones of it stay as they are. Answers
    /// whether anything changed. After an error the table is as it was.
    pub fn apply(&mut self, change: &Change) -> Result<bool, Conflict> {
        match change {
            Change::PutApp(name, settings) => self.put_app(name, settings),
            Change::DeleteApp(name) => self.delete_app(name),
            Change::PutRoute(key, name, settings) => self.put_route(key, name, *settings),
            Change::DeleteRoute(key, name) => self.delete_route(key, name),
            Change::PutDyno(name, dyno) => self.put_dyno(name, dyno),
            Change::DeleteDyno(name, dyno) => self.delete_dyno(name, dyno),
            Change::PutCertificate(certificate) => Ok(self.put_certificate(certificate)),
            Change::DeleteCertificate(name) => self.delete_certificate(name),
        }
    }

    fn put_app(&mut self, name: &AppName, settings: &AppSettings) -> Result<bool, Conflict> {
        if let Some(slot) = self.slot(name.as_str()) {
            let stands = &self.at(slot).settings;
            let differs = stands != settings;
            if differs {
                let before = Object::App(name, stands).digest();
                self.replaced(before, Object::App(name, settings));
                self.at_mut(slot).settings = settings.clone();
            }
            return Ok(differs);
        }
        let slot = self.take_slot()?;
        let app = App { name: name.clone(), settings: settings.clone(), dynos: Vec::new() };
        self.apps.set(slot, Some(Arc::new(app)));
        self.owned.set(slot, Some(Owned::default()));
        self.names.insert(NameEntry { hash: self.key.hash(name.as_str().as_bytes()), slot });
        self.counts.apps += 1;
        self.digest.add(Object::App(name, settings).digest());
        Ok(true)
    }

    fn delete_app(&mut self, name: &AppName) -> Result<bool, Conflict> {
        let slot = self.existing(name)?;
        for key in self.routes_of(name.as_str()) {
            let settings = self.route_settings(&key).unwrap_or_default();
            self.digest.subtract(Object::Route(name, &key, settings).digest());
        }
        let app = self.apps.get(slot).cloned().expect("the slot of a name holds its app");
        for dyno in &app.dynos {
            self.digest.subtract(Object::Dyno(name, dyno).digest());
        }
        self.digest.subtract(Object::App(name, &app.settings).digest());
        let owned = self.owned.get(slot).cloned().unwrap_or_default();
        for hash in owned.hosts.iter() {
            self.counts.routes -= self.routes.remove_owned(*hash, slot);
        }
        self.counts.apps -= 1;
        self.counts.dynos -= app.dynos.len();
        self.names.remove(self.key.hash(name.as_str().as_bytes()), |entry| entry.slot == slot);
        self.owned.set(slot, None);
        self.apps.set(slot, None);
        self.free.set(Slot(self.free_len), Some(slot));
        self.free_len += 1;
        Ok(true)
    }

    fn put_route(
        &mut self,
        key: &RouteKey,
        name: &AppName,
        settings: RouteSettings,
    ) -> Result<bool, Conflict> {
        let slot = self.existing(name)?;
        if let Some((owner, stands)) = self.routes.owner(key) {
            if owner != slot {
                let owner = self.at(owner).name.clone();
                return Err(Conflict::RouteTaken { key: key.clone(), owner });
            }
            let differs = stands != settings;
            if differs {
                let before = Object::Route(name, key, stands).digest();
                self.replaced(before, Object::Route(name, key, settings));
                self.routes.set(key, slot, settings);
            }
            return Ok(differs);
        }
        match self.routes.add(key, slot, settings) {
            Added::Yes => {}
            Added::HostFull => return Err(Conflict::HostFull(key.host.clone())),
        }
        let hash = self.routes.hash(&key.host);
        let owned = self.owned.get_mut(slot).expect("an app has a list of its routes");
        if owned.hosts.at(hash).is_empty() {
            owned.hosts.insert(hash);
        }
        owned.routes += 1;
        self.counts.routes += 1;
        self.digest.add(Object::Route(name, key, settings).digest());
        Ok(true)
    }

    fn delete_route(&mut self, key: &RouteKey, name: &AppName) -> Result<bool, Conflict> {
        let named = self.slot(name.as_str());
        let owned = self.routes.owner(key).filter(|(slot, _)| Some(*slot) == named);
        let no_such_route = || Conflict::NoSuchRoute { app: name.clone(), key: key.clone() };
        let (slot, settings) = owned.ok_or_else(no_such_route)?;
        self.routes.remove(key);
        let hash = self.routes.hash(&key.host);
        let owned = self.owned.get_mut(slot).expect("an app has a list of its routes");
        if !self.routes.owns(hash, slot) {
            owned.hosts.remove(hash, |_| true);
        }
        owned.routes -= 1;
        self.counts.routes -= 1;
        self.digest.subtract(Object::Route(name, key, settings).digest());
        Ok(true)
    }

    fn put_dyno(&mut self, name: &AppName, dyno: &Dyno) -> Result<bool, Conflict> {
        let slot = self.existing(name)?;
        let dynos = &self.at(slot).dynos;
        match dynos.binary_search_by(|d| d.name.cmp(&dyno.name)) {
            Ok(at) if *dynos[at] == *dyno => return Ok(false),
            Ok(at) => {
                let before = Object::Dyno(name, &dynos[at]).digest();
                self.replaced(before, Object::Dyno(name, dyno));
                self.at_mut(slot).dynos[at] = Arc::new(dyno.clone());
            }
            Err(at) => {
                self.digest.add(Object::Dyno(name, dyno).digest());
                self.at_mut(slot).dynos.insert(at, Arc::new(dyno.clone()));
                self.counts.dynos += 1;
            }
        }
        Ok(true)
    }

    fn delete_dyno(&mut self, name: &AppName, dyno: &str) -> Result<bool, Conflict> {
        let slot = self.existing(name)?;
        let at = self.at(slot).dynos.binary_search_by(|d| d.name.as_str().cmp(dyno));
        let no_such_dyno = |_| Conflict::NoSuchDyno { app: name.clone(), dyno: dyno.to_owned() };
        let at = at.map_err(no_such_dyno)?;
        let removed = self.at_mut(slot).dynos.remove(at);
        self.digest.subtract(Object::Dyno(name, &removed).digest());
        self.counts.dynos -= 1;
        Ok(true)
    }

    fn replaced(&mut self, before: Digest, by: Object<'_>) {
        self.digest.subtract(before);
        self.digest.add(by.digest());
    }

    fn existing(&self, name: &AppName) -> Result<Slot, Conflict> {
        self.slot(name.as_str()).ok_or_else(|| Conflict::NoSuchApp(name.clone()))
    }

    fn at(&self, slot: Slot) -> &App {
        self.apps.get(slot).expect("a slot that names and routes give holds an app")
    }

    fn at_mut(&mut self, slot: Slot) -> &mut App {
        let app = self.apps.get_mut(slot);
        Arc::make_mut(app.expect("a slot that names and routes give holds an app"))
    }

    /// A slot for a new app: the one that was freed last, else the next one.
    fn take_slot(&mut self) -> Result<Slot, Conflict> {
        if let Some(top) = self.free_len.checked_sub(1) {
            let slot = *self.free.get(Slot(top)).expect("the stack is filled up to its length");
            self.free.set(Slot(top), None);
            self.free_len = top;
            return Ok(slot);
        }
        if self.slots_used == MAX_SLOTS {
            return Err(Conflict::Full);
        }
        self.slots_used += 1;
        Ok(Slot(self.slots_used - 1))
    }
}

mod build;
mod certificates;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
