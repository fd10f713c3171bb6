//! What records and documents may be: magnitudes, ids, names of fields; and what asking for them leaves behind.

use super::*;
use pinyon_backend::Until;
use pinyon_types::{Dim, Metric, Record, TenantId, Vector, limits};

/// Distinct magnitudes, from the least subnormal f32 to far beyond what squares of f32 can hold.
const MAGNITUDES: [f32; 8] = [1e-45, 1e-38, 1e-30, 1e-19, 1.0, 3e9, 3e18, 3e38];

#[test]
fn scores_of_every_magnitude_are_finite_and_vectors_without_are_refused() {
    for metric in [Metric::Cosine, Metric::DotProduct, Metric::Euclidean] {
        let dir = scratch(&format!("magnitudes-{metric}"));
        let engine =
            Engine::open(&dir, EngineSettings { metric, ..EngineSettings::offline(2, 3).unwrap() }).unwrap();
        for (number, magnitude) in MAGNITUDES.into_iter().enumerate() {
            let written =
                engine.write("t", Change::Upsert(vec![record(&format!("r{number}"), [magnitude; 3])]));
            let is_too_long = metric != Metric::Cosine && f64::from(magnitude) > limits::VECTOR_LENGTH_MAX;
            match written {
                Ok(_) => assert!(!is_too_long, "{metric} {magnitude}"),
                Err(refused) => {
                    assert!(is_too_long, "{metric} {magnitude}: {refused}");
                    assert!(
                        refused.to_string().contains("records[0].vector")
                            && refused.to_string().contains("9e18")
                    );
                }
            }
        }
        for size in [1e-45, 1e-25, 1.0, 1e18] {
            let query = VectorQuery::dense(vec![size, 0.0, 0.0], Reach::Tenant("t".into()), 10);
            let answer = engine.query_vector(query).unwrap();
            assert_eq!(answer.results.len(), if metric == Metric::Cosine { 8 } else { 7 });
            for one in answer.results {
                let score = one.score.get();
                assert!(score.is_finite(), "{metric} {size}: {score}");
                assert!(metric != Metric::Cosine || (score - 1.0 / 3f32.sqrt()).abs() < 1e-6, "{score}");
            }
        }
        let far = VectorQuery::dense(vec![3e38, 0.0, 0.0], Reach::All, 10);
        assert_eq!(engine.query_vector(far).is_ok(), metric == Metric::Cosine);
        engine.close().unwrap();
        remove(&dir);
    }
}

fn record(id: &str, vector: impl Into<Vec<f32>>) -> Record {
    let vector: Vec<f32> = vector.into();
    let dim = Dim::new(u32::try_from(vector.len()).unwrap()).unwrap();
    let vector = Vector::new(vector, dim).unwrap();
    Record { id: RecordId::new(id).unwrap(), vector, sparse: None, metadata: Metadata::empty() }
}

#[test]
fn ids_of_older_versions_are_read_updated_and_removed_and_no_new_ones_are_taken() {
    let dir = scratch("older-ids");
    let engine = Engine::open(&dir, settings()).unwrap();
    let old = record("ü/1", [1.0; 64]);
    // As versions did that had no rule for ids of the tenant API.
    let home = engine.inner.home_or_place(&TenantId::new("t").unwrap()).unwrap();
    engine
        .inner
        .backend(home.assignment.shard)
        .unwrap()
        .write(&home.namespace, Change::Upsert(vec![old.clone()]), Until::NEVER)
        .unwrap();
    let refused = engine.write("t", Change::Upsert(vec![record("a", [1.0; 64]), old.clone()])).unwrap_err();
    assert!(
        refused.to_string().contains("records[1].id: Vector ID must be ASCII, but got 'ü/1'"),
        "{refused}"
    );
    let refused = engine.ingest("t", vec![Document::new("日本", "text")]).unwrap_err();
    assert!(refused.to_string().contains("documents[0].id: Vector ID must be ASCII"), "{refused}");
    assert_eq!(records(&engine, "t"), 1);

    let set = Metadata::new([("k".to_owned(), MetadataValue::Bool(true))].into_iter().collect()).unwrap();
    let update = Change::UpdateOne { id: old.id.clone(), vector: None, sparse: None, set: set.clone() };
    engine.write("t", update).unwrap();
    assert_eq!(
        engine.tenant("t").unwrap().fetch(std::slice::from_ref(&old.id)).unwrap()[0].record.metadata,
        set
    );
    assert_eq!(engine.tenant("t").unwrap().list("ü", None, 10).unwrap().ids, std::slice::from_ref(&old.id));
    assert_eq!(engine.write("t", Change::DeleteIds(vec![old.id])).unwrap().records, 1);
    assert_eq!(records(&engine, "t"), 0);
    engine.close().unwrap();
    remove(&dir);
}

#[test]
fn a_document_keeps_every_metadata_field_or_is_refused() {
    let dir = scratch("text-field");
    let engine = Engine::open(&dir, settings()).unwrap();
    let fields = [("text", "mine"), ("k", "1")]
        .map(|(name, text)| (name.to_owned(), MetadataValue::String(text.into())));
    let metadata = Metadata::new(fields.into_iter().collect()).unwrap();
    let lost = Document { metadata, ..Document::new("x", "hello") };
    let refused = engine.ingest("t", vec![Document::new("a", "b"), lost]).unwrap_err();
    assert!(refused.to_string().contains("documents[1].metadata.text"), "{refused}");
    assert!(engine.lookup("t").unwrap().is_none(), "nothing was written, nobody was placed");
    engine.close().unwrap();
    remove(&dir);
}

#[test]
fn reading_and_removing_place_nobody() {
    let dir = scratch("places-nobody");
    let engine = Engine::open(&dir, settings()).unwrap();
    let id = RecordId::new("a").unwrap();
    let filter = Filter::field("size", FieldTest::Gte(5.0));
    let update = Change::UpdateOne { id: id.clone(), vector: None, sparse: None, set: Metadata::empty() };
    let matching = Change::UpdateMatching { filter: filter.clone(), set: Metadata::empty() };
    let changes = [
        Change::DeleteAll,
        Change::DeleteIds(vec![id.clone()]),
        Change::DeleteMatching(filter.clone()),
        update,
        matching,
    ];
    for change in changes {
        assert_eq!(engine.write("nobody", change).unwrap().records, 0);
    }
    engine.tenant("nobody").unwrap().fetch(&[id]).unwrap();
    engine.tenant("nobody").unwrap().find_matching(&filter, None, (10, 1)).unwrap();
    engine.tenant("nobody").unwrap().list("", None, 10).unwrap();
    engine.tenant("nobody").unwrap().shard().unwrap();
    engine.tenant("nobody").unwrap().visible_seq().unwrap();
    engine.ingest("nobody", Vec::new()).unwrap();
    engine.write("nobody", Change::Upsert(Vec::new())).unwrap();
    assert!(!engine.has_tenants());
    engine.close().unwrap();
    remove(&dir);
}
