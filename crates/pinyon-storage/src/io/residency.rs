//! How much the system has in memory for this process.

/// Bytes of files that the process has in memory through mappings, its own program among them; `None` where the system does not
/// say. About as long as a short query.
pub fn mapped_resident_bytes() -> Option<u64> {
    resident_bytes("RssFile:")
}

/// Bytes that the process has in memory of its own, and of no file; `None` where the system does not say.
pub fn anonymous_resident_bytes() -> Option<u64> {
    resident_bytes("RssAnon:")
}

fn resident_bytes(kind: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix(kind))?;
    let kilobytes: u64 = kilobytes.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
