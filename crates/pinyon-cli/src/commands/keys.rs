//! `pinyon keys`.

use crate::exit::{Outcome, Usage};
use clap::{Args, Subcommand};
use std::io::Read;

/// Longest key that is read.
const KEY_BYTES_MAX: u64 = 4096;

/// `pinyon keys`.
#[derive(Debug, Args)]
pub struct Keys {
    /// What to make.
    #[command(subcommand)]
    pub what: KeysVerb,
}

/// What to make of a key.
#[derive(Debug, Subcommand)]
pub enum KeysVerb {
    /// Read a key from standard input and write its line for the file, with its hash in place of it.
    Hash {
        /// Whose key it is.
        name: String,
    },
}

/// Reads a key and writes the line that lets it in without telling it.
///
/// # Errors
/// A name or a key that the file would not take; standard input's.
pub fn run(command: &Keys) -> anyhow::Result<Outcome> {
    let KeysVerb::Hash { name } = &command.what;
    let mut key = String::new();
    std::io::stdin().take(KEY_BYTES_MAX).read_to_string(&mut key)?;
    let line = pinyon_server::hashed_line(name, key.trim_end_matches(['\r', '\n'])).map_err(Usage)?;
    println!("{line}");
    Ok(Outcome::Good)
}
