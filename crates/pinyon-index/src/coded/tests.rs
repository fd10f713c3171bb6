//! Codes against scans of the vectors.

mod bits_alone;

use super::*;
use crate::sequential::K;
use crate::{RowBlock, scan as scan_vectors, scan_slots};
use pinyon_distance::inverse_norm;
use pinyon_types::SeededRng;
use std::sync::OnceLock;

const DIM: usize = 96;

struct Set {
    vectors: Vec<f32>,
    norms: Vec<f32>,
}

impl Set {
    /// Points around sixty centres, of different lengths.
    fn clustered(count: usize, seed: u64) -> Self {
        let mut rng = SeededRng::new(seed);
        let mut gauss = || (0..12).map(|_| rng.unit()).sum::<f64>() - 6.0;
        let centres: Vec<f64> = (0..60 * DIM).map(|_| gauss()).collect();
        let rows = (0..count).flat_map(|row| {
            let (centre, length) = (row * 7919 % 60 * DIM, 1.0 + 0.2 * gauss().abs());
            (0..DIM).map(|at| ((centres[centre + at] + 0.7 * gauss()) * length) as f32).collect::<Vec<f32>>()
        });
        let vectors: Vec<f32> = rows.collect();
        let norms = vectors.chunks(DIM).map(inverse_norm).collect();
        Self { vectors, norms }
    }

    fn block(&self) -> RowBlock<'_> {
        RowBlock { vectors: &self.vectors, inverse_norms: &self.norms, first_slot: SlotId::new(1000) }
    }
}

fn build(block: RowBlock<'_>, metric: Metric) -> CodedRows {
    let bytes = CodedRows::bytes_of(block, metric, &|| false).unwrap();
    done(CodedRows::build(bytes, block, metric, &|| false))
}

fn done(coding: Coding) -> CodedRows {
    match coding {
        Coding::Done(coded) => coded,
        other => panic!("{other:?}"),
    }
}

const EVERY_ROW: Wanted<'_> = Wanted { is_wanted: &|_| true, stop: &|| false };

fn found(
    coded: &CodedRows,
    set: &Set,
    metric: Metric,
    query: &[f32],
    wanted: &dyn Fn(u32) -> bool,
    k: usize,
) -> Vec<SlotId> {
    let scorer = QueryScorer::new(metric, query);
    let mut best = TopK::new(k);
    let wanted = Wanted { is_wanted: wanted, stop: &|| false };
    let end = coded.search(
        (set.block().into(), &scorer),
        (DenseQuery::new(query, &OnceLock::new()), Effort::NORMAL),
        wanted,
        &mut best,
        &mut Work::default(),
    );
    assert_eq!(end, ScanEnd::Done);
    best.into_sorted().into_iter().map(|(_, slot)| slot).collect()
}

#[test]
fn codes_find_what_the_vectors_say_with_and_without_rows_left_out() {
    for count in [300, 5_000] {
        let all = Set::clustered(count + 40, 61);
        let set = Set { vectors: all.vectors[..count * DIM].to_vec(), norms: all.norms[..count].to_vec() };
        for metric in [Metric::Cosine, Metric::DotProduct, Metric::Euclidean] {
            let coded = build(set.block(), metric);
            // Even rows lie around even centres only: for every other query all of them are far.
            for is_wanted in [(|_| true) as fn(u32) -> bool, |row| row % 2 == 0, |row| row % 50 == 7] {
                for k in [1, 10, 60] {
                    let (mut hits, mut total) = (0, 0);
                    for query in all.vectors[count * DIM..].chunks(DIM) {
                        let dead =
                            (0..count as u32).filter(|row| !is_wanted(*row)).map(|row| row + 1000).collect();
                        let (scorer, mut best) = (QueryScorer::new(metric, query), TopK::new(k));
                        scan_vectors(
                            set.block(),
                            &scorer,
                            Some(&dead),
                            &mut best,
                            &mut Work::default(),
                            &|| false,
                        );
                        let expected = best.into_sorted();
                        let found = found(&coded, &set, metric, query, &is_wanted, k);
                        assert_eq!(found.len(), expected.len());
                        assert!(found.iter().all(|slot| is_wanted(slot.get() - 1000)));
                        hits += expected.iter().filter(|(_, slot)| found.contains(slot)).count();
                        total += expected.len();
                    }
                    // Of few results one miss is many of a hundred.
                    assert!(hits + 2 + total / 100 >= total, "{metric} {count} {k}: {hits} of {total}");
                }
            }
        }
    }
}

