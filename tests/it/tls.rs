//! TLS beside plain text on the same ports, with the server's own authority and with given files.

use crate::server::{Server, scratch};
use pinyon_wire::grpc::{DescribeIndexStatsRequest, vector_service_client::VectorServiceClient};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc, time::Duration};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use ureq::tls::{RootCerts, TlsConfig};

/// A client that trusts this file and nothing else.
fn trusting(pem: &Path) -> ureq::Agent {
    let pem = std::fs::read(pem).unwrap();
    let certificate = ureq::tls::Certificate::from_pem(&pem).unwrap();
    let tls = TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(vec![certificate])));
    let config = ureq::Agent::config_builder()
        .tls_config(tls.build())
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)));
    config.build().into()
}

fn json_of(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Value {
    let text = response.unwrap().body_mut().read_to_string().unwrap();
    serde_json::from_str(&text).unwrap()
}

fn make_index(server: &Server) {
    let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
    let index = json!({"name": "movies", "dimension": 2, "spec": spec});
    assert_eq!(server.post("/indexes", &index).unwrap().0, 201);
}

/// What gRPC says of an index's dimension.
async fn dimension_over_grpc(host: &str, authority: Option<&Path>) -> Option<u32> {
    let mut endpoint = Endpoint::from_shared(host.to_owned()).unwrap();
    if let Some(authority) = authority {
        let certificate = Certificate::from_pem(std::fs::read(authority).unwrap());
        endpoint = endpoint.tls_config(ClientTlsConfig::new().ca_certificate(certificate)).unwrap();
    }
    let mut client = VectorServiceClient::new(endpoint.connect().await.unwrap());
    let stats = client.describe_index_stats(DescribeIndexStatsRequest::default()).await;
    stats.unwrap().into_inner().dimension
}

#[test]
fn rest_and_grpc_are_spoken_over_tls_and_in_plain_text_on_the_same_ports() {
    let dir = scratch("tls");
    let server = Server::start(&dir, &["--vector-dimension", "8", "--tls", "local"]);
    let authority = dir.join("tls/ca.pem");
    let agent = trusting(&authority);
    make_index(&server);
    let describe =
        |url: &str, agent: &ureq::Agent| json_of(agent.get(format!("{url}/indexes/movies")).call());
    let plain_host = describe(&server.url, server.agent())["host"].as_str().unwrap().to_owned();
    assert!(plain_host.starts_with("http://127.0.0.1:"), "{plain_host}");
    for name in ["127.0.0.1", "localhost"] {
        let url = server.url.replace("http://127.0.0.1", &format!("https://{name}"));
        let host = describe(&url, &agent)["host"].as_str().unwrap().to_owned();
        assert_eq!(host, plain_host.replace("http://127.0.0.1", &format!("https://{name}")));
        let stats = json_of(
            agent
                .post(format!("{host}/describe_index_stats"))
                .header("content-type", "application/json")
                .send("{}"),
        );
        assert_eq!(stats["dimension"], 2);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            assert_eq!(dimension_over_grpc(&host, Some(&authority)).await, Some(2));
            assert_eq!(dimension_over_grpc(&plain_host, None).await, Some(2));
        });
    }
    let strangers: ureq::Agent = ureq::Agent::new_with_defaults();
    let url = server.url.replace("http://", "https://");
    assert!(strangers.get(format!("{url}/livez")).call().is_err(), "a stranger trusts us");
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Whether who trusts this file takes the server's certificate for that of a name.
async fn is_certified(address: &str, name: &str, authority: &Path) -> bool {
    let certificate = Certificate::from_pem(std::fs::read(authority).unwrap());
    let tls = ClientTlsConfig::new().ca_certificate(certificate).domain_name(name);
    Endpoint::from_shared(address.to_owned()).unwrap().tls_config(tls).unwrap().connect().await.is_ok()
}

#[test]
fn an_indexs_own_name_is_in_the_certificate_that_who_asks_for_it_gets() {
    let dir = scratch("tls-names");
    let server = Server::start(&dir, &["--vector-dimension", "8", "--tls", "local"]);
    let address = server.url.replace("http://", "https://");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let is_certified = |name| runtime.block_on(is_certified(&address, name, &dir.join("tls/ca.pem")));
    assert!(is_certified("movies.localhost") && is_certified("localhost"));
    assert!(!is_certified("movies.example.com") && !is_certified("a.b.localhost"));
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn the_authority_is_the_same_after_a_kill_and_its_key_is_the_owners() {
    use std::os::unix::fs::PermissionsExt;
    let dir = scratch("tls-restart");
    let arguments = ["--vector-dimension", "8", "--tls", "local"];
    let mut server = Server::start(&dir, &arguments);
    let agent = trusting(&dir.join("tls/ca.pem"));
    let lives = |server: &Server| {
        let url = server.url.replace("http://", "https://");
        agent.get(format!("{url}/livez")).call().unwrap().status() == 200
    };
    assert!(lives(&server));
    let mode = std::fs::metadata(dir.join("tls/ca.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    server.kill();
    // New names below those that it was made for need no new trust.
    let server = Server::start_with(&dir, &arguments, &[("PINYON_ADVERTISED_HOST", "vectors.localhost")]);
    assert!(lives(&server));
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn given_files_are_served() {
    let dir = scratch("tls-files");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let files =
        [("PINYON_TLS_CERT", certificate.to_str().unwrap()), ("PINYON_TLS_KEY", key.to_str().unwrap())];
    let server = Server::start_with(&dir.join("data"), &["--vector-dimension", "8"], &files);
    let url = server.url.replace("http://127.0.0.1", "https://localhost");
    assert_eq!(trusting(&certificate).get(format!("{url}/livez")).call().unwrap().status(), 200);
    assert!(!dir.join("data/tls").exists());
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}
