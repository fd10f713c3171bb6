//! Lower bounds by bits, whatever the rows.

use super::*;

/// Rows of every shape that bits are asked about, and queries near some of them.
fn shapes(rng: &mut SeededRng, rows: usize, dim: usize) -> [(&'static str, Set); 5] {
    let set = |vectors: Vec<f32>| {
        let norms = vectors.chunks(dim).map(inverse_norm).collect();
        Set { dim, vectors, norms }
    };
    let normal = random(rng, rows * dim);
    let mut sparse = vec![0.0; rows * dim];
    let mut one_hot = sparse.clone();
    for row in 0..rows {
        for _ in 0..4 {
            sparse[row * dim + rng.below(dim as u64) as usize] = gauss(rng);
        }
        one_hot[row * dim + rng.below(dim as u64) as usize] = 1.0 + gauss(rng).abs();
    }
    let centre = random(rng, dim);
    let with_mean =
        |lengths: f32| normal.iter().zip(centre.iter().cycle()).map(|(a, b)| a + lengths * b).collect();
    [
        ("normal", set(normal.clone())),
        ("sparse", set(sparse)),
        ("one-hot", set(one_hot)),
        ("a mean of two lengths", set(with_mean(2.0))),
        ("a mean of ten lengths", set(with_mean(10.0))),
    ]
}

#[test]
fn lower_bounds_lie_below_distances_whatever_the_rows() {
    let (rows, dim) = (400, 128);
    let mut rng = SeededRng::new(41);
    for (name, set) in shapes(&mut rng, rows, dim) {
        for metric in METRICS {
            let int8 = set.int8(metric);
            let signs = set.signs(&int8, PointSpace::of(metric, &set.vectors, dim), SignLayout::Apart);
            let (mut above, mut width, mut spread) = (0, 0.0, 0.0);
            for row in (0..rows).step_by(20) {
                // As long as the rows, a millionth of it, and a million times it.
                let times =
                    [1.0, 1e-6, 1e6][row / 20 % 3] * if metric == Metric::Euclidean { 0.0 } else { 1.0 };
                let times = if times == 0.0 { 1.0 } else { times };
                let of_row = &set.vectors[row * dim..(row + 1) * dim];
                let query: Vec<f32> =
                    of_row.iter().map(|one| (one + 0.3 * gauss(&mut rng)) * times).collect();
                let asked = signs.query(&int8.query_point(&query));
                let (mut estimates, mut bounds) = (vec![0.0; rows], vec![0.0; rows]);
                asked.distances(&signs, 0, &mut estimates);
                asked.clone().lowered(2.5).distances(&signs, 0, &mut bounds);
                let exact: Vec<f32> = (0..rows)
                    .map(|row| asked.of_distance(set.expected(metric, &query, row) as f32))
                    .collect();
                above += (0..rows).filter(|row| bounds[*row] > exact[*row]).count();
                width += (0..rows).map(|row| estimates[row] - bounds[row]).sum::<f32>();
                let mean = exact.iter().sum::<f32>() / rows as f32;
                spread += exact.iter().map(|one| (one - mean).abs()).sum::<f32>();
            }
            let asked = rows * 20;
            assert!(
                above * 100 <= asked,
                "{name} {metric}: {above} of {asked} rows are nearer than their bound"
            );
            // Bounds that tell nothing would hold as well. Two deviations of a bit code of 128 components are a fifth of a length.
            assert!(width < 4.0 * spread, "{name} {metric}: {width} for a spread of {spread}");
        }
    }
}

#[test]
fn codes_are_the_same_as_far_as_roundings_go_and_no_farther() {
    let (rows, dim) = (60, 256);
    let mut rng = SeededRng::new(42);
    let set = Set::new(&mut rng, rows, dim);
    for metric in METRICS {
        // What a unit of the codes is worth, about.
        let unit = 3.5 / 127.0;
        let moved = |units: f32, rng: &mut SeededRng| {
            let by = |rng: &mut SeededRng| 2.0 * units * unit * (rng.unit() as f32 - 0.5);
            let vectors: Vec<f32> = set.vectors.iter().map(|one| one + by(rng)).collect();
            let vectors = [set.vectors.clone(), vectors].concat();
            let norms = vectors.chunks(dim).map(inverse_norm).collect();
            Set { dim, vectors, norms }.int8(metric)
        };
        for (units, least, most) in [(0.0, 60, 60), (0.12, 55, 60), (3.0, 0, 0)] {
            let codes = moved(units, &mut rng);
            let same = (0..rows as u32).filter(|row| codes.are_same(*row, row + rows as u32)).count();
            assert!((least..=most).contains(&same), "{metric}, moved by {units} units: {same} of {rows}");
        }
        assert!(!moved(0.0, &mut rng).are_same(0, 1));
    }
}
