//! The table as its definition reads: two lists and a scan of all of them for each question.
//!
//! What the real table is compared with, by the tests beside it and by the fuzz target `table`,
//! which includes this file. Invariant: nothing here is shared with the table but plain values.

use std::sync::Arc;

use crate::route::{
    App, AppName, Certificate, Change, Conflict, Counts, Digest, Host, HostPattern, Object,
    RouteKey, RouteSettings, Table, path,
};

/// Apps in the order they came, and every route with its owner.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub certificates: Vec<Arc<Certificate>>,
    pub apps: Vec<App>,
    pub routes: Vec<(RouteKey, AppName, RouteSettings)>,
}

impl Model {
    /// Does what [`Table::apply`] says it does.
    pub fn apply(&mut self, change: &Change) -> Result<bool, Conflict> {
        match change {
            Change::PutApp(name, settings) => match self.app_mut(name) {
                Ok(app) if app.settings == *settings => return Ok(false),
                Ok(app) => app.settings = settings.clone(),
                Err(_) => self.apps.push(App {
                    name: name.clone(),
                    settings: settings.clone(),
                    dynos: Vec::new(),
                }),
            },
            Change::DeleteApp(name) => {
                self.app_mut(name)?;
                self.apps.retain(|app| app.name != *name);
                self.routes.retain(|(_, owner, _)| owner != name);
            }
            Change::PutRoute(key, name, settings) => {
                self.app_mut(name)?;
                if let Some(owner) = self.owner(key).cloned() {
                    let taken = Conflict::RouteTaken { key: key.clone(), owner: owner.clone() };
                    if owner != *name {
                        return Err(taken);
                    }
                    let route = self.routes.iter_mut().find(|(k, ..)| k == key).unwrap();
                    return Ok(std::mem::replace(&mut route.2, *settings) != *settings);
                }
                self.routes.push((key.clone(), name.clone(), *settings));
            }
            Change::DeleteRoute(key, name) => {
                if self.owner(key) != Some(name) {
                    return Err(Conflict::NoSuchRoute { app: name.clone(), key: key.clone() });
                }
                self.routes.retain(|(k, ..)| k != key);
            }
            Change::PutDyno(name, dyno) => {
                let dynos = &mut self.app_mut(name)?.dynos;
                if dynos.iter().any(|d| **d == *dyno) {
                    return Ok(false);
                }
                dynos.retain(|d| d.name != dyno.name);
                dynos.push(Arc::new(dyno.clone()));
                dynos.sort_by(|a, b| a.name.cmp(&b.name));
            }
            Change::DeleteDyno(name, dyno) => {
                let dynos = &mut self.app_mut(name)?.dynos;
                let before = dynos.len();
                dynos.retain(|d| d.name.as_str() != dyno);
                if dynos.len() == before {
                    return Err(Conflict::NoSuchDyno { app: name.clone(), dyno: dyno.clone() });
                }
            }
            Change::PutCertificate(certificate) => {
                if self.certificates.contains(certificate) {
                    return Ok(false);
                }
                self.certificates.retain(|stands| stands.name != certificate.name);
                self.certificates.push(certificate.clone());
            }
            Change::DeleteCertificate(name) => {
                let before = self.certificates.len();
                self.certificates.retain(|stands| stands.name != *name);
                if self.certificates.len() == before {
                    return Err(Conflict::NoSuchCertificate(name.clone()));
                }
            }
        }
        Ok(true)
    }

    /// The app of the most specific of all routes that take this host and path.
    pub fn find(&self, host: &Host, path: &[u8]) -> Option<&AppName> {
        let path = path::normalise(path);
        let taking = self.routes.iter().filter_map(|(key, owner, _)| {
            let specific = match &key.host {
                HostPattern::Exact(exact) => (exact == host).then_some(usize::MAX)?,
                HostPattern::Wildcard(suffix) => {
                    let end = format!(".{suffix}");
                    host.as_str().ends_with(&end).then_some(end.len())?
                }
            };
            key.path.matches(&path).then_some(((specific, key.path.as_str().len()), owner))
        });
        taking.max_by_key(|(rank, _)| *rank).map(|(_, owner)| owner)
    }

