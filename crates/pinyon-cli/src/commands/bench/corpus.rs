//! The documents of a run: read from a file, or generated.

use anyhow::{Context, ensure};
use pinyon_core::{Document, Engine};
use pinyon_types::{Metadata, SeededRng};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

/// Documents of one durable write.
const BATCH: usize = 1_000;
/// Words of a query.
const QUERY_WORDS: usize = 8;

/// A query vector and the tenant that it belongs to.
pub(super) type Question = (String, Vec<f32>);

/// Documents by tenant.
pub(super) struct Corpus(BTreeMap<String, Vec<(String, String)>>);

#[derive(Deserialize)]
struct Line {
    tenant_id: Option<String>,
    id: String,
    text: String,
}

impl Corpus {
    /// Reads a file as `ingest` does.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let mut corpus = BTreeMap::<_, Vec<_>>::new();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let line: Line =
                serde_json::from_str(line).with_context(|| format!("{} line {number}", file.display()))?;
            corpus
                .entry(line.tenant_id.unwrap_or_else(|| "tenant".into()))
                .or_default()
                .push((line.id, line.text));
        }
        ensure!(!corpus.is_empty(), "{} holds no documents", file.display());
        Ok(Self(corpus))
    }

    /// Texts of common word parts; tenants' sizes fall off as in real systems (Zipf), the first being the largest. Every
    /// tenant has a document; where there are fewer documents than tenants, the last tenants are left out.
    pub(super) fn generate(documents: u32, tenants: u32) -> Self {
        let mut rng = SeededRng::new(42);
        let tenants = tenants.min(documents);
        let weight = |rank: u32| 1.0 / f64::from(rank);
        let total: f64 = (1..=tenants).map(weight).sum();
        let spare = f64::from(documents - tenants);
        let (mut weight_before, mut given) = (0.0, 0);
        let mut corpus = BTreeMap::new();
        for tenant in 0..tenants {
            // Rounding the running sum, not each share, makes the counts add up.
            weight_before += weight(tenant + 1);
            let given_before = std::mem::replace(&mut given, (spare * weight_before / total).round() as u32);
            let count = 1 + given - given_before;
            let document = |number| (format!("doc-{number}"), sentence(&mut rng));
            corpus.insert(format!("tenant-{tenant:04}"), (0..count).map(document).collect());
        }
        Self(corpus)
    }

    pub(super) fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    pub(super) fn tenants(&self) -> usize {
        self.0.len()
    }

    /// Writes everything to an engine.
    pub(super) fn ingest(&self, engine: &Engine) -> anyhow::Result<()> {
        for (tenant, documents) in &self.0 {
            for batch in documents.chunks(BATCH) {
                let document = |(id, text): &(String, String)| Document {
                    id: id.clone(),
                    text: text.clone(),
                    metadata: Metadata::empty(),
                };
                engine.ingest(tenant, batch.iter().map(document).collect())?;
            }
        }
        Ok(())
    }

    /// Vectors to search with: every n-th document's own words, as a user would use them. Tenants come up by size. Embedding is
    /// done before, because it costs the same with any number of shards.
    pub(super) fn questions(&self, engine: &Engine, count: usize) -> anyhow::Result<Vec<Question>> {
        let texts = |(tenant, documents): (&'_ String, &'_ Vec<(String, String)>)| {
            documents.iter().map(|(_, text)| (tenant.clone(), text.clone())).collect::<Vec<_>>()
        };
        let all: Vec<(String, String)> = self.0.iter().flat_map(texts).collect();
        let mut rng = SeededRng::new(7);
        let draw = |_| {
            let (tenant, text) = &all[rng.below(all.len() as u64) as usize];
            let words: Vec<&str> = text.split_whitespace().collect();
            let from = rng.below(words.len().max(1) as u64) as usize;
            let words =
                words.iter().cycle().skip(from).take(QUERY_WORDS).copied().collect::<Vec<_>>().join(" ");
            Ok((tenant.clone(), engine.embed_query(&words)?))
        };
        (0..count).map(draw).collect()
    }
}

fn sentence(rng: &mut SeededRng) -> String {
    const STARTS: [&str; 16] = [
        "con", "pre", "sub", "inter", "re", "un", "over", "trans", "micro", "hydro", "auto", "photo", "bio",
        "geo", "tele", "thermo",
    ];
    const ENDS: [&str; 16] = [
        "tract", "form", "scribe", "port", "graph", "meter", "logy", "ject", "duct", "spect", "vert", "pose",
        "sist", "cede", "fer", "struct",
    ];
    let mut word = || format!("{}{}", STARTS[rng.below(16) as usize], ENDS[rng.below(16) as usize]);
    (0..40).map(|_| word()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_documents_are_generated_as_were_asked_for() {
        for (documents, tenants) in [(20_000, 64), (1, 1), (5, 64), (64, 64), (1_001, 7)] {
            let corpus = Corpus::generate(documents, tenants);
            assert_eq!(corpus.len(), documents as usize);
            assert_eq!(corpus.tenants(), tenants.min(documents) as usize);
            assert!(corpus.0.values().all(|documents| !documents.is_empty()));
            let sizes: Vec<usize> = corpus.0.values().map(Vec::len).collect();
            assert!(sizes.first() >= sizes.last(), "{sizes:?}");
        }
    }
}
