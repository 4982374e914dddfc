//! One turn of one rival in one scenario: warm up, measure, one sample out.
//!
//! Invariants: CPU time is read before the first and after the last request of the measured part;
//! logs are cut to nothing after each turn, so that they cannot fill the disk; an idle turn has a
//! fresh process, because memory that earlier load left behind would hide what connections cost.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::child::{Child, LOOK};
use crate::client::{BIG, Job, Reuse};
use crate::failure::{During, Failure};
use crate::load::{self, Load, Seen};
use crate::measure;
use crate::open::Open;
use crate::plan::Plan;
use crate::proxies::{Ground, HOST, Proxy, UNEVEN, start};
use crate::report::Sample;
use crate::rival::Rival;
use crate::scenario::{Scenario, Work};
use crate::uneven;

/// How late a line may be in the log: nginx and Envoy hold lines back for a tenth of a second.
const LOG_LAG: Duration = Duration::from_millis(1500);

/// How many times longer a turn with uneven dynos is, so that an average over seconds settles and
/// its p99 has more requests behind it.
const UNEVEN_LONGER: u32 = 3;

/// Puts load on a proxy and says what that cost.
pub fn under_load(
    proxy: &Proxy,
    scenario: Scenario,
    ground: &Ground,
    plan: &Plan,
) -> Result<Sample, Failure> {
    let mut run = load_of(job(proxy, scenario, ground, plan), scenario, plan)?;
    let warm = run(Duration::from_secs_f64(plan.warm_up))?;
    let [dyno, uneven] = ground.dynos_of_all.each_ref().map(Child::pid);
    let (pids, ours) = (proxy.pids(), [std::process::id(), dyno, uneven]);
    let machine = measure::machine_time()?;
    let (before, before_ours) = (measure::cpu_time(&pids)?, measure::cpu_time(&ours)?);
    let seen = run(Duration::from_secs_f64(plan.seconds))?;
    let cpu = (measure::cpu_time(&pids)? - before).as_secs_f64();
    let load_cpu = (measure::cpu_time(&ours)? - before_ours).as_secs_f64();
    let machine = (measure::machine_time()? - machine).as_secs_f64();
    drop(run);
    check_resumed(scenario, &seen)?;

    let took = seen.took.as_secs_f64();
    let answered = seen.answered as f64;
    let quantile = |share| Some(seen.latency.value_at_quantile(share) as f64 / 1e3);
    let (p50, p99) = (quantile(0.5), quantile(0.99));
    let (busy, load_busy) = (Some(100.0 * cpu / took), Some(100.0 * load_cpu / took));
    // Ticks of 10 ms beside nanoseconds: nobody else may come out as a little less than nothing.
    let others = Some((100.0 * (machine - cpu - load_cpu) / took).max(0.0));
    let requests = warm.answered + seen.answered;
    let lines = proxy.log.as_ref().map(|log| take_lines(log, requests)).transpose()?;
    let share = lines.map(|lines| lines as f64 / requests as f64);
    if scenario.work() == Work::Uneven {
        let (cpu, rate) = (Some(1e6 * cpu / answered), Some(answered / took));
        return Ok(vec![p99, p50, quantile(0.999), rate, cpu, busy, load_busy, others, share]);
    }
    // CPU per request first, or what a second of it is good for.
    let (first, second) = match scenario.work() {
        Work::Big | Work::Upload => {
            let bytes = answered * BIG as f64 / 1e9;
            (bytes / cpu, bytes / took)
        }
        Work::Fresh | Work::Resumed if scenario.way().is_tls() => (answered / cpu, answered / took),
        _ => (1e6 * cpu / answered, answered / took),
    };
    Ok(vec![Some(first), Some(second), p50, p99, busy, load_busy, others, share])
}

/// A closed loop, or an open one, to be run for a time.
type Run = Box<dyn FnMut(Duration) -> Result<Seen, Failure>>;

/// The load of a scenario.
fn load_of(job: Job, scenario: Scenario, plan: &Plan) -> Result<Run, Failure> {
    let connections = scenario.connections(plan) as usize;
    if scenario.work() == Work::Uneven {
        let mut open = Open::new(job, connections)?;
        return Ok(Box::new(move |length| open.run(length * UNEVEN_LONGER, uneven::RATE)));
    }
    let mut load = Load::new(job, connections)?;
    Ok(Box::new(move |length| load.run(length)))
}

/// What the connections of a load do.
fn job(proxy: &Proxy, scenario: Scenario, ground: &Ground, plan: &Plan) -> Job {
    let (way, work) = scenario.parts();
    let (path, reuse) = match work {
        Work::Kept | Work::Uneven | Work::Idle => ("/", Reuse::Kept),
        Work::Fresh | Work::Resumed => ("/", Reuse::Fresh),
        Work::Big => ("/10mb", Reuse::Kept),
        Work::Upload => ("/upload", Reuse::Kept),
    };
    let tls = ground.certificate.client(way, work == Work::Resumed);
    let host = if work == Work::Uneven { UNEVEN.1 } else { HOST };
    let mut job = Job::new(proxy.doors.of(way), (way, tls), reuse, (host, path));
    if way.is_h2() && work == Work::Kept {
        job.streams = plan.streams as usize;
    }
    job
}

/// Sessions are all resumed or none is.
fn check_resumed(scenario: Scenario, seen: &Seen) -> Result<(), Failure> {
    let expected = if scenario.work() == Work::Resumed { seen.answered } else { 0 };
    if seen.resumed == expected {
        return Ok(());
    }
    let what = format!("{} of {} TLS sessions were resumed", seen.resumed, seen.answered);
    Err(Failure::Answer(what))
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
pub fn idle(
    rival: Rival,
    scenario: Scenario,
    ground: &Ground,
    plan: &Plan,
) -> Result<Sample, Failure> {
    let proxy = start(rival, ground)?;
    // Buffers and pools of a proxy at work are not what a waiting connection costs.
    let mut load = Load::new(job(&proxy, scenario, ground, plan), plan.connections as usize)?;
    load.run(Duration::from_secs_f64(plan.warm_up))?;
    drop(load);
    let before = measure::settled_memory(&proxy.pids())? as f64;
    let count = scenario.connections(plan);
    let held = load::hold(&job(&proxy, scenario, ground, plan), count as usize)?;
    // Some give memory back once a connection has waited for a while.
    std::thread::sleep(Duration::from_secs_f64(plan.wait));
    let after = measure::settled_memory(&proxy.pids())? as f64;
    drop(held);
    if let Some(log) = &proxy.log {
        fs::remove_file(log).during(&log.display().to_string())?;
    }
    let mib = f64::from(1 << 20);
    Ok(vec![Some((after - before) / f64::from(count)), Some(before / mib), Some(after / mib)])
}
