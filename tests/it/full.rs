//! A disk without room, as a mark above all that there is makes one: what needs room is refused with what to do, on every way in;
//! reads and deletions go on; whoever watches is told.

use crate::server::{Server, scratch};
use serde_json::{Value, json};

/// More MiB than any disk has.
const NO_ROOM: &[(&str, &str)] = &[("PINYON_DISK_FULL_MIB", "1000000000")];

fn refuses(answer: (u16, Value), context: &str) {
    let (status, said) = answer;
    assert!(status == 503 || status == 507, "{context}: {status} {said}");
    let said = said.to_string();
    assert!(
        said.contains("no room on the disk") && said.contains("delete records or indexes"),
        "{context}: {said}"
    );
}

#[test]
fn without_room_only_what_makes_some_is_let_in_and_everybody_is_told() {
    let dir = scratch("full");
    let spec = json!({"serverless": {"cloud": "aws", "region": "us-east-1"}});
    let index = |name: &str| json!({"name": name, "dimension": 2, "metric": "cosine", "spec": spec});
    let vectors = |id: &str| json!({"vectors": [{"id": id, "values": [1.0, 2.0]}]});
    let documents = |tenant: &str| json!({"tenant_id": tenant, "documents": [{"id": "d", "text": "beer"}]});
    let server = Server::start(&dir, &[]);
    let done = |answer: Option<(u16, Value)>| {
        let (status, said) = answer.unwrap();
        assert!(status < 300, "{status} {said}");
    };
    for name in ["one", "two"] {
        done(server.post("/indexes", &index(name)));
        done(server.post(&format!("/indexes/{name}/vectors/upsert"), &vectors("a")));
        done(server.post(&format!("/indexes/{name}/vectors/upsert"), &vectors("b")));
    }
    done(server.post("/ingest", &documents("acme")));
    let (_, health) = server.get("/health").unwrap();
    assert_eq!(health["disk"]["level"], "ample", "{health}");
    drop(server);

    let server = Server::start_with(&dir, &[], NO_ROOM);
    let post = |path: &str, body: &Value| server.post(path, body).unwrap();
    refuses(post("/indexes", &index("three")), "an index");
    refuses(post("/indexes/one/vectors/upsert", &vectors("c")), "an upsert");
    let update = json!({"id": "a", "setMetadata": {"x": 1}});
    refuses(post("/indexes/one/vectors/update", &update), "an update");
    let mut elsewhere = vectors("c");
    elsewhere["namespace"] = json!("new");
    refuses(post("/indexes/one/vectors/upsert", &elsewhere), "a new namespace");
    refuses(post("/indexes/one/namespaces", &json!({"name": "named"})), "a namespace");
    refuses(post("/ingest", &documents("acme")), "documents");
    refuses(post("/ingest", &documents("newcomer")), "a new tenant");

    let (_, stats) = server.get("/indexes/one/describe_index_stats").unwrap();
    assert_eq!(stats["totalVectorCount"], 2, "nothing was changed: {stats}");
    assert_eq!(stats["namespaces"].as_object().unwrap().len(), 1, "nothing was made: {stats}");
    let query = post("/indexes/one/query", &json!({"vector": [1.0, 2.0], "topK": 3}));
    assert_eq!(query.1["matches"].as_array().unwrap().len(), 2);
    done(server.post("/query", &json!({"tenant_id": "acme", "query_text": "beer"})));

    let (status, health) = server.get("/health").unwrap();
    assert_eq!((status, &health["disk"]["level"]), (200, &json!("full")), "{health}");
    assert!(health["warnings"][0].as_str().unwrap().contains("disk_full_mib"), "{health}");
    assert_eq!(server.get("/readyz").unwrap().0, 200, "reads are answered");
    assert_eq!(server.get("/readyz?writes=1").unwrap().0, 503);
    let mut metrics = server.agent().get(format!("{}/metrics", server.url)).call().unwrap();
    let metrics = metrics.body_mut().read_to_string().unwrap();
    assert!(metrics.contains("pinyon_disk_level{level=\"full\"} 1.0"), "{metrics}");

    done(server.post("/indexes/one/vectors/delete", &json!({"ids": ["a"]})));
    done(server.post("/indexes/two/vectors/delete", &json!({"deleteAll": true})));
    for (name, left) in [("one", 1), ("two", 0)] {
        let (_, stats) = server.get(&format!("/indexes/{name}/describe_index_stats")).unwrap();
        assert_eq!(stats["totalVectorCount"], left, "{name}: {stats}");
    }
    let deleted = server.agent().delete(format!("{}/indexes/two", server.url)).call();
    assert_eq!(deleted.unwrap().status().as_u16(), 202);
    drop(server);

    let server = Server::start(&dir, &[]);
    done(server.post("/indexes/one/vectors/upsert", &vectors("c")));
    assert_eq!(server.get("/readyz?writes=1").unwrap().0, 200);
}
