//! The tenant API's index as Pinecone's clients meet it: not there on a fresh server, listed once the tenant API was used,
//! protected, and deleted whole when somebody asks for it by name.

use crate::server::{Server, scratch};
use serde_json::{Value, json};

/// Asks with a body or without; an empty answer is null.
fn ask(server: &Server, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", server.url) };
    let request =
        ureq::http::Request::builder().method(method).uri(url).header("content-type", "application/json");
    let mut response = server.agent().run(request.body(text).unwrap()).unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn names(server: &Server) -> Vec<String> {
    let (status, listed) = ask(server, "GET", "/indexes", &Value::Null);
    assert_eq!(status, 200);
    let names = listed["indexes"].as_array().unwrap().iter();
    names.map(|index| index["name"].as_str().unwrap().to_owned()).collect()
}

fn ingest(server: &Server) {
    let body = json!({"tenant_id": "acme", "documents": [{"id": "d", "text": "dark beer"}]});
    assert_eq!(server.post("/ingest", &body).unwrap().0, 200);
}

fn matches(server: &Server) -> usize {
    let body = json!({"tenant_id": "acme", "query_text": "dark beer"});
    let (status, found) = server.post("/query", &body).unwrap();
    assert_eq!(status, 200, "{found}");
    found["results"].as_array().map_or(0, Vec::len)
}

/// Until the tenant API is used the index is not there, cannot be changed, and nobody gets its name.
fn assert_not_there_yet(server: &Server) {
    assert_eq!(names(server), [""; 0]);
    let (_, _) = server.get("/shard/nobody").unwrap();
    matches(server);
    assert_eq!(names(server), [""; 0], "reads make nothing");
    for method in ["GET", "DELETE"] {
        assert_eq!(ask(server, method, "/indexes/tenants", &Value::Null).0, 404, "{method}");
    }
    let unprotect = unprotect();
    assert_eq!(ask(server, "PATCH", "/indexes/tenants", &unprotect).0, 404);
    let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
    let made = json!({"name": "tenants", "dimension": 8, "metric": "cosine", "spec": spec});
    let (status, refused) = ask(server, "POST", "/indexes", &made);
    assert!(
        status == 409 && refused["error"]["message"].as_str().unwrap().contains("TENANTS_INDEX"),
        "{refused}"
    );
}

fn unprotect() -> Value {
    json!({"deletion_protection": "disabled"})
}

#[test]
fn the_tenants_index_is_there_once_used_and_goes_only_when_it_is_meant() {
    let dir = scratch("tenants-index");
    let mut server = Server::start(&dir, &["--vector-dimension", "8"]);
    assert_not_there_yet(&server);
    ingest(&server);
    assert_eq!(names(&server), ["tenants"]);
    let (status, refused) = ask(&server, "DELETE", "/indexes/tenants", &Value::Null);
    assert_eq!(status, 403, "{refused}");
    let host = ask(&server, "GET", "/indexes/tenants", &Value::Null).1["host"].as_str().unwrap().to_owned();
    assert_eq!(ask(&server, "PATCH", "/indexes/tenants", &unprotect()).0, 202);
    server.kill();
    let mut server = Server::start(&dir, &["--vector-dimension", "8"]);
    assert_eq!((names(&server), matches(&server)), (vec!["tenants".to_owned()], 1));
    assert_eq!(ask(&server, "DELETE", "/indexes/tenants", &Value::Null).0, 202);
    let gone = |server: &Server| {
        assert_eq!((names(server), matches(server)), (vec![], 0));
        assert_eq!(server.get("/admin/v1/tenants").unwrap().1, json!({"tenants": []}));
        assert_eq!(ask(server, "DELETE", "/indexes/tenants", &Value::Null).0, 404);
    };
    gone(&server);
    server.kill();
    let server = Server::start(&dir, &["--vector-dimension", "8"]);
    gone(&server);
    ingest(&server);
    let (_, again) = ask(&server, "GET", "/indexes/tenants", &Value::Null);
    let port = |host: &str| host.rsplit_once(':').unwrap().1.to_owned();
    assert_eq!(port(again["host"].as_str().unwrap()), port(&host), "clients remember it");
    assert_eq!((again["deletion_protection"].as_str(), matches(&server)), (Some("enabled"), 1));
    let (status, stats) = ask(&server, "GET", &format!("{host}/describe_index_stats"), &Value::Null);
    assert_eq!((status, stats["totalVectorCount"].as_u64()), (200, Some(1)));
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}
