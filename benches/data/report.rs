//! Lines of JSON that say, beside a figure, what it depends on: commit, machine, command, what else the machine did.
//! Must not know what is measured.

use serde_json::{Map, Value, json};
use std::{path::Path, process::Command, sync::OnceLock};

static ORIGIN: OnceLock<Map<String, Value>> = OnceLock::new();

/// Notes where figures come from. A bench calls it first: afterwards the load is its own.
pub fn begin() {
    ORIGIN.get_or_init(origin);
}

/// Prints an object as one line, with its origin at the end.
///
/// # Panics
/// It is not an object.
#[allow(clippy::print_stdout)] // what a bench is for
pub fn say(line: Value) {
    let Value::Object(mut line) = line else { panic!("a line is an object") };
    line.extend(ORIGIN.get_or_init(origin).clone());
    println!("{}", Value::Object(line));
}

fn origin() -> Map<String, Value> {
    let words = [("commit", json!(commit())), ("machine", machine()), ("command", json!(command()))];
    let load: Vec<f64> =
        text("/proc/loadavg").split(' ').take(3).filter_map(|one| one.parse().ok()).collect();
    let words = words.into_iter().chain([("loadavg", json!(load.first())), ("loadavg_all", json!(load))]);
    words.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The commit, marked where files differ from it.
fn commit() -> String {
    let git = |words: &[&str]| {
        let done = Command::new("git").args(words).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
        Some(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    };
    match git(&["rev-parse", "--short", "HEAD"]) {
        Some(commit) if !commit.is_empty() => {
            let is_dirty = git(&["status", "--porcelain"]).is_none_or(|files| !files.is_empty());
            commit + if is_dirty { "-dirty" } else { "" }
        }
        _ => "unknown".into(),
    }
}

fn machine() -> Value {
    let memory_kib: f64 = field("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0.0);
    json!({
        "processor": field("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "memory_gib": (memory_kib / 1024.0 / 102.4).round() / 10.0,
        "kernel": text("/proc/sys/kernel/osrelease").trim(),
    })
}

/// How this run can be repeated.
fn command() -> String {
    let mut arguments = std::env::args();
    let path = arguments.next().unwrap_or_default();
    let name =
        Path::new(&path).file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // Cargo adds a hyphen and a hash.
    let name = name.rsplit_once('-').map_or(name.as_str(), |(name, _)| name);
    let mut variables: Vec<String> = std::env::vars()
        .filter(|(variable, _)| variable.starts_with("PINYON_BENCH_"))
        .map(|(variable, value)| format!("{variable}={value} "))
        .collect();
    variables.sort();
    let rest: Vec<String> = arguments.filter(|argument| argument != "--bench").collect();
    let rest = if rest.is_empty() { String::new() } else { format!(" -- {}", rest.join(" ")) };
    format!("{}cargo bench -p pinyon-benches --bench {name}{rest}", variables.concat())
}

/// The first value of a name in a file of `name: value` lines.
fn field(path: &str, name: &str) -> String {
    let text = text(path);
    let value = |line: &str| {
        line.strip_prefix(name)?.trim_start().strip_prefix(':').map(|rest| rest.trim().to_owned())
    };
    text.lines().find_map(value).unwrap_or_default()
}

fn text(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn an_origin_names_what_a_figure_depends_on() {
        let origin = origin();
        assert!(
            origin["command"]
                .as_str()
                .is_some_and(|command| command.contains("cargo bench -p pinyon-benches"))
        );
        assert!(origin["machine"]["cores"].as_u64().is_some_and(|cores| cores > 0));
        assert!(origin["commit"].as_str().is_some_and(|commit| !commit.is_empty()));
    }
}
