//! The memory that this process may take: the least of what its control groups allow (versions 1 and 2, parents too) and of
//! what the machine has. Defaults of settings are shares of it.

use pinyon_core::read_side_file;
use std::path::{Path, PathBuf};

const GROUPS: &str = "/sys/fs/cgroup";
/// Limits of version 1 from here on mean that there is none: it writes the largest multiple of a page.
const NO_LIMIT_BYTES: u64 = 1 << 60;
/// Where nothing can be read.
const UNKNOWN_BYTES: u64 = 2 << 30;

/// Memory, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) bytes: u64,
    /// The file that says so.
    pub(super) source: String,
}

/// What the system lets this process have. A file that is not there or cannot be read limits nothing.
pub(super) fn memory() -> Memory {
    memory_by(|path| read_side_file(path).ok().flatten().and_then(|bytes| String::from_utf8(bytes).ok()))
}

fn memory_by(read: impl Fn(&Path) -> Option<String>) -> Memory {
    let mut files = limit_files(&read(Path::new("/proc/self/cgroup")).unwrap_or_default());
    files.sort();
    files.dedup();
    let limit = |path: PathBuf| {
        let bytes = read(&path)?.trim().parse().ok().filter(|bytes| *bytes < NO_LIMIT_BYTES)?;
        Some(Memory { bytes, source: path.display().to_string() })
    };
    let limits = files.into_iter().filter_map(limit);
    let machine = read(Path::new("/proc/meminfo")).as_deref().and_then(mem_total);
    let machine = machine.map(|bytes| Memory { bytes, source: "/proc/meminfo".into() });
    let least = limits.chain(machine).min_by_key(|memory| memory.bytes);
    least.unwrap_or_else(|| Memory { bytes: UNKNOWN_BYTES, source: "a guess".into() })
}

/// The files that may limit a process of these groups: those of its groups and of all above them. In a container the groups'
/// paths may be those of the host, and the container's own limits lie at the top.
fn limit_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let (roots, names): (&[&str], &[&str]) = match controllers {
            "" => (&["", "unified"], &["memory.max", "memory.high"]),
            named if named.split(',').any(|one| one == "memory") => (&["memory"], &["memory.limit_in_bytes"]),
            _ => continue,
        };
        let above = Path::new(path.trim_start_matches('/')).ancestors();
        let places =
            above.flat_map(|group| roots.iter().map(move |root| Path::new(GROUPS).join(root).join(group)));
        files.extend(places.flat_map(|place| names.iter().map(move |name| place.join(name))));
    }
    files
}

/// The machine's memory, from the text of `/proc/meminfo`.
fn mem_total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const MEMINFO: &str = "MemTotal:       16384000 kB\nMemFree:         1000000 kB\n";

    fn check(files: &[(&str, &str)], bytes: u64, source: &str) {
        let files: BTreeMap<&Path, &str> =
            files.iter().map(|(path, text)| (Path::new(*path), *text)).collect();
        let found = memory_by(|path| files.get(path).map(|text| (*text).to_owned()));
        assert_eq!(found, Memory { bytes, source: source.into() });
    }

    #[test]
    fn the_least_limit_of_version_2_holds_wherever_it_stands() {
        let own = ("/proc/self/cgroup", "0::/a.slice/b.service\n");
        let machine = ("/proc/meminfo", MEMINFO);
        let max = "/sys/fs/cgroup/a.slice/b.service/memory.max";
        check(&[own, machine, (max, "536870912\n")], 512 << 20, max);
        check(&[own, machine, (max, "max\n")], 16_384_000 << 10, "/proc/meminfo");
        let high = "/sys/fs/cgroup/a.slice/memory.high";
        check(&[own, machine, (max, "536870912\n"), (high, "1048576\n")], 1 << 20, high);
        // A container that sees only its own group, at the top.
        let top = "/sys/fs/cgroup/memory.max";
        check(&[("/proc/self/cgroup", "0::/\n"), machine, (top, "1073741824\n")], 1 << 30, top);
        check(&[own, machine, (top, "1073741824\n")], 1 << 30, top);
        // More than the machine has limits nothing.
        check(&[own, machine, (max, "99999999999999\n")], 16_384_000 << 10, "/proc/meminfo");
    }

    #[test]
    fn version_1_and_the_mixture_of_both_are_read() {
        let own = ("/proc/self/cgroup", "4:cpu,memory:/docker/c0ffee\n1:name=systemd:/x\n0::/x\n");
        let machine = ("/proc/meminfo", MEMINFO);
        let limit = "/sys/fs/cgroup/memory/docker/c0ffee/memory.limit_in_bytes";
        check(&[own, machine, (limit, "268435456\n")], 256 << 20, limit);
        check(&[own, machine, (limit, "9223372036854771712\n")], 16_384_000 << 10, "/proc/meminfo");
        let top = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
        check(&[own, machine, (limit, "268435456\n"), (top, "134217728\n")], 128 << 20, top);
        let unified = "/sys/fs/cgroup/unified/x/memory.max";
        check(&[own, machine, (unified, "67108864\n")], 64 << 20, unified);
    }

    #[test]
    fn what_cannot_be_read_limits_nothing() {
        check(
            &[("/proc/self/cgroup", "nonsense\n0:\n"), ("/proc/meminfo", MEMINFO)],
            16_384_000 << 10,
            "/proc/meminfo",
        );
        check(&[("/proc/meminfo", "MemTotal: lots\n")], UNKNOWN_BYTES, "a guess");
        check(&[], UNKNOWN_BYTES, "a guess");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_says_how_much_it_has() {
        let found = memory();
        assert!(found.bytes >= 16 << 20 && found.source.starts_with('/'), "{found:?}");
    }
}
