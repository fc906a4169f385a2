//! How much memory this process may have: what its control groups (v1 or v2) allow, and what the machine has.

use std::fs;
use std::path::Path;

/// The least of all limits, in bytes; none where the system does not say.
pub(crate) fn limit() -> Option<u64> {
    limit_below(Path::new("/"))
}

fn limit_below(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let groups = groups.lines().filter_map(|line| group_limit(root, line));
    groups.chain(machine(root)).min()
}

/// The limit of a group that a line of `/proc/self/cgroup` names: its own, or that of a group around it. Within a container the groups around
/// it cannot be seen, and its own may be named by a path from outside; then it stands at the top.
fn group_limit(root: &Path, line: &str) -> Option<u64> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?);
    let (mounts, file): (&[&str], &str) = match controllers {
        "" => (&["sys/fs/cgroup", "sys/fs/cgroup/unified"], "memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => {
            (&["sys/fs/cgroup/memory"], "memory.limit_in_bytes")
        }
        _ => return None,
    };
    let around: Vec<&Path> = Path::new(path.trim_start_matches('/')).ancestors().collect();
    let files = mounts.iter().flat_map(|mount| {
        let mount = root.join(mount);
        around.iter().map(move |group| mount.join(group).join(file))
    });
    // Without a limit there stands `max`, or a number past any memory.
    files.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok()).min()
}

fn machine(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit_with(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::TempDir::new().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        limit_below(root.path())
    }

    /// Scenario: control groups of both versions with limits at the process's own group, around it, at the top of a container, and
    /// nowhere; machines with less than that.
    /// Guarantees: the least of them holds; what says nothing counts for nothing.
    #[test]
    fn the_least_limit_holds() {
        let machine = ("proc/meminfo", "MemTotal:    2048 kB\nMemFree:  1 kB\n");
        let v1 = ("proc/self/cgroup", "5:cpu:/a/b\n4:cpuset,memory:/a/b\n0::/\n");
        let v2 = ("proc/self/cgroup", "0::/a/b\n");
        let at = |path: &'static str, limit: &'static str| (path, limit);
        assert_eq!(limit_with(&[]), None);
        assert_eq!(limit_with(&[machine, v1]), Some(2 << 20));
        assert_eq!(
            limit_with(&[machine, v1, at("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "1000\n")]),
            Some(1000)
        );
        assert_eq!(limit_with(&[machine, v1, at("sys/fs/cgroup/memory/memory.limit_in_bytes", "900\n")]), Some(900));
        assert_eq!(
            limit_with(&[machine, v1, at("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712")]),
            Some(2 << 20)
        );
        assert_eq!(limit_with(&[machine, v1, at("sys/fs/cgroup/cpu/a/b/memory.limit_in_bytes", "7")]), Some(2 << 20));
        let (own, around) = (at("sys/fs/cgroup/a/b/memory.max", "max\n"), at("sys/fs/cgroup/a/memory.max", "800\n"));
        assert_eq!(limit_with(&[machine, v2, own, around]), Some(800));
        assert_eq!(limit_with(&[v2, at("sys/fs/cgroup/unified/a/b/memory.max", "700")]), Some(700));
    }
}
