//! Bodies that stand for more than they are.

use super::*;
use crate::{control, documents, object::Object, records, tenant, vectors};
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicUsize, Ordering};

fn refused<T: DeserializeOwned>(body: &str) -> String {
    serde_json::from_str::<Object<T>>(body).map(drop).unwrap_err().to_string()
}

/// `one` so many times, with commas between.
fn many(one: &str, times: usize) -> String {
    vec![one; times].join(",")
}

/// A body whose list may have `most` elements and no more.
fn check<T: DeserializeOwned>(one: &str, most: usize, body: impl Fn(&str) -> String) {
    assert!(serde_json::from_str::<Object<T>>(&body(&many(one, most))).is_ok());
    let said = refused::<T>(&body(&many(one, most + 1)));
    assert!(said.starts_with(&format!("must have at most {most} elements, has more")), "{said}");
    // It stops there: what stands behind is not even looked at.
    let said = refused::<T>(&format!("{} nonsense", body(&many(one, most + 1)).split(']').next().unwrap()));
    assert!(said.starts_with("must have at most"), "{said}");
}

#[test]
fn lists_end_at_their_limit_in_every_route() {
    check::<vectors::UpsertRequest>("{}", 1_000, |list| format!(r#"{{"vectors":[{list}]}}"#));
    check::<vectors::UpsertRequest>("1", 20_000, |list| format!(r#"{{"vectors":[{{"values":[{list}]}}]}}"#));
    check::<vectors::QueryRequest>("1", 20_000, |list| format!(r#"{{"vector":[{list}]}}"#));
    for name in ["indices", "values"] {
        check::<vectors::QueryRequest>("1", 2_048, |list| {
            format!(r#"{{"sparseVector":{{"{name}":[{list}]}}}}"#)
        });
    }
    check::<vectors::UpdateRequest>("1", 20_000, |list| format!(r#"{{"values":[{list}]}}"#));
    check::<vectors::DeleteRequest>(r#""a""#, 1_000, |list| format!(r#"{{"ids":[{list}]}}"#));
    check::<tenant::IngestRequest>(r#"{"id":"a","text":""}"#, 10_000, |list| {
        format!(r#"{{"tenant_id":"t","documents":[{list}]}}"#)
    });
    check::<tenant::QueryRequest>("1", 20_000, |list| format!(r#"{{"vector":[{list}]}}"#));
    check::<tenant::QueryRequest>(r#""""#, 10_000, |list| format!(r#"{{"tenant_ids":[{list}]}}"#));
    check::<documents::FetchRequest>(r#""""#, 10_000, |list| {
        format!(r#"{{"tenant_id":"t","ids":[{list}]}}"#)
    });
    check::<documents::DeleteRequest>(r#""""#, 10_000, |list| {
        format!(r#"{{"tenant_id":"t","ids":[{list}]}}"#)
    });
    check::<crate::admin::PlaceRequest>(r#""""#, 10_000, |list| format!(r#"{{"tenants":[{list}]}}"#));
    check::<records::SearchRequest>(r#""""#, 1_024, |list| format!(r#"{{"query":{{}},"fields":[{list}]}}"#));
    check::<records::SearchRequest>("1", 20_000, |list| {
        format!(r#"{{"query":{{"vector":{{"values":[{list}]}}}}}}"#)
    });
    check::<records::SearchRequest>(r#""""#, 1_024, |list| {
        format!(r#"{{"query":{{"match_terms":{{"terms":[{list}]}}}}}}"#)
    });
}

#[test]
fn json_that_is_kept_as_it_came_has_few_values_at_any_depth() {
    let refused_of = |body: String| refused::<control::LegacyCreateRequest>(&body);
    for inner in [
        format!("[{}]", many("1", SMALL_VALUES_MAX)),
        format!("[{}]", many("[]", SMALL_VALUES_MAX)),
        format!("[{}]", many(r#"{"a":1}"#, SMALL_VALUES_MAX / 2)),
        format!("\"{}\"", "x".repeat(SMALL_BYTES_MAX)),
    ] {
        let said = refused_of(format!(r#"{{"name":"n","spec":{{"a":{inner}}}}}"#));
        assert!(said.contains("must have at most 4096 values and 262144 bytes"), "{said}");
    }
    let fits = format!(r#"{{"name":"n","spec":{{"a":[{}]}}}}"#, many("1", SMALL_VALUES_MAX - 10));
    assert!(serde_json::from_str::<Object<control::LegacyCreateRequest>>(&fits).is_ok());
}

#[test]
fn filters_have_a_limit_of_values_and_stop_there() {
    let filter = |values: &str| format!(r#"{{"filter":{{"k":{{"$in":[{values}"#);
    let two = format!(r#"{{"filter":{{"k":{{"$in":[{0}]}},"l":{{"$in":[{0}]}}}}}}"#, many("1", 10_000));
    assert!(serde_json::from_str::<Object<vectors::QueryRequest>>(&two).is_ok());
    for one in ["1", "{}", "[]", r#""""#] {
        let said = refused::<vectors::QueryRequest>(&filter(&many(one, FILTER_LIST_MAX + 1)));
        assert!(said.starts_with("must have lists of at most 10000 elements"), "{said}");
    }
    let lists = many(&format!("[{}]", many("1", 8_000)), 4);
    let said = refused::<vectors::QueryRequest>(&filter(&lists));
    assert!(said.starts_with("must have at most 24576 values"), "{said}");
}

struct Purse(AtomicUsize);

impl Lender for Purse {
    fn lend(&self, bytes: usize) -> bool {
        let left = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok()
    }
}

#[test]
fn what_is_made_of_a_body_takes_room_and_is_refused_when_there_is_none() {
    let field = |number: usize| format!(r#""{number}":1"#);
    let fields: Vec<String> = (0..1_000).map(field).collect();
    let record = format!(r#"{{"metadata":{{{}}}}}"#, fields.join(","));
    let body = format!(r#"{{"vectors":[{}]}}"#, many(&record, 100));
    let read = |own: usize, purse: usize| {
        let purse = Arc::new(Purse(purse.into()));
        let lender: Arc<dyn Lender> = purse.clone();
        let read =
            within(own, Some(lender), || serde_json::from_str::<Object<vectors::UpsertRequest>>(&body));
        (read.map(drop).map_err(|error| error.to_string()), purse.0.load(Ordering::Relaxed))
    };
    assert_eq!(read(64 << 20, 0).0, Ok(()));
    let (refused, left) = read(1 << 20, 2 << 20);
    assert!(refused.unwrap_err().starts_with(NO_ROOM) && left < PIECE_BYTES, "{left}");
    let (accepted, left) = read(1 << 20, 64 << 20);
    assert!(accepted.is_ok() && left < 60 << 20, "{left}");
    // Outside nothing is counted.
    assert!(try_take(usize::MAX / 2));
}
