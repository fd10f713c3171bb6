//! Single-index mode: the one port is an index's port, over REST and gRPC, with the environment of the vendor's image.

use crate::server::{Server, binary, scratch};
use pinyon_wire::grpc::{DescribeIndexStatsRequest, vector_service_client::VectorServiceClient};
use serde_json::{Value, json};
use std::{path::Path, process::Command};
use tonic::transport::Channel;

const IMAGE: [(&str, &str); 4] =
    [("DIMENSION", "2"), ("METRIC", "euclidean"), ("INDEX_TYPE", "pod"), ("VECTOR_TYPE", "dense")];

fn start(dir: &Path, environment: &[(&str, &str)]) -> Server {
    Server::start_with(dir, &["--single-index", "movies"], environment)
}

fn nearest(server: &Server) -> Value {
    server.post("/query", &json!({"topK": 1, "vector": [0.0, 0.0]})).unwrap().1["matches"].clone()
}

#[test]
fn one_port_speaks_for_one_index_and_keeps_it() {
    let dir = scratch("single");
    let mut server = start(&dir, &IMAGE);
    let vectors = json!({"vectors": [{"id": "a", "values": [3.0, 4.0]}]});
    assert_eq!(server.post("/vectors/upsert", &vectors).unwrap(), (200, json!({"upsertedCount": 1})));
    let expected = json!([{"id": "a", "score": 25.0, "values": []}]);
    assert_eq!(nearest(&server), expected);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stats = runtime.block_on(async {
        let channel = Channel::from_shared(server.url.clone()).unwrap().connect().await.unwrap();
        let mut client = VectorServiceClient::new(channel);
        client.describe_index_stats(DescribeIndexStatsRequest::default()).await.unwrap().into_inner()
    });
    assert_eq!((stats.dimension, stats.total_vector_count), (Some(2), 1));
    let (status, described) = server.get("/indexes/movies").unwrap();
    assert_eq!(
        (status, &described["host"], &described["metric"]),
        (200, &json!(server.url), &json!("euclidean"))
    );
    assert!(described["spec"]["pod"].is_object(), "{described}");
    assert_eq!(server.get("/indexes").unwrap().1["indexes"].as_array().unwrap().len(), 1);
    assert_eq!(server.get("/indexes/tenants").unwrap().0, 404);
    for (status, body) in [server.post("/indexes", &vectors), server.get("/backups")].map(Option::unwrap) {
        assert_eq!((status, &body["error"]["code"]), (403, &json!("FORBIDDEN")));
    }
    assert_eq!(server.post("/ingest", &vectors).unwrap().0, 404);
    server.kill();
    // Nothing said is nothing to contradict.
    let server = start(&dir, &[]);
    assert_eq!(nearest(&server), expected);
    drop(server);
    // The same index in the ordinary mode.
    let server = Server::start(&dir, &[]);
    let host = server.get("/indexes/movies").unwrap().1["host"].as_str().unwrap().to_owned();
    assert_ne!(host, server.url);
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn what_contradicts_the_data_or_cannot_be_made_is_refused_with_the_way_out() {
    let dir = scratch("single-refused");
    drop(start(&dir, &IMAGE));
    // The data say no with 1, an argument or setting that cannot be with 2.
    let refused = |code: i32, name: &str, environment: &[(&str, &str)]| {
        let mut command = Command::new(binary());
        command.args(["serve", "--listen", "127.0.0.1:0", "--single-index", name, "--data-dir"]).arg(&dir);
        let output = command.envs(environment.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{environment:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    for (name, value) in
        [("DIMENSION", "3"), ("METRIC", "cosine"), ("INDEX_TYPE", "serverless"), ("VECTOR_TYPE", "sparse")]
    {
        let said = refused(1, "movies", &[(name, value)]);
        let stored = IMAGE.iter().find(|(image, _)| *image == name).unwrap().1;
        for part in [format!("{name}={stored}"), format!("{name}={value}"), "another data directory".into()] {
            assert!(said.contains(&part), "{said}");
        }
    }
    assert!(refused(2, "songs", &[]).contains("dimension is missing"));
    assert!(refused(2, "songs", &[("DIMENSION", "3"), ("METRIC", "feet")]).contains("METRIC"));
    std::fs::remove_dir_all(&dir).unwrap();
}
