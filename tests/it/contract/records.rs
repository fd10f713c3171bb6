//! Refusals say which record they are about, over REST and gRPC alike.

use super::{LEGACY, Place, connect};
use pinyon_wire::grpc;
use prost_types::{Struct, Value as ProtoValue, value::Kind};
use serde_json::{Value, json};

/// A record that is wrong, and what its refusal says.
fn wrong_records() -> Vec<(Value, &'static str)> {
    vec![
        (
            json!({"id": "zero", "values": [0, 0]}),
            "Dense vectors must contain at least one non-zero value. Vector ID 'zero' contains only zeros (vectors[1])",
        ),
        (
            json!({"id": "short", "values": [1]}),
            "Vector dimension 1 does not match the dimension of the index 2 (vectors[1], ID 'short')",
        ),
        (
            json!({"id": "empty"}),
            "Vector dimension 0 does not match the dimension of the index 2 (vectors[1], ID 'empty')",
        ),
        (
            json!({"id": "large", "values": [1, 1e39]}),
            "vectors[1].values[1]: must be a finite number in the range of f32 (ID 'large')",
        ),
        (json!({"id": "x".repeat(513), "values": [1, 2]}), "vectors[1].id: "),
        (json!({"id": "", "values": [1, 2]}), "vectors[1].id: "),
        (
            json!({"id": "a\u{0}b", "values": [1, 2]}),
            "Vector ID must not contain null character, but got 'a\u{0}b' (vectors[1])",
        ),
        (
            json!({"id": "meta", "values": [1, 2], "metadata": {"k": {"a": 1.5}}}),
            "for field 'k' (vectors[1], ID 'meta')",
        ),
        (json!({"id": "big", "values": [1, 2], "metadata": {"k": "x".repeat(300_000)}}), "(ID 'big')"),
        (json!({"id": "dollar", "values": [1, 2], "metadata": {"$k": 1}}), "vectors[1].metadata: "),
        (
            json!({"id": "uneven", "values": [1, 2], "sparseValues": {"indices": [1, 2], "values": [1]}}),
            "vectors[1].sparse_values: indices and values must have the same length",
        ),
        (
            json!({"id": "twice", "values": [1, 2], "sparseValues": {"indices": [1, 1], "values": [1, 2]}}),
            "(ID 'twice')",
        ),
    ]
}

fn good() -> Value {
    json!({"id": "good", "values": [1, 2]})
}

fn floats(value: &Value) -> Vec<f32> {
    value
        .as_array()
        .map(|all| all.iter().map(|one| one.as_f64().unwrap() as f32).collect())
        .unwrap_or_default()
}

fn proto(value: &Value) -> ProtoValue {
    let kind = match value {
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Object(_) => Kind::StructValue(structure(value)),
        other => Kind::NumberValue(other.as_f64().unwrap()),
    };
    ProtoValue { kind: Some(kind) }
}

fn structure(value: &Value) -> Struct {
    let fields = value.as_object().unwrap();
    Struct { fields: fields.iter().map(|(name, value)| (name.clone(), proto(value))).collect() }
}

fn vector(record: &Value) -> grpc::Vector {
    let sparse = record.get("sparseValues").map(|sparse| grpc::SparseValues {
        indices: floats(&sparse["indices"]).into_iter().map(|index| index as u32).collect(),
        values: floats(&sparse["values"]),
    });
    grpc::Vector {
        id: record["id"].as_str().unwrap().into(),
        values: floats(&record["values"]),
        metadata: record.get("metadata").map(structure),
        sparse_values: sparse,
    }
}

