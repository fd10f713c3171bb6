//! The steps of the gate, run one after the other until one fails.

use anyhow::{Context, bail};
use std::{path::Path, process::Command, time::Instant};

/// A step's name and its work.
type Step = (&'static str, Work);

/// The work of a step.
#[derive(Clone, Copy)]
pub enum Work {
    /// Cargo with these arguments.
    Cargo(&'static [&'static str]),
    /// A function of this program.
    Own(fn(&Path) -> anyhow::Result<()>),
}

const FORMAT: Step = ("fmt", Work::Cargo(&["fmt", "--all", "--check"]));
const CLIPPY: Step = (
    "clippy",
    Work::Cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]),
);
const TIDY: Step = ("tidy", Work::Own(crate::tidy::run));
const DENY: Step = ("deny", Work::Own(crate::deny::run_if_installed));
const TEST: Step = ("test", Work::Cargo(&["test", "--workspace", "--all-features", "--locked"]));
const PLANTED: Step = ("planted", Work::Own(crate::planted::run_all));

/// What must hold before anything lands.
pub const WHOLE: [Step; 6] = [FORMAT, CLIPPY, TIDY, DENY, TEST, PLANTED];
/// What is worth asking after every change.
pub const QUICK: [Step; 3] = [FORMAT, CLIPPY, TIDY];

/// Least share of lines that tests must reach.
const COVERAGE_MIN: &str = "85";

/// Runs steps; says how long each took.
pub fn run(root: &Path, steps: &[Step]) -> anyhow::Result<()> {
    let mut times = Vec::new();
    for (name, work) in steps {
        println!("== {name}");
        let started = Instant::now();
        match work {
            Work::Cargo(arguments) => cargo(root, arguments)?,
            Work::Own(run) => run(root)?,
        }
        times.push(format!("{name} {:.0} s", started.elapsed().as_secs_f64()));
    }
    println!("== all good: {}", times.join(", "));
    Ok(())
}

/// Line coverage of the crates that must not lose data, below the floor a failure.
pub fn coverage(root: &Path) -> anyhow::Result<()> {
    let arguments = [
        "llvm-cov",
        "--package",
        "pinyon-storage",
        "--package",
        "pinyon-shard",
        "--package",
        "pinyon-core",
        "--all-features",
        "--locked",
        "--summary-only",
        "--fail-under-lines",
        COVERAGE_MIN,
        "--ignore-filename-regex",
        "tests|pinyon-(types|distance|index|embed)",
    ];
    run_cargo(root, &arguments, &llvm_tools()).context(
        "coverage needs `cargo install cargo-llvm-cov` and llvm-profdata and llvm-cov of the compiler's LLVM version: the \
         system's package (Debian: llvm-22), the rustup component llvm-tools, or files named by LLVM_PROFDATA and LLVM_COV",
    )
}

/// Where Debian keeps the LLVM tools of the compiler's version, unless the environment says or there are none.
fn llvm_tools() -> Vec<(&'static str, String)> {
    let said = Command::new("rustc").arg("-vV").output().map(|done| done.stdout).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let version = said.lines().find_map(|line| line.strip_prefix("LLVM version: ")).unwrap_or_default();
    let major = version.split('.').next().unwrap_or_default();
    let tools = [("LLVM_COV", "llvm-cov"), ("LLVM_PROFDATA", "llvm-profdata")];
    let found = tools.map(|(variable, tool)| (variable, format!("/usr/bin/{tool}-{major}")));
    let is_wanted = |(variable, path): &(&'static str, String)| {
        std::env::var_os(variable).is_none() && Path::new(path).exists()
    };
    found.into_iter().filter(is_wanted).collect()
}

/// Writes README's table of settings: the test that compares it does so when it is told to.
pub fn readme(root: &Path) -> anyhow::Result<()> {
    let arguments = ["test", "--package", "pinyon-server", "--lib", "readme_has_the_table_of_settings"];
    run_cargo(root, &arguments, &[("PINYON_TEST_BLESS", "1".into())])
}

/// The conformance checks of the official SDKs.
pub fn sdk(root: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    python(root, "tests/sdk/run.py", arguments)
}

/// Requests that Pinecone's API is not meant to get.
pub fn fuzz(root: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    python(root, "tests/fuzz/run.py", arguments)
}

fn python(root: &Path, script: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("python3").arg(script).args(arguments).current_dir(root).status();
    if !status.context("the checks are started with python3")?.success() {
        bail!("{script} failed");
    }
    Ok(())
}

fn cargo(root: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    run_cargo(root, arguments, &[])
}

/// Runs cargo in the root, with these environment variables.
pub fn run_cargo(root: &Path, arguments: &[&str], variables: &[(&str, String)]) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (*name, value.as_str())))
        .current_dir(root)
        .status()?;
    if !status.success() {
        bail!("cargo {} failed", arguments.join(" "));
    }
    Ok(())
}
