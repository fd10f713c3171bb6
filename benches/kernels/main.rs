//! Kernels: every set that this CPU has, at the common dimensions. `cargo bench -p pinyon-benches --bench kernels`

#![allow(missing_docs)] // the macros make public functions without documentation

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pinyon_distance::{
    CodeKernels, Kernels,
    codes::{Int8Query, Int8Rows, PointSpace, SignLayout, SignQuery, SignRows},
    inverse_norm,
};
use std::hint::black_box;

const ROWS: usize = 256;
const SIGN_LAYOUTS: [SignLayout; 2] = [SignLayout::Interleaved, SignLayout::Apart];

fn kernels(criterion: &mut Criterion) {
    for dim in [384, 1536] {
        let query: Vec<f32> = (0..dim).map(|at| (at as f32).sin()).collect();
        let rows: Vec<f32> = (0..dim * ROWS).map(|at| (at as f32).cos()).collect();
        let mut out = vec![0.0; ROWS];
        let mut group = criterion.benchmark_group(format!("{ROWS} rows of {dim}"));
        group.throughput(Throughput::Elements(ROWS as u64));
        for kernels in Kernels::available() {
            group.bench_function(BenchmarkId::new("dot", kernels.name()), |bencher| {
                bencher.iter(|| kernels.dots(black_box(&query), black_box(&rows), &mut out));
            });
            group.bench_function(BenchmarkId::new("l2", kernels.name()), |bencher| {
                bencher.iter(|| kernels.l2_squareds(black_box(&query), black_box(&rows), &mut out));
            });
        }
        group.finish();
    }
}

/// Rows of a block that lies in the second-level cache, in order and in none.
fn codes(criterion: &mut Criterion) {
    for dim in [384, 1536] {
        let vectors: Vec<f32> = (0..dim * ROWS).map(|at| (at as f32).cos()).collect();
        let norms: Vec<f32> = vectors.chunks(dim).map(inverse_norm).collect();
        let bytes = Int8Rows::encode(PointSpace::Unit, &vectors, &norms, 1);
        let point = bytes.query_point(&vectors[..dim]);
        let (query, signs) =
            (bytes.query(&point), SIGN_LAYOUTS.map(|layout| signs(&bytes, &vectors, &norms, layout)));
        // 97 and the number of rows have no common factor: every row comes once.
        let at: Vec<u32> = (0..ROWS as u32).map(|row| row * 97 % ROWS as u32).collect();
        let mut out = vec![0.0; ROWS];
        let mut group = criterion.benchmark_group(format!("{ROWS} codes of {dim}"));
        group.throughput(Throughput::Elements(ROWS as u64));
        for kernels in CodeKernels::available() {
            let name = kernels.name();
            let by_bytes: Int8Query = query.clone().with(kernels);
            group.bench_function(BenchmarkId::new("bytes", name), |bencher| {
                bencher.iter(|| by_bytes.distances(black_box(&bytes), 0, &mut out));
            });
            group.bench_function(BenchmarkId::new("bytes of some", name), |bencher| {
                bencher.iter(|| by_bytes.distances_at(black_box(&bytes), &at, &mut out));
            });
            for signs in &signs {
                let by_bits: SignQuery = signs.query(&point).with(kernels);
                let layout = format!("bits {:?}", signs.layout()).to_lowercase();
                group.bench_function(BenchmarkId::new(&layout, name), |bencher| {
                    bencher.iter(|| by_bits.distances(black_box(signs), 0, &mut out));
                });
                group.bench_function(BenchmarkId::new(format!("{layout} of some"), name), |bencher| {
                    bencher.iter(|| by_bits.distances_at(black_box(signs), &at, &mut out));
                });
            }
        }
        group.finish();
    }
}

fn signs(bytes: &Int8Rows, vectors: &[f32], norms: &[f32], layout: SignLayout) -> SignRows {
    let dim = vectors.len() / norms.len();
    let mut signs = SignRows::new(PointSpace::Unit, vec![0.0; dim], layout);
    let mut point = Vec::new();
    for (row, norm) in vectors.chunks(dim).zip(norms) {
        bytes.point(row, *norm, &mut point);
        signs.push(&point);
    }
    signs
}

criterion_group!(benches, kernels, codes);
criterion_main!(benches);
