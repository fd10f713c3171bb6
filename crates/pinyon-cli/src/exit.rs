//! Exit codes: 0 done; 1 failed; 2 the arguments or settings make no sense (clap's own, too); 3 the answer is no (unhealthy,
//! findings left, partial result).

use pinyon_core::{EngineError, ErrorCode};
use pinyon_server::config::ConfigError;
use std::process::ExitCode;

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
