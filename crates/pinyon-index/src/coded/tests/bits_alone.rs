//! Bits without bytes, and bits that were kept.

use super::*;
use std::cell::RefCell;

fn bits_of(set: &Set, metric: Metric) -> CodedRows {
    let built = CodedRows::build_bits(set.block(), metric, &|| false);
    done(built.expect("there are enough rows for bits"))
}

/// A set, and queries that lie like its rows.
fn set_and_queries(rows: usize, seed: u64) -> (Set, Vec<f32>) {
    let mut all = Set::clustered(rows + 40, seed);
    let queries = all.vectors.split_off(rows * DIM);
    all.norms.truncate(rows);
    (all, queries)
}

/// What a search finds, its work, and the rows that were told before they were read.
fn search(
    coded: &CodedRows,
    set: &Set,
    (metric, query, named): (Metric, &[f32], Option<&[u32]>),
) -> (Vec<(Distance, SlotId)>, Work, Vec<u32>) {
    let told = RefCell::new(Vec::new());
    let before = |rows: &[u32]| told.borrow_mut().extend_from_slice(rows);
    let (scorer, codes) = (QueryScorer::new(metric, query), OnceLock::new());
    let vectors = (Vectors { block: set.block(), before: &before }, &scorer);
    let asked = (DenseQuery::new(query, &codes), Effort::NORMAL);
    let (mut best, mut work) = (TopK::new(K), Work::default());
    match named {
        Some(rows) => coded.search_rows(vectors, asked, (rows, &|| false), &mut best, &mut work),
        None => coded.search(vectors, asked, EVERY_ROW, &mut best, &mut work),
    };
    (best.into_sorted(), work, told.into_inner())
}

#[test]
fn bits_alone_find_what_bits_and_bytes_find_and_read_vectors_instead() {
    for (rows, metric) in
        [(5_000, Metric::Cosine), (5_000, Metric::DotProduct), (APART_ROWS_MIN, Metric::Euclidean)]
    {
        let (set, queries) = set_and_queries(rows, 91);
        let (both, alone) = (build(set.block(), metric), bits_of(&set, metric));
        assert!(both.has_bytes() && !alone.has_bytes());
        assert_eq!(alone.memory_bytes().0, 0);
        assert_eq!(alone.memory_bytes().1, both.memory_bytes().1);
        assert_eq!(alone.test().deviations, both.test().deviations, "{metric}");
        assert!(!alone.test().is_dear, "{metric} {:?}", alone.test());
        let named: Vec<u32> = (0..rows as u32).step_by(3).collect();
        for among in [None, Some(&*named), Some(&named[..90])] {
            let (mut hits, mut total) = (0, 0);
            for query in queries.chunks(DIM) {
                let (expected, ..) = search(&both, &set, (metric, query, among));
                let (found, work, told) = search(&alone, &set, (metric, query, among));
                hits += expected.iter().filter(|one| found.contains(one)).count();
                total += expected.len();
                assert_eq!(work.code_distances, 0);
                assert!(work.sign_distances == among.map_or(rows, <[u32]>::len) as u64);
                assert!(work.distances * 2 < rows as u64, "{metric}: {} vectors were read", work.distances);
                let is_told = |(_, slot): &(Distance, SlotId)| told.contains(&(slot.get() - 1000));
                assert!(found.iter().all(is_told), "{metric}: one was read before that was told");
            }
            assert!(hits + total / 100 >= total, "{metric}: {hits} of {total}");
        }
    }
}

#[test]
fn vectors_are_told_before_they_are_read_where_there_are_bytes_as_well() {
    let (set, queries) = set_and_queries(5_000, 92);
    let coded = build(set.block(), Metric::Cosine);
    for query in queries.chunks(DIM) {
        let (found, _, told) = search(&coded, &set, (Metric::Cosine, query, None));
        assert!(found.iter().all(|(_, slot)| told.contains(&(slot.get() - 1000))));
        assert!(told.len() < 500, "{} of 5000", told.len());
    }
}

#[test]
fn a_thousand_copies_are_a_crowd_for_bits_alone_too() {
    let (mut set, _) = set_and_queries(5_000, 93);
    let one = set.vectors[..DIM].to_vec();
    set.vectors.chunks_mut(DIM).take(4_000).for_each(|row| row.copy_from_slice(&one));
    set.norms.iter_mut().take(4_000).for_each(|norm| *norm = inverse_norm(&one));
    let [alone, both] = [bits_of(&set, Metric::Cosine), build(set.block(), Metric::Cosine)];
    assert_eq!(alone.test().deviations, both.test().deviations);
    let (found, ..) = search(&alone, &set, (Metric::Cosine, &one, None));
    assert!(found.iter().all(|(_, slot)| slot.get() < 5_000), "{found:?}");
}

#[test]
fn what_was_kept_searches_as_what_was_made() {
    for metric in [Metric::Cosine, Metric::DotProduct, Metric::Euclidean] {
        let (set, queries) = set_and_queries(APART_ROWS_MIN, 94);
        let alone = bits_of(&set, metric);
        let again = CodedRows::of_kept(metric, DIM, APART_ROWS_MIN, alone.kept().unwrap()).unwrap();
        assert_eq!((again.test(), again.memory_bytes()), (alone.test(), alone.memory_bytes()));
        let of_both = build(set.block(), metric);
        let kept = of_both.kept().unwrap();
        assert!((kept.words, kept.mean) == (alone.kept().unwrap().words, alone.kept().unwrap().mean));
        assert!(kept.test.vectors_read >= of_both.test().bytes_read && !kept.test.is_dear);
        for query in queries.chunks(DIM) {
            let asked = (metric, query, None);
            assert_eq!(search(&again, &set, asked), search(&alone, &set, asked), "{metric}");
        }
    }
}

#[test]
fn what_is_not_of_these_rows_is_not_taken() {
    let (set, _) = set_and_queries(APART_ROWS_MIN, 95);
    let alone = bits_of(&set, Metric::DotProduct);
    let kept = alone.kept().unwrap();
    let of = |metric, dim, rows, kept| CodedRows::of_kept(metric, dim, rows, kept).is_some();
    assert!(of(Metric::DotProduct, DIM, APART_ROWS_MIN, kept));
    for rows in [0, APART_ROWS_MIN - 1, APART_ROWS_MIN + 9, usize::MAX] {
        assert!(!of(Metric::DotProduct, DIM, rows, kept), "{rows}");
    }
    assert!(
        !of(Metric::Cosine, DIM, APART_ROWS_MIN, kept) && !of(Metric::DotProduct, 95, APART_ROWS_MIN, kept)
    );
    let words = &kept.words[..kept.words.len() - 1];
    assert!(!of(Metric::DotProduct, DIM, APART_ROWS_MIN, KeptBits { words, ..kept }));
    let lifted_to = f32::NAN;
    assert!(!of(Metric::DotProduct, DIM, APART_ROWS_MIN, KeptBits { lifted_to, ..kept }));
    assert!(bits_few().is_none(), "too few rows for bits");
}

fn bits_few() -> Option<Coding> {
    let set = Set::clustered(SIGNS_ROWS_MIN - 1, 96);
    CodedRows::build_bits(set.block(), Metric::Cosine, &|| false)
}
