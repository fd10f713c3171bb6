//! Queries of all rows in one tenant that pass a metadata filter, in process, from one thread. One JSON line a filter.
//! `PINYON_BENCH_DATA=DIR cargo bench -p pinyon-benches --bench filters`

mod fixture;
mod measure;

use fixture::{Fixture, K};
use measure::{mean, rounds};
use pinyon_benches::{Condition, Dataset, FilterTruth, report};
use pinyon_core::{Reach, VectorQuery};
use pinyon_types::{FieldTest, Filter, Scalar};

fn main() {
    report::begin();
    let set = Dataset::load().expect("data");
    let fixture = Fixture::new("filters", 1, set.base.dim);
    fixture.write_all(&set, "all");
    fixture.settle();
    for truth in &set.filters {
        measure(&fixture, &set, truth);
    }
}

fn measure(fixture: &Fixture, set: &Dataset, truth: &FilterTruth) {
    let mut recalls = Vec::new();
    let filter = filter(&truth.condition);
    let round = rounds(|| recalls = ask_all(fixture, set, truth, &filter));
    report::say(serde_json::json!({
        "bench": "filters", "filter": truth.condition.to_string(), "data": set.name, "queries": recalls.len(),
        "recall": mean(&recalls),
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

fn ask_all(fixture: &Fixture, set: &Dataset, truth: &FilterTruth, filter: &Filter) -> Vec<f64> {
    let ask = |at: usize| {
        let query = VectorQuery::dense(set.queries.row(at).to_vec(), Reach::Tenant("all".into()), K as u32);
        let query = VectorQuery { filter: Some(filter.clone()), ..query };
        truth.truth.recall(at, K, &fixture.find(query))
    };
    (0..set.queries.len()).map(ask).collect()
}
