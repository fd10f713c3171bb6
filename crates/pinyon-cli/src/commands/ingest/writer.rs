//! Gathers documents per tenant, writes them in batches, and knows which line of the file each one is.

use super::lines::Owned;
use crate::access::Access;
use anyhow::anyhow;
use pinyon_wire::tenant::{Document, IngestRequest};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

/// Bytes of waiting documents from which on all are written: far below what a request may have.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// What is acknowledged; read by whoever speaks when the program is interrupted.
#[derive(Debug, Default)]
pub(super) struct Durable {
    documents: AtomicU64,
    /// Number of lines from the first on whose documents are all durable.
    lines: AtomicU64,
}

impl Durable {
    pub(super) fn documents(&self) -> u64 {
        self.documents.load(Ordering::Relaxed)
    }

    /// Returns the first line whose document is not durable.
    pub(super) fn next_line(&self) -> u64 {
        self.lines.load(Ordering::Relaxed) + 1
    }
}

/// A batch of one tenant.
#[derive(Debug, Default)]
struct Batch {
    documents: Vec<Document>,
    /// Their lines, in order.
    lines: Vec<u64>,
    /// The bytes of these lines.
    bytes: usize,
}

/// A batch that was refused, or did not arrive.
#[derive(Debug)]
pub(super) struct Refused {
    tenant_id: String,
    /// The first and the last line of what is to blame.
    lines: (u64, u64),
    problem: String,
}

impl Refused {
    /// Names the file and the lines.
    pub(super) fn of(self, file: &Path) -> anyhow::Error {
        let Self { tenant_id, lines: (first, last), problem } = self;
        let file = file.display();
        if first == last {
            return anyhow!("{file} line {first}: {problem}");
        }
        anyhow!("{file} lines {first} to {last}, of tenant {tenant_id}: {problem}")
    }
}

/// Writes documents, each tenant's in batches.
pub(super) struct Writer<'a> {
    access: &'a Access,
    batch: usize,
    durable: &'a Durable,
    waiting: BTreeMap<String, Batch>,
    waiting_bytes: usize,
    /// The first line of every batch that is not durable.
    first_lines: BTreeSet<u64>,
    last_line: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn new(access: &'a Access, batch: usize, durable: &'a Durable) -> Self {
        Self {
            access,
            batch,
            durable,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            first_lines: BTreeSet::new(),
            last_line: 0,
        }
    }

    pub(super) const fn durable(&self) -> &Durable {
        self.durable
    }

    /// Takes the document of a line, and writes its tenant's batch if that is full.
    pub(super) fn add(
        &mut self,
        line: u64,
        Owned { tenant_id, document, bytes }: Owned,
    ) -> Result<(), Refused> {
        self.last_line = line;
        self.waiting_bytes += bytes;
        let batch = self.waiting.entry(tenant_id.clone()).or_default();
        if batch.lines.is_empty() {
            self.first_lines.insert(line);
        }
        batch.lines.push(line);
        batch.bytes += bytes;
        batch.documents.push(document);
        let is_full = batch.documents.len() >= self.batch;
        let full = is_full.then(|| std::mem::take(batch));
        self.tell_lines();
        if let Some(batch) = full {
            self.write(tenant_id, batch)?;
        }
        if self.waiting_bytes > WAITING_BYTES_MAX { self.flush() } else { Ok(()) }
    }

    /// Writes whatever waits.
    pub(super) fn flush(&mut self) -> Result<(), Refused> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_iter().try_for_each(|(tenant_id, batch)| self.write(tenant_id, batch))
    }

    fn write(&mut self, tenant_id: String, Batch { documents, lines, bytes }: Batch) -> Result<(), Refused> {
        let (Some(&first), Some(&last)) = (lines.first(), lines.last()) else { return Ok(()) };
        let answer = self.access.ingest(IngestRequest { tenant_id: tenant_id.clone(), documents });
        let response = answer.map_err(|error| {
            let said = format!("{error:#}");
            // The batch is refused as a whole; which of its documents is to blame stands before the problem.
            let to_blame = in_batch(&said).and_then(|(at, problem)| Some((*lines.get(at)?, problem)));
            match to_blame {
                Some((line, problem)) => {
                    Refused { tenant_id, lines: (line, line), problem: problem.to_owned() }
                }
                None => Refused { tenant_id, lines: (first, last), problem: said },
            }
        })?;
        self.waiting_bytes -= bytes;
        self.first_lines.remove(&first);
        self.durable.documents.fetch_add(response.count, Ordering::Relaxed);
        self.tell_lines();
        Ok(())
    }

    fn tell_lines(&self) {
        let durable = self.first_lines.first().map_or(self.last_line, |first| first - 1);
        self.durable.lines.store(durable, Ordering::Relaxed);
    }
}

/// Splits `documents[17].text: must not be empty` into 17 and `text: must not be empty`.
fn in_batch(said: &str) -> Option<(usize, &str)> {
    let (at, problem) = said.strip_prefix("documents[")?.split_once(']')?;
    Some((at.parse().ok()?, problem.trim_start_matches(['.', ':', ' '])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_documents_place_in_its_batch_is_read_from_the_refusal() {
        assert_eq!(in_batch("documents[17].text: is empty"), Some((17, "text: is empty")));
        assert_eq!(in_batch("documents[0]: must be a JSON object"), Some((0, "must be a JSON object")));
        assert_eq!(in_batch("documents: must be at most 10000"), None);
        assert_eq!(in_batch("no answer"), None);
    }
}
