//! The load: each client writes, overwrites, deletes, updates and asks, one request after the other, until the server is
//! gone. What it asks in between must agree with what it knows.

use super::{
    check,
    oracle::{Client, Document, States, Write, kind},
};
use crate::server::Connection;
use serde_json::{Value, json};
use std::{collections::BTreeMap, ops::Not};

const DELETED_AT_ONCE: usize = 5;
/// A tenant with more documents is not emptied: it would take a file's worth of writes to fill it again.
const EMPTIED_MAX: u64 = 300;

/// Tenants' records below Pinecone's API.
pub const VECTORS: &str = "/indexes/tenants";

/// Works until a request is not answered.
pub fn work_until_dead(client: &mut Client<'_>, server: &Connection) {
    loop {
        let tenant = client.rng.below(client.tenants.len() as u64) as usize;
        let is_alive = match client.rng.below(100) {
            0..20 => read(client, server, tenant),
            dice => {
                let write = choose(client, tenant, dice).unwrap_or_else(|| ingest(client, tenant));
                send(client, server, write)
            }
        };
        if is_alive.not() {
            return;
        }
    }
}

/// A write of the kind that the dice say, if the tenant has what it needs.
fn choose(client: &mut Client<'_>, tenant: usize, dice: u64) -> Option<Write> {
    match dice {
        20..32 => delete_ids(client, tenant),
        32..36 => delete_matching(client, tenant),
        36..37 => delete_all(client, tenant),
        37..50 => update_metadata(client, tenant),
        50..54 => update_matching(client, tenant),
        54..60 => update_vector(client, tenant),
        _ => None,
    }
}

/// Sends a write; until it is answered it is the one in flight.
fn send(client: &mut Client<'_>, server: &Connection, write: Write) -> bool {
    client.touch(&write);
    let answer = server.post(write.path, &write.body);
    match answer {
        Some((200, _)) => client.acknowledge(&write),
        Some((status, body)) => panic!("the server refused a good write: {status} {body}"),
        None => client.in_flight = Some(write),
    }
    client.in_flight.is_none()
}

/// Asks for what was acknowledged before; returns whether the server answered.
fn read(client: &mut Client<'_>, server: &Connection, tenant: usize) -> bool {
    client.counts.reads += 1;
    match client.rng.below(4) {
        0 => check::search_by_text(client, server, tenant).is_some(),
        1 => check::search_with_filter(client, server, tenant).is_some(),
        2 => across(client, server, tenant).is_some(),
        _ => {
            let count = client.tenants[tenant].states.len() as u64;
            let any: Vec<usize> = (0..5.min(count)).map(|_| client.rng.below(count) as usize).collect();
            check::records(client, server, tenant, &any).is_some()
        }
    }
}

/// A query of all tenants; what it finds of the client's own must be there.
fn across(client: &Client<'_>, server: &Connection, tenant: usize) -> Option<()> {
    let text = &client.source(tenant).texts[0];
    let question = json!({"cross_shard": true, "query_text": text, "top_k": 20});
    let answer = server.ask("/query", &question)?;
    assert_eq!(answer["partial"], false, "{answer}");
    for (at, own) in client.tenants.iter().enumerate() {
        let source = &client.corpus.tenants[own.number];
        let results = answer["results"].as_array().unwrap();
        for found in results.iter().filter(|found| found["tenant_id"] == source.name.as_str()) {
            check::is_there(client, at, &found["id"]);
        }
    }
    Some(())
}

fn next_stamp(client: &mut Client<'_>) -> u64 {
    // Steps of a large number keep the clients' stamps apart; all of them stay exact as JSON's numbers.
    client.stamp += 64;
    client.stamp
}

/// Documents that are new, and such that were there before, with other texts.
fn ingest(client: &mut Client<'_>, tenant: usize) -> Write {
    let stamp = next_stamp(client);
    let source = client.source(tenant);
    let written = client.tenants[tenant].states.len();
    let left = source.ids.len() - written;
    let fresh = client.rng.below(client.corpus.batch as u64 + 1).max(1) as usize;
    let mut after: States = (written..written + fresh.min(left))
        .map(|document| (document, Some(Document::new(document, stamp))))
        .collect();
    for _ in after.len()..client.corpus.batch {
        let document = client.rng.below((written + fresh.min(left)) as u64) as usize;
        let text = client.rng.below(source.texts.len() as u64) as usize;
        after.insert(document, Some(Document::new(text, stamp)));
    }
    let documents = after.iter().filter_map(|(&document, state)| {
        let state = (*state)?;
        Some(json!({"id": source.ids[document], "text": source.texts[state.text], "metadata": state.metadata()}))
    });
    let body = json!({"tenant_id": source.name, "documents": documents.collect::<Vec<_>>()});
    Write { tenant, path: "/ingest", body, after }
}

