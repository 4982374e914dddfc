//! The apps, and the thread on which their dynos live, die and come back.
//!
//! Invariants: at most one dyno of `mortal` is dead at a time; all other dynos live for as long as
//! the run.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use hostler::api::{Client, ClientError, types::AppBody, types::DynoBody};
use serde_json::json;
use tokio::{sync::oneshot, time::sleep};

use crate::dyno::Dyno;

/// The app whose dynos always answer well, unless asked for other things.
pub const STEADY: &str = "steady.test";
/// The app whose dynos answer badly.
pub const FAULTY: &str = "faulty.test";
/// As `FAULTY`, with short time-outs, for silence.
pub const SILENT: &str = "silent.test";
/// The app whose dynos die and come back.
pub const MORTAL: &str = "mortal.test";
/// The app whose dynos and routes are pushed all the time.
pub const CHURN: &str = "churn.test";
/// The app that is in maintenance half of the time.
pub const DOOR: &str = "door.test";
/// The app whose clients may end their side and still be answered.
pub const HALF: &str = "half.test";
/// The app whose only dyno never comes up; it is not among `APPS`.
pub const BOOTING: &str = "booting.test";
/// A host that is nobody's.
pub const NOBODY: &str = "nobody.test";

/// Every app, with how many dynos it has from the beginning.
pub const APPS: [(&str, usize); 7] =
    [(STEADY, 2), (FAULTY, 2), (SILENT, 1), (MORTAL, 3), (CHURN, 2), (DOOR, 1), (HALF, 1)];
/// Dynos of `CHURN` beyond those, which come and go.
pub const COMING: usize = 6;

/// What the dyno of an app does not do within is a fault, in `SILENT`.
const SILENCE: &str = "1s";
/// How long a dyno of `MORTAL` lives before it may be its turn, and how long it is dead.
const LIFE: Duration = Duration::from_millis(500);
const DEATH: Duration = Duration::from_millis(150);

/// The name of the app whose host this is.
pub fn app_of(host: &str) -> &str {
    host.trim_end_matches(".test")
}

/// The dynos of the run.
pub struct Dynos {
    /// The addresses of each app's, in the order of `APPS`, those of `COMING` last.
    pub addrs: Vec<Vec<SocketAddr>>,
    end: oneshot::Sender<()>,
    stay: Arc<AtomicBool>,
    thread: JoinHandle<std::io::Result<u64>>,
}

impl Dynos {
    /// Starts all of them.
    pub fn start() -> std::io::Result<Dynos> {
        let (tell, told) = mpsc::sync_channel(1);
        let (end, ended) = oneshot::channel();
        let stay = Arc::new(AtomicBool::new(false));
        let staying = stay.clone();
        let thread = thread::Builder::new().name("dynos".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, live(tell, ended, &staying))
        })?;
        match told.recv() {
            Ok(addrs) => Ok(Dynos { addrs, end, stay, thread }),
            Err(_) => Err(std::io::Error::other("the dynos could not be started")),
        }
    }

    /// None dies any more; one that is dead comes back.
    pub fn stay(&self) {
        self.stay.store(true, Ordering::Relaxed);
    }

    /// Ends them; answers how often one died.
    pub fn end(self) -> std::io::Result<u64> {
        // It ends by itself only on an error, which it answers.
        let _ = self.end.send(());
        self.thread.join().unwrap_or_else(|_| Err(std::io::Error::other("the dynos panicked")))
    }
}

async fn live(
    tell: mpsc::SyncSender<Vec<Vec<SocketAddr>>>,
    mut ended: oneshot::Receiver<()>,
    staying: &AtomicBool,
) -> std::io::Result<u64> {
    let counts = APPS.iter().map(|(_, count)| *count).chain([COMING]);
    let start = |count| (0..count).map(|_| Dyno::start()).collect::<std::io::Result<Vec<_>>>();
    let dynos: Vec<Vec<Dyno>> = counts.map(start).collect::<Result<_, _>>()?;
    let addrs = dynos.iter().map(|app| app.iter().map(|dyno| dyno.addr).collect()).collect();
    tell.send(addrs).map_err(|_| std::io::Error::other("nobody asked for the dynos"))?;
    let mortal = APPS.iter().position(|(host, _)| *host == MORTAL).unwrap_or(0);
    let mut deaths = 0;
    loop {
        let dyno = &dynos[mortal][deaths as usize % dynos[mortal].len()];
        tokio::select! {
            _ = &mut ended => break,
            () = sleep(LIFE) => {}
        }
        if staying.load(Ordering::Relaxed) {
            continue;
        }
        dyno.die();
        deaths += 1;
        sleep(DEATH).await;
        dyno.rise()?;
    }
    dynos.iter().flatten().for_each(Dyno::die);
    Ok(deaths)
}

/// The body of a dyno at that address.
pub fn dyno_body(addr: SocketAddr) -> DynoBody {
    DynoBody {
        addr: addr.to_string(),
        release: "v1".into(),
        weight: 100,
        state: "up".into(),
        ttl_s: None,
    }
}

/// Pushes the table as it is at the beginning.
pub async fn push(api: &Client, dynos: &Dynos) -> Result<(), ClientError> {
    for ((host, _), addrs) in APPS.iter().zip(&dynos.addrs) {
        let app = app_of(host);
        api.put_app(app, &AppBody::default()).await?;
        api.put_route(app, host, None).await?;
        for (at, addr) in addrs.iter().enumerate() {
            api.put_dyno(app, &format!("web.{at}"), &dyno_body(*addr)).await?;
        }
    }
    let settings = json!({"timeouts.first_byte": SILENCE, "timeouts.idle": SILENCE});
    api.patch_app(app_of(SILENT), &json!({"settings": settings})).await?;
    api.patch_app(app_of(HALF), &json!({"settings": {"http.half_close": true}})).await?;
    let app = app_of(BOOTING);
    api.put_app(app, &AppBody::default()).await?;
    api.put_route(app, BOOTING, None).await?;
    let starting = DynoBody { state: "starting".into(), ..dyno_body(dynos.addrs[0][0]) };
    api.put_dyno(app, "web.0", &starting).await?;
    Ok(())
}
