//! Pinecone's API, held against golden files: the answers to scripted requests, with shapes by version, messages, statuses, log positions. The same index is
//! asked on its own port and below the control port. `PINYON_TEST_BLESS=1 cargo test -p pinyon-tests pinecone` writes
//! the file again; what it then says is read before it is kept.

use crate::server::{Server, hold_against_golden, scratch};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

const LEGACY: &str = "2025-04";
const SCHEMA: &str = "2026-07";

/// A line of `golden/pinecone_requests.jsonl`.
#[derive(Deserialize)]
struct Request {
    plane: String,
    name: String,
    method: String,
    path: String,
    version: String,
    #[serde(default)]
    body: Value,
}

fn script(plane: &str) -> Vec<Request> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/pinecone_requests.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let requests = text.lines().map(|line| serde_json::from_str::<Request>(line).unwrap());
    requests.filter(|request| request.plane == plane).collect()
}

#[test]
fn answers_are_those_of_the_golden_file() {
    let dir = scratch("pinecone");
    let server = Server::start(&dir, &["--vector-dimension", "8"]);
    let mut answers = serde_json::Map::new();
    for request in script("control") {
        let answer = request.ask(&server, &server.url);
        assert!(answers.insert(request.name.clone(), answer).is_none(), "{} stands twice", request.name);
    }
    let own_port = answers["create"]["body"]["host"].as_str().unwrap().to_owned();
    let below_control = format!("{}/indexes/movies", server.url);
    // Half of them here, half there: they are the same index.
    for (request, host) in script("data").iter().zip([&own_port, &below_control].iter().cycle()) {
        let answer = request.ask(&server, host);
        assert!(
            answers.insert(format!("data_{}", request.name), answer).is_none(),
            "{} stands twice",
            request.name
        );
    }
    for (plane, index) in [("records", "articles"), ("terms", "terms"), ("both", "both"), ("words", "words")]
    {
        for request in script(plane) {
            let answer = request.ask(&server, &format!("{}/indexes/{index}", server.url));
            let name = format!("{plane}_{}", request.name);
            assert!(answers.insert(name, answer).is_none(), "{plane}: {} stands twice", request.name);
        }
    }
    let port: u16 = own_port.rsplit_once(':').unwrap().1.parse().unwrap();
    assert!(server.listens_on(port));
    let gone = ask(&server, "DELETE", &format!("{}/indexes/movies", server.url), LEGACY, &Value::Null);
    assert_eq!(gone["status"], 202);
    let mut answers = Value::Object(answers);
    hide_what_differs(&mut answers);
    hold_against_golden("pinecone_api.json", &answers);
    assert!(!server.listens_on(port), "the port of a deleted index is still served");
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

impl Request {
    fn ask(&self, server: &Server, host: &str) -> Value {
        ask(server, &self.method, &format!("{host}{}", self.path), &self.version, &self.body)
    }
}

fn ask(server: &Server, method: &str, url: &str, version: &str, body: &Value) -> Value {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(url)
        .header("x-pinecone-api-version", version)
        .header("content-type", "application/json");
    let body = match body {
        Value::Null => String::new(),
        // Lines of JSON are not JSON themselves.
        Value::String(lines) => lines.clone(),
        other => other.to_string(),
    };
    let request = request.body(body).unwrap();
    let mut response = server.agent().run(request).unwrap();
    let positions = ["x-pinecone-request-lsn", "x-pinecone-max-indexed-lsn"];
    let position = positions.iter().find_map(|name| {
        let value = response.headers().get(*name)?.to_str().unwrap().to_owned();
        Some(format!("{name}: {value}"))
    });
    assert!(response.headers().contains_key("x-pinecone-request-id"), "{method} {url}");
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string().unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    match position {
        Some(position) => json!({"status": status, "position": position, "body": body}),
        None => json!({"status": status, "body": body}),
    }
}

/// Ports are the system's choice; scores are cut to what every instruction set agrees on.
fn hide_what_differs(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(hide_what_differs),
        Value::Object(fields) => {
            if let Some(host) = fields.get_mut("host") {
                let port = host.as_str().unwrap().rsplit_once(':').unwrap().1;
                assert!(port.parse::<u16>().is_ok(), "{host}");
                *host = "http://127.0.0.1:PORT".into();
            }
            for name in ["score", "_score"] {
                if let Some(score) = fields.get_mut(name) {
                    *score = format!("{:.4}", score.as_f64().unwrap()).into();
                }
            }
            fields.values_mut().for_each(hide_what_differs);
        }
        _ => {}
    }
}