/// Some that are there, and perhaps some that are not.
fn delete_ids(client: &mut Client<'_>, tenant: usize) -> Option<Write> {
    client.tenants[tenant].any_living(&mut client.rng)?;
    let count = client.tenants[tenant].states.len() as u64;
    let after: States = (0..DELETED_AT_ONCE).map(|_| (client.rng.below(count) as usize, None)).collect();
    let ids: Vec<&String> = after.keys().map(|&document| &client.source(tenant).ids[document]).collect();
    Some(delete(client, tenant, json!({"ids": ids}), after.clone()))
}

/// All that one write left there.
fn delete_matching(client: &mut Client<'_>, tenant: usize) -> Option<Write> {
    let (_, chosen) = client.tenants[tenant].any_living(&mut client.rng)?;
    let after = matching(client, tenant, chosen.stamp).into_keys().map(|document| (document, None));
    let body = json!({"filter": {"stamp": {"$eq": chosen.stamp}}});
    Some(delete(client, tenant, body, after.collect()))
}

fn delete_all(client: &mut Client<'_>, tenant: usize) -> Option<Write> {
    if client.tenants[tenant].living > EMPTIED_MAX {
        return None;
    }
    let after = (0..client.tenants[tenant].states.len()).map(|document| (document, None)).collect();
    Some(delete(client, tenant, json!({"deleteAll": true}), after))
}

fn delete(client: &Client<'_>, tenant: usize, mut body: Value, after: States) -> Write {
    body["namespace"] = client.source(tenant).name.as_str().into();
    Write { tenant, path: "/indexes/tenants/vectors/delete", body, after }
}

fn update_metadata(client: &mut Client<'_>, tenant: usize) -> Option<Write> {
    let (document, before) = client.tenants[tenant].any_living(&mut client.rng)?;
    let mark = next_stamp(client);
    let after = States::from([(document, Some(Document { mark, ..before }))]);
    let body = json!({"id": client.source(tenant).ids[document], "setMetadata": marked(mark)});
    Some(update(client, tenant, body, after))
}

/// The metadata of all that one write left there.
fn update_matching(client: &mut Client<'_>, tenant: usize) -> Option<Write> {
    let (_, chosen) = client.tenants[tenant].any_living(&mut client.rng)?;
    let mark = next_stamp(client);
    let found = matching(client, tenant, chosen.stamp).into_iter();
    let after = found.map(|(document, before)| (document, Some(Document { mark, ..before }))).collect();
    let body = json!({"filter": {"stamp": {"$eq": chosen.stamp}}, "setMetadata": marked(mark)});
    Some(update(client, tenant, body, after))
}

/// The vector of another text.
fn update_vector(client: &mut Client<'_>, tenant: usize) -> Option<Write> {
    let (document, before) = client.tenants[tenant].any_living(&mut client.rng)?;
    let source = client.source(tenant);
    let vector = client.rng.below(source.texts.len() as u64) as usize;
    let after = States::from([(document, Some(Document { vector, ..before }))]);
    let values = client.corpus.vector(client.tenants[tenant].number, vector);
    let body = json!({"id": source.ids[document], "values": values});
    Some(update(client, tenant, body, after))
}

fn update(client: &Client<'_>, tenant: usize, mut body: Value, after: States) -> Write {
    body["namespace"] = client.source(tenant).name.as_str().into();
    Write { tenant, path: "/indexes/tenants/vectors/update", body, after }
}

fn marked(mark: u64) -> Value {
    json!({"mark": mark, "kind": kind(mark)})
}

fn matching(client: &Client<'_>, tenant: usize, stamp: u64) -> BTreeMap<usize, Document> {
    let states = client.tenants[tenant].states.iter().enumerate();
    states
        .filter_map(|(document, state)| Some((document, (*state)?)))
        .filter(|(_, state)| state.stamp == stamp)
        .collect()
}
