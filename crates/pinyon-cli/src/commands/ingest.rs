//! `pinyon ingest`.

use super::serve::stop_signal;
use crate::{access::Access, arguments::Ingest, exit::Outcome, output};
use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use pinyon_wire::tenant::{Document, IngestRequest, Metadata};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// One line of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    tenant_id: Option<String>,
    id: String,
    text: String,
    metadata: Option<Metadata>,
}

/// Reads the file line by line and writes batches per tenant, each durable before the next is sent.
///
/// # Errors
/// A line that is no document (named by its number), or what the engine says; it is said how many documents are kept.
pub fn run(command: &Ingest) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let durable = Arc::new(AtomicU64::new(0));
    speak_when_interrupted(&durable)?;
    let access = Access::to_fill(&command.target)?;
    let ended = write_all(command, &access, &durable);
    let written = durable.load(Ordering::Relaxed);
    ended.with_context(|| format!("stopped with {written} documents durable"))?;
    access.close()?;
    report(command, written, started)
}

/// A signal ends the program at once: a write that is on its way becomes durable as a whole or not at all, and it is not
/// counted.
fn speak_when_interrupted(durable: &Arc<AtomicU64>) -> anyhow::Result<()> {
    let durable = Arc::clone(durable);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stop = {
        let _inside = runtime.enter();
        stop_signal()?
    };
    let speak = move || {
        runtime.block_on(stop);
        let written = durable.load(Ordering::Relaxed);
        eprintln!("pinyon: interrupted with at least {written} documents durable");
        std::process::exit(1);
    };
    std::thread::Builder::new().name("interruption".into()).spawn(speak)?;
    Ok(())
}

fn write_all(command: &Ingest, access: &Access, durable: &AtomicU64) -> anyhow::Result<()> {
    let bar = progress(&command.file)?;
    let mut writer = Writer { access, waiting: BTreeMap::new(), batch: command.batch as usize, durable };
    for (number, line) in (1_u64..).zip(open(&command.file)?.lines()) {
        let line = line?;
        bar.inc(line.len() as u64 + 1);
        if line.trim().is_empty() {
            continue;
        }
        let named = || format!("{} line {number}", command.file.display());
        let (tenant_id, document) = read_line(&line, command.tenant.as_deref()).with_context(named)?;
        writer.add(tenant_id, document).with_context(named)?;
        bar.set_message(format!("{} documents durable", durable.load(Ordering::Relaxed)));
    }
    writer.flush()?;
    bar.finish_and_clear();
    Ok(())
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

fn open(file: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    if file == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    let opened = File::open(file).with_context(|| file.display().to_string())?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, opened)))
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

fn read_line(line: &str, default_tenant: Option<&str>) -> anyhow::Result<(String, Document)> {
    let Line { tenant_id, id, text, metadata } = serde_json::from_str(line)?;
    let tenant_id = tenant_id.or_else(|| default_tenant.map(str::to_owned));
    let tenant_id = tenant_id.ok_or_else(|| anyhow!("names no tenant_id; add one, or give --tenant"))?;
    Ok((tenant_id, Document { id, text, metadata }))
}

struct Writer<'a> {
    access: &'a Access,
    waiting: BTreeMap<String, Vec<Document>>,
    batch: usize,
    durable: &'a AtomicU64,
}

impl Writer<'_> {
    fn add(&mut self, tenant_id: String, document: Document) -> anyhow::Result<()> {
        let documents = self.waiting.entry(tenant_id.clone()).or_default();
        documents.push(document);
        if documents.len() >= self.batch {
            let documents = std::mem::take(documents);
            self.write(tenant_id, documents)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        for (tenant_id, documents) in std::mem::take(&mut self.waiting) {
            self.write(tenant_id, documents)?;
        }
        Ok(())
    }

    fn write(&mut self, tenant_id: String, documents: Vec<Document>) -> anyhow::Result<()> {
        if !documents.is_empty() {
            // What is wrong with a document is no wrong argument of this verb's.
            let response = self.access.ingest(IngestRequest { tenant_id, documents });
            let response = response.map_err(|error| anyhow!("{error:#}"))?;
            self.durable.fetch_add(response.count, Ordering::Relaxed);
        }
        Ok(())
    }
}