#[test]
fn indexes_records_and_ports_are_there_after_a_kill() {
    let dir = scratch("pinecone-restart");
    let mut server = Server::start(&dir, &["--vector-dimension", "8"]);
    let url = format!("{}/indexes", server.url);
    let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
    let make = |name: &str| json!({"name": name, "dimension": 2, "metric": "euclidean", "spec": spec});
    let host = |answer: &Value| answer["body"]["host"].as_str().unwrap().to_owned();
    let made = ask(&server, "POST", &url, LEGACY, &make("kept"));
    ask(&server, "POST", &url, LEGACY, &make("gone"));
    let vectors = json!({"vectors": [{"id": "a", "values": [3.0, 4.0]}], "namespace": "n"});
    ask(&server, "POST", &format!("{}/vectors/upsert", host(&made)), LEGACY, &vectors);
    ask(&server, "DELETE", &format!("{url}/gone"), LEGACY, &Value::Null);
    server.kill();
    let server = Server::start(&dir, &["--vector-dimension", "8"]);
    let url = format!("{}/indexes", server.url);
    let found = ask(&server, "GET", &format!("{url}/kept"), LEGACY, &Value::Null);
    assert_eq!(host(&found), host(&made));
    let query = json!({"topK": 1, "vector": [0.0, 0.0], "namespace": "n"});
    let answer = ask(&server, "POST", &format!("{}/query", host(&found)), LEGACY, &query);
    assert_eq!(answer["body"]["matches"], json!([{"id": "a", "score": 25.0, "values": []}]));
    assert_eq!(ask(&server, "GET", &format!("{url}/gone"), LEGACY, &Value::Null)["status"], 404);
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// On the data plane, old clients are told a wrong key from none.
fn check_wrong_keys(server: &Server, url: &str) {
    let is_data = url.ends_with("/list");
    for (version, status, said) in [
        (None, 403, "Wrong API key"),
        (Some("2025-04"), 403, "Wrong API key"),
        (Some("2025-10"), 403, "Wrong API key"),
        (Some("2026-04"), 401, "Invalid API key."),
        (Some(SCHEMA), 401, "Unauthorized"),
    ] {
        let asked = server.agent().get(url).header("api-key", "wrong-key");
        let asked =
            version.into_iter().fold(asked, |asked, name| asked.header("x-pinecone-api-version", name));
        let mut wrong = asked.call().unwrap();
        assert_eq!(wrong.status(), if is_data { status } else { 401 }, "{url} {version:?}");
        let text = wrong.body_mut().read_to_string().unwrap();
        assert!(!is_data || text.contains(said), "{url} {version:?}: {text}");
    }
    let empty = server.agent().get(url).header("api-key", "").call().unwrap();
    assert_eq!(empty.status(), 401, "{url}: an empty key is none");
}

#[test]
fn keys_are_asked_for_in_every_place_and_in_the_versions_own_words() {
    let dir = scratch("pinecone-keys");
    let keys = [("PINYON_API_KEYS", "right-key-1,right-key-2")];
    let server = Server::start_with(&dir, &["--vector-dimension", "8"], &keys);
    let places = [
        "/indexes",
        "/indexes/tenants",
        "/indexes/tenants/vectors/list",
        "/indexes/none/vectors/list",
        "/backups",
    ];
    for place in places {
        let url = format!("{}{place}", server.url);
        let legacy = ask(&server, "GET", &url, LEGACY, &Value::Null);
        let envelope =
            json!({"status": 401, "error": {"code": "UNAUTHENTICATED", "message": "Invalid API key."}});
        assert_eq!(legacy, json!({"status": 401, "body": envelope}), "{place}");
        let text = ask(&server, "GET", &url, SCHEMA, &Value::Null)["body"].clone();
        assert!(text == "Invalid API key" || text == "Unauthorized", "{place}: {text}");
        check_wrong_keys(&server, &url);
        let right = server.agent().get(&url).header("api-key", "right-key-2").call().unwrap();
        assert_ne!(right.status(), 401, "{place}");
    }
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}
