//! The `pinyon` command: one file per verb. Verbs that work on data talk to a running server, or open the data
//! themselves when they are given a directory that no server holds.

#![allow(clippy::print_stdout, clippy::print_stderr)] // talking to people is this crate's job
#![cfg_attr(test, allow(clippy::unwrap_used))]

#[macro_use]
mod output;

mod access;
mod arguments;
mod commands;
mod exit;
mod log;
mod plot;

use arguments::{Arguments, Verb};
use clap::Parser;
use pinyon_allocator as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(answer) => return exit::answer(&answer),
    };
    log::start();
    // Before anything is opened, by whatever verb; a setting may let the group read.
    pinyon_core::limit_new_files(pinyon_core::FileAccess::Owner);
    if let Err(error) = pinyon_core::name_shortened_files() {
        tracing::warn!(error = %error, "a file that is shortened while it is read will not be named");
    }
    let done = match arguments.verb {
        Verb::Serve(command) => commands::serve::run(command),
        Verb::Demo(command) => commands::demo::run(&command),
        Verb::Ingest(command) => commands::ingest::run(&command),
        Verb::Query(command) => commands::query::run(&command),
        Verb::Explain(command) => commands::explain::run(&command),
        Verb::Fetch(command) => commands::fetch::run(&command),
        Verb::Delete(command) => commands::delete::run(&command),
        Verb::Tenants(command) => commands::tenants::run(&command),
        Verb::Move(command) => commands::moves::begin(&command),
        Verb::Moves(command) => commands::moves::list(&command),
        Verb::Indexes(command) => commands::indexes::run(&command),
        Verb::Shards(command) => commands::shards::run(&command),
        Verb::Health(command) => commands::health::run(&command),
        Verb::Advise(command) => commands::advise::run(&command),
        Verb::Bench(command) => commands::bench::run(&command),
        Verb::Doctor(command) => commands::doctor::run(&command),
        Verb::Settings(command) => commands::settings::run(&command),
        Verb::Inspect(command) => commands::inspect::run(&command),
        Verb::Keys(command) => commands::keys::run(&command),
    };
    exit::report(done)
}
