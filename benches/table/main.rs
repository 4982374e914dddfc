//! A whole table through the real push API: imported, loaded at start, and asked about its past.
//!
//! `cargo bench --bench table` runs a million routes of a hundred thousand apps with two dynos each
//! against the release binary, anything else (`cargo test --benches`, `--smoke`) a small table;
//! `--dir DIR` on the disk that is meant. Each figure is printed beside its budget; a budget that
//! is missed fails no run. The run is the same each time.

mod hub;

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use hub::{Failure, Hub, TOKEN, command, memory_of};

const SEED: u64 = 20;
const ROUTES_OF_EACH: usize = 10;
const DYNOS_OF_EACH: usize = 2;
/// Ops of one of the transactions that make a history.
const OPS: usize = 50;

struct Size {
    apps: usize,
    /// Transactions of the history.
    transactions: usize,
    /// Calls of one figure.
    calls: usize,
}

const SMOKE: Size = Size { apps: 100, transactions: 5, calls: 3 };
const FULL: Size = Size { apps: 100_000, transactions: 2000, calls: 500 };

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let size = if has("--bench") && !has("--smoke") { FULL } else { SMOKE };
    let parent = arguments.iter().position(|a| a == "--dir").and_then(|at| arguments.get(at + 1));
    let parent = parent.map_or_else(std::env::temp_dir, PathBuf::from);
    let files = tempfile::tempdir_in(parent)?;
    let (data, table) = (files.path().join("data"), files.path().join("table.ndjson"));
    let other = files.path().join("other.ndjson");
    write_table(&table, size.apps, 5000)?;
    write_table(&other, size.apps, 6000)?;
    println!("{:<58} {:>10} {:>10}", "what", "figure", "budget");

    let hub = Hub::start(&data)?;
    let (empty, _) = hub.memory()?;
    imports(&hub, &table, &other, empty)?;
    history(&hub, &size)?;
    past(&hub, &size)?;
    hub.stop()?;
    let hub = Hub::start(&data)?;
    shown("start, by the snapshot", hub.took, Some(Duration::from_secs(3)));
    let (resident, peak) = hub.memory()?;
    told("memory then, over an empty one", resident - empty, "400 MB");
    told("its peak", peak - empty, "");
    import("import of another table", &hub, &other)?;
    drop(hub);
    let hub = Hub::start(&data)?;
    shown("start after a kill behind an import", hub.took, None);
    Ok(())
}

/// Imports a table, the same again, and one whose every dyno differs.
fn imports(hub: &Hub, table: &Path, other: &Path, empty: f64) -> Result<(), Failure> {
    let waited = import("import", hub, table)?;
    shown("the longest that a push waited meanwhile", waited, None);
    let (_, peak) = hub.memory()?;
    told("peak memory, over an empty one", peak - empty, "700 MB");
    import("import of the same again", hub, table)?;
    let waited = import("import of one with other dynos", hub, other)?;
    shown("the longest that a push waited meanwhile", waited, None);
    let (_, peak) = hub.memory()?;
    told("peak memory, over an empty one", peak - empty, "700 MB");
    Ok(())
}

/// Imports a file by the client command; answers how long the slowest push took that was sent
/// meanwhile.
fn import(what: &str, hub: &Hub, file: &Path) -> Result<Duration, Failure> {
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let pushing = scope.spawn(|| {
            let mut slowest = Duration::ZERO;
            let mut n = 0;
            while !is_done.load(Relaxed) {
                n += 1;
                let body = format!("{{\"maintenance\":{}}}", n % 2 == 0);
                let pushed = hub.call("PUT", "/v1/apps/pushed-meanwhile", &body);
                let took = pushed.map(|answer| answer.whole).map_err(|error| error.to_string())?;
                slowest = slowest.max(took);
                thread::park_timeout(Duration::from_millis(20));
            }
            Ok::<_, String>(slowest)
        });
        let began = Instant::now();
        let path = file.to_str().ok_or("a path of UTF-8")?;
        let mut import = command(&["table", "import", path, "--json"]);
        import.env("HOSTLER_URL", format!("http://{}", hub.control)).env("HOSTLER_TOKEN", TOKEN);
        let mut child = import.stdout(Stdio::piped()).spawn()?;
        let peak = peak_of(&mut child)?;
        is_done.store(true, Relaxed);
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("the import failed: {output:?}").into());
        }
        shown(what, began.elapsed(), Some(Duration::from_secs(20)));
        told("peak memory of its client", peak, "");
        pushing.join().map_err(|_| "who pushes panicked")?.map_err(Failure::from)
    })
}

/// The peak of a process's memory up to its end, in MB.
fn peak_of(child: &mut Child) -> Result<f64, Failure> {
    let mut peak = 0.0;
    while child.try_wait()?.is_none() {
        peak = memory_of(child.id()).map_or(peak, |(_, now)| now.max(peak));
        thread::park_timeout(Duration::from_millis(5));
    }
    Ok(peak)
}

