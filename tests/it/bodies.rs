//! The HTTP bodies, held against golden files: what the reference module's clients read, and what every mistake answers.
//! `PINYON_TEST_BLESS=1 cargo test -p pinyon-tests bodies` writes them again.

use crate::server::{Server, hold_against_golden, scratch};
use serde_json::{Value, json};

/// A request: name, method, path, body.
type Request = (&'static str, &'static str, &'static str, Value);

/// All requests, in order: later ones see what earlier ones wrote.
fn script() -> Vec<Request> {
    [use_requests(), administration(), mistakes(), wrong_types(), fetches(), deletions()].concat()
}

/// A request of the tenant API in one tenant.
fn post(name: &'static str, path: &'static str, tenant: &str, mut body: Value) -> Request {
    body["tenant_id"] = tenant.into();
    (name, "POST", path, body)
}

/// Documents that are read.
fn fetches() -> Vec<Request> {
    let fetch = |name, body| post(name, "/fetch", "t-documents", body);
    let more: Vec<Value> =
        ["b/1", "c d", "e"].iter().map(|id| json!({"id": id, "text": id, "metadata": {"year": 1}})).collect();
    vec![
        post("documents_ingested", "/ingest", "t-documents", json!({"documents": more})),
        fetch("fetch_ids", json!({"ids": ["e", "nobody", "b/1"]})),
        fetch("fetch_first_page", json!({"limit": 2})),
        fetch("fetch_last_page", json!({"limit": 2, "after": "c d"})),
        fetch("fetch_filtered", json!({"filter": {"year": {"$lt": 2}}, "limit": 1})),
        fetch("fetch_ids_and_filter", json!({"ids": ["e"], "filter": {"year": 1}})),
        fetch("fetch_no_ids", json!({"ids": []})),
        fetch("fetch_limit_0", json!({"limit": 0})),
        post("fetch_of_nobody", "/fetch", "nobody-yet", json!({})),
        post("query_of_nobody", "/query", "nobody-yet", json!({"query_text": "beer"})),
    ]
}

/// Documents that are removed, and those that are refused; last, because what is removed is missing afterwards.
fn deletions() -> Vec<Request> {
    let delete = |name, body| post(name, "/delete", "t-documents", body);
    let ingest =
        |name, documents: Value| post(name, "/ingest", "t-documents", json!({ "documents": documents }));
    let lost =
        json!([{"id": "a", "text": "x"}, {"id": "x", "text": "hello", "metadata": {"text": "mine", "k": 1}}]);
    vec![
        delete("delete_nothing_named", json!({})),
        delete("delete_two_ways", json!({"ids": ["e"], "delete_all": true})),
        delete("delete_empty_filter", json!({"filter": {}})),
        post("delete_of_nobody", "/delete", "nobody-yet", json!({"delete_all": true})),
        delete("delete_ids", json!({"ids": ["b/1", "nobody"]})),
        delete("delete_filtered", json!({"filter": {"year": 1}})),
        delete("delete_all_of_none", json!({"delete_all": true})),
        ("nobody_was_placed", "GET", "/shard/nobody-yet", Value::Null),
        ingest("ingest_text_in_metadata", lost),
        ingest("ingest_id_not_ascii", json!([{"id": "ü/1", "text": "x"}])),
        post("nothing_was_written", "/fetch", "t-documents", json!({})),
    ]
}

fn use_requests() -> Vec<Request> {
    let documents = json!([
        {"id": "a", "text": "Dark beer is brewed with roasted malt.", "metadata": {"year": 2020, "tags": ["beer", "malt"]}},
        {"id": "b", "text": "The train to the coast leaves at nine."},
    ]);
    vec![
        ("health", "GET", "/health", Value::Null),
        ("shard", "GET", "/shard/acme-corp", Value::Null),
        (
            "shard_of_a_japanese_name",
            "GET",
            "/shard/%E6%97%A5%E6%9C%AC%E8%AA%9E-%E3%83%86%E3%83%8A%E3%83%B3%E3%83%88",
            Value::Null,
        ),
        ("ingest", "POST", "/ingest", json!({"tenant_id": "tenant-001", "documents": documents})),
        (
            "ingest_elsewhere",
            "POST",
            "/ingest",
            json!({"tenant_id": "tenant-003", "documents": [{"id": "a", "text": "Pale beer"}]}),
        ),
        (
            "query",
            "POST",
            "/query",
            json!({"tenant_id": "tenant-001", "query_text": "brewing dark beer", "top_k": 2}),
        ),
        (
            "query_with_filter",
            "POST",
            "/query",
            json!({"tenant_id": "tenant-001", "query_text": "beer", "filter": {"tags": {"$in": ["malt"]}}}),
        ),
        ("query_across", "POST", "/query", json!({"cross_shard": true, "query_text": "beer", "top_k": 3})),
        (
            "query_some",
            "POST",
            "/query",
            json!({"cross_shard": true, "tenant_ids": ["tenant-003", "nobody"], "query_text": "beer"}),
        ),
        (
            "query_explained",
            "POST",
            "/query",
            json!({"tenant_id": "tenant-001", "query_text": "beer", "filter": {"year": 2020}, "explain": true}),
        ),
        (
            "query_across_explained",
            "POST",
            "/query",
            json!({"cross_shard": true, "vector": vec![0.5; 64], "top_k": 1, "scan_factor": 2, "max_candidates": 50, "explain": true}),
        ),
        ("query_unknown_tenant", "POST", "/query", json!({"tenant_id": "nobody", "query_text": "beer"})),
    ]
}

fn administration() -> Vec<Request> {
    vec![
        ("metrics", "GET", "/metrics", Value::Null),
        ("tenants", "GET", "/admin/v1/tenants", Value::Null),
        ("place", "POST", "/admin/v1/tenants", json!({"tenants": ["tenant-004", "tenant-001"]})),
        ("assign", "PUT", "/admin/v1/tenants/fresh", json!({"shard_id": 1})),
        ("assign_with_records", "PUT", "/admin/v1/tenants/tenant-001", json!({"shard_id": 2})),
        ("assign_out_of_range", "PUT", "/admin/v1/tenants/fresh", json!({"shard_id": 4})),
        (
            "advise",
            "POST",
            "/admin/v1/advise",
            json!({"tenants": 500, "vectors": 5_000_000, "p95_ms": 600.0, "namespaces": 500, "cross_tenant_share": 0.1, "top_10_share": 0.2}),
        ),
        ("doctor", "GET", "/admin/v1/doctor", Value::Null),
    ]
}

fn mistakes() -> Vec<Request> {
    vec![
        ("no_tenant", "POST", "/query", json!({"query_text": "beer"})),
        (
            "tenant_and_cross_shard",
            "POST",
            "/query",
            json!({"query_text": "beer", "tenant_id": "x", "cross_shard": true}),
        ),
        ("no_query", "POST", "/query", json!({"tenant_id": "x"})),
        (
            "top_k_out_of_range",
            "POST",
            "/query",
            json!({"query_text": "beer", "tenant_id": "x", "top_k": 10_001}),
        ),
        ("vector_of_another_length", "POST", "/query", json!({"vector": [1.0], "tenant_id": "tenant-001"})),
        ("unknown_field", "POST", "/query", json!({"query_text": "beer", "tenant_id": "x", "topk": 1})),
        (
            "bad_filter",
            "POST",
            "/query",
            json!({"query_text": "beer", "tenant_id": "x", "filter": {"a": {"$like": 1}}}),
        ),
        (
            "bad_scan_factor",
            "POST",
            "/query",
            json!({"query_text": "beer", "tenant_id": "x", "scan_factor": 0.1}),
        ),
        (
            "bad_max_candidates",
            "POST",
            "/query",
            json!({"query_text": "beer", "tenant_id": "x", "max_candidates": 4}),
        ),
        ("bad_timeout", "POST", "/query", json!({"query_text": "beer", "tenant_id": "x", "timeout_ms": 0})),
        (
            "bad_metadata",
            "POST",
            "/ingest",
            json!({"tenant_id": "t", "documents": [{"id": "a", "text": "x", "metadata": {"k": [1]}}]}),
        ),
        (
            "bad_id",
            "POST",
            "/ingest",
            json!({"tenant_id": "t", "documents": [{"id": "ok", "text": "x"}, {"id": "", "text": "x"}]}),
        ),
        ("bad_share", "POST", "/admin/v1/advise", json!({"top_10_share": 7})),
        ("bad_tenant", "POST", "/ingest", json!({"tenant_id": "", "documents": []})),
        ("path_that_is_no_text", "GET", "/shard/%ff", Value::Null),
        ("not_found", "GET", "/nowhere", Value::Null),
        ("wrong_method", "GET", "/query", Value::Null),
    ]
}

/// What the JSON reader refuses: each answer names field and limit, and nothing of our own types.
fn wrong_types() -> Vec<Request> {
    let query = |more: Value| {
        let mut query = json!({"query_text": "beer", "tenant_id": "x"});
        query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        query
    };
    let deep = (0..200).fold(json!({"a": 1}), |inner, _| json!({"$and": [inner]}));
    let long = "x".repeat(513);
    vec![
        ("tenant_id_a_number", "POST", "/ingest", json!({"tenant_id": 5, "documents": []})),
        ("no_documents", "POST", "/ingest", json!({"tenant_id": "t"})),
        ("ingest_as_a_list", "POST", "/ingest", json!(["t", [["a", "t", {}]]])),
        ("document_as_a_list", "POST", "/ingest", json!({"tenant_id": "t", "documents": [["a", "t", {}]]})),
        ("query_as_a_list", "POST", "/query", json!(["beer"])),
        ("top_k_negative", "POST", "/query", query(json!({"top_k": -1}))),
        ("top_k_a_fraction", "POST", "/query", query(json!({"top_k": 1.5}))),
        ("top_k_a_text", "POST", "/query", query(json!({"top_k": "5"}))),
        ("top_k_null", "POST", "/query", query(json!({"top_k": null}))),
        ("vector_of_texts", "POST", "/query", json!({"tenant_id": "t", "vector": ["a"]})),
        ("deep_filter", "POST", "/query", query(json!({"filter": deep}))),
        (
            "long_name_among_tenants",
            "POST",
            "/query",
            json!({"query_text": "beer", "cross_shard": true, "tenant_ids": ["a", long]}),
        ),
        ("place_as_a_list", "POST", "/admin/v1/tenants", json!([["a"]])),
        ("place_a_number", "POST", "/admin/v1/tenants", json!({"tenants": [1]})),
        ("place_a_long_name", "POST", "/admin/v1/tenants", json!({"tenants": [long]})),
        ("assign_as_a_list", "PUT", "/admin/v1/tenants/fresh", json!([1])),
        ("advise_as_a_list", "POST", "/admin/v1/advise", json!([500])),
    ]
}

#[test]
fn answers_are_those_of_the_golden_files() {
    let dir = scratch("bodies");
    let server = Server::start(&dir, &["--vector-dimension", "64"]);
    let mut answers = serde_json::Map::new();
    for (name, method, path, body) in script() {
        let answer = match method {
            "GET" => server.get(path),
            "PUT" => put(&server, path, &body),
            _ => server.post(path, &body),
        };
        let (status, mut body) = answer.unwrap_or_else(|| panic!("{name}: no answer"));
        hide_times(&mut body);
        answers.insert(name.to_owned(), json!({"status": status, "body": body}));
    }
    hold_against_golden("tenant_api.json", &Value::Object(answers));
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

pub(crate) fn put(server: &Server, path: &str, body: &Value) -> Option<(u16, Value)> {
    let request =
        server.agent().put(format!("{}{path}", server.url)).header("content-type", "application/json");
    let mut response = request.send(body.to_string()).ok()?;
    let text = response.body_mut().read_to_string().ok()?;
    Some((response.status().as_u16(), serde_json::from_str(&text).ok()?))
}

/// Times and sizes differ from run to run; scores are cut to what every instruction set agrees on.
fn hide_times(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(hide_times),
        Value::Object(fields) => {
            for (name, value) in fields {
                if name.ends_with("_us")
                    || name.ends_with("_ms") && name != "p95_warn_ms"
                    || name == "disk_bytes"
                    || name == "disk"
                    || name == "queries"
                    || name == "queries_per_second"
                    || name == "load_share"
                {
                    *value = Value::from("-");
                } else if let (true, Some(score)) = (name == "score", value.as_f64()) {
                    *value = Value::from(format!("{score:.4}"));
                } else {
                    hide_times(value);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_keys_are_asked_for() {
    let dir = scratch("second");
    let server = Server::start(&dir, &["--vector-dimension", "64"]);
    let serve = |arguments: &[&str]| {
        let mut command = std::process::Command::new(crate::server::binary());
        command.arg("serve").arg("--data-dir").arg(&dir).args(["--vector-dimension", "64"]).args(arguments);
        command.output().unwrap()
    };
    let second = serve(&["--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && said.contains("is open in another process"), "{said}");
    let open = serve(&["--listen", "0.0.0.0:0"]);
    let said = String::from_utf8_lossy(&open.stderr).into_owned();
    assert!(!open.status.success() && said.contains("PINYON_API_KEYS"), "{said}");
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn cross_shard_queries_beyond_their_rate_are_told_when_to_come_back() {
    let dir = scratch("rate");
    let environment = [("PINYON_CROSS_SHARD_QPS_MAX", "1"), ("PINYON_CROSS_SHARD_CACHE_MIB", "1")];
    let server = Server::start_with(&dir, &["--vector-dimension", "64"], &environment);
    let document = json!({"tenant_id": "t", "documents": [{"id": "a", "text": "Dark beer"}]});
    assert_eq!(server.post("/ingest", &document).unwrap().0, 200);
    let across = json!({"cross_shard": true, "query_text": "beer"});
    let began = std::time::Instant::now();
    let (status, first) = server.post("/query", &across).unwrap();
    assert_eq!((status, first.get("cached")), (200, None));
    let mut request = server
        .agent()
        .post(format!("{}/query", server.url))
        .header("content-type", "application/json")
        .send(across.to_string())
        .unwrap();
    // On a machine that stood still for a second the next one is let in rightly.
    if began.elapsed().as_millis() < 900 {
        assert_eq!(
            (request.status().as_u16(), request.headers()["retry-after"].to_str().unwrap()),
            (429, "1")
        );
        let said = request.body_mut().read_to_string().unwrap();
        assert!(said.contains("RESOURCE_EXHAUSTED") && said.contains("limited to 1 a second"), "{said}");
    }
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let (status, second) = server.post("/query", &across).unwrap();
    assert_eq!((status, &second["cached"], &second["results"]), (200, &json!(true), &first["results"]));
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn health_tells_how_the_remote_embedders_last_call_ended_and_makes_none_itself() {
    use std::io::{Read, Write};
    let endpoint = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}/v1", endpoint.local_addr().unwrap());
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = std::sync::Arc::clone(&calls);
    std::thread::spawn(move || {
        for stream in endpoint.incoming() {
            let mut stream = stream.unwrap();
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let _ = stream.read(&mut [0; 4096]);
            let refusal = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(refusal.as_bytes());
        }
    });
    let dir = scratch("health");
    let environment = [("EMBEDDER", "openai"), ("OPENAI_BASE_URL", base_url.as_str())];
    let server = Server::start_with(&dir, &["--vector-dimension", "64"], &environment);
    let health = || server.get("/health").unwrap().1;
    assert_eq!(health()["services"], json!({"pinecone": true, "redis": true, "openai": true}));
    assert_eq!(calls.load(std::sync::atomic::Ordering::SeqCst), 0);
    let document = json!({"tenant_id": "t", "documents": [{"id": "a", "text": "Dark beer"}]});
    assert_eq!(server.post("/ingest", &document).unwrap().0, 502);
    let after = health();
    assert_eq!(after["services"], json!({"pinecone": true, "redis": true, "openai": false}));
    assert_eq!(after["status"], "degraded");
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}
