//! Null is unset, and numbers have many spellings.

use super::{LEGACY, Place, SCHEMA, raw::send};
use serde_json::{Value, json};

fn movies(name: &str) -> Place {
    Place::new(name, &json!({"name": "movies", "dimension": 2, "metric": "dotproduct"}))
}

#[test]
fn null_means_unset_in_every_request_of_the_data_plane() {
    let place = movies("nulls");
    let post = |path: &str, body: Value| {
        let answer = place.post(path, SCHEMA, &body);
        assert_eq!(answer.status, 200, "{path} {body}: {answer}");
        answer.json()
    };
    let record =
        json!({"id": "a", "values": [1, 2], "sparseValues": null, "metadata": {"k": "v", "gone": null}});
    let bare = json!({"id": "b", "values": [2, 1], "sparse_values": null, "metadata": null});
    post("/vectors/upsert", json!({"vectors": [record, bare], "namespace": null}));
    let found = post(
        "/query",
        json!({"namespace": null, "topK": 5, "vector": [1, 2], "id": null, "sparseVector": null, "filter": null,
            "includeValues": null, "includeMetadata": null, "scanFactor": null, "maxCandidates": null}),
    );
    assert_eq!((found["matches"].as_array().unwrap().len(), &found["namespace"]), (2, &json!("")));
    let by_id = json!({"namespace": null, "topK": 1, "vector": null, "id": "a", "include_metadata": true});
    assert_eq!(post("/query", by_id)["matches"][0]["metadata"], json!({"k": "v"}));
    post(
        "/vectors/update",
        json!({"id": "a", "values": null, "sparseValues": null, "setMetadata": {"n": 1, "x": null}, "filter": null,
            "dryRun": null, "namespace": null}),
    );
    let page = json!({"filter": {"n": 1}, "namespace": null, "limit": null, "paginationToken": null});
    assert_eq!(
        post("/vectors/fetch_by_metadata", page)["vectors"]["a"]["metadata"],
        json!({"k": "v", "n": 1.0})
    );
    assert_eq!(post("/describe_index_stats", json!({"filter": null}))["totalVectorCount"], 2);
    post("/namespaces", json!({"name": "made", "schema": null}));
    post("/vectors/delete", json!({"ids": ["a"], "deleteAll": null, "filter": null, "namespace": null}));
    assert_eq!(post("/describe_index_stats", json!({}))["totalVectorCount"], 1);
    post("/vectors/delete", json!({"ids": null, "deleteAll": true, "filter": null, "namespace": null}));
    assert_eq!(post("/describe_index_stats", json!({}))["totalVectorCount"], 0);
    place.end();
}

#[test]
fn null_in_data_and_for_what_is_needed_is_refused_by_name() {
    let place = movies("nulls-refused");
    let refused = |path: &str, body: Value, word: &str| {
        let answer = place.post(path, LEGACY, &body);
        assert!(answer.status == 400 && answer.message().contains(word), "{path} {body}: {answer}");
    };
    refused(
        "/vectors/upsert",
        json!({"vectors": [{"id": "a", "values": [1, null]}]}),
        "vectors[0].values[1]",
    );
    refused("/vectors/upsert", json!({"vectors": [null]}), "vectors[0]");
    refused("/vectors/upsert", json!({"vectors": null, "namespace": null}), "vectors");
    refused("/query", json!({"topK": null, "vector": [1, 2]}), "top_k");
    refused("/query", json!({"topK": 1, "vector": null, "id": null}), "vector is missing");
    refused("/query", json!({"topK": 1, "vector": [1, 2], "filter": {"a": null}}), "filter");
    refused("/vectors/delete", json!({"ids": null, "filter": null}), "ids are missing");
    refused("/vectors/delete", json!({"ids": [null]}), "ids[0]");
    refused("/vectors/delete", json!({"filter": {"a": {"$in": [null]}}, "namespace": null}), "filter");
    place.end();
}

