//! Who is called, and how often.
//!
//! Invariants: at most [`MAX_CALLS`] apps are being called for at a time, each at most [`TRIES`]
//! times; before each try the table is asked whether the app still has nobody and where its webhook
//! is; what fails is counted, and said.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::sleep};

use super::webhook::{self, CallError, Reach};
use crate::{
    live::{Inbox, LiveApp, Mail, Reader, Snapshot},
    route::{AppName, DynoState},
    shutdown::Shutdown,
    telemetry::Metrics,
};

/// The most apps that are called for at a time; further ones stay in the mailbox.
const MAX_CALLS: usize = 64;
/// The most calls for one wish.
const TRIES: u32 = 3;
/// The pause before the second call; it doubles.
const PAUSE: Duration = Duration::from_millis(500);

/// What is needed to wake apps.
#[derive(Debug, Clone)]
pub struct Waker {
    /// The table.
    pub reader: Reader<Snapshot>,
    /// The router's own `wake.url`; empty: none.
    pub url: Arc<str>,
    /// Where a webhook may be.
    pub reach: Reach,
    /// Where calls are counted.
    pub metrics: Arc<Metrics>,
}

/// Reads which apps are to be woken until the process ends. What was lost is posted again by who
/// waits.
pub async fn run(waker: Waker, mut wanted: Inbox<AppName>, shutdown: Shutdown) {
    let mut calls = JoinSet::new();
    loop {
        tokio::select! {
            mail = wanted.next(), if calls.len() < MAX_CALLS => match mail {
                Some(Mail::Note(app)) => {
                    let waker = waker.clone();
                    calls.spawn(async move { waker.wake(app).await });
                }
                Some(Mail::Lost(_)) => {}
                None => return,
            },
            Some(_) = calls.join_next() => {}
            () = shutdown.stopped() => return,
        }
    }
}

impl Waker {
    async fn wake(&self, app: AppName) {
        let mut pause = PAUSE;
        for attempt in 1..=TRIES {
            let Some((url, waiting)) = self.asleep(&app) else { return };
            let called = webhook::call(&url, &app, waiting, &self.reach).await;
            let result = if called.is_ok() { "ok" } else { "failed" };
            self.metrics.wake_calls.with_label_values(&[result]).inc();
            let Err(error) = called else { return };
            tell(&app, &url, attempt, &error);
            if attempt < TRIES {
                sleep(pause).await;
                pause *= 2;
            }
        }
    }

    /// Where it is to be said that the app has requests, and how many wait; none if it has dynos,
    /// or is no more.
    fn asleep(&self, app: &AppName) -> Option<(Arc<str>, u32)> {
        let snapshot = self.reader.load();
        let live = snapshot.app(app.as_str()).filter(|live| is_asleep(live))?;
        let own = live.app.settings.own.as_deref();
        let url = own.and_then(|own| own.capacity.wake.url.clone());
        let url = url.unwrap_or_else(|| self.url.clone());
        (!url.is_empty()).then(|| (url, live.cell.queue.waiting()))
    }
}

/// Has the app no dyno that takes requests, or will?
fn is_asleep(live: &LiveApp) -> bool {
    live.dynos.iter().all(|live| live.dyno.state == DynoState::Draining)
}

fn tell(app: &AppName, url: &str, attempt: u32, error: &CallError) {
    tracing::warn!(%app, url, "the app could not be woken (call {attempt} of {TRIES}): {error}");
}
