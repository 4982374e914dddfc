//! How much memory this process may have: what its control groups allow, or what the machine has.
//!
//! Invariants: pure, the files are read by an argument; the tightest bound of the group and of
//! those around it holds; where nothing can be read, there is none.

/// Where control groups are found.
const GROUPS: &str = "/sys/fs/cgroup";

/// The memory that the process may have, in bytes.
pub fn allowed(read: impl Fn(&str) -> Option<String>) -> usize {
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    // `0::/path` is version 2, `5:memory:/path` version 1 (cgroups(7)).
    let of_group = groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (kind, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        match kind {
            "" => bounds(GROUPS, path, "memory.max", &read),
            _ if kind.split(',').any(|kind| kind == "memory") => {
                bounds(&format!("{GROUPS}/memory"), path, "memory.limit_in_bytes", &read)
            }
            _ => Vec::new(),
        }
    });
    of_group.chain(of_machine(&read)).min().unwrap_or(usize::MAX)
}

/// The bounds of a group and of those around it, as far as they have any.
fn bounds(
    root: &str,
    group: &str,
    file: &str,
    read: &impl Fn(&str) -> Option<String>,
) -> Vec<usize> {
    let mut found = Vec::new();
    let mut group = group.trim_end_matches('/');
    loop {
        let text = read(&format!("{root}{group}/{file}"));
        // The word `max` is no number, and no bound.
        found.extend(text.and_then(|text| text.trim().parse::<usize>().ok()));
        match group.rfind('/') {
            Some(end) => group = &group[..end],
            None => return found,
        }
    }
}

fn of_machine(read: &impl Fn(&str) -> Option<String>) -> Option<usize> {
    let text = read("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<usize>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> usize {
        allowed(|path| {
            let file = files.iter().find(|(name, _)| *name == path);
            file.map(|(_, text)| (*text).to_owned())
        })
    }

    const MACHINE: (&str, &str) = ("/proc/meminfo", "MemTotal:       2000 kB\nMemFree: 1 kB\n");

    #[test]
    fn the_tightest_bound_holds() {
        let group = ("/proc/self/cgroup", "0::/a/b\n");
        assert_eq!(of(&[]), usize::MAX);
        assert_eq!(of(&[MACHINE]), 2_048_000);
        let b = ("/sys/fs/cgroup/a/b/memory.max", "max\n");
        assert_eq!(of(&[MACHINE, group, b]), 2_048_000);
        let a = ("/sys/fs/cgroup/a/memory.max", "500000\n");
        assert_eq!(of(&[MACHINE, group, b, a]), 500_000);
        let b = ("/sys/fs/cgroup/a/b/memory.max", "400000\n");
        assert_eq!(of(&[MACHINE, group, b, a]), 400_000);
        let in_container = ("/proc/self/cgroup", "0::/\n");
        let top = ("/sys/fs/cgroup/memory.max", "300000\n");
        assert_eq!(of(&[MACHINE, in_container, top]), 300_000);
        let first = ("/proc/self/cgroup", "9:cpu:/\n5:hugetlb,memory:/x\n");
        let x = ("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "200000\n");
        assert_eq!(of(&[MACHINE, first, x]), 200_000);
        let x = ("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(of(&[MACHINE, first, x]), 2_048_000, "the word of version 1 for none");
    }
}
