//! Documents: texts that are embedded and kept as records, the text itself among their metadata.

use super::Engine;
use crate::{EngineError, of_record};
use pinyon_embed::InputKind;
use pinyon_shard::{Change, Stored};
use pinyon_types::{Invalid, Metadata, MetadataValue, Record, RecordId, ShardId, Vector, limits};

/// The metadata field that keeps a document's text.
const TEXT_FIELD: &str = "text";

/// A text to keep and find again.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its id within the tenant; a document with the same id is replaced.
    pub id: String,
    /// What is embedded and kept.
    pub text: String,
    /// What filters can ask about; a field `text` is refused, because the text is kept under that name.
    pub metadata: Metadata,
}

/// A document as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDocument {
    /// Its id within the tenant.
    pub id: RecordId,
    /// Its text, if it was ingested as a document.
    pub text: Option<String>,
    /// Its metadata without the text.
    pub metadata: Metadata,
    /// Its vector.
    pub vector: Vector,
}

impl From<Stored> for StoredDocument {
    fn from(stored: Stored) -> Self {
        let Record { id, vector, metadata, sparse: _ } = stored.record;
        let (metadata, text) = split_text(metadata);
        Self { id, text, metadata, vector }
    }
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
        let records = self.embed_documents(tenant, documents)?;
        let count = match records.is_empty() {
            true => 0, // no documents make no tenant
            false => self.write(tenant, Change::Upsert(records))?.records,
        };
        self.ingested(tenant, count)
    }

    /// Where so many documents of a tenant were written to.
    ///
    /// # Errors
    /// As [`Tenant::shard`](super::Tenant::shard).
    pub fn ingested(&self, tenant: &str, count: u64) -> Result<IngestReport, EngineError> {
        let shard = self.tenant(tenant)?.shard()?;
        Ok(IngestReport { shard, index_name: self.inner.index_name(shard), count })
    }

    /// Makes records of documents; writes nothing.
    ///
    /// # Errors
    /// A document that breaks a rule (the message names which), the embedder's.
    pub fn embed_documents(
        &self,
        tenant: &str,
        documents: Vec<Document>,
    ) -> Result<Vec<Record>, EngineError> {
        pinyon_types::TenantId::check(tenant)?;
        if documents.len() > limits::BATCH_RECORDS_MAX {
            let problem = format!(
                "must be at most {} in one request, are {}",
                limits::BATCH_RECORDS_MAX,
                documents.len()
            );
            return Err(Invalid::new("documents", problem).into());
        }
        let checked = documents.into_iter().enumerate().map(|(at, document)| {
            let id = document.id.clone();
            check(document).map_err(|invalid| of_record(invalid, "", &id).within(format!("documents[{at}]")))
        });
        let checked: Vec<(RecordId, String, Metadata)> = checked.collect::<Result<_, _>>()?;
        let texts: Vec<&str> = checked.iter().map(|(_, text, _)| text.as_str()).collect();
        let vectors = self.inner.settings.embedder.embed(&texts, InputKind::Passage)?;
        let mut records = Vec::with_capacity(checked.len());
        for (at, ((id, _, metadata), vector)) in checked.into_iter().zip(vectors).enumerate() {
            let vector = Vector::new(vector, self.inner.settings.dim)
                .map_err(|invalid| of_record(invalid, "", id.as_str()).within(format!("documents[{at}]")))?;
            records.push(Record { id, vector, sparse: None, metadata });
        }
        Ok(records)
    }
}

/// Returns metadata without the text of a document, and the text.
pub(super) fn split_text(metadata: Metadata) -> (Metadata, Option<String>) {
    let mut fields = metadata.into_fields();
    match fields.remove(TEXT_FIELD) {
        Some(MetadataValue::String(text)) => (Metadata::new(fields).unwrap_or_default(), Some(text)),
        Some(other) => {
            fields.insert(TEXT_FIELD.to_owned(), other);
            (Metadata::new(fields).unwrap_or_default(), None)
        }
        None => (Metadata::new(fields).unwrap_or_default(), None),
    }
}

fn check(document: Document) -> Result<(RecordId, String, Metadata), Invalid> {
    RecordId::check_new(&document.id)?;
    let id = RecordId::new(&document.id)?;
    let mut fields = document.metadata.into_fields();
    if fields.insert(TEXT_FIELD.to_owned(), MetadataValue::String(document.text.clone())).is_some() {
        let problem =
            "is where a document's text is kept, so metadata cannot have a field of that name: rename it";
        return Err(Invalid::new(format!("metadata.{TEXT_FIELD}"), problem));
    }
    Ok((id, document.text, Metadata::new(fields)?))
}
