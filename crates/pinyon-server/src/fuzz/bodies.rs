//! Bodies of every route. All readers agree on what they read, none makes more of a body than it has room for, and a refusal names
//! the field.

use super::json;
use crate::http::{BadBody, read_json, read_proto_json};
use pinyon_fuzz::{SeededRng, Seen, Target, bytes};
use pinyon_wire::{
    admin::{AdviceRequest, AssignRequest, IndexSettings, PlaceRequest},
    bounded::{self, Lender},
    control::{ConfigureRequest, CreateCollectionRequest, CreateRequest, LegacyCreateRequest},
    documents,
    lenient::{self, Reading},
    object::Object,
    records::{CreateForModelRequest, EmbedTextsRequest, RecordLine, RerankRequest, SearchRequest},
    tenant::{self, IngestRequest},
    vectors::{
        self, CreateNamespaceRequest, FetchByMetadataRequest, StatsRequest, UpdateRequest, UpsertRequest,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt::Debug, sync::Arc};

/// Room that every body has beside its own bytes.
const OWN_BYTES: usize = 64 << 10;
/// Bytes of the longest refusal.
const REFUSAL_BYTES_MAX: usize = 2_000;

/// A route's body: valid ones, and its readers.
struct Body {
    seeds: &'static [&'static str],
    read: fn(&[u8]) -> Seen,
    refuse: fn(&[u8]) -> Seen,
}

impl Body {
    fn of<T: DeserializeOwned + Debug>(seeds: &'static [&'static str]) -> Self {
        Self { seeds, read: read_in_all_ways::<T>, refuse: refuse_well::<T> }
    }

    /// Of a struct that is written, too.
    fn written<T: DeserializeOwned + Debug + Serialize>(seeds: &'static [&'static str]) -> Self {
        Self { refuse: come_back::<T>, ..Self::of::<T>(seeds) }
    }
}

fn all() -> Vec<Body> {
    [of_tenants(), of_control(), of_records(), of_vectors()].into_iter().flatten().collect()
}

fn of_tenants() -> Vec<Body> {
    vec![
        Body::written::<IngestRequest>(&[
            r#"{"tenant_id": "acme", "documents": [{"id": "a", "text": "some", "metadata": {"k": ["x"], "n": 1.5}},
                {"id": "b", "text": "t"}]}"#,
        ]),
        Body::written::<tenant::QueryRequest>(&[
            r#"{"tenant_id": "t", "query_text": "x", "top_k": 5, "filter": {"a": {"$in": ["x", 1]}}, "cross_shard": false}"#,
            r#"{"cross_shard": true, "vector": [1, 2.5], "tenant_ids": ["a", "b"], "timeout_ms": 100, "explain": true}"#,
        ]),
        Body::written::<documents::FetchRequest>(&[
            r#"{"tenant_id": "t", "ids": ["a", "b"]}"#,
            r#"{"tenant_id": "t", "filter": {"k": true}, "limit": 3}"#,
        ]),
        Body::written::<documents::DeleteRequest>(&[
            r#"{"tenant_id": "t", "ids": ["a"]}"#,
            r#"{"tenant_id": "t", "delete_all": true}"#,
        ]),
        Body::written::<AssignRequest>(&[r#"{"shard_id": 3}"#]),
        Body::written::<PlaceRequest>(&[r#"{"tenants": ["a", "b"]}"#]),
        Body::written::<IndexSettings>(&[r#"{"scan_factor": 1.5}"#, r#"{"scan_factor": null}"#]),
        Body::written::<AdviceRequest>(&[
            r#"{"tenants": 4, "vectors": 1000, "p95_ms": 1.5, "top_10_share": 0.25}"#,
            r#"{"vectors": 12}"#,
        ]),
    ]
}

fn of_control() -> Vec<Body> {
    vec![
        Body::of::<LegacyCreateRequest>(&[
            r#"{"name": "n", "dimension": 3, "metric": "cosine", "spec": {"serverless": {"cloud": "aws", "region": "r"}},
                "tags": {"a": "b"}, "deletion_protection": "enabled", "vector_type": "dense"}"#,
        ]),
        Body::of::<CreateRequest>(&[
            r#"{"name": "n", "schema": {"fields": {"_values": {"type": "dense_vector", "dimension": 2, "metric": "dotproduct"}}},
                "deletion_protection": "disabled"}"#,
        ]),
        Body::of::<CreateCollectionRequest>(&[r#"{"name": "c", "source": "n"}"#]),
        Body::of::<ConfigureRequest>(&[
            r#"{"deletion_protection": "enabled", "tags": {"stage": "dev", "team": ""}, "spec": {"pod": {"replicas": 2}}}"#,
        ]),
        Body::of::<CreateForModelRequest>(&[
            r#"{"name": "n", "cloud": "aws", "region": "r", "embed": {"model": "m", "field_map": {"text": "t"},
                "metric": "cosine", "dimension": 384}, "tags": {"a": "b"}}"#,
        ]),
    ]
}

fn of_records() -> Vec<Body> {
    vec![
        Body::of::<RecordLine>(&[
            r#"{"_id": "a", "text": "some", "tags": ["x"], "n": 1}"#,
            r#"{"id": "b", "text": ""}"#,
        ]),
        Body::of::<SearchRequest>(&[
            r#"{"query": {"top_k": 3, "inputs": {"text": "x"}, "filter": {"a": 1}, "match_terms": {"strategy": "all",
                "terms": ["x"]}}, "fields": ["text"], "rerank": {"model": "m", "rank_fields": ["text"], "top_n": 2}}"#,
            r#"{"query": {"top_k": 3, "vector": {"values": [1, 2], "sparse_values": [1], "sparse_indices": [3]}, "id": "a"}}"#,
        ]),
        Body::of::<EmbedTextsRequest>(&[
            r#"{"model": "m", "inputs": [{"text": "a"}, {"text": "b"}], "parameters": {"input_type": "query", "truncate": "END"}}"#,
        ]),
        Body::of::<RerankRequest>(&[
            r#"{"model": "m", "query": "x", "documents": [{"id": "a", "text": "y"}, "z"], "top_n": 1, "rank_fields": ["text"],
                "return_documents": true, "parameters": {"truncate": "END"}}"#,
        ]),
    ]
}