    /// Panics unless the table holds exactly what this holds and answers alike.
    pub fn check(&self, table: &Table, requests: &[(Host, Vec<u8>)]) {
        let dynos = self.apps.iter().map(|app| app.dynos.len()).sum();
        let (routes, certificates) = (self.routes.len(), self.certificates.len());
        let counts = Counts { apps: self.apps.len(), routes, dynos, certificates };
        assert_eq!(table.counts(), counts);
        assert_eq!(table.digest(), self.digest());
        assert_eq!(table.apps().iter().count(), self.apps.len());
        assert_eq!(table.certificates().count(), self.certificates.len());
        for certificate in &self.certificates {
            assert_eq!(table.certificate(certificate.name.as_str()), Some(certificate));
        }
        for app in &self.apps {
            assert_eq!(table.app(app.name.as_str()).map(|a| &**a), Some(app));
            let own = self.routes.iter().filter(|(_, owner, _)| *owner == app.name);
            let mut keys: Vec<RouteKey> = own.map(|(key, ..)| key.clone()).collect();
            keys.sort();
            assert_eq!(table.count_routes(app.name.as_str()), keys.len());
            assert_eq!(table.routes_of(app.name.as_str()), keys);
        }
        for (key, owner, settings) in &self.routes {
            assert_eq!(table.route(key).map(|app| &app.name), Some(owner));
            assert_eq!(table.route_settings(key), Some(*settings));
            let mut around = table.owners_around(&key.host);
            around.sort_by(|a, b| (&a.0, &a.1.name).cmp(&(&b.0, &b.1.name)));
            let around: Vec<_> = around.iter().map(|(host, app)| (host, &app.name)).collect();
            assert_eq!(around, self.owners_around(&key.host), "{}", key.host);
        }
        for (host, path) in requests {
            let found = table.find(host, path).and_then(|slot| table.apps().get(slot));
            let text = String::from_utf8_lossy(path);
            assert_eq!(found.map(|app| &app.name), self.find(host, path), "{host}{text}");
            check_tries(table, host, path);
        }
    }

    /// The owners of every route whose host is this one, or a wildcard that takes it in.
    fn owners_around(&self, host: &HostPattern) -> Vec<(&HostPattern, &AppName)> {
        let (HostPattern::Exact(name) | HostPattern::Wildcard(name)) = host;
        let is_around = |other: &HostPattern| match other {
            HostPattern::Wildcard(suffix) => name.as_str().ends_with(&format!(".{suffix}")),
            HostPattern::Exact(_) => false,
        };
        let around = self.routes.iter().filter(|(k, ..)| k.host == *host || is_around(&k.host));
        let mut around: Vec<_> = around.map(|(key, owner, _)| (&key.host, owner)).collect();
        around.sort();
        around
    }

    /// The sum over every object, in the order in which they came.
    fn digest(&self) -> Digest {
        let mut sum = Digest::default();
        let apps = self.apps.iter().map(|app| Object::App(&app.name, &app.settings));
        let routes = self.routes.iter().map(|(key, app, own)| Object::Route(app, key, *own));
        let dynos = self.apps.iter().flat_map(|app| app.dynos.iter().map(|d| (&app.name, d)));
        let dynos = dynos.map(|(app, dyno)| Object::Dyno(app, dyno));
        let certificates = self.certificates.iter().map(|of| Object::Certificate(of));
        let all = apps.chain(routes).chain(dynos).chain(certificates);
        all.for_each(|object| sum.add(object.digest()));
        sum
    }

    fn owner(&self, key: &RouteKey) -> Option<&AppName> {
        self.routes.iter().find(|(k, ..)| k == key).map(|(_, owner, _)| owner)
    }

    fn app_mut(&mut self, name: &AppName) -> Result<&mut App, Conflict> {
        let app = self.apps.iter_mut().find(|app| app.name == *name);
        app.ok_or_else(|| Conflict::NoSuchApp(name.clone()))
    }
}

/// Panics unless what a look-up tries ends with what it finds.
fn check_tries(table: &Table, host: &Host, path: &[u8]) {
    let tries = table.tries(host, path, usize::MAX);
    let (last, before) = tries.listed.split_last().expect("the host itself is always tried");
    let found = last.took.then(|| last.route.as_ref().expect("a route took it").1);
    assert_eq!(found, table.find(host, path), "{host}: {tries:?}");
    assert!(before.iter().all(|one| !one.took) && tries.omitted == 0, "{host}: {tries:?}");
    let few = table.tries(host, path, 1);
    assert_eq!(few.listed.len() + few.omitted, tries.listed.len(), "{host}");
    assert_eq!(few.listed.iter().any(|one| one.took), last.took, "{host}: {few:?}");
}
