//! Recall on data that are not like texts: thousands of copies of one vector, exact and nearly so, in one group or a thousand, zeros, a
//! large common mean. Every class of question is measured by itself, because a good mean hides a bad class.
//!
//! A slice of the mixes is tried at a time; which one is for `PINYON_TEST_SEED` to say, else for the day.

#![allow(clippy::print_stdout)] // what was tried is for people to read

mod mix;

use mix::{Mix, Question, first_seed};
use pinyon_distance::QueryScorer;
use pinyon_index::{
    Building, CodeGraph, CodedRows, Coding, DenseQuery, Graph, GraphOptions, GraphRequest, SelfTest, TopK,
    Wanted, Work, calibrate,
};
use pinyon_types::{Distance, Effort, SlotId};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

/// Recall that every class of question has in every mix.
const RECALL_MIN: f64 = 0.99;
/// So many times more than of independent results is the variance of what a query misses: a walk finds a crowd of ten or misses it.
const DESIGN_EFFECT_OF_CODES: f64 = 2.0;
const DESIGN_EFFECT_OF_GRAPHS: f64 = 9.0;
/// Mixes that are tried: what takes about half a minute.
const MIXES: u64 = 10;
/// Components that a mix has at most: larger ones take too long.
const COMPONENTS_MAX: usize = 2_500_000;
/// Questions of a class.
const QUESTIONS: usize = 24;
const OPTIONS: GraphOptions = GraphOptions { m: 16, ef_construction: 200 };

/// What a class of questions found, and what it should have.
#[derive(Debug, Default, Clone, Copy)]
struct Found {
    found: usize,
    wanted: usize,
    farther_first: usize,
}

/// A question, and how far all rows are, nearest first.
type Asked = (Question, Vec<f64>);

