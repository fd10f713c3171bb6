//! What the clients of the kill test write: generated texts, or the lines of a file.

use pinyon_embed::{Embedder, HashEmbedder, InputKind};
use pinyon_types::{Dim, SeededRng};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, HashMap},
    io::BufRead,
    path::Path,
    sync::OnceLock,
};

const TENANTS_GENERATED: usize = 12;
const DOCUMENTS_GENERATED: usize = 200;

pub struct Corpus {
    pub dimension: u32,
    /// KiB of a memtable at which the server seals: a few writes' worth, so that a life of a second seals and merges.
    pub seal_kib: u32,
    /// Documents in one write.
    pub batch: usize,
    pub tenants: Vec<Source>,
    embedder: HashEmbedder,
}

/// The documents that one tenant may have. Every text can become that of every id.
pub struct Source {
    pub name: String,
    pub ids: Vec<String>,
    pub texts: Vec<String>,
    numbers: HashMap<String, usize>,
    vectors: Vec<OnceLock<Vec<f32>>>,
}

#[derive(Deserialize)]
struct Line {
    tenant_id: String,
    id: String,
    text: String,
}

impl Corpus {
    /// The file that `PINYON_TEST_KILL_DATA` names, lines as `pinyon ingest` reads them; without it generated texts in few
    /// dimensions, so that a build without optimizations spends its time on writing and not on numbers as text.
    pub fn load() -> Self {
        match std::env::var_os("PINYON_TEST_KILL_DATA") {
            Some(file) => Self::new(256, 256, 25, read(Path::new(&file))),
            None => Self::new(32, 24, 10, (0..TENANTS_GENERATED).map(generated).collect()),
        }
    }

    fn new(dimension: u32, seal_kib: u32, batch: usize, tenants: Vec<Source>) -> Self {
        let embedder = HashEmbedder::new(Dim::new(dimension).unwrap());
        Self { dimension, seal_kib, batch, tenants, embedder }
    }

    pub fn documents(&self) -> usize {
        self.tenants.iter().map(|source| source.ids.len()).sum()
    }

    /// The vector of a tenant's text, as the server makes it.
    pub fn vector(&self, tenant: usize, text: usize) -> &[f32] {
        let source = &self.tenants[tenant];
        source.vectors[text].get_or_init(|| {
            let vectors = self.embedder.embed(&[&source.texts[text]], InputKind::Passage).unwrap();
            vectors.into_iter().next().unwrap()
        })
    }
}

impl Source {
    fn new(name: String) -> Self {
        Self { name, ids: Vec::new(), texts: Vec::new(), numbers: HashMap::new(), vectors: Vec::new() }
    }

    fn push(&mut self, id: String, text: String) {
        let number = self.ids.len();
        assert!(self.numbers.insert(id.clone(), number).is_none(), "{id} stands twice in {}", self.name);
        self.ids.push(id);
        self.texts.push(text);
        self.vectors.push(OnceLock::new());
    }

    /// The number of a document, if its id is one of this tenant's.
    pub fn number(&self, id: &str) -> Option<usize> {
        self.numbers.get(id).copied()
    }
}

fn generated(tenant: usize) -> Source {
    const WORDS: [&str; 12] = [
        "harbour", "lantern", "copper", "meadow", "engine", "violin", "winter", "ledger", "orchard",
        "signal", "timber", "glacier",
    ];
    let mut rng = SeededRng::new(tenant as u64);
    let mut source = Source::new(format!("tenant-{tenant}"));
    for number in 0..DOCUMENTS_GENERATED {
        let words: Vec<&str> = (0..8).map(|_| WORDS[rng.below(WORDS.len() as u64) as usize]).collect();
        source.push(format!("document-{number}"), format!("{number} of {tenant}: {}", words.join(" ")));
    }
    source
}

fn read(file: &Path) -> Vec<Source> {
    let mut tenants: BTreeMap<String, Source> = BTreeMap::new();
    for line in std::io::BufReader::new(std::fs::File::open(file).unwrap()).lines() {
        let Line { tenant_id, id, text } = serde_json::from_str(&line.unwrap()).unwrap();
        let source = tenants.entry(tenant_id.clone()).or_insert_with(|| Source::new(tenant_id));
        source.push(id, text);
    }
    tenants.into_values().collect()
}
