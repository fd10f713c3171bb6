//! Queries of all rows in one tenant that pass a metadata filter, in process, from one thread. One JSON line a filter.
//! `PINYON_BENCH_DATA=DIR cargo bench -p pinyon-benches --bench filters [-- FILTER]`

mod fixture;
mod measure;

use fixture::{Fixture, K};
use measure::{mean, rounds};
use pinyon_benches::{Condition, Dataset, FilterTruth, report};
use pinyon_core::{Reach, VectorQuery};
use pinyon_types::{FieldTest, Filter, Scalar};
use std::collections::BTreeMap;

fn main() {
    report::begin();
    let set = Dataset::load().expect("data");
    let fixture = Fixture::new("filters", 1, set.base.dim);
    fixture.write_all(&set, "all");
    fixture.settle();
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    for truth in &set.filters {
        if only.as_ref().is_none_or(|only| *only == truth.condition.to_string()) {
            measure(&fixture, &set, truth);
        }
    }
}

fn measure(fixture: &Fixture, set: &Dataset, truth: &FilterTruth) {
    let mut recalls = Vec::new();
    let filter = filter(&truth.condition);
    let round = rounds(|| recalls = ask_all(fixture, set, truth, &filter));
    report::say(serde_json::json!({
        "bench": "filters", "filter": truth.condition.to_string(), "data": set.name, "queries": recalls.len(),
        "recall": mean(&recalls), "ways": ways(fixture, set, &filter),
        "qps": round.median(recalls.len()), "qps_cpu": round.median_cpu(recalls.len()),
    }));
}

fn filter(condition: &Condition) -> Filter {
    match condition {
        Condition::NumBelow(bound) => Filter::field("num", FieldTest::Lt(f64::from(*bound))),
        Condition::Flag => Filter::field("flag", FieldTest::Eq(Scalar::Bool(true))),
        Condition::Category(name) => Filter::field("cat", FieldTest::Eq(Scalar::String(name.clone()))),
    }
}

/// What answered, with what effort or why not with a walk, how often.
fn ways(fixture: &Fixture, set: &Dataset, filter: &Filter) -> BTreeMap<String, usize> {
    let mut ways = BTreeMap::new();
    for at in 0..set.queries.len() {
        let query = VectorQuery { explain: true, ..query(set, at, filter) };
        let answer = fixture.engine.query_vector(query).expect("an answer");
        let explained = answer.shards.into_iter().filter_map(|shard| shard.explanation);
        for part in explained.flat_map(|explanation| explanation.parts) {
            let names: Vec<&str> = part.ways.iter().map(|way| way.name()).collect();
            let ef = part.ef.map(|ef| ef.to_string());
            let reasons = part.reasons.iter().map(|reason| reason.name().to_owned());
            let words: Vec<String> = names.into_iter().map(str::to_owned).chain(ef).chain(reasons).collect();
            *ways.entry(words.join(" ")).or_default() += 1;
        }
    }
    ways
}

fn ask_all(fixture: &Fixture, set: &Dataset, truth: &FilterTruth, filter: &Filter) -> Vec<f64> {
    let ask = |at: usize| truth.truth.recall(at, K, &fixture.find(query(set, at, filter)));
    (0..set.queries.len()).map(ask).collect()
}

fn query(set: &Dataset, at: usize, filter: &Filter) -> VectorQuery {
    let query = VectorQuery::dense(set.queries.row(at).to_vec(), Reach::Tenant("all".into()), K as u32);
    VectorQuery { filter: Some(filter.clone()), ..query }
}
