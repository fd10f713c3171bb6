//! The example data: built into the program, or read from a directory of the same layout.

use anyhow::Context;
use pinyon_wire::{filter_json::FilterJson, json::MetadataFields, tenant::Document};
use serde::{Deserialize, de::DeserializeOwned};
use std::path::Path;

/// A tenant.
#[derive(Debug, Clone, Deserialize)]
pub struct ExampleTenant {
    /// Its name in the system.
    pub tenant_id: String,
    /// Its name for people.
    pub name: String,
    /// What it does.
    pub trade: String,
}

#[derive(Debug, Clone, Deserialize)]
struct DocumentLine {
    tenant_id: String,
    id: String,
    text: String,
    #[serde(default, deserialize_with = "pinyon_wire::optional_metadata")]
    metadata: Option<MetadataFields>,
}

/// A query with what should be found.
#[derive(Debug, Clone, Deserialize)]
pub struct ExampleQuery {
    /// The words.
    pub query: String,
    /// In which tenant; in all without.
    pub tenant_id: Option<String>,
    /// How many results.
    pub top_k: u32,
    /// Only records that pass this.
    pub filter: Option<FilterJson>,
    /// Documents that answer it.
    pub expected: Vec<String>,
}

/// All of it.
pub struct Examples {
    /// The tenants.
    pub tenants: Vec<ExampleTenant>,
    /// Their documents.
    pub documents: Vec<OwnedDocument>,
    /// Queries.
    pub queries: Vec<ExampleQuery>,
}

/// A document with its tenant.
pub struct OwnedDocument {
    /// Whose.
    pub tenant_id: String,
    /// The document.
    pub document: Document,
}

impl Examples {
    /// Reads the built-in data, or those of a directory.
    ///
    /// # Errors
    /// A file that cannot be read, or a line of another shape.
    pub fn load(dir: Option<&Path>) -> anyhow::Result<Self> {
        let read = |name: &str, built_in: &str| match dir {
            None => Ok(built_in.to_owned()),
            Some(dir) => {
                std::fs::read_to_string(dir.join(name)).with_context(|| dir.join(name).display().to_string())
            }
        };
        let tenants = read("tenants.jsonl", include_str!("../../../../../data/tenants.jsonl"))?;
        let documents = read("documents.jsonl", include_str!("../../../../../data/documents.jsonl"))?;
        let queries = read("queries.jsonl", include_str!("../../../../../data/queries.jsonl"))?;
        let documents: Vec<DocumentLine> = lines(&documents, "documents.jsonl")?;
        let owned = documents.into_iter().map(|line| {
            let DocumentLine { tenant_id, id, text, metadata } = line;
            OwnedDocument { tenant_id, document: Document { id, text, metadata } }
        });
        Ok(Self {
            tenants: lines(&tenants, "tenants.jsonl")?,
            documents: owned.collect(),
            queries: lines(&queries, "queries.jsonl")?,
        })
    }
}

fn lines<T: DeserializeOwned>(text: &str, name: &str) -> anyhow::Result<Vec<T>> {
    let read = |(number, line)| serde_json::from_str(line).with_context(|| format!("{name} line {number}"));
    (1..).zip(text.lines()).map(read).collect()
}
