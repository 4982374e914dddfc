//! What runs on the control plane's thread beside the push API: who watches the process, and who
//! wakes apps.
//!
//! Invariant: each ends with the process.

use tokio::task::JoinSet;

use super::Running;
use crate::{
    control::{wake, watch},
    live::Inbox,
    route::AppName,
    serve,
    shutdown::Shutdown,
};

/// What is to run there.
pub struct Beside {
    watched: watch::Watched,
    bounds: watch::Bounds,
    waker: wake::Waker,
    wanted: Inbox<AppName>,
}

impl Beside {
    /// Of what runs, by these settings.
    pub fn new(
        running: &Running,
        settings: &serve::Settings,
        (wanted, reach): (Inbox<AppName>, wake::Reach),
    ) -> Beside {
        let watched = watch::Watched {
            load: running.figures.load.clone(),
            clients: running.figures.clients.clone(),
            pulses: running.figures.pulses.clone(),
            status: running.status.clone(),
            metrics: running.metrics.clone(),
        };
        let bounds = watch::Bounds {
            memory: settings.max_memory,
            stall: settings.timeouts.worker_stall,
            exchanges: settings.max_exchanges,
        };
        let waker = wake::Waker {
            reader: running.reader.clone(),
            url: settings.wake.url.clone(),
            reach,
            metrics: running.metrics.clone(),
        };
        Beside { watched, bounds, waker, wanted }
    }

    /// Starts it.
    pub fn spawn(self, servers: &mut JoinSet<()>, shutdown: &Shutdown) {
        servers.spawn(watch::run(self.watched, self.bounds, shutdown.clone()));
        servers.spawn(wake::run(self.waker, self.wanted, shutdown.clone()));
    }
}