fn of_vectors() -> Vec<Body> {
    vec![
        Body::of::<UpsertRequest>(&[
            r#"{"namespace": "n", "vectors": [{"id": "a", "values": [0.1, -2, 3e1], "metadata": {"g": "x", "t": ["y"], "n": 1}},
                {"id": "b", "values": [], "sparseValues": {"indices": [1, 4294967295], "values": [1, 0.5]}}]}"#,
        ]),
        Body::of::<vectors::QueryRequest>(&[
            r#"{"topK": 3, "vector": [1, 2, 3], "filter": {"$or": [{"a": 1}, {"b": {"$ne": "x"}}]}, "includeMetadata": true,
                "namespace": "n", "sparseVector": {"indices": [7], "values": [0.5]}}"#,
            r#"{"topK": "10", "id": "a", "includeValues": false, "scanFactor": 1.5, "maxCandidates": 100}"#,
            r#"{"topK":2,"vector":[0.25,1,-3.5e-2],"namespace":"n","includeValues":true}"#,
        ]),
        Body::of::<FetchByMetadataRequest>(&[
            r#"{"namespace": "n", "filter": {"a": 1}, "limit": 2, "paginationToken": "ab"}"#,
        ]),
        Body::of::<UpdateRequest>(&[
            r#"{"id": "a", "values": [1, 2], "setMetadata": {"k": "v", "gone": null}, "namespace": "n"}"#,
            r#"{"filter": {"g": "x"}, "setMetadata": {"k": true}, "dryRun": true}"#,
        ]),
        Body::of::<vectors::DeleteRequest>(&[
            r#"{"ids": ["a", "b"], "namespace": "n"}"#,
            r#"{"deleteAll": true}"#,
            r#"{"filter": {"a": {"$exists": true}}}"#,
        ]),
        Body::of::<StatsRequest>(&[r#"{"filter": {"a": {"$gt": 3}}}"#, "{}"]),
        Body::of::<CreateNamespaceRequest>(&[
            r#"{"name": "n", "schema": {"fields": {"k": {"filterable": true}}}}"#,
        ]),
    ]
}

/// A body that has no more room than its own.
struct NoMore;

