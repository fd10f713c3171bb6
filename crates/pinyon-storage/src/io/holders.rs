//! Names the processes that hold what somebody else wants: a directory's lock, a port. Linux tells; elsewhere nobody is named.

use std::{fs, path::Path};

/// The state of a socket that listens, in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// Most bytes of a lock file that are looked at: a number.
const PID_BYTES_MAX: u64 = 32;

/// Names the process that holds a lock file, which keeps its number: `process 4711 (pinyon)`.
pub fn lock_holder(path: &Path) -> Option<String> {
    if fs::metadata(path).ok()?.len() > PID_BYTES_MAX {
        return None;
    }
    Some(named(fs::read_to_string(path).ok()?.trim().parse().ok()?))
}

/// Names the process that listens on a port: `process 4711 (pinyon)`. `None` where the system does not say, which it does of
/// other users' processes to root only.
pub fn port_holder(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let sockets: Vec<String> = tables
        .iter()
        .flatten()
        .flat_map(|table| table.lines())
        .filter_map(|line| {
            let socket = listening(line, port)?;
            Some(format!("socket:[{socket}]"))
        })
        .collect();
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let mut files = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        files.find_map(|file| {
            let target = fs::read_link(file.path()).ok()?;
            sockets.iter().any(|socket| target.as_os_str() == socket.as_str()).then(|| named(pid))
        })
    })
}

/// Returns the inode of a socket that listens on a port.
fn listening(line: &str, port: u16) -> Option<&str> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (_, local_port) = fields.next()?.rsplit_once(':')?;
    let state = fields.nth(1)?;
    let is_it = state == LISTENING && u16::from_str_radix(local_port, 16) == Ok(port);
    fields.nth(5).filter(|_| is_it)
}

fn named(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    match name.trim() {
        "" => format!("process {pid}"),
        name => format!("process {pid} ({name})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_line_of_the_systems_table_tells_ports_and_sockets() {
        let line = "   0: 0100007F:13D8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 98765 1 0 100 0 0 10 0";
        assert_eq!(listening(line, 5080), Some("98765"));
        assert_eq!(listening(line, 5081), None);
        assert_eq!(listening(&line.replace(" 0A ", " 01 "), 5080), None, "a connection is not to blame");
        assert_eq!(listening("  sl  local_address rem_address   st", 5080), None);
    }

    #[test]
    fn this_process_is_named_as_the_holder_of_its_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let begin = format!("process {}", std::process::id());
        assert!(port_holder(port).is_some_and(|holder| holder.starts_with(&begin)));
        drop(listener);
        assert_eq!(port_holder(port), None);
    }
}
