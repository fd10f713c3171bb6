//! Tests of the two rounds: results that lie as rows do cost less than a full search of every shard, and results that all lie
//! in one shard are found all the same.

use super::*;
use crate::{Change, Engine, EngineSettings, VectorQuery};
use pinyon_shard::Step;
use pinyon_types::{Record, RecordId, SeededRng};
use std::{collections::BTreeSet, path::PathBuf};

const DIM: u32 = 16;
const SHARDS: u32 = 4;
const TENANTS: usize = 12;
const ROWS_OF_TENANT: usize = 500;
const K: usize = 10;
/// One shard's tenants lie around this far from all others.
const APART: f32 = 6.0;

struct Sample {
    engine: Engine,
    dir: PathBuf,
    rng: SeededRng,
    /// Each tenant's rows.
    rows: Vec<(String, Vec<Vec<f32>>)>,
}

impl Sample {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("pinyon-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let mut settings = EngineSettings::offline(SHARDS, DIM).unwrap();
        // Some shard is asked after another by the same thread.
        settings.search_threads = 2;
        settings.shard_options.graph_rows_min = 256;
        settings.shard_options.prices = pinyon_shard::Prices::Fixed(1);
        settings.shard_options.recall_min = 0.9;
        let engine = Engine::open(&dir, settings).unwrap();
        let mut sample = Self { engine, dir, rng: SeededRng::new(5), rows: Vec::new() };
        (0..TENANTS).for_each(|tenant| sample.fill(tenant));
        sample.settle();
        sample
    }

    /// The last shard's tenants lie apart.
    fn fill(&mut self, tenant: usize) {
        let name = format!("tenant-{tenant}");
        let shard = tenant as u32 % SHARDS;
        self.engine.assign(&name, shard).unwrap();
        let centre = if shard == SHARDS - 1 { APART } else { 0.0 };
        let rows: Vec<Vec<f32>> = (0..ROWS_OF_TENANT).map(|_| self.point(centre)).collect();
        let record = |(number, row): (usize, &Vec<f32>)| Record {
            id: RecordId::new(&number.to_string()).unwrap(),
            vector: Vector::new(row.clone(), self.engine.settings().dim).unwrap(),
            sparse: None,
            metadata: pinyon_types::Metadata::default(),
        };
        let records = rows.iter().enumerate().map(record).collect();
        self.engine.write(&name, Change::Upsert(records)).unwrap();
        self.rows.push((name, rows));
    }

    fn point(&mut self, centre: f32) -> Vec<f32> {
        let mut gauss = || ((0..12).map(|_| self.rng.unit()).sum::<f64>() - 6.0) as f32;
        (0..DIM).map(|at| gauss() + if at < DIM / 2 { centre } else { 0.0 }).collect()
    }

