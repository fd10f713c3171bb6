//! Tests against a local endpoint that answers as told.

use super::*;
use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

/// Answers each connection with the next canned response; remembers the requests.
struct Endpoint {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
    thread: JoinHandle<()>,
}

fn serve(responses: Vec<String>) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1/", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&requests);
    let answer_all = move || {
        for response in responses {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !is_complete(&request) {
                let read = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..read]);
            }
            heard.lock().unwrap().push(String::from_utf8(request).unwrap());
            stream.write_all(response.as_bytes()).unwrap();
        }
    };
    let thread = std::thread::Builder::new().name("endpoint".into()).spawn(answer_all).unwrap();
    Endpoint { url, requests, thread }
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}

fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}", body.len())
}

fn good(vectors: &[(usize, [f32; 2])]) -> String {
    let items =
        vectors.iter().map(|(index, vector)| format!(r#"{{"index":{index},"embedding":{vector:?}}}"#));
    let body = format!(r#"{{"data":[{}]}}"#, items.collect::<Vec<_>>().join(","));
    response("200 OK", "", &body)
}

#[derive(Debug, Clone, Default)]
struct Recorded(Arc<Mutex<Vec<Duration>>>);

impl Pause for Recorded {
    fn pause(&self, wanted: Duration) {
        self.0.lock().unwrap().push(wanted);
    }
}

fn client(endpoint: &Endpoint, pause: &Recorded) -> OpenAiEmbedder {
    let settings = OpenAiSettings {
        base_url: endpoint.url.clone(),
        model: "small".into(),
        dim: Dim::new(2).unwrap(),
        key: Some(ApiKey::new("sk-secret".into())),
    };
    OpenAiEmbedder::new(settings, Box::new(pause.clone()))
}

#[test]
fn vectors_come_back_in_the_order_of_the_texts() {
    let endpoint = serve(vec![good(&[(1, [0.0, 1.0]), (0, [1.0, 0.0])])]);
    let client = client(&endpoint, &Recorded::default());
    assert_eq!(client.embed(&["a", "b"], InputKind::Query).unwrap(), [[1.0, 0.0], [0.0, 1.0]]);
    endpoint.thread.join().unwrap();
    let request = endpoint.requests.lock().unwrap()[0].clone();
    assert!(
        request.starts_with("POST /v1/embeddings ") && request.contains(r#""dimensions":2"#),
        "{request}"
    );
    assert!(request.to_lowercase().contains("authorization: bearer sk-secret"));
    assert!(!format!("{client:?}").contains("sk-secret"));
}

#[test]
fn busy_endpoints_are_asked_again_and_obeyed() {
    let busy = response("429 Too Many Requests", "retry-after: 7\r\n", "slow down");
    let broken = response("503 Service Unavailable", "", "");
    let endpoint = serve(vec![busy, broken, String::new(), good(&[(0, [1.0, 0.0])])]);
    let pause = Recorded::default();
    client(&endpoint, &pause).embed(&["a"], InputKind::Query).unwrap();
    endpoint.thread.join().unwrap();
    let pauses = pause.0.lock().unwrap().clone();
    assert_eq!(pauses, [Duration::from_secs(7), Duration::from_secs(1), Duration::from_secs(2)]);
}

#[test]
fn refusals_are_not_repeated_and_give_no_key_away() {
    let endpoint = serve(vec![response("401 Unauthorized", "", "bad key")]);
    let refused = client(&endpoint, &Recorded::default()).embed(&["a"], InputKind::Query).unwrap_err();
    assert!(matches!(&refused, EmbedError::Refused { status: 401, message, .. } if message == "bad key"));
    assert!(!refused.to_string().contains("sk-secret"));
    endpoint.thread.join().unwrap();
}

#[test]
fn answers_that_do_not_fit_are_named() {
    for (body, expected) in [
        (r#"{"data":[]}"#, "0 vectors for 1 texts"),
        (r#"{"data":[{"index":0,"embedding":[1.0]}]}"#, "1 components where 2"),
        (r#"{"data":[{"index":5,"embedding":[1.0,2.0]}]}"#, "index 5 of 1"),
        (r#"{"data":[{"index":0,"embedding":[1.0,1e999]}]}"#, "not the JSON"),
        ("<html>", "not the JSON"),
    ] {
        let endpoint = serve(vec![response("200 OK", "", body)]);
        let refused = client(&endpoint, &Recorded::default()).embed(&["a"], InputKind::Query).unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
        endpoint.thread.join().unwrap();
    }
}

#[test]
fn large_inputs_are_cut_into_batches() {
    let texts = vec!["x"; 200];
    assert_eq!(batch_length(&texts), 96);
    let long = "y".repeat(150_000);
    assert_eq!(batch_length(&[&long, &long]), 1);
    assert_eq!(batch_length(&["z".repeat(300_000).as_str()]), 1);
    let one = |_| good(&[(0, [1.0, 0.0])]);
    let endpoint = serve((0..2).map(one).collect());
    client(&endpoint, &Recorded::default()).embed(&[&long, &long], InputKind::Passage).unwrap();
    endpoint.thread.join().unwrap();
    assert_eq!(endpoint.requests.lock().unwrap().len(), 2);
}

#[test]
fn it_tells_how_the_last_call_ended_and_before_the_first_whether_one_could_succeed() {
    let embedder = |base_url: &str, key: Option<&str>| {
        let key = key.map(|key| ApiKey::new(key.into()));
        let dim = Dim::new(2).unwrap();
        let settings = OpenAiSettings { base_url: base_url.into(), model: "small".into(), dim, key };
        OpenAiEmbedder::new(settings, Box::new(Recorded::default()))
    };
    assert!(embedder("https://api.openai.com/v1", Some("sk-x")).is_working());
    assert!(embedder("http://127.0.0.1:8000/v1", None).is_working());
    for (base_url, key) in [
        ("https://api.openai.com/v1", None),
        ("not an address", Some("sk-x")),
        ("ftp://127.0.0.1/v1", Some("sk-x")),
        ("/v1", Some("sk-x")),
    ] {
        assert!(!embedder(base_url, key).is_working(), "{base_url}");
    }
    let vector = [(0, [1.0, 0.0])];
    let endpoint = serve(vec![good(&vector), response("401 Unauthorized", "", "no"), good(&vector)]);
    let client = client(&endpoint, &Recorded::default());
    for expected in [true, false, true] {
        assert_eq!(client.embed(&["x"], InputKind::Query).is_ok(), expected);
        assert_eq!(client.is_working(), expected);
        // Nothing to embed makes no call and tells nothing.
        assert!(client.embed(&[], InputKind::Query).is_ok() && client.is_working() == expected);
    }
    endpoint.thread.join().unwrap();
}
