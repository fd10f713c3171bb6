//! Erasure with the real program: what was deleted, in every way that there is, is in no file once its time is up; a tenant is gone
//! at once for who asks; a kill in between changes neither.

use crate::server::{Server, binary, scratch};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// Soon enough for a test.
const SOON: &[(&str, &str)] =
    &[("PINYON_ERASE_NAMESPACES_SECONDS", "1"), ("PINYON_ERASE_RECORDS_SECONDS", "1")];
const CANARY: &str = "canary-";

/// The files below a directory that hold a text.
fn files_with(dir: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if fs::read(&path).unwrap_or_default().windows(text.len()).any(|at| at == text.as_bytes()) {
            found.push(path);
        }
    }
    found
}

fn wait_until_gone(dir: &Path, text: &str) {
    let began = Instant::now();
    loop {
        let found = files_with(dir, text);
        if found.is_empty() {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{text} is still in {found:?}");
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

fn post(server: &Server, path: &str, body: &Value) -> Value {
    let (status, said) = server.post(path, body).unwrap();
    assert!(status < 300, "{path}: {status} {said}");
    said
}

fn make_index(server: &Server) {
    let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
    post(server, "/indexes", &json!({"name": "movies", "dimension": 2, "spec": spec}));
}

/// Records with a text that is looked for, and one beside them.
fn fill(server: &Server) {
    let vector = |id: &str, text: &str| {
        let text = format!("{CANARY}{text}");
        json!({"id": format!("{CANARY}{id}"), "values": [1.0, 2.0], "metadata": {"text": text, "n": 1}})
    };
    for namespace in ["", "emptied", "dropped"] {
        let vectors = [vector("by-id", "a"), vector("by-filter", "b"), vector("all", "c")];
        post(server, "/indexes/movies/vectors/upsert", &json!({"namespace": namespace, "vectors": vectors}));
    }
    let twice = json!({"id": "twice", "values": [1.0, 1.0], "metadata": {"text": format!("{CANARY}old")}});
    let kept = json!({"id": "kept", "values": [1.0, 1.0], "metadata": {"text": "here to stay"}});
    post(server, "/indexes/movies/vectors/upsert", &json!({"vectors": [twice, kept]}));
    let documents = [json!({"id": format!("{CANARY}doc"), "text": format!("{CANARY}beer")})];
    post(server, "/ingest", &json!({"tenant_id": "acme", "documents": documents}));
}

fn delete_everything(server: &Server) {
    let delete = "/indexes/movies/vectors/delete";
    post(server, delete, &json!({"ids": [format!("{CANARY}by-id"), format!("{CANARY}all")]}));
    post(server, delete, &json!({"filter": {"n": {"$eq": 1}}}));
    post(server, delete, &json!({"deleteAll": true, "namespace": "emptied"}));
    let dropped = server.agent().delete(format!("{}/indexes/movies/namespaces/dropped", server.url)).call();
    assert!(dropped.unwrap().status().as_u16() < 300);
    let new = json!({"id": "twice", "values": [1.0, 1.0], "metadata": {"text": "new"}});
    post(server, "/indexes/movies/vectors/upsert", &json!({"vectors": [new]}));
    post(server, "/delete", &json!({"tenant_id": "acme", "ids": [format!("{CANARY}doc")]}));
}

#[test]
fn what_was_deleted_in_any_way_is_in_no_file_once_its_time_is_up() {
    let dir = scratch("erase-due");
    let server = Server::start_with(&dir, &[], SOON);
    make_index(&server);
    fill(&server);
    delete_everything(&server);
    wait_until_gone(&dir, CANARY);
    let stats = post(&server, "/indexes/movies/describe_index_stats", &json!({}));
    assert_eq!(stats["totalVectorCount"], 2, "{stats}");
    // A server that is killed counts from its next start.
    fill(&server);
    delete_everything(&server);
    let mut server = server;
    server.kill();
    drop(server);
    assert!(!files_with(&dir, CANARY).is_empty(), "the test is of something");
    let server = Server::start_with(&dir, &[], SOON);
    wait_until_gone(&dir, CANARY);
    let found = server.get("/indexes/movies/vectors/fetch?ids=kept&ids=twice").unwrap().1;
    assert_eq!(found["vectors"]["kept"]["metadata"]["text"], "here to stay", "{found}");
    assert_eq!(found["vectors"]["twice"]["metadata"]["text"], "new");
    drop(server);
    fs::remove_dir_all(&dir).unwrap();
}

fn erase(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(binary()).args(["tenants", "erase"]).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.code().unwrap(), text)
}

#[test]
fn a_tenant_is_erased_at_once_in_every_index_by_the_api_and_the_command_line() {
    let dir = scratch("erase-tenant");
    let server = Server::start(&dir, &[]);
    make_index(&server);
    let tenant = format!("{CANARY}naïve/客");
    let fill = |server: &Server| {
        for name in ["acme", tenant.as_str()] {
            let documents = [json!({"id": "d", "text": format!("{CANARY}beer of {name}")})];
            post(server, "/ingest", &json!({"tenant_id": name, "documents": documents}));
            let vectors =
                [json!({"id": "v", "values": [1.0, 2.0], "metadata": {"t": format!("{CANARY}{name}")}})];
            post(server, "/indexes/movies/vectors/upsert", &json!({"namespace": name, "vectors": vectors}));
        }
    };
    fill(&server);
    let path = "/admin/v1/tenants/canary-na%C3%AFve%2F%E5%AE%A2/erase";
    let erased = post(&server, path, &Value::Null);
    assert_eq!(
        (&erased["was_known"], &erased["records"], &erased["index"]),
        (&json!(true), &json!(1), &json!("tenants"))
    );
    assert!(server.get("/admin/v1/tenants").unwrap().1["tenants"].as_array().unwrap().len() == 1);
    let erased = post(&server, &format!("{path}?index=movies"), &Value::Null);
    assert_eq!((&erased["records"], &erased["not_touched"]), (&json!(1), &json!([])));
    assert_eq!(files_with(&dir, "客"), Vec::<PathBuf>::new());
    assert!(!files_with(&dir, "canary-beer of acme").is_empty(), "others stay");

    let (status, said) = server.post("/admin/v1/tenants/acme/erase?index=nothing", &Value::Null).unwrap();
    assert_eq!((status, said["error"]["code"].as_str()), (404, Some("NOT_FOUND")), "{said}");
    let (code, said) = erase(&["nobody", "--server", &server.url]);
    assert!(code == 0 && said.contains("nobody is not known here"), "{code} {said}");
    let (code, said) = erase(&["--server", &server.url]);
    assert!(code == 2 && said.contains("NAME"), "{code} {said}");
    let (code, said) = erase(&["acme", "--index", "movies", "--json", "--server", &server.url]);
    assert!(code == 0 && said.contains("\"records\":1"), "{code} {said}");
    fill(&server);
    drop(server);
    let data_dir = dir.to_str().unwrap();
    let (code, said) = erase(&["acme", &tenant, "--data-dir", data_dir]);
    assert!(code == 0 && said.contains("acme: 1 records deleted"), "{code} {said}");
    assert!(files_with(&dir, "canary-beer").is_empty());
    assert!(!files_with(&dir, CANARY).is_empty(), "the other index is another one");
    fs::remove_dir_all(&dir).unwrap();
}
