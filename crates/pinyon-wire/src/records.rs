//! Records of indexes with an integrated model, and the models themselves, as JSON in snake_case.

use crate::{
    bounded::{self, COMPONENTS_MAX, NAMES_MAX, SPARSE_MAX, Small, SmallFields},
    filter_json::FilterJson,
    json::{MetadataFields, MetadataJson, write_fields},
    object,
    unique::{self, Members},
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor},
};
use std::fmt;

/// One line of `POST /records/namespaces/{namespace}/upsert`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RecordLine {
    /// Its id.
    pub id: Option<String>,
    /// Everything else: the text, metadata, and the other spelling of the id.
    pub fields: MetadataFields,
}

impl<'de> Deserialize<'de> for RecordLine {
    /// By hand: derived code would keep every value in a form of its own before it reads it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LineVisitor)
    }
}

struct LineVisitor;

impl<'de> Visitor<'de> for LineVisitor {
    type Value = RecordLine;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(object::EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RecordLine, A::Error> {
        let (mut line, mut has_id) = (RecordLine::default(), false);
        let mut members = Members::new();
        while let Some(name) = map.next_key::<String>()? {
            if name != "_id" {
                members.add(name, &mut map)?;
                continue;
            }
            if std::mem::replace(&mut has_id, true) {
                return Err(A::Error::duplicate_field("_id"));
            }
            line.id = map.next_value()?;
        }
        line.fields = members.map()?;
        Ok(line)
    }
}

/// Body of `POST /records/namespaces/{namespace}/search`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SearchRequest {
    /// What is asked.
    #[serde(deserialize_with = "object::one")]
    pub query: SearchQuery,
    /// The fields that hits carry; all of them if nobody says.
    #[serde(default, deserialize_with = "bounded::optional_list::<_, _, NAMES_MAX>")]
    pub fields: Option<Vec<String>>,
    /// How hits are ordered again.
    #[serde(default, deserialize_with = "object::optional")]
    pub rerank: Option<Rerank>,
}

/// What a search asks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SearchQuery {
    /// How many hits.
    #[serde(default)]
    pub top_k: Option<i64>,
    /// Near to this text.
    #[serde(default, deserialize_with = "unique::optional_map")]
    pub inputs: Option<SmallFields>,
    /// Near to this vector.
    #[serde(default, deserialize_with = "object::optional")]
    pub vector: Option<SearchVector>,
    /// Near to this record.
    #[serde(default)]
    pub id: Option<String>,
    /// Only records that pass this.
    #[serde(default, deserialize_with = "unique::optional_filter")]
    pub filter: Option<FilterJson>,
    /// Terms that hits must have.
    #[serde(default, deserialize_with = "object::optional")]
    pub match_terms: Option<MatchTerms>,
}

/// Terms that hits must have.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MatchTerms {
    /// How many of them: `all`.
    #[serde(default)]
    pub strategy: Option<String>,
    /// Which.
    #[serde(default, deserialize_with = "bounded::list::<_, _, NAMES_MAX>")]
    pub terms: Vec<String>,
}

/// A vector to search by.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SearchVector {
    /// Dense components.
    #[serde(default, deserialize_with = "bounded::optional_list::<_, _, COMPONENTS_MAX>")]
    pub values: Option<Vec<f32>>,
    /// Weights of a sparse vector.
    #[serde(default, deserialize_with = "bounded::optional_list::<_, _, SPARSE_MAX>")]
    pub sparse_values: Option<Vec<f32>>,
    /// Their components.
    #[serde(default, deserialize_with = "bounded::optional_list::<_, _, SPARSE_MAX>")]
    pub sparse_indices: Option<Vec<u32>>,
}

/// How hits are ordered again.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Rerank {
    /// By which model.
    pub model: String,
    /// By which fields.
    #[serde(deserialize_with = "bounded::list::<_, _, NAMES_MAX>")]
    pub rank_fields: Vec<String>,
    /// How many are left.
    #[serde(default)]
    pub top_n: Option<usize>,
    /// By which question; that of the search if nobody says.
    #[serde(default)]
    pub query: Option<String>,
}

/// One hit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchHit {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// How well it fits.
    #[serde(rename = "_score")]
    pub score: f32,
    /// Its fields.
    #[serde(serialize_with = "write_fields")]
    pub fields: MetadataFields,
}

/// The hits, best first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchResult {
    /// Best first.
    pub hits: Vec<SearchHit>,
}

/// What a search is said to have cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SearchUsage {
    /// At least 1.
    pub read_units: u32,
    /// Words of the text that was embedded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embed_total_tokens: Option<u32>,
    /// 1 if hits were reranked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerank_units: Option<u32>,
}

/// Answer of `POST /records/namespaces/{namespace}/search`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchResponse {
    /// What was found.
    pub result: SearchResult,
    /// Its cost.
    pub usage: SearchUsage,
}

