//! What the system knows of processes: CPU time, memory, their children; cores and open files.
//!
//! Invariants: CPU time is a process' own clock, in nanoseconds, its ended threads included; memory
//! is the proportional share (Pss), so that pages shared by a master and its worker count once;
//! kernel memory of sockets is in neither, and is about the same for all.

use std::fs;
use std::time::{Duration, Instant};

use nix::time::ClockId;
use rustix::process::Resource;
use rustix::thread::CpuSet;

use crate::failure::{During, Failure};

/// Between two looks at memory that is to settle.
const SETTLE_STEP: Duration = Duration::from_millis(100);

/// Memory that moves less than this between two looks has settled, in bytes.
const SETTLED: u64 = 64 * 1024;

/// Memory is taken as it is after this time.
const SETTLE_LIMIT: Duration = Duration::from_secs(3);

/// The process and all that descend from it.
pub fn family(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, parent_of(pid)?)))
        .collect();
    let mut family = vec![root];
    let mut next = 0;
    while let Some(&member) = family.get(next) {
        family.extend(parents.iter().filter(|(_, parent)| *parent == member).map(|(pid, _)| pid));
        next += 1;
    }
    family
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the state and the parent follow it.
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.split(' ').nth(1)?.parse().ok()
}

/// CPU time that the processes have used, in user and kernel.
pub fn cpu_time(pids: &[u32]) -> Result<Duration, Failure> {
    let mut sum = Duration::ZERO;
    for pid in pids {
        let clock = ClockId::pid_cpu_clock_id(nix::unistd::Pid::from_raw(*pid as i32));
        let time = clock.and_then(ClockId::now).during(&format!("CPU clock of process {pid}"))?;
        sum += Duration::from(time);
    }
    Ok(sum)
}

/// CPU time that the whole machine has used on all cores, what the hypervisor took included.
pub fn machine_time() -> Result<Duration, Failure> {
    let text = fs::read_to_string("/proc/stat").during("/proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // user, nice, system, idle, waiting for disks, interrupts, soft interrupts, stolen.
    let [user, nice, system, _, _, irq, soft, stolen, ..] = ticks.as_slice() else {
        return Err(Failure::Answer("/proc/stat has no line of eight figures".into()));
    };
    let busy = user + nice + system + irq + soft + stolen;
    Ok(Duration::from_secs_f64(busy as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// Memory of the processes once it has settled, in bytes.
pub fn settled_memory(pids: &[u32]) -> Result<u64, Failure> {
    let start = Instant::now();
    let mut before = memory(pids)?;
    loop {
        std::thread::sleep(SETTLE_STEP);
        let now = memory(pids)?;
        if now.abs_diff(before) < SETTLED || start.elapsed() > SETTLE_LIMIT {
            return Ok(now);
        }
        before = now;
    }
}

fn memory(pids: &[u32]) -> Result<u64, Failure> {
    let mut sum = 0;
    for pid in pids {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = fs::read_to_string(&path).during(&path)?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        sum += kib.ok_or_else(|| Failure::Answer(format!("{path} has no Pss")))? * 1024;
    }
    Ok(sum)
}

/// Which core each part gets.
#[derive(Debug, Clone, Copy)]
pub struct Cores {
    /// The proxy's, alone.
    pub proxy: Option<usize>,
    /// The load's.
    pub load: Option<usize>,
    /// The dyno's: the load's too when there are only two.
    pub dyno: Option<usize>,
}

/// Shares out the cores that this process may use; with one there is nothing to share.
pub fn cores() -> Result<Cores, Failure> {
    let allowed = rustix::thread::sched_getaffinity(None).during("reading the allowed cores")?;
    let all: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
    Ok(match all.as_slice() {
        [proxy, load, rest @ ..] => Cores {
            proxy: Some(*proxy),
            load: Some(*load),
            dyno: Some(*rest.first().unwrap_or(load)),
        },
        _ => Cores { proxy: None, load: None, dyno: None },
    })
}

/// Binds the calling thread, and what it will start, to a core.
pub fn bind_to(core: usize) -> Result<(), Failure> {
    let mut set = CpuSet::new();
    set.set(core);
    rustix::thread::sched_setaffinity(None, &set).during(&format!("binding to core {core}"))
}

/// Raises the limit on open files to its hard limit, and says what that is.
pub fn raise_open_files() -> Result<u64, Failure> {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    rustix::process::setrlimit(Resource::Nofile, limit).during("raising the open files' limit")?;
    Ok(limit.current.unwrap_or(1 << 20))
}
