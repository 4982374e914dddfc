//! One turn of one rival in one scenario: warm up, measure, one sample out.
//!
//! Invariants: CPU time is read before the first and after the last request of the measured part;
//! logs are cut to nothing after each turn, so that they cannot fill the disk; an idle turn has a
//! fresh process, because memory that earlier load left behind would hide what connections cost.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::child::LOOK;
use crate::failure::{During, Failure};
use crate::load::{self, Load, Reuse};
use crate::measure;
use crate::plan::{Plan, Scenario};
use crate::proxies::{Ground, Proxy, Rival, start};
use crate::report::Sample;

/// How late a line may be in the log: nginx holds lines back for a second.
const LOG_LAG: Duration = Duration::from_millis(1500);

/// Puts load on a proxy and says what that cost.
pub fn under_load(
    proxy: &Proxy,
    scenario: Scenario,
    ground: &Ground,
    plan: &Plan,
) -> Result<Sample, Failure> {
    let (path, reuse, connections) = match scenario {
        Scenario::Keepalive | Scenario::Idle => ("/", Reuse::Kept, plan.connections),
        Scenario::Close => ("/", Reuse::Fresh, plan.connections),
        Scenario::Big => ("/10mb", Reuse::Kept, plan.big_connections),
    };
    let mut load = Load::new(proxy.address, path, reuse, connections as usize)?;
    let warm = load.run(Duration::from_secs_f64(plan.warm_up))?;
    let (pids, ours) = (proxy.pids(), [std::process::id(), ground.dyno.pid()]);
    let machine = measure::machine_time()?;
    let (before, before_ours) = (measure::cpu_time(&pids)?, measure::cpu_time(&ours)?);
    let seen = load.run(Duration::from_secs_f64(plan.seconds))?;
    let cpu = (measure::cpu_time(&pids)? - before).as_secs_f64();
    let load_cpu = (measure::cpu_time(&ours)? - before_ours).as_secs_f64();
    let machine = (measure::machine_time()? - machine).as_secs_f64();
    drop(load);

    let took = seen.took.as_secs_f64();
    let answered = seen.answered as f64;
    let quantile = |share| Some(seen.latency.value_at_quantile(share) as f64 / 1e3);
    let (p50, p99) = (quantile(0.5), quantile(0.99));
    let (busy, load_busy) = (Some(100.0 * cpu / took), Some(100.0 * load_cpu / took));
    // Ticks of 10 ms beside nanoseconds: nobody else may come out as a little less than nothing.
    let others = Some((100.0 * (machine - cpu - load_cpu) / took).max(0.0));
    let requests = warm.answered + seen.answered;
    let lines = proxy.log.as_ref().map(|log| take_lines(log, requests)).transpose()?;
    if scenario == Scenario::Big {
        let bytes = seen.bytes as f64 / 1e9;
        return Ok(vec![Some(bytes / cpu), Some(bytes / took), p50, p99, busy, load_busy, others]);
    }
    let share = lines.map(|lines| lines as f64 / requests as f64);
    Ok(vec![
        Some(1e6 * cpu / answered),
        Some(answered / took),
        p50,
        p99,
        busy,
        load_busy,
        others,
        share,
    ])
}

/// Counts the lines in a log, waiting a while for late ones, and cuts it to nothing.
fn take_lines(log: &Path, expected: u64) -> Result<u64, Failure> {
    let what = log.display().to_string();
    let start = Instant::now();
    let mut file = File::open(log).during(&what)?;
    let mut buffer = vec![0; 256 * 1024];
    let mut lines = 0;
    while lines < expected && start.elapsed() < LOG_LAG {
        match file.read(&mut buffer).during(&what)? {
            0 => std::thread::sleep(LOOK),
            count => lines += memchr::memchr_iter(b'\n', &buffer[..count]).count() as u64,
        }
    }
    OpenOptions::new().write(true).truncate(true).open(log).during(&what)?;
    Ok(lines)
}

/// Starts a rival anew, gives it many connections, and says what each holds.
pub fn idle(rival: Rival, ground: &Ground, plan: &Plan) -> Result<Sample, Failure> {
    let proxy = start(rival, ground)?;
    // Buffers and pools of a proxy at work are not what a waiting connection costs.
    Load::new(proxy.address, "/", Reuse::Kept, plan.connections as usize)?
        .run(Duration::from_secs_f64(plan.warm_up))?;
    let before = measure::settled_memory(&proxy.pids())? as f64;
    let held = load::hold(proxy.address, plan.idle as usize)?;
    let after = measure::settled_memory(&proxy.pids())? as f64;
    drop(held);
    if let Some(log) = &proxy.log {
        fs::remove_file(log).during(&log.display().to_string())?;
    }
    let mib = f64::from(1 << 20);
    Ok(vec![Some((after - before) / f64::from(plan.idle)), Some(before / mib), Some(after / mib)])
}
