//! The rivals at work: each started in a directory of its own, its features checked before anything
//! is measured.
//!
//! Invariants: every rival runs one worker, writes one access-log line per request to a file of its
//! own, and knows the same five hosts, each with the same two dynos; the relay alone has neither.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ask::get;
use crate::check::check;
use crate::child::{Child, Place};
use crate::failure::{During, Failure};
use crate::hostler;
use crate::measure::{self, Cores};
use crate::rival::Rival;
use crate::scenario::Way;
use crate::secure::Certificate;
use crate::setups::{Setup, set_up};

/// The host that the load asks for, and its app.
pub const HOST: &str = "www.bench.test";

/// Hosts and their apps: a handful, so that every rival really looks one up.
pub const APPS: [(&str, &str); 5] = [
    ("bench", HOST),
    ("shop", "shop.test"),
    ("blog", "blog.example.test"),
    ("docs", "docs.example.test"),
    ("mail", "mail.test"),
];

/// The app whose dynos take time, the last of them ten times as much, and its host; for those who
/// take part in `uneven`.
pub const UNEVEN: (&str, &str) = ("uneven", "uneven.test");

/// How long a rival may take to accept connections.
pub const START: Duration = Duration::from_secs(10);

/// A free port may be taken by another process before the rival binds it: so often we try anew.
const STARTS: usize = 3;

/// What all rivals are started with.
pub struct Ground {
    /// The process that plays both dynos, and the one that plays the uneven ones.
    pub dynos_of_all: [Child; 2],
    /// Who gets which core.
    pub cores: Cores,
    /// What every rival presents to TLS clients.
    pub certificate: Certificate,
    /// The run's directory; it goes when the run ends, after the dyno.
    pub dir: tempfile::TempDir,
    /// Where the two dynos listen.
    pub dynos: Vec<SocketAddr>,
    /// Where those listen of which one is slow.
    pub uneven: Vec<SocketAddr>,
    /// Open files that each process may have.
    pub open_files: u64,
    /// The Hostler binary.
    pub hostler: PathBuf,
}

/// Where a proxy takes clients.
#[derive(Debug, Clone, Copy)]
pub struct Doors {
    /// HTTP/1.1 in clear text.
    pub plain: SocketAddr,
    /// TLS, for both versions of HTTP.
    pub tls: SocketAddr,
    /// HTTP/2 in clear text.
    pub h2: SocketAddr,
}

impl Doors {
    fn free() -> Result<Doors, Failure> {
        Ok(Doors { plain: free_address()?, tls: free_address()?, h2: free_address()? })
    }

    /// The one for a way.
    pub fn of(&self, way: Way) -> SocketAddr {
        match way {
            Way::Plain => self.plain,
            Way::Tls | Way::H2Tls => self.tls,
            Way::H2 => self.h2,
        }
    }
}

/// A rival that runs and has been checked.
pub struct Proxy {
    child: Child,
    /// Where it takes requests.
    pub doors: Doors,
    /// Its access log; the relay has none.
    pub log: Option<PathBuf>,
}

impl Proxy {
    /// All its processes.
    pub fn pids(&self) -> Vec<u32> {
        measure::family(self.child.pid())
    }
}

/// Starts a rival in a directory of its own and checks its features.
pub fn start(rival: Rival, ground: &Ground) -> Result<Proxy, Failure> {
    let program = rival.find(&ground.hostler).map_err(|what| Failure::Process {
        name: rival.name().into(),
        what,
        tail: "".into(),
    })?;
    let mut attempt = 1;
    let proxy = loop {
        match start_once(rival, &program, ground) {
            Ok(proxy) => break proxy,
            Err(Failure::Process { .. }) if attempt < STARTS => attempt += 1,
            Err(failure) => return Err(failure),
        }
    };
    if let Some(log) = &proxy.log {
        for way in Way::ALL.into_iter().filter(|way| rival.takes(*way)) {
            check(rival, way, proxy.doors.of(way), &ground.certificate)?;
        }
        // The lines of the check are not the load's.
        fs::write(log, "").during(&log.display().to_string())?;
    }
    Ok(proxy)
}

fn start_once(rival: Rival, program: &Path, ground: &Ground) -> Result<Proxy, Failure> {
    let home = tempfile::tempdir_in(ground.dir.path()).during("a rival's directory")?.keep();
    let place = Place { core: ground.cores.proxy, dir: &home };
    let mut doors = Doors::free()?;
    if rival == Rival::Relay {
        let (child, addresses) = Child::role("relay", &place, &ground.dynos)?;
        doors.plain = addresses[0];
        return Ok(Proxy { child, doors, log: None });
    }
    let log = home.join("access.log");
    let child = match rival {
        Rival::Hostler => {
            // One listener takes both versions in clear text.
            doors.h2 = doors.plain;
            hostler::start(&place, program, &doors, ground, &log)?
        }
        _ => start_program(rival, &place, program, &doors, ground, &log)?,
    };
    Ok(Proxy { child, doors, log: Some(log) })
}

/// A loopback address that nobody listens on now.
pub fn free_address() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).during("finding a free port")?;
    listener.local_addr().during("finding a free port")
}

fn start_program(
    rival: Rival,
    place: &Place<'_>,
    program: &Path,
    doors: &Doors,
    ground: &Ground,
    log: &Path,
) -> Result<Child, Failure> {
    let Setup { arguments, environment, logs_to_stdout } =
        set_up(rival, place.dir, doors, ground, log)?;
    let stdout = if logs_to_stdout { log.to_owned() } else { place.dir.join("stdout") };
    let set = |command: &mut std::process::Command| {
        command.envs(environment.iter().copied());
    };
    let mut child = Child::program(rival.name(), place, &stdout, set, program, &arguments)?;
    let open = |way| TcpStream::connect(doors.of(way)).is_ok();
    // Traefik listens before it knows its hosts.
    let knows = || {
        let asked = get(doors.plain, (Way::Plain, None), HOST, "/");
        asked.is_ok_and(|asked| asked.status != 404)
    };
    let ways = Way::ALL.into_iter().filter(|way| rival.takes(*way));
    child.wait_until(START, || ways.clone().all(open) && knows())?;
    Ok(child)
}
