//! Tells what workers find out about dynos: in the log, in the metrics, on the feed.
//!
//! Invariants: a note says where to look, and what is told is what is found there; notes that were
//! lost are made up for by a look at every app, and none of them is missing in a count; an app's
//! panic is told when it begins and when it ends, whether or not there is a request to notice
//! either.

use std::{
    collections::BTreeSet,
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::time::{MissedTickBehavior, interval};

use crate::{
    control::{
        feed::{DynoEvent, Feed},
        priority,
    },
    live::{
        Inbox, LiveApp, Mail, Reader, Snapshot,
        health::{Note, Notes},
    },
    route::{AppName, DynoName, DynoState},
    shutdown::Shutdown,
    telemetry::Metrics,
};

/// How often an app that is in panic is looked at again.
const LOOK: Duration = Duration::from_secs(1);

/// What reads the notes, and whom it tells.
pub struct Notices {
    /// Where the notes come from.
    pub inbox: Inbox<Note>,
    /// Where they are posted, and counted.
    pub notes: Arc<Notes>,
    /// What is served.
    pub reader: Reader<Snapshot>,
    /// Whose readers are told.
    pub feed: Arc<Feed>,
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
    /// The zero of the cells' clock.
    pub began: Instant,
}

impl Notices {
    /// Reads, and tells, on this thread until the process ends.
    ///
    /// # Errors
    /// If the runtime cannot be made.
    pub fn run(self, shutdown: &Shutdown) -> io::Result<()> {
        priority::give_way();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(self.serve(shutdown));
        Ok(())
    }

    async fn serve(mut self, shutdown: &Shutdown) {
        let mut panicking = BTreeSet::new();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.stopped() => return,
                mail = self.inbox.next() => {
                    let Some(mail) = mail else { return };
                    let ejections = &self.metrics.dyno_ejections;
                    ejections.inc_by(self.notes.ejections() - ejections.get());
                    match mail {
                        Mail::Note(note) => self.tell(note, &mut panicking),
                        Mail::Lost(count) => self.make_up(count, &mut panicking),
                    }
                }
                _ = looks.tick(), if !panicking.is_empty() => {
                    for app in panicking.clone() {
                        self.look(&app, &mut panicking);
                    }
                }
            }
        }
    }

    fn tell(&self, note: Note, panicking: &mut BTreeSet<AppName>) {
        match note {
            Note::Ejected(app, dyno, happened) => {
                let for_s = happened.until_ms.saturating_sub(happened.at_ms) as f64 / 1000.0;
                let (app, dyno) = (app.as_str(), dyno.as_str());
                tracing::warn!(app, dyno, for_s, "a dyno is ejected: {}", happened.why);
            }
            Note::Panic(app) => self.look(&app, panicking),
            Note::Emptied(app, dyno) => {
                if let Some(live) = self.reader.load_full().app(app.as_str()) {
                    self.tell_empty(live, &dyno);
                }
            }
        }
    }

    /// Notes were lost: everything is looked at.
    fn make_up(&self, count: u64, panicking: &mut BTreeSet<AppName>) {
        tracing::warn!(count, "more happened to dynos than could be told one by one");
        let snapshot = self.reader.load_full();
        for (_, app) in snapshot.table().apps().iter() {
            let Some(live) = snapshot.app(app.name.as_str()) else { continue };
            live.dynos.iter().for_each(|of| self.tell_empty(live, &of.dyno.name));
            self.look(&app.name, panicking);
        }
    }

    /// Tells, once, that a dyno that drains has nothing in flight any more.
    fn tell_empty(&self, app: &LiveApp, name: &DynoName) {
        let Some(live) = app.dyno(name.as_str()) else { return };
        if live.cell.take_empty() {
            let revision = self.reader.load().table().revision();
            // The cell knows it before the table that says so is published.
            let is_told = live.dyno.state == DynoState::Draining;
            let revision = if is_told { revision } else { revision.next() };
            let at_ms =
                SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
            let (app, dyno) = (app.app.name.as_str(), name.as_str());
            self.feed.announce(DynoEvent::empty(revision, app, dyno, at_ms as u64));
        }
    }

    /// Is the app in panic? It is told if that is news.
    fn look(&self, name: &AppName, panicking: &mut BTreeSet<AppName>) {
        let snapshot = self.reader.load_full();
        let now_ms = self.began.elapsed().as_millis() as u64;
        let app = snapshot.app(name.as_str());
        let is_panic = app.is_some_and(|app| app.sight(now_ms).is_panic);
        let app = name.as_str();
        if is_panic && panicking.insert(name.clone()) {
            self.metrics.panics.inc();
            tracing::warn!(app, "so few of its dynos are fit that ill ones are picked too");
        } else if !is_panic && panicking.remove(name) {
            tracing::info!(app, "enough of its dynos are fit again: ill ones are passed over");
        }
        self.metrics.apps_in_panic.set(i64::try_from(panicking.len()).unwrap_or(i64::MAX));
    }
}
