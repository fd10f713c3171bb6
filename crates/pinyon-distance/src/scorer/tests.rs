//! Distances over the whole range of f32, and the agreement of single rows with batches.

use super::*;
use pinyon_types::SeededRng;

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::DotProduct, Metric::Euclidean];

fn random(rng: &mut SeededRng, length: usize) -> Vec<f32> {
    (0..length).map(|_| (rng.unit() - 0.5) as f32).collect()
}

#[test]
fn a_vector_is_at_distance_zero_from_itself_and_from_its_multiples_by_cosine() {
    let mut rng = SeededRng::new(3);
    for length in [1, 2, 3, 17, 384, 1536] {
        let vector = random(&mut rng, length);
        for scale in [1.0_f32, 1e-20, 1e18] {
            let scaled: Vec<f32> = vector.iter().map(|component| component * scale).collect();
            let distance = QueryScorer::new(Metric::Cosine, &vector).distance(&scaled, inverse_norm(&scaled));
            assert!(distance.get() < 2e-6, "{length} * {scale}: {}", distance.get());
        }
        let distance = QueryScorer::new(Metric::Euclidean, &vector).distance(&vector, 0.0);
        assert_eq!(distance.get(), 0.0);
    }
}

#[test]
fn zero_vectors_have_score_zero_by_cosine_and_never_nan() {
    let (zero, one) = ([0.0; 5], [1.0; 5]);
    for (query, row) in [(zero, one), (one, zero), (zero, zero)] {
        let distance = QueryScorer::new(Metric::Cosine, &query).distance(&row, inverse_norm(&row));
        assert_eq!(Metric::Cosine.score(distance).get(), 0.0);
    }
    for extreme in [f32::MAX, f32::MIN_POSITIVE, 1e-45] {
        let row = [extreme; 5];
        assert!(inverse_norm(&row).is_finite());
        for metric in METRICS {
            let distance = QueryScorer::new(metric, &row).distance(&row, inverse_norm(&row));
            assert!(!distance.get().is_nan(), "{metric} {extreme}");
        }
    }
}

#[test]
fn batches_give_each_row_the_distance_it_has_alone() {
    let mut rng = SeededRng::new(4);
    for metric in METRICS {
        for count in [0, 1, 63, 64, 65, 200] {
            let (query, rows) = (random(&mut rng, 33), random(&mut rng, 33 * count));
            let norms: Vec<f32> = rows.chunks(33).map(inverse_norm).collect();
            let scorer = QueryScorer::new(metric, &query);
            let mut seen = 0;
            scorer.distances(&rows, &norms, |row, distance| {
                assert_eq!(row, seen);
                let alone = scorer.distance(&rows[row * 33..(row + 1) * 33], norms[row]);
                assert_eq!(distance.get().to_bits(), alone.get().to_bits());
                seen += 1;
            });
            assert_eq!(seen, count);
        }
    }
}

/// A vector whose components have magnitudes within `10^exponents`, and any sign; some are zero.
fn of_magnitudes(rng: &mut SeededRng, length: usize, exponents: std::ops::Range<f64>) -> Vec<f32> {
    let mut component = || {
        let exponent = exponents.start + rng.unit() * (exponents.end - exponents.start);
        let sign = [-1.0, 1.0][rng.below(2) as usize];
        if rng.below(9) == 0 { 0.0 } else { (sign * 10f64.powf(exponent)) as f32 }
    };
    (0..length).map(|_| component()).collect()
}

/// What the metric is by definition, in double precision.
fn truth(metric: Metric, query: &[f32], row: &[f32]) -> f64 {
    let dot = reference::dot_f64(query, row);
    match metric {
        Metric::DotProduct => dot,
        Metric::Euclidean => reference::l2_squared_f64(query, row),
        Metric::Cosine => {
            let lengths = length(query) * length(row);
            if lengths == 0.0 { 0.0 } else { dot / lengths }
        }
    }
}

/// How far a score is from the truth, as a share of what rounding of f32 is relative to.
fn error(metric: Metric, query: &[f32], row: &[f32]) -> f64 {
    let distance = QueryScorer::new(metric, query).distance(row, inverse_norm(row));
    let (score, truth) = (f64::from(metric.score(distance).get()), truth(metric, query, row));
    assert!(score.is_finite(), "{metric}: {score}, {query:?} {row:?}");
    let truth = truth.clamp(f64::from(f32::MIN), f64::from(f32::MAX));
    // A score below the least normal f32 has no digits to compare.
    let size = match metric {
        Metric::Cosine => 1.0,
        Metric::DotProduct => length(query) * length(row),
        Metric::Euclidean => truth,
    };
    (score - truth).abs() / size.max(f64::from(f32::MIN_POSITIVE))
}

#[test]
fn scores_are_finite_and_right_over_the_whole_range_of_f32() {
    let mut rng = SeededRng::new(15);
    // From the least subnormal to the greatest f32.
    let ranges = [-45.0..-38.0, -38.0..-20.0, -21.0..-17.0, -2.0..2.0, 17.0..21.0, 30.0..38.5, -45.0..38.5];
    for metric in METRICS {
        let mut worst = 0.0_f64;
        for (of_query, of_row) in ranges.iter().flat_map(|a| ranges.iter().map(move |b| (a, b))) {
            for length in [1, 3, 17, 384] {
                let query = of_magnitudes(&mut rng, length, of_query.clone());
                let row = of_magnitudes(&mut rng, length, of_row.clone());
                worst = worst.max(error(metric, &query, &row)).max(error(metric, &query, &query));
            }
        }
        println!("{metric}: worst error against double precision {worst:.2e}");
        assert!(worst < 1e-6, "{metric}: {worst}");
    }
}

#[test]
fn what_f32_overflows_or_loses_is_scored_by_what_it_is() {
    let cosine = |query: &[f32], row: &[f32]| {
        Metric::Cosine.score(QueryScorer::new(Metric::Cosine, query).distance(row, inverse_norm(row))).get()
    };
    let third = 1.0 / 3f32.sqrt();
    for size in [1e-45, 1e-40, 1e-19, 1.0, 3e20, 3e38] {
        assert!((cosine(&[size, 0.0, 0.0], &[size; 3]) - third).abs() < 1e-6, "{size}");
        assert!((cosine(&[size; 3], &[1.0, 0.0, 0.0]) - third).abs() < 1e-6, "{size}");
        assert!((cosine(&[size; 3], &[-3e38, 0.0, 0.0]) + third).abs() < 1e-6, "{size}");
    }
    let score = |metric: Metric, query: &[f32], row: &[f32]| {
        metric.score(QueryScorer::new(metric, query).distance(row, inverse_norm(row))).get()
    };
    // Sums that overflow on the way, and come back.
    assert_eq!(score(Metric::DotProduct, &[3e20, 3e20, 1.0], &[3e20, -3e20, 2.0]), 2.0);
    assert_eq!(score(Metric::Euclidean, &[1.0, 0.0, 0.0], &[3e20; 3]), f32::MAX);
}

#[test]
fn rows_whose_scores_vanish_still_have_an_order() {
    for metric in [Metric::DotProduct, Metric::Euclidean] {
        let query = [1e-30, 0.0];
        let scorer = QueryScorer::new(metric, &query);
        let distance = |row: [f32; 2]| scorer.distance(&row, inverse_norm(&row));
        let (near, far) = match metric {
            Metric::DotProduct => ([3e-30, 0.0], [2e-30, 0.0]),
            _ => ([2e-30, 0.0], [3e-30, 0.0]),
        };
        assert!(distance(near) < distance(far), "{metric}");
    }
}
