//! The cells of dynos that left the table while they still had exchanges, and what all apps have
//! in common.
//!
//! A dyno that stays in the table hands its cell on from snapshot to snapshot. One that leaves and
//! comes back (a push that was turned back, a flapping registration) must find its old cell, with
//! what is still in flight on it, for as long as anybody holds that cell.
//! Invariants: never on the path of a request; holds no cell alive; bounded by the number of cells
//! that are still held elsewhere.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use dashmap::DashMap;

use super::{
    LiveApp,
    balance::{Balance, Balancing},
    cell::{AppCell, Cell},
    health::{HealthRules, Notes},
    stats::Room,
};
use crate::route::{App, AppName, Dyno, DynoAddr, DynoName};

/// What a cell belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CellKey {
    app: AppName,
    dyno: DynoName,
    addr: DynoAddr,
    release: Arc<str>,
}

impl CellKey {
    /// The key of a dyno of an app.
    pub fn new(app: &AppName, dyno: &Dyno) -> CellKey {
        CellKey {
            app: app.clone(),
            dyno: dyno.name.clone(),
            addr: dyno.addr.clone(),
            release: dyno.release.clone(),
        }
    }
}

/// Cells without a dyno in the table.
#[derive(Debug)]
pub struct Registry {
    departed: DashMap<CellKey, Weak<Cell>>,
    /// For the figures of all apps and dynos.
    room: Arc<Room>,
    /// How the dynos of every app are chosen that has it no other way.
    common: Arc<Balancing>,
    /// The health rules of every app that has no other.
    health: Arc<HealthRules>,
    notes: Arc<Notes>,
    now_ms: AtomicU64,
}

impl Default for Registry {
    fn default() -> Self {
        Registry::new(&Balance::default())
    }
}

impl Registry {
    /// One without cells, for apps that choose their dynos so unless they say otherwise, and that
    /// have no figures.
    pub fn new(balance: &Balance) -> Registry {
        Registry {
            departed: DashMap::new(),
            room: Arc::default(),
            common: Arc::new(Balancing::common(balance)),
            health: Arc::default(),
            notes: Arc::default(),
            now_ms: AtomicU64::new(0),
        }
    }

    /// This, with room for so many apps' and dynos' figures.
    pub fn with_room(self, figures: usize) -> Registry {
        Registry { room: Arc::new(Room::new(figures)), ..self }
    }

    /// The cell of an app that enters the table.
    pub fn app(&self) -> Arc<AppCell> {
        Arc::new(AppCell::new(self.room.clone()))
    }

    /// The same, with these health rules, where that is told what is to be told.
    pub fn with_health(self, health: HealthRules, notes: Arc<Notes>) -> Registry {
        Registry { health: Arc::new(health), notes, ..self }
    }

    /// When dynos of an app count as ill.
    pub fn health(&self, app: &App) -> Arc<HealthRules> {
        let Some(own) = app.settings.own.as_deref() else { return self.health.clone() };
        let health = self.health.with(own);
        if health == *self.health { self.health.clone() } else { Arc::new(health) }
    }

    /// Where the control plane is told.
    pub fn notes(&self) -> &Arc<Notes> {
        &self.notes
    }

    /// What is new comes at `now_ms`. Until this is said nothing is: a router that starts knows no
    /// new dynos.
    pub fn set_now(&self, now_ms: u64) {
        self.now_ms.store(now_ms, Relaxed);
    }

    /// When what is new comes; 0: nothing is.
    pub fn now_ms(&self) -> u64 {
        self.now_ms.load(Relaxed)
    }

    /// How the dynos of an app are chosen, that was `old` before.
    pub fn balancing(&self, app: &App, old: Option<&LiveApp>) -> Arc<Balancing> {
        Balancing::of(app, &self.common, old)
    }

    /// Notes the cell of a dyno that leaves the table, if somebody still holds it.
    pub fn depart(&self, key: CellKey, cell: &Arc<Cell>) {
        cell.set_retired(true);
        if cell.in_flight() > 0 {
            self.departed.insert(key, Arc::downgrade(cell));
        }
    }

    /// The cell of a dyno that enters the table: its old one if it is still held, else a new one.
    pub fn arrive(&self, key: &CellKey) -> Arc<Cell> {
        let old = if self.departed.is_empty() { None } else { self.departed.remove(key) };
        let cell = old.and_then(|(_, cell)| cell.upgrade()).unwrap_or_default();
        cell.set_retired(false);
        cell
    }

    /// Forgets the cells that nobody holds any more.
    pub fn sweep(&self) {
        self.departed.retain(|_, cell| cell.strong_count() > 0);
    }

    /// How many departed cells are known.
    pub fn len(&self) -> usize {
        self.departed.len()
    }

    /// Is none known?
    pub fn is_empty(&self) -> bool {
        self.departed.is_empty()
    }
}
