//! Kernels: every set that this CPU has, at the common dimensions. `cargo bench -p pinyon-benches --bench kernels`

#![allow(missing_docs)] // the macros make public functions without documentation

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pinyon_distance::Kernels;
use std::hint::black_box;

const ROWS: usize = 256;

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

criterion_group!(benches, kernels);
criterion_main!(benches);
