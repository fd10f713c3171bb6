//! Pinecone's contract where clients take liberties: null for what they leave open, numbers in other spellings, compressed
//! bodies, byte order marks, URLs that are too long; and refusals that say which record they are about.

mod encodings;
mod namespaces;
mod nulls;
mod raw;
mod records;
mod sparse;

use crate::server::{Server, scratch};
use pinyon_wire::grpc::vector_service_client::VectorServiceClient;
use raw::{Answer, post, send};
use serde_json::{Value, json};
use std::path::PathBuf;
use tonic::transport::{Channel, Endpoint};

const LEGACY: &str = "2025-04";
const LATEST_LEGACY: &str = "2026-04";
const SCHEMA: &str = "2026-07";

/// A server with one index, and the address of that index's port.
struct Place {
    dir: PathBuf,
    server: Server,
    host: String,
}

impl Place {
    fn new(name: &str, index: &Value) -> Self {
        let dir = scratch(name);
        let server = Server::start(&dir, &["--vector-dimension", "8"]);
        let host = make(&server, index);
        Self { dir, server, host }
    }

    /// Posts to the index's port, in an API version.
    fn post(&self, path: &str, version: &str, body: &Value) -> Answer {
        post(&self.host, path, &[("x-pinecone-api-version", version)], body.to_string().as_bytes())
    }

    /// Asks the control port, in an API version, for an answer of this status.
    fn ask(&self, method: &str, path: &str, version: &str, status: u16, body: &Value) -> Answer {
        let headers = [("x-pinecone-api-version", version)];
        let answer = send(&self.server.url, method, path, &headers, body.to_string().as_bytes());
        assert_eq!(answer.status, status, "{method} {path} {body}: {answer}");
        answer
    }

    fn restart(mut self) -> Self {
        self.server.kill();
        let server = Server::start(&self.dir, &["--vector-dimension", "8"]);
        Self { dir: self.dir, server, host: self.host }
    }

    fn end(self) {
        drop(self.server);
        std::fs::remove_dir_all(&self.dir).unwrap();
    }
}

/// A client of an index's port over gRPC.
async fn connect(host: &str) -> VectorServiceClient<Channel> {
    let channel = Endpoint::from_shared(host.to_owned()).unwrap().connect().await.unwrap();
    VectorServiceClient::new(channel)
}

/// Makes an index, and gives the address of its port.
fn make(server: &Server, index: &Value) -> String {
    let mut body = index.clone();
    if body.get("spec").is_none() {
        body["spec"] = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
    }
    let (status, made) = server.post("/indexes", &body).unwrap();
    assert_eq!(status, 201, "{made}");
    made["host"].as_str().unwrap().to_owned()
}
