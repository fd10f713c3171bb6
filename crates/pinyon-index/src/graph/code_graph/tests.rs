//! Tests of our own graph: recall, and that nothing depends on luck.

mod beginning;
mod held_out;

use super::*;
use crate::{GraphOptions, RowBlock, TopK, graph::GraphError, scan};
use pinyon_distance::{QueryScorer, codes::PointSpace, inverse_norm};
use pinyon_types::{Metric, SeededRng};
use rayon::ThreadPool;
use std::ops::Range;
use std::sync::OnceLock;

const OPTIONS: GraphOptions = GraphOptions { m: 16, ef_construction: 100 };
const DIM: usize = 48;

fn pool(threads: usize) -> ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

/// Points around two hundred centres, as embeddings of real texts lie.
fn clustered(count: usize, seed: u64) -> (Vec<f32>, Vec<f32>) {
    let mut rng = SeededRng::new(seed);
    let mut gauss = || (0..12).map(|_| rng.unit()).sum::<f64>() - 6.0;
    let centres: Vec<f64> = (0..200 * DIM).map(|_| gauss()).collect();
    let vectors: Vec<f32> = (0..count)
        .flat_map(|row| {
            let centre = row * 7919 % 200 * DIM;
            (0..DIM).map(|at| (centres[centre + at] + 0.6 * gauss()) as f32).collect::<Vec<f32>>()
        })
        .collect();
    let norms = vectors.chunks(DIM).map(inverse_norm).collect();
    (vectors, norms)
}

fn build(vectors: &[f32], norms: &[f32], metric: Metric, threads: usize) -> CodeGraph {
    let space = PointSpace::of(metric, vectors, DIM);
    let codes = Arc::new(Int8Rows::encode(space, vectors, norms, 3));
    CodeGraph::build(codes, OPTIONS, 9, &|| false, &pool(threads)).unwrap()
}

/// How many of the ten nearest are among the 30 that a walk gives, of all queries.
fn recall(graph: &CodeGraph, vectors: &[f32], norms: &[f32], queries: &[f32], metric: Metric) -> f64 {
    recall_at(graph, vectors, norms, queries, metric, 96)
}

fn recall_at(
    graph: &CodeGraph,
    vectors: &[f32],
    norms: &[f32],
    queries: &[f32],
    metric: Metric,
    ef: usize,
) -> f64 {
    let block = RowBlock { vectors, inverse_norms: norms, first_slot: SlotId::new(0) };
    let (mut found, mut work) = (0, Work::default());
    for query in queries.chunks(DIM) {
        let mut best = TopK::new(10);
        scan(block, &QueryScorer::new(metric, query), None, &mut best, &mut work, &|| false);
        let walked = graph.search(
            DenseQuery::new(query, &OnceLock::new()),
            GraphRequest { k: 30.min(ef), ef, settled: 30 },
            &mut work,
        );
        let contains = |slot: SlotId| walked.rows.iter().any(|row| row.1 == slot);
        found += best.into_sorted().iter().filter(|(_, slot)| contains(*slot)).count();
    }
    found as f64 / (queries.len() / DIM * 10) as f64
}

#[test]
fn walks_find_what_scans_find_for_every_metric_and_any_number_of_builders() {
    let (all, _) = clustered(6_100, 41);
    let (vectors, queries) = all.split_at(6_000 * DIM);
    let norms: Vec<f32> = vectors.chunks(DIM).map(inverse_norm).collect();
    for metric in [Metric::Cosine, Metric::DotProduct, Metric::Euclidean] {
        for threads in [1, 3] {
            let graph = build(vectors, &norms, metric, threads);
            let recall = recall(&graph, vectors, &norms, queries, metric);
            assert!(recall > 0.99, "{metric}, {threads} threads: {recall}");
        }
    }
}

#[test]
fn one_thread_builds_the_same_graph_again() {
    let (vectors, norms) = clustered(2_000, 42);
    let links = |graph: &CodeGraph| -> Vec<Vec<u32>> {
        (0..2_000).map(|row| graph.links.of(row).collect()).collect()
    };
    let first = build(&vectors, &norms, Metric::Cosine, 1);
    assert_eq!(links(&first), links(&build(&vectors, &norms, Metric::Cosine, 1)));
}

#[test]
fn links_are_rows_none_twice_and_never_the_row_itself() {
    let (vectors, norms) = clustered(3_000, 43);
    check_links(&build(&vectors, &norms, Metric::Euclidean, 3), 3_000);
}

