//! What both benches of the table share: three structures under one face, names of hosts, traffic.
//!
//! Invariants: every random number follows from [`SEED`]; names are made as they are needed, so
//! that a process that measures memory holds none of its own; `cargo bench` runs the real sizes,
//! anything else (`cargo test --benches`, `--smoke`) small ones; `--million` leaves out all but the
//! largest.
#![allow(dead_code, reason = "each bench uses a part")]

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::FixedState;
use hostler::route::{
    AppName, AppSettings, Change, Dyno, DynoAddr, DynoName, DynoState, Host, HostPattern,
    PathPrefix, RouteKey, RouteSettings, Table,
};

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The seed of every run.
pub const SEED: u64 = 20;
/// Hosts per app: a million hosts are of 100 thousand apps.
pub const HOSTS_PER_APP: usize = 10;
/// How many shards the copy-on-write shards are: their array and one of them are copied a change.
const SHARDS: usize = 1024;

/// The numbers of hosts of a real run.
const ALL_SIZES: &[usize] = &[1_000, 100_000, 1_000_000];

/// What the command line asks for.
pub struct Plan {
    /// Numbers of hosts.
    pub sizes: &'static [usize],
    /// Look-ups of one round, or changes.
    pub requests: usize,
    /// Rounds, of which the median counts.
    pub rounds: usize,
}

impl Plan {
    /// `cargo bench` passes `--bench`.
    pub fn from_args() -> Plan {
        let args: Vec<String> = std::env::args().collect();
        let has = |flag: &str| args.iter().any(|arg| arg == flag);
        if !has("--bench") || has("--smoke") {
            return Plan { sizes: &[1_000], requests: 1 << 10, rounds: 1 };
        }
        let sizes: &[usize] = if has("--million") { &[1_000_000] } else { ALL_SIZES };
        Plan { sizes, requests: 1 << 20, rounds: 7 }
    }
}

/// A map from hosts to apps' numbers that can be replaced while it is read.
pub trait Structure: Clone + Send + Sync + 'static {
    const NAME: &'static str;
    fn new() -> Self;
    fn find(&self, host: &Host) -> Option<u32>;
    fn put(&mut self, host: Host, app: u32);
    fn remove(&mut self, host: &Host, app: u32);

    fn load(hosts: usize) -> Self {
        let mut map = Self::new();
        (0..hosts).for_each(|n| map.put(host(n), (n / HOSTS_PER_APP) as u32));
        map
    }
}

impl Structure for Table {
    const NAME: &'static str = "table";

    fn new() -> Table {
        Table::new(SEED)
    }

    fn find(&self, host: &Host) -> Option<u32> {
        Table::find(self, host, b"/").map(|slot| slot.0)
    }

    fn put(&mut self, host: Host, app: u32) {
        let name = app_name(app as usize);
        let put = Change::PutRoute(route(host), name.clone(), RouteSettings::default());
        if self.apply(&put).is_err() {
            apply(self, &Change::PutApp(name, AppSettings::default()));
            apply(self, &put);
        }
    }

    fn remove(&mut self, host: &Host, app: u32) {
        apply(self, &Change::DeleteRoute(route(host.clone()), app_name(app as usize)));
    }
}

/// A persistent hash array mapped trie.
pub type Imbl = imbl::GenericHashMap<Host, u32, FixedState, imbl::shared_ptr::DefaultSharedPtr>;

impl Structure for Imbl {
    const NAME: &'static str = "imbl";

    fn new() -> Imbl {
        Imbl::with_hasher(FixedState::with_seed(SEED))
    }

    fn find(&self, host: &Host) -> Option<u32> {
        self.get(host).copied()
    }

    fn put(&mut self, host: Host, app: u32) {
        self.insert(host, app);
    }

    fn remove(&mut self, host: &Host, _app: u32) {
        Imbl::remove(self, host);
    }
}

/// Plain hash maps, of which a change copies one.
#[derive(Clone)]
pub struct Shards {
    hasher: FixedState,
    shards: Vec<Arc<HashMap<Host, u32, FixedState>>>,
}

impl Shards {
    fn shard(&self, host: &Host) -> usize {
        use std::hash::BuildHasher;
        self.hasher.hash_one(host) as usize % SHARDS
    }
}

impl Structure for Shards {
    const NAME: &'static str = "shards";

