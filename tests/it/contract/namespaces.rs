//! Statistics: the default namespace's name by version, and filters.

use super::{LATEST_LEGACY, LEGACY, Place, SCHEMA, make, post};
use crate::server::{Server, scratch};
use serde_json::{Value, json};

fn names(stats: &Value) -> Vec<String> {
    stats["namespaces"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn old_clients_find_the_default_namespace_under_no_name() {
    let place = Place::new("default-name", &json!({"name": "movies", "dimension": 2}));
    for namespace in ["", "n"] {
        let body = json!({"vectors": [{"id": "a", "values": [1, 2]}], "namespace": namespace});
        assert_eq!(place.post("/vectors/upsert", LEGACY, &body).status, 200);
    }
    let stats = |version: &str| names(&place.post("/describe_index_stats", version, &json!({})).json());
    for old in ["2024-07", "2025-01", LEGACY, "gibberish"] {
        assert_eq!(stats(old), ["", "n"], "{old}");
    }
    for new in ["2025-10", LATEST_LEGACY, SCHEMA] {
        assert_eq!(stats(new), ["__default__", "n"], "{new}");
    }
    let unsaid = post(&place.host, "/describe_index_stats", &[], b"");
    assert_eq!(names(&unsaid.json()), ["", "n"]);
    let (_, listed) = place.server.get("/indexes/movies/namespaces").unwrap();
    let listed: Vec<&str> =
        listed["namespaces"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(listed, ["__default__", "n"], "listings have one name for all");
    place.end();
}

#[test]
fn statistics_by_filter_are_for_pods_and_for_who_allows_them() {
    let filter = json!({"filter": {"k": "v"}});
    let place = Place::new("stats-filter", &json!({"name": "movies", "dimension": 2}));
    let pods = json!({"name": "pods", "dimension": 2, "spec": {"pod": {"environment": "local"}}});
    let pods = make(&place.server, &pods);
    let refused = place.post("/describe_index_stats", LEGACY, &filter);
    assert_eq!(refused.status, 400);
    assert!(refused.message().starts_with("Serverless and Starter indexes do not support"), "{refused}");
    for open in [json!({}), json!({"filter": {}}), json!({"filter": null})] {
        assert_eq!(place.post("/describe_index_stats", LEGACY, &open).status, 200, "{open}");
    }
    assert_eq!(post(&pods, "/describe_index_stats", &[], filter.to_string().as_bytes()).status, 200);
    place.end();

    let dir = scratch("stats-filter-allowed");
    let server = Server::start_with(&dir, &["--vector-dimension", "8"], &[("PINYON_STATS_FILTER", "allow")]);
    let host = make(&server, &json!({"name": "movies", "dimension": 2}));
    let records = json!({"vectors": [
        {"id": "a", "values": [1, 2], "metadata": {"k": "v"}}, {"id": "b", "values": [1, 2]},
    ]});
    assert_eq!(post(&host, "/vectors/upsert", &[], records.to_string().as_bytes()).status, 200);
    let counted = post(&host, "/describe_index_stats", &[], filter.to_string().as_bytes());
    assert_eq!((counted.status, &counted.json()["totalVectorCount"]), (200, &json!(1)));
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}
