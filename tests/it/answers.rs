//! Answers have a bound: one question does not take the memory that all others need, on any way in.

use crate::server::{Server, scratch};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

const RECORDS: usize = 60;
/// Of metadata, in a record.
const BYTES: usize = 100_000;

/// A server with records of 6 MB in a tenant and in an index.
fn filled(name: &str, environment: &[(&str, &str)]) -> Server {
    let dir = scratch(name);
    let server = Server::start_with(&dir, &["--num-shards", "1"], environment);
    let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
    let made = json!({"name": "large", "dimension": 2, "metric": "cosine", "spec": spec});
    assert_eq!(server.post("/indexes", &made).unwrap().0, 201);
    for first in (0..RECORDS).step_by(20) {
        let numbers = first..first + 20;
        let text = |number: usize| format!("{number:03}").repeat(BYTES / 3);
        let vectors: Vec<Value> = numbers
            .clone()
            .map(|number| json!({"id": format!("r{number:02}"), "values": [1.0, number], "metadata": {"t": text(number)}}))
            .collect();
        let (status, said) =
            server.post("/indexes/large/vectors/upsert", &json!({"vectors": vectors})).unwrap();
        assert_eq!(status, 200, "{said}");
        let documents: Vec<Value> = numbers
            .map(|number| json!({"id": format!("d{number:02}"), "text": format!("beer {number}"), "metadata": {"t": text(number)}}))
            .collect();
        let body = json!({"tenant_id": "acme", "documents": documents});
        let (status, said) = server.post("/ingest", &body).unwrap();
        assert_eq!(status, 200, "{said}");
    }
    server
}

fn is_too_large(answer: (u16, Value)) {
    let (status, said) = answer;
    assert_eq!(status, 400, "{said}");
    let said = said.to_string();
    assert!(
        said.contains("message length too large: found 6") && said.contains("the limit is: 4194304 bytes"),
        "{said}"
    );
}

#[test]
fn an_answer_of_more_than_four_megabytes_is_refused_with_the_way_out_and_pages_end_before_it() {
    let server = filled("answers", &[]);
    let query = |top_k: usize, with_metadata: bool| {
        let body = json!({"topK": top_k, "vector": [1.0, 0.5], "includeMetadata": with_metadata, "includeValues": true});
        server.post("/indexes/large/query", &body).unwrap()
    };
    is_too_large(query(RECORDS, true));
    assert_eq!(query(RECORDS, false).1["matches"].as_array().unwrap().len(), RECORDS);
    assert_eq!(query(30, true).1["matches"].as_array().unwrap().len(), 30);
    let ask = |top_k: usize| {
        let body = json!({"tenant_id": "acme", "query_text": "beer", "top_k": top_k});
        server.post("/query", &body).unwrap()
    };
    is_too_large(ask(RECORDS));
    assert_eq!(ask(30).0, 200);
    // Who names what he wants knows how much it is.
    let ids: Vec<String> = (0..RECORDS).map(|number| format!("ids=r{number:02}")).collect();
    let (status, found) = server.get(&format!("/indexes/large/vectors/fetch?{}", ids.join("&"))).unwrap();
    assert_eq!((status, found["vectors"].as_object().unwrap().len()), (200, RECORDS));
}

#[test]
fn pages_end_before_they_are_too_large_and_nothing_is_left_out() {
    let server = filled("answers-pages", &[("PINYON_ANSWER_MIB", "1"), ("PINYON_REQUESTS_MIB", "16")]);
    // More than a third of what there is for requests: never, in this server.
    let ids: Vec<String> = (0..RECORDS).map(|number| format!("ids=r{number:02}")).collect();
    let (status, said) = server.get(&format!("/indexes/large/vectors/fetch?{}", ids.join("&"))).unwrap();
    assert!(status == 400 && said.to_string().contains("PINYON_REQUESTS_MIB"), "{said}");
    let few = json!({"topK": 30, "vector": [1.0, 0.5], "includeMetadata": true});
    let (status, said) = server.post("/indexes/large/query", &few).unwrap();
    assert!(status == 400 && said.to_string().contains("the limit is: 1048576 bytes"), "{said}");
    for filter in [json!(null), json!({"t": {"$ne": "x"}})] {
        let page = |after: &Value| {
            let body = json!({"tenant_id": "acme", "limit": RECORDS, "after": after, "filter": filter});
            let (status, found) = server.post("/fetch", &body).unwrap();
            assert_eq!(status, 200, "{found}");
            (ids_of(&found["documents"]), found["next"].clone())
        };
        assert_pages("d", page);
    }
    let page = |after: &Value| {
        let body = json!({"filter": {"t": {"$ne": "x"}}, "limit": RECORDS, "paginationToken": after});
        let (status, found) = server.post("/indexes/large/vectors/fetch_by_metadata", &body).unwrap();
        assert_eq!(status, 200, "{found}");
        (found["vectors"].as_object().unwrap().keys().cloned().collect(), found["pagination"]["next"].clone())
    };
    assert_pages("r", page);
}