/// Results of questions of each class.
#[derive(Default)]
struct Tally(BTreeMap<(&'static str, usize), Found>);

impl Tally {
    fn add(&mut self, mix: &Mix, (question, nearest): &Asked, k: usize, rows: &[(Distance, SlotId)]) {
        let nearest = &nearest[..k];
        let tally = self.0.entry((question.class, k)).or_default();
        let distances: Vec<f64> =
            rows.iter().map(|(_, slot)| mix.distance(&question.vector, slot.get() as usize)).collect();
        tally.found += k - mix.missed(&question.vector, nearest, distances.iter().copied());
        tally.wanted += nearest.len();
        let first = distances.iter().copied().fold(f64::INFINITY, f64::min);
        tally.farther_first +=
            usize::from(question.is_row && first > nearest[0] + mix.tolerance(&question.vector, nearest[0]));
    }

    /// Checks what few questions can tell, and adds it to that of other mixes.
    fn check(&self, mix: &Mix, tier: &str, design_effect: f64, all: &mut Tally) {
        for ((class, k), one @ Found { found, wanted, farther_first }) in &self.0 {
            let expected = (1.0 - RECALL_MIN) * *wanted as f64;
            // Three deviations of results that stand or fall together.
            let missed_max = design_effect.sqrt().mul_add(3.0 * expected.sqrt(), expected);
            let missed = wanted - found;
            assert!(
                missed as f64 <= missed_max,
                "{mix}: {tier}, {class}, k {k}: {missed} of {wanted} missed"
            );
            assert_eq!(*farther_first, 0, "{mix}: {tier}, {class}, k {k}: a row does not find itself");
            let sum = all.0.entry((class, 0)).or_default();
            sum.found += one.found;
            sum.wanted += one.wanted;
        }
    }

    /// The promise, over all mixes.
    fn check_all(&self, tier: &str) {
        for ((class, _), Found { found, wanted, .. }) in &self.0 {
            let recall = *found as f64 / *wanted as f64;
            println!("{tier}, {class}: {recall:.5} of {wanted}");
            assert!(recall >= RECALL_MIN, "{tier}, {class}: {recall}");
        }
    }
}

#[test]
fn every_class_of_question_finds_what_there_is() {
    let first = first_seed();
    let (mut by_codes, mut by_graphs) = (Tally::default(), Tally::default());
    for seed in first..first + MIXES {
        check(&Mix::of(seed, COMPONENTS_MAX), &mut by_codes, &mut by_graphs);
    }
    println!("PINYON_TEST_SEED={first}");
    by_codes.check_all("codes");
    by_graphs.check_all("graphs");
}

fn check(mix: &Mix, by_codes: &mut Tally, by_graphs: &mut Tally) {
    let block = mix.block();
    let bytes = CodedRows::bytes_of(block, mix.metric, &|| false).expect("nobody stops it");
    let Coding::Done(coded) = CodedRows::build(bytes, block, mix.metric, &|| false) else { panic!("{mix}") };
    let (mut tally, mut work) = (Tally::default(), Work::default());
    let with_nearest = |question: Question| {
        let nearest = mix.nearest(&question.vector);
        (question, nearest)
    };
    let questions: Vec<Asked> = mix.questions(QUESTIONS).into_iter().map(with_nearest).collect();
    for question in &questions {
        for k in mix.counts() {
            tally.add(mix, question, k, &found_by_codes(mix, &coded, &question.0.vector, k, &mut work));
        }
    }
    tally.check(mix, &format!("codes ({:?}, {work:?})", coded.test()), DESIGN_EFFECT_OF_CODES, by_codes);
    if mix.rows() >= 1_000 {
        check_graph(mix, &coded, &questions, by_graphs);
    }
}

fn found_by_codes(
    mix: &Mix,
    coded: &CodedRows,
    query: &[f32],
    k: usize,
    work: &mut Work,
) -> Vec<(Distance, SlotId)> {
    let (scorer, codes, mut best) = (QueryScorer::new(mix.metric, query), OnceLock::new(), TopK::new(k));
    let wanted = Wanted { is_wanted: &|_| true, stop: &|| false };
    let asked = (DenseQuery::new(query, &codes), Effort::NORMAL);
    coded.search((mix.block().into(), &scorer), asked, wanted, &mut best, work);
    best.into_sorted()
}

/// A graph that its self-test calls good enough is.
fn check_graph(mix: &Mix, coded: &CodedRows, questions: &[Asked], by_graphs: &mut Tally) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1 + mix.rows() % 2).build().expect("threads");
    let codes = Arc::clone(coded.bytes_codes());
    let building = Building::start(None, codes, OPTIONS, (mix.seed, 256), &|| false, &pool).expect("a graph");
    let held_out = building.held_out();
    let test = SelfTest {
        metric: mix.metric,
        recall_min: RECALL_MIN,
        seed: 1,
        questions: &[],
        held_out,
        before: None,
    };
    let tested = calibrate(building.graph(), (mix.block(), Some(coded)), test, &|| false);
    let found = tested.expect("nobody stops it");
    let (graph, _) = building.finish(&|| false, &pool).expect("a graph");
    if !found.is_enough {
        println!("{mix}: scans go on, {found:?}");
        return;
    }
    let mut tally = Tally::default();
    for question in questions {
        for k in mix.counts().filter(|k| *k <= 100) {
            tally.add(mix, question, k, &by_graph(mix, &graph, &question.0.vector, k, found.ef));
        }
    }
    tally.check(mix, &format!("graph ({found:?})"), DESIGN_EFFECT_OF_GRAPHS, by_graphs);
}

fn by_graph(mix: &Mix, graph: &CodeGraph, query: &[f32], k: usize, ef: usize) -> Vec<(Distance, SlotId)> {
    let (scorer, codes, mut best) = (QueryScorer::new(mix.metric, query), OnceLock::new(), TopK::new(k));
    let ef = (ef * k.div_ceil(10)).max(3 * k);
    let request = GraphRequest { k: ef, ef, settled: (3 * k).max(30) };
    let found = graph.search(DenseQuery::new(query, &codes), request, &mut Work::default());
    for row in found.close(graph, k, |_| true).rows {
        let at = row.get() as usize;
        best.push((scorer.distance(mix.block().vector(at), mix.block().inverse_norms[at]), row));
    }
    best.into_sorted()
}
