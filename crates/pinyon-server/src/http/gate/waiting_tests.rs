//! Writers who wait for their tenant's new route keep nobody else waiting.

use super::{
    Gate, WRITERS_MAX,
    served_tests::{QUERY, answer, send, start_behind, whole},
};
use crate::http::{Door, SocketSettings, Sockets, accept::tests::door};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpStream, task::JoinSet, time::sleep};

fn ingest(tenant: &str, id: usize) -> String {
    whole(
        "/ingest",
        &format!(r#"{{"tenant_id": "{tenant}", "documents": [{{"id": "d{id}", "text": "beer"}}]}}"#),
    )
}

async fn ask(address: SocketAddr, request: String) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    send(&mut stream, &request).await;
    answer(&mut stream).await
}

async fn assert_ok(address: SocketAddr, request: String) {
    let answer = ask(address, request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_a_closed_tenant_hold_no_place_and_all_are_answered_once_it_is_open() {
    const WAITING: usize = WRITERS_MAX + 100;
    let gate = Gate::new(64 << 20);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = SocketSettings { connections_max: Some(1_000), ..SocketSettings::default() };
    let door = Door { sockets: Arc::new(Sockets::new(settings, None, &listener)), ..door() };
    let (address, dir, indexes) = start_behind(door, "waiting-writers", Arc::clone(&gate)).await;
    let engine = indexes.tenants();
    for tenant in ["t", "other"] {
        assert_ok(address, ingest(tenant, 0)).await;
    }
    engine.close_tenant("t").unwrap();
    let mut writers = JoinSet::new();
    for id in 0..WAITING {
        writers.spawn(ask(address, ingest("t", id)));
        // A burst of more than there are places is turned away, whatever it is for.
        while gate.writers.free() < WRITERS_MAX / 2 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    while !gate.has_all_places() {
        sleep(Duration::from_millis(1)).await;
    }
    let early = writers.try_join_next();
    assert!(early.is_none(), "nobody is answered before it is written: {early:?}");
    // Everything but that tenant's writes goes on.
    assert_ok(address, ingest("other", 1)).await;
    for query in [QUERY.to_owned(), QUERY.replace(r#""t""#, r#""other""#)] {
        assert_ok(address, whole("/query", &query)).await;
    }
    engine.open_tenant("t").unwrap();
    while let Some(answered) = writers.join_next().await {
        let answered = answered.unwrap();
        assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
    }
    assert_eq!(engine.tenant("t").unwrap().count(None).unwrap(), WAITING as u64);
    assert_eq!(engine.tenant("other").unwrap().count(None).unwrap(), 2);
    drop((engine, indexes));
    std::fs::remove_dir_all(&dir).unwrap();
}