#[test]
fn whole_numbers_and_floats_are_read_in_every_spelling_of_proto3() {
    let place = movies("numbers");
    let sparse = json!({"indices": ["7", 9.0], "values": ["0.5", 1]});
    let record = json!({"id": "a", "values": ["1", "2e0"], "sparseValues": sparse});
    assert_eq!(place.post("/vectors/upsert", LEGACY, &json!({"vectors": [record]})).status, 200);
    let kept = send(&place.host, "GET", "/vectors/fetch?ids=a", &[], b"").json();
    assert_eq!(kept["vectors"]["a"]["values"], json!([1.0, 2.0]));
    assert_eq!(kept["vectors"]["a"]["sparseValues"], json!({"indices": [7, 9], "values": [0.5, 1.0]}));
    for spelling in ["10", "10.0", "1e1", "\"10\"", "\"1e1\""] {
        let query = format!("{{\"topK\": {spelling}, \"vector\": [1, 2], \"maxCandidates\": {spelling}}}");
        let answer = super::post(&place.host, "/query", &[], query.as_bytes());
        assert_eq!((answer.status, answer.json()["matches"].as_array().unwrap().len()), (200, 1), "{query}");
    }
    for (wrong, shown) in
        [("10.5", "10.5"), ("true", "true"), ("\"ten\"", "ten"), ("[]", "a list"), ("1e300", "1e+300")]
    {
        let answer = super::post(
            &place.host,
            "/query",
            &[],
            format!("{{\"topK\": {wrong}, \"id\": \"a\"}}").as_bytes(),
        );
        let message = answer.message();
        assert!(
            answer.status == 400 && message.contains("topK") && message.contains(shown),
            "{wrong}: {answer}"
        );
    }
    place.end();
}

#[test]
fn floats_that_are_none_are_refused_and_parameters_are_numbers_too() {
    let place = movies("floats");
    for number in ["NaN", "Infinity", "-Infinity"] {
        let answer =
            place.post("/vectors/upsert", LEGACY, &json!({"vectors": [{"id": "n", "values": [1, number]}]}));
        assert!(
            answer.status == 400
                && answer.message().contains("vectors[0].values[1]: must be a finite number"),
            "{answer}"
        );
        assert!(answer.message().contains("ID 'n'"), "{answer}");
    }
    for (limit, status) in [("1.0", 200), ("1e1", 200), ("", 200), ("1.5", 400), ("many", 400)] {
        let answer = send(&place.host, "GET", &format!("/vectors/list?limit={limit}"), &[], b"");
        assert_eq!(answer.status, status, "{limit}: {answer}");
    }
    place.end();
}

#[test]
fn null_means_unset_in_the_control_plane() {
    let place = movies("nulls-control");
    let ask = |method: &str, path: &str, version: &str, status: u16, body: Value| {
        place.ask(method, path, version, status, &body)
    };
    let serverless =
        json!({"cloud": "aws", "region": "us-east-1", "read_capacity": null, "source_collection": null});
    let legacy = json!({"name": "one", "dimension": 2, "metric": null, "vector_type": null, "deletion_protection": null,
        "tags": null, "spec": {"serverless": serverless, "pod": null}});
    assert_eq!(ask("POST", "/indexes", LEGACY, 201, legacy).json()["metric"], "cosine");
    let pod = json!({"environment": "local", "replicas": null, "pods": null, "metadata_config": null});
    ask("POST", "/indexes", LEGACY, 201, json!({"name": "pods", "dimension": 2, "spec": {"pod": pod}}));
    let values = json!({"type": "dense_vector", "dimension": 3, "metric": null, "description": null});
    let schema = json!({"name": "two", "schema": {"fields": {"_values": values}}, "deployment": null, "cmek_id": null,
        "read_capacity": null, "tags": null, "deletion_protection": null});
    ask("POST", "/indexes", SCHEMA, 201, schema);
    let nothing = json!({"deletion_protection": null, "tags": null, "spec": null, "embed": null});
    ask("PATCH", "/indexes/one", LEGACY, 202, nothing);
    let capacity = json!({"spec": {"serverless": {"read_capacity": null}}});
    ask("PATCH", "/indexes/one", LEGACY, 202, capacity);
    ask(
        "PATCH",
        "/indexes/two",
        SCHEMA,
        200,
        json!({"schema": null, "deployment": null, "tags": {"a": null}}),
    );
    let missing = json!({"name": null, "dimension": 2, "spec": {}});
    assert!(ask("POST", "/indexes", LEGACY, 422, missing).message().contains("missing field `name`"));
    let unknown = json!({"schema": {"fields": {}}, "dimension": null});
    assert!(ask("POST", "/indexes", SCHEMA, 422, unknown).message().contains("dimension"));
    place.end();
}

