//! What health is made of: the rules that the cells are judged by, the thread that asks dynos, and
//! the one that tells what becomes of them.
//!
//! Invariant: the router's settings are put together here alone, for workers, prober and explain.

use std::sync::Arc;

use super::{Error, Running, Thread, thread};
use crate::{
    config::Settings,
    control::{
        health::{self, Checks, Notices, Prober},
        hub::Hub,
    },
    live::{
        HealthRules, Inbox, Registry,
        health::{Note, Notes},
    },
    route::Check,
    wire::load,
};

/// Where workers tell of dynos, and where that is read.
pub type Told = (Arc<Notes>, Inbox<Note>);

/// Where the cells of dynos come from, and where what becomes of them is told.
pub fn registry(settings: &Settings) -> (Registry, Told) {
    let (notes, inbox) = Notes::new();
    let rules = HealthRules {
        quarantine: settings.serve.dynos.quarantine,
        is_checked: settings.health.checks.check != Check::Off,
        ..settings.serve.health
    };
    let registry = Registry::new(&settings.serve.balance).with_room(settings.max_figures);
    (registry.with_health(rules, notes.clone()), (notes, inbox))
}

impl Running {
    /// Starts the threads of health: the checks, and the notices.
    pub(super) fn start_health(
        &self,
        settings: &Settings,
        (notes, inbox): Told,
        hub: &Hub,
    ) -> Result<(Thread, Thread), Error> {
        let dynos = &settings.serve.dynos;
        let checks = Checks {
            protocol: dynos.protocol,
            tls: dynos.tls,
            tls_name: dynos.tls_name.clone(),
            proxy_protocol: dynos.proxy_protocol,
            ..settings.health.checks.clone()
        };
        let notices = Notices {
            inbox,
            notes,
            reader: self.reader.clone(),
            feed: hub.feed().clone(),
            metrics: self.metrics.clone(),
            began: self.began,
        };
        let prober = Prober {
            checks: Arc::new(checks),
            max_probes: settings.health.max_probes,
            reader: self.reader.clone(),
            revisions: hub.feed().subscribe(),
            dialer: self.dialer.clone(),
            read_load: load::read,
            metrics: self.metrics.clone(),
            began: self.began,
            shutdown: self.shutdown.clone(),
        };
        let checks = thread("health".into(), &self.shutdown, move || health::run(prober))?;
        let shutdown = self.shutdown.clone();
        let told = move || notices.run(&shutdown);
        Ok((checks, thread("notices".into(), &self.shutdown, told)?))
    }
}