    fn settle(&self) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        for (_, shard) in self.engine.inner.fleet.local() {
            shard.compact().unwrap();
            while shard.derive(&pool, &|| false) != Step::Idle {}
            let segments = shard.stats().segments;
            assert!(segments.iter().all(|segment| segment.graphs > 0), "{segments:?}");
        }
    }

    fn truth(&self, query: &[f32]) -> BTreeSet<(String, String)> {
        let length = |row: &[f32]| row.iter().map(|one| one * one).sum::<f32>().sqrt();
        let cosine = |row: &[f32]| {
            row.iter().zip(query).map(|(a, b)| a * b).sum::<f32>() / length(row) / length(query)
        };
        let mut all: Vec<(f32, String, String)> = Vec::new();
        for (tenant, rows) in &self.rows {
            let scored = rows.iter().enumerate();
            all.extend(scored.map(|(number, row)| (cosine(row), tenant.clone(), number.to_string())));
        }
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        all.into_iter().take(K).map(|(_, tenant, id)| (tenant, id)).collect()
    }

    /// How many of the true results a query over all tenants finds, and what it costs each shard.
    fn ask(&self, query: &[f32], reach: Reach) -> (usize, Vec<Work>) {
        self.ask_within(query, reach, None)
    }

    fn ask_within(&self, query: &[f32], reach: Reach, timeout: Option<Duration>) -> (usize, Vec<Work>) {
        let query_of_all = VectorQuery { timeout, ..VectorQuery::dense(query.to_vec(), reach, K as u32) };
        let answer = self.engine.query_vector(query_of_all).unwrap();
        assert!(!answer.is_partial && answer.results.len() == K);
        let found = answer.results.iter().map(|one| (one.tenant.to_string(), one.id.to_string()));
        let right = self.truth(query).intersection(&found.collect()).count();
        (right, answer.shards.iter().map(|shard| shard.work).collect())
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn shards_are_asked_for_their_share_and_again_for_what_they_hold_beyond_it() {
    let mut sample = Sample::new("rounds");
    let named = Reach::Tenants(sample.rows.iter().map(|one| one.0.clone()).collect());
    let (mut right, mut spread, mut full, mut again) = (0, 0, 0, 0);
    for _ in 0..20 {
        // Around the tenants of three shards: each is asked once, or twice by chance.
        let query = sample.point(0.0);
        let (found, work) = sample.ask(&query, Reach::All);
        right += found;
        spread += work.iter().map(|one| one.code_distances).sum::<u64>();
        again += work.iter().filter(|one| one.graph_walks > 1).count();
        full += sample.ask(&query, named.clone()).1.iter().map(|one| one.code_distances).sum::<u64>();
        // Around those of one: it is asked twice, the others are not.
        let query = sample.point(APART);
        let (found, work) = sample.ask(&query, Reach::All);
        right += found;
        let walks: Vec<u64> = work.iter().map(|one| one.graph_walks).collect();
        assert_eq!(walks, [1, 1, 1, 2]);
    }
    assert!(right >= 390, "{right} of 400");
    assert!(again <= 4, "{again} of 80");
    assert!(spread * 10 <= full * 9, "{spread} of {full}");
}

#[test]
fn searches_leave_out_what_is_farther_than_results_that_have_arrived() {
    let mut sample = Sample::new("arrived");
    let (mut found, mut least) = (0, [u64::MAX; 2]);
    for _ in 0..20 {
        let query = sample.point(0.0);
        for (least, timeout) in least.iter_mut().zip([None, Some(Duration::from_secs(60))]) {
            let (right, work) = sample.ask_within(&query, Reach::All, timeout);
            found += right;
            *least = work.iter().map(|shard| shard.distances).fold(*least, u64::min);
        }
    }
    assert!(found >= 390, "{found} of 400");
    assert!(least.iter().all(|vectors| *vectors < K as u64), "{least:?} vectors read");
}

#[test]
fn an_answer_that_nobody_takes_leaves_nothing_out_of_others() {
    let mut sample = Sample::new("late");
    let (vector, dim) = (sample.point(0.0), sample.engine.settings().dim);
    let top_k = TopK::new(K as u32).unwrap();
    let plan = Plan {
        vector: Vector::new(vector, dim).unwrap(),
        sparse: None,
        required: Vec::new(),
        top_k,
        filter: None,
        effort: Effort::NORMAL,
        explain: false,
        timeout: None,
        targets: sample.engine.inner.view().everywhere(),
    };
    let shared = SharedSearch::new(top_k);
    let round = Round { plan: Arc::new(plan), shared: Some(shared) };
    let bound = || round.shared.as_ref().unwrap().bound();
    let first = Ask { shard: ShardId::new(0), expected: K };
    let search = || ask(&sample.engine.inner.fleet, &round, first, None);
    let (sender, receiver) = mpsc::sync_channel(1);
    drop(receiver);
    hand_in(&round, &sender, search());
    assert_eq!(bound(), Distance::FARTHEST);
    let (sender, receiver) = mpsc::sync_channel(1);
    hand_in(&round, &sender, search());
    assert_eq!(bound(), receiver.recv().unwrap().hits[K - 1].distance());
}
