//! Codes against the vectors they stand for, and every set of kernels against the plain one.

mod bounds;

use super::*;
use crate::{CodeKernels, inverse_norm, reference};
use pinyon_types::{Metric, SeededRng};

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::DotProduct, Metric::Euclidean];
const LAYOUTS: [SignLayout; 2] = [SignLayout::Interleaved, SignLayout::Apart];

fn gauss(rng: &mut SeededRng) -> f32 {
    ((0..12).map(|_| rng.unit()).sum::<f64>() - 6.0) as f32
}

fn random(rng: &mut SeededRng, length: usize) -> Vec<f32> {
    (0..length).map(|_| gauss(rng)).collect()
}

struct Set {
    dim: usize,
    vectors: Vec<f32>,
    norms: Vec<f32>,
}

impl Set {
    fn new(rng: &mut SeededRng, rows: usize, dim: usize) -> Self {
        let vectors = random(rng, rows * dim);
        let norms = vectors.chunks(dim).map(inverse_norm).collect();
        Self { dim, vectors, norms }
    }

    fn int8(&self, metric: Metric) -> Int8Rows {
        let space = PointSpace::of(metric, &self.vectors, self.dim);
        Int8Rows::encode(space, &self.vectors, &self.norms, 7)
    }

    fn signs(&self, int8: &Int8Rows, space: PointSpace, layout: SignLayout) -> SignRows {
        let points: Vec<Vec<f32>> = self
            .vectors
            .chunks(self.dim)
            .zip(&self.norms)
            .map(|(row, norm)| {
                let mut point = Vec::new();
                int8.point(row, *norm, &mut point);
                point
            })
            .collect();
        let mean = (0..space.dim(self.dim)).map(|at| points.iter().map(|point| point[at]).sum::<f32>());
        let mean = mean.map(|sum| sum / points.len() as f32).collect();
        let mut signs = SignRows::new(space, mean, layout);
        points.iter().for_each(|point| signs.push(point));
        signs
    }

    /// What codes estimate, exactly, up to what is the same for all rows.
    fn expected(&self, metric: Metric, query: &[f32], row: usize) -> f64 {
        let vector = &self.vectors[row * self.dim..(row + 1) * self.dim];
        let dot = reference::dot_f64(query, vector);
        match metric {
            Metric::Cosine => {
                let lengths = reference::dot_f64(query, query) * reference::dot_f64(vector, vector);
                1.0 - 2.0 * dot / lengths.sqrt()
            }
            Metric::DotProduct => {
                let longest = self.vectors.chunks(self.dim).map(|row| reference::dot_f64(row, row));
                let (longest, query) = (longest.fold(0.0, f64::max), reference::dot_f64(query, query));
                longest - 2.0 * dot * (longest / query).sqrt()
            }
            Metric::Euclidean => reference::dot_f64(vector, vector) - 2.0 * dot,
        }
    }
}

#[test]
fn a_rotation_keeps_inner_products_and_spreads_what_is_in_one_component() {
    let mut rng = SeededRng::new(31);
    for dim in [1, 2, 3, 7, 64, 100, 384, 385, 1536] {
        let rotation = Rotation::new(dim, 5);
        let (mut a, mut b) = (random(&mut rng, dim), random(&mut rng, dim));
        let before = reference::dot_f64(&a, &b);
        let length = reference::dot_f64(&a, &a);
        rotation.apply(&mut a);
        rotation.apply(&mut b);
        assert!((reference::dot_f64(&a, &b) - before).abs() < 1e-4 * dim as f64, "{dim}");
        assert!((reference::dot_f64(&a, &a) - length).abs() < 1e-4 * length, "{dim}");
        if dim >= 64 {
            let mut single = vec![0.0; dim];
            single[dim / 3] = 1.0;
            rotation.apply(&mut single);
            assert!(single.iter().all(|component| component.abs() < 0.5), "{dim}");
        }
    }
    Rotation::new(0, 1).apply(&mut []);
}