#[test]
fn bits_choose_among_named_rows_where_rows_lie_apart() {
    const ROWS: usize = APART_ROWS_MIN;
    let all = Set::clustered(ROWS + 200, 66);
    let set = Set { vectors: all.vectors[..ROWS * DIM].to_vec(), norms: all.norms[..ROWS].to_vec() };
    for metric in [Metric::Cosine, Metric::Euclidean] {
        let coded = build(set.block(), metric);
        // Even rows lie around even centres only: for every other query all of them are far, and bits tell them apart badly.
        for (named, has_bits) in [(2, true), (3, true), (100, false)] {
            let rows: Vec<u32> = (0..ROWS as u32).step_by(named).collect();
            let slots = rows.iter().map(|row| row + 1000).collect();
            let (mut hits, mut read) = (0, 0);
            for query in all.vectors[ROWS * DIM..].chunks(DIM) {
                let scorer = QueryScorer::new(metric, query);
                let [mut expected, mut found] = [TopK::new(K), TopK::new(K)];
                scan_slots(set.block(), &scorer, &slots, &mut expected, &mut Work::default(), &|| false);
                let mut work = Work::default();
                coded.search_rows(
                    (set.block().into(), &scorer),
                    (DenseQuery::new(query, &OnceLock::new()), Effort::NORMAL),
                    (&rows, &|| false),
                    &mut found,
                    &mut work,
                );
                assert_eq!(work.sign_distances, if has_bits { rows.len() as u64 } else { 0 });
                read += work.code_distances;
                let expected = expected.into_sorted();
                hits += found.into_sorted().iter().filter(|one| expected.contains(one)).count();
            }
            assert!(
                !has_bits || read * 3 < (rows.len() * 200) as u64,
                "{metric} {named}: bytes of {read} were read"
            );
            assert!(hits >= 1990, "{metric} {named}: {hits} of 2000");
        }
    }
}

#[test]
fn rows_that_are_named_are_the_only_ones() {
    let set = Set::clustered(900, 62);
    let coded = build(set.block(), Metric::Cosine);
    let query = &set.vectors[..DIM];
    let scorer = QueryScorer::new(Metric::Cosine, query);
    let (mut best, mut work) = (TopK::new(5), Work::default());
    coded.search_rows(
        (set.block().into(), &scorer),
        (DenseQuery::new(query, &OnceLock::new()), Effort::NORMAL),
        (&[3, 0, 899], &|| false),
        &mut best,
        &mut work,
    );
    let slots: Vec<u32> = best.into_sorted().into_iter().map(|(_, slot)| slot.get()).collect();
    assert_eq!(slots[0], 1000);
    assert!(slots.len() == 3 && slots.contains(&1003) && slots.contains(&1899));
    assert_eq!((work.code_distances, work.distances), (3, 3));
}

#[test]
fn a_bound_leaves_out_only_what_lies_beyond_it() {
    for (metric, rows) in [(Metric::Cosine, 900), (Metric::DotProduct, 5_000), (Metric::Euclidean, 5_000)] {
        let set = Set::clustered(rows, 66);
        let coded = build(set.block(), metric);
        let named: Vec<u32> = (0..rows as u32).step_by(2).collect();
        let (mut read, mut read_within) = (0, 0);
        for query in set.vectors.chunks(DIM).step_by(rows / 90) {
            let (scorer, codes) = (QueryScorer::new(metric, query), OnceLock::new());
            let ask = |bound: Distance, among: Option<&[u32]>, distances: &mut u64| {
                let asked = (DenseQuery { bound, ..DenseQuery::new(query, &codes) }, Effort::NORMAL);
                let (mut best, mut work, rows) =
                    (TopK::new(K), Work::default(), (set.block().into(), &scorer));
                match among {
                    Some(among) => coded.search_rows(rows, asked, (among, &|| false), &mut best, &mut work),
                    None => coded.search(rows, asked, EVERY_ROW, &mut best, &mut work),
                };
                *distances += work.distances;
                best.into_sorted()
            };
            for among in [None, Some(&*named)] {
                let all = ask(Distance::FARTHEST, among, &mut read);
                let bound = all[3].0;
                let within = ask(bound, among, &mut read_within);
                let expected = all.partition_point(|one| one.0 <= bound);
                assert_eq!(within.get(..expected), Some(&all[..expected]), "{metric}");
            }
        }
        assert!(read_within * 3 < read * 2, "{metric}: {read_within} and {read}");
    }
}

