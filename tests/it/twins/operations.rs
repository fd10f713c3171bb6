//! Random operations, each as REST has it in JSON.

use pinyon_types::SeededRng;
use serde_json::{Map, Value, json};

const IDS: u64 = 40;

/// What the indexes' vectors are.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Dense, with sparse parts here and there.
    Hybrid,
    Sparse,
}

/// One operation: its name and its request as REST has it in JSON.
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) body: Value,
}

fn vector(rng: &mut SeededRng, length: usize) -> Value {
    (0..length).map(|_| json!((rng.below(9) as f64 - 4.0) / 4.0 + 0.125)).collect()
}

fn id(rng: &mut SeededRng) -> String {
    format!("id {}/%", rng.below(IDS))
}

fn metadata(rng: &mut SeededRng) -> Value {
    let mut fields = Map::new();
    if rng.below(4) > 0 {
        fields.insert("genre".into(), ["drama", "comedy", "crime"][rng.below(3) as usize].into());
    }
    if rng.below(3) > 0 {
        fields.insert("year".into(), json!(1990.0 + rng.below(30) as f64));
    }
    if rng.below(3) == 0 {
        fields.insert("tags".into(), json!(["x", if rng.below(2) == 0 { "y" } else { "z" }]));
    }
    if rng.below(20) == 0 {
        fields.insert("bad".into(), json!({"nested": [1.5]}));
    }
    Value::Object(fields)
}

fn filter(rng: &mut SeededRng) -> Value {
    match rng.below(7) {
        0 => json!({"genre": "drama"}),
        1 => json!({"year": {"$gte": 2005.0}}),
        2 => json!({"tags": {"$in": ["y", "w"]}}),
        3 => json!({"$or": [{"genre": {"$ne": "crime"}}, {"year": {"$lt": 1995.0}}]}),
        4 => json!({"genre": {"$exists": false}}),
        5 => json!({"genre": {"$like": "d"}}),
        _ => json!({}),
    }
}

pub(super) fn operation(kind: Kind, rng: &mut SeededRng) -> Operation {
    let namespace = ["", "n", "m"][rng.below(3) as usize];
    let (name, mut body) = match rng.below(12) {
        0..=2 => {
            let count = 1 + rng.below(5);
            let records = (0..count).map(|_| {
                let record = json!({"id": id(rng), "metadata": metadata(rng)});
                with_vectors(record, ["values", "sparseValues"], kind, rng)
            });
            ("upsert", json!({"vectors": records.collect::<Vec<_>>()}))
        }
        3 => {
            let update = json!({"id": id(rng), "setMetadata": metadata(rng)});
            ("update", with_vectors(update, ["values", "sparseValues"], kind, rng))
        }
        4 => (
            "update",
            json!({"filter": filter(rng), "setMetadata": metadata(rng), "dryRun": rng.below(2) == 0}),
        ),
        5 => match rng.below(4) {
            0 => ("delete", json!({"ids": [id(rng), id(rng)]})),
            1 => ("delete", json!({"filter": filter(rng)})),
            2 if rng.below(4) == 0 => ("delete", json!({"deleteAll": true})),
            _ => ("delete", json!({})),
        },
        6 | 7 => {
            let query = json!({"topK": rng.below(12), "includeValues": true, "includeMetadata": true});
            let query = with_vectors(query, ["vector", "sparseVector"], kind, rng);
            ("query", if rng.below(2) == 0 { query } else { with(query, "filter", filter(rng)) })
        }
        8 => ("query", json!({"id": id(rng), "topK": 5})),
        9 => ("fetch", json!({"ids": [id(rng), id(rng), id(rng)]})),
        10 => ("list", json!({"prefix": "id 1", "limit": 1 + rng.below(20)})),
        _ => ("stats", json!({})),
    };
    if name != "stats" {
        body = with(body, "namespace", namespace.into());
    }
    Operation { name, body }
}

/// Adds the vectors of a record or a query. One in fifteen is wrong: refusals must be the same too.
fn with_vectors(body: Value, [dense, sparse]: [&str; 2], kind: Kind, rng: &mut SeededRng) -> Value {
    let is_wrong = rng.below(15) == 0;
    let length = if is_wrong { 3 } else { 4 };
    let has_sparse = kind == Kind::Sparse || rng.below(3) == 0;
    let body = if kind == Kind::Hybrid || is_wrong { with(body, dense, vector(rng, length)) } else { body };
    if has_sparse { with(body, sparse, sparse_vector(rng, length)) } else { body }
}

/// Distinct indices; now and then fewer weights than indices.
fn sparse_vector(rng: &mut SeededRng, length: usize) -> Value {
    let first = rng.below(6) * 700_000_000;
    json!({"indices": [first, first + 1, 9], "values": vector(rng, if length == 3 { 2 } else { 3 })})
}

pub(super) fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}
