//! The rivals: how each is found, set up with the features that all must have, started, and checked
//! to have them before anything is measured.
//!
//! Invariants: every rival runs one worker, writes one access-log line per request to a file of its
//! own, and knows the same five hosts, each with the same two dynos; whoever lacks a header, routes
//! an unknown host, or does not keep its dyno connections is refused, not measured.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::answer::{MAX_HEADERS, header};
use crate::child::{Child, Place};
use crate::failure::{During, Failure};
use crate::hostler;
use crate::load::ask;
use crate::measure::{self, Cores};
use crate::plan::Scenario;

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

/// How long a rival may take to accept connections.
pub const START: Duration = Duration::from_secs(10);

/// A free port may be taken by another process before the rival binds it: so often we try anew.
const STARTS: usize = 3;

/// Descriptors that a proxy needs besides its connections.
const SPARE_FILES: u64 = 200;

/// Pipes that HAProxy may splice through, two descriptors each.
const PIPES: u64 = 64;

/// Its setting for that.
const SPLICE: &str = "option splice-response";

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rival {
    /// The floor: carries bytes, parses nothing, logs nothing.
    Relay,
    /// The binary that cargo built beside this bench, or `--hostler`.
    Hostler,
    /// From the machine's packages.
    Nginx,
    /// From the machine's packages.
    Haproxy,
    /// The same, moving bodies from socket to socket inside the kernel: for large answers alone.
    #[serde(rename = "haproxy-splice")]
    HaproxySplice,
}

impl Rival {
    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Rival::Relay => "relay",
            Rival::Hostler => "hostler",
            Rival::Nginx => "nginx",
            Rival::Haproxy => "haproxy",
            Rival::HaproxySplice => "haproxy-splice",
        }
    }

    /// Is it of interest there?
    pub fn takes_part(self, scenario: Scenario) -> bool {
        self != Rival::HaproxySplice || scenario == Scenario::Big
    }
}

/// What all rivals are started with.
pub struct Ground {
    /// The process that plays both dynos.
    pub dyno: Child,
    /// Who gets which core.
    pub cores: Cores,
    /// The run's directory; it goes when the run ends, after the dyno.
    pub dir: tempfile::TempDir,
    /// Where the two dynos listen.
    pub dynos: Vec<SocketAddr>,
    /// Open files that each process may have.
    pub open_files: u64,
    /// The Hostler binary.
    pub hostler: PathBuf,
}

/// A rival that runs and has been checked.
pub struct Proxy {
    child: Child,
    /// Where it takes requests.
    pub address: SocketAddr,
    /// Its access log; the relay has none.
    pub log: Option<PathBuf>,
}

impl Proxy {
    /// All its processes.
    pub fn pids(&self) -> Vec<u32> {
        measure::family(self.child.pid())
    }
}

/// The program of a rival, or what to install.
pub fn find(rival: Rival, ground: &Ground) -> Result<PathBuf, String> {
    match rival {
        Rival::Relay => Ok(PathBuf::new()),
        Rival::Hostler => Ok(ground.hostler.clone()),
        Rival::Nginx | Rival::Haproxy | Rival::HaproxySplice => {
            let name = if rival == Rival::Nginx { "nginx" } else { "haproxy" };
            let path = std::env::var_os("PATH").unwrap_or_default();
            // Debian keeps both in sbin, which is not in the path of ordinary users.
            std::env::split_paths(&path)
                .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
                .map(|dir| dir.join(name))
                .find(|program| program.is_file())
                .ok_or_else(|| format!("not installed (Debian: apt-get install {name})"))
        }
    }
}

/// The first line that a rival prints about its version.
pub fn version(rival: Rival, program: &Path) -> Result<String, Failure> {
    let flag = match rival {
        Rival::Relay => return Ok("built in".to_owned()),
        Rival::Hostler => "--version",
        _ => "-v",
    };
    let output = Command::new(program).arg(flag).stdin(Stdio::null()).output();
    let output = output.during(&format!("{} {flag}", program.display()))?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Ok(text.lines().next().unwrap_or("unknown").to_owned())
}

/// Starts a rival in a directory of its own and checks its features.
pub fn start(rival: Rival, ground: &Ground) -> Result<Proxy, Failure> {
    let program = find(rival, ground).map_err(|what| Failure::Process {
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
        check_features(rival, proxy.address)?;
        // The lines of the check are not the load's.
        fs::write(log, "").during(&log.display().to_string())?;
    }
    Ok(proxy)
}

fn start_once(rival: Rival, program: &Path, ground: &Ground) -> Result<Proxy, Failure> {
    let home = tempfile::tempdir_in(ground.dir.path()).during("a rival's directory")?.keep();
    let place = Place { core: ground.cores.proxy, dir: &home };
    if rival == Rival::Relay {
        let (child, addresses) = Child::role("relay", &place, &ground.dynos)?;
        return Ok(Proxy { child, address: addresses[0], log: None });
    }
    let address = free_address()?;
    let log = home.join("access.log");
    let child = match rival {
        Rival::Hostler => hostler::start(&place, program, address, &ground.dynos, &log)?,
        Rival::Nginx => start_nginx(&place, program, address, ground, &log)?,
        _ => start_haproxy(rival, &place, program, address, ground, &log)?,
    };
    Ok(Proxy { child, address, log: Some(log) })
}

/// A loopback address that nobody listens on now.
pub fn free_address() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).during("finding a free port")?;
    listener.local_addr().during("finding a free port")
}

