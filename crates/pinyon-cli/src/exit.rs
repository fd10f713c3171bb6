//! Exit codes: 0 done; 1 failed; 2 the arguments or settings make no sense (clap's own, too); 3 the answer is no (unhealthy,
//! findings left, partial result). A reader that closes the pipe early (`| head -1`) is no failure: the verb's work is
//! done, it says nothing and does not panic, and scripts with `pipefail` go on. Output that gets lost otherwise, on a full disk,
//! is one.

use crate::output;
use pinyon_core::{EngineError, ErrorCode};
use pinyon_server::config::ConfigError;
use std::{io, process::ExitCode};

/// How a verb ended when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is as it should be.
    Good,
    /// It worked, and what it found is not good.
    Bad,
}

/// An argument that makes no sense.
#[derive(Debug)]
pub struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Prints a failure and chooses the code.
pub fn report(done: anyhow::Result<Outcome>) -> ExitCode {
    let done = done.and_then(|outcome| match output::failure() {
        Some(error) => Err(lost(error)),
        None => Ok(outcome),
    });
    match done {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Bad) => ExitCode::from(3),
        // Whoever reads our output has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pinyon: {error:#}");
            ExitCode::from(if is_wrong_argument(&error) { 2 } else { 1 })
        }
    }
}

/// Prints what clap answers in place of a verb: help, the version, or what is wrong with the arguments.
pub fn answer(answer: &clap::Error) -> ExitCode {
    match answer.print() {
        Err(error) if !answer.use_stderr() && error.kind() != io::ErrorKind::BrokenPipe => {
            report(Err(lost(&error)))
        }
        _ => ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(2)),
    }
}

fn lost(error: &io::Error) -> anyhow::Error {
    anyhow::anyhow!("cannot write to standard output: {error}")
}

/// Whether what the user gave is to blame: on the command line, in the environment, or in a file of settings.
fn is_wrong_argument(error: &anyhow::Error) -> bool {
    let engine = error.downcast_ref::<EngineError>();
    error.is::<Usage>()
        || error.is::<ConfigError>()
        || engine.is_some_and(|error| error.code == ErrorCode::InvalidArgument)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
