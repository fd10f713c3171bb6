//! Every set of kernels against double precision, over all short lengths and the common long ones.

use super::*;
use pinyon_types::SeededRng;

fn lengths() -> impl Iterator<Item = usize> {
    (0..=130).chain([383, 384, 385, 1000, 1536])
}

/// Rounding may cost each of n additions half a unit in the last place of the sum of magnitudes.
fn tolerance(magnitude: f64, length: usize) -> f64 {
    magnitude * f64::from(f32::EPSILON) * (length as f64 + 1.0) + f64::from(f32::MIN_POSITIVE)
}

fn random(rng: &mut SeededRng, length: usize, scale: f64) -> Vec<f32> {
    (0..length).map(|_| ((rng.unit() - 0.5) * scale) as f32).collect()
}

fn check(kernels: Kernels, a: &[f32], b: &[f32]) {
    let magnitude: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) * f64::from(*b)).abs()).sum();
    let dot = reference::dot_f64(a, b);
    let error = (f64::from(kernels.dot(a, b)) - dot).abs();
    assert!(error <= tolerance(magnitude, a.len()), "{} dot of {}: off by {error}", kernels.name(), a.len());
    let l2 = reference::l2_squared_f64(a, b);
    let error = (f64::from(kernels.l2_squared(a, b)) - l2).abs();
    // The differences themselves are rounded too.
    assert!(error <= 4.0 * tolerance(l2, a.len()), "{} l2 of {}: off by {error}", kernels.name(), a.len());
}

#[test]
fn the_cpu_has_what_the_environment_demands() {
    if let Ok(wanted) = std::env::var("PINYON_REQUIRE_CPU") {
        let codes = CodeKernels::available().into_iter().map(CodeKernels::name);
        let names: Vec<&str> = Kernels::available().into_iter().map(Kernels::name).chain(codes).collect();
        assert!(names.contains(&wanted.as_str()), "PINYON_REQUIRE_CPU={wanted}, but this CPU has {names:?}");
    }
}

#[test]
fn kernels_agree_with_double_precision_at_every_length_and_alignment() {
    let mut rng = SeededRng::new(11);
    for kernels in Kernels::available() {
        for length in lengths() {
            for scale in [2.0, 1e-18, 1e15] {
                let (a, b) = (random(&mut rng, length + 3, scale), random(&mut rng, length + 3, 3.0));
                check(kernels, &a[..length], &b[..length]);
                check(kernels, &a[1..=length], &b[3..]);
            }
            check(kernels, &vec![0.0; length], &vec![1e16; length]);
            check(kernels, &vec![1e-40; length], &vec![1.0; length]);
        }
    }
}

#[test]
fn a_row_scores_the_same_alone_and_in_a_batch() {
    let mut rng = SeededRng::new(12);
    for kernels in Kernels::available() {
        for length in lengths().skip(1) {
            let (query, rows) = (random(&mut rng, length, 2.0), random(&mut rng, length * 7, 2.0));
            let (mut dots, mut l2s) = (vec![f32::NAN; 7], vec![f32::NAN; 7]);
            kernels.dots(&query, &rows, &mut dots);
            kernels.l2_squareds(&query, &rows, &mut l2s);
            for row in 0..7 {
                let one = &rows[row * length..(row + 1) * length];
                assert_eq!(dots[row].to_bits(), kernels.dot(&query, one).to_bits());
                assert_eq!(l2s[row].to_bits(), kernels.l2_squared(&query, one).to_bits());
            }
        }
    }
}

#[test]
#[should_panic(expected = "vectors of one index have one length")]
fn lengths_that_differ_are_a_programmers_error() {
    Kernels::detect().dot(&[1.0], &[1.0, 2.0]);
}
