//! Filters: what reads is within its limits, has a meaning for every record, and reads the same when it is written.

use super::json;
use crate::convert::filter;
use pinyon_fuzz::{Seen, Target};
use pinyon_types::{FieldTest, Filter, Metadata, MetadataValue, Scalar};
use pinyon_wire::filter_json::FilterJson;
use serde_json::{Value, json};

const SEEDS: [&str; 8] = [
    r#"{"a": "x"}"#,
    r#"{"a": ["x", 1, true], "b": 2}"#,
    r#"{"n": {"$gte": 1, "$lt": 5.5}}"#,
    r#"{"$or": [{"a": true}, {"b": {"$nin": []}}, {"$and": [{"c": 1}, {"d": {"$ne": "y"}}]}]}"#,
    r#"{"a": {"$not": {"$eq": "x", "$exists": true}}}"#,
    r#"{"a.b c": {"$exists": false}, "é": {"$in": ["ü", ""]}}"#,
    r#"{"tags": {"$lte": -1e300, "$gt": 0}}"#,
    "{}",
];

fn value(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::String(text) => json!(text),
        Scalar::Number(number) => json!(number),
        Scalar::Bool(flag) => json!(flag),
    }
}

fn values(scalars: &[Scalar]) -> Value {
    scalars.iter().map(value).collect()
}

fn condition(test: &FieldTest) -> Value {
    match test {
        FieldTest::Eq(scalar) => json!({ "$eq": value(scalar) }),
        FieldTest::Ne(scalar) => json!({ "$ne": value(scalar) }),
        FieldTest::Gt(bound) => json!({ "$gt": bound }),
        FieldTest::Gte(bound) => json!({ "$gte": bound }),
        FieldTest::Lt(bound) => json!({ "$lt": bound }),
        FieldTest::Lte(bound) => json!({ "$lte": bound }),
        FieldTest::In(scalars) => json!({ "$in": values(scalars) }),
        FieldTest::NotIn(scalars) => json!({ "$nin": values(scalars) }),
        FieldTest::Exists(flag) => json!({ "$exists": flag }),
    }
}

/// The conditions of one field, of which only these can be denied.
fn conditions(filter: &Filter) -> Vec<(String, Value)> {
    match filter {
        Filter::Field { test, .. } => {
            let Value::Object(condition) = condition(test) else { unreachable!("it is an object") };
            condition.into_iter().collect()
        }
        Filter::And(parts) => parts.iter().flat_map(conditions).collect(),
        Filter::Not(part) => vec![("$not".into(), conditions(part).into_iter().collect())],
        Filter::Or(_) => panic!("no condition of a field makes an alternative"),
    }
}

fn name_of(filter: &Filter) -> &str {
    match filter {
        Filter::Field { name, .. } => name,
        Filter::And(parts) | Filter::Or(parts) => name_of(&parts[0]),
        Filter::Not(part) => name_of(part),
    }
}

/// The filter as it may have been written.
fn written(filter: &Filter) -> Value {
    match filter {
        Filter::And(parts) => json!({ "$and": parts.iter().map(written).collect::<Value>() }),
        Filter::Or(parts) => json!({ "$or": parts.iter().map(written).collect::<Value>() }),
        Filter::Not(_) | Filter::Field { .. } => {
            json!({ name_of(filter): conditions(filter).into_iter().collect::<Value>() })
        }
    }
}

fn records() -> [Metadata; 3] {
    let of = |fields: &[(&str, MetadataValue)]| {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Metadata::new(fields.collect()).unwrap()
    };
    [
        of(&[]),
        of(&[("a", MetadataValue::String("x".into())), ("n", MetadataValue::Number(3.0))]),
        of(&[("a", MetadataValue::Bool(true)), ("tags", MetadataValue::Strings(["x", "y"].into()))]),
    ]
}

#[test]
fn fuzz_filter() {
    let records = records();
    let target = Target { name: "filter", cases: 12_000, bytes_per_byte: 100, bytes_besides: 256 << 10 };
    target.run(
        |rng| json::changed(rng, &SEEDS),
        |input| {
            let Ok(value) = serde_json::from_slice::<FilterJson>(input) else { return Seen::Refused };
            let read = filter::from_json(&value);
            match &read {
                Err(refused) => assert!(!refused.problem.is_empty() && refused.problem.len() < 60_000),
                Ok(None) => assert_eq!(value, FilterJson::from(json!({}))),
                Ok(Some(filter)) => {
                    let within = filter.clone().checked();
                    assert_eq!(within.as_ref(), Ok(filter), "what reads is within its limits");
                    for record in &records {
                        let _ = filter.clone().matching_missing().matches(record);
                    }
                    let again = filter::from_json(&written(filter).into());
                    // Written with its lists in full it may be deeper than it was.
                    if let Ok(again) = again {
                        let again = again.expect("it is not empty");
                        assert!(records.iter().all(|record| again.matches(record) == filter.matches(record)));
                    }
                }
            }
            Seen::of(&read)
        },
    );
}
