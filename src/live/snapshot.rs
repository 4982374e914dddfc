//! A table with the cell of each dyno, replaced as one value.
//!
//! Invariants: `apps` and the table have the same slots; a dyno that both the old and the new table
//! have, with the same name, address and release, has the same cell in both; advancing costs what
//! changed, not what the table holds, and a change of certificates a look at each of them.

use std::sync::Arc;

use super::{
    abreast::Rows,
    balance::Balancing,
    cell::{AppCell, Cell, Drained},
    health::{HealthRules, Note, Notes},
    registry::{CellKey, Registry},
    swap::Reader,
    whole::Whole,
};
use crate::{
    route::{App, Certificate, Dyno, DynoState, Host, Slot, Slots, Table},
    tls::{Certificates, Names},
};

/// A dyno and its live state.
#[derive(Debug, Clone)]
pub struct LiveDyno {
    /// What was pushed.
    pub dyno: Arc<Dyno>,
    /// What is known of it.
    pub cell: Arc<Cell>,
}

/// An app, its live state, and its dynos with theirs.
#[derive(Debug)]
pub struct LiveApp {
    /// What was pushed.
    pub app: Arc<App>,
    /// What is known of the app as a whole.
    pub cell: Arc<AppCell>,
    /// Its dynos, sorted by name.
    pub dynos: Box<[LiveDyno]>,
    /// How they are chosen.
    pub balancing: Arc<Balancing>,
    /// When they count as ill.
    pub health: Arc<HealthRules>,
    /// What the control plane is told of them.
    pub notes: Arc<Notes>,
    /// What the dynos are on the whole.
    pub(super) whole: Whole,
    /// What each has in flight, side by side, where the least is wanted of all.
    pub(super) rows: Option<Rows>,
}

/// The table and the cells at one revision.
#[derive(Debug, Clone)]
pub struct Snapshot {
    table: Table,
    apps: Slots<Arc<LiveApp>>,
    certificates: Arc<Certificates>,
}

impl Snapshot {
    /// A snapshot of a table, all cells new.
    pub fn new(table: Table, registry: &Registry) -> Snapshot {
        let apps = Slots::default();
        let empty = Snapshot { table: Table::default(), apps, certificates: Arc::default() };
        empty.advance(table, registry)
    }

    /// The snapshot of the next table: apps and dynos that did not change keep their state.
    pub fn advance(&self, table: Table, registry: &Registry) -> Snapshot {
        let mut apps = self.apps.clone();
        table.apps_changed_since(&self.table, |slot, _, now| {
            // An app that was removed and made again within one step may stand in another slot.
            let old = now.and_then(|app| self.app(app.name.as_str()));
            apps.set(slot, now.map(|app| Arc::new(LiveApp::follow(app, old, registry))));
            if let Some(gone) = self.apps.get(slot) {
                gone.depart_without(table.app(gone.app.name.as_str()), registry);
            }
        });
        let certificates = self.follow_certificates(&table);
        Snapshot { table, apps, certificates }
    }

    /// Calls those that wait for dynos of apps that changed since `before`.
    pub fn call_waiting(&self, before: &Snapshot) {
        self.table.apps_changed_since(&before.table, |slot, _, _| {
            if let Some(app) = before.apps.get(slot) {
                app.cell.queue.call();
            }
        });
    }

    /// The certificates of the next table: a key that was read already is not read again.
    fn follow_certificates(&self, table: &Table) -> Arc<Certificates> {
        if table.certificates_same_as(&self.table) {
            return self.certificates.clone();
        }
        let differs = |certificate: &&Arc<Certificate>, from: &Table| {
            let there = from.certificate(certificate.name.as_str());
            there.is_none_or(|there| !Arc::ptr_eq(there, certificate))
        };
        let mut certificates = Certificates::clone(&self.certificates);
        for gone in self.table.certificates().filter(|gone| differs(gone, table)) {
            certificates.remove(gone);
        }
        for new in table.certificates().filter(|new| differs(new, &self.table)) {
            certificates.put(new);
        }
        Arc::new(certificates)
    }