fn ids_of(documents: &Value) -> Vec<String> {
    documents.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// Pages of less than everything, that have everything together.
fn assert_pages(letter: &str, page: impl Fn(&Value) -> (Vec<String>, Value)) {
    let (mut all, mut after, mut pages) = (Vec::new(), Value::Null, 0);
    loop {
        let (ids, next) = page(&after);
        assert!(!ids.is_empty() && ids.len() < RECORDS, "{ids:?}");
        all.extend(ids);
        pages += 1;
        if next.is_null() {
            break;
        }
        after = next;
    }
    let expected: Vec<String> = (0..RECORDS).map(|number| format!("{letter}{number:02}")).collect();
    assert_eq!((all, pages), (expected, 2));
}

/// Bytes that the process had resident at most since it began.
fn resident_max(server: &Server) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn fetch_path(count: usize) -> String {
    let ids: Vec<String> = (0..count).map(|number| format!("ids=r{number:02}")).collect();
    format!("/indexes/large/vectors/fetch?{}", ids.join("&"))
}

/// Asks, reads no more than the status of the answer, which is there once it is made, and stays.
fn ask_and_not_read(server: &Server, path: &str) -> (TcpStream, u16) {
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).unwrap();
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).unwrap();
    (stream, std::str::from_utf8(&begin[9..]).unwrap().parse().unwrap())
}

#[test]
fn clients_that_read_nothing_hold_no_more_than_there_is_for_requests() {
    let server = filled("answers-silent", &[("PINYON_REQUESTS_MIB", "64")]);
    let path = fetch_path(50);
    assert_eq!(server.get(&path).unwrap().0, 200);
    let before = resident_max(&server);
    let silent: Vec<(TcpStream, u16)> = (0..40).map(|_| ask_and_not_read(&server, &path)).collect();
    let answered = silent.iter().filter(|(_, status)| *status == 200).count();
    assert_eq!(silent.iter().filter(|(_, status)| *status == 429).count(), 40 - answered);
    let grown = resident_max(&server) - before;
    println!("{answered} answers of 40, {} MB", grown >> 20);
    // Five megabytes each, and ten more while one is made.
    assert!((2..=12).contains(&answered) && grown < 96 << 20, "{answered} answers, {grown} bytes");
}

#[test]
fn an_answer_is_paid_for_until_it_is_taken_or_its_client_hangs_up() {
    let server = filled("answers-paid", &[("PINYON_REQUESTS_MIB", "16")]);
    // Five megabytes, and three times as much while it is made.
    let path = fetch_path(50);
    assert_eq!(server.get(&path).unwrap().0, 200);
    assert_eq!(server.get(&path).unwrap().0, 200, "what was taken is paid");
    let (silent, status) = ask_and_not_read(&server, &path);
    assert_eq!(status, 200);
    let (status, said) = server.get(&path).unwrap();
    assert!(status == 429 && said.to_string().contains("PINYON_REQUESTS_MIB"), "{status} {said}");
    assert_eq!(server.get(&fetch_path(5)).unwrap().0, 200, "there is room for less");
    drop(silent);
    let until = Instant::now() + Duration::from_secs(10);
    while server.get(&path).unwrap().0 != 200 {
        assert!(Instant::now() < until, "what it held is not given back");
        std::thread::yield_now();
    }
}

/// Records of 40 to 200 KB of metadata each, in a server that may take 128 MiB.
fn filled_with_large(name: &str, records: usize) -> Server {
    let server = Server::start_with(&scratch(name), &["--num-shards", "1"], &[("PINYON_MEMORY_MIB", "128")]);
    let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
    let made = json!({"name": "large", "dimension": 2, "metric": "cosine", "spec": spec});
    assert_eq!(server.post("/indexes", &made).unwrap().0, 201);
    for first in (0..records).step_by(10) {
        let one = |number: usize| {
            let text = "x".repeat(40_000 + 400 * number);
            json!({"id": format!("r{number:02}"), "values": [1.0, number], "metadata": {"t": text}})
        };
        let body = json!({"vectors": (first..first + 10).map(one).collect::<Vec<_>>()});
        let until = Instant::now() + Duration::from_secs(60);
        while server.post("/indexes/large/vectors/upsert", &body).unwrap().0 != 200 {
            assert!(Instant::now() < until);
            std::thread::yield_now();
        }
    }
    server
}

/// Asks for much in three ways, again and again; how many answers came whole.
fn ask_for_everything(server: &Server, rounds: usize) -> usize {
    let all = json!({"topK": 10_000, "vector": [1.0, 0.5], "includeMetadata": true, "includeValues": true});
    let page = json!({"filter": {"t": {"$ne": "x"}}, "limit": 10_000});
    let mut whole = 0;
    for _ in 0..rounds {
        let answers = [
            server.post("/indexes/large/query", &all).unwrap().0,
            server.get(&fetch_path(30)).unwrap().0,
            server.post("/indexes/large/vectors/fetch_by_metadata", &page).unwrap().0,
        ];
        assert!(answers.iter().all(|status| [200, 400, 429].contains(status)), "{answers:?}");
        whole += answers.iter().filter(|status| **status == 200).count();
    }
    whole
}

#[test]
fn clients_that_ask_for_everything_at_once_do_not_take_the_memory_of_the_process() {
    const ROUNDS: usize = 12;
    let server = filled_with_large("answers-memory", 400);
    let counts: Vec<usize> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(|| ask_for_everything(&server, ROUNDS))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    println!("{counts:?} whole answers, at most {} MB", resident_max(&server) >> 20);
    // No query fits; of the others some are refused for want of room.
    assert!(counts.iter().sum::<usize>() >= 2 * ROUNDS, "{counts:?}");
    assert!(resident_max(&server) < 512 << 20, "{}", resident_max(&server));
    assert_eq!(server.get("/indexes").unwrap().0, 200);
}
