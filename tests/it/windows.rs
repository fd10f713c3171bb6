//! Windows of HTTP/2 are small, so that bodies which nobody reads yet take little; long ones still arrive quickly.

use crate::server::{Server, scratch};
use pinyon_wire::grpc::{UpsertRequest, Vector, vector_service_client::VectorServiceClient};
use serde_json::json;
use std::time::{Duration, Instant};
use tonic::transport::Endpoint;

const RECORDS: usize = 1_000;
const COMPONENTS: usize = 15_000;

/// On a busy machine; an idle one takes a second or two, most of it for the log.
const TIME_MAX: Duration = Duration::from_secs(60);

#[test]
fn a_message_of_sixty_megabytes_arrives() {
    let dir = scratch("windows");
    let server = Server::start_with(&dir, &[], &[("PINYON_REQUESTS_MIB", "512")]);
    let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
    let made = json!({"name": "long", "dimension": COMPONENTS, "metric": "cosine", "spec": spec});
    let (status, made) = server.post("/indexes", &made).unwrap();
    assert_eq!(status, 201, "{made}");
    let host = made["host"].as_str().unwrap().to_owned();
    let vectors = (0..RECORDS).map(|number| Vector {
        id: number.to_string(),
        values: (0..COMPONENTS).map(|at| ((at + number) % 97) as f32 + 1.0).collect(),
        ..Default::default()
    });
    let message = UpsertRequest { vectors: vectors.collect(), namespace: "n".into() };
    let bytes = prost::Message::encoded_len(&message);
    assert!(bytes > 60_000_000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let took = runtime.block_on(async {
        let channel = Endpoint::from_shared(host).unwrap().connect().await.unwrap();
        let begun = Instant::now();
        let done = VectorServiceClient::new(channel).upsert(message).await.unwrap().into_inner();
        assert_eq!(done.upserted_count as usize, RECORDS);
        begun.elapsed()
    });
    println!("{bytes} bytes in {} ms", took.as_millis());
    assert!(took < TIME_MAX, "{took:?}");
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}
