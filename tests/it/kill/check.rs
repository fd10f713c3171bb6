//! Answers held against what a client knows. Nothing (`None`) means that the server was gone before it answered.

use super::{
    load::VECTORS,
    oracle::{Client, Document, States},
};
use crate::server::Connection;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Ids in one fetch: more do not fit into the request's line.
const FETCHED_AT_ONCE: usize = 200;
/// Documents that are compared after every kill, beside those that were touched.
const SAMPLE: u64 = 200;
const SEARCHES: usize = 4;

/// What there is of documents, by number.
type Found = BTreeMap<usize, Value>;

impl Connection {
    /// Posts a question; only an answer with 200 counts as one.
    pub fn ask(&self, path: &str, body: &Value) -> Option<Value> {
        let (status, answer) = self.post(path, body)?;
        assert_eq!(status, 200, "{path}: {answer}");
        Some(answer)
    }
}

/// After a kill: which way the write in flight went, then counts, records and searches of every tenant.
pub fn after_kill(client: &mut Client<'_>, server: &Connection, counts: &Value, checks_all: bool) {
    for tenant in 0..client.tenants.len() {
        settle(client, server, tenant);
        let (known, name) = (&client.tenants[tenant], &client.source(tenant).name);
        let found = counts["namespaces"][name]["vectorCount"].as_u64().unwrap_or(0);
        assert_eq!(found, known.living, "number of documents in {name}");
        let documents = chosen(client, tenant, checks_all);
        let documents: Vec<usize> = documents.into_iter().collect();
        client.counts.checked += documents.len() as u64;
        records(client, server, tenant, &documents).expect("an answer");
        for _ in 0..SEARCHES {
            search_by_text(client, server, tenant).expect("an answer");
            search_with_filter(client, server, tenant).expect("an answer");
        }
    }
    client.touched.clear();
}

/// The write in flight happened as a whole or not at all; what is there is durable from now on.
fn settle(client: &mut Client<'_>, server: &Connection, tenant: usize) {
    let Some(write) = client.in_flight.take_if(|write| write.tenant == tenant) else { return };
    let documents: Vec<usize> = write.after.keys().copied().collect();
    let found = fetch(client, server, tenant, &documents).expect("an answer");
    let before: States =
        documents.iter().map(|&document| (document, client.tenants[tenant].state(document))).collect();
    let differences = |states: &States| -> Vec<String> {
        let one = |(&document, &state)| difference(client, tenant, document, state, found.get(&document));
        states.iter().filter_map(one).collect()
    };
    let (from_after, from_before) = (differences(&write.after), differences(&before));
    assert!(
        from_after.is_empty() || from_before.is_empty(),
        "half a write of {}: against all of it {from_after:#?}, against nothing of it {from_before:#?}",
        write.path
    );
    if from_after.is_empty() {
        client.tenants[tenant].apply(&write.after);
    }
}

/// The documents to compare: what was touched, and all others or some of them.
fn chosen(client: &mut Client<'_>, tenant: usize, checks_all: bool) -> BTreeSet<usize> {
    let count = client.tenants[tenant].states.len() as u64;
    let touched = client.touched.iter().filter(|(at, _)| *at == tenant).map(|(_, document)| *document);
    let mut chosen: BTreeSet<usize> = touched.collect();
    if checks_all || count <= SAMPLE {
        chosen.extend(0..count as usize);
    } else {
        chosen.extend((0..SAMPLE).map(|_| client.rng.below(count) as usize));
    }
    chosen
}

/// Fetches documents and compares them whole, those that must not be there too.
pub fn records(client: &Client<'_>, server: &Connection, tenant: usize, documents: &[usize]) -> Option<()> {
    let found = fetch(client, server, tenant, documents)?;
    for &document in documents {
        let state = client.tenants[tenant].state(document);
        if let Some(difference) = difference(client, tenant, document, state, found.get(&document)) {
            panic!("{difference}");
        }
    }
    Some(())
}

fn fetch(client: &Client<'_>, server: &Connection, tenant: usize, documents: &[usize]) -> Option<Found> {
    let source = client.source(tenant);
    let mut all = Found::new();
    for part in documents.chunks(FETCHED_AT_ONCE) {
        let mut query = vec![("namespace", source.name.as_str())];
        query.extend(part.iter().map(|&document| ("ids", source.ids[document].as_str())));
        let (status, mut answer) = server.get(&format!("{VECTORS}/vectors/fetch"), &query)?;
        assert_eq!(status, 200, "{answer}");
        let Value::Object(found) = answer["vectors"].take() else { panic!("no vectors: {answer}") };
        all.extend(found.into_iter().map(|(id, found)| (source.number(&id).unwrap(), found)));
    }
    Some(all)
}

