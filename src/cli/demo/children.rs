//! The processes that the demo starts, and their end.
//!
//! Invariants: a child is in a process group of its own, so that Ctrl-C reaches the demo alone and
//! the demo decides who ends when; a child's standard input is held open for as long as the child
//! is to run, and closes with the demo, which is what ends the child if the demo is killed; a child
//! that does not end in time is killed.

use std::{io, process::ExitStatus, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    task::JoinSet,
    time::timeout,
};

use crate::shutdown::Shutdown;

/// How long a child may take to end once it is told.
const END_TIME: Duration = Duration::from_secs(5);
/// How long a killed child may take to be gone.
const KILL_TIME: Duration = Duration::from_secs(5);

/// What a child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// `hostler serve`.
    Router,
    /// A dyno of one of the apps.
    Dyno,
}

/// A child that ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// What the demo calls it.
    pub(super) name: String,
    /// What it was.
    pub(super) role: Role,
    /// How it ended, in words.
    pub(super) how: String,
}

/// Every child that runs.
#[derive(Default)]
pub(super) struct Children {
    running: JoinSet<Ended>,
    routers: Group,
    dynos: Group,
}

#[derive(Default)]
struct Group {
    running: usize,
    told: Shutdown,
}

/// This program with other arguments, as a child of the demo.
pub(super) fn command(args: &[&str]) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(args).stdin(Stdio::piped()).process_group(0).kill_on_drop(true);
    Ok(command)
}

impl Children {
    /// Watches a child from now on. What the demo wants of its output is to be taken before.
    pub(super) fn watch(&mut self, name: &str, role: Role, child: Child) {
        let group = self.group(role);
        group.running += 1;
        let told = group.told.clone();
        let name = name.to_owned();
        self.running.spawn(async move {
            let how = mind(child, &told).await;
            Ended { name, role, how }
        });
    }

    /// Waits for the next child that ends; for ever if there is none.
    pub(super) async fn next(&mut self) -> Ended {
        loop {
            match self.running.join_next().await {
                Some(Ok(ended)) => {
                    self.group(ended.role).running -= 1;
                    return ended;
                }
                Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
                None => std::future::pending().await,
            }
        }
    }

    /// Ends all: the router first, which still finishes what its dynos are doing.
    pub(super) async fn end(&mut self) {
        for role in [Role::Router, Role::Dyno] {
            self.group(role).told.drain();
            while self.group(role).running > 0 {
                self.next().await;
            }
        }
    }

    /// Kills all at once; [`Children::end`] then waits until they are gone.
    pub(super) fn kill(&mut self) {
        self.routers.told.stop();
        self.dynos.told.stop();
    }

    fn group(&mut self, role: Role) -> &mut Group {
        match role {
            Role::Router => &mut self.routers,
            Role::Dyno => &mut self.dynos,
        }
    }
}

/// Waits for a child's end, and sees to it once that is told. Answers how it ended.
async fn mind(mut child: Child, told: &Shutdown) -> String {
    // Waiting would close it, and so end the child.
    let _held = child.stdin.take();
    tokio::select! {
        status = child.wait() => return in_words(status),
        () = told.draining() => {}
    }
    // A child that was not waited for keeps its number, so this reaches no other process.
    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed()))
        && let Err(error) = kill_process(pid, Signal::TERM)
    {
        return format!("it cannot be told to end: {error}");
    }
    tokio::select! {
        ended = timeout(END_TIME, child.wait()) => {
            if let Ok(status) = ended {
                return in_words(status);
            }
        }
        () = told.stopped() => {}
    }
    match timeout(KILL_TIME, child.kill()).await {
        Ok(Ok(())) => "it was killed".into(),
        Ok(Err(error)) => format!("it cannot be killed: {error}"),
        Err(_) => "it was killed and is not gone yet".into(),
    }
}

fn in_words(status: io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => format!("it cannot be waited for: {error}"),
    }
}
