//! The effort of a query, over every API: what is out of range is refused with the field, the range and what was given, and
//! what is in range is taken.

use crate::{
    bodies::put,
    server::{Server, binary, scratch},
};
use pinyon_wire::grpc::{QueryRequest, vector_service_client::VectorServiceClient};
use serde_json::{Value, json};
use std::{path::Path, process::Command};
use tonic::transport::Endpoint;

/// Each pair of values, and what is said of it.
const REFUSED: [(Option<f32>, Option<u32>, &str); 5] = [
    (Some(0.25), None, "scan_factor: must be 0.5 to 4, is 0.25"),
    (Some(4.5), None, "scan_factor: must be 0.5 to 4, is 4.5"),
    (Some(5.0), Some(1), "scan_factor: must be 0.5 to 4, is 5"),
    (None, Some(1), "max_candidates: must be top_k (2) to 100000, is 1"),
    (Some(2.0), Some(100_001), "max_candidates: must be top_k (2) to 100000, is 100001"),
];
const TAKEN: [(Option<f32>, Option<u32>); 4] =
    [(None, None), (Some(0.5), Some(2)), (Some(4.0), Some(100_000)), (Some(1.5), None)];

fn with_index(dir: &Path) -> (Server, String) {
    let server = Server::start(dir, &["--vector-dimension", "4"]);
    let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
    let made = server.post("/indexes", &json!({"name": "movies", "dimension": 3, "spec": spec})).unwrap();
    let host = made.1["host"].as_str().unwrap().to_owned();
    let vector = |id: &str, values: [u8; 3]| json!({"id": id, "values": values});
    let vectors = [vector("a", [1, 0, 0]), vector("b", [0, 1, 0]), vector("c", [0, 0, 1])];
    let written = server.post("/indexes/movies/vectors/upsert", &json!({"vectors": vectors})).unwrap();
    assert_eq!(written.0, 200, "{written:?}");
    (server, host)
}

fn query(names: [&str; 2], factor: Option<f32>, candidates: Option<u32>, mut query: Value) -> Value {
    query[names[0]] = json!(factor);
    query[names[1]] = json!(candidates);
    query
}

#[test]
fn effort_is_checked_and_taken_over_rest() {
    let dir = scratch("effort-rest");
    let (server, _) = with_index(&dir);
    let pinecone = json!({"topK": 2, "vector": [1, 0.5, 0]});
    let tenant = json!({"top_k": 2, "vector": [1, 0.5, 0, 0], "tenant_id": "t"});
    for (factor, candidates, said) in REFUSED {
        let body = query(["scanFactor", "maxCandidates"], factor, candidates, pinecone.clone());
        let (status, answer) = server.post("/indexes/movies/query", &body).unwrap();
        assert_eq!((status, &answer["code"], &answer["message"]), (400, &json!(3), &json!(said)));
        let body = query(["scan_factor", "max_candidates"], factor, candidates, tenant.clone());
        let (status, answer) = server.post("/query", &body).unwrap();
        assert_eq!((status, &answer["error"]["message"]), (400, &json!(said)), "{answer}");
        assert_eq!(answer["error"]["field"], said.split(':').next().unwrap());
    }
    for (factor, candidates) in TAKEN {
        let body = query(["scanFactor", "maxCandidates"], factor, candidates, pinecone.clone());
        let (status, answer) = server.post("/indexes/movies/query", &body).unwrap();
        assert_eq!(
            (status, &answer["matches"][0]["id"], &answer["matches"][1]["id"]),
            (200, &json!("a"), &json!("b"))
        );
        let body = query(["scan_factor", "max_candidates"], factor, candidates, tenant.clone());
        assert_eq!(server.post("/query", &body).unwrap().0, 200);
    }
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn effort_is_checked_and_taken_over_grpc() {
    let dir = scratch("effort-grpc");
    let (server, host) = with_index(&dir);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let channel = Endpoint::from_shared(host).unwrap().connect().await.unwrap();
        let mut client = VectorServiceClient::new(channel);
        let base = QueryRequest { top_k: 2, vector: vec![1.0, 0.5, 0.0], ..Default::default() };
        let asked =
            |scan_factor, max_candidates| QueryRequest { scan_factor, max_candidates, ..base.clone() };
        for (factor, candidates, said) in REFUSED {
            let refused = client.query(asked(factor, candidates)).await.unwrap_err();
            assert_eq!((refused.code(), refused.message()), (tonic::Code::InvalidArgument, said));
        }
        let refused = client.query(asked(Some(f32::NAN), None)).await.unwrap_err();
        assert_eq!(refused.message(), "scan_factor: must be 0.5 to 4, is NaN");
        for (factor, candidates) in TAKEN {
            let found = client.query(asked(factor, candidates)).await.unwrap().into_inner();
            let ids: Vec<&str> = found.matches.iter().map(|one| one.id.as_str()).collect();
            assert_eq!(ids, ["a", "b"]);
        }
    });
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// `pinyon indexes` against a server: the exit code and what was printed.
fn indexes(server: &Server, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(binary());
    let output = command.args(["indexes", "--server", &server.url]).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// The effort of a query in the tenants' index.
fn effort_of(server: &Server, asked: Option<f64>) -> f64 {
    let body = json!({"top_k": 2, "vector": [1, 0.5, 0, 0], "cross_shard": true, "scan_factor": asked, "explain": true});
    server.post("/query", &body).unwrap().1["explain"]["scan_factor"].as_f64().unwrap()
}

#[test]
fn an_index_has_a_scan_factor_of_its_own_that_outlives_the_server() {
    let dir = scratch("effort-index");
    let start = || Server::start_with(&dir, &["--vector-dimension", "4"], &[("PINYON_SCAN_FACTOR", "1.5")]);
    drop(with_index(&dir));
    let server = start();
    let (name, path) = ("tenants", "/admin/v1/indexes/tenants");
    assert_eq!((effort_of(&server, None), effort_of(&server, Some(2.0))), (1.5, 2.0));
    let (code, out, _) = indexes(&server, &["--configure", name, "--scan-factor", "3", "--json"]);
    assert_eq!((code, out.contains("\"effective_scan_factor\":3.0")), (Some(0), true), "{out}");
    assert_eq!((effort_of(&server, None), effort_of(&server, Some(2.0))), (3.0, 2.0));
    let (code, _, said) = indexes(&server, &["--configure", name, "--scan-factor", "9"]);
    assert_eq!((code, said.trim()), (Some(2), "pinyon: scan_factor: must be 0.5 to 4, is 9"));
    assert_eq!(indexes(&server, &["--configure", "nobody", "--scan-factor", "1"]).0, Some(1));
    assert_eq!(indexes(&server, &["--configure", name, "--scan-factor", "much"]).0, Some(2));
    let (status, refused) = put(&server, path, &json!({})).unwrap();
    assert!(status == 400 && refused.to_string().contains("scan_factor"), "{refused}");
    assert_eq!(server.get("/admin/v1/indexes/nobody").unwrap().0, 404);
    drop(server);
    let server = start();
    assert_eq!(server.get(path).unwrap().1["scan_factor"], 3.0);
    assert_eq!((effort_of(&server, None), effort_of(&server, Some(2.0))), (3.0, 2.0));
    let (_, out, _) = indexes(&server, &[]);
    assert!(out.contains("movies") && out.contains("1.5 (default)"), "{out}");
    assert_eq!(indexes(&server, &["--configure", name, "--scan-factor", "default"]).0, Some(0));
    assert_eq!(
        (server.get(path).unwrap().1["scan_factor"].clone(), effort_of(&server, None)),
        (Value::Null, 1.5)
    );
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}
