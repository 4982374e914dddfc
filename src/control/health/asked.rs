//! Who is asked: the dynos of all apps that want it, as the table has them.
//!
//! Invariants: a dyno is asked by one task at a time; what a task found out counts only while its
//! dyno is asked the same: of one that left the table, drains, or is to be asked otherwise the task
//! is aborted as soon as that is published, and its slot is free; a dyno of an app without checks
//! is as one that never was asked.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use tokio::task::{AbortHandle, Id};

use super::{judge::Judge, schedule::Schedule, settings::Checks};
use crate::{
    live::{Cell, LiveApp, LiveDyno, Snapshot, health::Proof},
    route::{AppName, Check, DynoAddr, DynoName, DynoState, Table},
};

/// A dyno that is asked.
pub(super) struct Asked {
    pub cell: Arc<Cell>,
    pub addr: DynoAddr,
    pub checks: Arc<Checks>,
    pub judge: Judge,
    task: Option<AbortHandle>,
}

/// Everybody who is asked.
pub(super) struct All {
    table: Table,
    asked: HashMap<AppName, HashMap<DynoName, Asked>>,
    /// When.
    pub schedule: Schedule<AppName, DynoName>,
    /// Whom each task asks that was not aborted.
    tasks: HashMap<Id, (AppName, DynoName)>,
}

impl All {
    /// Nobody yet, and later so many at a time.
    pub fn new(slots: usize) -> All {
        let schedule = Schedule::new(slots);
        All { table: Table::default(), asked: HashMap::new(), schedule, tasks: HashMap::new() }
    }

    /// One who is asked.
    pub fn get_mut(&mut self, app: &AppName, dyno: &DynoName) -> Option<&mut Asked> {
        self.asked.get_mut(app)?.get_mut(dyno)
    }

    /// Notes that a task asks that one now.
    pub fn begin(&mut self, app: AppName, dyno: DynoName, task: AbortHandle) {
        let id = task.id();
        if let Some(asked) = self.get_mut(&app, &dyno) {
            asked.task = Some(task);
        }
        self.tasks.insert(id, (app, dyno));
    }

    /// That task has ended; answers whom it asked, unless it was aborted.
    pub fn end(&mut self, task: Id) -> Option<(AppName, DynoName)> {
        let (app, dyno) = self.tasks.remove(&task)?;
        if let Some(asked) = self.get_mut(&app, &dyno) {
            asked.task = None;
        }
        Some((app, dyno))
    }

    /// Follows the table: asks who came, and no more who left or wants it no more.
    pub fn follow(&mut self, snapshot: &Snapshot, shared: &Arc<Checks>, now_ms: u64) {
        let before = std::mem::replace(&mut self.table, snapshot.table().clone());
        let mut changed = BTreeSet::new();
        snapshot.table().apps_changed_since(&before, |_, before, now| {
            changed.extend([before, now].into_iter().flatten().map(|app| app.name.clone()));
        });
        for name in changed {
            let app = snapshot.app(name.as_str());
            let own = app.and_then(|app| app.app.settings.own.as_deref());
            let checks = own.map_or_else(|| shared.clone(), |own| Arc::new(shared.with(own)));
            if checks.check != Check::Off || self.asked.contains_key(&name) {
                self.follow_app(&name, app.map(|app| &**app), &checks, now_ms);
            }
        }
    }

    fn follow_app(
        &mut self,
        name: &AppName,
        app: Option<&LiveApp>,
        checks: &Arc<Checks>,
        now_ms: u64,
    ) {
        let mut before = self.asked.remove(name).unwrap_or_default();
        let mut asked = HashMap::new();
        let is_asked =
            |live: &&LiveDyno| checks.check != Check::Off && live.dyno.state == DynoState::Up;
        for live in app.iter().flat_map(|app| app.dynos.iter().filter(is_asked)) {
            let old = before.remove(&live.dyno.name);
            let one = self.follow_dyno(name, live, checks, old, now_ms);
            asked.insert(live.dyno.name.clone(), one);
        }
        for (dyno, old) in before {
            self.forget(name, &dyno, &old);
            // One that drains may come back: what was said of it holds.
            if checks.check == Check::Off {
                old.cell.health.unask(now_ms);
            }
        }
        if !asked.is_empty() {
            self.asked.insert(name.clone(), asked);
        }
    }

    /// Asks a dyno that was asked as `old` before, if it was.
    fn follow_dyno(
        &mut self,
        app: &AppName,
        live: &LiveDyno,
        checks: &Arc<Checks>,
        old: Option<Asked>,
        now_ms: u64,
    ) -> Asked {
        let LiveDyno { dyno, cell } = live;
        let is_same = old.as_ref().is_some_and(|old| Arc::ptr_eq(&old.cell, cell));
        let mut judge = Judge::default();
        if let Some(old) = old {
            if is_same && old.checks == *checks {
                return old;
            }
            if is_same {
                judge = old.judge;
            }
            // Of the same dyno the time holds, unless it is asked more often from now on.
            if !is_same || old.task.is_some() {
                self.forget(app, &dyno.name, &old);
            }
        }
        let wait_ms = match cell.health.proof() {
            Proof::New => 0,
            _ => fastrand::u64(0..=checks.interval.as_millis() as u64),
        };
        self.schedule.add(app, dyno.name.clone(), now_ms + wait_ms);
        let (cell, addr, checks) = (cell.clone(), dyno.addr.clone(), checks.clone());
        Asked { cell, addr, checks, judge, task: None }
    }

    /// What that one is asked, or was to be, is no longer the question.
    fn forget(&mut self, app: &AppName, dyno: &DynoName, old: &Asked) {
        if let Some(task) = &old.task {
            task.abort();
            self.tasks.remove(&task.id());
        }
        self.schedule.remove(app, dyno);
    }
}