#[test]
fn rows_whose_bytes_are_farther_apart_than_they_are_uncertain_lie_in_that_order() {
    let mut rng = SeededRng::new(37);
    let (mut pairs, mut certain, mut wrong) = (0, 0, 0);
    for dim in [3, 64, 385, 1536] {
        let set = Set::new(&mut rng, 120, dim);
        for metric in METRICS {
            let rows = set.int8(metric);
            let query = random(&mut rng, dim);
            let asked = rows.query(&rows.query_point(&query));
            let mut distances = vec![0.0; 120];
            asked.distances(&rows, 0, &mut distances);
            let errors: Vec<f32> = (0..120).map(|row| asked.errors().of(&rows, row)).collect();
            assert!(errors.iter().all(|one| *one <= asked.errors().most(rows.coarsest())));
            let expected: Vec<f64> = (0..120).map(|row| set.expected(metric, &query, row)).collect();
            for (near, far) in (0..120).flat_map(|near| (0..120).map(move |far| (near, far))) {
                let apart = distances[far] - distances[near];
                pairs += usize::from(apart > 0.0);
                if apart > errors[near] + errors[far] {
                    certain += 1;
                    wrong += usize::from(expected[far] < expected[near]);
                }
            }
        }
    }
    assert!(wrong * 5_000 < certain, "{wrong} of {certain}");
    assert!(certain * 10 > pairs * 9, "hardly anything is certain: {certain} of {pairs}");
}

#[test]
fn bytes_estimate_distances_of_every_metric() {
    let mut rng = SeededRng::new(32);
    for dim in [1, 3, 64, 65, 384, 1536] {
        let set = Set::new(&mut rng, 70, dim);
        for metric in METRICS {
            let rows = set.int8(metric);
            let query = random(&mut rng, dim);
            let asked = rows.query(&rows.query_point(&query));
            let mut out = vec![0.0; 70];
            asked.distances(&rows, 0, &mut out);
            for (row, found) in out.iter().enumerate() {
                let expected = set.expected(metric, &query, row);
                // Half a unit of 127 in every component of both, and they do not all err in one direction.
                let spread = if metric == Metric::Cosine { 0.05 } else { 0.05 * dim as f64 };
                assert!(
                    (f64::from(*found) - expected).abs() < spread.max(0.2),
                    "{metric} {dim}: {found} {expected}"
                );
            }
            let at: Vec<u32> = (0..70).rev().step_by(3).collect();
            let mut picked = vec![0.0; at.len()];
            asked.distances_at(&rows, &at, &mut picked);
            for (row, found) in at.iter().zip(picked) {
                assert_eq!(found.to_bits(), out[*row as usize].to_bits(), "alone and in a batch");
            }
        }
    }
}

#[test]
fn a_row_is_at_about_no_distance_from_itself_and_rows_are_symmetric() {
    let mut rng = SeededRng::new(33);
    let set = Set::new(&mut rng, 20, 200);
    for metric in METRICS {
        let rows = set.int8(metric);
        let mut all = [[0.0; 20]; 20];
        for (row, out) in all.iter_mut().enumerate() {
            rows.row_query(row).distances(&rows, 0, out);
        }
        let scale = all[0].iter().fold(0.0_f32, |most, one| most.max(*one));
        for (a, of_a) in all.iter().enumerate() {
            assert!(of_a[a].abs() < 0.02 * scale, "{metric}: {} of {scale}", of_a[a]);
            for (b, of_b) in all.iter().enumerate() {
                assert!((of_a[b] - of_b[a]).abs() < 1e-4 * scale);
            }
        }
    }
}