fn start_nginx(
    place: &Place<'_>,
    program: &Path,
    address: SocketAddr,
    ground: &Ground,
    log: &Path,
) -> Result<Child, Failure> {
    let mut apps = String::new();
    for (app, host) in APPS {
        apps += &format!("    upstream {app} {{\n");
        ground.dynos.iter().for_each(|dyno| apps += &format!("        server {dyno};\n"));
        apps += "        keepalive 64;\n        keepalive_requests 1000000000;\n    }\n";
        apps += &format!("    server {{\n        listen {address};\n        server_name {host};\n");
        apps += &format!("        location / {{ proxy_pass http://{app}; }}\n    }}\n");
    }
    let values = [
        ("@APPS@", apps),
        ("@LISTEN@", address.to_string()),
        ("@LOG@", log.display().to_string()),
        ("@FILES@", ground.open_files.to_string()),
        ("@CONNECTIONS@", (ground.open_files - SPARE_FILES).to_string()),
    ];
    let conf = place.dir.join("nginx.conf");
    fs::write(&conf, fill(include_str!("nginx.conf.in"), &values)).during("nginx.conf")?;
    let prefix = place.dir.display().to_string();
    let arguments =
        ["-p", &prefix, "-c", &conf.display().to_string(), "-e", "stderr"].map(str::to_owned);
    let stdout = place.dir.join("stdout");
    let mut child = Child::program("nginx", place, &stdout, |_| {}, program, &arguments)?;
    child.wait_until(START, || TcpStream::connect(address).is_ok())?;
    Ok(child)
}

fn start_haproxy(
    rival: Rival,
    place: &Place<'_>,
    program: &Path,
    address: SocketAddr,
    ground: &Ground,
    log: &Path,
) -> Result<Child, Failure> {
    let mut map = String::new();
    let mut apps = String::new();
    for (app, host) in APPS {
        map += &format!("{host} {app}\n");
        apps += &format!("backend {app}\n");
        for (index, dyno) in ground.dynos.iter().enumerate() {
            apps += &format!("    server web.{} {dyno}\n", index + 1);
        }
    }
    let hosts = place.dir.join("hosts.map");
    fs::write(&hosts, map).during("hosts.map")?;
    let values = [
        ("@APPS@", apps),
        ("@LISTEN@", address.to_string()),
        ("@HOSTS@", hosts.display().to_string()),
        ("@SPLICE@", if rival == Rival::HaproxySplice { SPLICE } else { "" }.to_owned()),
        ("@CONNECTIONS@", ((ground.open_files - SPARE_FILES - 2 * PIPES) / 2).to_string()),
        ("@PIPES@", PIPES.to_string()),
    ];
    let conf = place.dir.join("haproxy.cfg");
    fs::write(&conf, fill(include_str!("haproxy.cfg.in"), &values)).during("haproxy.cfg")?;
    let arguments = ["-db", "-f", &conf.display().to_string()].map(str::to_owned);
    let mut child = Child::program(rival.name(), place, log, |_| {}, program, &arguments)?;
    child.wait_until(START, || TcpStream::connect(address).is_ok())?;
    Ok(child)
}

fn fill(template: &str, values: &[(&str, String)]) -> String {
    values.iter().fold(template.to_owned(), |text, (key, value)| text.replace(key, value))
}

/// Asks for what the dyno received and refuses a proxy that leaves a feature out.
fn check_features(rival: Rival, address: SocketAddr) -> Result<(), Failure> {
    let lacks = |lacks: String| Failure::Unequal { name: rival.name().into(), lacks };
    let request = format!("GET /echo HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    let (status, bytes, body) = ask(address, &request)?;
    if status != 200 {
        return Err(lacks(format!("status {status} for {HOST}, not 200")));
    }
    let mut answer_headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut answer_headers);
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut received = httparse::Request::new(&mut headers);
    if answer.parse(&bytes).is_err() || received.parse(&bytes[body..]).is_err() {
        return Err(lacks("a well-formed head".into()));
    }
    let digits = |text: &str| text.bytes().any(|byte| byte.is_ascii_digit());
    type Fits<'a> = &'a dyn Fn(&str) -> bool;
    let expected: [(&str, Fits<'_>); 7] = [
        ("X-Forwarded-For", &|text| text == "127.0.0.1"),
        ("X-Forwarded-Proto", &|text| text == "http"),
        ("X-Forwarded-Port", &|text| text == address.port().to_string()),
        ("X-Request-Id", &|text| text.len() >= 20),
        ("X-Request-Start", &digits),
        ("Via", &|text| text.starts_with("1.1 ")),
        ("Host", &|text| text == HOST),
    ];
    for (name, fits) in expected {
        let value = header(received.headers, name);
        if !value.is_some_and(fits) {
            return Err(lacks(format!("the dyno received {name}: {value:?}")));
        }
    }
    if header(received.headers, "Connection").is_some_and(|text| text.contains("close")) {
        return Err(lacks("it asks dynos to close their connections".into()));
    }
    if header(answer.headers, "Via").is_none() {
        return Err(lacks("its answers bear no Via".into()));
    }
    let unknown = "GET / HTTP/1.1\r\nHost: nobody.test\r\nConnection: close\r\n\r\n";
    match ask(address, unknown)?.0 {
        404 => Ok(()),
        status => Err(lacks(format!("status {status} for an unknown host, not 404"))),
    }
}
