//! `pinyon ingest`.

mod encoding;
mod lines;
mod writer;

use super::serve::stop_signal;
use crate::{access::Access, arguments::Ingest, exit::Outcome, output};
use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use lines::Lines;
use std::{path::Path, sync::Arc, time::Instant};
use writer::{Durable, Writer};

/// Reads the file line by line and writes batches per tenant, each durable before the next is sent.
///
/// # Errors
/// A line that is no document (named by its number), or what the engine says; it is said how many documents are durable and
/// at which line to go on.
pub fn run(command: &Ingest) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let durable = Arc::new(Durable::default());
    speak_when_interrupted(&durable, &command.file)?;
    // Before the data are opened: a file that cannot be read makes no directory.
    let mut lines = Lines::open(&command.file).with_context(|| command.file.display().to_string())?;
    let bar = progress(&command.file)?;
    let access = Access::to_fill(&command.target)?;
    let mut writer = Writer::new(&access, command.batch as usize, &durable);
    let ended = write_all(command, &mut lines, &mut writer, &bar);
    bar.finish_and_clear();
    match ended {
        Ok(()) => {
            access.close()?;
            report(command, durable.documents(), started)
        }
        Err(error) => {
            // What is durable stays so without it, and the reason to stop is the one to be told.
            drop(access.close());
            Err(stopped(command, &durable, &error, started))
        }
    }
}

/// A signal ends the program at once: a write that is on its way becomes durable as a whole or not at all, and it is not
/// counted.
fn speak_when_interrupted(durable: &Arc<Durable>, file: &Path) -> anyhow::Result<()> {
    let (durable, file) = (Arc::clone(durable), file.to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stop = {
        let _inside = runtime.enter();
        stop_signal()?
    };
    let speak = move || {
        runtime.block_on(stop);
        let go_on = go_on(&file, durable.next_line());
        eprintln!("pinyon: interrupted with at least {} documents durable; {go_on}", durable.documents());
        std::process::exit(1);
    };
    std::thread::Builder::new().name("interruption".into()).spawn(speak)?;
    Ok(())
}

fn write_all(
    command: &Ingest,
    lines: &mut Lines,
    writer: &mut Writer<'_>,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let file = &command.file;
    let default_tenant = command.tenant.as_deref();
    loop {
        let number = lines.number() + 1;
        let named = || format!("{} line {number}", file.display());
        let Some(line) = lines.next_line().with_context(named)? else { break };
        bar.inc(line.len() as u64 + 1);
        if let Some(owned) = lines::read(line, file, default_tenant).with_context(named)? {
            writer.add(number, owned).map_err(|refused| refused.of(file))?;
            bar.set_message(format!("{} documents durable", writer.durable().documents()));
        }
    }
    writer.flush().map_err(|refused| refused.of(file))
}

/// Says why an ingest stopped, what it did, and how to go on; to programs too.
fn stopped(command: &Ingest, durable: &Durable, error: &anyhow::Error, started: Instant) -> anyhow::Error {
    let (documents, next_line) = (durable.documents(), durable.next_line());
    if command.target.json {
        let (error, seconds) = (format!("{error:#}"), started.elapsed().as_secs_f64());
        let said = serde_json::json!({
            "documents": documents, "seconds": seconds, "next_line": next_line, "error": error,
        });
        // A reader that is gone does not change what is to be said on standard error.
        let _ = output::json(&said);
    }
    anyhow!("stopped with {documents} documents durable: {error:#}; {}", go_on(&command.file, next_line))
}

/// Says how to go on at a line. All before it is durable; what is written again from there on replaces itself.
fn go_on(file: &Path, line: u64) -> String {
    if line <= 1 {
        return "begin again with line 1".into();
    }
    if file == Path::new("-") {
        return format!("go on with line {line}");
    }
    let command = format!("tail -n +{line} {} | pinyon ingest -", file.display());
    format!("go on with line {line}: `{command}`, with the same options")
}

fn report(command: &Ingest, written: u64, started: Instant) -> anyhow::Result<Outcome> {
    let seconds = started.elapsed().as_secs_f64();
    if command.target.json {
        output::json(&serde_json::json!({"documents": written, "seconds": seconds}))?;
    } else {
        println!("{written} documents ingested in {seconds:.1} s ({:.0} a second)", written as f64 / seconds);
    }
    Ok(Outcome::Good)
}

/// A bar on a terminal, nothing elsewhere.
fn progress(file: &Path) -> anyhow::Result<ProgressBar> {
    if file == Path::new("-") {
        return Ok(ProgressBar::new_spinner());
    }
    let length = std::fs::metadata(file).with_context(|| file.display().to_string())?.len();
    let style =
        ProgressStyle::with_template("{bar:30} {percent:>3} %  {bytes}/{total_bytes}  {eta} left  {msg}")?;
    Ok(ProgressBar::new(length).with_style(style))
}
