//! Keys, on every listener: the control port, an index's port, an index by its host name; over REST in each version's words
//! and over gRPC; before anything else is said or read.

use crate::server::{Server, scratch};
use pinyon_wire::grpc::{DescribeIndexStatsRequest, vector_service_client::VectorServiceClient};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};
use tonic::{Code, Request, metadata::MetadataValue, transport::Channel};

const KEY: &str = "right-key-1";
const DATA: [(&str, &str); 11] = [
    ("POST", "/query"),
    ("POST", "/vectors/upsert"),
    ("GET", "/vectors/fetch?ids=a"),
    ("GET", "/namespaces"),
    ("POST", "/records/namespaces/n/upsert"),
    ("POST", "/records/namespaces/n/search"),
    ("POST", "/namespaces/n/documents/upsert"),
    ("GET", "/bulk/imports"),
    ("GET", "/namespace-aliases"),
    ("GET", "/nothing/here"),
    ("DELETE", "/query"),
];
const CONTROL: [(&str, &str); 9] = [
    ("GET", "/indexes"),
    ("POST", "/indexes"),
    ("GET", "/indexes/nothing"),
    ("GET", "/collections"),
    ("POST", "/collections"),
    ("GET", "/backups"),
    ("POST", "/embed"),
    ("POST", "/rerank"),
    ("GET", "/models"),
];

/// A server with keys and one index, and that index's port.
fn start(name: &str) -> (std::path::PathBuf, Server, String) {
    let dir = scratch(name);
    let server = Server::start_with(&dir, &["--vector-dimension", "8"], &[("PINYON_API_KEYS", KEY)]);
    let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
    let body = json!({"name": "movies", "dimension": 2, "spec": spec}).to_string();
    let request = server.agent().post(format!("{}/indexes", server.url)).header("api-key", KEY);
    let text = request.send(body).unwrap().body_mut().read_to_string().unwrap();
    let made: Value = serde_json::from_str(&text).unwrap();
    let host = made["host"].as_str().unwrap().to_owned();
    (dir, server, host)
}

/// Status and body of a request without a key, its body announced and never sent: who is not let in is not read.
fn without_key(base: &str, host: &str, (method, path): (&str, &str), version: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(base.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nx-pinecone-api-version: {version}\r\ncontent-type: application/json\r\n\
         content-length: 1000\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read) = stream.read(&mut buffer) {
        answer.extend(&buffer[..read]);
        let text = String::from_utf8_lossy(&answer);
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            length.is_some_and(|length| length.parse() == Ok(body.len()))
        });
        if read == 0 || whole {
            break;
        }
    }
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{method} {path}: {text:?}"));
    (head[9..12].parse().unwrap(), body.to_owned())
}