/// What is wrong with what was found of a document, if anything is.
fn difference(
    client: &Client<'_>,
    tenant: usize,
    document: usize,
    state: Option<Document>,
    found: Option<&Value>,
) -> Option<String> {
    let source = client.source(tenant);
    let place = format!("{} of {}", source.ids[document], source.name);
    let (state, found) = match (state, found) {
        (None, None) => return None,
        (Some(state), None) => return Some(format!("{place} is lost: {state:?}")),
        (None, Some(found)) => return Some(format!("{place} is there though it was deleted: {found}")),
        (Some(state), Some(found)) => (state, found),
    };
    let metadata = found["metadata"].as_object().unwrap();
    let text = metadata.get("text").and_then(Value::as_str);
    if text != Some(source.texts[state.text].as_str()) || !is_metadata(state, metadata) {
        return Some(format!("{place} is {metadata:?}, known as {state:?}: {}", source.texts[state.text]));
    }
    let values: Vec<f32> =
        found["values"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect();
    let expected = client.corpus.vector(client.tenants[tenant].number, state.vector);
    (values != expected).then(|| format!("{place} has the vector {values:?}, not {expected:?}"))
}

/// Whether metadata, the text aside, is what was written. The server may write a whole number with a point.
fn is_metadata(state: Document, found: &Map<String, Value>) -> bool {
    let expected = state.metadata();
    let is_same = |name: &String, value: &Value| match (found.get(name), value.as_f64()) {
        (Some(found), Some(number)) => found.as_f64() == Some(number),
        (found, _) => found == Some(value),
    };
    let expected = expected.as_object().unwrap();
    let others = found.keys().filter(|name| *name != "text").count();
    others == expected.len() && expected.iter().all(|(name, value)| is_same(name, value))
}

/// A document that was found by a search must be one that is there.
pub fn is_there(client: &Client<'_>, tenant: usize, id: &Value) -> Document {
    let source = client.source(tenant);
    let document = source.number(id.as_str().unwrap()).unwrap();
    let state = client.tenants[tenant].state(document);
    state.unwrap_or_else(|| panic!("a search found {id} of {}, which is deleted", source.name))
}

/// A search for the words of a document that is there finds it, or one that is just as near; a search for those of a
/// deleted one does not find that. Whatever is found is there, with its text and metadata.
pub fn search_by_text(client: &mut Client<'_>, server: &Connection, tenant: usize) -> Option<()> {
    let source = client.source(tenant);
    let living = client.tenants[tenant].any_living(&mut client.rng);
    let dead = client.tenants[tenant].any_dead(&mut client.rng);
    for (text, is_alive) in [(living.map(|(_, state)| state.vector), true), (dead, false)] {
        let Some(text) = text else { continue };
        let question = json!({"tenant_id": source.name, "query_text": source.texts[text], "top_k": 10});
        let answer = server.ask("/query", &question)?;
        let results = answer["results"].as_array().unwrap();
        for found in results {
            let state = is_there(client, tenant, &found["id"]);
            let has_text = found["text"] == source.texts[state.text].as_str();
            let has_metadata = is_metadata(state, found["metadata"].as_object().unwrap());
            assert!(has_text && has_metadata, "{}: found {found}, known {state:?}", source.name);
        }
        let best = results.first().map_or(0.0, |best| best["score"].as_f64().unwrap());
        let text = &source.texts[text];
        assert!(!is_alive || best > 0.9999, "{}: no search finds {living:?}: {text}", source.name);
        let expected = client.tenants[tenant].living.min(10) as usize;
        assert_eq!(results.len(), expected, "{}: results of a search for {text}", source.name);
    }
    Some(())
}

/// A search with a filter finds exactly the documents that one write, or one update, left there.
pub fn search_with_filter(client: &mut Client<'_>, server: &Connection, tenant: usize) -> Option<()> {
    let Some((document, chosen)) = client.tenants[tenant].any_living(&mut client.rng) else {
        return Some(());
    };
    let (own, source) = (&client.tenants[tenant], client.source(tenant));
    let by_mark = chosen.mark > 0 && client.rng.below(2) == 0;
    let (field, number) = if by_mark { ("mark", chosen.mark) } else { ("stamp", chosen.stamp) };
    let fits = |state: &Document| if by_mark { state.mark == number } else { state.stamp == number };
    let states = own.states.iter().enumerate();
    let expected: BTreeSet<&str> = states
        .filter(|(_, state)| state.as_ref().is_some_and(fits))
        .map(|(document, _)| source.ids[document].as_str())
        .collect();
    let question = json!({
        "namespace": source.name, "topK": 1000, "filter": {field: {"$eq": number}},
        "vector": client.corpus.vector(own.number, chosen.vector),
    });
    let answer = server.ask(&format!("{VECTORS}/query"), &question)?;
    let matches = answer["matches"].as_array().unwrap();
    let found: BTreeSet<&str> = matches.iter().map(|found| found["id"].as_str().unwrap()).collect();
    let context = || format!("{}: filter {field} = {number}, of {}", source.name, source.ids[document]);
    assert_eq!(found, expected, "{}", context());
    assert_eq!(found.len(), matches.len(), "{}: something is found twice", context());
    Some(())
}