#[test]
fn null_means_unset_in_inference_and_records() {
    let place = movies("nulls-inference");
    let ask = |method: &str, path: &str, version: &str, status: u16, body: Value| {
        place.ask(method, path, version, status, &body);
    };
    let embed = json!({"model": "multilingual-e5-large", "field_map": {"text": "t"}, "metric": null, "dimension": null,
        "read_parameters": null, "write_parameters": null});
    let model = json!({"name": "three", "cloud": "aws", "region": "us-east-1", "embed": embed, "deletion_protection": null,
        "tags": null, "schema": null, "read_capacity": null});
    ask("POST", "/indexes/create-for-model", LEGACY, 201, model);
    let texts = json!({"model": "multilingual-e5-large", "inputs": [{"text": "x"}], "parameters": null});
    ask("POST", "/embed", SCHEMA, 200, texts);
    let rerank = json!({"model": "bge-reranker-v2-m3", "query": "x", "documents": ["x", "y"], "top_n": null,
        "return_documents": null, "rank_fields": null, "parameters": null});
    ask("POST", "/rerank", SCHEMA, 200, rerank);
    let search = json!({"query": {"top_k": 1.0, "inputs": {"text": "x"}, "vector": null, "id": null, "filter": null,
        "match_terms": null}, "fields": null, "rerank": null});
    ask("POST", "/indexes/three/records/namespaces/n/search", SCHEMA, 200, search);
    place.end();
}

#[test]
fn null_means_unset_in_the_tenant_api_and_in_administration() {
    let place = movies("nulls-tenants");
    let post = |path: &str, body: Value| place.server.post(path, &body).unwrap();
    let document = json!({"id": "a", "text": "Dark beer", "metadata": null});
    assert_eq!(post("/ingest", json!({"tenant_id": "t", "documents": [document]})).0, 200);
    let query = json!({"query_text": "beer", "vector": null, "tenant_id": "t", "tenant_ids": null, "top_k": null,
        "cross_shard": null, "filter": null, "timeout_ms": null, "scan_factor": null, "max_candidates": null, "explain": null});
    let (status, found) = post("/query", query);
    assert_eq!((status, &found["results"][0]["id"]), (200, &json!("a")), "{found}");
    let advice = json!({"tenants": null, "vectors": null, "p95_ms": null, "namespaces": null});
    assert_eq!(post("/admin/v1/advise", advice).0, 200);
    for (body, field) in [
        (json!({"tenant_id": "t", "documents": [{"id": "b", "text": null}]}), "documents[0].text"),
        (json!({"tenant_id": null, "documents": []}), "tenant_id"),
        (json!({"tenant_id": "t", "documents": [null]}), "documents[0]"),
        (json!({"tenant_id": "t", "documents": [], "tenant": null}), "tenant"),
    ] {
        let (status, refused) = post("/ingest", body);
        assert_eq!((status, &refused["error"]["field"]), (400, &json!(field)), "{refused}");
    }
    place.end();
}