#[test]
fn rest_asks_for_a_key_before_it_reads_or_says_anything() {
    let (dir, server, index) = start("auth-rest");
    let control = server.url.clone();
    let host = control.strip_prefix("http://").unwrap().to_owned();
    let by_name = host.replace("127.0.0.1", "movies.localhost");
    let below: Vec<String> = DATA.iter().map(|(_, path)| format!("/indexes/movies{path}")).collect();
    let below = DATA.iter().zip(&below).map(|((method, _), path)| (*method, path.as_str()));
    let mut places: Vec<(&str, &str, (&str, &str))> = Vec::new();
    places.extend(CONTROL.iter().map(|one| (control.as_str(), host.as_str(), *one)));
    places.extend(
        below
            .filter(|(method, path)| !path.ends_with("here") && *method != "DELETE")
            .map(|one| (control.as_str(), host.as_str(), one)),
    );
    places.extend(DATA.iter().map(|one| (index.as_str(), host.as_str(), *one)));
    places.extend(DATA.iter().map(|one| (control.as_str(), by_name.as_str(), *one)));
    for (base, host, one) in places {
        let (status, body) = without_key(base, host, one, "2025-04");
        let envelope =
            json!({"status": 401, "error": {"code": "UNAUTHENTICATED", "message": "Invalid API key."}});
        let body = serde_json::from_str::<Value>(&body).unwrap_or(Value::String(body));
        assert_eq!((status, body), (401, envelope), "{host} {one:?}");
        let is_control = CONTROL.contains(&one);
        let expected = if is_control { "Invalid API key" } else { "Unauthorized" };
        assert_eq!(without_key(base, host, one, "2026-07"), (401, expected.to_owned()), "{host} {one:?}");
    }
    for path in
        ["/ingest", "/query", "/metrics", "/admin/v1/shards", "/nothing/here", "/indexes/movies/nothing"]
    {
        assert_eq!(without_key(&control, &host, ("POST", path), "2026-07").0, 401, "{path}");
    }
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_shard_is_told_to_who_has_a_key_of_a_name_that_tenants_can_have_and_nobody_is_placed() {
    let (dir, server, host) = start("auth-shard");
    let get = |path: &str| {
        let request = server.agent().get(format!("{}{path}", server.url)).header("api-key", KEY);
        let mut answer = request.call().unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), serde_json::from_str::<Value>(&text).unwrap())
    };
    for path in ["/shard/stranger", "/shard/%ff"] {
        assert_eq!(without_key(&server.url, &host, ("GET", path), "2025-04").0, 401, "{path}");
    }
    let (status, refused) = get(&format!("/shard/{}", "x".repeat(513)));
    assert_eq!((status, &refused["error"]["field"]), (400, &json!("tenant_id")), "{refused}");
    let (status, told) = get(&format!("/shard/{}", "x".repeat(512)));
    assert_eq!((status, &told["placed"]), (200, &json!(false)), "{told}");
    assert_eq!(get("/admin/v1/tenants").1, json!({"tenants": []}), "nobody was placed");
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn grpc_asks_for_a_key_on_the_indexs_port() {
    let (dir, server, index) = start("auth-grpc");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let channel = Channel::from_shared(index.clone()).unwrap().connect().await.unwrap();
        for (key, expected) in [(None, Code::Unauthenticated), (Some("wrong-key"), Code::Unauthenticated)] {
            assert_eq!(stats(&channel, key).await, Err(expected), "{key:?}");
        }
        assert_eq!(stats(&channel, Some(KEY)).await, Ok(Some(2)));
        assert_eq!(unknown_method(&channel, None).await, Code::Unauthenticated);
        assert_eq!(unknown_method(&channel, Some(KEY)).await, Code::Unimplemented);
    });
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

fn keyed<T>(message: T, key: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(key) = key {
        request.metadata_mut().insert("api-key", MetadataValue::try_from(key).unwrap());
    }
    request
}

async fn stats(channel: &Channel, key: Option<&str>) -> Result<Option<u32>, Code> {
    let mut client = VectorServiceClient::new(channel.clone());
    let answer = client.describe_index_stats(keyed(DescribeIndexStatsRequest::default(), key)).await;
    answer.map(|stats| stats.into_inner().dimension).map_err(|status| status.code())
}

/// What a service answers that there is not.
async fn unknown_method(channel: &Channel, key: Option<&str>) -> Code {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<DescribeIndexStatsRequest, DescribeIndexStatsRequest>::default();
    let path = "/Other/Method".parse().unwrap();
    grpc.unary(keyed(DescribeIndexStatsRequest::default(), key), path, codec).await.unwrap_err().code()
}

#[test]
fn an_index_is_reached_by_its_host_name_and_the_control_plane_is_not_shadowed() {
    let (dir, server, _) = start("auth-by-host");
    let ask = |host: &str, path: &str| {
        let request =
            server.agent().get(format!("{}{path}", server.url)).header("api-key", KEY).header("host", host);
        request.call().unwrap().status().as_u16()
    };
    assert_eq!(ask("movies.localhost:5080", "/vectors/list"), 200);
    assert_eq!(ask("movies.localhost:5080", "/indexes"), 404);
    for host in
        ["localhost:5080", "127.0.0.1:5080", "movies.example.com", "songs.localhost", "[::1]:5080", "movies"]
    {
        assert_eq!((ask(host, "/vectors/list"), ask(host, "/indexes")), (404, 200), "{host}");
    }
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}
