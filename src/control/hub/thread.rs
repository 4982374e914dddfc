//! The hub's thread, and the handle that everybody else has of it.
//!
//! Around it goes: take a push and what else waits, judge each in order on a working table, commit
//! what was accepted at once, publish the last table, answer each.
//! Invariants: the live table is replaced only after its revisions are durable; an answer follows
//! the publication; when the store fails every push of the group is answered so and the table
//! stays.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread::JoinHandle,
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::{
    runtime::Runtime,
    sync::{mpsc, oneshot},
};

use super::{
    judge::{self, Accepted},
    push::{Push, PushError},
    settings::Settings,
};
use crate::{
    api::{HistoryEntry, Receipt},
    control::store::{Committed, ObjectKey, Store, StoreError},
    live::Status,
    route::{Revision, Table},
};

/// How many calls may wait for the hub; more are refused as busy.
pub const QUEUE: usize = 512;
/// The most pushes that are committed and published at once.
pub const MAX_GROUP: usize = 256;
/// The most entries of the history in one answer.
pub const MAX_HISTORY: usize = 1000;

/// Replaces the live table by the one that is given.
pub type Publish = Box<dyn FnMut(&Table) + Send>;

type Answer = oneshot::Sender<Result<Receipt, PushError>>;

enum Call {
    Push(Push, Answer),
    History {
        before: Option<u64>,
        limit: usize,
        answer: oneshot::Sender<Result<Vec<HistoryEntry>, PushError>>,
    },
}

/// Speaks to the hub; clones speak to the same.
#[derive(Debug, Clone)]
pub struct Hub {
    calls: mpsc::Sender<Call>,
    max_ops: usize,
}

impl Hub {
    /// Applies a push whole, or not at all. Answers once the table is durable and published. A push
    /// that was handed over is carried out even if nobody waits for the answer any more.
    pub async fn push(&self, push: Push) -> Result<Receipt, PushError> {
        let (given, bound) = (push.ops.len(), self.max_ops);
        if given > bound {
            return Err(PushError::TooManyOps { given, bound });
        }
        let (answer, answered) = oneshot::channel();
        self.call(Call::Push(push, answer))?;
        answered.await.map_err(|_| PushError::Stopping)?
    }

    /// The newest transactions, newest first: at most `limit` (and [`MAX_HISTORY`]), made before
    /// the revision `before`.
    pub async fn history(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, PushError> {
        let (answer, answered) = oneshot::channel();
        self.call(Call::History { before, limit, answer })?;
        answered.await.map_err(|_| PushError::Stopping)?
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
    let hub = Hub { calls, max_ops: settings.max_ops };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    status.store_writable.store(true, Relaxed);
    let around = Around { settings, store, table, publish, status };
    let inbox = Inbox { waiting, stopped, stopping: false };
    let run = move || around.run(inbox, runtime);
    let thread = std::thread::Builder::new().name("hub".into()).spawn(run)?;
    Ok((hub, HubThread { stop, thread }))
}

/// What waits for the hub.
struct Inbox {
    waiting: mpsc::Receiver<Call>,
    stopped: oneshot::Receiver<()>,
    stopping: bool,
}

impl Inbox {
    /// The next call; none once the hub is to end and all that was taken is done.
    async fn next(&mut self) -> Option<Call> {
        if !self.stopping {
            tokio::select! {
                call = self.waiting.recv() => return call,
                _ = &mut self.stopped => {}
            }
            self.stopping = true;
            self.waiting.close();
        }
        self.waiting.recv().await
    }
}

/// What the hub's thread owns.
struct Around {
    settings: Settings,
    store: Store,
    table: Table,
    publish: Publish,
    status: Arc<Status>,
}

impl Around {
    fn run(mut self, mut inbox: Inbox, runtime: Runtime) -> Result<(), StoreError> {
        while let Some(first) = runtime.block_on(inbox.next()) {
            let group = self.gather(first, &mut inbox.waiting);
            self.settle(group);
        }
        self.store.close()
    }

    /// Takes what waits already, and waits for nothing more: while a group is being committed the
    /// next one gathers by itself, and a push that comes alone is not held up. Questions are
    /// answered on the way.
    fn gather(&self, first: Call, waiting: &mut mpsc::Receiver<Call>) -> Vec<(Push, Answer)> {
        let mut group = Vec::new();
        let (mut taken, mut ops) = (0, 0);
        let mut next = Some(first);
        while let Some(call) = next {
            taken += 1;
            match call {
                Call::Push(push, answer) => {
                    ops += push.ops.len();
                    group.push((push, answer));
                }
                Call::History { before, limit, answer } => {
                    let before = before.map(Revision);
                    let history = self.store.history(before, limit.min(MAX_HISTORY));
                    reply(answer, history.map_err(PushError::from));
                }
            }
            let room = taken < MAX_GROUP && ops < self.settings.max_ops;
            next = if room { waiting.try_recv().ok() } else { None };
        }
        group
    }

    /// Judges, commits, publishes and answers a group.
    fn settle(&mut self, group: Vec<(Push, Answer)>) {
        let mut draft = Draft { table: self.table.clone(), ..Draft::default() };
        let mut answers = Vec::with_capacity(group.len());
        for (push, answer) in group {
            let receipt = draft.take(push, &self.store, &self.settings);
            answers.push((answer, receipt));
        }
        if !draft.batch.is_empty() {
            let committed = self.store.commit(&draft.batch);
            self.status.store_writable.store(committed.is_ok(), Relaxed);
            match committed {
                Ok(()) => {
                    self.table = draft.table;
                    (self.publish)(&self.table);
                }
                Err(error) => {
                    tracing::error!(%error, pushes = answers.len(),
                        "the store took no transactions, their pushes are refused");
                    let refusal = PushError::from(error);
                    for (_, receipt) in &mut answers {
                        *receipt = Err(refusal.clone());
                    }
                }
            }
        }
        for (answer, receipt) in answers {
            reply(answer, receipt);
        }
    }
}

/// A group's transactions until they are durable.
#[derive(Default)]
struct Draft {
    table: Table,
    batch: Vec<Committed>,
    changed: HashMap<ObjectKey, Revision>,
}

impl Draft {
    /// Judges a push on what the group made so far and adds it.
    fn take(
        &mut self,
        push: Push,
        store: &Store,
        settings: &Settings,
    ) -> Result<Receipt, PushError> {
        let last_change = |object: &ObjectKey| match self.changed.get(object) {
            Some(revision) => Ok(Some(*revision)),
            None => store.last_change_of(object),
        };
        let accepted = judge::judge(&push, &self.table, settings, &last_change)?;
        let Some(Accepted { mut table, edits }) = accepted else {
            return Ok(Receipt { revision: self.table.revision().0, changed: false });
        };
        let revision = self.table.revision().next();
        table.set_revision(revision);
        self.table = table;
        self.changed.extend(edits.iter().map(|edit| (edit.key().clone(), revision)));
        let Push { author, reason, .. } = push;
        self.batch.push(Committed { revision, at_ms: now_ms(), author, reason, edits });
        Ok(Receipt { revision: revision.0, changed: true })
    }
}

/// Milliseconds since the Unix epoch; 0 on a clock that stands before it.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn reply<T>(answer: oneshot::Sender<T>, with: T) {
    if answer.send(with).is_err() {
        tracing::debug!("who called the hub did not wait for the answer");
    }
}