fn check_links(graph: &CodeGraph, rows: usize) {
    assert_eq!(graph.rows(), rows);
    for row in 0..rows as u32 {
        let mut links: Vec<u32> = graph.links.of(row).collect();
        let is_good = |link: &u32| (*link as usize) < rows && *link != row;
        assert!(!links.is_empty() && links.len() <= 32 && links.iter().all(is_good));
        links.sort_unstable();
        links.dedup();
        assert_eq!(links.len(), graph.links.of(row).count());
    }
}

#[test]
fn small_equal_and_empty_sets_of_rows_have_graphs() {
    for (count, value) in [(0, 0.0), (1, 1.0), (5, 0.0), (500, 2.5)] {
        let vectors = vec![value; count * DIM];
        let norms: Vec<f32> = vectors.chunks(DIM).map(inverse_norm).collect();
        for metric in [Metric::Cosine, Metric::DotProduct, Metric::Euclidean] {
            let graph = build(&vectors, &norms, metric, 1);
            let found = graph.search(
                DenseQuery::new(&[1.0; DIM], &OnceLock::new()),
                GraphRequest { k: 10, ef: 20, settled: 10 },
                &mut Work::default(),
            );
            let close = found.close(&graph, 10, |_| true);
            assert_eq!(close.rows.len(), count, "{metric} {count}");
        }
    }
}

#[test]
fn a_stopped_build_says_so_and_bad_options_are_refused() {
    let (vectors, norms) = clustered(3_000, 44);
    let codes = Arc::new(Int8Rows::encode(PointSpace::Unit, &vectors, &norms, 3));
    let stopped = CodeGraph::build(Arc::clone(&codes), OPTIONS, 9, &|| true, &pool(1));
    assert!(matches!(stopped, Err(GraphError::Stopped)));
    let refused = CodeGraph::build(codes, GraphOptions { m: 1, ef_construction: 9 }, 9, &|| false, &pool(1));
    assert!(matches!(refused, Err(GraphError::Options { m: 1, .. })));
}

/// A graph's parts, which a test may spoil.
#[derive(Clone)]
struct Parts {
    options: GraphOptions,
    entries: Vec<u32>,
    links: Vec<u32>,
}

impl Parts {
    fn of(graph: &CodeGraph) -> Self {
        Self { options: OPTIONS, entries: graph.entries().to_vec(), links: graph.links().collect() }
    }

    fn graph(&self, codes: &Arc<Int8Rows>) -> Result<CodeGraph, GraphError> {
        let Self { options, entries, links } = self;
        CodeGraph::from_parts(Arc::clone(codes), GraphParts { options: *options, entries, links })
    }
}

#[test]
fn a_graph_that_was_taken_apart_walks_as_before() {
    let (all, _) = clustered(3_050, 45);
    let (vectors, queries) = all.split_at(3_000 * DIM);
    let norms: Vec<f32> = vectors.chunks(DIM).map(inverse_norm).collect();
    let graph = build(vectors, &norms, Metric::DotProduct, 3);
    let again = Parts::of(&graph).graph(&graph.codes).unwrap();
    for query in queries.chunks(DIM) {
        let walk = |graph: &CodeGraph| {
            let mut work = Work::default();
            (
                graph.search(
                    DenseQuery::new(query, &OnceLock::new()),
                    GraphRequest { k: 30, ef: 60, settled: 30 },
                    &mut work,
                ),
                work,
            )
        };
        assert_eq!(walk(&graph), walk(&again));
    }
    assert_eq!(graph.bytes(), again.bytes());
    let empty = build(&[], &[], Metric::Cosine, 1);
    assert_eq!(Parts::of(&empty).graph(&empty.codes).unwrap().rows(), 0);
}

#[test]
fn spoilt_parts_make_no_graph() {
    let (vectors, norms) = clustered(600, 46);
    let graph = build(&vectors, &norms, Metric::Cosine, 1);
    let good = Parts::of(&graph);
    let is_short = |list: &[u32]| list[31] == u32::MAX;
    let short = good.links.chunks(32).position(is_short).unwrap();
    type Spoiler<'a> = (&'a str, &'a dyn Fn(&mut Parts));
    let spoilers: [Spoiler<'_>; 10] = [
        ("not as many links", &|parts| parts.links.truncate(599 * 32)),
        ("not as many links", &|parts| parts.options.m = 15),
        ("a link leads to no row", &|parts| parts.links[32 * 17] = 600),
        ("a link leads to no row", &|parts| parts.links[32 * 17 + 1] = u32::MAX >> 1),
        ("a row is linked to itself", &|parts| parts.links[32 * 17] = 17),
        ("a list goes on after its end", &|parts| parts.links[32 * short + 31] = 3),
        ("not as many entries", &|parts| parts.entries.truncate(255)),
        ("an entry is no row", &|parts| parts.entries[9] = 600),
        ("an entry comes twice", &|parts| parts.entries[9] = parts.entries[200]),
        ("m must be 2 to 128", &|parts| parts.options.m = 1),
    ];
    assert!(good.graph(&graph.codes).is_ok());
    for (expected, spoil) in spoilers {
        let mut parts = good.clone();
        spoil(&mut parts);
        let problem = parts.graph(&graph.codes).unwrap_err().to_string();
        assert!(problem.contains(expected), "{problem}, not: {expected}");
    }
}