/// Makes a history: transactions that change dynos and move hosts.
fn history(hub: &Hub, size: &Size) -> Result<(), Failure> {
    let (began, mut random) = (Instant::now(), Rng::with_seed(SEED));
    for transaction in 0..size.transactions {
        let op = |at: usize| {
            let app = random.usize(..size.apps);
            if at == 0 {
                let path = format!("/apps/app-{app}/routes/new-{transaction}.test");
                return format!("{{\"method\":\"PUT\",\"path\":\"{path}\",\"body\":{{}}}}");
            }
            format!(
                "{{\"method\":\"PATCH\",\"path\":\"/apps/app-{app}/dynos/web.{}\",\"body\":\
                 {{\"weight\":{}}}}}",
                random.usize(..DYNOS_OF_EACH),
                1 + (transaction + at) % 1000
            )
        };
        let ops: Vec<String> = (0..OPS).map(op).collect();
        hub.call("POST", "/v1/transactions", &format!("{{\"ops\":[{}]}}", ops.join(",")))?;
    }
    let changes = size.transactions * OPS;
    let what = format!("a history of {changes} changes in {} transactions", size.transactions);
    shown(&what, began.elapsed(), None);
    Ok(())
}

/// Asks about the past, over HTTP, at random.
fn past(hub: &Hub, size: &Size) -> Result<(), Failure> {
    let mut random = Rng::with_seed(SEED + 1);
    let newest = revision(hub)?;
    let oldest = newest - size.transactions as u64;
    let budget = Duration::from_millis(100);
    let mut figure = |what: &str, call: &mut dyn FnMut(&mut Rng) -> Result<Duration, Failure>| {
        let calls: Result<Vec<_>, Failure> = (0..size.calls).map(|_| call(&mut random)).collect();
        let mut calls = calls?;
        calls.sort_unstable();
        shown(&format!("{what}, median"), calls[calls.len() / 2], Some(budget));
        shown(&format!("{what}, p99"), calls[(calls.len() * 99).div_ceil(100) - 1], Some(budget));
        Ok::<_, Failure>(())
    };
    let whole = |path: String| hub.call("GET", &path, "").map(|answer| answer.whole);
    figure("as-of of one app", &mut |random| {
        let (app, at) = (random.usize(..size.apps), random.u64(oldest..=newest));
        whole(format!("/v1/apps/app-{app}?at={at}"))
    })?;
    figure("as-of of one host", &mut |random| {
        let (app, at) = (random.usize(..size.apps), random.u64(oldest..=newest));
        let host = host(app, random.usize(..ROUTES_OF_EACH));
        whole(format!("/v1/apps/app-{app}/routes/{host}?at={at}"))
    })?;
    figure("explain of one host", &mut |random| {
        let host = host(random.usize(..size.apps), random.usize(..ROUTES_OF_EACH));
        let question = format!("{{\"host\":\"{host}\"}}");
        hub.call("POST", "/v1/explain", &question).map(|answer| answer.whole)
    })?;
    figure("diff of one app between any two revisions", &mut |random| {
        let (app, from, to) =
            (random.usize(..size.apps), random.u64(oldest..=newest), random.u64(oldest..=newest));
        whole(format!("/v1/diff?from={from}&to={to}&app=app-{app}"))
    })?;
    figure("diff of all between neighbours", &mut |random| {
        let from = random.u64(oldest..newest);
        whole(format!("/v1/diff?from={from}&to={}", from + 1))
    })?;
    figure("first byte of a diff of all between any two", &mut |random| {
        let (from, to) = (random.u64(oldest..=newest), random.u64(oldest..=newest));
        Ok(hub.call("GET", &format!("/v1/diff?from={from}&to={to}"), "")?.first)
    })?;
    figure("first byte of a whole table as of any revision", &mut |random| {
        hub.first_byte(&format!("/v1/table?at={}", random.u64(oldest..=newest)))
    })?;
    let old = hub.call("GET", &format!("/v1/table?at={oldest}"), "")?;
    shown("a whole table as of the oldest of them", old.whole, None);
    Ok(())
}

fn revision(hub: &Hub) -> Result<u64, Failure> {
    let text = hub.call("GET", "/v1/revision", "")?.text;
    let number = text.split_once("\"revision\":").map_or("", |(_, rest)| rest);
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    Ok(digits.parse()?)
}

/// Hosts of an app do not sort as the apps do.
fn host(app: usize, n: usize) -> String {
    let number = app * ROUTES_OF_EACH + n;
    format!("www-{:x}.shop-{number}.test", (number as u32).wrapping_mul(2_654_435_761))
}

fn write_table(path: &Path, apps: usize, port: usize) -> Result<(), Failure> {
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(out, "{{\"v\":1,\"kind\":\"table\"}}")?;
    for app in 0..apps {
        writeln!(out, "{{\"v\":1,\"kind\":\"app\",\"name\":\"app-{app}\"}}")?;
        let [_, a, b, c] = (app as u32).to_be_bytes();
        for n in 0..DYNOS_OF_EACH {
            let addr = format!("10.{a}.{b}.{c}:{}", port + n);
            writeln!(
                out,
                "{{\"v\":1,\"kind\":\"dyno\",\"app\":\"app-{app}\",\"name\":\"web.{n}\",\
                 \"addr\":\"{addr}\",\"release\":\"v1\"}}"
            )?;
        }
        for n in 0..ROUTES_OF_EACH {
            let host = host(app, n);
            writeln!(
                out,
                "{{\"v\":1,\"kind\":\"route\",\"app\":\"app-{app}\",\"host\":\"{host}\"}}"
            )?;
        }
    }
    Ok(out.flush()?)
}

fn shown(what: &str, took: Duration, budget: Option<Duration>) {
    let budget = budget.map(|budget| format!("{budget:.0?}")).unwrap_or_default();
    println!("{what:<58} {:>10} {budget:>10}", format!("{took:.1?}"));
}

fn told(what: &str, megabytes: f64, budget: &str) {
    println!("{what:<58} {:>10} {budget:>10}", format!("{megabytes:.0} MB"));
}