    fn new() -> Shards {
        let map = HashMap::with_hasher(FixedState::with_seed(SEED));
        Shards {
            hasher: FixedState::with_seed(!SEED),
            shards: (0..SHARDS).map(|_| Arc::new(map.clone())).collect(),
        }
    }

    fn find(&self, host: &Host) -> Option<u32> {
        self.shards[self.shard(host)].get(host).copied()
    }

    fn put(&mut self, host: Host, app: u32) {
        let shard = self.shard(&host);
        Arc::make_mut(&mut self.shards[shard]).insert(host, app);
    }

    fn remove(&mut self, host: &Host, _app: u32) {
        let shard = self.shard(host);
        Arc::make_mut(&mut self.shards[shard]).remove(host);
    }
}

/// A whole table: `hosts` hosts, each app with two dynos.
pub fn whole_table(hosts: usize) -> Table {
    let mut table = <Table as Structure>::load(hosts);
    for app in 0..hosts / HOSTS_PER_APP {
        for n in 1..=2 {
            apply(&mut table, &Change::PutDyno(app_name(app), dyno(app, n, 1)));
        }
    }
    table
}

/// The dyno `web.n` of an app at a release.
pub fn dyno(app: usize, n: usize, release: usize) -> Dyno {
    let [_, a, b, c] = (app as u32).to_be_bytes();
    Dyno {
        name: DynoName::parse(&format!("web.{n}")).expect("a dyno's name"),
        addr: DynoAddr::parse(&format!("10.{a}.{b}.{c}:{}", 5000 + n)).expect("an address"),
        release: format!("v{release}").into(),
        weight: 100,
        state: DynoState::Up,
        ttl_s: None,
    }
}

/// The name of the app of that number.
pub fn app_name(n: usize) -> AppName {
    AppName::parse(&format!("app-{n}")).expect("an app's name")
}

/// The spelling of the host of that number: half of them below one domain, half of their own.
pub fn host_text(n: usize) -> String {
    match n % 4 {
        0 => format!("app-{n}.hostler-apps.test"),
        1 => format!("quiet-meadow-{n}.apps.test"),
        2 => format!("www.shop{n}.test"),
        _ => format!("{n}.example"),
    }
}

/// The host of that number.
pub fn host(n: usize) -> Host {
    Host::parse(host_text(n).as_bytes()).expect("a host")
}

/// The route of a whole host.
pub fn route(host: Host) -> RouteKey {
    RouteKey { host: HostPattern::Exact(host), path: PathPrefix::ROOT }
}

/// Applies a change that must be possible.
pub fn apply(table: &mut Table, change: &Change) {
    table.apply(change).expect("the bench asks for what is possible");
}

/// SplitMix64: enough for traffic.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// Which hosts are asked for.
#[derive(Debug, Clone, Copy)]
pub enum Traffic {
    /// The host of rank r is asked for 1/r as often as the first.
    Zipf,
    /// Each host as often as any other.
    Uniform,
}

impl Traffic {
    /// The numbers of the hosts that are asked for, in turn.
    pub fn requests(self, hosts: usize, count: usize) -> Vec<usize> {
        let mut random = Random(SEED);
        let mut sums: Vec<f64> = Vec::with_capacity(hosts);
        for rank in 1..=hosts {
            sums.push(sums.last().unwrap_or(&0.0) + 1.0 / rank as f64);
        }
        let mut by_rank: Vec<usize> = (0..hosts).collect();
        (1..hosts).rev().for_each(|at| by_rank.swap(at, random.below(at + 1)));
        let zipf = |random: &mut Random| {
            let point = random.next() as f64 / u64::MAX as f64 * sums[hosts - 1];
            by_rank[sums.partition_point(|sum| *sum < point).min(hosts - 1)]
        };
        let one = |_| match self {
            Traffic::Uniform => random.below(hosts),
            Traffic::Zipf => zipf(&mut random),
        };
        (0..count).map(one).collect()
    }
}

/// The middle of some figures.
pub fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// How long this thread has been on a core, in nanoseconds (proc(5), schedstat): other work on the
/// machine does not count. Counted at each tick of the kernel: good for rounds of tens of ms.
pub fn on_core() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    stat.split(' ').next().and_then(|ns| ns.parse().ok()).expect("schedstat begins with a number")
}

/// Resident memory of this process, in bytes (proc(5), statm).
pub fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm.split(' ').nth(1).and_then(|n| n.parse::<usize>().ok());
    pages.expect("statm has a second number") * 4096
}
