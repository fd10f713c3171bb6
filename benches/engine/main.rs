//! The engine in process: a query in one tenant by the tenant's size, a query across all tenants by number of shards,
//! durable writes. `cargo bench -p pinyon-benches --bench engine`

#![allow(missing_docs)] // the macros make public functions without documentation

mod fixture;
mod measure;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fixture::Fixture;
use pinyon_core::{Reach, VectorQuery};

fn query(vector: &[f32], reach: Reach) -> VectorQuery {
    VectorQuery::dense(vector.to_vec(), reach, 10)
}

fn one_tenant(criterion: &mut Criterion) {
    let (rows, queries, _) = pinyon_benches::load(16_000).expect("data");
    let fixture = Fixture::new("tenant", 4, rows.dim);
    let mut group = criterion.benchmark_group("query in one tenant");
    for size in [50, 500, 5_000, 15_000] {
        let tenant = format!("tenant-{size}");
        fixture.write(&tenant, &rows, 0..size);
        let mut at = 0;
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| {
                at = (at + 1) % queries.len();
                fixture
                    .engine
                    .query_vector(query(queries.row(at), Reach::Tenant(tenant.clone())))
                    .expect("a query")
            });
        });
    }
    group.finish();
}

fn across(criterion: &mut Criterion) {
    let (rows, queries, _) = pinyon_benches::load(16_000).expect("data");
    let mut group = criterion.benchmark_group("query across 64 tenants, 16,000 rows");
    for shards in [1, 2, 4, 8] {
        let fixture = Fixture::new(&format!("across-{shards}"), shards, rows.dim);
        for tenant in 0..64 {
            fixture.write(&format!("tenant-{tenant}"), &rows, tenant * 250..(tenant + 1) * 250);
        }
        let mut at = 0;
        group.bench_function(BenchmarkId::new("shards", shards), |bencher| {
            bencher.iter(|| {
                at = (at + 1) % queries.len();
                fixture.engine.query_vector(query(queries.row(at), Reach::All)).expect("a query")
            });
        });
    }
    group.finish();
}

fn durable_writes(criterion: &mut Criterion) {
    let (rows, _, _) = pinyon_benches::load(16_000).expect("data");
    let mut group = criterion.benchmark_group("durable upserts");
    group.sample_size(10);
    for batch in [1, 100, 1_000] {
        let fixture = Fixture::new(&format!("write-{batch}"), 1, rows.dim);
        let mut from = 0;
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(BenchmarkId::new("batch", batch), |bencher| {
            bencher.iter(|| {
                from = (from + batch) % (rows.len() - batch);
                fixture.write("tenant", &rows, from..from + batch);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, one_tenant, across, durable_writes);
criterion_main!(benches);
