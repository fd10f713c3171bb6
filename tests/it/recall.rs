//! How good answers are, wherever one asks: of every index and namespace, for who may know it.

use crate::server::{Server, binary, scratch};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// Sealed at once, so that there are codes soon.
const SEAL: (&str, &str) = ("PINYON_SEAL_KIB", "1");
const LONGEST: Duration = Duration::from_secs(60);

fn ingest(server: &Server, tenant: &str, count: u32) {
    let document = |number| json!({"id": format!("d{number}"), "text": format!("dark beer number {number}")});
    let documents: Vec<Value> = (0..count).map(document).collect();
    let body = json!({"tenant_id": tenant, "documents": documents});
    assert_eq!(server.post("/ingest", &body).unwrap().0, 200);
}

/// The part of a namespace, once there is one with codes.
fn part(server: &Server, index: &str, namespace: &str) -> Value {
    let began = Instant::now();
    loop {
        let (_, health) = server.get("/health").unwrap();
        let parts = health["recall"].as_array().cloned().unwrap_or_default();
        let found = parts.into_iter().find(|part| part["index"] == index && part["namespace"] == namespace);
        if let Some(found) = found {
            return found;
        }
        assert!(began.elapsed() < LONGEST, "no codes: {health}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A tenant with texts and an index with vectors.
fn filled(dir: &Path) -> Server {
    let server = Server::start_with(dir, &["--vector-dimension", "64", "--num-shards", "1"], &[SEAL]);
    ingest(&server, "naïve/客 1", 400);
    let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
    let (status, _) =
        server.post("/indexes", &json!({"name": "movies", "dimension": 2, "spec": spec})).unwrap();
    assert_eq!(status, 201);
    let vectors: Vec<Value> =
        (0..300).map(|row| json!({"id": format!("v{row}"), "values": [1.0, f64::from(row)]})).collect();
    let body = json!({"vectors": vectors, "namespace": "ns"});
    assert_eq!(server.post("/indexes/movies/vectors/upsert", &body).unwrap().0, 200);
    server
}

#[test]
fn health_metrics_and_explanations_tell_how_good_answers_are() {
    let dir = scratch("recall");
    let server = filled(&dir);
    let texts = part(&server, "tenants", "naïve/客 1");
    assert_eq!(
        (&texts["rows"], &texts["tier"], &texts["target"]),
        (&json!(400), &json!("codes"), &json!(0.99))
    );
    let found = &texts["recall"];
    let [lower, mean, upper] = ["lower", "recall", "upper"].map(|name| found[name].as_f64().unwrap());
    assert!(0.9 < lower && lower <= mean && mean <= upper && upper <= 1.0, "{texts}");
    let is_told = (&found["asked"], &found["queries"], &texts["meets_target"]);
    assert_eq!(is_told, (&json!("probes"), &json!(64), &json!(true)));
    assert!(texts["cost_rows"].as_u64().unwrap() > 0, "{texts}");
    assert!(texts["since"].as_u64().is_some_and(|since| since > 1_700_000_000), "{texts}");
    // All but a few of these lie in one direction, as far as codes tell: vectors are cheaper, and exact.
    let movies = part(&server, "movies", "ns");
    assert_eq!(
        (&movies["rows"], &movies["tier"], movies.get("recall")),
        (&json!(300), &json!("vectors"), None)
    );
    let (_, health) = server.get("/health").unwrap();
    assert_eq!((&health["status"], &health["recall_below_target"]), (&json!("healthy"), &json!(0)));
    assert_eq!(health.get("warnings"), None, "{health}");

    let text = server.agent().get(format!("{}/metrics", server.url)).call().unwrap();
    let text = text.into_body().read_to_string().unwrap();
    for line in [
        "pinyon_recall_estimate{index=\"movies\",namespace=\"ns\",shard=\"0\",segment=\"",
        "pinyon_recall_target{index=\"tenants\",namespace=\"naïve/客 1\",shard=\"0\",segment=\"",
        "pinyon_recall_below_target{} 0",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    check_command_and_explanation(&server);
}

fn check_command_and_explanation(server: &Server) {
    let shown = Command::new(binary()).args(["health", "--server", &server.url]).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("answered by") && shown.contains("64 probes"), "{shown}");

    let body = json!({"tenant_id": "naïve/客 1", "query_text": "dark beer number 7", "explain": true});
    let (_, answer) = server.post("/query", &body).unwrap();
    let parts = answer["explain"]["shards"][0]["parts"].as_array().unwrap();
    assert!(parts.iter().any(|part| part["recall"]["queries"] == 64), "{answer}");
}

/// What a directory's files are, with what they hold.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found: Vec<(PathBuf, Vec<u8>)> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    found.sort();
    found
}

#[test]
fn inspect_finds_out_what_codes_find_and_changes_nothing() {
    let dir = scratch("recall-inspect");
    let server = filled(&dir);
    part(&server, "tenants", "naïve/客 1");
    drop(server);
    let shard = dir.join("shards/shard-0000");
    let inspect = || {
        let shown = Command::new(binary()).arg("inspect").arg(&shard).arg("--json").output().unwrap();
        let reports = String::from_utf8_lossy(&shown.stdout).into_owned();
        let reports: Vec<Value> = reports.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (shown.status.code(), reports)
    };
    let before = files(&shard);
    let (code, reports) = inspect();
    let part = reports.iter().find(|report| report["namespace"] == "naïve/客 1").unwrap();
    assert_eq!(
        (code, &part["kind"], &part["tier"], &part["rows"]),
        (Some(0), &json!("part"), &json!("codes"), &json!(400))
    );
    assert!(part["recall"]["queries"] == 64 && part["recall"]["lower"].as_f64() > Some(0.9), "{part}");
    assert!(part["cost_rows"].as_u64() > Some(0), "{part}");
    assert_eq!(files(&shard), before);
    let segment =
        before.iter().find(|(path, _)| path.extension().is_some_and(|ending| ending == "seg")).unwrap();
    let mut bytes = segment.1.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment.0, bytes).unwrap();
    let (code, reports) = inspect();
    assert_eq!((code, reports.iter().filter(|report| report["error"].is_string()).count()), (Some(3), 2));
}

#[test]
fn who_has_no_key_is_not_told_whose_data_there_are() {
    let dir = scratch("recall-keys");
    let keys = ("PINYON_API_KEYS", "right-key-1");
    let server = Server::start_with(&dir, &["--vector-dimension", "8"], &[SEAL, keys]);
    let get = |key: Option<&str>| {
        let request = server.agent().get(format!("{}/health", server.url));
        let request = key.map_or_else(
            || server.agent().get(format!("{}/health", server.url)),
            |key| request.header("api-key", key),
        );
        let text = request.call().unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    };
    for key in [None, Some("wrong-key-1")] {
        let told = get(key);
        assert_eq!(
            (told["status"].as_str(), told.get("recall"), told.get("recall_below_target")),
            (Some("healthy"), None, None)
        );
    }
    assert_eq!(get(Some("right-key-1"))["recall_below_target"], 0);
}
