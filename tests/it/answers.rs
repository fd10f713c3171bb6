//! Answers have a bound: one question does not take the memory that all others need, on any way in.

use crate::server::{Server, scratch};
use serde_json::{Value, json};

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