#[test]
fn upserts_name_the_record_that_is_wrong_and_write_nothing() {
    let place = Place::new("named", &json!({"name": "movies", "dimension": 2, "metric": "dotproduct"}));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut client = runtime.block_on(connect(&place.host));
    for (record, expected) in wrong_records() {
        let body = json!({"vectors": [good(), record, good()]});
        let refused = place.post("/vectors/upsert", LEGACY, &body);
        assert!(refused.status == 400 && refused.message().contains(expected), "{expected}: {refused}");
        let vectors = vec![vector(&good()), vector(&record), vector(&good())];
        let request = grpc::UpsertRequest { vectors, namespace: String::new() };
        let status = runtime.block_on(client.upsert(request)).unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (tonic::Code::InvalidArgument, refused.message().as_str())
        );
    }
    assert_eq!(place.post("/describe_index_stats", LEGACY, &json!({})).json()["totalVectorCount"], 0);
    // Small is not zero.
    for (count, values) in (1..).zip([json!([1e-19, 0]), json!([0, 1e-45])]) {
        let body = json!({"vectors": [{"id": format!("small-{count}"), "values": values}]});
        assert_eq!(place.post("/vectors/upsert", LEGACY, &body).status, 200, "{values}");
        assert_eq!(place.post("/describe_index_stats", LEGACY, &json!({})).json()["totalVectorCount"], count);
    }
    place.end();
}

#[test]
fn updates_and_lists_of_ids_name_the_record_that_is_wrong() {
    let place = Place::new("named-updates", &json!({"name": "movies", "dimension": 2}));
    let half = json!({"k": "x".repeat(200_000)});
    let records = json!({"vectors": [{"id": "a", "values": [1, 2], "metadata": half}]});
    assert_eq!(place.post("/vectors/upsert", LEGACY, &records).status, 200);
    let refused = |path: &str, body: Value, expected: &str| {
        let answer = place.post(path, LEGACY, &body);
        assert!(answer.status == 400 && answer.message().contains(expected), "{expected}: {answer}");
    };
    refused("/vectors/update", json!({"id": "a", "values": [0, 0]}), "Vector ID 'a' contains only zeros");
    refused(
        "/vectors/update",
        json!({"id": "a", "values": [1]}),
        "does not match the dimension of the index 2 (ID 'a')",
    );
    refused("/vectors/update", json!({"id": "a", "setMetadata": {"other": "x".repeat(100_000)}}), "(ID 'a')");
    refused("/vectors/delete", json!({"ids": ["a", "x".repeat(513)]}), "ids[1].id: ");
    refused("/vectors/delete", json!({"ids": ["a", "b\u{0}"]}), "(ids[1])");
    assert_eq!(place.post("/describe_index_stats", LEGACY, &json!({})).json()["totalVectorCount"], 1);
    place.end();
}

#[test]
fn records_with_texts_and_documents_are_named_too() {
    let place = Place::new("named-texts", &json!({"name": "movies", "dimension": 2}));
    let embed = json!({"model": "multilingual-e5-large", "field_map": {"text": "t"}});
    let made = json!({"name": "texts", "cloud": "aws", "region": "us-east-1", "embed": embed});
    assert_eq!(place.server.post("/indexes/create-for-model", &made).unwrap().0, 201);
    let path = "/indexes/texts/records/namespaces/n/upsert";
    for (line, expected) in [
        (
            json!({"_id": "b", "t": 5}),
            "record 2: The field 't' must be there and be a string: it is what is embedded (ID 'b')",
        ),
        (json!({"_id": "b", "t": "x", "m": {"a": 1}}), "for field 'm' (ID 'b')"),
        (
            json!({"_id": "b\u{0}", "t": "x"}),
            "record 2: Vector ID must not contain null character, but got 'b\u{0}'",
        ),
        (json!({"_id": "b", "t": "x".repeat(300_000)}), "record 2: metadata: must take at most"),
    ] {
        let body = format!("{}\n{line}\n", json!({"_id": "a", "t": "x"}));
        let refused = super::post(&place.server.url, path, &[], body.as_bytes());
        assert!(refused.status == 400 && refused.message().contains(expected), "{expected}: {refused}");
    }
    for (document, expected) in [
        (json!({"id": "b", "text": "x", "metadata": {"k": [1]}}), "for field 'k' (ID 'b')"),
        (json!({"id": "", "text": "x"}), "documents[1].id: "),
        (json!({"id": "b", "text": "x".repeat(300_000)}), "documents[1].metadata: must take at most"),
    ] {
        let body = json!({"tenant_id": "t", "documents": [{"id": "a", "text": "x"}, document]});
        let (status, refused) = place.server.post("/ingest", &body).unwrap();
        assert!(
            status == 400 && refused["detail"].as_str().unwrap().contains(expected),
            "{expected}: {refused}"
        );
    }
    place.end();
}
