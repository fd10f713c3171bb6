//! How many file descriptors the process may still open.

use rustix::process::{Resource, getrlimit};

/// Descriptors that are left to the process; `None` where there is no limit or the system does not say. Reads a directory.
pub fn descriptors_left() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile).current?;
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
    Some(limit.saturating_sub(open as u64))
}