#[test]
fn a_stopped_search_says_so() {
    let set = Set::clustered(20_000, 63);
    let coded = build(set.block(), Metric::Cosine);
    let query = &set.vectors[..DIM];
    let scorer = QueryScorer::new(Metric::Cosine, query);
    let (mut best, mut work) = (TopK::new(5), Work::default());
    let wanted = Wanted { is_wanted: &|_| true, stop: &|| true };
    let end = coded.search(
        (set.block().into(), &scorer),
        (DenseQuery::new(query, &OnceLock::new()), Effort::NORMAL),
        wanted,
        &mut best,
        &mut work,
    );
    assert_eq!(end, ScanEnd::Stopped);
    assert_eq!(work.sign_distances, ROWS_PER_CHECK as u64);
    let (mut best, mut work) = (TopK::new(5), Work::default());
    let rows: Vec<u32> = (0..20_000).step_by(2).collect();
    let codes = OnceLock::new();
    let query = (DenseQuery::new(query, &codes), Effort::NORMAL);
    let end =
        coded.search_rows((set.block().into(), &scorer), query, (&rows, &|| true), &mut best, &mut work);
    assert_eq!(end, ScanEnd::Stopped);
    assert_eq!(work.sign_distances, ROWS_PER_CHECK as u64);
    assert_eq!(best.into_sorted().len(), 5, "the nearest of what was looked at");
}

#[test]
fn codes_of_a_part_are_those_of_its_rows_alone() {
    let set = Set::clustered(6_000, 64);
    let (metric, rows) = (Metric::Euclidean, 500..5_300);
    let (vectors, norms) = (&set.vectors[rows.start * DIM..rows.end * DIM], &set.norms[rows.start..rows.end]);
    let block = RowBlock { vectors, inverse_norms: norms, first_slot: SlotId::new(0) };
    let alone = build(block, metric);
    let whole = CodedRows::bytes_of(set.block(), metric, &|| false).unwrap();
    let part = done(CodedRows::build(whole.part(rows), block, metric, &|| false));
    assert_eq!((part.test(), part.bytes_codes().bytes()), (alone.test(), alone.bytes_codes().bytes()));
    for query in set.vectors.chunks(DIM).step_by(300) {
        let (scorer, wanted) =
            (QueryScorer::new(metric, query), Wanted { is_wanted: &|_| true, stop: &|| false });
        let search = |coded: &CodedRows| {
            let (mut best, mut work) = (TopK::new(10), Work::default());
            coded.search(
                (block.into(), &scorer),
                (DenseQuery::new(query, &OnceLock::new()), Effort::NORMAL),
                wanted,
                &mut best,
                &mut work,
            );
            (best.into_sorted(), work)
        };
        assert_eq!(search(&part), search(&alone));
    }
}

#[test]
fn whenever_coding_is_told_to_stop_it_does_no_more() {
    const COUNT: usize = 5_000;
    let (set, metric) = (Set::clustered(COUNT, 71), Metric::DotProduct);
    let block = set.block();
    let asked = std::cell::Cell::new(0);
    // The look at which it is told.
    let stop_at = |at: usize| {
        let asked = &asked;
        asked.set(0);
        move || asked.replace(asked.get() + 1) == at
    };
    let code = |stop: &dyn Fn() -> bool| {
        let bytes = CodedRows::bytes_of(block, metric, stop)?;
        match CodedRows::build(bytes, block, metric, stop) {
            Coding::Stopped => None,
            other => Some(done(other)),
        }
    };
    let stopped = (0..).take_while(|at| code(&stop_at(*at)).is_none() && asked.get() == at + 1).count();
    assert!(code(&stop_at(stopped)).is_some(), "it was stopped and went on");
    // Bytes, the mean and signs every thousand rows, exact answers every quarter of that, depths each.
    assert_eq!(stopped, 3 * COUNT.div_ceil(1024) + COUNT.div_ceil(256) + 1);
}