#[test]
fn bytes_per_row_are_those_of_rows_in_memory() {
    for (metric, dim) in METRICS.into_iter().flat_map(|metric| [1, 63, 64, 384].map(|dim| (metric, dim))) {
        let set = Set::new(&mut SeededRng::new(9), 16, dim);
        let int8 = set.int8(metric);
        assert_eq!(int8.bytes(), 16 * Int8Rows::bytes_per_row(metric, dim), "{metric} {dim}");
        for layout in LAYOUTS {
            let signs = set.signs(&int8, PointSpace::of(metric, &set.vectors, dim), layout);
            assert_eq!(
                signs.bytes(),
                SignRows::bytes_for(layout, metric, dim, 16),
                "{metric} {dim} {layout:?}"
            );
            // Where rows lie apart, four bytes of each are nothing, and there is room to read whole lines.
            let spare = signs.bytes() - 16 * SignRows::bytes_per_row(metric, dim);
            let spare_max = if layout == SignLayout::Apart { 16 * 4 + 2 * LINE_BYTES } else { 0 };
            assert!(spare <= spare_max, "{metric} {dim} {layout:?}: {spare}");
        }
    }
}

#[test]
fn signs_order_rows_about_as_distances_do() {
    let mut rng = SeededRng::new(34);
    for dim in [64, 100, 384] {
        let set = Set::new(&mut rng, 500, dim);
        for metric in METRICS {
            let int8 = set.int8(metric);
            let signs = set.signs(&int8, PointSpace::of(metric, &set.vectors, dim), SignLayout::Interleaved);
            // Near to row 123, which must be among the best tenth.
            let query: Vec<f32> = set.vectors[123 * dim..124 * dim]
                .iter()
                .map(|component| component + 0.5 * gauss(&mut rng))
                .collect();
            let mut out = vec![0.0; 500];
            signs.query(&int8.query_point(&query)).distances(&signs, 0, &mut out);
            let better = out.iter().filter(|one| **one < out[123]).count();
            assert!(better < 50, "{metric} {dim}: {better} rows before it");
        }
    }
}

/// The distances of 45 rows, which must be the same whatever part of them is asked for.
fn distances_of(signs: &SignRows, point: &[f32], kernels: CodeKernels) -> Vec<f32> {
    let query = signs.query(point).with(kernels);
    let some: Vec<u32> = [44, 0, 7, 8, 13, 44, 9].into_iter().chain(8..45).collect();
    let (mut all, mut last, mut at) = (vec![0.0; 45], vec![0.0; 37], vec![0.0; some.len()]);
    query.distances(signs, 0, &mut all);
    query.distances(signs, 8, &mut last);
    query.distances_at(signs, &some, &mut at);
    let expected: Vec<f32> = some.iter().map(|row| all[*row as usize]).collect();
    assert_eq!((&last[..], at), (&all[8..], expected), "{} {:?}", kernels.name(), signs.layout());
    all
}

#[test]
fn all_kernels_agree_bit_for_bit() {
    let mut rng = SeededRng::new(35);
    for dim in [1, 63, 64, 65, 300, 384, 1536] {
        let set = Set::new(&mut rng, 45, dim);
        for metric in METRICS {
            let rows = set.int8(metric);
            let signs =
                LAYOUTS.map(|layout| set.signs(&rows, PointSpace::of(metric, &set.vectors, dim), layout));
            let point = rows.query_point(&random(&mut rng, dim));
            let mut seen: Option<(Vec<u32>, Vec<u32>)> = None;
            for kernels in CodeKernels::available() {
                let mut bytes = vec![0.0; 45];
                rows.query(&point).with(kernels).distances(&rows, 0, &mut bytes);
                let [bits, apart] = signs.each_ref().map(|signs| distances_of(signs, &point, kernels));
                assert_eq!(bits, apart, "{} {metric} {dim}", kernels.name());
                let found = (
                    bytes.iter().map(|one| one.to_bits()).collect(),
                    bits.iter().map(|one| one.to_bits()).collect(),
                );
                if let Some(seen) = &seen {
                    assert_eq!(&found, seen, "{} {metric} {dim}", kernels.name());
                }
                seen = Some(found);
            }
        }
    }
}

