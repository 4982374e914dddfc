//! The hub's thread, and the handle that everybody else has of it.
//!
//! Around it goes: take a push and what else waits, judge each in order on a working table, commit
//! what was accepted at once, publish the last table, answer each; then take out of the table what
//! nobody renewed, or wait for a call until the next of it is due.
//! Invariants: the live table is replaced only after its revisions are durable; an answer follows
//! the publication; when the store fails every push of the group is answered so and the table
//! stays; a push that waited when a dyno became due is judged before that dyno leaves.

use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::{
    runtime::Runtime,
    sync::{mpsc, oneshot},
    time::sleep_until,
};

use super::{
    draft::Draft,
    ending::Ending,
    expiry::{Due, DynoKey, Expiry},
    guard::Shrink,
    push::{Push, PushError},
    request::{Asked, Done, Request},
    revert::Revert,
    settings::Settings,
    upkeep::Upkeep,
    upload::Upload,
};
use crate::{
    api::Receipt,
    control::{
        clock::now_ms,
        feed::Feed,
        priority::{self, Pieces},
        store::{Answers, Archive, Recent, Store, StoreError},
    },
    live::Status,
    route::Table,
};

/// How many calls may wait for the hub; more are refused as busy.
pub const QUEUE: usize = 512;
/// The most pushes that are committed and published at once.
pub const MAX_GROUP: usize = 256;

/// Replaces the live table by the one that is given.
pub type Publish = Box<dyn FnMut(&Table) + Send>;

type Answer = oneshot::Sender<Result<Done, PushError>>;
type Question = Box<dyn FnOnce(&mut Store) + Send>;

enum Call {
    Write(Box<Request>, Answer),
    Ask(Question),
}

/// Speaks to the hub; clones speak to the same.
#[derive(Debug, Clone)]
pub struct Hub {
    calls: mpsc::Sender<Call>,
    archive: Archive,
    feed: Arc<Feed>,
    settings: Arc<Settings>,
}

impl Hub {
    /// Applies a push whole, or not at all, as [`Hub::submit`] does.
    pub async fn push(&self, push: Push) -> Result<Receipt, PushError> {
        self.submit(push.into()).await.map(|done| done.receipt)
    }

    /// Makes the table, or one app of it, what it was: as [`Hub::push`], but for the bound on ops.
    pub async fn revert(&self, revert: Revert) -> Result<Receipt, PushError> {
        self.submit(Asked::Revert(revert).into()).await.map(|done| done.receipt)
    }

    /// What happens, as it happens.
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// What there was; it is read beside the hub.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Begins a table that is to be put together beside the hub, from one that was live.
    pub fn upload(&self, live: &Table) -> Upload {
        Upload::new(self.settings.clone(), live.emptied())
    }

    /// Does what is asked whole, or not at all. Answers once the table is durable and published.
    /// What was handed over is carried out even if nobody waits for the answer any more.
    pub async fn submit(&self, request: Request) -> Result<Done, PushError> {
        if let Asked::Push(push) = &request.asked {
            self.check_ops(push.ops.len())?;
        }
        let (answer, answered) = oneshot::channel();
        self.call(Call::Write(Box::new(request), answer))?;
        answered.await.map_err(|_| PushError::Stopping)?
    }

    /// Does something with the store that is no change of the table, between two groups of pushes:
    /// all that is answered before is durable, nothing is judged meanwhile. It is done even if
    /// nobody waits for the answer any more.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, PushError> {
        let (answer, answered) = oneshot::channel();
        self.call(Call::Ask(Box::new(move |store| reply(answer, question(store)))))?;
        let answer = answered.await.map_err(|_| PushError::Stopping)?;
        answer.map_err(PushError::from)
    }

    /// Refuses so many ops if a push may not have them, before anything is done with them.
    pub fn check_ops(&self, given: usize) -> Result<(), PushError> {
        let bound = self.settings.max_ops;
        if given > bound { Err(PushError::TooManyOps { given, bound }) } else { Ok(()) }
    }

    fn call(&self, call: Call) -> Result<(), PushError> {
        self.calls.try_send(call).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => PushError::Busy,
            mpsc::error::TrySendError::Closed(_) => PushError::Stopping,
        })
    }
}

/// The hub's thread. Dropped without [`HubThread::join`] it stops too, but nobody waits for it.
#[derive(Debug)]
pub struct HubThread {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), StoreError>>,
}

