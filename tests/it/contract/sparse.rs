//! Sparse values in indexes whose metric does not count them.

use super::{LATEST_LEGACY, LEGACY, Place, SCHEMA, raw::send};
use serde_json::{Value, json};

const UNSUPPORTED: &str = "Index configuration does not support sparse values - only indexes that are sparse or using dotproduct are \
     supported.";

fn fetched(place: &Place, id: &str) -> Value {
    send(&place.host, "GET", &format!("/vectors/fetch?ids={id}"), &[], b"").json()["vectors"][id].clone()
}

/// Writes a record with sparse values and one that gets some later.
fn write(place: &Place, sparse: &Value, other: &Value) {
    let record = json!({"id": "a", "values": [3, 4], "sparseValues": sparse, "metadata": {"k": "v"}});
    let records = json!({"vectors": [record, {"id": "b", "values": [3, 4]}]});
    let refused = place.post("/vectors/upsert", SCHEMA, &records);
    assert_eq!(refused.status, 400);
    let message = refused.message();
    assert!(message.starts_with(UNSUPPORTED) && message.contains("vectors[0], ID 'a'"), "{message}");
    assert_eq!(place.post("/vectors/upsert", LATEST_LEGACY, &records).status, 200);
    let update = json!({"id": "b", "sparseValues": other});
    assert_eq!(place.post("/vectors/update", SCHEMA, &update).status, 400);
    assert_eq!(place.post("/vectors/update", LEGACY, &update).status, 200);
}

/// Every query scores the dense parts alone.
fn check_scores(place: &Place, score: f64) {
    for id_or_vector in [json!({"vector": [3, 4]}), json!({"id": "a"}), json!({"id": "b"})] {
        let mut query = id_or_vector.clone();
        query["topK"] = 2.into();
        let found = place.post("/query", LATEST_LEGACY, &query);
        assert_eq!(found.status, 200, "{query}: {found}");
        let found = found.json();
        let scores = found["matches"].as_array().unwrap().iter().map(|one| one["score"].as_f64().unwrap());
        let scores: Vec<f64> = scores.collect();
        assert!(
            scores.len() == 2 && scores.iter().all(|one| (one - score).abs() < 1e-6),
            "{query}: {scores:?}"
        );
    }
    let search = json!({"query": {"top_k": 2, "id": "a"}});
    let found = place.post("/records/namespaces/__default__/search", SCHEMA, &search);
    assert_eq!(found.json()["result"]["hits"].as_array().unwrap().len(), 2, "{found}");
}

fn check(metric: &str, score: f64) {
    let index = json!({"name": "movies", "dimension": 2, "metric": metric});
    let place = Place::new(&format!("sparse-{metric}"), &index);
    let sparse = json!({"indices": [1, 7], "values": [100.0, 200.0]});
    let other = json!({"indices": [5], "values": [1.0]});
    write(&place, &sparse, &other);
    let place = place.restart();
    assert_eq!(
        (&fetched(&place, "a")["sparseValues"], &fetched(&place, "b")["sparseValues"]),
        (&sparse, &other)
    );
    check_scores(&place, score);
    let with_values =
        place.post("/query", LATEST_LEGACY, &json!({"topK": 1, "id": "a", "includeValues": true}));
    assert_eq!(with_values.json()["matches"][0]["sparseValues"], sparse);
    for version in [LEGACY, LATEST_LEGACY, SCHEMA] {
        let hybrid = json!({"topK": 1, "vector": [3, 4], "sparseVector": sparse});
        let refused = place.post("/query", version, &hybrid);
        assert!(refused.status == 400 && refused.message().starts_with(UNSUPPORTED), "{version}: {refused}");
    }
    assert_eq!(place.post("/describe_index_stats", SCHEMA, &json!({})).json()["totalVectorCount"], 2);
    place.end();
}

#[test]
fn cosine_indexes_keep_them_and_score_the_dense_part() {
    check("cosine", 1.0);
}

#[test]
fn euclidean_indexes_keep_them_and_score_the_dense_part() {
    check("euclidean", 0.0);
}