/// Body of `POST /indexes/create-for-model`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CreateForModelRequest {
    /// Its name.
    pub name: String,
    /// Where it is said to run.
    pub cloud: String,
    /// Where it is said to run.
    pub region: String,
    /// The model.
    #[serde(deserialize_with = "object::one")]
    pub embed: EmbedRequest,
    /// enabled or disabled.
    #[serde(default)]
    pub deletion_protection: Option<String>,
    /// Labels.
    #[serde(default, deserialize_with = "unique::optional_fields")]
    pub tags: Option<crate::control::TagChanges>,
    /// Metadata fields for filters.
    #[serde(default, deserialize_with = "unique::optional_value")]
    pub schema: Option<Small>,
    /// Echoed.
    #[serde(default, deserialize_with = "unique::optional_value")]
    pub read_capacity: Option<Small>,
}

/// The model of an index, as it is asked for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EmbedRequest {
    /// Its name.
    pub model: String,
    /// Under `text`, the field that is embedded.
    #[serde(default, deserialize_with = "unique::map")]
    pub field_map: SmallFields,
    /// The metric; the model's own if nobody says.
    #[serde(default)]
    pub metric: Option<String>,
    /// The dimension; the model's own if nobody says.
    #[serde(default)]
    pub dimension: Option<i64>,
    /// Echoed.
    #[serde(default, deserialize_with = "unique::optional_map")]
    pub read_parameters: Option<SmallFields>,
    /// Echoed.
    #[serde(default, deserialize_with = "unique::optional_map")]
    pub write_parameters: Option<SmallFields>,
}

/// Body of `POST /embed`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EmbedTextsRequest {
    /// By which model.
    pub model: String,
    /// Texts, each `{"text": …}` or plain.
    #[serde(deserialize_with = "unique::values")]
    pub inputs: Vec<Small>,
    /// How.
    #[serde(default, deserialize_with = "unique::map")]
    pub parameters: SmallFields,
}

/// One embedding.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Embedding {
    /// Of a dense model.
    Dense {
        /// Its components.
        values: Vec<f32>,
        /// Always `dense`.
        vector_type: &'static str,
    },
    /// Of a sparse model.
    Sparse {
        /// Weights.
        sparse_values: Vec<f32>,
        /// Which components they are of.
        sparse_indices: Vec<u32>,
        /// What they stand for, if asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        sparse_tokens: Option<Vec<String>>,
        /// Always `sparse`.
        vector_type: &'static str,
    },
}

/// Words that were embedded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TokenUsage {
    /// Their number.
    pub total_tokens: u32,
}

/// Answer of `POST /embed`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EmbedTextsResponse {
    /// The model's name as it was asked for.
    pub model: String,
    /// `dense` or `sparse`.
    pub vector_type: &'static str,
    /// One a text, in their order.
    pub data: Vec<Embedding>,
    /// Its cost.
    pub usage: TokenUsage,
}

/// Body of `POST /rerank`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RerankRequest {
    /// By which model.
    pub model: String,
    /// The question.
    pub query: String,
    /// The candidates: objects, or plain texts.
    #[serde(deserialize_with = "unique::values")]
    pub documents: Vec<Small>,
    /// How many are left.
    #[serde(default)]
    pub top_n: Option<usize>,
    /// Whether the answer carries the documents.
    #[serde(default)]
    pub return_documents: Option<bool>,
    /// By which fields.
    #[serde(default, deserialize_with = "bounded::optional_list::<_, _, NAMES_MAX>")]
    pub rank_fields: Option<Vec<String>>,
}

/// One candidate in its new place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankedDocument {
    /// Its old place.
    pub index: usize,
    /// 0 to 1.
    pub score: f32,
    /// Itself, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<Small>,
}

/// What a reranking is said to have cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RerankUsage {
    /// Always 1.
    pub rerank_units: u32,
}

/// Answer of `POST /rerank`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RerankResponse {
    /// The model's name as it was asked for.
    pub model: String,
    /// Best first.
    pub data: Vec<RankedDocument>,
    /// Its cost.
    pub usage: RerankUsage,
}

impl RecordLine {
    /// The record's id, under either name, and its other fields.
    ///
    /// # Errors
    /// No id, two, or one that is no text.
    pub fn into_parts(mut self) -> Result<(String, MetadataFields), &'static str> {
        match (self.id, self.fields.remove("id")) {
            (Some(_), Some(_)) => Err("a record must have either _id or id, not both"),
            (Some(id), None) | (None, Some(MetadataJson::String(id))) => Ok((id, self.fields)),
            (None, Some(_)) => Err("the id of a record must be a string"),
            (None, None) => Err("a record must have an _id"),
        }
    }
}
