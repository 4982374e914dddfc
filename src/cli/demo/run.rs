//! The demo from its start to its end.
//!
//! Invariants: signals are heard before the first child is started; whatever happens, what was
//! started is ended and what was made is removed; a second signal ends it without patience.

use std::{io, path::PathBuf};

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    apps,
    children::{Children, Ended, Role},
    guide::Guide,
    home::Home,
    router,
};
use crate::{
    api::{Access, Client, access::Given},
    cli::{failure::Failure, output},
};

/// What the demo can be told.
#[derive(Debug, Args)]
pub(in crate::cli) struct Demo {
    /// Addresses that take plain HTTP, as `serve` has them; port 0 is any free one
    /// [env: HOSTLER_HTTP_LISTEN] [default: [::]:8080]
    #[arg(long, value_name = "LIST")]
    http_listen: Option<String>,
    /// Addresses of the push API, as `serve` has them; port 0 is any free one
    /// [env: HOSTLER_CONTROL_LISTEN] [default: 127.0.0.1:9080]
    #[arg(long, value_name = "LIST")]
    control_listen: Option<String>,
    /// Keep store and token in this directory, and leave them there [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Demo {
    /// Runs the demo until a signal ends it.
    pub(in crate::cli) fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(cannot("start"))?;
        runtime.block_on(self.begin_and_end())
    }

    async fn begin_and_end(self) -> Result<(), Failure> {
        let mut signals = Signals::hear().map_err(cannot("hear signals"))?;
        let home = Home::new(self.data_dir.clone()).map_err(cannot("make a data directory"))?;
        let mut children = Children::default();
        let outcome = tokio::select! {
            failure = self.play(&home, &mut children) => failure,
            () = signals.next() => output::print("\nEnding: the router first, then the dynos.\n")
                .map_err(cannot("write to standard output")),
        };
        tokio::select! {
            () = children.end() => {}
            () = signals.next() => {
                children.kill();
                children.end().await;
            }
        }
        let removed = home.remove().map_err(cannot("remove the data directory"));
        outcome.and(removed)
    }

    /// Starts all, says what to try, and watches it for as long as the router runs.
    async fn play(&self, home: &Home, children: &mut Children) -> Result<(), Failure> {
        let listens = [
            ("--http-listen", self.http_listen.as_deref()),
            ("--control-listen", self.control_listen.as_deref()),
        ];
        let router = router::start(children, home.path(), listens).await?;
        let dynos = apps::start(children).await?;
        let given = Given {
            url: Some(format!("http://{}", router.control_for_clients())),
            data_dir: Some(home.path().into()),
            ..Given::default()
        };
        let client = Client::new(Access::find(given, |_| None)?).with_reason("hostler demo");
        client.transact(&apps::transaction(&dynos)).await?;
        router::until_ready(&client).await?;
        let guide = Guide::new(&router, &dynos, home);
        output::print(&guide.text()).map_err(cannot("write to standard output"))?;
        loop {
            let Ended { name, role, how } = children.next().await;
            match role {
                Role::Dyno => {
                    let text = format!("demo: dyno {name} ended: {how}; the others take over\n");
                    output::print(&text).map_err(cannot("write to standard output"))?;
                }
                Role::Router => {
                    return Err(Failure::Failed(format!("{name} ended by itself: {how}")));
                }
            }
        }
    }
}

fn cannot(what: &'static str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::Failed(format!("cannot {what}: {error}"))
}

/// The signals that end the demo: Ctrl-C, a polite kill, and the terminal that is closed.
struct Signals([Signal; 3]);

impl Signals {
    fn hear() -> io::Result<Signals> {
        let hear = |kind| signal(kind);
        Ok(Signals([
            hear(SignalKind::interrupt())?,
            hear(SignalKind::terminate())?,
            hear(SignalKind::hangup())?,
        ]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