#[test]
fn no_set_of_kernels_overflows() {
    let terms = [GroupTerms { norm_squared: [0.0; GROUP], factor: [-1.0; GROUP], ones: [0.0; GROUP] }];
    let estimate = Estimate { of_ones: 0.0, of_sum: 1.0, constant: 0.0 };
    // Up to 20,032 components; 31 words are as many as counts in bytes can take.
    for (kernels, words) in
        CodeKernels::available().into_iter().flat_map(|one| [1, 31, 32, 313].map(|words| (one, words)))
    {
        let (planes, bits) = (vec![u64::MAX; words * PLANES], vec![u64::MAX; words * GROUP]);
        let mut sums = [0.0; GROUP];
        kernels.sign_distances(&planes, &bits, &terms, estimate, &mut sums);
        assert_eq!(sums, [(words * 64 * 15) as f32; GROUP], "{} {words}", kernels.name());
        let whole = words.next_multiple_of(8);
        let planes: Vec<u64> =
            (0..whole * PLANES).map(|at| if at % whole < words { u64::MAX } else { 0 }).collect();
        let mut apart = vec![u64::MAX; words + whole.max(words + TERM_WORDS) + TERM_WORDS];
        // A factor of -1 each, all other terms 0.
        for row in 0..2 {
            let terms = row * (words + TERM_WORDS) + words;
            apart[terms..terms + TERM_WORDS]
                .copy_from_slice(&bytemuck::cast::<[f32; 4], [u64; 2]>([0.0, -1.0, 0.0, 0.0]));
        }
        kernels.sign_distances_at(&planes, (&apart, words + TERM_WORDS), &[1, 0], estimate, &mut sums[..2]);
        assert_eq!(sums, [(words * 64 * 15) as f32; GROUP], "{} {words} apart", kernels.name());
        let length = words * LINE_BYTES;
        for (query, row) in [(-128, 0), (-128, 255), (127, 0), (127, 255), (-1, 128)] {
            let (queries, rows) = (vec![query; length], vec![row; length * 5]);
            let (mut dots, mut dots_at) = ([0; 5], [0; 3]);
            kernels.int8_dots(&queries, &rows, &mut dots);
            kernels.int8_dots_at(&queries, &rows, &[4, 0, 2], &mut dots_at);
            let dot = i32::from(query) * i32::from(row) * length as i32;
            assert_eq!((dots, dots_at), ([dot; 5], [dot; 3]), "{} {query} * {row}", kernels.name());
        }
    }
}

#[test]
fn extreme_rows_have_no_distance_that_is_not_a_number() {
    for extreme in [0.0, f32::MIN_POSITIVE, 1e-40, 1e15] {
        let vectors = [vec![extreme; 8], vec![1.0; 8]].concat();
        let norms: Vec<f32> = vectors.chunks(8).map(inverse_norm).collect();
        for metric in METRICS {
            let rows = Int8Rows::encode(PointSpace::of(metric, &vectors, 8), &vectors, &norms, 1);
            let mut out = [0.0; 2];
            for query in [[0.0; 8], [extreme; 8], [1.0; 8]] {
                rows.query(&rows.query_point(&query)).distances(&rows, 0, &mut out);
                assert!(out.iter().all(|one| !one.is_nan()), "{metric} {extreme}: {out:?}");
            }
        }
    }
}

#[test]
fn a_fingerprint_is_that_of_these_codes_and_no_others() {
    let mut rng = SeededRng::new(16);
    let mut set = Set::new(&mut rng, 40, 70);
    for metric in METRICS {
        let codes = set.int8(metric);
        assert_eq!(codes.fingerprint(), set.int8(metric).fingerprint());
        let mut seen = vec![codes.fingerprint(), codes.pick(&[]).fingerprint()];
        let every = |count: u32| (0..count).collect::<Vec<u32>>();
        seen.push(codes.pick(&every(39)).fingerprint());
        // Two rows that stand in each other's place, as a merge might put them.
        for (one, other) in [(0, 1), (3, 11), (38, 39)] {
            let mut order = every(40);
            order.swap(one, other);
            seen.push(codes.pick(&order).fingerprint());
        }
        let before = set.vectors[70 * 39];
        set.vectors[70 * 39] = -before;
        seen.push(set.int8(metric).fingerprint());
        set.vectors[70 * 39] = before;
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count, "{metric}");
    }
}