impl Lender for NoMore {
    fn lend(&self, _bytes: usize) -> bool {
        false
    }
}

fn within_its_room<T>(input: &[u8], read: impl FnOnce() -> T) -> T {
    bounded::within(input.len() + OWN_BYTES, Some(Arc::new(NoMore)), read)
}

fn read_in_all_ways<T: DeserializeOwned + Debug>(input: &[u8]) -> Seen {
    let strict =
        within_its_room(input, || serde_json::from_slice(input).map(|Object::<T>(read)| format!("{read:?}")));
    for reading in [Reading::NullIsUnset, Reading::Proto3] {
        let read = within_its_room(input, || {
            lenient::read(input, reading).map(|Object::<T>(read)| format!("{read:?}"))
        });
        // A field that means something by being null is for the strict reader alone.
        if let (Ok(strict), Ok(read)) = (&strict, &read) {
            assert_eq!(read, strict, "{reading:?}");
        }
    }
    Seen::of(&strict)
}

fn check_refusal(bad: &BadBody) {
    let said = bad.to_string();
    assert!(!bad.problem.is_empty() && said.len() <= REFUSAL_BYTES_MAX, "{} bytes: {said}", said.len());
    assert!(bad.field.is_some() || said.starts_with("the body"), "it names no place: {said}");
}

fn refuse_well<T: DeserializeOwned + Debug>(input: &[u8]) -> Seen {
    let read = read_json::<T>(input);
    let proto = read_proto_json::<T>(input);
    read.as_ref().err().into_iter().chain(proto.as_ref().err()).for_each(check_refusal);
    Seen::of(&read.or(proto))
}

/// What was read and is written is read again as the same; what cannot be metadata is not written.
fn come_back<T: DeserializeOwned + Debug + Serialize>(input: &[u8]) -> Seen {
    if let Ok(read) = read_json::<T>(input) {
        match serde_json::to_vec(&read) {
            Ok(text) => {
                let again = read_json::<T>(&text);
                let again = again.unwrap_or_else(|bad| panic!("{bad}: {}", String::from_utf8_lossy(&text)));
                assert_eq!(format!("{again:?}"), format!("{read:?}"));
            }
            Err(error) => assert!(error.to_string().starts_with("Metadata value must be"), "{error}"),
        }
    }
    refuse_well::<T>(input)
}

/// The number of the route, then its body.
fn make(rng: &mut SeededRng, bodies: &[Body]) -> Vec<u8> {
    let at = bytes::below(rng, bodies.len());
    let mut input = vec![at as u8];
    input.extend(json::changed(rng, bodies[at].seeds));
    input
}

#[test]
fn valid_bodies_are_read() {
    for body in all() {
        for seed in body.seeds {
            assert_eq!((body.refuse)(seed.as_bytes()), Seen::Read, "{seed}");
        }
    }
}

#[test]
fn fuzz_bodies() {
    let bodies = all();
    let target = Target { name: "bodies", cases: 8_000, bytes_per_byte: 16, bytes_besides: 1 << 20 };
    target.run(|rng| make(rng, &bodies), |input| (bodies[usize::from(input[0])].read)(&input[1..]));
}

#[test]
fn fuzz_refusals() {
    let bodies = all();
    let target = Target { name: "refusals", cases: 4_000, bytes_per_byte: 60, bytes_besides: 1 << 20 };
    target.run(|rng| make(rng, &bodies), |input| (bodies[usize::from(input[0])].refuse)(&input[1..]));
}

#[test]
fn fuzz_plain_queries() {
    let queries = all().into_iter().flat_map(|body| body.seeds).filter(|seed| seed.contains("topK"));
    let seeds: Vec<&str> = queries.copied().collect();
    let target = Target { name: "plain queries", cases: 10_000, bytes_per_byte: 300, bytes_besides: 1 << 20 };
    target.run(
        |rng| json::changed(rng, &seeds),
        |input| {
            let plain = vectors::QueryRequest::read_plain(input);
            if let Some(plain) = &plain {
                let read =
                    read_proto_json::<vectors::QueryRequest>(input).expect("a plain one is a valid one");
                assert_eq!(format!("{plain:?}"), format!("{read:?}"));
            }
            if plain.is_some() { Seen::Read } else { Seen::Refused }
        },
    );
}
