//! Documents: texts that are embedded and kept as records, the text itself among their metadata.

use super::Engine;
use crate::EngineError;
use pinyon_embed::InputKind;
use pinyon_shard::Change;
use pinyon_types::{Invalid, Metadata, MetadataValue, Record, RecordId, ShardId, Vector, limits};

/// The metadata field that keeps a document's text.
pub(crate) const TEXT_FIELD: &str = "text";

/// A text to keep and find again.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its id within the tenant; a document with the same id is replaced.
    pub id: String,
    /// What is embedded and kept.
    pub text: String,
    /// What filters can ask about.
    pub metadata: Metadata,
}

impl Document {
    /// A document without metadata.
    pub fn new(id: impl Into<String>, text: impl Into<String>) -> Self {
        Self { id: id.into(), text: text.into(), metadata: Metadata::empty() }
    }
}

/// What an ingest did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestReport {
    /// Where the tenant lives.
    pub shard: ShardId,
    /// That shard's name.
    pub index_name: String,
    /// Distinct documents written; all are durable.
    pub count: u64,
}

impl Engine {
    /// Embeds documents and writes them to the tenant's shard; durable when this returns, all or nothing.
    ///
    /// # Errors
    /// A document that breaks a rule (the message names which), the embedder's, the shard's; nothing was written.
    pub fn ingest(&self, tenant: &str, documents: Vec<Document>) -> Result<IngestReport, EngineError> {
        let tenant_id = pinyon_types::TenantId::new(tenant)?;
        if documents.len() > limits::BATCH_RECORDS_MAX {
            let problem = format!(
                "must be at most {} in one request, are {}",
                limits::BATCH_RECORDS_MAX,
                documents.len()
            );
            return Err(Invalid::new("documents", problem).into());
        }
        let checked = documents
            .into_iter()
            .enumerate()
            .map(|(at, document)| check(document).map_err(|error| error.within(format!("documents[{at}]"))));
        let checked: Vec<(RecordId, String, Metadata)> = checked.collect::<Result<_, _>>()?;
        let texts: Vec<&str> = checked.iter().map(|(_, text, _)| text.as_str()).collect();
        let vectors = self.inner.settings.embedder.embed(&texts, InputKind::Passage)?;
        let mut records = Vec::with_capacity(checked.len());
        for ((id, _, metadata), vector) in checked.into_iter().zip(vectors) {
            let vector = Vector::new(vector, self.inner.settings.dim)?;
            records.push(Record { id, vector, sparse: None, metadata });
        }
        let (_, assignment) = self.inner.resolve_or_place(&tenant_id)?;
        let receipt = self.write(tenant, Change::Upsert(records))?;
        let index_name = self.inner.index_name(assignment.shard);
        Ok(IngestReport { shard: assignment.shard, index_name, count: receipt.records })
    }
}

fn check(document: Document) -> Result<(RecordId, String, Metadata), Invalid> {
    let id = RecordId::new(&document.id)?;
    let mut fields = document.metadata.into_fields();
    fields.insert(TEXT_FIELD.to_owned(), MetadataValue::String(document.text.clone()));
    Ok((id, document.text, Metadata::new(fields)?))
}