#[test]
fn a_row_for_which_none_with_links_stands_makes_no_graph() {
    let (vectors, norms) = clustered(600, 46);
    let graph = build(&vectors, &norms, Metric::Cosine, 1);
    let good = Parts::of(&graph);
    let spoilt = |pairs: &[(usize, u32)], more: &dyn Fn(&mut Parts)| {
        let mut parts = good.clone();
        for (row, owner) in pairs {
            parts.links[32 * row..32 * (row + 1)].fill(u32::MAX);
            parts.links[32 * row] = owner | 1 << 31;
        }
        more(&mut parts);
        parts.graph(&graph.codes).map_err(|error| error.to_string())
    };
    let mut others = (0..600_u32).filter(|row| !good.entries.contains(row));
    let (a, b) = (others.next().unwrap(), others.next().unwrap());
    let (row, entry) = (a as usize, good.entries[0] as usize);
    assert!(spoilt(&[(row, b)], &|_| ()).is_ok());
    for (pairs, expected) in [
        (vec![(row, 600)], "no row with links stands for a row"),
        (vec![(row, a)], "no row with links stands for a row"),
        (vec![(row, b), (b as usize, 3)], "no row with links stands for a row"),
        (vec![(entry, b)], "another row stands for an entry"),
    ] {
        let problem = spoilt(&pairs, &|_| ()).unwrap_err();
        assert!(problem.contains(expected), "{problem}, not: {expected}");
    }
    let problem = spoilt(&[(row, b)], &|parts| parts.links[32 * row + 1] = 3).unwrap_err();
    assert!(problem.contains("a list goes on after its end"), "{problem}");
}

#[test]
fn copies_are_found_by_the_row_that_stands_for_them_also_after_it_is_gone() {
    let (all, _) = clustered(1_100, 47);
    let (others, queries) = all.split_at(1_000 * DIM);
    // Two thousand copies of one row among a thousand others.
    let vectors = [others, &others[..DIM].repeat(2_000)].concat();
    let norms: Vec<f32> = vectors.chunks(DIM).map(inverse_norm).collect();
    for metric in [Metric::Cosine, Metric::DotProduct, Metric::Euclidean] {
        let graph = build(&vectors, &norms, metric, 1);
        assert!(graph.members.len() >= 1_990, "{metric}: {}", graph.members.len());
        let again = Parts::of(&graph).graph(&graph.codes).unwrap();
        let asked = |graph: &CodeGraph, query: &[f32], k: usize, is_wanted: &dyn Fn(SlotId) -> bool| {
            let request = GraphRequest { k: 60, ef: 60, settled: 30 };
            let codes = OnceLock::new();
            let found = graph.search(DenseQuery::new(query, &codes), request, &mut Work::default());
            found.close(graph, k, is_wanted).rows
        };
        let copy = &others[..DIM];
        assert_eq!(asked(&graph, copy, 2_001, &|_| true).len(), 2_001, "{metric}");
        // Whoever stands for the others is not wanted itself.
        let owner = graph.links.owner(1_500).unwrap_or(1_500);
        let wanted = asked(&graph, copy, 10, &|row| row.get() != owner);
        assert!(wanted.len() == 2_000 && !wanted.contains(&SlotId::new(owner)), "{metric}");
        for query in queries.chunks(DIM) {
            assert_eq!(asked(&graph, query, 10, &|_| true), asked(&again, query, 10, &|_| true), "{metric}");
        }
        // A merge keeps who stands for whom, unless that row is gone.
        let number = |row: u32| (row != owner).then(|| row - u32::from(row > owner));
        assert_eq!(graph.beginning(2_999, &number).unwrap().links.owner(1_600), None, "{metric}");
        let same = graph.beginning(3_000, &|row| Some(row)).unwrap();
        assert_eq!(same.sound_rows(), 3_000, "{metric}");
        assert_eq!(same.links.owner(1_600), graph.links.owner(1_600), "{metric}");
    }
}
