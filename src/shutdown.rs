//! One token for the end of the process, in two steps that never go back: stop accepting and finish
//! what runs (drain), then cut what is left (stop).
//!
//! Invariants: clones share one state; who waits is woken once a step is reached, or at once if it
//! is behind already.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    Draining,
    Stopped,
}

/// Tells every part of the process that it is to end.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<watch::Sender<Phase>>);

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown(Arc::new(watch::Sender::new(Phase::Running)))
    }
}

impl Shutdown {
    /// Begins the drain: nothing new, what runs is finished.
    pub fn drain(&self) {
        self.advance(Phase::Draining);
    }

    /// Cuts what is left.
    pub fn stop(&self) {
        self.advance(Phase::Stopped);
    }

    /// Has the drain begun?
    pub fn is_draining(&self) -> bool {
        *self.0.borrow() >= Phase::Draining
    }

    /// Waits until the drain begins.
    pub async fn draining(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Waits until what is left is to be cut.
    pub async fn stopped(&self) {
        self.reached(Phase::Stopped).await;
    }

    /// Ends the process on SIGTERM and SIGINT: the first begins the drain and stops what is left at
    /// the deadline, a second one stops at once. Returns once it is stopped, whoever stopped it.
    /// `heard` is called as soon as a signal no longer kills the process.
    ///
    /// # Errors
    /// If the signals cannot be heard.
    pub async fn on_signals(&self, deadline: Duration, heard: impl FnOnce()) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        heard();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = self.draining() => {}
        }
        tracing::info!("draining, for at most {deadline:?}");
        self.drain();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = tokio::time::sleep(deadline) => {
                tracing::warn!("the deadline of the drain is over: what still runs is cut");
            }
            () = self.stopped() => {}
        }
        self.stop();
        Ok(())
    }

    fn advance(&self, to: Phase) {
        self.0.send_if_modified(|phase| {
            let later = to > *phase;
            if later {
                *phase = to;
            }
            later
        });
    }

    async fn reached(&self, phase: Phase) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|now| *now >= phase).await;
    }
}
