//! What the clients of the kill test write: generated texts, or the lines of a file.

use pinyon_types::SeededRng;
use serde::Deserialize;
use serde_json::json;
use std::{collections::BTreeMap, io::BufRead, path::Path};

const BATCH: usize = 10;
const BATCH_OF_FILE: usize = 50;

/// Documents that are always written together, with one version.
pub struct Batch {
    pub tenant: String,
    pub documents: Vec<(String, String)>,
}

pub struct Corpus {
    pub dimension: u32,
    pub batches: Vec<Batch>,
    /// Whether a document is the best answer to its own text.
    pub is_real: bool,
}

#[derive(Deserialize)]
struct Line {
    tenant_id: String,
    id: String,
    text: String,
}

impl Corpus {
    /// The file that `PINYON_TEST_KILL_DATA` names, lines as `pinyon ingest` reads them, embedded in the server's default
    /// dimension; without it 400 generated batches in 20 tenants, in few dimensions.
    pub fn load() -> Self {
        match std::env::var_os("PINYON_TEST_KILL_DATA") {
            Some(file) => Self { dimension: 1536, batches: read(Path::new(&file)), is_real: true },
            None => Self { dimension: 64, batches: (0..400).map(generated).collect(), is_real: false },
        }
    }

    pub fn documents(&self) -> usize {
        self.batches.iter().map(|batch| batch.documents.len()).sum()
    }

    /// A batch of one writer's: every other time the next that was never written, as long as there is one.
    pub fn next(&self, writers: usize, writer: usize, fresh: &mut usize, rng: &mut SeededRng) -> usize {
        let own = (self.batches.len() - writer).div_ceil(writers);
        if *fresh < own && rng.below(2) == 0 {
            *fresh += 1;
            return (*fresh - 1) * writers + writer;
        }
        rng.below(own as u64) as usize * writers + writer
    }
}

impl Batch {
    pub fn body(&self, version: u64) -> String {
        let documents = self
            .documents
            .iter()
            .map(|(id, text)| json!({"id": id, "text": text, "metadata": {"version": version}}));
        json!({"tenant_id": self.tenant, "documents": documents.collect::<Vec<_>>()}).to_string()
    }
}

fn generated(number: usize) -> Batch {
    let document =
        |at: usize| (format!("{number}-{at}"), format!("document {at} of batch {number}, always the same"));
    Batch { tenant: format!("tenant-{}", number % 20), documents: (0..BATCH).map(document).collect() }
}

fn read(file: &Path) -> Vec<Batch> {
    let mut waiting: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let mut batches = Vec::new();
    for line in std::io::BufReader::new(std::fs::File::open(file).unwrap()).lines() {
        let Line { tenant_id, id, text } = serde_json::from_str(&line.unwrap()).unwrap();
        let documents = waiting.entry(tenant_id.clone()).or_default();
        documents.push((id, text));
        if documents.len() == BATCH_OF_FILE {
            batches.push(Batch { tenant: tenant_id, documents: std::mem::take(documents) });
        }
    }
    let rest = waiting.into_iter().filter(|(_, documents)| !documents.is_empty());
    batches.extend(rest.map(|(tenant, documents)| Batch { tenant, documents }));
    batches
}