impl HubThread {
    /// Stops the hub: no further calls are taken, those taken are finished, the snapshot is
    /// written, the data directory unlocked. Blocks until then.
    pub fn join(self) -> Result<(), StoreError> {
        drop(self.stop);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Starts the hub on a store and the newest table that it holds.
pub fn start(
    settings: Settings,
    store: Store,
    table: Table,
    publish: Publish,
    status: Arc<Status>,
) -> io::Result<(Hub, HubThread)> {
    assert_eq!(table.revision(), store.revision(), "the hub begins with the store's newest table");
    let (calls, waiting) = mpsc::channel(QUEUE);
    let (stop, stopped) = oneshot::channel();
    let settings = Arc::new(settings);
    let archive = store.archive();
    let feed = Arc::new(Feed::resume(&archive, &table));
    let hub = Hub { calls, archive, feed: feed.clone(), settings: settings.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut store = store;
    let shrink = recall(&settings, &store, &table);
    // Behind all that is read at start: what is found wrong is told at once.
    let upkeep = Upkeep::begin(settings.retention, status.clone(), &mut store, &table);
    let expiry = Expiry::begin(&table, settings.expiry_grace, Instant::now());
    if expiry.len() > 0 {
        let (dynos, grace) = (expiry.len(), settings.expiry_grace);
        tracing::info!("{dynos} dynos have a ttl_s: each has {grace:?} at least to be renewed");
    }
    let mut ending = Ending::default();
    ending.look(&table, Instant::now(), now_ms());
    let around =
        Around { settings, store, table, publish, feed, status, shrink, expiry, upkeep, ending };
    let inbox = Inbox { waiting, stopped, stopping: false };
    let run = move || {
        priority::give_way();
        around.run(inbox, runtime)
    };
    let thread = std::thread::Builder::new().name("hub".into()).spawn(run)?;
    Ok((hub, HubThread { stop, thread }))
}

/// The shrink guard, with what was lost before this process began, as far as the store can be read.
fn recall(settings: &Settings, store: &Store, table: &Table) -> Shrink {
    let mut shrink = Shrink::new(settings.shrink, table.counts());
    if shrink.is_on() {
        let now_ms = now_ms();
        let window = u64::try_from(settings.shrink.window.as_millis()).unwrap_or(u64::MAX);
        let view = store.archive().open();
        let recent = view.and_then(|view| view.recent(now_ms.saturating_sub(window), table));
        let recent = recent.unwrap_or_else(|error| {
            store.archive().note(&error);
            tracing::warn!(%error, "the shrink guard counts from now on");
            Recent::default()
        });
        let age = |at_ms: u64| Duration::from_millis(now_ms.saturating_sub(at_ms));
        let lost = recent.lost.into_iter().map(|(key, at_ms)| (key, age(at_ms)));
        let dynos = recent.dynos.into_iter().map(|(count, at_ms)| (count, age(at_ms)));
        shrink.remember(lost, dynos, Instant::now());
    }
    shrink
}

/// What waits for the hub.
struct Inbox {
    waiting: mpsc::Receiver<Call>,
    stopped: oneshot::Receiver<()>,
    stopping: bool,
}

impl Inbox {
    /// The next call, or that something is due.
    async fn next(&mut self, due: Instant) -> Next {
        if !self.stopping {
            tokio::select! {
                call = self.waiting.recv() => return call.map_or(Next::End, Next::Call),
                _ = &mut self.stopped => {}
                () = sleep_until(due.into()) => return Next::Due,
            }
            self.stopping = true;
            self.waiting.close();
        }
        self.waiting.recv().await.map_or(Next::End, Next::Call)
    }
}

/// What the hub does next.
enum Next {
    Call(Call),
    /// Dynos are due, or a look at the store.
    Due,
    /// It is to end, and all that was taken is done.
    End,
}

/// What the hub's thread owns.
struct Around {
    settings: Arc<Settings>,
    store: Store,
    table: Table,
    publish: Publish,
    feed: Arc<Feed>,
    status: Arc<Status>,
    shrink: Shrink,
    expiry: Expiry,
    upkeep: Upkeep,
    ending: Ending,
}

impl Around {
    fn run(mut self, mut inbox: Inbox, runtime: Runtime) -> Result<(), StoreError> {
        let mut held = None;
        loop {
            let due = self.expiry.next().unwrap_or(self.upkeep.next()).min(self.upkeep.next());
            let next = match held.take() {
                Some(call) => Next::Call(call),
                None => runtime.block_on(inbox.next(due)),
            };
            // What waits by now comes first.
            let now = Instant::now();
            match next {
                Next::Call(first) => {
                    let group;
                    (group, held) = self.gather(first, &mut inbox.waiting);
                    self.settle(group);
                }
                Next::Due => {}
                Next::End => return self.store.close(),
            }
            self.expire(now);
            self.upkeep.look(&mut self.store, &self.table, now, now_ms());
            self.ending.look(&self.table, now, now_ms());
        }
    }

    /// Takes what waits already, and waits for nothing more: while a group is being committed the
    /// next one gathers by itself, and a push that comes alone is not held up. Questions are
    /// answered on the way. A revert, and a whole table, go by what the store holds, so that each
    /// begins a group; and nobody waits longer for an answer because a table came behind him.
    fn gather(
        &mut self,
        first: Call,
        waiting: &mut mpsc::Receiver<Call>,
    ) -> (Vec<(Request, Answer)>, Option<Call>) {
        let mut group = Vec::new();
        let (mut taken, mut size) = (0, 0);
        let mut next = Some(first);
        while let Some(call) = next {
            taken += 1;
            match call {
                Call::Ask(question) => question(&mut self.store),
                Call::Write(request, answer) => {
                    let begins = matches!(request.asked, Asked::Revert(_) | Asked::Table(_));
                    if begins && !group.is_empty() {
                        return (group, Some(Call::Write(request, answer)));
                    }
                    // One that is large is not added to.
                    size += request.asked.size();
                    taken += if matches!(request.asked, Asked::Table(_)) { MAX_GROUP } else { 0 };
                    group.push((*request, answer));
                }
            }
            let room = taken < MAX_GROUP && size < self.settings.max_ops;
            next = if room { waiting.try_recv().ok() } else { None };
        }
        (group, None)
    }

    /// Judges, commits, publishes and answers a group.
    fn settle(&mut self, group: Vec<(Request, Answer)>) {
        let now = Instant::now();
        self.shrink.advance(now);
        let mut draft =
            Draft::new(self.table.clone(), now_ms(), self.store.newest_ms(), &self.settings);
        let mut answers = Vec::with_capacity(group.len());
        let mut pieces = Pieces::begin();
        for (request, answer) in group {
            let done = draft.take(request, &self.store, &self.settings, &mut self.shrink, now);
            answers.push((answer, done));
            pieces.pause();
        }
        if let Err(refusal) = self.commit(draft) {
            // What can never be done is still told so, not to be tried again.
            let is_final = |done: &Result<Done, PushError>| {
                use PushError::{Forbidden, Invalid, Revoked};
                matches!(done, Err(Invalid(_) | Forbidden(_) | Revoked))
            };
            for (_, done) in answers.iter_mut().filter(|(_, done)| !is_final(done)) {
                *done = Err(refusal.clone());
            }
        }
        for (answer, done) in answers {
            reply(answer, done);
        }
    }

    /// Makes a group durable and publishes it; an error if the store took nothing.
    fn commit(&mut self, draft: Draft) -> Result<(), PushError> {
        if !draft.batch.is_empty() || !draft.answers.is_empty() {
            let (since_ms, most) = (draft.since_ms, self.settings.idempotency_keys);
            let given = Answers { new: &draft.answers, since_ms, most };
            self.upkeep.forget_old(&mut self.store, now_ms());
            let committed = self.store.commit_with(&draft.batch, given);
            self.upkeep.tell(&self.store, &self.table, committed.as_ref().err());
            if let Err(error) = committed {
                tracing::error!(%error, transactions = draft.batch.len(),
                    "the store took no transactions, their pushes are refused");
                self.shrink.take_back();
                return Err(PushError::from(error));
            }
        }
        self.shrink.keep();
        if !draft.batch.is_empty() {
            self.table = draft.table;
            (self.publish)(&self.table);
            self.feed.tell(draft.events);
        }
        self.expiry.follow(&draft.pushed, &self.table, Instant::now());
        self.status.dynos_overdue.store(self.expiry.overdue(), Relaxed);
        Ok(())
    }

    /// Takes the dynos that were due by then out of the table, as one transaction; those that the
    /// guards or the store keep stay, and are tried again later.
    fn expire(&mut self, due_by: Instant) {
        if self.expiry.next().is_none_or(|next| next > due_by) {
            return;
        }
        let Due { leaving, kept } = self.expiry.due(&self.table, due_by);
        self.hold(&kept, &"a protected app keeps its last dyno");
        if leaving.is_empty() {
            return;
        }
        let (answer, mut answered) = oneshot::channel();
        self.settle(vec![(Asked::Expire(leaving.clone()).into(), answer)]);
        match answered.try_recv() {
            Ok(Ok(done)) => {
                let (dynos, revision) = (leaving.len(), done.receipt.revision);
                self.status.dynos_expired.fetch_add(dynos as u64, Relaxed);
                tracing::info!(dynos, revision, "dynos that were not renewed in time are gone");
            }
            Ok(Err(refusal)) => self.hold(&leaving, &refusal),
            Err(_) => unreachable!("what is settled is answered"),
        }
    }

    /// These dynos are due and stay: said once of each.
    fn hold(&mut self, dynos: &[DynoKey], why: &dyn std::fmt::Display) {
        let new = self.expiry.hold(dynos, Instant::now());
        self.status.dynos_overdue.store(self.expiry.overdue(), Relaxed);
        if new > 0 {
            tracing::warn!(dynos = new, %why, "dynos were not renewed in time, but stay");
        }
    }
}

fn reply<T>(answer: oneshot::Sender<T>, with: T) {
    if answer.send(with).is_err() {
        tracing::debug!("who called the hub did not wait for the answer");
    }
}
