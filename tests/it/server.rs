//! The real binary as a child process, and a client for it.

use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// The `pinyon` binary of the profile under test, built if it is not fresh.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let deps = std::env::current_exe().unwrap();
        let target = deps.ancestors().nth(2).unwrap().to_owned();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // Cargo tells a test about its package; a build script that looks at the same names would run again and again.
        let of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_package)) {
            cargo.env_remove(name);
        }
        cargo.args(["build", "--quiet", "--package", "pinyon-cli", "--bin", "pinyon"]);
        if target.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "the binary does not build");
        target.join("pinyon")
    })
}

/// A new directory below the system's temporary one, another one for every call: tests of one process run at once.
pub fn scratch(name: &str) -> PathBuf {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let (process, call) = (std::process::id(), CALLS.fetch_add(1, Ordering::Relaxed));
    let dir = std::env::temp_dir().join(format!("pinyon-it-{process}-{call}-{name}"));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

/// A running server. Dropping it kills it without warning.
pub struct Server {
    child: Child,
    pub url: String,
    authority: Option<PathBuf>,
    /// Where health and metrics have a port of their own.
    pub ops: Option<String>,
    connection: Connection,
}

/// What a client needs to talk to a server, also while somebody else kills it.
#[derive(Clone)]
pub struct Connection {
    url: String,
    agent: ureq::Agent,
}

/// A process that may still be opening its data.
pub struct Starting(Child);

impl Server {
    /// Starts one on a free port and waits until it answers.
    pub fn start(data_dir: &Path, arguments: &[&str]) -> Self {
        Self::start_with(data_dir, arguments, &[])
    }

    /// Starts one with environment variables.
    pub fn start_with(data_dir: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Starting::new(data_dir, arguments, environment, Stdio::inherit()).wait()
    }

    /// Starts one that may have so many file descriptors.
    pub fn start_limited(data_dir: &Path, descriptors: u32) -> Self {
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"")]).arg(binary());
        Starting::of(limited, data_dir, &[], &[], Stdio::inherit()).wait()
    }

    /// Posts JSON; status and body, or nothing when the connection broke.
    pub fn post(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        self.connection.post(path, body)
    }

    /// Gets JSON.
    pub fn get(&self, path: &str) -> Option<(u16, Value)> {
        self.connection.get(path, &[])
    }

    /// The process's number.
    /// The sum of the metrics in whose lines all of this stands.
    pub fn metric(&self, series: &[&str]) -> f64 {
        let response = self.agent().get(format!("{}/metrics", self.url)).call().unwrap();
        let text = response.into_body().read_to_string().unwrap();
        let is_meant = |line: &&str| series.iter().all(|part| line.contains(part));
        text.lines().filter(is_meant).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether this process listens on a port, which another test's server may have taken since.
    pub fn listens_on(&self, port: u16) -> bool {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let listening = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let of_port = listening.filter(|row| row[1].ends_with(&format!(":{port:04X}")) && row[3] == "0A");
        let sockets: Vec<String> = of_port.map(|row| format!("socket:[{}]", row[9])).collect();
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap();
        let links = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        links.into_iter().any(|link| sockets.iter().any(|socket| link.as_os_str() == socket.as_str()))
    }

    /// Ends the process as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops the process where it is, and waits until it stands.
    pub fn stop(&self) {
        stop(self.pid());
    }

    /// The code with which the process ended, if it has, or does within a time.
    pub fn exit_code(&mut self, time: Duration) -> Option<i32> {
        for _ in 0..time.as_millis() / 20 + 1 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status.code().unwrap_or(-1));
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        None
    }

    /// The file with the certificate of the server's own authority, if it has one.
    pub fn authority(&self) -> Option<&Path> {
        self.authority.as_deref()
    }

    pub fn agent(&self) -> &ureq::Agent {
        &self.connection.agent
    }

    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Connection {
    /// Posts JSON; status and body, or nothing when the connection broke.
    pub fn post(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let request =
            self.agent.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        read(request.send(body.to_string()))
    }

    /// Gets JSON.
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<(u16, Value)> {
        let request = self.agent.get(format!("{}{path}", self.url)).header("accept", "application/json");
        read(request.query_pairs(query.iter().copied()).call())
    }
}

impl Starting {
    /// Starts a server on a free port; `errors` is where it writes its log.
    pub fn new(data_dir: &Path, arguments: &[&str], environment: &[(&str, &str)], errors: Stdio) -> Self {
        Self::of(Command::new(binary()), data_dir, arguments, environment, errors)
    }

    fn of(
        mut command: Command,
        data_dir: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        errors: Stdio,
    ) -> Self {
        let child = command
            .args(["serve", "--json", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .args(arguments)
            // Never the user's own.
            .env("PINYON_TLS_DIR", data_dir.join("tls"))
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn();
        Self(child.unwrap())
    }

    /// Waits until it answers.
    pub fn wait(self) -> Server {
        self.try_wait().expect("the server did not start")
    }

    /// Waits until it answers, or has ended without.
    pub fn try_wait(mut self) -> Option<Server> {
        let Ok(said) = serde_json::from_str::<Value>(&self.line()) else {
            self.0.wait().unwrap();
            return None;
        };
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)));
        let url = said["url"].as_str().unwrap().to_owned();
        let connection = Connection { url: url.clone(), agent: config.build().into() };
        let authority = said["ca"].as_str().map(PathBuf::from);
        let ops = said["ops_url"].as_str().map(str::to_owned);
        Some(Server { child: self.0, url, authority, ops, connection })
    }

    /// Stops the process where it is, and waits until it stands.
    pub fn stop(&self) {
        stop(self.0.id());
    }

    /// Ends the process as a crash would; returns whether it was killed before it said that it listens.
    pub fn kill(mut self) -> bool {
        self.0.kill().unwrap();
        let has_said_nothing = self.line().is_empty();
        self.0.wait().unwrap();
        has_said_nothing
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        line
    }
}

fn stop(pid: u32) {
    let sent = Command::new("kill").args(["-STOP", &pid.to_string()]).status();
    assert!(sent.unwrap().success());
    let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name, which is in brackets.
    while !state()
        .rsplit(')')
        .next()
        .is_some_and(|rest| rest.starts_with(" T") || rest.starts_with(" Z") || rest.is_empty())
    {
        std::thread::yield_now();
    }
}

fn read(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Option<(u16, Value)> {
    let mut response = response.ok()?;
    let text = response.body_mut().read_to_string().ok()?;
    Some((response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text))))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Compares answers with a golden file, line by line, or writes it when `PINYON_TEST_BLESS` is set.
pub fn hold_against_golden(name: &str, answers: &Value) {
    let found = serde_json::to_string_pretty(answers).unwrap() + "\n";
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("PINYON_TEST_BLESS").is_some() {
        std::fs::write(&golden, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    for (line, (found, expected)) in (1..).zip(found.lines().zip(expected.lines())) {
        assert_eq!(found, expected, "{} line {line}", golden.display());
    }
    assert_eq!(found, expected);
}