    /// What a listener can prove itself with.
    pub fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
    }

    /// The table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The app that owns a host and a path.
    pub fn find(&self, host: &Host, path: &[u8]) -> Option<&Arc<LiveApp>> {
        self.apps.get(self.table.find(host, path)?)
    }

    /// The app in a slot.
    pub fn at(&self, slot: Slot) -> Option<&Arc<LiveApp>> {
        self.apps.get(slot)
    }

    /// The app of that name.
    pub fn app(&self, name: &str) -> Option<&Arc<LiveApp>> {
        self.apps.get(self.table.slot(name)?)
    }
}

impl Names for Reader<Snapshot> {
    fn certificates(&self) -> Arc<Certificates> {
        self.load().certificates.clone()
    }
}

impl LiveApp {
    /// The dyno of that name.
    pub fn dyno(&self, name: &str) -> Option<&LiveDyno> {
        let at = self.dynos.binary_search_by(|live| live.dyno.name.as_str().cmp(name));
        Some(&self.dynos[at.ok()?])
    }

    fn follow(app: &Arc<App>, old: Option<&Arc<LiveApp>>, registry: &Registry) -> LiveApp {
        let health = registry.health(app);
        let live = |dyno: &Arc<Dyno>| {
            let kept = old.and_then(|old| old.same(dyno));
            let was_up = kept
                .as_ref()
                .is_some_and(|(_, before)| matches!(before, DynoState::Up | DynoState::Draining));
            let new = || registry.arrive(&CellKey::new(&app.name, dyno));
            let cell = kept.map_or_else(new, |(cell, _)| cell);
            if dyno.state == DynoState::Up && !was_up && registry.now_ms() > 0 {
                cell.health.arrive(registry.now_ms(), &health);
            }
            let drains = dyno.state == DynoState::Draining;
            cell.set_draining(drains.then(|| Drained {
                notes: registry.notes().clone(),
                note: Note::Emptied(app.name.clone(), dyno.name.clone()),
            }));
            LiveDyno { dyno: dyno.clone(), cell }
        };
        if let Some(old) = old.filter(|old| app.dynos.is_empty() && !old.dynos.is_empty()) {
            old.cell.asked.forget();
        }
        let dynos: Box<[LiveDyno]> = app.dynos.iter().map(live).collect();
        let balancing = registry.balancing(app, old.map(|old| &**old));
        let rows = balancing.is_of_least().then(|| Rows::of(&dynos, &balancing.plan));
        LiveApp {
            app: app.clone(),
            cell: old.map_or_else(|| registry.app(), |old| old.cell.clone()),
            dynos,
            balancing,
            health: health.clone(),
            notes: registry.notes().clone(),
            whole: Whole::default(),
            rows,
        }
    }

    /// The cell of this dyno and its state, if name, address and release are the same here.
    fn same(&self, dyno: &Dyno) -> Option<(Arc<Cell>, DynoState)> {
        let mine = self.dyno(dyno.name.as_str())?;
        is_same(&mine.dyno, dyno).then(|| (mine.cell.clone(), mine.dyno.state))
    }

    /// Registers the cells that are here and not with the app as it is next.
    fn depart_without(&self, next: Option<&Arc<App>>, registry: &Registry) {
        for LiveDyno { dyno, cell } in &self.dynos {
            let stays = next.and_then(|next| next.dyno(dyno.name.as_str()));
            if stays.is_none_or(|stays| !is_same(stays, dyno)) {
                registry.depart(CellKey::new(&self.app.name, dyno), cell);
            }
        }
    }
}

/// Do two dynos of one app and name share their cell?
fn is_same(one: &Dyno, other: &Dyno) -> bool {
    one.addr == other.addr && one.release == other.release
}
