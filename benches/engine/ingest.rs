//! Writing: durable upserts a second beside what the bare disk does, a new tenant until all of it is found, and queries of
//! other tenants meanwhile. JSON lines.
//! `PINYON_BENCH_DATA=DIR cargo bench -p pinyon-benches --bench ingest [-- durable|load|beside]`

#[path = "ingest/beside.rs"]
mod beside;
#[path = "ingest/durable.rs"]
mod durable;
mod fixture;
#[path = "ingest/load.rs"]
mod load;
mod measure;

use pinyon_benches::{Dataset, report};

/// A part's name and what it does.
type Part = (&'static str, fn(&Dataset));

fn main() {
    report::begin();
    let set = Dataset::load().expect("data");
    let parts: [Part; 3] = [("durable", durable::run), ("load", load::run), ("beside", beside::run)];
    let named = std::env::args().find(|argument| parts.iter().any(|(name, _)| name == argument));
    for (name, run) in parts {
        if named.as_ref().is_none_or(|named| named == name) {
            run(&set);
        }
    }
}
