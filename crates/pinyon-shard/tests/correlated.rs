//! Filters that have to do with where vectors lie: what passes is what is near one row, or far from it. A walk meets many rows before it
//! finds ten that pass, and must not answer with the first ten where nearer ones lie beyond what it looked at.

use pinyon_shard::{Change, Namespace, Prices, Query, Scope, Shard, ShardOptions, ShardShape, Step};
use pinyon_storage::io::{MemoryIo, SharedIo};
use pinyon_types::{
    Dim, Epoch, FieldTest, Filter, Metadata, MetadataValue, Metric, NamespaceId, Record, RecordId, SeededRng,
    ShardId, TenantId, TopK, Vector,
};
use std::{path::Path, sync::Arc};

const DIM: usize = 96;
const ROWS: usize = 20_000;
const CENTRES: u64 = 120;
const QUERIES: usize = 150;
const K: usize = 10;

fn gauss(rng: &mut SeededRng) -> f32 {
    (0..12).map(|_| rng.unit()).sum::<f64>() as f32 - 6.0
}

/// Rows in clusters of unlike size, nearest to the first row first, and questions of the same kind.
fn rows_and_questions() -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let mut rng = SeededRng::new(71);
    let centres: Vec<Vec<f32>> = (0..CENTRES).map(|_| (0..DIM).map(|_| gauss(&mut rng)).collect()).collect();
    let mut vector = || -> Vec<f32> {
        let centre = &centres[rng.below(CENTRES) as usize];
        // Those of no cluster are hard to find, so that walks are long.
        let (part, noise) = if rng.below(3) == 0 { (0.0, 1.0) } else { (1.0, 0.3) };
        centre.iter().map(|at| part * at + noise * gauss(&mut rng)).collect()
    };
    let mut rows: Vec<Vec<f32>> = (0..ROWS).map(|_| vector()).collect();
    let pivot = rows[0].clone();
    rows.sort_by(|a, b| distance(&pivot, a).total_cmp(&distance(&pivot, b)));
    (rows, (0..QUERIES).map(|_| vector()).collect())
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn namespace() -> Namespace {
    Namespace::routed(NamespaceId::new(1), TenantId::new("t").expect("a name"), Epoch::ZERO)
}

fn shard(rows: &[Vec<f32>]) -> Shard {
    let io: SharedIo = Arc::new(MemoryIo::new());
    let dim = Dim::new(DIM as u32).expect("a dimension");
    let shape = ShardShape { shard: ShardId::new(0), dim, metric: Metric::Euclidean };
    let options =
        ShardOptions { graph_rows_min: 1_000, prices: Prices::Fixed(0), ..ShardOptions::sealing_at(1 << 30) };
    let shard = Shard::open(&io, Path::new("/correlated"), shape, options).expect("it opens");
    let record = |(place, row): (usize, &Vec<f32>)| Record {
        id: RecordId::new(&format!("r{place}")).expect("an id"),
        vector: Vector::new(row.clone(), dim).expect("a vector"),
        sparse: None,
        metadata: Metadata::new(
            [("place".to_owned(), MetadataValue::Number(place as f64))].into_iter().collect(),
        )
        .expect("metadata"),
    };
    let records: Vec<Record> = rows.iter().enumerate().map(record).collect();
    for some in records.chunks(500) {
        shard.write(&namespace(), Change::Upsert(some.to_vec())).expect("it is written");
    }
    shard.seal().expect("it seals");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    while shard.derive(&pool, &|| false) != Step::Idle {}
    shard
}

/// Results that are missed, of rows at these places, and how many walks answered.
fn missed(
    shard: &Shard,
    rows: &[Vec<f32>],
    places: std::ops::Range<usize>,
    questions: &[Vec<f32>],
) -> (usize, u64) {
    let test = match places.start {
        0 => FieldTest::Lt(places.end as f64),
        start => FieldTest::Gte(start as f64),
    };
    let filter = Filter::field("place", test);
    let (mut missed, mut walks) = (0, 0);
    for question in questions {
        let mut distances: Vec<f32> =
            rows[places.clone()].iter().map(|row| distance(question, row)).collect();
        let (_, tenth, _) = distances.select_nth_unstable_by(K - 1, f32::total_cmp);
        let tenth = f64::from(*tenth) * (1.0 + 1e-5);
        let vector = Vector::new(question.clone(), shard.shape().dim).expect("a vector");
        let query =
            Query { filter: Some(&filter), ..Query::dense(&vector, TopK::new(K as u32).expect("ten")) };
        let found = shard.search(Scope::Namespaces(&[namespace()]), query, &|| false).expect("an answer");
        missed += K - found.hits.iter().filter(|hit| hit.distance().get() <= tenth).count().min(K);
        walks += found.work.graph_walks;
    }
    (missed, walks)
}

#[test]
fn what_is_near_one_row_or_far_from_it_is_found_as_surely_as_anything() {
    let (rows, questions) = rows_and_questions();
    let shard = shard(&rows);
    let mut walked = 0;
    for share in [0.2, 0.3, 0.5, 0.8] {
        let near = (ROWS as f64 * share) as usize;
        for places in [0..near, ROWS - near..ROWS] {
            let (missed, walks) = missed(&shard, &rows, places.clone(), &questions);
            walked += walks;
            assert!(missed * 100 <= QUERIES * K, "{places:?}: {missed} of {} missed", QUERIES * K);
        }
    }
    assert!(walked > 0, "graphs were asked");
}
