//! Query load, from every way of asking about it; advice that agrees with it; and the bench that advises on shards.

use crate::server::{Server, binary, scratch};
use serde_json::{Value, json};
use std::process::{Command, Output};

const TENANTS: u32 = 12;

fn ask(server: &Server, tenant: u32, times: u32) {
    let body = json!({"query_text": "dark beer", "tenant_id": format!("tenant-{tenant:03}")});
    for _ in 0..times {
        assert_eq!(server.post("/query", &body).unwrap().0, 200);
    }
}

fn filled(dir: &std::path::Path) -> Server {
    let server = Server::start(dir, &["--vector-dimension", "16"]);
    for tenant in 0..TENANTS {
        let document = |number| json!({"id": format!("d{number}"), "text": format!("dark beer {number}")});
        let documents: Vec<Value> = (0..8).map(document).collect();
        let body = json!({"tenant_id": format!("tenant-{tenant:03}"), "documents": documents});
        assert_eq!(server.post("/ingest", &body).unwrap().0, 200);
    }
    server
}

fn pinyon(server: &Server, verb: &str) -> Output {
    Command::new(binary()).args([verb, "--server", &server.url]).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An alert without its rates, which fall from look to look.
fn said(alert: &str) -> &str {
    alert.split(" (").next().unwrap()
}

/// What Prometheus reads of a hot shard on which tenant-007 is.
fn check_text(server: &Server, name: &str) {
    let text = server.agent().get(format!("{}/metrics", server.url)).call().unwrap();
    let text = text.into_body().read_to_string().unwrap();
    for line in [
        format!("pinyon_shard_status{{shard=\"{name}\",status=\"hot\"}} 1"),
        format!("pinyon_shard_load_share{{shard=\"{name}\"}} 0."),
        format!("pinyon_shard_queries_per_second{{shard=\"{name}\"}} "),
        format!("pinyon_tenant_load_share{{tenant=\"tenant-007\",shard=\"{name}\"}} 0."),
        "pinyon_needs_rebalancing{} 1".into(),
    ] {
        assert!(text.contains(&line), "{line} is not in:\n{text}");
    }
    assert_eq!(text.matches("pinyon_tenant_load_share{").count(), 10, "series of tenants are bounded");
}

/// What the command line and advice say of a hot shard.
fn check_commands(server: &Server, name: &str, alert: &str) {
    let health = pinyon(server, "health");
    assert_eq!(health.status.code(), Some(3));
    assert!(
        out(&health).contains(said(alert)) && out(&health).contains("tenants should be moved"),
        "{}",
        out(&health)
    );
    assert!(out(&health).lines().take(5).all(|line| line.len() <= 80), "{}", out(&health));
    // Advice says the same, and that there are shards already.
    let (_, advice) = server.post("/admin/v1/advise", &json!({})).unwrap();
    assert_eq!((said(advice["alerts"][0].as_str().unwrap()), &advice["shards"]), (said(alert), &json!(4)));
    let summary = advice["summary"].as_str().unwrap();
    assert!(summary.starts_with(name) && summary.contains("keep the 4 shards"), "{summary}");
    assert!(out(&pinyon(server, "advise")).contains(summary));
    let (_, tenants) = server.get("/admin/v1/tenants").unwrap();
    assert!(tenants["tenants"][7]["load_share"].as_f64().unwrap() > 0.3, "{tenants}");
}

#[test]
fn a_hammered_tenant_is_seen_wherever_one_looks() {
    let dir = scratch("load");
    let server = filled(&dir);
    let status = |metrics: &Value, shard: usize| metrics["health"]["shards"][shard]["status"].clone();
    // A few queries to one tenant and none to the others say nothing.
    ask(&server, 7, 40);
    let (_, metrics) = server.get("/metrics").unwrap();
    assert_eq!(metrics["health"]["alerts"], json!([]), "{metrics}");
    assert!(pinyon(&server, "health").status.success());
    (0..TENANTS).for_each(|tenant| ask(&server, tenant, if tenant == 7 { 600 } else { 60 }));
    let (_, metrics) = server.get("/metrics").unwrap();
    let (_, home) = server.get("/shard/tenant-007").unwrap();
    let shard = home["shard_id"].as_u64().unwrap() as usize;
    for other in 0..4 {
        let expected = if other == shard { "hot" } else { "healthy" };
        assert_eq!(status(&metrics, other), expected, "{metrics}");
    }
    assert_eq!(metrics["health"]["needs_rebalancing"], true);
    let alert = metrics["health"]["alerts"][0].as_str().unwrap();
    assert!(alert.contains("query load") && alert.contains("tenant-007"), "{alert}");
    let hottest = &metrics["health"]["shards"][shard]["hottest_tenants"];
    assert_eq!(hottest[0]["tenant_id"], "tenant-007");
    assert!(hottest.as_array().unwrap().len() <= 3 && hottest[0]["load_share"].as_f64().unwrap() > 0.5);
    // What probes read says whether the service answers, not whether somebody asks much.
    assert_eq!(server.get("/health").unwrap().1["status"], "healthy");
    let name = home["index_name"].as_str().unwrap();
    check_text(&server, name);
    check_commands(&server, name, alert);
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn many_tenants_of_one_vector_and_two_queries_are_no_reason_to_shard() {
    let dir = scratch("load-little");
    let server = Server::start(&dir, &["--vector-dimension", "16", "--num-shards", "2"]);
    for tenant in 0..81 {
        let body = json!({"tenant_id": format!("t{tenant}"), "documents": [{"id": "d", "text": "beer"}]});
        assert_eq!(server.post("/ingest", &body).unwrap().0, 200);
    }
    let body = json!({"query_text": "beer", "tenant_id": "t1"});
    assert_eq!(server.post("/query", &body).unwrap().0, 200);
    let body = json!({"query_text": "beer", "cross_shard": true});
    assert_eq!(server.post("/query", &body).unwrap().0, 200);
    let (_, advice) = server.post("/admin/v1/advise", &json!({})).unwrap();
    assert_eq!((&advice["should_shard"], &advice["shards"]), (&json!(false), &json!(2)), "{advice}");
    assert_eq!((&advice["reasons"], &advice["against"]), (&json!([]), &json!([])), "{advice}");
    assert_eq!(
        (&advice["input"]["tenants"], &advice["input"]["cross_tenant_share"]),
        (&json!(81), &Value::Null)
    );
    // More tenants than the limits of both shards: health says so, and so does the advice.
    let (_, metrics) = server.get("/metrics").unwrap();
    assert_eq!(advice["alerts"], metrics["health"]["alerts"]);
    assert!(advice["summary"].as_str().unwrap().contains("MAX_NAMESPACES_PER_SHARD"), "{advice}");
    // Numbers that are given count as ever.
    let (_, advice) = server.post("/admin/v1/advise", &json!({"tenants": 81})).unwrap();
    assert_eq!(
        (&advice["should_shard"], &advice["reasons"][0]),
        (&json!(true), &json!("81 tenants are more than 80"))
    );
    assert!(advice.get("shards").is_none(), "{advice}");
    drop(server);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn the_fan_out_bench_settles_first_and_gives_spreads() {
    let plot = scratch("fanout.svg");
    let bench = |more: &[&str]| {
        let mut command = Command::new(binary());
        command.args(["bench", "fanout", "--documents", "900", "--tenants", "9", "--vector-dimension", "32"]);
        command.args(["--shards", "2,1", "--queries", "20", "--rounds", "5", "--plot"]).arg(&plot);
        command.args(more).output().unwrap()
    };
    let output = bench(&["--json"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let report: Value = serde_json::from_str(&out(&output)).unwrap();
    for (row, shards) in report["rows"].as_array().unwrap().iter().zip([1, 2]) {
        assert_eq!((&row["shards"], &row["settled"]), (&json!(shards), &json!(true)));
        assert!(row["same_results"].as_f64().unwrap() > 0.98, "{row}");
        for figure in ["p50_ms", "p95_ms", "p99_ms", "cpu_ms"] {
            let of = |name: &str| &row["cross"][name];
            let range = of(&format!("{figure}_range"));
            let (min, max) = (range[0].as_f64().unwrap(), range[1].as_f64().unwrap());
            let median = of(figure).as_f64().unwrap();
            assert!(min > 0.0 && min <= median && median <= max, "{row}");
        }
    }
    let svg = std::fs::read_to_string(&plot).unwrap();
    assert!(svg.contains("medians of 5 rounds") && !svg.contains("NOT settled"), "{svg}");
    // The table fits a terminal, and what is not settled leads to no conclusion.
    let output = bench(&["--settle-seconds", "0"]);
    let said = out(&output);
    let widest = said.lines().filter(|line| line.contains('(') && line.contains("  ")).map(str::len).max();
    assert!(widest.is_some_and(|widest| widest <= 80), "{said}");
    assert!(said.contains("no conclusion: codes and graphs of"), "{said}");
    assert!(std::fs::read_to_string(&plot).unwrap().contains("NOT settled"));
    std::fs::remove_file(&plot).unwrap();
}
